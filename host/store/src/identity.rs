//! Ids that follow from what they name, so that whoever makes them again makes the same.

use uuid::Uuid;

/// The root of all names below. Any constant would do; it may never change.
const CLEARFOLD: Uuid = Uuid::from_u128(0x5a3c_1f0e_8b6d_4e57_9c02_c1ea_4f01_d000);

/// A command's id: one for each idempotency key.
#[must_use]
pub fn command_id(idempotency_key: &str) -> Uuid {
    Uuid::new_v5(&CLEARFOLD, format!("command/{idempotency_key}").as_bytes())
}

/// An event's id: one for each place in a stream.
#[must_use]
pub fn event_id(stream: &str, stream_version: u64) -> Uuid {
    Uuid::new_v5(&CLEARFOLD, format!("event/{stream}/{stream_version}").as_bytes())
}
