//! The tables' rows as types, and the way between them and cells.

use std::collections::BTreeMap;

use clearfold_kernel::{
    Amount, Asset, ChainSource, Change, Message, Minor, RecordedEvent, Row, Timestamp, Value,
};

use super::Seen;
use super::tables::{ACCOUNT_ASSET, PAYMENT, PAYMENT_EVENT, REFUND};
use crate::authorization::{RefundUnlinked, SwipeRecorded};

/// How far a payment has come.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Status {
    Recorded,
    PartiallyCleared,
    Cleared,
}

impl Status {
    pub(super) const ALL: [Self; 3] = [Self::Recorded, Self::PartiallyCleared, Self::Cleared];

    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Recorded => "recorded",
            Self::PartiallyCleared => "partially_cleared",
            Self::Cleared => "cleared",
        }
    }

    fn of_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.word() == word)
    }
}

/// The rows that one batch of events reads and changes.
#[derive(Default)]
pub(super) struct Rows {
    pub payments: BTreeMap<String, Payment>,
    pub accounts: BTreeMap<(String, String), AccountAsset>,
    pub timeline: Vec<Row>,
    pub refunds: Vec<Refund>,
}

pub(super) struct Payment {
    account: String,
    pub status: Status,
    amount: Amount,
    pub cleared: Minor,
    source: Vec<Value>,
    occurred_at: Timestamp,
    pub updated_at: Timestamp,
}

pub(super) struct AccountAsset {
    decimals: u8,
    pub payment_count: u64,
    pub spent: Minor,
    pub cleared: Minor,
    pub refund_count: u64,
    pub refunded: Minor,
    first_seen_at: Timestamp,
    updated_at: Timestamp,
}

pub(super) struct Refund {
    pub id: String,
    pub refund: RefundUnlinked,
}

impl Rows {
    /// Reads what the host fetched.
    pub(super) fn read(rows: Vec<Row>) -> Result<Self, String> {
        let mut read = Self::default();
        for row in rows {
            let mut cells = Cells { table: row.table.clone(), cells: row.values.into_iter() };
            match row.table.as_str() {
                PAYMENT => {
                    let id = cells.text()?;
                    read.payments.insert(id, Payment::read(&mut cells)?);
                }
                ACCOUNT_ASSET => {
                    let key = (cells.text()?, cells.text()?);
                    read.accounts.insert(key, AccountAsset::read(&mut cells)?);
                }
                other => return Err(format!("rows of `{other}` were not asked for")),
            }
        }
        Ok(read)
    }

    /// All rows that were read or made. A row that was read was asked for because an event changes it.
    pub(super) fn into_changes(self) -> Vec<Change> {
        let payments = self.payments.into_iter().map(|(id, payment)| payment.into_row(&id));
        let accounts =
            self.accounts.into_iter().map(|((account, asset), total)| total.into_row(&account, &asset));
        let refunds = self.refunds.into_iter().map(Refund::into_row);
        payments.chain(self.timeline).chain(refunds).chain(accounts).map(Change::Upsert).collect()
    }
}

impl Payment {
    pub(super) fn of(swipe: &SwipeRecorded, recorded: &RecordedEvent) -> Self {
        Self {
            account: swipe.account.to_string(),
            status: Status::Recorded,
            amount: swipe.amount.clone(),
            cleared: Minor::ZERO,
            source: source_cells(&swipe.source),
            occurred_at: swipe.occurred_at,
            updated_at: recorded.recorded_at,
        }
    }

    fn read(cells: &mut Cells) -> Result<Self, String> {
        let account = cells.text()?;
        let status = cells.text()?;
        let (minor, cleared) = (cells.minor()?, cells.minor()?);
        let asset = Asset { code: cells.text()?, decimals: cells.decimals()? };
        Ok(Self {
            account,
            status: Status::of_word(&status).ok_or_else(|| format!("`{status}` is no status"))?,
            amount: Amount { minor, asset },
            cleared,
            source: cells.take(5)?,
            occurred_at: cells.timestamp()?,
            updated_at: cells.timestamp()?,
        })
    }

    fn into_row(self, id: &str) -> Row {
        let mut values = vec![id.into(), self.account.as_str().into(), self.status.word().into()];
        values.extend([self.amount.minor.into(), self.cleared.into()]);
        values.extend([self.amount.asset.code.as_str().into(), integer(self.amount.asset.decimals)]);
        values.extend(self.source);
        values.extend([self.occurred_at.into(), self.updated_at.into()]);
        Row { table: PAYMENT.into(), values }
    }
}

