//! Clearings: the network claims a payment or a part of it. A claim always posts, because the merchant was paid: the
//! amount is a debit in the network's settlement.
//!
//! | claim | outcome |
//! |---|---|
//! | within the hold | uses up that part of the hold |
//! | above the hold | the rest posts beyond it, flagged if that exceeds the tolerance of `policy::over_capture` |
//! | the last one | releases the rest of the hold |
//! | after the hold expired | posts beyond it, late |
//! | known id | no effect; rejected if its content differs |
//! | another id, same reference and amount; the amount that a [single message](super::single_message) claimed | waits on the [suspense](super::suspense) account |
//! | to an authorization that was reversed in full, or without an approved one | [force posted](super::force_post) |
//!
//! The network's amount is what posts. If it is far from our own conversion of what was presented, or that cannot be
//! converted, it is flagged.
//!
//! Earlier versions refused a claim after a full reversal. Their event is still read, and no longer written; such a claim
//! waits for the operator like a suspended one.

use std::collections::BTreeSet;

use clearfold_kernel::{CommandContext, ExternalId, Minor, Rejection};

use super::claim::{Billing, Clearing, ClearingFate, Split, Suspended};
use super::messages::{
    ClearingPosted, ClearingRefused, ClearingSuspended, Event, LatePresented, OverCaptured, Part, Parties,
    PresentClearing,
};
use super::state::{Payment, State, Status, sum};
use super::{Decision, clearing_link, force_post, record_reversal, single_message};
use crate::checks;
use crate::network::{Residue, SuspenseOutcome};
use crate::policy::over_capture;

pub(super) fn present(state: &State, claim: &PresentClearing, context: &CommandContext) -> Decision {
    let asset = checks::sound(&claim.amount)?;
    in_sequence(claim.part)?;
    let billing = Billing::of_fact(&claim.amount, claim.presented.as_ref(), asset, state.network());
    let residue = billing.residue;
    let flagged = |mut events: Vec<Event>, parties: Parties| {
        events.extend(billing.flag(parties, &claim.clearing_id, &claim.amount));
        Ok(events)
    };
    let Some(payment) = state.payment() else {
        let account = record_reversal::parties(state, context)?.account;
        let parties = Parties::named(account, claim.details.as_deref());
        return flagged(vec![force_post::unmatched(parties.clone(), claim, residue)], parties);
    };
    checks::routed_to(payment.parties.account, context)?;
    checks::same_asset(&payment.asset, &claim.amount.asset)?;
    if let Some(known) = state.clearings.get(&claim.clearing_id) {
        checks::repeated(claim.clearing_id.as_str(), known, &as_known(claim, residue, known))?;
        return Ok(Vec::new());
    }
    // The network may name by this payment's id what was posted for another one, and is linked to this by now.
    let here = state.claim_named(&claim.clearing_id);
    if state.clearings.get(&here).is_some_and(|known| as_known(claim, residue, known) == *known) {
        return Ok(Vec::new());
    }
    checks::fits(payment.totals.captured().plus(claim.amount.minor))?;
    let events = match (looks_like(state, claim), payment.status) {
        (Some(duplicate_of), _) => vec![suspend(payment, claim, residue, duplicate_of)],
        (
            None,
            Status::Requested | Status::Declined | Status::ForcePosted | Status::Reversed | Status::Linked,
        ) => {
            vec![force_post::unauthorized(payment, claim, residue)]
        }
        (None, _) => post(state, payment, claim, residue),
    };
    flagged(events, payment.parties.clone())
}

/// Returns the claim as the state would know it, for comparison with a known one. Its outcome, and what only a force
/// post names, are taken from the known claim. The time of presentment is not compared, so a record that is presented
/// again later is the same.
fn as_known(claim: &PresentClearing, residue: Residue, known: &Clearing) -> Clearing {
    Clearing {
        claimed: claim.amount.minor,
        residue,
        part: claim.part,
        reference: claim.reference.clone(),
        ..known.clone()
    }
}

fn in_sequence(part: Part) -> Result<(), Rejection> {
    match part {
        Part::Sequence { number, count } if number == 0 || number > count => {
            let detail = format!("there is no part {number} of {count}; parts count from 1");
            Err(Rejection::new("invalid_sequence", detail))
        }
        _ => Ok(()),
    }
}

