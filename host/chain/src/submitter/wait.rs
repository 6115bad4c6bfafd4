//! Reasons for which a pull has not ended, each with a name, for operators and tests. Pure.

use std::collections::BTreeMap;

use alloy::primitives::Address;

use super::Policy;
use super::plan::Outlook;
use super::pull::PullId;
use super::state::{Outcome, Phase, PullState, Slot, State, Work};
use super::view::{Fate, Search, View};

/// Reason for which a pull waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Wait {
    /// The chain has not been observed since the start.
    Unobserved,
    /// Others are before it in its lane's queue.
    Queue,
    /// So many transactions of the account wait for a block that no more are sent.
    InFlightLimit,
    /// The account cannot pay for one more transaction.
    LowPurse,
    /// A transaction of the account waits that is none of ours: somebody else has the key.
    ForeignPending,
    /// A nonce below has no transaction, and is being repaired.
    Gap,
    /// The chain's price is above the ceiling.
    PriceCeiling,
    /// Its transaction waits for a block.
    Block,
    /// Its transaction is in a block that is not final.
    Finality,
    /// Its nonce was used in a final block, and nodes contradict themselves about how: the receipt, the log and the state
    /// do not fit together.
    Contradiction,
    /// The attempt was refused. The saga must retry or abandon it.
    Decision,
    /// It is abandoned, and its hash will be invalidated.
    Invalidation,
    /// Its hash is consumed, and blocks are read to find out whether it was executed.
    Search,
    /// Its hash is consumed, and no endpoint serves the blocks in which it may have been executed.
    Unread,
    /// Its hash is consumed, nothing was signed here, and no execution was found: it may have been paid.
    MaybePaid,
    /// This host has not the key of its sender or delegate.
    NoKey,
}

impl Wait {
    /// Returns what an operator must do about it; `None` if it ends by itself.
    #[must_use]
    pub const fn remedy(self) -> Option<&'static str> {
        match self {
            Self::LowPurse => Some("an account cannot pay for one more transaction; send it money for gas"),
            Self::ForeignPending => Some(
                "an account has a transaction that this submitter did not sign; see who else has its key, and stop them",
            ),
            Self::PriceCeiling => {
                Some("the chain's gas price is above the ceiling; wait, or raise SUBMITTER_MAX_FEE_GWEI")
            }
            Self::Contradiction => Some(
                "a node contradicts itself about a final transaction; correct or replace the endpoints in CHAIN_RPC_URLS",
            ),
            Self::Decision => Some(
                "the chain refuses pulls, usually because an allowance or a balance is too low; they are sent again until \
                 their deadline",
            ),
            Self::Unread => Some(
                "hashes are consumed, and no endpoint serves the blocks in which they may have been executed; give one in \
                 CHAIN_RPC_URLS that has these logs and receipts",
            ),
            Self::MaybePaid => Some(
                "hashes are consumed that this database never signed, so the payments may have been pulled before it was \
                 restored; look them up on chain, as the runbook on restoring a backup says, and tell the submitter by \
                 `clearfold pull resolve`",
            ),
            Self::NoKey => Some(
                "pulls name a sender or delegate whose key this host does not have; give the keys back that they were \
                 accepted with",
            ),
            Self::Unobserved
            | Self::Queue
            | Self::InFlightLimit
            | Self::Gap
            | Self::Block
            | Self::Finality
            | Self::Invalidation
            | Self::Search => None,
        }
    }
}

/// Returns the reason of each pull that has not ended.
#[must_use]
pub fn waits(state: &State, view: &View, policy: &Policy) -> BTreeMap<PullId, Wait> {
    let undecided = state.pulls.iter().filter(|(_, known)| known.is_undecided());
    undecided.map(|(id, known)| (id.clone(), wait(state, view, policy, known))).collect()
}

fn wait(state: &State, view: &View, policy: &Policy, known: &PullState) -> Wait {
    if let Some(wait) = of_hash(view, known) {
        return wait;
    }
    let id = &known.pull.id;
    if known.abandoned.is_some() {
        let work = Work::Invalidate { id: id.clone() };
        return match of_lane(state, view, policy, known.pull.delegate, &work) {
            Wait::Queue => Wait::Invalidation,
            other => other,
        };
    }
    if let Phase::Over(Outcome::Refused { .. }) = known.phase {
        return Wait::Decision;
    }
    let work = Work::Pull { id: id.clone(), attempt: known.attempt };
    of_lane(state, view, policy, known.pull.sender, &work)
}

/// Returns the reason for which nothing can be signed about the pull.
fn of_hash(view: &View, known: &PullState) -> Option<Wait> {
    let Some(seen) = view.seen() else { return Some(Wait::Unobserved) };
    match seen.fates.get(&known.hash) {
        None => return Some(Wait::Unobserved),
        Some(Fate::Consumed(Search::UnderWay)) => return Some(Wait::Search),
        Some(Fate::Consumed(Search::Failed)) => return Some(Wait::Unread),
        Some(Fate::Consumed(Search::Fruitless)) => return Some(Wait::MaybePaid),
        Some(Fate::Fresh | Fate::Executed { .. } | Fate::Invalidated) => {}
    }
    let sender = Some(known.pull.sender).filter(|_| known.abandoned.is_none());
    let is_missing = |account: &Address| !seen.accounts.contains_key(account);
    [Some(known.pull.delegate), sender].iter().flatten().any(is_missing).then_some(Wait::NoKey)
}

fn of_lane(state: &State, view: &View, policy: &Policy, account: Address, work: &Work) -> Wait {
    let Some(outlook) = Outlook::of(state, view, policy, account) else { return Wait::Unobserved };
    let carries = |slot: &Slot| slot.transactions.iter().any(|transaction| transaction.work == *work);
    match outlook.lane.slots.iter().find(|(_, slot)| carries(slot)) {
        Some((nonce, slot)) => of_slot(outlook, *nonce, slot),
        None => outlook.obstacle(work).unwrap_or(Wait::Queue),
    }
}

fn of_slot(outlook: Outlook<'_>, nonce: u64, slot: &Slot) -> Wait {
    if nonce < outlook.now.final_nonce {
        return Wait::Contradiction;
    }
    if nonce < outlook.now.latest_nonce {
        return Wait::Finality;
    }
    let newest = slot.newest();
    let is_stopped = newest.is_some_and(|one| outlook.is_stuck(nonce, one) && outlook.is_at_ceiling(one));
    if is_stopped { Wait::PriceCeiling } else { Wait::Block }
}
