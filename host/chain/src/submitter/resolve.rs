//! Consequences of an operator's word about a pull, or the reason for its refusal. Pure.
//!
//! A word never outweighs the chain. `paid` counts only with the transaction that executed the pull; `not-paid` counts only
//! for a hash that can no longer be executed, and a hash that still can is invalidated first.

use alloy::primitives::B256;
use serde::{Deserialize, Serialize};

use super::pull::PullId;
use super::state::{Cause, Change, Outcome, Phase, PullState, State, Word};
use super::view::{Fate, Search, View};

/// Word of an operator about a pull, with name and reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolution {
    pub id: PullId,
    pub word: Word,
    pub by: String,
    pub why: Option<String>,
}

/// Finding in final blocks about the transaction that an operator names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Evidence {
    /// Executed the pull's hash.
    Executed { block: u64 },
    /// In a final block, without executing it.
    Other,
    /// In a final block of no endpoint.
    Unknown,
}

/// Consequence of a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Follows {
    /// The pull is done.
    Paid,
    /// The pull is dead.
    NotPaid,
    /// The hash can still be executed, so its delegate invalidates it. If that is final, the pull is dead.
    Invalidation,
    /// The blocks are read.
    Search,
}

/// Reason for which nothing follows from a word; nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unresolved {
    #[error("there is no pull {0} that has not ended; `clearfold pull list` shows them")]
    NoPull(PullId),
    #[error(
        "pull {id} has ended otherwise: {outcome:?}; what is wrong about that is set right at its payment"
    )]
    Ended { id: PullId, outcome: Outcome },
    #[error("the chain has not been asked about pull {0} since the start; give the order again in a moment")]
    Unobserved(PullId),
    #[error(
        "pull {0} ends by itself, since the chain says how; wait a moment, and look at `clearfold pull list`"
    )]
    EndsByItself(PullId),
    #[error("pull {id} was executed by {transaction} in block {block}; it ends as paid by itself")]
    WasPaid { id: PullId, transaction: B256, block: u64 },
    #[error("pull {id} was not executed: its hash {hash} can still be executed, or was invalidated")]
    WasNotPaid { id: PullId, hash: B256 },
    #[error(
        "{transaction} did not execute pull {id}; find the transaction with HashExecuted({hash}) of its Spender"
    )]
    OtherTransaction { id: PullId, hash: B256, transaction: B256 },
    #[error(
        "no endpoint of CHAIN_RPC_URLS has {0} in a final block; correct it, wait, or add an endpoint that keeps old receipts"
    )]
    UnknownTransaction(B256),
    #[error("blocks are still read for the execution of pull {0}; wait until it is not found")]
    Searching(PullId),
    #[error(
        "no endpoint serves the blocks in which pull {0} may have been executed; add one to CHAIN_RPC_URLS that keeps old logs and receipts"
    )]
    Unread(PullId),
}

/// Decides about a word. `evidence` is about the transaction that it names.
pub fn resolve(
    state: &State,
    view: &View,
    resolution: &Resolution,
    evidence: Evidence,
) -> Result<(Vec<Change>, Follows), Unresolved> {
    let id = &resolution.id;
    let known = state.pulls.get(id).ok_or_else(|| Unresolved::NoPull(id.clone()))?;
    if let (Phase::Over(outcome), false) = (known.phase, known.is_undecided()) {
        return repeated(resolution, outcome).map(|follows| (Vec::new(), follows));
    }
    let fate = view.seen().and_then(|seen| seen.fates.get(&known.hash));
    let fate = *fate.ok_or_else(|| Unresolved::Unobserved(id.clone()))?;
    let (change, follows) = match resolution.word {
        Word::Paid { transaction } => paid(known, fate, transaction, evidence)?,
        Word::NotPaid => not_paid(known, fate)?,
        Word::Search { .. } => search(known, fate)?,
    };
    let Resolution { id, word, by, why } = resolution.clone();
    Ok(([Change::Resolved { id, word, by, why }].into_iter().chain(change).collect(), follows))
}

/// Answers to a word about a pull that ended like that.
pub(super) fn repeated(resolution: &Resolution, outcome: Outcome) -> Result<Follows, Unresolved> {
    match (resolution.word, outcome) {
        (Word::Paid { transaction }, Outcome::Done { transaction: by, .. }) if transaction == by => {
            Ok(Follows::Paid)
        }
        (Word::NotPaid, Outcome::Dead { .. }) => Ok(Follows::NotPaid),
        _ => Err(Unresolved::Ended { id: resolution.id.clone(), outcome }),
    }
}

fn paid(
    known: &PullState,
    fate: Fate,
    transaction: B256,
    evidence: Evidence,
) -> Result<(Option<Change>, Follows), Unresolved> {
    let (id, hash) = (known.pull.id.clone(), known.hash);
    match fate {
        Fate::Executed { .. } => return Err(Unresolved::EndsByItself(id)),
        Fate::Fresh | Fate::Invalidated => return Err(Unresolved::WasNotPaid { id, hash }),
        Fate::Consumed(_) => {}
    }
    match evidence {
        Evidence::Executed { block } => Ok((Some(Change::Done { id, transaction, block }), Follows::Paid)),
        Evidence::Other => Err(Unresolved::OtherTransaction { id, hash, transaction }),
        Evidence::Unknown => Err(Unresolved::UnknownTransaction(transaction)),
    }
}

fn not_paid(known: &PullState, fate: Fate) -> Result<(Option<Change>, Follows), Unresolved> {
    let (id, cause) = (known.pull.id.clone(), Cause::Resolved);
    match fate {
        Fate::Executed { transaction, block } => Err(Unresolved::WasPaid { id, transaction, block }),
        Fate::Invalidated => Err(Unresolved::EndsByItself(id)),
        Fate::Fresh if known.abandoned.is_some() => Err(Unresolved::EndsByItself(id)),
        Fate::Fresh => Ok((Some(Change::Abandoned { id, cause }), Follows::Invalidation)),
        Fate::Consumed(Search::UnderWay) => Err(Unresolved::Searching(id)),
        Fate::Consumed(Search::Failed) => Err(Unresolved::Unread(id)),
        // The Spender refuses a consumed hash for good, so the next pull of the payment is the only one.
        Fate::Consumed(Search::Fruitless) => Ok((Some(Change::Dead { id, cause }), Follows::NotPaid)),
    }
}

fn search(known: &PullState, fate: Fate) -> Result<(Option<Change>, Follows), Unresolved> {
    match fate {
        // A watched pull is searched from the block of its acceptance already.
        Fate::Consumed(_) if !known.is_watched() => Ok((None, Follows::Search)),
        Fate::Consumed(_) | Fate::Executed { .. } | Fate::Invalidated | Fate::Fresh => {
            Err(Unresolved::EndsByItself(known.pull.id.clone()))
        }
    }
}
