//! Value types of payments, and the trait of each kind of handler.
//!
//! Pure: no I/O, no clock, no randomness, no business rule. The host and the domain both use these types; neither
//! depends on the other's. The types that cross the sandbox boundary are described in `wit/`, and `guest` converts
//! between the two.

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
mod saga;
#[cfg(feature = "schema")]
pub mod schema;
mod state;
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
pub use json::holds_zero;
#[doc(hidden)]
pub use message::internals as message_internals;
pub use message::{Encoded, Message, MessageType, Superseded, Undecodable};
pub use money::{Amount, Asset, Minor, MoneyError};
pub use projector::{
    Change, Column, ColumnRule, ColumnType, ProjectionDescriptor, Projector, RecordedEvent, Row, RowKey,
    Table, Value,
};
pub use saga::{
    Action, EffectAnswer, Flow, Observed, Phase, PlannedStep, Retry, Saga, Step, StepCall, Subject,
    observe_message,
};
pub use state::{decode_state, encode_state};
pub use stored::StoredState;
pub use timestamp::{InvalidTimestamp, Timestamp};
pub use translator::{
    ExecutedPull, Log, LogFilter, Refusal, Selection, Transaction, Translated, TranslatedCommand, Translator,
};
