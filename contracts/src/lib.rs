//! Development chain: an anvil node with the project's own contracts, which emit the same events as Gnosis Pay, and
//! the parties that act on it: a delegate that signs swipes, a relayer that sends them, an issuer that refunds.
//!
//! Everything here happens on a chain, by signed transactions. Nothing here depends on the host, its database or its
//! payments, and none of it runs in production.

mod abi;
mod anvil;
mod client;
mod deployment;
mod devchain;
mod oddity;
pub mod pool;
mod spend;

pub use anvil::{Anvil, AnvilOptions};
pub use client::{Mined, Party, install_cryptography};
pub use deployment::{Account, Deployment, Limit};
pub use devchain::{DevChain, Swipe};
pub use oddity::Oddity;
pub use spend::{Sent, SignedSpend};
