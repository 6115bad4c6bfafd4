//! The shape of business logic: an initial state, a decision, and a fold.
//!
//! A decider is a pure function of its arguments. What it cannot know (ids, times, the account whose partition
//! it runs in) comes in with the command.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::{Encoded, Message, Timestamp, Undecodable};

/// One kind of stream: which commands it takes, which events they cause, and what state remains.
pub trait Decider {
    /// The kind's name, which begins its streams' ids.
    const AGGREGATE: &'static str;
    /// The version of the state's form. Raise it when `State` changes: snapshots of another version are refolded.
    const STATE_VERSION: u32;

    /// What the events add up to.
    type State: Clone + Default + Serialize + DeserializeOwned;
    /// What can be asked for.
    type Command: Message;
    /// What can have happened.
    type Event: Message;

    /// The events that a command causes, none if it is already satisfied, or why it is refused.
    fn decide(
        state: &Self::State,
        command: &Self::Command,
        context: &CommandContext,
    ) -> Result<Vec<Self::Event>, Rejection>;

    /// The state after an event. Total: what was decided has happened.
    fn evolve(state: Self::State, event: &Self::Event) -> Self::State;
}

/// What comes with a command beside its content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandContext {
    /// The stream's id without the kind's name.
    pub id: String,
    /// The account whose partition this is.
    pub routing_key: String,
    /// Who sends it, as the host knows it.
    pub actor: String,
    /// The host's clock when it accepted the command: the only "now" there is.
    pub accepted_at: Timestamp,
}

impl CommandContext {
    /// The actor of what was seen on chain. Nobody else can say that something was.
    pub const CHAIN: &'static str = "chain";
}

/// Why nothing happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejection {
    /// A stable code from the documented list.
    pub code: String,
    /// What was wrong and what to do about it.
    pub detail: String,
}

impl Rejection {
    /// A refusal under a code, with a sentence for the caller.
    pub fn new(code: &str, detail: impl Into<String>) -> Self {
        Self { code: code.to_owned(), detail: detail.into() }
    }
}

impl From<Undecodable> for Rejection {
    fn from(error: Undecodable) -> Self {
        Self::new(error.code(), error.to_string())
    }
}

/// What became of one command: events to append, or a refusal.
pub type Outcome = Result<Vec<Encoded>, Rejection>;

/// Commands that follow each other on one stream, and its state before them.
#[derive(Debug, Clone)]
pub struct Turn {
    /// As [`decide_turn`] or [`evolve_state`] gave it; empty for a stream without events.
    pub state: Vec<u8>,
    /// Each is decided on the state that the ones before it leave behind.
    pub commands: Vec<(CommandContext, Encoded)>,
}

/// A turn's answer.
#[derive(Debug, Clone)]
pub struct Decided {
    /// The state after all accepted commands.
    pub state: Vec<u8>,
    /// One for each command, in order.
    pub outcomes: Vec<Outcome>,
}

/// Decides a turn in the form that crosses the sandbox's border. Fails only if the state cannot be read.
pub fn decide_turn<D: Decider>(turn: &Turn) -> Result<Decided, serde_json::Error> {
    let mut state: D::State = read_state::<D>(&turn.state)?;
    let mut outcomes = Vec::with_capacity(turn.commands.len());
    for (context, command) in &turn.commands {
        outcomes.push(match decide_one::<D>(&state, context, command) {
            Ok((events, encoded)) => {
                state = events.iter().fold(state, D::evolve);
                Ok(encoded)
            }
            Err(rejection) => Err(rejection),
        });
    }
    Ok(Decided { state: serde_json::to_vec(&state)?, outcomes })
}

/// Folds stored events into a state. The error says which event could not be read.
pub fn evolve_state<D: Decider>(state: &[u8], events: &[Encoded]) -> Result<Vec<u8>, String> {
    let unreadable = |error: serde_json::Error| format!("the state cannot be read or written: {error}");
    let mut folded: D::State = read_state::<D>(state).map_err(unreadable)?;
    for (index, event) in events.iter().enumerate() {
        let event = D::Event::decode(&event.kind, event.schema_version, &event.payload)
            .map_err(|error| format!("event {index} of the batch: {error}"))?;
        folded = D::evolve(folded, &event);
    }
    serde_json::to_vec(&folded).map_err(unreadable)
}

fn read_state<D: Decider>(state: &[u8]) -> Result<D::State, serde_json::Error> {
    if state.is_empty() { Ok(D::State::default()) } else { serde_json::from_slice(state) }
}

/// The events of a command, also as they are stored.
fn decide_one<D: Decider>(
    state: &D::State,
    context: &CommandContext,
    command: &Encoded,
) -> Result<(Vec<D::Event>, Vec<Encoded>), Rejection> {
    let command = D::Command::decode(&command.kind, command.schema_version, &command.payload)?;
    let events = D::decide(state, &command, context)?;
    let encoded = events.iter().map(Message::encode).collect::<Result<_, _>>()?;
    Ok((events, encoded))
}
