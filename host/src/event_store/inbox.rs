//! The inbox, read: what was answered before.

use serde_json::Value;

use super::{EventStore, StoreError};

/// A stored answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Answered {
    pub idempotency_key: String,
    pub body_digest: Vec<u8>,
    pub answer: Value,
}

impl EventStore {
    /// The answers that these keys got before, in whatever partition.
    pub async fn answered(&self, keys: &[String]) -> Result<Vec<Answered>, StoreError> {
        let answered = sqlx::query_as!(
            Answered,
            "SELECT idempotency_key, body_digest, answer FROM inbox WHERE idempotency_key = ANY($1)",
            keys,
        );
        Ok(answered.fetch_all(&self.pool).await?)
    }
}
