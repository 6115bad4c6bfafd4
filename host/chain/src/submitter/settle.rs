//! Conclusions from what was observed in final blocks: nonces that are settled, pulls that ended. Pure.
//!
//! An answer to a send, a receipt, a log of a block that is not final: none of them ends anything.

use alloy::primitives::Address;

use super::pull::PullId;
use super::state::{Cause, Change, Outcome, PullState, Settler, Slot, State, Work};
use super::view::{Fate, Observation, Sighting, View};

/// Returns the changes that follow from the newest observation, in the order in which they are to be committed.
#[must_use]
pub fn settle(state: &State, view: &View) -> Vec<Change> {
    let Some(seen) = view.seen() else { return Vec::new() };
    let unopened = seen.accounts.iter().filter(|(account, _)| !state.lanes.contains_key(*account));
    let mut changes: Vec<Change> = unopened
        .map(|(account, seen)| Change::LaneOpened { account: *account, next_nonce: seen.latest_nonce })
        .collect();
    for (account, lane) in &state.lanes {
        for (nonce, slot) in &lane.slots {
            changes.extend(settle_slot(state, view, seen, *account, *nonce, slot));
        }
    }
    for (id, known) in &state.pulls {
        changes.extend(end_pull(seen, id, known));
    }
    changes
}

/// Settles a nonce that a final block used. A refusal is concluded together with it, and only then.
fn settle_slot(
    state: &State,
    view: &View,
    seen: &Observation,
    account: Address,
    nonce: u64,
    slot: &Slot,
) -> Vec<Change> {
    if seen.accounts.get(&account).is_none_or(|now| nonce >= now.final_nonce) {
        return Vec::new();
    }
    let Some((work, by)) = winner(seen, slot) else {
        let foreign = Change::Settled { account, nonce, by: Settler::Foreign };
        return if view.is_taken(account, nonce) { vec![foreign] } else { Vec::new() };
    };
    let settled = Change::Settled { account, nonce, by };
    let Settler::Ours { succeeded, .. } = by else { return vec![settled] };
    let (Work::Pull { id, .. } | Work::Invalidate { id }) = work else { return vec![settled] };
    let Some(known) = state.pulls.get(id).filter(|known| known.is_undecided()) else { return vec![settled] };
    match seen.fates.get(&known.hash) {
        // The receipt says that it succeeded, and the Spender's state that nothing happened: one of them is wrong.
        None => Vec::new(),
        Some(Fate::Fresh) if succeeded => Vec::new(),
        Some(Fate::Fresh) => [settled].into_iter().chain(refusal(known, work)).collect(),
        Some(Fate::Executed { .. } | Fate::Invalidated | Fate::Consumed(_)) => vec![settled],
    }
}

/// Returns the refusal that a failed attempt is, if the saga must decide about it.
fn refusal(known: &PullState, work: &Work) -> Option<Change> {
    let Work::Pull { id, attempt } = work else { return None };
    let is_refused = known.is_under_way() && known.attempt == *attempt;
    is_refused.then(|| Change::Refused { id: id.clone(), attempt: *attempt })
}

/// Returns which of the nonce's transactions is in a final block.
fn winner<'a>(seen: &Observation, slot: &'a Slot) -> Option<(&'a Work, Settler)> {
    slot.transactions.iter().find_map(|transaction| match seen.sightings.get(&transaction.hash) {
        Some(&Sighting::Mined { block, succeeded }) if block <= seen.finalized => {
            Some((&transaction.work, Settler::Ours { transaction: transaction.hash, succeeded }))
        }
        _ => None,
    })
}

/// Ends a pull by the state of its hash, or because its time is over.
fn end_pull(seen: &Observation, id: &PullId, known: &PullState) -> Vec<Change> {
    if !known.is_undecided() {
        return Vec::new();
    }
    match seen.fates.get(&known.hash) {
        Some(&Fate::Executed { transaction, block }) => {
            return vec![Change::Done { id: id.clone(), transaction, block }];
        }
        Some(Fate::Invalidated) => {
            let cause = known.abandoned.unwrap_or(Cause::Outside);
            return vec![Change::Dead { id: id.clone(), cause }];
        }
        // A fresh hash can still be executed, even if nothing was signed here: after a restore of the database, what was
        // signed before is forgotten and may be known outside. Only its delegate's invalidation ends it.
        Some(Fate::Fresh | Fate::Consumed(_)) | None => {}
    }
    let is_expired = seen.now > known.pull.not_after && known.abandoned.is_none();
    let expired = Change::Abandoned { id: id.clone(), cause: Cause::Expired };
    is_expired.then_some(expired).into_iter().collect()
}

/// Returns the outcomes that the saga has not recorded.
pub(super) fn unreported(state: &State) -> impl Iterator<Item = (&PullId, Outcome)> {
    state.pulls.iter().filter_map(|(id, known)| known.unreported().map(|outcome| (id, outcome)))
}
