//! Queries of the read store: payments, their timelines, accounts, balances, network fees, sagas.
//!
//! The tables belong to the projector component that declares them; the statements are checked against them once at
//! start ([`ReadStore::check`]). Nothing here writes.

mod accounts;
mod balances;
mod fees;
mod page;
mod payments;
mod sagas;

pub use accounts::{Account, AccountAsset};
pub use balances::Balance;
pub use fees::{DaysNetworkFee, NetworkFee};
pub use page::{InvalidCursor, PageCursor};
pub use payments::{MoneyView, Payment, PaymentFilter, PaymentSource, TimelineEvent};
pub use sagas::{SagaCounts, SagaFilter, SagaInstance, SagaPage, VersionCounts};

use sqlx::postgres::PgRow;
use sqlx::{PgPool, Row};

use payments::amount;

/// The read store. Cheap to clone.
#[derive(Clone)]
pub struct ReadStore {
    pool: PgPool,
}

/// A query failed.
#[derive(Debug, thiserror::Error)]
pub enum QueryError {
    #[error("the read store did not answer")]
    Database(#[from] sqlx::Error),
    #[error(
        "the read store has no tables of the projection `{0}`; add its projector to the manifest, and start the host"
    )]
    NoProjection(&'static str),
}

/// Statements of the queries of a projection's tables. A component that makes these tables must serve them.
#[must_use]
pub fn asked_of(projection: &str) -> &'static [&'static [&'static str]] {
    match projection {
        "payments" => &[payments::STATEMENTS, accounts::STATEMENTS],
        "sagas" => &[sagas::STATEMENTS],
        _ => &[],
    }
}

impl ReadStore {
    /// Makes a store on a pool.
    #[must_use]
    pub fn new(pool: PgPool) -> Self {
        Self { pool }
    }

    /// Checks that the projections serve the queries: the statements are prepared, not run.
    pub async fn check(&self) -> Result<(), QueryError> {
        for statement in payments::STATEMENTS.iter().chain(accounts::STATEMENTS) {
            sqlx::Executor::describe(&self.pool, sqlx::SqlSafeStr::into_sql_str(*statement)).await?;
        }
        Ok(())
    }
}

/// Returns the rows of a projection that a host may run without; `None` if its tables are not there.
fn if_kept<T>(found: Result<Vec<T>, sqlx::Error>) -> Result<Option<Vec<T>>, QueryError> {
    const UNDEFINED_TABLE: &str = "42P01";
    match found {
        Ok(rows) => Ok(Some(rows)),
        Err(sqlx::Error::Database(error)) if error.code().as_deref() == Some(UNDEFINED_TABLE) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Reads an amount that may be below zero.
fn net(row: &PgRow, column: &str) -> Result<MoneyView, sqlx::Error> {
    let text: String = row.try_get(column)?;
    match text.strip_prefix('-') {
        None => amount(row, column, &text),
        Some(magnitude) => {
            let view = amount(row, column, magnitude)?;
            Ok(MoneyView { minor: text, display: format!("-{}", view.display), ..view })
        }
    }
}
