//! The Clearfold host: it owns the event store, the outbox and the chain listener, and runs the components.
//!
//! The modules stand in the order in which a swipe passes them: [`chain`] sees it, [`command`] has it decided and
//! [`event_store`] keeps it, [`outbox`] publishes on the [`bus`], [`projection`] builds tables, [`query`] reads
//! them and [`api`] answers. [`runtime`] is the sandbox beside them all; [`audit`] checks
//! afterwards what they have made, and [`integrity`] that it is still what they made. Payloads are bytes throughout:
//! what a payment is, only the components know.

pub mod api;
pub mod audit;
pub mod background;
pub mod bus;
pub mod chain;
pub mod cli;
pub mod clock;
pub mod command;
pub mod config;
pub mod database;
pub mod digest;
pub mod event_store;
pub mod faults;
mod inbox_keeper;
pub mod integrity;
pub mod manifest;
pub mod outbox;
pub mod parts;
pub mod projection;
pub mod query;
pub mod registry;
pub mod runtime;
pub mod signature;
pub mod telemetry;
