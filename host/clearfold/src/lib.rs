//! The host program: reads the configuration, connects the other crates, and serves the API.
//!
//! A swipe passes the crates in this order: [`clearfold_chain`] reads it, [`clearfold_engine`] has it decided,
//! [`clearfold_store`] appends it, [`clearfold_bus`] publishes it, [`clearfold_views`] builds and reads tables, and
//! [`api`] serves them. [`clearfold_sandbox`] runs the components; [`clearfold_audit`] checks their results
//! afterwards. Payloads are bytes throughout: only components know what a payment is.

pub mod api;
pub mod cli;
pub mod config;
mod effects;
mod submitter;
