//! The chain listener: confirmed blocks become commands, each log once.
//!
//! A pure planner says which range comes next; a thin executor fetches it from one node, has it translated, sends the
//! commands, and moves the cursor when all are answered. The cursor follows the commands: after a crash in between, the
//! range is read again, and the inbox recognizes every log by its identity. Nothing here decides what a payment is.
//!
//! The other direction, from a payment to the chain, is `submitter`.

mod blooms;
mod cursor;
mod endpoint;
mod fetch;
mod listener;
mod pace;
mod planner;
mod pulls;
mod recording;
mod rpc;
mod submit;
pub mod submitter;
mod translation;

pub use listener::{Listener, ListenerSettings};
pub use recording::{Recording, RecordingError};
pub use rpc::{Rpc, RpcError, Survey};

use clearfold_sandbox::Transaction;

/// Identity of a log, used as the idempotency key of its first command.
#[must_use]
pub fn log_identity(transaction: &Transaction, log_index: u64) -> String {
    format!("chain/{}/0x{}/{log_index}", transaction.chain_id, hex::encode(&transaction.block_hash))
}

/// Identity of a part of a log, used as the idempotency key of the command about it. A log's first part has the log's.
#[must_use]
pub fn part_identity(transaction: &Transaction, log_index: u64, part: u32) -> String {
    let log = log_identity(transaction, log_index);
    if part == 0 { log } else { format!("{log}/{part}") }
}
