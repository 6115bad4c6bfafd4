//! Time within which a `Spend` that somebody else submitted and a payment of the network are taken for the same, if
//! account, asset and exact amount agree. Outside of it an operator links them.
//!
//! | order | window | reason |
//! |---|---|---|
//! | the network first | 7 days | the money moves with the approval; a submitter that is down is repaired within days, and a purchase of the same amount a week later is another one |
//! | … and it gave the payment back before the money moved | 1 hour | what was sent to the chain by then is mined within minutes; a later `Spend` of the same amount is another purchase's |
//! | the chain first | 31 days | the network may claim without a request for as long as the `Spend`'s own hold lives |

use super::hold_expiry;

const DAY_S: u64 = 24 * 60 * 60;

/// Most of each side that an account remembers; the oldest are forgotten first, and are an operator's. A state is read
/// at each command, so it must stay small; and more than these are not on their way at once.
pub const REMEMBERED: usize = 64;

/// Seconds after the network asked in which its `Spend` is expected.
#[must_use]
pub const fn behind_the_network_s() -> u64 {
    7 * DAY_S
}

/// Seconds after the network gave a payment back in which a `Spend` is taken for one that was under way.
#[must_use]
pub const fn behind_a_reversal_s() -> u64 {
    60 * 60
}

/// Seconds after a `Spend` in which the network's part of it is expected.
#[must_use]
pub fn behind_the_chain_s() -> u64 {
    hold_expiry::seen_on_chain_interval_s()
}
