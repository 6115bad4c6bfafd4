//! A naive model of the books: what the facts of a life come to, read from the first to the last, each time anew.
//!
//! It follows the field's rules for card payments, shares no code with the domain, and keeps no state between two
//! questions. A rule stands here once, in the order in which a reader would check it.

mod claims;
mod disputes;
mod links;
mod single;

use std::collections::BTreeSet;

use claims::{claim, post_without_hold, resolve, take_back, take_back_awaited};
use disputes::dispute;
use disputes::{Dispute, Money};
use links::{Taken, give_up, link, take, unlink};
use single::{Single, present, present_rest, reverse_claims};

use crate::facts::{Fact, Part, Resolution, What};

/// Stage of a payment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    #[default]
    Unknown,
    /// Asked for and not answered.
    Asked,
    Declined,
    Open,
    /// Given back: before it was answered, or all that was held.
    Withdrawn,
    Reversed,
    Cleared,
    Expired,
    /// Claimed without an authorization.
    Forced,
    /// Began with a `Spend` that is another payment's money.
    Linked,
}

/// Figures of one payment.
#[derive(Debug, Clone, Default)]
pub struct Payment {
    pub stage: Stage,
    /// H.
    pub held: i128,
    /// K: claimed against the hold.
    pub against_hold: i128,
    /// X: claimed beyond it.
    pub beyond: i128,
    /// F.
    pub refunded: i128,
    /// Awarded in disputes.
    pub won: i128,
    /// Paid by the customer and credited until the dispute is decided.
    pub credited: i128,
    /// Waits in suspense because it looks like a duplicate.
    pub suspended: i128,
    /// Pulled from the Safe in a block, final or not.
    pub in_transit: i128,
    pub pulled: i128,
    /// Came back to the Safe for this payment.
    pub returned: i128,
    /// Refunded on chain, so paid to the Safe out of what was pulled.
    pub sent_back: i128,
    pub claims: Vec<Claim>,
    /// Refunds that the network told of, each with what is left of it.
    pub told: Vec<(String, i128)>,
    /// Refunds that are taken back when they come.
    pub awaited_refunds: Vec<(String, Option<i128>)>,
    /// Claims that are taken back when they come, or when they are charged; each with its amount, or all that is left.
    pub awaited: Vec<(String, Option<i128>)>,
    pub disputes: Vec<Dispute>,
    /// Message that claims what is approved, too.
    single: Option<Single>,
    /// True if something was approved, also if it was given back.
    was_held: bool,
    /// Reversals that came before a claim that they take back: of this much, or of all of it.
    early: Vec<Option<i128>>,
    /// Money that the network moved in disputes, known or not.
    pub money: Vec<Money>,
    /// True if it was approved for nothing, to verify the card.
    is_verification: bool,
    /// Figures of a `Spend` before it was linked.
    before_link: Option<Box<Payment>>,
    asked: i128,
    /// Most that was reversed before it was asked for.
    tombstone: i128,
    increments: Vec<Increment>,
    advised_at: Vec<i64>,
    /// Open receivables, by leg.
    exposures: Vec<(u32, i128)>,
    pulls: Vec<(u32, i128)>,
    /// Clearings of other payments that are this one's claims, or were.
    pub taken_claims: Vec<Taken>,
    /// Reversals of the own clearing that came while it was another payment's claim.
    passed_on: Vec<Option<i128>>,
    /// Number of facts that changed a figure.
    changes: u32,
    /// Spends of other payments that are this one's money and not final.
    taken: Vec<(String, i128)>,
}

#[derive(Debug, Clone)]
pub struct Claim {
    pub id: String,
    pub amount: i128,
    pub is_suspended: bool,
    /// Part of it that the network took back.
    pub back: i128,
    is_returned: bool,
    /// True if it is, or was, the claim of another payment: linked to that, or given up for it.
    pub is_moved: bool,
    reference: Option<String>,
    part: Part,
}

#[derive(Debug, Clone)]
struct Increment {
    id: String,
    amount: i128,
    is_total: bool,
    /// Amount that stood when it came, and what earlier increments were granted since.
    standing: i128,
    at: i64,
    is_declined: bool,
}

impl Payment {
    /// K + X.
    pub fn captured(&self) -> i128 {
        self.against_hold + self.beyond
    }

    /// Amount that the payment's money on chain must cover.
    pub fn owed(&self) -> i128 {
        self.held + self.captured()
    }

    pub fn kept(&self) -> i128 {
        self.pulled + self.in_transit - self.returned
    }

    pub fn owed_back(&self) -> i128 {
        (self.kept() - self.owed()).max(0)
    }

    pub fn exposed(&self) -> i128 {
        self.exposures.iter().map(|(_, exposed)| exposed).sum()
    }

