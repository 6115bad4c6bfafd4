//! The development chain: an anvil node with the project's own contracts, which show the event surface of
//! Gnosis Pay, and the people who act on it: a relayer that swipes cards, an issuer that refunds.
//!
//! Everything here happens on a chain, by signed transactions. Nothing here knows the host, its database or
//! its payments, and nothing of it runs in production.

mod abi;
mod anvil;
mod client;
mod deployment;
mod devchain;
mod oddity;

pub use anvil::{Anvil, AnvilOptions};
pub use client::Mined;
pub use deployment::{Account, Deployment};
pub use devchain::{DevChain, Swipe};
pub use oddity::Oddity;
