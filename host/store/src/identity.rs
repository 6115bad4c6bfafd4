//! Deterministic ids: derived from what they name, so that making them again gives the same ones.

use uuid::Uuid;

/// Namespace of all ids below. An arbitrary constant that may never change.
const CLEARFOLD: Uuid = Uuid::from_u128(0x5a3c_1f0e_8b6d_4e57_9c02_c1ea_4f01_d000);

/// Returns the id of a command: one for each idempotency key.
#[must_use]
pub fn command_id(idempotency_key: &str) -> Uuid {
    Uuid::new_v5(&CLEARFOLD, format!("command/{idempotency_key}").as_bytes())
}

/// Returns the id of an event: one for each version of a stream.
#[must_use]
pub fn event_id(stream: &str, stream_version: u64) -> Uuid {
    Uuid::new_v5(&CLEARFOLD, format!("event/{stream}/{stream_version}").as_bytes())
}
