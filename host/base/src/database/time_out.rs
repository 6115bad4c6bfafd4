//! Time-outs on the client's side: a connection that falls silent must not stop anything for ever. The server's own
//! statement and lock time-outs do not help, because their error does not arrive either.

use std::time::Duration;

use super::DatabaseError;

/// Longest wait for one statement or one short transaction.
const TIME_OUT: Duration = Duration::from_secs(10);

/// Ends a wait for a database that says nothing any more: it counts as one that does not answer.
pub async fn with_time_out<T, E: From<DatabaseError>>(
    work: impl Future<Output = Result<T, E>>,
) -> Result<T, E> {
    within(TIME_OUT, work).await
}

/// Ends a wait for the database after a given time, for work of more than one statement.
pub async fn within<T, E: From<DatabaseError>>(
    time: Duration,
    work: impl Future<Output = Result<T, E>>,
) -> Result<T, E> {
    let silence = || DatabaseError::Silent { seconds: time.as_secs() }.into();
    tokio::time::timeout(time, work).await.unwrap_or_else(|_| Err(silence()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_database_that_falls_silent_is_given_up() {
        let silent = std::future::pending::<Result<(), DatabaseError>>();
        let given_up = within(Duration::from_millis(5), silent).await;
        assert!(matches!(given_up, Err(DatabaseError::Silent { seconds: 0 })), "{given_up:?}");
        let answer = within(Duration::from_secs(60), async { Ok::<_, DatabaseError>(7) }).await;
        assert!(matches!(answer, Ok(7)), "{answer:?}");
    }
}