/// Finds a claim under another id with the same reference and amount that stands and is not another part. What the
/// network took back may be presented again.
pub(super) fn looks_like(state: &State, claim: &PresentClearing) -> Option<ExternalId> {
    if let Some(claimed) = single_message::looks_like(state, claim.amount.minor) {
        return Some(claimed);
    }
    let stands = |id: &ExternalId, known: &Clearing| {
        !matches!(known.fate, ClearingFate::Refused | ClearingFate::Moved) && !state.is_taken_back(id, known)
    };
    let (reference, minor, part) = (claim.reference.as_ref(), claim.amount.minor, claim.part);
    let alike =
        |id: &ExternalId, known: &Clearing| stands(id, known) && is_alike(known, reference, minor, part);
    state.clearings.iter().find(|(id, known)| alike(id, known)).map(|(id, _)| id.clone())
}

/// Returns true if two claims have one reference and one amount, and are not two parts.
fn is_alike(known: &Clearing, reference: Option<&ExternalId>, minor: Minor, part: Part) -> bool {
    reference.is_some()
        && known.reference.as_ref() == reference
        && known.claimed == minor
        && !is_another_part(known.part, part)
}

/// Finds the oldest claim in suspense that looks like the one that was taken back, if nothing is left of that, and that
/// looks like no other claim that posted.
pub(super) fn presented_anew(state: &State, taken_back: &ExternalId) -> Option<ExternalId> {
    let gone = state.clearings.get(taken_back).filter(|gone| state.is_taken_back(taken_back, gone))?;
    let waiting = state.suspended.iter().filter_map(|(id, suspended)| match suspended {
        Suspended::Waiting { occurred_at } => Some((*occurred_at, id, state.clearings.get(id)?)),
        Suspended::Resolved(_) => None,
    });
    let is_free = |(_, _, claim): &(_, _, &Clearing)| {
        let looks_like =
            |known: &Clearing| is_alike(known, claim.reference.as_ref(), claim.claimed, claim.part);
        let stands = |(id, known): (&ExternalId, &Clearing)| {
            record_reversal::has_posted(known) && looks_like(known) && !state.is_taken_back(id, known)
        };
        let is_claimed = single_message::looks_like(state, claim.claimed).is_some();
        claim.fate == ClearingFate::Suspended
            && looks_like(gone)
            && !is_claimed
            && !state.clearings.iter().any(stands)
    };
    waiting
        .filter(is_free)
        .min_by_key(|(occurred_at, id, _)| (*occurred_at, *id))
        .map(|(_, id, _)| id.clone())
}

fn is_another_part(known: Part, given: Part) -> bool {
    match (known, given) {
        (Part::Sequence { number: known, .. }, Part::Sequence { number: given, .. }) => known != given,
        _ => false,
    }
}

fn suspend(payment: &Payment, claim: &PresentClearing, residue: Residue, duplicate_of: ExternalId) -> Event {
    Event::ClearingSuspended(ClearingSuspended {
        parties: payment.parties.clone(),
        clearing_id: claim.clearing_id.clone(),
        duplicate_of,
        amount: claim.amount.clone(),
        residue,
        part: claim.part,
        reference: claim.reference.clone(),
        occurred_at: claim.occurred_at,
        details: claim.details.clone(),
        network_fees: claim.network_fees.clone(),
    })
}

pub(super) fn post(
    state: &State,
    payment: &Payment,
    claim: &PresentClearing,
    residue: Residue,
) -> Vec<Event> {
    let Split { against_hold, beyond_hold, rest } = Split::of(claim.amount.minor, payment.held());
    let is_final = is_last(state, claim.part);
    let mut events = vec![Event::ClearingPosted(ClearingPosted {
        parties: payment.parties.clone(),
        clearing_id: claim.clearing_id.clone(),
        against_hold,
        beyond_hold,
        released: if is_final { rest } else { Minor::ZERO },
        asset: payment.asset.clone(),
        residue,
        part: claim.part,
        is_final,
        reference: claim.reference.clone(),
        occurred_at: claim.occurred_at,
        details: claim.details.clone(),
        network_fees: claim.network_fees.clone(),
        origin: None,
    })];
    events.extend(over_captured(state, payment, claim, beyond_hold));
    if matches!(payment.status, Status::Expired | Status::ClearedLate) {
        let (parties, clearing_id) = (payment.parties.clone(), claim.clearing_id.clone());
        events.push(Event::LatePresented(LatePresented { parties, clearing_id }));
    }
    events
}

