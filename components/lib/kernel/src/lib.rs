//! The value types of payments, and the shape that every handler has.
//!
//! Pure: no I/O, no clock, no randomness, no business rule. The host and the domain both speak these types;
//! neither speaks the other's. What crosses the sandbox's border is described in `wit/`, and `guest` maps it.

#![warn(missing_docs)]

mod auditor;
mod chain;
mod decider;
mod entries;
mod fx;
mod id;
mod json;
mod message;
mod money;
mod projector;
#[cfg(feature = "schema")]
pub mod schema;
mod stored;
mod timestamp;
mod translator;

pub use auditor::{Auditor, Invariant, Violation};
pub use chain::{Address, ChainSource, Hash, InvalidHex};
pub use decider::{
    CommandContext, Decided, Decider, Folded, Outcome, Rejection, Turn, decide_turn, evolve_state,
    message_keys,
};
pub use entries::{Entries, Entry, StateFault};
pub use fx::{Conversion, FxError, Rate};
pub use id::{ExternalId, InvalidId};
#[doc(hidden)]
pub use message::internals as message_internals;
pub use message::{Encoded, Message, MessageType, Superseded, Undecodable};
pub use money::{Amount, Asset, Minor, MoneyError};
pub use projector::{
    Change, Column, ColumnRule, ColumnType, ProjectionDescriptor, Projector, RecordedEvent, Row, RowKey,
    Table, Value,
};
pub use stored::StoredState;
pub use timestamp::{InvalidTimestamp, Timestamp};
pub use translator::{
    Log, LogFilter, Refusal, Selection, Transaction, Translated, TranslatedCommand, Translator,
};
