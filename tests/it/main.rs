//! The whole, from outside.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails loudly")]

mod audit;
mod bad_input;
mod command_line;
mod components;
mod crash;
mod integrity;
mod listener;
mod projection;
mod spec;
mod store;
mod swipe;
mod translate;
mod writer;
