//! The inbox, read: what was answered before.

use serde_json::Value;

use super::{EventStore, StoreError};
use crate::database::partition_key;

/// A stored answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Answered {
    pub idempotency_key: String,
    pub body_digest: Vec<u8>,
    pub answer: Value,
}

impl EventStore {
    /// The answers that these keys got before.
    pub async fn answered(&self, partition: u32, keys: &[String]) -> Result<Vec<Answered>, StoreError> {
        let answered = sqlx::query_as!(
            Answered,
            "SELECT idempotency_key, body_digest, answer FROM inbox
             WHERE partition = $1 AND idempotency_key = ANY($2)",
            partition_key(partition)?,
            keys,
        );
        Ok(answered.fetch_all(&self.pool).await?)
    }
}
