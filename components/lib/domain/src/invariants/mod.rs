//! The model's invariants, recomputed from the events alone.
//!
//! Each invariant has a tally of its own, which takes one event at a time in the log's order and reports what that
//! event breaks. No tally reads a total that a decider keeps; the deciders' folded states are compared with the
//! tallies afterwards. The tests with random histories check after every step, [`Invariants`] checks a whole account
//! at run time.
//!
//! This module decides nothing and repairs nothing.

mod account_holds;
mod amounts;
mod audit;
mod available;
mod clearing_links;
mod dispute_money;
mod double_entry;
mod durable;
mod holds;
mod identities;
mod on_chain;
mod prevented;
mod pulls;
mod refunds;
mod reports;
mod returns;
mod single_messages;
mod sum;
mod suspense;
mod tally;

pub use audit::Invariants;
pub use tally::{Happened, Tally};

#[cfg(test)]
mod tests;
