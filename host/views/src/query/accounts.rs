//! Queries of accounts: amounts spent, cleared and refunded, by asset.

use serde::Serialize;
use sqlx::postgres::PgRow;
use sqlx::{FromRow, Row};

use super::payments::{money, time};
use super::{MoneyView, QueryError, ReadStore};

/// An account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Account {
    /// Address of the Safe.
    pub id: String,
    pub assets: Vec<AccountAsset>,
}

/// Totals of an account in one asset: `spent` left it on chain, `cleared` was claimed by the network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AccountAsset {
    pub asset: String,
    pub payment_count: i64,
    pub spent: MoneyView,
    pub cleared: MoneyView,
    pub refund_count: i64,
    pub refunded: MoneyView,
    pub first_seen_at: String,
    pub updated_at: String,
}

const ASSETS: &str = "
    SELECT asset, decimals, payment_count, spent_minor::text AS spent_minor, cleared_minor::text AS cleared_minor,
           refund_count, refunded_minor::text AS refunded_minor, first_seen_at, updated_at
    FROM payments.account_asset WHERE account = $1 ORDER BY asset";

pub(super) const STATEMENTS: &[&str] = &[ASSETS];

impl ReadStore {
    /// Reads an account. `None` if it never paid and was never paid.
    pub async fn account(&self, id: &str) -> Result<Option<Account>, QueryError> {
        let assets = sqlx::query_as::<_, AccountAsset>(ASSETS).bind(id).fetch_all(&self.pool).await?;
        Ok((!assets.is_empty()).then(|| Account { id: id.to_owned(), assets }))
    }
}

impl FromRow<'_, PgRow> for AccountAsset {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            asset: row.try_get("asset")?,
            payment_count: row.try_get("payment_count")?,
            spent: money(row, "spent_minor")?,
            cleared: money(row, "cleared_minor")?,
            refund_count: row.try_get("refund_count")?,
            refunded: money(row, "refunded_minor")?,
            first_seen_at: time(row, "first_seen_at")?.to_string(),
            updated_at: time(row, "updated_at")?.to_string(),
        })
    }
}
