//! Network fees of records: kept with the record that states them, and stated as taken back by the decision after which
//! nothing is left of it.
//!
//! | decision | fees |
//! |---|---|
//! | a clearing posts, is force posted or suspended; a refund of the network is linked or not | stated, if the record states them |
//! | a suspended clearing is charged | stated when it was suspended, and not again |
//! | a clearing or a refund is reversed, and nothing is left of it | taken back |
//! | … a part of it | not taken back: no rule says which part of a fixed fee it is |
//! | a suspended clearing is returned; an unlinked refund is taken back | taken back |
//!
//! They change no amount of the payment and decide nothing; a repeat of a record may state others, and has no effect.

use std::collections::BTreeMap;

use clearfold_kernel::{ExternalId, Rejection, Timestamp};
use serde::{Deserialize, Serialize};

use super::messages::{Event, Parties, RecordRefund, RefundOrigin, ReversedRecord};
use crate::network::NetworkFees;

/// Network fees of the records that were not taken back.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fees {
    /// Fees of clearings, by the clearing's id.
    pub of_clearings: BTreeMap<ExternalId, NetworkFees>,
    /// Fees of refunds, by the network's id of the refund.
    pub of_refunds: BTreeMap<ExternalId, NetworkFees>,
}

/// Network fees that an event states, or states as taken back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatedFees<'a> {
    /// Parties of the payment.
    pub parties: &'a Parties,
    /// Record that they belong to.
    pub of: ReversedRecord,
    /// Fees.
    pub fees: &'a NetworkFees,
    /// True if they are taken back with their record.
    pub is_back: bool,
    /// Time that the network states, or of the resolution.
    pub occurred_at: Timestamp,
}

impl Event {
    /// Returns the network fees that the event states, or states as taken back.
    #[must_use]
    pub fn network_fees(&self) -> Option<StatedFees<'_>> {
        let (parties, fees, is_back, occurred_at) = match self {
            Self::ClearingPosted(event) => (&event.parties, &event.network_fees, false, event.occurred_at),
            Self::ForcePosted(event) => (&event.parties, &event.network_fees, false, event.occurred_at),
            Self::ClearingSuspended(event) => (&event.parties, &event.network_fees, false, event.occurred_at),
            Self::RefundLinked(event) => (&event.parties, &event.network_fees, false, event.occurred_at),
            Self::RefundUnlinked(event) => (&event.parties, &event.network_fees, false, event.occurred_at),
            Self::ClearingReversed(event) => {
                (&event.parties, &event.network_fees_back, true, event.occurred_at)
            }
            Self::RefundReversed(event) => {
                (&event.parties, &event.network_fees_back, true, event.occurred_at)
            }
            Self::ClearingResolved(event) => (&event.parties, &event.network_fees_back, true, event.at),
            Self::RefundResolved(event) => (&event.parties, &event.network_fees_back, true, event.at),
            _ => return None,
        };
        let fees = fees.as_deref()?;
        Some(StatedFees { parties, of: self.record()?, fees, is_back, occurred_at })
    }

    /// Returns the record of the network that an event with fees is about.
    fn record(&self) -> Option<ReversedRecord> {
        let clearing = |id: &ExternalId| Some(ReversedRecord::Clearing(id.clone()));
        let refund = |origin: &RefundOrigin| match origin {
            RefundOrigin::Network(id) => Some(ReversedRecord::Refund(id.clone())),
            RefundOrigin::Chain(_) => None,
        };
        match self {
            Self::ClearingPosted(event) => clearing(&event.clearing_id),
            Self::ForcePosted(event) => clearing(&event.clearing_id),
            Self::ClearingSuspended(event) => clearing(&event.clearing_id),
            Self::ClearingReversed(event) => clearing(&event.clearing_id),
            Self::ClearingResolved(event) => clearing(&event.clearing_id),
            Self::RefundLinked(event) => refund(&event.origin),
            Self::RefundUnlinked(event) => refund(&event.origin),
            Self::RefundResolved(event) => refund(&event.origin),
            Self::RefundReversed(event) => Some(ReversedRecord::Refund(event.refund_id.clone())),
            _ => None,
        }
    }
}

impl Fees {
    /// Returns the fees of a record that is taken back, for the event that says so.
    pub(super) fn of(&self, of: &ReversedRecord) -> Option<Box<NetworkFees>> {
        let fees = match of {
            ReversedRecord::Clearing(id) => self.of_clearings.get(id),
            ReversedRecord::Refund(id) => self.of_refunds.get(id),
        };
        fees.cloned().map(Box::new)
    }

    /// Applies an event: keeps what a record states, and forgets what was taken back, so that it is so once.
    pub(super) fn apply(&mut self, event: &Event) {
        let Some(StatedFees { of, fees, is_back, .. }) = event.network_fees() else { return };
        let (kept, id) = match of {
            ReversedRecord::Clearing(id) => (&mut self.of_clearings, id),
            ReversedRecord::Refund(id) => (&mut self.of_refunds, id),
        };
        match is_back {
            true => kept.remove(&id),
            false => kept.insert(id, fees.clone()),
        };
    }
}

/// Checks that a refund with network fees is a record of the network: a transfer on chain has none, and no reversal would
/// take them back.
pub(super) fn check(refund: &RecordRefund) -> Result<(), Rejection> {
    match (&refund.origin, &refund.network_fees) {
        (RefundOrigin::Chain(_), Some(_)) => {
            let detail =
                "a refund on chain is no record of the network; state its fees with the network's record";
            Err(Rejection::new("fees_of_chain", detail))
        }
        _ => Ok(()),
    }
}
