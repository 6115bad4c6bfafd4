//! Payments that the authorization saga carries through the real deciders, from the first event to the last booking.
//!
//! `engine` runs flows as the host does, without a host. `lives` plays one life after the other; `random` interleaves
//! many of them, with the same generators and the same checks as the `histories`. At the end the model's invariants
//! hold with nothing on its way.

#![allow(clippy::expect_used, clippy::panic, reason = "a test fails loudly")]

mod chain;
mod engine;
mod fund;
mod lives;
mod random;
mod refusals;
mod world;

/// Generators and checks of the random histories; not all of what they offer is used here.
#[allow(dead_code, reason = "shared with the histories, which use the rest")]
#[path = "../histories/accounts.rs"]
mod accounts;
#[allow(dead_code, reason = "shared with the histories, which use the rest")]
#[path = "../histories/cards.rs"]
mod cards;
#[path = "../histories/claims.rs"]
mod claims;
#[path = "../histories/decisions.rs"]
mod decisions;
#[allow(dead_code, reason = "shared with the histories, which use the rest")]
#[path = "../histories/dice.rs"]
mod dice;
#[allow(dead_code, reason = "shared with the histories, which use the rest")]
#[path = "../histories/history.rs"]
mod history;
#[allow(dead_code, reason = "shared with the histories, which use the rest")]
#[path = "../histories/live.rs"]
mod live;
#[path = "../histories/numbers.rs"]
mod numbers;
#[path = "../histories/payments.rs"]
mod payments;
#[path = "../histories/twist.rs"]
mod twist;
#[path = "../histories/values.rs"]
mod values;
