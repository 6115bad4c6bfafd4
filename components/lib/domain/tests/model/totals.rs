//! The model's figures of the account: sums over all payments, unlinked refunds and movements, each time anew.

use std::collections::BTreeSet;

use crate::books::{Stage, owner, payment};
use crate::facts::{Fact, Resolution, What};

/// Figures of the account, each positive on its own side.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Account {
    pub customer: i128,
    pub held: i128,
    pub available: i128,
    pub safe: i128,
    pub in_transit: i128,
    pub hold: i128,
    pub settlement: i128,
    pub suspense: i128,
    pub receivable: i128,
    pub fee: i128,
    pub loss: i128,
    pub owed_back: i128,
}

/// Returns the account's figures, after all facts.
pub fn account(facts: &[Fact]) -> Account {
    let mut books = Account::default();
    for id in payments(facts) {
        let payment = payment(facts, &id);
        let back = payment.refunded + payment.won;
        books.customer += back + payment.credited + payment.exposed() - payment.captured();
        let disputes = payment.dispute_books();
        books.settlement += payment.captured() + payment.suspended - payment.refunded - disputes.from_network;
        books.suspense += payment.suspended + disputes.waits;
        books.loss += disputes.loss;
        books.receivable += payment.exposed();
        books.held += payment.held;
        books.owed_back += payment.owed_back();
        books.in_transit += payment.in_transit;
        books.hold += payment.pulled - payment.sent_back;
        books.safe += payment.sent_back - payment.pulled - payment.in_transit;
    }
    let unlinked = unlinked(facts);
    let paid_before = paid_before(facts, &unlinked);
    (books.customer, books.settlement) = (books.customer - paid_before, books.settlement + paid_before);
    for refund in &unlinked {
        let credited = refund.amount - refund.withheld;
        let (customer, settlement, suspense) = match &refund.resolution {
            None => (credited, 0, credited),
            Some(Resolution::Paid) => (refund.amount, -refund.amount, 0),
            Some(_) => (0, 0, 0),
        };
        books.customer += customer;
        books.settlement += settlement;
        books.suspense += suspense;
        books.safe += if refund.on_chain { refund.amount } else { 0 };
        books.hold -= if refund.on_chain { refund.amount } else { 0 };
    }
    for (index, fact) in facts.iter().enumerate() {
        let is_gone = |of: u64| {
            facts[index..].iter().any(|later| matches!(later.what, What::Reorged { log } if log == of))
        };
        match fact.what {
            What::Deposited { log, amount } if !is_gone(log) => {
                (books.customer, books.safe) = (books.customer + amount, books.safe + amount);
            }
            What::Withdrawn { log, amount } if !is_gone(log) => {
                (books.customer, books.safe) = (books.customer - amount, books.safe - amount);
            }
            What::SettlementPaid { amount } => {
                (books.settlement, books.hold) = (books.settlement - amount, books.hold - amount);
            }
            What::SettlementReceived { amount } => {
                (books.settlement, books.hold) = (books.settlement + amount, books.hold + amount);
            }
            What::SentBack { amount } => {
                (books.safe, books.hold) = (books.safe + amount, books.hold - amount);
            }
            What::ReceivableBooked { amount } => {
                (books.customer, books.receivable) = (books.customer + amount, books.receivable + amount);
            }
            What::ReceivableRecovered { amount } => {
                (books.customer, books.receivable) = (books.customer - amount, books.receivable - amount);
            }
            What::FeeCharged { amount } => {
                (books.customer, books.fee) = (books.customer - amount, books.fee + amount);
            }
            _ => {}
        }
    }
    books.available = books.customer - books.held - books.receivable;
    books
}

