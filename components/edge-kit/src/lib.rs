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

/// What a request needs, so that no instance asks for more: each growth of its memory is a call into the kernel.
#[cfg(all(feature = "spin", target_arch = "wasm32"))]
static FIRST: clearfold_arena::First<{ 128 << 10 }> = clearfold_arena::First::new();

#[cfg(all(feature = "spin", target_arch = "wasm32"))]
#[global_allocator]
static ARENA: clearfold_arena::LinearArena = clearfold_arena::LinearArena::beginning_with(&FIRST);
