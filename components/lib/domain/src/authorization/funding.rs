//! Funding: the money's way on chain, from submitted through included to final; or failed, dropped, or reorganized
//! away and submitted again; or abandoned. One leg at a time; [`legs`](super::legs) says which legs there are.
//!
//! ```text
//! None → Unsubmitted → Unconfirmed → Included → Finalized
//!             │          ↑   ↓ ↓        │
//!             │          │   │ Dropped  │
//!             │          │   ExecReverted
//!             │          └───reorganized┘
//!             └→ Abandoned, from every state in which the leg is undecided
//! ```
//!
//! Only the chain may report what happened. A reorganization takes nothing from the hold: the same transfer is sent
//! again with the same salt, so it cannot pull twice. The chain may also return to the very block that it left, and
//! the log is there again. A late duplicate would look the same, so the chain reader must send each observation once
//! and in order.
//!
//! A leg is abandoned when none of its pulls can be executed any more, which its saga knows. What was due then is
//! exposed. An operator may make it due again: then the next leg pulls it.

use clearfold_kernel::{ChainSource, CommandContext, Hash, Minor, Rejection};
use serde::{Deserialize, Serialize};

use super::messages::{
    AbandonCause, AbandonFunding, CloseExposure, Event, ExposureCleared, FIRST_LEG, FundingAbandoned,
    FundingDropped, FundingFinalized, FundingIncluded, FundingReorged, FundingReverted, FundingSubmitted,
    Observation, ObserveFunding, ObserveSpend, SpendObserved,
};
use super::state::{Payment, State};
use super::{Decision, existing, link};
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
    /// No pull of the leg can be executed any more.
    Abandoned,
}

impl Funding {
    /// Returns true if money of the leg may still move, and it is not known how much.
    #[must_use]
    pub const fn is_undecided(&self) -> bool {
        match self {
            Self::Unsubmitted
            | Self::Unconfirmed { .. }
            | Self::ExecReverted { .. }
            | Self::Dropped { .. } => true,
            Self::None | Self::Included { .. } | Self::Finalized { .. } | Self::Abandoned => false,
        }
    }

    /// Returns the amount that the leg has pulled, as far as it is in a block.
    #[must_use]
    pub const fn pulled(&self) -> Minor {
        match self {
            Self::Included { amount, .. } | Self::Finalized { amount, .. } => *amount,
            _ => Minor::ZERO,
        }
    }

    fn source(&self) -> Option<&ChainSource> {
        match self {
            Self::Included { source, .. } | Self::Finalized { source, .. } => Some(source),
            _ => None,
        }
    }
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
    is_own(state, command.leg)?;
    let seen = observed(state, command, context)?;
    let Some(payment_id) = state.linked_to().filter(|_| command.leg == FIRST_LEG) else {
        return Ok(seen.into_iter().collect());
    };
    let payment = existing(state, context)?;
    if let Observation::Included { amount, source } = &command.observation {
        let spent = payment.totals.authorized;
        checks::repeated(&source.transaction_hash.to_string(), &spent, &amount.minor)?;
    }
    let tell = |_| link::observed(state, payment, payment_id, command);
    Ok(seen.map(tell).into_iter().collect())
}

/// Observes the transaction of a `Spend` that is a leg of this payment. One that was given up is no leg any more.
pub(super) fn observe_spend(state: &State, command: &ObserveSpend, context: &CommandContext) -> Decision {
    checks::from_chain(context)?;
    existing(state, context)?;
    let Some(leg) = state.taken(&command.spend_id, command.link) else { return Ok(Vec::new()) };
    let (observation, occurred_at) = (command.observation.clone(), command.occurred_at);
    let seen = observed(state, &ObserveFunding { leg, observation, occurred_at }, context)?;
    Ok(seen.into_iter().collect())
}