/// Returns the sum of the refunds that the network told of after an operator had found that it pays what was seen on chain:
/// they are not credited. Of several it tells of the oldest.
fn paid_before(facts: &[Fact], unlinked: &[Unlinked]) -> i128 {
    const WINDOW_MS: u64 = 7 * 24 * 60 * 60 * 1000;
    let (mut told, mut seen, mut sum) = (BTreeSet::new(), BTreeSet::new(), 0);
    for (index, fact) in facts.iter().enumerate() {
        let What::Refunded { id, amount, on_chain: false } = &fact.what else { continue };
        let is_linked = unlinked.iter().all(|refund| refund.stream != fact.payment);
        if !is_linked || !told.insert((&fact.payment, id)) {
            continue;
        }
        let oldest = unlinked.iter().find(|refund| {
            let is_open = refund.resolved.is_none_or(|resolved| resolved > index);
            let fits = refund.on_chain && refund.amount == *amount && refund.index < index;
            let is_late = fact.at_ms > facts[refund.index].at_ms + WINDOW_MS;
            let waits = is_open || refund.resolution == Some(Resolution::Paid);
            fits && waits && !is_late && !seen.contains(&refund.stream)
        });
        let Some(refund) = oldest else { continue };
        seen.insert(&refund.stream);
        if refund.resolved.is_some_and(|resolved| resolved < index) {
            sum += amount;
        }
    }
    sum
}

/// Returns the ids of all streams of payments, unlinked refunds among them.
pub fn payments(facts: &[Fact]) -> BTreeSet<String> {
    facts.iter().filter(|fact| !fact.payment.is_empty()).map(|fact| fact.payment.clone()).collect()
}

/// Refund that names no payment.
#[derive(Debug, Clone)]
pub struct Unlinked {
    pub stream: String,
    pub amount: i128,
    pub on_chain: bool,
    pub withheld: i128,
    /// Part that came back and is of no payment, so that it counts against what all of them owe back.
    unassigned: i128,
    pub resolution: Option<Resolution>,
    /// Place among the facts.
    index: usize,
    /// Place of its resolution.
    resolved: Option<usize>,
}

/// Returns the unlinked refunds in their order. Of one on chain as much is withheld as is owed back and did not come
/// back.
pub fn unlinked(facts: &[Fact]) -> Vec<Unlinked> {
    let mut refunds: Vec<Unlinked> = Vec::new();
    for (index, fact) in facts.iter().enumerate() {
        match &fact.what {
            What::Refunded { amount, on_chain, .. }
                if payment(&facts[..index], &fact.payment).stage == Stage::Unknown
                    && refunds.iter().all(|known| known.stream != fact.payment) =>
            {
                let before = &facts[..index];
                let owed_back: i128 = payments(before).iter().map(|id| payment(before, id).owed_back()).sum();
                let of_none = before.iter().map(|fact| match fact.what {
                    What::SentBack { amount } => amount,
                    _ => 0,
                });
                let unassigned = refunds.iter().map(|refund| refund.unassigned);
                let came_back: i128 = unassigned.chain(of_none).sum();
                let withheld = if *on_chain { (owed_back - came_back).clamp(0, *amount) } else { 0 };
                let (stream, resolution, unassigned, resolved) = (fact.payment.clone(), None, withheld, None);
                refunds.push(Unlinked {
                    stream,
                    amount: *amount,
                    on_chain: *on_chain,
                    withheld,
                    unassigned,
                    resolution,
                    index,
                    resolved,
                });
            }
            What::RefundResolved { as_what } => {
                let Some(known) = refunds.iter_mut().find(|known| known.stream == fact.payment) else {
                    continue;
                };
                known.unassigned = match as_what {
                    Resolution::Paid | Resolution::TakenBack | Resolution::Matched => 0,
                    Resolution::Returned(None) => known.amount,
                    Resolution::Returned(Some(of)) => {
                        let before = &facts[..index];
                        (known.amount - payment(before, owner(before, of)).kept()).max(0)
                    }
                };
                known.resolution = Some(as_what.clone());
                known.resolved = Some(index);
            }
            _ => {}
        }
    }
    refunds
}
