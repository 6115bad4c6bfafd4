//! Hostile components are refused or contained, and after each the same engine still decides a payment as before.
//!
//! These tests have a process of their own and run one at a time, so that the memory of the process is theirs.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails loudly")]

mod contained;
mod lies;
mod refused;
mod runaway;
