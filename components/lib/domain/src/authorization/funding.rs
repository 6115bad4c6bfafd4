//! Funding: the money's way on chain, from submitted through included to final; or failed, dropped, or reorganized
//! away and submitted again.
//!
//! ```text
//! None → Unsubmitted → Unconfirmed → Included → Finalized
//!                        ↑   ↓ ↓        │
//!                        │   │ Dropped  │
//!                        │   ExecReverted
//!                        └───reorganized┘
//! ```
//!
//! Only the chain may report what happened. A reorganization takes nothing from the hold: the same transfer is sent
//! again with the same salt, so it cannot pull twice. The chain may also return to the very block that it left, and
//! the log is there again. A late duplicate would look the same, so the chain reader must send each observation once
//! and in order.

use clearfold_kernel::{ChainSource, CommandContext, Hash, Minor, Rejection};
use serde::{Deserialize, Serialize};

use super::messages::{
    Event, FundingDropped, FundingFinalized, FundingIncluded, FundingReorged, FundingReverted,
    FundingSubmitted, Observation, ObserveFunding,
};
use super::state::{Payment, State};
use super::{Decision, existing};
use crate::checks;

/// Funding state of a payment: progress of the money on chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Funding {
    /// No money is to be pulled.
    None,
    /// The money is to be pulled; no transaction was submitted yet.
    Unsubmitted,
    /// The transaction was submitted and is not in a block.
    Unconfirmed {
        /// Hash of the transaction.
        transaction_hash: Hash,
    },
    /// The transaction is in a block that is not final.
    Included {
        /// Amount pulled from the Safe, in minor units.
        amount: Minor,
        /// Log of the transfer.
        source: ChainSource,
    },
    /// The transaction is in a final block.
    Finalized {
        /// Amount pulled from the Safe, in minor units.
        amount: Minor,
        /// Log of the transfer.
        source: ChainSource,
    },
    /// The transaction is in a block, but its execution failed.
    ExecReverted {
        /// Hash of the transaction.
        transaction_hash: Hash,
    },
    /// The transaction will never be in a block.
    Dropped {
        /// Hash of the transaction.
        transaction_hash: Hash,
    },
}

/// Pull of money whose block was reorganized away.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gone {
    /// Amount pulled from the Safe, in minor units.
    pub amount: Minor,
    /// Log of the transfer.
    pub source: ChainSource,
    /// True if the block came back since.
    pub is_back: bool,
}

impl State {
    fn pulled_before(&self, source: &ChainSource) -> Option<&Gone> {
        self.reorged.iter().find(|gone| gone.source == *source)
    }

    fn is_away(&self, source: &ChainSource) -> bool {
        self.pulled_before(source).is_some_and(|gone| !gone.is_back)
    }
}

pub(super) fn observe(state: &State, command: &ObserveFunding, context: &CommandContext) -> Decision {
    checks::from_chain(context)?;
    // An observation of the chain must not be rejected because the host's clock is behind.
    let context = &CommandContext {
        accepted_at: context.accepted_at.max(state.latest.unwrap_or(context.accepted_at)),
        ..context.clone()
    };
    let payment = existing(state, context)?;
    if let Observation::Included { amount, source } = &command.observation {
        checks::sound(amount)?;
        checks::same_asset(&payment.asset, &amount.asset)?;
        // A log that comes back with its block must have the same content as before.
        if let Some(gone) = state.pulled_before(source) {
            checks::repeated(&source.transaction_hash.to_string(), &gone.amount, &amount.minor)?;
        }
    }
    match (&payment.funding, &command.observation) {
        (_, Observation::Reorged { source }) if state.is_away(source) => Ok(Vec::new()),
        (known, observation) if is_known(known, observation) => Ok(Vec::new()),
        (Funding::Finalized { .. }, _) => {
            Err(Rejection::new("funding_final", "the pulled money is in a final block; nothing can undo it"))
        }
        (known, observation) if follows(known, observation) => Ok(vec![event(payment, command)]),
        (known, _) => {
            let detail = format!("the funding is {known:?}; send what happened before first");
            Err(Rejection::new("funding_out_of_order", detail))
        }
    }
}

