//! The sandbox: loads components, holds them to their world and their limits, and calls them.
//!
//! Handlers run in a synchronous engine, a fresh instance for every call; HTTP components in [`edge`]. Nothing
//! here knows what a payload means, reads a database or decides anything. A fault of a component is an error
//! that names it, and never more than that.

mod admission;
mod auditor;
mod compiled;
mod compiler;
mod component;
mod decider;
pub mod edge;
mod engine;
mod fault;
mod inspect;
mod kind;
mod limits;
pub mod manifest;
mod projector;
mod translator;

pub use admission::Refused;
pub use auditor::{AuditedEvent, Auditor, AuditorDescriptor, Invariant, Violation};
pub use compiler::{Bounds, Code, CompileError, Compiler, compile_in_a_hurry, compiler_is_asked_for};
pub use component::{ComponentId, RuntimeError};
pub use decider::{
    Decided, Decider, Entry, Folded, Message, Outcome, Rejection, Turn, WholeState, WireCommand,
};
pub use engine::HandlerEngine;
pub use fault::{Excess, Fault, FaultCause};
pub use inspect::{HANDLERS, Inspection, WIT_VERSION, inspect};
pub use kind::{ComponentKind, UnknownKind};
pub use limits::{Limits, MAX_COMPONENT_BYTES};
pub use projector::{
    Change, ColumnRule, ColumnType, Event, ProjectionColumn, ProjectionDescriptor, Projector, Row, RowKey,
    Table, Value,
};
pub use translator::{Log, Refusal, Transaction, Translated, TranslatedCommand, Translator};
