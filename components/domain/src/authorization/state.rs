//! What a payment's events add up to.

use std::collections::BTreeMap;

use clearfold_kernel::{Address, Amount, Hash, Minor};
use serde::{Deserialize, Serialize};

use super::messages::Event;

/// The state of an authorization's stream.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum State {
    /// Nothing has happened.
    #[default]
    New,
    /// A payment.
    Payment(Payment),
    /// An unlinked refund: complete with its first event.
    Refund {
        /// The Safe that was paid.
        account: Address,
        /// How much it got back.
        amount: Amount,
        /// The transaction that paid it back.
        transaction_hash: Hash,
    },
}

/// A payment that was made on chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Payment {
    /// The Safe that paid.
    pub account: Address,
    /// What it paid.
    pub amount: Amount,
    /// The transaction that paid it.
    pub transaction_hash: Hash,
    /// What the network has claimed, by its record's id.
    pub clearings: BTreeMap<String, Clearing>,
    /// The sum of what they claimed.
    pub cleared: Minor,
    /// Whether the last clearing has come.
    pub closed: bool,
}

/// A clearing that was posted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Clearing {
    /// How much it claimed.
    pub claimed: Minor,
    /// Whether it was presented as the last one.
    pub is_final: bool,
}

impl Payment {
    /// What is still held for clearings to come: nothing once they have claimed the payment or more.
    #[must_use]
    pub fn held(&self) -> Minor {
        self.amount.minor.minus(self.cleared).unwrap_or(Minor::ZERO)
    }
}

impl State {
    pub(super) fn after(self, event: &Event) -> Self {
        match (self, event) {
            (Self::New, Event::SwipeRecorded(swipe)) => Self::Payment(Payment {
                account: swipe.account,
                amount: swipe.amount.clone(),
                transaction_hash: swipe.source.transaction_hash,
                clearings: BTreeMap::new(),
                cleared: Minor::ZERO,
                closed: false,
            }),
            (Self::New, Event::RefundUnlinked(refund)) => Self::Refund {
                account: refund.account,
                amount: refund.amount.clone(),
                transaction_hash: refund.source.transaction_hash,
            },
            (Self::Payment(mut payment), Event::ClearingPosted(clearing)) => {
                // The decision checked that the sum fits; an event that did not come from it changes nothing.
                let sums =
                    clearing.claimed().and_then(|claimed| Ok((claimed, payment.cleared.plus(claimed)?)));
                if let Ok((claimed, cleared)) = sums {
                    payment.cleared = cleared;
                    let posted = Clearing { claimed, is_final: clearing.is_final };
                    payment.clearings.insert(clearing.clearing_id.clone(), posted);
                    payment.closed = clearing.is_final;
                }
                Self::Payment(payment)
            }
            // No decision makes these pairs; a fold must be total all the same.
            (state, _) => state,
        }
    }
}
