//! Limits within which a clearing that names no known payment is taken for the claim to a hold by card, merchant and
//! amount. Outside of them an operator links it.
//!
//! | limit | figure | reason |
//! |---|---|---|
//! | behind the request | 31 days | no hold lives longer |
//! | before the request | 1 day | some records state a day, and no time |
//! | confidence `low` | links on both networks | of clearings without an authorization most are tips and missing ids; a wrong link is undone by hand |
//!
//! A claim of less than is held is never linked by itself: the rest of the hold would be released for another purchase at
//! the same merchant.

use clearfold_kernel::Timestamp;

use crate::network::{Confidence, Network};

const DAY_S: u64 = 24 * 60 * 60;

/// Most holds without a claim that an account remembers; the oldest are forgotten first, and are linked by hand. A state is
/// read at each command, so it must stay small.
pub const REMEMBERED: usize = 64;

/// Most candidates that are named to an operator.
pub const NAMED: usize = 8;

/// Returns true if what was asked for at one time may be claimed at the other.
#[must_use]
pub fn is_within(requested_at: Timestamp, claimed_at: Timestamp) -> bool {
    requested_at <= claimed_at.after_s(DAY_S) && claimed_at <= requested_at.after_s(31 * DAY_S)
}

/// Returns true if a match of that confidence links by itself.
#[must_use]
pub const fn links(network: Network, confidence: Confidence) -> bool {
    match (network, confidence) {
        (Network::Visa | Network::Mastercard, Confidence::High | Confidence::Low) => true,
    }
}
