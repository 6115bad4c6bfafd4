//! The host program: it reads the configuration, puts the other crates together, and serves the API.
//!
//! A swipe passes the crates in this order: [`clearfold_chain`] reads it, [`clearfold_engine`] has it decided,
//! [`clearfold_store`] keeps it, [`clearfold_bus`] publishes it, [`clearfold_views`] builds and reads tables, and [`api`]
//! answers. [`clearfold_sandbox`] runs the components; [`clearfold_audit`] checks afterwards what they have made. Payloads
//! are bytes throughout: only components know what a payment is.

pub mod api;
pub mod cli;
pub mod config;
