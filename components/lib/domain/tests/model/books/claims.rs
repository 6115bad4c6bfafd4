//! Claims of the network in the model: what they take from the hold, what waits in suspense, and what is taken back.

use std::collections::BTreeSet;

use super::{Claim, Payment, Stage};
use crate::facts::Part;

pub(super) fn claim(payment: &mut Payment, id: &str, amount: i128, reference: &Option<String>, part: Part) {
    let is_again = |other: &Claim| {
        let is_another_part =
            matches!((part, other.part), (Part::Of(one, _), Part::Of(two, _)) if one != two);
        let is_gone = other.back == other.amount;
        if other.is_moved {
            return false;
        }
        // No other record claims what the request claimed.
        if other.is_at_once() {
            return !is_gone && (other.amount == amount || other.amount - other.back == amount);
        }
        reference.is_some()
            && other.reference == *reference
            && other.amount == amount
            && !is_another_part
            && !is_gone
    };
    let is_at_once = id.starts_with("single-message/");
    let is_suspended = !is_at_once && payment.claims.iter().any(is_again);
    let (id, reference) = (id.to_owned(), reference.clone());
    // Without an authorization it is no part of a sequence, unless it says so.
    let is_unmatched = !is_suspended && payment.stage != Stage::Open && part == Part::Partial;
    let part = if is_unmatched { Part::Final } else { part };
    payment.claims.push(Claim {
        id: id.clone(),
        amount,
        is_suspended,
        back: 0,
        is_returned: false,
        is_moved: false,
        reference,
        part,
    });
    if is_suspended {
        payment.suspended += amount;
        // The network has taken it back already.
        if payment.awaited.iter().any(|(claim, back)| *claim == id && back.is_none_or(|back| back >= amount))
        {
            resolve(payment, &id, false);
        }
    } else {
        post(payment, amount, part);
        take_back_awaited(payment, &id);
    }
}

/// An amount that the network takes back comes off what exceeded the hold first. Nothing is held for it again.
pub(super) fn take_back(payment: &mut Payment, id: &str, amount: Option<i128>) {
    let id = &payment.known_as(id);
    let Some(claim) = payment.claims.iter_mut().find(|claim| claim.id == *id) else {
        payment.awaited.push((id.to_owned(), amount));
        return;
    };
    // The payment whose claim it is takes it back.
    if claim.is_moved && payment.stage == Stage::Linked {
        payment.passed_on.push(amount);
        return;
    }
    if claim.is_returned || claim.is_moved {
        return;
    }
    if claim.is_suspended {
        // The suspected duplicate was one.
        let is_whole = amount.is_none_or(|amount| amount >= claim.amount);
        payment.awaited.push((id.to_owned(), amount));
        if is_whole {
            resolve(payment, id, false);
        }
        return;
    }
    let left = claim.amount - claim.back;
    let back = amount.unwrap_or(left).min(left);
    claim.back += back;
    let beyond = back.min(payment.beyond);
    let gone = (back > 0 && claim.back == claim.amount).then(|| claim.clone());
    payment.beyond -= beyond;
    payment.against_hold -= back - beyond;
    if let Some(gone) = gone {
        present_anew(payment, &gone);
    }
}

/// A claim that waits because it looked like one of which nothing is left was presented anew, unless it looks like another.
fn present_anew(payment: &mut Payment, gone: &Claim) {
    let is_like = |one: &Claim, other: &Claim| {
        let is_another_part =
            matches!((one.part, other.part), (Part::Of(one, _), Part::Of(two, _)) if one != two);
        one.reference.is_some()
            && one.reference == other.reference
            && one.amount == other.amount
            && !is_another_part
    };
    let is_held_up = |waiting: &Claim, other: &Claim| {
        let left = other.amount - other.back;
        let is_claimed = other.is_at_once() && (other.amount == waiting.amount || left == waiting.amount);
        let stands = !other.is_suspended && !other.is_returned && left > 0;
        stands && (is_claimed || is_like(waiting, other))
    };
    let is_free = |waiting: &&Claim| {
        let others = &payment.claims;
        waiting.is_suspended
            && is_like(waiting, gone)
            && !others.iter().any(|other| is_held_up(waiting, other))
    };
    if let Some(id) = payment.claims.iter().find(is_free).map(|claim| claim.id.clone()) {
        resolve(payment, &id, true);
    }
}

pub(super) fn take_back_awaited(payment: &mut Payment, id: &str) {
    let is_it = |claim: &str| payment.known_as(claim) == id;
    let awaited: Vec<_> = payment.awaited.iter().filter(|(claim, _)| is_it(claim)).cloned().collect();
    payment.awaited.retain(|other| !awaited.contains(other));
    awaited.into_iter().for_each(|(claim, amount)| take_back(payment, &claim, amount));
}

/// Every claim posts: what the hold covers against it, the rest beyond it. The last one releases what is left.
pub(super) fn post(payment: &mut Payment, amount: i128, part: Part) {
    if payment.stage != Stage::Open {
        return post_without_hold(payment, amount);
    }
    let covered = amount.min(payment.held);
    payment.held -= covered;
    payment.against_hold += covered;
    payment.beyond += amount - covered;
    if part == Part::Final || (part != Part::Partial && is_complete(payment)) {
        (payment.stage, payment.held) = (Stage::Cleared, 0);
    }
}

/// A sequence is as long as its part n of n says, and complete when as many parts were posted. A part without a number
/// takes the place of one that is missing.
fn is_complete(payment: &Payment) -> bool {
    let is_claim = |claim: &&Claim| !claim.is_suspended && !claim.is_moved;
    let parts = payment.claims.iter().filter(is_claim).map(|claim| claim.part);
    let ends = parts.clone().filter_map(|part| match part {
        Part::Of(number, count) if number == count => Some(number),
        _ => None,
    });
    let Some(length) = ends.max() else { return false };
    let numbers: BTreeSet<u8> = parts
        .clone()
        .filter_map(|part| match part {
            Part::Of(number, _) if number <= length => Some(number),
            _ => None,
        })
        .collect();
    let unnumbered = parts.filter(|part| *part == Part::Partial).count();
    numbers.len() + unnumbered >= usize::from(length)
}

pub(super) fn post_without_hold(payment: &mut Payment, amount: i128) {
    payment.beyond += amount;
    if matches!(payment.stage, Stage::Unknown | Stage::Asked | Stage::Declined | Stage::Withdrawn) {
        payment.stage = Stage::Forced;
    }
}

pub(super) fn resolve(payment: &mut Payment, id: &str, is_charged: bool) {
    let Some(index) = payment.claims.iter().position(|claim| claim.id == id && claim.is_suspended) else {
        return;
    };
    let Claim { amount, part, .. } = payment.claims[index];
    payment.suspended -= amount;
    if is_charged {
        payment.claims[index].is_suspended = false;
        post(payment, amount, part);
        take_back_awaited(payment, id);
    } else {
        // It is still known by its id, but is no claim any more.
        (payment.claims[index].is_suspended, payment.claims[index].part) = (false, Part::Final);
        payment.claims[index].is_returned = true;
        payment.awaited.retain(|(claim, _)| claim != id);
    }
}
