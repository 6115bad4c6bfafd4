//! Queries of payments: one, or a page of them, newest first.

use clearfold_kernel::{Amount, Asset, Minor, Timestamp};
use serde::Serialize;
use serde_json::Value;
use sqlx::postgres::PgRow;
use sqlx::{FromRow, Row};
use time::OffsetDateTime;

use super::{PageCursor, QueryError, ReadStore};
use clearfold_base::database::{database_time, timestamp};

/// An amount, as the API writes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MoneyView {
    /// Decimal digits: the number of the asset's smallest units.
    pub minor: String,
    pub decimals: u8,
    pub asset: String,
    /// Text for people: `8.50 EURe`.
    pub display: String,
}

/// The `Spend` log that a payment began with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PaymentSource {
    pub chain_id: i64,
    pub block_hash: String,
    pub block_number: i64,
    pub transaction_hash: String,
    pub log_index: i64,
}

/// The merchant, as the network describes it; unknown fields are null.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Merchant {
    pub id: String,
    pub name: Option<String>,
    pub category: Option<String>,
    pub country: Option<String>,
}

/// Progress of the money on chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Funding {
    pub status: String,
    pub transaction_hash: Option<String>,
}

/// A payment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Payment {
    pub id: String,
    pub account: String,
    pub card_id: Option<String>,
    /// `None` for a payment that was seen on chain first.
    pub merchant: Option<Merchant>,
    pub network: Option<String>,
    /// One of the statuses of the `payments` projection.
    pub status: String,
    pub amount: MoneyView,
    pub requested: MoneyView,
    pub authorized: MoneyView,
    pub held: MoneyView,
    pub reversed: MoneyView,
    pub expired: MoneyView,
    pub cleared: MoneyView,
    pub beyond_hold: MoneyView,
    pub refunded: MoneyView,
    /// Amount of clearings that the network took back.
    pub taken_back: MoneyView,
    /// `None` for a payment that did not begin on chain.
    pub source: Option<PaymentSource>,
    pub funding: Funding,
    pub expires_at: Option<String>,
    pub decline_reason: Option<String>,
    pub flags: Value,
    pub flagged: bool,
    pub over_captured: bool,
    pub late: bool,
    pub dispute: Option<String>,
    /// Payment whose money a linked `Spend` is.
    pub linked_to: Option<String>,
    /// Time of the block, or given by the network, RFC 3339.
    pub occurred_at: String,
    pub updated_at: String,
    #[serde(skip)]
    pub(super) cursor: PageCursor,
}

/// One event of a payment's life.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TimelineEvent {
    pub stream_version: i64,
    #[serde(rename = "type")]
    pub kind: String,
    pub schema_version: i64,
    pub event_id: String,
    pub correlation_id: String,
    pub occurred_at: String,
    pub recorded_at: String,
    pub data: Value,
}

/// Conditions on the payments of a page.
#[derive(Debug, Clone, Default)]
pub struct PaymentFilter {
    pub account: Option<String>,
    pub status: Option<String>,
    /// Only payments that are older than this place.
    pub after: Option<PageCursor>,
}

macro_rules! select {
    ($behind:literal) => {
        concat!(
            "
    SELECT id, account, card_id, merchant_id, merchant_name, merchant_category, merchant_country, network, status,
           amount_minor::text AS amount_minor, requested_minor::text AS requested_minor,
           authorized_minor::text AS authorized_minor, held_minor::text AS held_minor,
           reversed_minor::text AS reversed_minor, expired_minor::text AS expired_minor,
           cleared_minor::text AS cleared_minor, beyond_hold_minor::text AS beyond_hold_minor,
           refunded_minor::text AS refunded_minor, taken_back_minor::text AS taken_back_minor, asset, decimals,
           chain_id, block_hash, block_number, transaction_hash, log_index, funding, funding_transaction_hash,
           expires_at, decline_reason, flags, flagged, over_captured, late, dispute, linked_to,
           occurred_at, updated_at
    FROM payments.payment ",
            $behind
        )
    };
}
const PAGE: &str = select!(
    "WHERE ($1::text IS NULL OR account = $1) AND coalesce(status = $2::text, status <> 'linked')
      AND ($3::timestamptz IS NULL OR (occurred_at, id) < ($3, $4::text))
    ORDER BY occurred_at DESC, id DESC LIMIT $5::bigint"
);
const ONE: &str = select!("WHERE id = $1");
const TIMELINE: &str = "
    SELECT stream_version, type, schema_version, event_id, correlation_id, occurred_at, recorded_at, data
    FROM payments.payment_event WHERE payment_id = $1 ORDER BY stream_version";

pub(super) const STATEMENTS: &[&str] = &[PAGE, ONE, TIMELINE];

impl ReadStore {
    /// Reads a page of payments, newest first, with the cursor of the next page if there is one.
    pub async fn payments(
        &self,
        filter: &PaymentFilter,
        limit: u32,
    ) -> Result<(Vec<Payment>, Option<PageCursor>), QueryError> {
        let after = filter.after.as_ref();
        let occurred_at = after.map(|cursor| database_time(cursor.occurred_at)).transpose();
        let occurred_at = occurred_at.map_err(|error| sqlx::Error::Decode(error.into()))?;
        let query = sqlx::query_as::<_, Payment>(PAGE)
            .bind(&filter.account)
            .bind(&filter.status)
            .bind(occurred_at)
            .bind(after.map(|cursor| &cursor.id))
            // One more than asked for tells whether there is a next page.
            .bind(i64::from(limit) + 1);
        let mut payments = query.fetch_all(&self.pool).await?;
        // A limit that does not fit a usize is longer than any list.
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let more = payments.len() > limit;
        payments.truncate(limit);
        let next = payments.last().filter(|_| more).map(|payment| payment.cursor.clone());
        Ok((payments, next))
    }