    /// Amount that the merchant still has.
    pub fn left(&self) -> i128 {
        self.captured() - self.refunded - self.won
    }

    /// Returns true if a claim posted, also if it was taken back.
    fn has_posted(&self) -> bool {
        self.claims.iter().any(|claim| !claim.is_suspended && !claim.is_returned && !claim.is_moved)
    }

    fn figures(&self) -> (Stage, [i128; 4]) {
        (self.stage, [self.held, self.against_hold, self.beyond, self.refunded])
    }

    /// Returns the stage after the hold was lowered: closed once nothing of it is left.
    fn stage_of_hold(&self) -> Stage {
        match (self.held, self.against_hold) {
            (1.., _) => Stage::Open,
            (_, 1..) => Stage::Cleared,
            _ => Stage::Reversed,
        }
    }

    /// Returns true if every increment that counts is older.
    fn is_current(&self, at: i64) -> bool {
        self.increments.iter().all(|other| other.is_declined || other.at <= at)
    }
}

/// Returns the payment with this id, after all facts.
pub fn payment(facts: &[Fact], id: &str) -> Payment {
    let mut payment = Payment::default();
    let mut seen = BTreeSet::new();
    for (index, fact) in facts.iter().enumerate() {
        if let What::RefundResolved { as_what: Resolution::Returned(Some(of)) } = &fact.what
            && owner(&facts[..index], of) == id
        {
            let amount = refund_amount(facts, &fact.payment);
            come_back(&mut payment, amount);
        }
        if fact.payment == id && identity(&fact.what).is_none_or(|identity| seen.insert(identity)) {
            let before = payment.figures();
            happen(&mut payment, &fact.what);
            payment.changes += u32::from(payment.figures() != before);
        }
        // A receivable is never more than what is missing.
        let mut surplus = payment.exposed() - (payment.owed() - payment.kept()).max(0);
        for (_, exposed) in payment.exposures.iter_mut().rev() {
            let cleared = surplus.clamp(0, *exposed);
            (*exposed, surplus) = (*exposed - cleared, surplus - cleared);
        }
    }
    payment
}

/// Returns the payment that has the money of the payment with this id: of a linked `Spend` it is the one that it funds.
pub fn owner<'a>(facts: &'a [Fact], id: &'a str) -> &'a str {
    let mut taken =
        facts.iter().filter(|fact| matches!(&fact.what, What::Taken { spend, .. } if spend == id));
    taken.next().map_or(id, |fact| &fact.payment)
}

/// Identity under which a message has one effect. Ids are unique among requests, increments and advices, among
/// reversals, among claims, and among refunds.
fn identity(what: &What) -> Option<(&'static str, &str)> {
    Some(match what {
        What::Requested { id, .. } | What::IncrementRequested { id, .. } | What::Advised { id, .. } => {
            ("authorization", id)
        }
        What::Reversed { id, .. } => ("reversal", id),
        What::Cleared { id, .. } | What::ForcePosted { id, .. } => ("claim", id),
        What::Refunded { id, .. } => ("refund", id),
        What::DisputeMoney { id, .. } => ("money of a dispute", id),
        What::TakenBack { id, .. } | What::RefundTakenBack { id, .. } => ("reversal of a record", id),
        _ => return None,
    })
}

