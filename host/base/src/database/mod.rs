//! Connections to the databases, their schemas, and conversions of numbers and times.
//!
//! It holds no query of any table of the payment flow.

mod convert;
mod schema;
mod time_out;

pub use schema::{
    MigrateReport, SchemaError, SchemaState, Store, check_schema, connect, connect_to_migrate,
    connect_to_project, connect_to_read_all, migrate,
};

pub use time_out::{with_time_out, within};

pub use convert::{
    database_time, partition_index, partition_key, partition_number, signed, timestamp, unsigned,
};

/// A database gave no answer that can be used.
#[derive(Debug, thiserror::Error)]
pub enum DatabaseError {
    /// The database cannot be reached, or refused the statement.
    #[error("the database did not answer")]
    Unanswered(#[from] sqlx::Error),
    /// The connection is cut off, or the database is too slow to wait for.
    #[error("the database did not answer within {seconds} s")]
    Silent { seconds: u64 },
    /// The database holds a value that this program cannot have written.
    #[error("the database holds what cannot be read: {0}")]
    Corrupt(String),
}

impl DatabaseError {
    /// Returns true if the database refused the data (a value that it cannot hold, a constraint), so that a retry with
    /// the same data is of no use. SQLSTATE classes 22, 23 and 54.
    #[must_use]
    pub fn is_refusal(&self) -> bool {
        let Self::Unanswered(sqlx::Error::Database(error)) = self else { return false };
        error.code().is_some_and(|code| ["22", "23", "54"].iter().any(|class| code.starts_with(class)))
    }
}
