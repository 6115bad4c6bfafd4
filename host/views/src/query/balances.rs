//! Queries of balances: those of an account, by asset, as its ledger says.

use serde::Serialize;
use sqlx::postgres::PgRow;
use sqlx::{FromRow, Row};

use super::payments::time;
use super::{MoneyView, QueryError, ReadStore, if_kept, net};

/// Balance of an account in one asset: available = posted − pending. Posted and available may be below zero.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Balance {
    pub asset: String,
    pub posted: MoneyView,
    pub pending: MoneyView,
    pub available: MoneyView,
    pub updated_at: String,
}

const BALANCES: &str = "
    SELECT asset, decimals, posted_minor::text AS posted_minor, pending_minor::text AS pending_minor,
           available_minor::text AS available_minor, updated_at
    FROM balances.balance WHERE account = $1 ORDER BY asset";

impl ReadStore {
    /// Reads an account's balances; the list is empty for an account without bookings. `None` if no projector keeps
    /// balances: the host runs without them.
    pub async fn balances(&self, account: &str) -> Result<Option<Vec<Balance>>, QueryError> {
        if_kept(sqlx::query_as::<_, Balance>(BALANCES).bind(account).fetch_all(&self.pool).await)
    }
}

impl FromRow<'_, PgRow> for Balance {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            asset: row.try_get("asset")?,
            posted: net(row, "posted_minor")?,
            pending: net(row, "pending_minor")?,
            available: net(row, "available_minor")?,
            updated_at: time(row, "updated_at")?.to_string(),
        })
    }
}
