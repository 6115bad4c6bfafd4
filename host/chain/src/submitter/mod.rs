//! The chain submitter: pulls become transactions, each pull at most once. Here is its pure core, in `executor` the rest.
//!
//! ```text
//! Command ── accept ──▶ changes ──▶ committed ──▶ State
//! Observation ─▶ View ── settle ──▶ changes ──▶ committed ──▶ State
//!                 State, View ── plan ──▶ steps: sign, send, report
//! Operator ── resolve ──▶ changes ──▶ committed ──▶ State
//! ```
//!
//! Sagas ask by the effect `pull` (`effect.rs`), over a desk in the database (`desk.rs`); `payments.rs` says which pull a
//! request comes to. The host's task (`task.rs`) drives the executor, and takes the words of operators (`hand.rs`).
//!
//! The executor does one thing after the other: it commits what `accept` and `settle` return, and then takes the steps of
//! `plan`. Whatever it was doing when it ended, it begins again with the committed state and an empty view.
//!
//! The core does not ask a node, sign, store or read a clock, and nothing rests on the text of an error: the answer to a
//! send is not even an input. Each account has one lane of nonces. A nonce belongs to one work until a final block has
//! used it; all transactions that were ever signed for it are watched. A pull ends by the state of its hash in a final
//! block, whoever sent the call.

mod accept;
mod desk;
mod effect;
mod executions;
pub mod executor;
mod hand;
mod options;
mod payments;
mod plan;
mod price;
mod pull;
mod resolve;
mod settle;
mod state;
mod targets;
mod task;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_support;
mod view;
mod wait;

use alloy::primitives::U256;

pub use accept::{Command, Draft, Refusal, accept};
pub use effect::{PULL, PULL_LEG, Parties, PullEffect};
pub use executions::{Executions, Reach};
pub use hand::{HandError, SubmitterHand, WaitingPull};
pub use options::{SubmitterOptions, SubmitterOptionsError};
pub use payments::{PullRequest, leg_name, leg_of_name};
pub use plan::{Step, plan};
pub use price::{Market, Price, PriceLimits, PriceLimitsError};
pub use pull::{Pull, PullId};
pub use resolve::{Evidence, Follows, Resolution, Unresolved, resolve};
pub use settle::settle;
pub use state::{
    Cause, Change, Inconsistent, Lane, Outcome, Phase, PullState, Settler, Slot, State, Transaction, Word,
    Work,
};
pub use targets::{Choices, SPENDING_ROLE, Targets, TargetsError};
pub use task::{Submitter, SubmitterSettings};
pub use view::{Account, Fate, Implausible, Observation, POLLS, Search, Sighting, View};
pub use wait::{Wait, waits};

/// Most transactions of one account that wait for a block. Pools guarantee an account that many places.
pub const MAX_IN_FLIGHT: usize = 16;
/// Gas of a transaction that does nothing.
pub const MIN_GAS_LIMIT: u64 = 21_000;

/// Settings of the submitter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    pub chain_id: u64,
    /// Gas limit of every transaction.
    pub gas_limit: u64,
    pub prices: PriceLimits,
    /// Most transactions of one account that wait for a block; from 1 to `MAX_IN_FLIGHT`.
    pub max_in_flight: usize,
    /// Number of blocks that may pass the next transaction of an account by before its price is raised; at least 1.
    pub raise_after_blocks: u64,
    /// Amount that stays in each account's purse, for repairs.
    pub purse_reserve_wei: U256,
    /// Maximum number of pulls that are under way. Refused and abandoned ones do not count.
    pub max_pulls: usize,
}

/// Settings with which the submitter could not work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    #[error(transparent)]
    Prices(#[from] PriceLimitsError),
    #[error("{0} transactions of one account cannot be in flight; give a number from 1 to {MAX_IN_FLIGHT}")]
    InFlight(usize),
    #[error("a price cannot be raised after 0 blocks; give a number of blocks from 1")]
    RaiseAfter,
    #[error("a transaction cannot be made with a gas limit of {0}; give at least {MIN_GAS_LIMIT}")]
    GasLimit(u64),
}

impl Policy {
    /// Checks that the submitter can work with these settings.
    pub fn check(&self) -> Result<(), PolicyError> {
        self.prices.check()?;
        if !(1..=MAX_IN_FLIGHT).contains(&self.max_in_flight) {
            return Err(PolicyError::InFlight(self.max_in_flight));
        }
        if self.raise_after_blocks == 0 {
            return Err(PolicyError::RaiseAfter);
        }
        if self.gas_limit < MIN_GAS_LIMIT {
            return Err(PolicyError::GasLimit(self.gas_limit));
        }
        Ok(())
    }
}
