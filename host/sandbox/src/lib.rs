//! The sandbox: loads components, holds them to their world and their limits, and calls them.
//!
//! Handlers run in a synchronous engine, with a fresh instance for every call; HTTP components run in [`edge`].
//! Nothing here interprets a payload, reads a database or makes a decision. A fault of a component is an error that
//! names it, and has no other effect on the host.

mod admission;
mod auditor;
mod compiled;
mod compiler;
mod component;
mod decider;
pub mod edge;
mod engine;
mod error;
mod fault;
mod figures;
mod id;
mod inspect;
mod kind;
mod limits;
pub mod manifest;
mod projector;
mod saga;
mod target;
mod translator;

pub use admission::Refused;
pub use auditor::{AuditedEvent, Auditor, AuditorDescriptor, Invariant, Violation};
pub use compiler::{
    Bounds, CompileError, Compiler, compile_in_a_hurry, compile_patiently, compiler_is_asked_for,
};
pub use component::MAX_SCHEMA_VERSION;
pub use decider::{
    Decided, Decider, Decides, Entry, Folded, Message, Outcome, Rejection, Turn, WholeState, WireCommand,
};
pub use engine::HandlerEngine;
pub use error::RuntimeError;
pub use fault::{Excess, Fault, FaultCause};
pub use id::ComponentId;
pub use inspect::{Inspection, inspect};
pub use kind::{ComponentKind, KindFacts, UnknownKind};
pub use limits::{Limits, MAX_COMPONENT_BYTES};
pub use projector::{
    Change, ColumnRule, ColumnType, Event, ProjectionColumn, ProjectionDescriptor, Projector, Row, RowKey,
    Table, Value,
};
pub use saga::{
    EffectAnswer, Observation, Observed, PlannedStep, Saga, SagaAction, SagaCommand, SagaDescriptor,
    SagaEffect, SagaFlow, SagaMessage, SagaPhase, SagaRefusal, SagaRetry, SagaStep, SagaSubject, StepCall,
};
pub use target::CompileTarget;
pub use translator::{ExecutedPull, Log, Refusal, Transaction, Translated, TranslatedCommand, Translator};
