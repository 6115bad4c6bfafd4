//! The money's way on chain: sent, in a block, final; or failed, dropped, reorganized away and sent again.
//!
//! ```text
//! None → Unsubmitted → Unconfirmed → Included → Finalized
//!                        ↑   ↓ ↓        │
//!                        │   │ Dropped  │
//!                        │   ExecReverted
//!                        └───reorganized┘
//! ```
//!
//! Only the chain says what happened. A reorganization takes nothing from the hold: the same is sent again, with the
//! same salt, so it cannot pull twice. The chain may also return to the very block that it left, and the log is there
//! again. A late duplicate cannot be told from that: the chain reader sends each observation in order, once.

use clearfold_kernel::{ChainSource, CommandContext, Hash, Minor, Rejection};
use serde::{Deserialize, Serialize};

use super::messages::{
    Event, FundingDropped, FundingFinalized, FundingIncluded, FundingReorged, FundingReverted,
    FundingSubmitted, Observation, ObserveFunding,
};
use super::state::{Payment, State};
use super::{Decision, existing};
use crate::checks;

/// How far the money has come on chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Funding {
    /// Nothing is to be pulled.
    None,
    /// To be pulled.
    Unsubmitted,
    /// Sent.
    Unconfirmed {
        /// The transaction.
        transaction_hash: Hash,
    },
    /// In a block.
    Included {
        /// What was pulled, in minor units.
        amount: Minor,
        /// The transfer's log.
        source: ChainSource,
    },
    /// In a block that is final.
    Finalized {
        /// What was pulled, in minor units.
        amount: Minor,
        /// The transfer's log.
        source: ChainSource,
    },
    /// In a block, and failed.
    ExecReverted {
        /// The transaction.
        transaction_hash: Hash,
    },
    /// Never in a block.
    Dropped {
        /// The transaction.
        transaction_hash: Hash,
    },
}

/// Pulled money that went with its block.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gone {
    /// What was pulled, in minor units.
    pub amount: Minor,
    /// The transfer's log.
    pub source: ChainSource,
    /// Its block came back.
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
    // What the chain says is not refused for our clock.
    let context = &CommandContext {
        accepted_at: context.accepted_at.max(state.latest.unwrap_or(context.accepted_at)),
        ..context.clone()
    };
    let payment = existing(state, context)?;
    if let Observation::Included { amount, source } = &command.observation {
        checks::sound(amount)?;
        checks::same_asset(&payment.asset, &amount.asset)?;
        // A log that comes back with its block says what it said before.
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

/// Whether it has been seen.
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

/// Whether it can come next. A transaction may be seen in a block before we know that it was sent.
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