/// Returns true if this is the last claim: it says so, or it completes its sequence, in whatever order the parts
/// came. The length of a sequence is the number of its part n of n, because the parts before it may state another one
/// while the merchant does not know it. A part without a number takes the place of one that is missing. A part that was
/// suspended and returned is none.
fn is_last(state: &State, part: Part) -> bool {
    let Part::Sequence { .. } = part else { return part == Part::Final };
    let is_claim = |clearing_id: &ExternalId, known: &Clearing| {
        let resolved = state.suspended.get(clearing_id);
        let is_returned = resolved == Some(&Suspended::Resolved(SuspenseOutcome::Returned));
        !is_returned && known.fate != ClearingFate::Moved
    };
    let known = || state.clearings.iter().filter(|(clearing_id, known)| is_claim(clearing_id, known));
    let parts = || known().map(|(_, known)| known.part).chain([part]);
    let is_end = |part| matches!(part, Part::Sequence { number, count } if number == count);
    let Some(length) = parts().filter(|part| is_end(*part)).filter_map(number).max() else { return false };
    let numbered: BTreeSet<u8> = parts().filter_map(number).filter(|number| *number <= length).collect();
    let is_unnumbered = |known: &&Clearing| known.fate == ClearingFate::Posted && known.part == Part::Partial;
    let unnumbered = state.clearings.values().filter(is_unnumbered).map(drop);
    numbered.into_iter().map(drop).chain(unnumbered).count() >= usize::from(length)
}

const fn number(part: Part) -> Option<u8> {
    match part {
        Part::Sequence { number, .. } => Some(number),
        Part::Partial | Part::Final => None,
    }
}

/// Compares the posted clearings with the amount that was authorized and not reversed; neither the expiry of the hold nor
/// its release by an earlier clearing reduces that amount. Force posts beside the authorization do not count.
fn over_captured(
    state: &State,
    payment: &Payment,
    claim: &PresentClearing,
    beyond_hold: Minor,
) -> Option<Event> {
    if beyond_hold == Minor::ZERO {
        return None;
    }
    let due = state.claimable(payment);
    let posted = state.clearings.iter().filter(|(_, known)| known.fate == ClearingFate::Posted);
    let stands = posted.map(|(id, known)| known.claimed.excess_over(state.taken_back_of(id)));
    let claimed = stands.fold(claim.amount.minor, sum);
    let excess = claimed.minus(due).ok()?;
    (excess > Minor::ZERO).then(|| {
        Event::OverCaptured(OverCaptured {
            parties: payment.parties.clone(),
            clearing_id: claim.clearing_id.clone(),
            excess: payment.amount(excess),
            flagged: !over_capture::tolerates(state.circumstances(), &payment.amount(due), excess),
        })
    })
}

/// Applies a posted clearing. The part that the hold covers, and the amount that the last clearing releases, are
/// computed from the earlier events, because events of old versions do not state them.
pub(super) fn posted(state: &mut State, event: &ClearingPosted) {
    let claimed = sum(event.against_hold, event.beyond_hold);
    let (released, before) = (state.released, clearing_link::figures(state));
    let Some(payment) = state.payment_mut() else { return };
    let Split { against_hold, beyond_hold, rest } = Split::of(claimed, payment.held());
    payment.totals.against_hold = sum(payment.totals.against_hold, against_hold);
    payment.totals.beyond = sum(payment.totals.beyond, beyond_hold);
    let late = matches!(payment.status, Status::Expired | Status::ClearedLate);
    if late {
        payment.status = Status::ClearedLate;
    } else if event.is_final {
        payment.totals.reversed = sum(payment.totals.reversed, rest);
        payment.status = Status::Cleared;
        state.released = sum(released, rest);
    }
    let reference = event.reference.clone();
    let clearing = Clearing {
        claimed,
        residue: event.residue,
        part: event.part,
        reference,
        named: None,
        fate: ClearingFate::Posted,
    };
    state.clearings.insert(event.clearing_id.clone(), clearing);
    state.names(&event.clearing_id, &event.parties);
    clearing_link::taken(state, before, event);
}

pub(super) fn suspended(state: &mut State, event: &ClearingSuspended) {
    let (claimed, reference) = (event.amount.minor, event.reference.clone());
    let clearing = Clearing {
        claimed,
        residue: event.residue,
        part: event.part,
        reference,
        named: None,
        fate: ClearingFate::Suspended,
    };
    state.clearings.insert(event.clearing_id.clone(), clearing);
    let occurred_at = event.occurred_at;
    state.suspended.insert(event.clearing_id.clone(), Suspended::Waiting { occurred_at });
}

pub(super) fn refused(state: &mut State, event: &ClearingRefused) {
    let (claimed, reference) = (event.amount.minor, event.reference.clone());
    let clearing = Clearing {
        claimed,
        residue: event.residue,
        part: event.part,
        reference,
        named: None,
        fate: ClearingFate::Refused,
    };
    state.clearings.insert(event.clearing_id.clone(), clearing);
    let occurred_at = event.occurred_at;
    state.suspended.insert(event.clearing_id.clone(), Suspended::Waiting { occurred_at });
}
