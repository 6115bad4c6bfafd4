//! What everybody needs who talks to a database: connections, schemas, and numbers and times in its types.
//!
//! It holds no query of any table of the flow.

mod convert;
mod schema;

pub use schema::{
    MigrateReport, SchemaError, SchemaState, Store, check_schema, connect, connect_to_migrate,
    connect_to_read_all, migrate,
};

pub use convert::{database_time, partition_key, signed, timestamp, unsigned};

/// Why a database gave no answer that can be used.
#[derive(Debug, thiserror::Error)]
pub enum DatabaseError {
    /// It is away, or refused.
    #[error("the database did not answer")]
    Unanswered(#[from] sqlx::Error),
    /// It is cut off, or so slow that nobody should wait.
    #[error("the database has said nothing for {seconds} s")]
    Silent { seconds: u64 },
    /// It holds what this program cannot have written.
    #[error("the database holds what cannot be read: {0}")]
    Corrupt(String),
}

impl DatabaseError {
    /// Whether the database refused the data (a value that it cannot hold, a constraint), so that giving it again
    /// is of no use. SQLSTATE classes 22, 23 and 54.
    #[must_use]
    pub fn is_refusal(&self) -> bool {
        let Self::Unanswered(sqlx::Error::Database(error)) = self else { return false };
        error.code().is_some_and(|code| ["22", "23", "54"].iter().any(|class| code.starts_with(class)))
    }
}