fn happen(payment: &mut Payment, what: &What) {
    match what {
        // A reversal of all of it that came before makes it a no-op.
        What::Requested { id, amount, is_single, .. } if payment.stage == Stage::Unknown => {
            payment.single = is_single.then(|| Single::of(id, *amount, true));
            let is_withdrawn = payment.tombstone > 0 && payment.tombstone >= *amount;
            payment.stage = if is_withdrawn { Stage::Withdrawn } else { Stage::Asked };
            payment.asked = *amount;
        }
        What::Approved { amount } if payment.stage == Stage::Asked => {
            (payment.stage, payment.held, payment.is_verification) = (Stage::Open, *amount, *amount == 0);
            payment.was_held |= *amount > 0;
            if payment.single.as_ref().is_some_and(|single| single.is_request) {
                present(payment, *amount);
            }
        }
        What::Declined if payment.stage == Stage::Asked => payment.stage = Stage::Declined,
        // Another request of a known payment is an increment.
        What::Requested { id, amount, at, .. } => ask_for_more(payment, id, *amount, false, *at),
        What::IncrementRequested { id, amount, is_total, at } => {
            ask_for_more(payment, id, *amount, *is_total, *at);
        }
        What::IncrementApproved { id } => grant_more(payment, id),
        What::IncrementDeclined { id } => {
            payment
                .increments
                .iter_mut()
                .filter(|known| known.id == *id)
                .for_each(|known| known.is_declined = true);
        }
        What::Reversed { part, .. } if payment.is_claimed_at_once() => reverse_claims(payment, *part),
        What::Reversed { part, .. } => {
            // Money that was given back of a hold is no part of what is claimed later.
            if !payment.was_held {
                payment.early.push(*part);
            }
            reverse(payment, *part);
        }
        What::Expired if payment.stage == Stage::Open => {
            (payment.stage, payment.held) = (Stage::Expired, 0);
        }
        What::Advised { id, amount, at, is_single } => {
            let is_requested = payment.single.as_ref().is_some_and(|single| single.is_request);
            if *is_single && !is_requested && !payment.is_claimed_at_once() {
                payment.single = Some(Single::of(id, *amount, false));
            }
            let is_newest = payment.advised_at.iter().all(|other| other <= at);
            let was_closed = payment.stage != Stage::Open;
            advise(payment, *amount, *at);
            let is_closed = was_closed && payment.stage != Stage::Open;
            if (*is_single || is_requested) && is_closed && is_newest {
                present_rest(payment, id, *amount);
            } else if *is_single || is_requested {
                present(payment, *amount);
            }
            payment.advised_at.push(*at);
        }
        What::Cleared { id, amount, reference, part } => claim(payment, id, *amount, reference, *part),
        What::ForcePosted { id, amount } => {
            payment.claims.push(Claim {
                id: id.clone(),
                amount: *amount,
                is_suspended: false,
                back: 0,
                is_returned: false,
                is_moved: false,
                reference: None,
                part: Part::Final,
            });
            post_without_hold(payment, *amount);
            take_back_awaited(payment, id);
        }
        What::TakenBack { claim, amount, .. } => take_back(payment, claim, *amount),
        What::ClearingCharged { id } | What::ClearingReturned { id } => {
            resolve(payment, id, matches!(what, What::ClearingCharged { .. }));
        }
        // On a stream of its own it belongs to no payment.
        What::Refunded { id, amount, on_chain } if payment.stage != Stage::Unknown => {
            payment.refunded += amount;
            payment.sent_back += if *on_chain { *amount } else { 0 };
            if !on_chain {
                payment.told.push((id.clone(), *amount));
                let awaited = payment.awaited_refunds.extract_if(.., |(refund, _)| refund == id);
                let awaited: Vec<_> = awaited.collect();
                awaited.iter().for_each(|(refund, amount)| take_refund_back(payment, refund, *amount));
            }
        }
        What::RefundTakenBack { refund, amount, .. } => take_refund_back(payment, refund, *amount),
        What::Spent { amount } if payment.stage == Stage::Unknown => {
            (payment.stage, payment.held, payment.in_transit) = (Stage::Open, *amount, *amount);
            payment.was_held = true;
            payment.pulls.push((1, *amount));
        }
        What::Linked => {
            payment.before_link = Some(Box::new(payment.clone()));
            (payment.stage, payment.held) = (Stage::Linked, 0);
            (payment.in_transit, payment.pulled) = (0, 0);
            payment.pulls.clear();
        }
        // Its money is its own again.
        What::Unlinked => {
            let Some(before) = payment.before_link.take() else { return };
            (payment.stage, payment.held) = (before.stage, before.held);
            (payment.in_transit, payment.pulled, payment.pulls) =
                (before.in_transit, before.pulled, before.pulls);
        }
        What::ClaimLinked => link(payment),
        What::ClaimUnlinked => unlink(payment),
        What::ClaimTaken { .. } => take(payment, what),
        What::ClaimGivenUp { origin } => give_up(payment, origin),
        What::Taken { spend, amount, is_final: false } => {
            payment.taken.push((spend.clone(), *amount));
            payment.in_transit += amount;
        }
        What::Taken { amount, is_final: true, .. } => payment.pulled += amount,
        What::TakenFinal { spend } => {
            let Some(index) = payment.taken.iter().position(|(of, _)| of == spend) else { return };
            let (_, amount) = payment.taken.remove(index);
            (payment.in_transit, payment.pulled) = (payment.in_transit - amount, payment.pulled + amount);
        }
        What::PullIncluded { .. } | What::PullFinal { .. } | What::PullReorged { .. } => pull(payment, what),
        What::PullDead { leg } => {
            let due = payment.owed() - payment.kept() - payment.exposed();
            payment.exposures.push((*leg, due.max(0)));
        }
        What::PulledAgain { leg } => payment.exposures.retain(|(of, _)| of != leg),
        What::DisputeOpened { .. }
        | What::DisputeCredited { .. }
        | What::DisputeWon { .. }
        | What::DisputeLost { .. }
        | What::DisputeMoney { .. } => {
            dispute(payment, what);
        }
        _ => {}
    }
}

