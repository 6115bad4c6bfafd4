//! The read store, asked: payments, their timelines, accounts, balances.
//!
//! The tables belong to the projector component that declares them; what is asked of them is checked once at
//! start ([`check`]). Nothing here writes.

mod accounts;
mod balances;
mod page;
mod payments;

pub use accounts::{Account, AccountAsset};
pub use balances::Balance;
pub use page::{Cursor, InvalidCursor};
pub use payments::{MoneyView, Payment, PaymentFilter, Source, TimelineEvent};

use sqlx::PgPool;

/// The read store. Cheap to clone.
#[derive(Clone)]
pub struct ReadStore {
    pool: PgPool,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum QueryError {
    #[error("the read store did not answer")]
    Database(#[from] sqlx::Error),
}

/// What is asked of a projection's tables: a component that is to make them must keep it.
#[must_use]
pub fn asked_of(projection: &str) -> &'static [&'static [&'static str]] {
    match projection {
        "payments" => &[payments::STATEMENTS, accounts::STATEMENTS],
        _ => &[],
    }
}

impl ReadStore {
    /// A store on a pool.
    #[must_use]
    pub fn new(pool: PgPool) -> Self {
        Self { pool }
    }

    /// Whether the projections hold what the queries ask for: the statements are prepared, not run.
    pub async fn check(&self) -> Result<(), QueryError> {
        for statement in payments::STATEMENTS.iter().chain(accounts::STATEMENTS) {
            sqlx::Executor::describe(&self.pool, sqlx::SqlSafeStr::into_sql_str(*statement)).await?;
        }
        Ok(())
    }
}