/// Returns the event of an observation; none if it is known already.
fn observed(
    state: &State,
    command: &ObserveFunding,
    context: &CommandContext,
) -> Result<Option<Event>, Rejection> {
    let payment = existing(state, context)?;
    if let Observation::Included { amount, source } = &command.observation {
        checks::sound(amount)?;
        checks::same_asset(&payment.asset, &amount.asset)?;
        // A log that comes back with its block must have the same content as before.
        if let Some(gone) = state.pulled_before(source) {
            checks::repeated(&source.transaction_hash.to_string(), &gone.amount, &amount.minor)?;
        }
        // One log moves money once.
        let another = |(leg, known): (u32, &Funding)| leg != command.leg && known.source() == Some(source);
        checks::repeated(&source.transaction_hash.to_string(), &false, &state.legs().any(another))?;
    }
    let known = known(state, command.leg)?;
    match (known, &command.observation) {
        (_, Observation::Reorged { source }) if state.is_away(source) => Ok(None),
        (known, observation) if is_known(known, observation) => Ok(None),
        (Funding::Finalized { .. }, _) => {
            Err(Rejection::new("funding_final", "the pulled money is in a final block; nothing can undo it"))
        }
        (known, observation) if follows(known, observation) => Ok(Some(event(payment, known, command))),
        (known, _) => {
            let detail = format!("the funding is {known:?}; send what happened before first");
            Err(Rejection::new("funding_out_of_order", detail))
        }
    }
}

/// Refuses a leg that is a `Spend` of others.
fn is_own(state: &State, leg: u32) -> Result<(), Rejection> {
    let Some(spend_id) = state.spend_of_others(leg) else { return Ok(()) };
    let detail = format!("leg {leg} is the Spend {spend_id}; report there what happens to it, or unlink it");
    Err(Rejection::new("spend_linked", detail))
}

fn known(state: &State, leg: u32) -> Result<&Funding, Rejection> {
    state.leg(leg).ok_or_else(|| {
        let detail = format!("the funding has no leg {leg}; the newest is {}", state.newest_leg());
        Rejection::new("funding_out_of_order", detail)
    })
}

/// Ends a leg that nothing will pull. What is due then is exposed, unless nothing was to be pulled.
pub(super) fn abandon(state: &State, command: &AbandonFunding, context: &CommandContext) -> Decision {
    checks::from_saga_or_operator(context)?;
    is_own(state, command.leg)?;
    let (payment, leg) = (existing(state, context)?, command.leg);
    match known(state, leg)? {
        known if known.is_undecided() => {}
        Funding::Abandoned => return Ok(Vec::new()),
        Funding::Included { source, .. } | Funding::Finalized { source, .. } => {
            let detail = format!(
                "the pull of leg {leg} is dead, but the listener has seen it in block {}; this ends when the listener \
                 reports that block as gone",
                source.block_number
            );
            return Err(Rejection::new("pull_in_lost_block", detail));
        }
        known => {
            let detail = format!("the funding of leg {leg} is {known:?}; there is nothing to abandon");
            return Err(Rejection::new("funding_out_of_order", detail));
        }
    }
    if state.legs().any(|(number, funding)| number < leg && funding.is_undecided()) {
        let detail = format!("a leg before leg {leg} is undecided: how much it pulled is not known");
        return Err(Rejection::new("leg_before_undecided", detail));
    }
    let exposed = match command.cause {
        // A leg is one receivable. If it was pulled since and its block is gone for good, the next leg takes what is due.
        AbandonCause::Dead if !state.legs.exposed.contains_key(&leg) => state.due(),
        AbandonCause::Dead | AbandonCause::Withdrawn => Minor::ZERO,
    };
    Ok(vec![Event::FundingAbandoned(FundingAbandoned {
        parties: payment.parties.clone(),
        leg,
        cause: command.cause,
        exposed: payment.amount(exposed),
        at: context.accepted_at,
    })])
}

/// Makes the exposure of a leg due again, if the command says so: then the next leg pulls it. The leg itself stays
/// abandoned.
pub(super) fn close_exposure(state: &State, command: &CloseExposure, context: &CommandContext) -> Decision {
    checks::from_saga_or_operator(context)?;
    let (payment, leg) = (existing(state, context)?, command.leg);
    known(state, leg)?;
    let exposed = state.exposed_in(leg);
    if exposed == Minor::ZERO {
        return Ok(Vec::new());
    }
    let (parties, amount, at) = (payment.parties.clone(), payment.amount(exposed), context.accepted_at);
    if command.pull_again {
        let left = Minor::ZERO;
        return Ok(vec![Event::ExposureCleared(ExposureCleared { parties, leg, amount, left, at })]);
    }
    let detail = format!(
        "{amount} of leg {leg} could not be pulled; they are booked as a receivable, and the card is frozen. See to it \
         that the Safe can pay, and retry to have another leg pull them; if they were paid otherwise, do not retry, but \
         recover the receivable and resolve the step as done"
    );
    Err(Rejection::new("exposure_open", detail))
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
        (Funding::None | Funding::Abandoned, _) => matches!(observation, Observation::Included { .. }),
        (_, Observation::Submitted { .. } | Observation::Included { .. }) => true,
        (
            Funding::Unconfirmed { transaction_hash: known },
            Observation::Reverted { transaction_hash } | Observation::Dropped { transaction_hash },
        ) => known == transaction_hash,
        _ => false,
    }
}