/// Returns true if the observation is already known.
fn is_known(known: &Funding, observation: &Observation) -> bool {
    match (known, observation) {
        (Funding::Unconfirmed { transaction_hash: known }, Observation::Submitted { transaction_hash })
        | (Funding::ExecReverted { transaction_hash: known }, Observation::Reverted { transaction_hash })
        | (Funding::Dropped { transaction_hash: known }, Observation::Dropped { transaction_hash }) => {
            known == transaction_hash
        }
        (
            Funding::Included { amount: known_amount, source: known }
            | Funding::Finalized { amount: known_amount, source: known },
            Observation::Included { amount, source },
        ) => known == source && *known_amount == amount.minor,
        (Funding::Finalized { source: known, .. }, Observation::Finalized { source }) => known == source,
        _ => false,
    }
}

/// Returns true if the observation can follow. A transaction may be seen in a block before its submission is known.
fn follows(known: &Funding, observation: &Observation) -> bool {
    match (known, observation) {
        (
            Funding::Included { source: known, .. },
            Observation::Finalized { source } | Observation::Reorged { source },
        ) => known == source,
        (Funding::Included { .. } | Funding::Finalized { .. }, _) => false,
        (Funding::None, _) => matches!(observation, Observation::Included { .. }),
        (_, Observation::Submitted { .. } | Observation::Included { .. }) => true,
        (
            Funding::Unconfirmed { transaction_hash: known },
            Observation::Reverted { transaction_hash } | Observation::Dropped { transaction_hash },
        ) => known == transaction_hash,
        _ => false,
    }
}

fn event(payment: &Payment, command: &ObserveFunding) -> Event {
    let (parties, occurred_at) = (payment.parties.clone(), command.occurred_at);
    let pulled = match payment.funding {
        Funding::Included { amount, .. } => payment.amount(amount),
        _ => payment.amount(Minor::ZERO),
    };
    match command.observation.clone() {
        Observation::Submitted { transaction_hash } => {
            Event::FundingSubmitted(FundingSubmitted { parties, transaction_hash, occurred_at })
        }
        Observation::Included { amount, source } => {
            Event::FundingIncluded(FundingIncluded { parties, amount, source, occurred_at })
        }
        Observation::Finalized { source } => {
            Event::FundingFinalized(FundingFinalized { parties, amount: pulled, source, occurred_at })
        }
        Observation::Reverted { transaction_hash } => {
            Event::FundingReverted(FundingReverted { parties, transaction_hash, occurred_at })
        }
        Observation::Dropped { transaction_hash } => {
            Event::FundingDropped(FundingDropped { parties, transaction_hash, occurred_at })
        }
        Observation::Reorged { source } => {
            Event::FundingReorged(FundingReorged { parties, amount: pulled, source, occurred_at })
        }
    }
}

fn set(state: &mut State, funding: Funding) {
    if let Some(payment) = state.payment_mut() {
        payment.funding = funding;
    }
}

pub(super) fn submitted(state: &mut State, event: &FundingSubmitted) {
    set(state, Funding::Unconfirmed { transaction_hash: event.transaction_hash });
}

pub(super) fn included(state: &mut State, event: &FundingIncluded) {
    set(state, Funding::Included { amount: event.amount.minor, source: event.source.clone() });
    let gone = state.reorged.iter_mut().find(|gone| gone.source == event.source);
    gone.into_iter().for_each(|gone| gone.is_back = true);
}

pub(super) fn finalized(state: &mut State, event: &FundingFinalized) {
    set(state, Funding::Finalized { amount: event.amount.minor, source: event.source.clone() });
}

pub(super) fn reverted(state: &mut State, event: &FundingReverted) {
    set(state, Funding::ExecReverted { transaction_hash: event.transaction_hash });
}

pub(super) fn dropped(state: &mut State, event: &FundingDropped) {
    set(state, Funding::Dropped { transaction_hash: event.transaction_hash });
}

pub(super) fn reorged(state: &mut State, event: &FundingReorged) {
    set(state, Funding::Unconfirmed { transaction_hash: event.source.transaction_hash });
    state.reorged.retain(|gone| gone.source != event.source);
    let (amount, source) = (event.amount.minor, event.source.clone());
    state.reorged.push(Gone { amount, source, is_back: false });
}
