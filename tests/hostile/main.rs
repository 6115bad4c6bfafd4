//! Hostile components: refused or contained, and after each the same engine still decides a payment as before.
//!
//! A process of their own, one test at a time, so that the process's memory is theirs.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails loudly")]

mod contained;
mod lies;
mod refused;
mod runaway;