impl AccountAsset {
    /// The account's row, made if this is its first payment in the asset.
    pub(super) fn at<'a>(
        rows: &'a mut Rows,
        key: &(String, String),
        decimals: u8,
        recorded: &RecordedEvent,
    ) -> &'a mut Self {
        let row = rows.accounts.entry(key.clone()).or_insert_with(|| Self {
            decimals,
            payment_count: 0,
            spent: Minor::ZERO,
            cleared: Minor::ZERO,
            refund_count: 0,
            refunded: Minor::ZERO,
            first_seen_at: recorded.recorded_at,
            updated_at: recorded.recorded_at,
        });
        row.updated_at = recorded.recorded_at;
        row
    }

    fn read(cells: &mut Cells) -> Result<Self, String> {
        Ok(Self {
            decimals: cells.decimals()?,
            payment_count: cells.count()?,
            spent: cells.minor()?,
            cleared: cells.minor()?,
            refund_count: cells.count()?,
            refunded: cells.minor()?,
            first_seen_at: cells.timestamp()?,
            updated_at: cells.timestamp()?,
        })
    }

    fn into_row(self, account: &str, asset: &str) -> Row {
        let values = vec![
            account.into(),
            asset.into(),
            integer(self.decimals),
            integer(self.payment_count),
            self.spent.into(),
            self.cleared.into(),
            integer(self.refund_count),
            self.refunded.into(),
            self.first_seen_at.into(),
            self.updated_at.into(),
        ];
        Row { table: ACCOUNT_ASSET.into(), values }
    }
}

impl Refund {
    fn into_row(self) -> Row {
        let Self { id, refund } = self;
        let mut values = vec![id.as_str().into(), refund.parties.account.to_string().as_str().into()];
        values.extend([refund.amount.minor.into(), refund.amount.asset.code.as_str().into()]);
        values.push(integer(refund.amount.asset.decimals));
        if let crate::authorization::RefundOrigin::Chain(source) = &refund.origin {
            values.extend(source_cells(source));
        }
        values.push(refund.occurred_at.into());
        Row { table: REFUND.into(), values }
    }
}

/// A row of a payment's timeline. The event stands there in its newest version, whichever was recorded: who
/// reads a timeline need not know the old ones.
pub(super) fn timeline_entry(seen: &Seen, occurred_at: Timestamp) -> Result<Row, String> {
    let recorded = seen.recorded;
    let newest = seen.event.encode().map_err(|error| error.to_string())?;
    let data = String::from_utf8(newest.payload).map_err(|error| error.to_string())?;
    let values = vec![
        seen.id.into(),
        integer(recorded.stream_version),
        recorded.event_id.as_str().into(),
        recorded.correlation_id.as_str().into(),
        newest.kind.as_str().into(),
        integer(newest.schema_version),
        occurred_at.into(),
        recorded.recorded_at.into(),
        Value::Json(data),
    ];
    Ok(Row { table: PAYMENT_EVENT.into(), values })
}

fn source_cells(source: &ChainSource) -> Vec<Value> {
    vec![
        integer(source.chain_id),
        source.block_hash.to_string().as_str().into(),
        integer(source.block_number),
        source.transaction_hash.to_string().as_str().into(),
        integer(source.log_index),
    ]
}

/// Counts, block numbers and versions: 63 bits outlast every chain, and the database checks the sign.
fn integer(number: impl Into<u64>) -> Value {
    Value::Integer(i64::try_from(number.into()).unwrap_or(i64::MAX))
}

/// Reads a row's cells in order.
struct Cells {
    table: String,
    cells: std::vec::IntoIter<Value>,
}

impl Cells {
    fn next(&mut self) -> Result<Value, String> {
        self.cells.next().ok_or_else(|| format!("a row of `{}` has too few cells", self.table))
    }

    fn unexpected(&self, cell: &Value) -> String {
        format!("a row of `{}` holds {cell:?} where it should not", self.table)
    }

    fn take(&mut self, count: usize) -> Result<Vec<Value>, String> {
        (0..count).map(|_| self.next()).collect()
    }

    fn text(&mut self) -> Result<String, String> {
        match self.next()? {
            Value::Text(text) => Ok(text),
            other => Err(self.unexpected(&other)),
        }
    }

    fn minor(&mut self) -> Result<Minor, String> {
        match self.next()? {
            Value::Numeric(digits) => digits.parse().map_err(|error| format!("`{}`: {error}", self.table)),
            other => Err(self.unexpected(&other)),
        }
    }

    fn count(&mut self) -> Result<u64, String> {
        match self.next()? {
            Value::Integer(number) if number >= 0 => Ok(number.unsigned_abs()),
            other => Err(self.unexpected(&other)),
        }
    }

    fn decimals(&mut self) -> Result<u8, String> {
        let count = self.count()?;
        u8::try_from(count).map_err(|_| format!("`{}`: {count} decimals", self.table))
    }

    fn timestamp(&mut self) -> Result<Timestamp, String> {
        match self.next()? {
            Value::TimestampMs(ms) => {
                Timestamp::from_ms(ms).ok_or_else(|| format!("`{}`: time {ms}", self.table))
            }
            other => Err(self.unexpected(&other)),
        }
    }
}
