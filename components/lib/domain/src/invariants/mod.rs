//! What holds always: the model's invariants, recomputed from the events alone.
//!
//! Each invariant has a tally of its own, which takes one event at a time in the log's order and says what that event
//! breaks. No tally reads a total that a decider keeps; what the deciders' folds say is compared with the tallies
//! afterwards. The histories of the tests ask after every step, [`Invariants`] for a whole account at run time.
//!
//! Nothing here decides anything, and nothing is put right.

mod account_holds;
mod amounts;
mod audit;
mod available;
mod double_entry;
mod durable;
mod holds;
mod identities;
mod on_chain;
mod refunds;
mod sum;
mod tally;

pub use audit::Invariants;
pub use tally::{Happened, Tally};

#[cfg(test)]
mod tests;
