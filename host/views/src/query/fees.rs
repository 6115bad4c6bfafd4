//! Queries of network fees: those of a payment, and those of all records by network and day.

use clearfold_base::database::database_time;
use clearfold_kernel::Timestamp;
use serde::Serialize;
use sqlx::postgres::PgRow;
use sqlx::{FromRow, Row};

use super::payments::money;
use super::{MoneyView, QueryError, ReadStore, if_kept, net};

/// Network fees of one kind in one currency: net = credit − debit, below zero if we owe more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NetworkFee {
    /// One of `interchange`, `scheme`, `other`.
    pub kind: String,
    pub currency: String,
    /// Owed to us.
    pub credit: MoneyView,
    /// Owed by us.
    pub debit: MoneyView,
    pub net: MoneyView,
}

/// Network fees of a day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DaysNetworkFee {
    /// Day in UTC: `2026-11-23`.
    pub day: String,
    pub network: String,
    #[serde(flatten)]
    pub fee: NetworkFee,
}

const OF_PAYMENT: &str = "
    SELECT kind, currency AS asset, decimals, credit_minor::text AS credit_minor, debit_minor::text AS debit_minor,
           (credit_minor - debit_minor)::text AS net_minor
    FROM settlement.payment_fee WHERE account = $1 AND payment_id = $2 ORDER BY kind, currency";

const BY_DAY: &str = "
    SELECT to_char(day AT TIME ZONE 'UTC', 'YYYY-MM-DD') AS of_day, network, kind, currency AS asset, decimals,
           credit_minor::text AS credit_minor, debit_minor::text AS debit_minor,
           (credit_minor - debit_minor)::text AS net_minor
    FROM settlement.network_fee
    WHERE day BETWEEN $1 AND $2 AND ($3::text IS NULL OR network = $3)
    ORDER BY day, network, kind, currency";

impl ReadStore {
    /// Reads the network fees of a payment's records. `None` if no projector keeps them.
    pub async fn fees_of_payment(
        &self,
        account: &str,
        payment_id: &str,
    ) -> Result<Option<Vec<NetworkFee>>, QueryError> {
        let query = sqlx::query_as::<_, NetworkFee>(OF_PAYMENT).bind(account).bind(payment_id);
        if_kept(query.fetch_all(&self.pool).await)
    }

    /// Reads the network fees of all records from one day to another, both included, of one network or of all. `None` if
    /// no projector keeps them.
    pub async fn fees_by_day(
        &self,
        from: Timestamp,
        to: Timestamp,
        network: Option<&str>,
    ) -> Result<Option<Vec<DaysNetworkFee>>, QueryError> {
        let time = |at| database_time(at).map_err(|error| sqlx::Error::Decode(error.into()));
        let query =
            sqlx::query_as::<_, DaysNetworkFee>(BY_DAY).bind(time(from)?).bind(time(to)?).bind(network);
        if_kept(query.fetch_all(&self.pool).await)
    }
}

impl FromRow<'_, PgRow> for NetworkFee {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            kind: row.try_get("kind")?,
            currency: row.try_get("asset")?,
            credit: money(row, "credit_minor")?,
            debit: money(row, "debit_minor")?,
            net: net(row, "net_minor")?,
        })
    }
}

impl FromRow<'_, PgRow> for DaysNetworkFee {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        let (day, network) = (row.try_get("of_day")?, row.try_get("network")?);
        Ok(Self { day, network, fee: NetworkFee::from_row(row)? })
    }
}
