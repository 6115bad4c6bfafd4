//! What edge components share: signatures with a replay window, customers' tokens, replies, and the way to the host.
//!
//! Everything but [`host`] is pure: the time, the secret and the request are arguments. Nothing here knows a network,
//! a provider or a business rule.

#[cfg(feature = "spin")]
pub mod host;
mod reply;
mod secrets;
mod signature;
mod token;

pub use reply::{JSON, PROBLEM, Reply, Said};
pub use secrets::{NoSecret, Secrets};
pub use signature::{Refused, SIGNATURE, Signed, TIMESTAMP};
pub use token::{InvalidToken, account_of};