    /// Reads a payment with its timeline.
    pub async fn payment(&self, id: &str) -> Result<Option<(Payment, Vec<TimelineEvent>)>, QueryError> {
        let payment = sqlx::query_as::<_, Payment>(ONE).bind(id).fetch_optional(&self.pool).await?;
        let Some(payment) = payment else { return Ok(None) };
        let timeline = sqlx::query_as::<_, TimelineEvent>(TIMELINE).bind(id).fetch_all(&self.pool).await?;
        Ok(Some((payment, timeline)))
    }
}

/// Reads the amount in a numeric column that was selected as text.
pub(super) fn money(row: &PgRow, column: &str) -> Result<MoneyView, sqlx::Error> {
    amount(row, column, &row.try_get::<String, _>(column)?)
}

/// Makes an amount of so many minor units of the row's asset; `column` is the name for an error.
pub(super) fn amount(row: &PgRow, column: &str, minor: &str) -> Result<MoneyView, sqlx::Error> {
    let invalid =
        |error: String| sqlx::Error::ColumnDecode { index: column.to_owned(), source: error.into() };
    let minor: Minor = minor.parse().map_err(|error| invalid(format!("{error}")))?;
    let decimals: i64 = row.try_get("decimals")?;
    let decimals = u8::try_from(decimals).map_err(|error| invalid(error.to_string()))?;
    let amount = Amount { minor, asset: Asset { code: row.try_get("asset")?, decimals } };
    Ok(MoneyView {
        minor: amount.minor.to_string(),
        decimals,
        display: amount.to_string(),
        asset: amount.asset.code,
    })
}

/// Reads the time in a column.
pub(super) fn time(row: &PgRow, column: &str) -> Result<Timestamp, sqlx::Error> {
    at(row.try_get(column)?, column)
}

fn at(at: OffsetDateTime, column: &str) -> Result<Timestamp, sqlx::Error> {
    timestamp(at)
        .map_err(|error| sqlx::Error::ColumnDecode { index: column.to_owned(), source: error.into() })
}

fn source(row: &PgRow) -> Result<Option<PaymentSource>, sqlx::Error> {
    let Some(chain_id) = row.try_get("chain_id")? else { return Ok(None) };
    Ok(Some(PaymentSource {
        chain_id,
        block_hash: row.try_get("block_hash")?,
        block_number: row.try_get("block_number")?,
        transaction_hash: row.try_get("transaction_hash")?,
        log_index: row.try_get("log_index")?,
    }))
}

fn merchant(row: &PgRow) -> Result<Option<Merchant>, sqlx::Error> {
    let Some(id) = row.try_get("merchant_id")? else { return Ok(None) };
    Ok(Some(Merchant {
        id,
        name: row.try_get("merchant_name")?,
        category: row.try_get("merchant_category")?,
        country: row.try_get("merchant_country")?,
    }))
}

impl FromRow<'_, PgRow> for Payment {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        let id: String = row.try_get("id")?;
        let occurred_at = time(row, "occurred_at")?;
        let expires_at: Option<OffsetDateTime> = row.try_get("expires_at")?;
        let expires_at = expires_at.map(|expires_at| at(expires_at, "expires_at")).transpose()?;
        Ok(Self {
            account: row.try_get("account")?,
            card_id: row.try_get("card_id")?,
            merchant: merchant(row)?,
            network: row.try_get("network")?,
            status: row.try_get("status")?,
            amount: money(row, "amount_minor")?,
            requested: money(row, "requested_minor")?,
            authorized: money(row, "authorized_minor")?,
            held: money(row, "held_minor")?,
            reversed: money(row, "reversed_minor")?,
            expired: money(row, "expired_minor")?,
            cleared: money(row, "cleared_minor")?,
            beyond_hold: money(row, "beyond_hold_minor")?,
            refunded: money(row, "refunded_minor")?,
            taken_back: money(row, "taken_back_minor")?,
            source: source(row)?,
            funding: Funding {
                status: row.try_get("funding")?,
                transaction_hash: row.try_get("funding_transaction_hash")?,
            },
            expires_at: expires_at.map(|at| at.to_string()),
            decline_reason: row.try_get("decline_reason")?,
            flags: row.try_get("flags")?,
            flagged: row.try_get("flagged")?,
            over_captured: row.try_get("over_captured")?,
            late: row.try_get("late")?,
            linked_to: row.try_get("linked_to")?,
            dispute: row.try_get("dispute")?,
            occurred_at: occurred_at.to_string(),
            updated_at: time(row, "updated_at")?.to_string(),
            cursor: PageCursor { occurred_at, id: id.clone() },
            id,
        })
    }
}

impl FromRow<'_, PgRow> for TimelineEvent {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            stream_version: row.try_get("stream_version")?,
            kind: row.try_get("type")?,
            schema_version: row.try_get("schema_version")?,
            event_id: row.try_get("event_id")?,
            correlation_id: row.try_get("correlation_id")?,
            occurred_at: time(row, "occurred_at")?.to_string(),
            recorded_at: time(row, "recorded_at")?.to_string(),
            data: row.try_get("data")?,
        })
    }
}
