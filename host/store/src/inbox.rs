//! The inbox: stored answers for repeats of an idempotency key, and their retention.

use serde_json::Value;

use super::{EventStore, StoreError};
use clearfold_base::database::database_time;

/// Stored answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Answered {
    pub idempotency_key: String,
    pub body_digest: Vec<u8>,
    pub answer: Value,
}

/// Retention of answers for repeats.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    pub days: u16,
}

impl Retention {
    /// Length of the periods in which answers are dropped. A retention has only a few periods, because every key is
    /// looked up in all of them.
    fn period_days(self) -> u16 {
        self.days.div_ceil(4).max(1)
    }
}

impl EventStore {
    /// Finds the answers that these keys got before, in any partition.
    pub async fn answered(&self, keys: &[String]) -> Result<Vec<Answered>, StoreError> {
        let answered = sqlx::query_as!(
            Answered,
            "SELECT idempotency_key, body_digest, answer FROM inbox WHERE idempotency_key = ANY($1)",
            keys,
        );
        Ok(answered.fetch_all(&self.pool).await?)
    }

    /// Drops the periods that are over, and begins the next one when it is due.
    pub async fn keep_inbox(
        &self,
        now: clearfold_kernel::Timestamp,
        retention: Retention,
    ) -> Result<(), StoreError> {
        let today = database_time(now)?.date();
        let (days, period) = (i32::from(retention.days), i32::from(retention.period_days()));
        let mut transaction = self.pool.begin().await?;
        // Appends queue behind a transaction that waits to drop a period, so it gives up soon and is repeated later.
        sqlx::query("SET LOCAL lock_timeout = '200ms'").execute(&mut *transaction).await?;
        sqlx::query!("SELECT keep_inbox($1, $2, $3)", today, days, period).execute(&mut *transaction).await?;
        Ok(transaction.commit().await?)
    }
}
