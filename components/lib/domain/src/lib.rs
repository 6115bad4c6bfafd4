//! Domain logic of card payments, as pure functions.
//!
//! Each module is one handler's whole logic and says so in its name: [`gnosis_pay`] reads the chain;
//! [`authorization`], [`account`] and [`card`] decide; [`authorization_saga`] carries a payment through the three;
//! [`payments`], [`merchants`], [`disputes`], [`balances`], [`card_usage`], [`settlement`] and [`sagas`] build tables;
//! [`invariants`] audits. [`bookings`] says which commands to account and card follow from an authorization's events.
//! Shared code stands beside them: [`policy`] (rules as data tables), [`network`] (the card network's vocabulary), [`verification`]
//! (results of checks of card and holder),
//! [`checks`] (checks on every command), [`projecting`] (rows as types).
//! No module does I/O, reads a clock or draws a random number; the thin crates beside this one put each handler
//! behind its WIT world.

#![warn(missing_docs)]
#![cfg_attr(not(test), warn(clippy::arithmetic_side_effects))]

pub mod account;
pub mod authorization;
pub mod authorization_saga;
pub mod balances;
pub mod bookings;
pub mod card;
pub mod card_usage;
pub mod checks;
pub mod disputes;
pub mod gnosis_pay;
pub mod invariants;
pub mod merchants;
pub mod network;
pub mod payments;
pub mod policy;
pub mod projecting;
pub mod sagas;
#[cfg(feature = "schema")]
pub mod schema;
pub mod settlement;
pub mod verification;
