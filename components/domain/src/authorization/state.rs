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
    pub clearings: BTreeMap<String, Minor>,
    /// The sum of `clearings`.
    pub cleared: Minor,
    /// Whether the last clearing has come.
    pub closed: bool,
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
                if let Ok(cleared) = payment.cleared.plus(clearing.amount.minor) {
                    payment.cleared = cleared;
                    payment.clearings.insert(clearing.clearing_id.clone(), clearing.amount.minor);
                    payment.closed = clearing.is_final;
                }
                Self::Payment(payment)
            }
            // No decision makes these pairs; a fold must be total all the same.
            (state, _) => state,
        }
    }
}
