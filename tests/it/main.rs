//! Tests of the whole system from outside.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails loudly")]

mod aborts;
mod audit;
mod authoring;
mod authorize;
mod bad_input;
mod canary;
mod command_line;
mod compiler;
mod components;
mod crash;
mod deploy;
mod deposits;
mod edge;
mod edge_customer;
mod edge_host;
mod edge_increments;
mod effects;
mod entries;
mod hot_swap;
mod inbox;
mod integrity;
mod listener;
mod outages;
mod projection;
mod proof;
mod pulls;
mod registry;

mod rebuild;
mod rivals;
mod saga_orders;
mod sagas;
mod scene;
mod soak;
mod spec;
mod spin;
mod store;
mod submitter;
mod submitter_world;
mod supervised;
mod swipe;
mod switch;
mod translate;
mod upgrade;
mod vouched;
mod writer;
