//! Table of the projection, and the documents in its cells.

use clearfold_kernel::Timestamp;
use serde::{Deserialize, Serialize};

use crate::projecting::{Document, Number, table, words};

/// State of an instance or of a flow: what it waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum State {
    Ended,
    Running,
    Waiting,
    Compensating,
    Parked,
}

words!(State {
    Ended = "ended",
    Running = "running",
    Waiting = "waiting",
    Compensating = "compensating",
    Parked = "parked",
});

table! {
    /// One row for each instance.
    pub(super) struct Instance in "instance", indexes [
        [state, updated_at, instance],
        [open, updated_at, instance],
        [updated_at, instance],
    ] {
        key {
            /// Stream of the instance.
            instance: String,
        }
        saga: String,
        /// Id of the followed stream, without its aggregate.
        id: String,
        /// Digest of the component on which it began.
        component: String,
        /// The most urgent state of its flows.
        state: State,
        /// True unless it has ended.
        open: bool,
        /// Flows that have not ended, a list of [`OpenFlow`].
        flows: Document,
        /// Events of the followed stream that wait, a list of [`WaitingEvent`].
        waiting_events: Document,
        /// Number of answers that said otherwise than an operator had.
        contradiction_count: Number,
        began_at: Timestamp,
        updated_at: Timestamp,
    }
}

/// Flow that has not ended.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct OpenFlow {
    pub flow: u32,
    pub name: String,
    pub lane: String,
    pub state: State,
    /// Step that began last; none before the first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub step: Option<String>,
    pub compensating: bool,
    /// Time until which it waits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// Code and text of the reason why it is parked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

/// Event of the followed stream that waits.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct WaitingEvent {
    pub version: u64,
    /// Code and text of the reason why it could not be observed; none if it waits behind one that could not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}