/// A refund that the network takes back was not refunded, though it was paid out.
fn take_refund_back(payment: &mut Payment, id: &str, amount: Option<i128>) {
    let Some((_, left)) = payment.told.iter_mut().find(|(refund, _)| refund == id) else {
        payment.awaited_refunds.push((id.to_owned(), amount));
        return;
    };
    let back = amount.unwrap_or(*left).min(*left);
    *left -= back;
    payment.refunded -= back;
}

fn ask_for_more(payment: &mut Payment, id: &str, amount: i128, is_total: bool, at: i64) {
    let standing = payment.held + payment.against_hold;
    // Only what is held can be raised.
    let is_declined = payment.stage != Stage::Open || payment.is_verification;
    payment.increments.push(Increment { id: id.to_owned(), amount, is_total, standing, at, is_declined });
}

fn grant_more(payment: &mut Payment, id: &str) {
    let Some(index) = payment.increments.iter().position(|known| known.id == id) else { return };
    let Increment { amount, is_total, standing, is_declined, .. } = payment.increments[index];
    let addition = if is_total { (amount - standing).max(0) } else { amount };
    if payment.stage == Stage::Open && !is_declined {
        payment.held += addition;
        payment.increments[index..].iter_mut().for_each(|later| later.standing += addition);
    }
}

/// Releases what is held, never more: the sender may not know how much that is.
fn reverse(payment: &mut Payment, part: Option<i128>) {
    match payment.stage {
        Stage::Unknown => payment.tombstone = payment.tombstone.max(part.unwrap_or(i128::MAX)),
        // The sender names what was asked for, so that is all of it.
        Stage::Asked if part.is_none_or(|part| part >= payment.asked) => payment.stage = Stage::Withdrawn,
        // One that finds nothing to release changes nothing, but ends a verification.
        Stage::Open if payment.is_verification && !payment.has_posted() && part.is_none() => {
            payment.stage = Stage::Withdrawn;
        }
        Stage::Open if payment.held > 0 => {
            payment.held -= part.unwrap_or(payment.held).min(payment.held);
            payment.stage = payment.stage_of_hold();
        }
        _ => {}
    }
}

/// Sets what is held to what was sold in all, less what was claimed of it.
fn advise(payment: &mut Payment, amount: i128, at: i64) {
    if payment.advised_at.iter().any(|other| *other > at) {
        return;
    }
    match payment.stage {
        Stage::Asked if amount == 0 => payment.stage = Stage::Withdrawn,
        Stage::Unknown | Stage::Asked | Stage::Declined | Stage::Withdrawn => {
            if amount > 0 {
                (payment.stage, payment.held, payment.is_verification) = (Stage::Open, amount, false);
                payment.was_held = true;
            }
        }
        // A claim of a verified card posted as one that nobody authorized.
        Stage::Open if payment.is_verification && payment.has_posted() => {}
        Stage::Open | Stage::Reversed => {
            // A claim beyond a hold that stands is no part of it.
            let claimed =
                if payment.stage == Stage::Open { payment.against_hold } else { payment.captured() };
            let hold = (amount - claimed).max(0);
            let is_lowered = hold < payment.held && payment.is_current(at);
            if hold > payment.held || is_lowered {
                (payment.held, payment.is_verification) = (hold, false);
                payment.was_held |= hold > 0;
                payment.stage = payment.stage_of_hold();
            }
        }
        Stage::Cleared | Stage::Expired | Stage::Forced | Stage::Linked => {}
    }
}

fn pull(payment: &mut Payment, what: &What) {
    match what {
        What::PullIncluded { leg, amount } => {
            payment.pulls.push((*leg, *amount));
            payment.in_transit += amount;
        }
        What::PullFinal { leg } | What::PullReorged { leg } => {
            let Some(index) = payment.pulls.iter().position(|(of, _)| of == leg) else { return };
            let (_, amount) = payment.pulls.remove(index);
            payment.in_transit -= amount;
            payment.pulled += if matches!(what, What::PullFinal { .. }) { amount } else { 0 };
        }
        _ => {}
    }
}

/// Pulled money came back: what is more than is owed back was still held, and is not any more.
fn come_back(payment: &mut Payment, amount: i128) {
    let beyond = (amount - payment.owed_back()).max(0);
    payment.returned += amount.min(payment.kept());
    if payment.stage == Stage::Open && beyond > 0 {
        reverse(payment, Some(beyond));
    }
}

fn refund_amount(facts: &[Fact], stream: &str) -> i128 {
    let amounts = facts.iter().filter(|fact| fact.payment == stream).filter_map(|fact| match fact.what {
        What::Refunded { amount, .. } => Some(amount),
        _ => None,
    });
    amounts.take(1).sum()
}
