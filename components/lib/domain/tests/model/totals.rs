//! The model's figures of the account: sums over all payments, unlinked refunds and movements, each time anew.

use std::collections::BTreeSet;

use crate::books::{Stage, payment};
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
    pub owed_back: i128,
}

/// Returns the account's figures, after all facts.
pub fn account(facts: &[Fact]) -> Account {
    let mut books = Account::default();
    for id in payments(facts) {
        let payment = payment(facts, &id);
        let back = payment.refunded + payment.won;
        books.customer += back + payment.credited + payment.exposed() - payment.captured();
        books.settlement += payment.captured() + payment.suspended - back;
        books.suspense += payment.suspended + payment.credited;
        books.receivable += payment.exposed();
        books.held += payment.held;
        books.owed_back += payment.owed_back();
        books.in_transit += payment.in_transit;
        books.hold += payment.pulled - payment.sent_back;
        books.safe += payment.sent_back - payment.pulled - payment.in_transit;
    }
    for refund in unlinked(facts) {
        let credited = refund.amount - refund.withheld;
        let (customer, settlement, suspense) = match refund.resolution {
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
                let (stream, resolution, unassigned) = (fact.payment.clone(), None, withheld);
                refunds.push(Unlinked {
                    stream,
                    amount: *amount,
                    on_chain: *on_chain,
                    withheld,
                    unassigned,
                    resolution,
                });
            }
            What::RefundResolved { as_what } => {
                let Some(known) = refunds.iter_mut().find(|known| known.stream == fact.payment) else {
                    continue;
                };
                known.unassigned = match as_what {
                    Resolution::Paid | Resolution::TakenBack => 0,
                    Resolution::Returned(None) => known.amount,
                    Resolution::Returned(Some(of)) => {
                        (known.amount - payment(&facts[..index], of).kept()).max(0)
                    }
                };
                known.resolution = Some(as_what.clone());
            }
            _ => {}
        }
    }
    refunds
}