fn event(payment: &Payment, known: &Funding, command: &ObserveFunding) -> Event {
    let (parties, leg, occurred_at) = (payment.parties.clone(), command.leg, command.occurred_at);
    let pulled = payment.amount(known.pulled());
    match command.observation.clone() {
        Observation::Submitted { transaction_hash } => {
            Event::FundingSubmitted(FundingSubmitted { parties, leg, transaction_hash, occurred_at })
        }
        Observation::Included { amount, source } => {
            Event::FundingIncluded(FundingIncluded { parties, leg, amount, source, occurred_at })
        }
        Observation::Finalized { source } => {
            Event::FundingFinalized(FundingFinalized { parties, leg, amount: pulled, source, occurred_at })
        }
        Observation::Reverted { transaction_hash } => {
            Event::FundingReverted(FundingReverted { parties, leg, transaction_hash, occurred_at })
        }
        Observation::Dropped { transaction_hash } => {
            Event::FundingDropped(FundingDropped { parties, leg, transaction_hash, occurred_at })
        }
        Observation::Reorged { source } => {
            Event::FundingReorged(FundingReorged { parties, leg, amount: pulled, source, occurred_at })
        }
    }
}

fn set(state: &mut State, leg: u32, funding: Funding) {
    if let Some(known) = state.leg_mut(leg) {
        *known = funding;
    }
}

pub(super) fn submitted(state: &mut State, event: &FundingSubmitted) {
    set(state, event.leg, Funding::Unconfirmed { transaction_hash: event.transaction_hash });
}

pub(super) fn included(state: &mut State, event: &FundingIncluded) {
    set(state, event.leg, Funding::Included { amount: event.amount.minor, source: event.source.clone() });
    let gone = state.reorged.iter_mut().find(|gone| gone.source == event.source);
    gone.into_iter().for_each(|gone| gone.is_back = true);
}

pub(super) fn finalized(state: &mut State, event: &FundingFinalized) {
    set(state, event.leg, Funding::Finalized { amount: event.amount.minor, source: event.source.clone() });
}

pub(super) fn reverted(state: &mut State, event: &FundingReverted) {
    set(state, event.leg, Funding::ExecReverted { transaction_hash: event.transaction_hash });
}

pub(super) fn dropped(state: &mut State, event: &FundingDropped) {
    set(state, event.leg, Funding::Dropped { transaction_hash: event.transaction_hash });
}

pub(super) fn reorged(state: &mut State, event: &FundingReorged) {
    set(state, event.leg, Funding::Unconfirmed { transaction_hash: event.source.transaction_hash });
    state.reorged.retain(|gone| gone.source != event.source);
    let (amount, source) = (event.amount.minor, event.source.clone());
    state.reorged.push(Gone { amount, source, is_back: false });
}

/// Applies an observation of the stream's own `Spend`, whose money is another payment's.
pub(super) fn spend_observed(state: &mut State, event: &SpendObserved) {
    let Some(payment) = state.payment() else { return };
    let command = ObserveFunding {
        leg: FIRST_LEG,
        observation: event.observation.clone(),
        occurred_at: event.occurred_at,
    };
    match self::event(payment, &payment.funding, &command) {
        Event::FundingSubmitted(event) => submitted(state, &event),
        Event::FundingIncluded(event) => included(state, &event),
        Event::FundingFinalized(event) => finalized(state, &event),
        Event::FundingReverted(event) => reverted(state, &event),
        Event::FundingDropped(event) => dropped(state, &event),
        Event::FundingReorged(event) => reorged(state, &event),
        _ => {}
    }
}

pub(super) fn abandoned(state: &mut State, event: &FundingAbandoned) {
    set(state, event.leg, Funding::Abandoned);
    if event.exposed.minor > Minor::ZERO {
        state.legs.exposed.insert(event.leg, event.exposed.minor);
    }
}
