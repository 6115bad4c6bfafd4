//! Time within which a refund that the network tells of and one on chain are taken for the same money, if account, asset
//! and exact amount agree. Outside of it an operator resolves the one on chain as `matched`.
//!
//! | order | window | reason |
//! |---|---|---|
//! | the network first | 14 days | a refund is settled within days, and paid out in a batch behind it; a longer wait would take other refunds of the same amount for it |
//! | the chain first | 7 days | the network tells of a refund when it settles it; what pays out before is a batch ahead of its file |

const DAY_S: u64 = 24 * 60 * 60;

/// Most of each side that an account remembers without a counterpart; the oldest are forgotten first, and are an
/// operator's.
pub const REMEMBERED: usize = 64;

/// Seconds after the network told of a refund in which it is expected on chain.
#[must_use]
pub const fn behind_the_network_s() -> u64 {
    14 * DAY_S
}

/// Seconds after a refund on chain in which the network is expected to tell of it.
#[must_use]
pub const fn behind_the_chain_s() -> u64 {
    7 * DAY_S
}
