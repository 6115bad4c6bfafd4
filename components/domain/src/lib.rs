//! The business of card payments, as pure functions.
//!
//! Each module is one handler's whole logic and says so in its name: [`gnosis_pay`] reads the chain,
//! [`authorization`] decides, [`payments`] builds the tables. Nothing here does I/O, reads a clock or draws a
//! random number; the thin crates beside this one put each behind its WIT world.

#![warn(missing_docs)]
#![cfg_attr(not(test), warn(clippy::arithmetic_side_effects))]

pub mod authorization;
pub mod card;
pub mod checks;
pub mod gnosis_pay;
pub mod network;
pub mod payments;
pub mod policy;
#[cfg(feature = "schema")]
pub mod schema;
