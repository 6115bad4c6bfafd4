//! Decider trait, the form of the business logic: an initial state, a decision, and a fold.
//!
//! A decider is a pure function of its arguments. What it cannot know itself (ids, times, the account whose partition
//! it runs in) comes with the command.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::{
    Encoded, Entries, Entry, Message, StateFault, Timestamp, Undecodable, decode_state, encode_state,
};

/// Logic of one kind of stream: the commands it accepts, the events they cause, and the state that the events fold
/// into.
pub trait Decider {
    /// Name of the aggregate; the stream ids begin with it.
    const AGGREGATE: &'static str;
    /// Version of the state's format. Raise it when `State`, a type in it or an entry changes: snapshots of another
    /// version are discarded and refolded, but bytes of this one are taken as they are.
    const STATE_VERSION: u32;
    /// True if the state has entries. The decider then implements `command_keys`, `event_keys` and `entries`.
    const HAS_ENTRIES: bool = false;

    /// State that the events fold into. Its serde attributes are limited as [`encode_state`] says.
    type State: Clone + Default + Serialize + DeserializeOwned;
    /// Commands that it accepts.
    type Command: Message;
    /// Events that it causes.
    type Event: Message;

    /// Decides a command: returns the events it causes (none if it is already satisfied), or the reason for its
    /// rejection.
    fn decide(
        state: &Self::State,
        command: &Self::Command,
        context: &CommandContext,
    ) -> Result<Vec<Self::Event>, Rejection>;

    /// Returns the state after an event. Total: an event has already happened, so it cannot be refused.
    fn evolve(state: Self::State, event: &Self::Event) -> Self::State;

    /// Returns the keys of all entries that may be needed to decide a command and to fold the events it may cause.
    fn command_keys(_command: &Self::Command) -> Vec<String> {
        Vec::new()
    }

    /// Returns the keys of all entries that may be needed to fold an event.
    fn event_keys(_event: &Self::Event) -> Vec<String> {
        Vec::new()
    }

    /// Gives access to the state's entries. They are not serialized with the state.
    fn entries(_state: &mut Self::State) -> Option<&mut Entries> {
        None
    }
}

/// Context of a command, beside its content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandContext {
    /// Stream id without the aggregate's name.
    pub id: String,
    /// Account whose partition this is.
    pub routing_key: String,
    /// Sender of the command, as the host knows it.
    pub actor: String,
    /// Time at which the host accepted the command, by the host's clock. A decider has no other "now".
    pub accepted_at: Timestamp,
}

impl CommandContext {
    /// Actor of commands that report what was seen on chain. No other actor can report it.
    pub const CHAIN: &'static str = "chain";
    /// Actor of commands that a saga sends because of what it observed.
    pub const SAGA: &'static str = "saga";
    /// Actor of commands that come over the API, as an operator sends them.
    pub const API: &'static str = "api";
}

/// Reason why a command was rejected; nothing changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejection {
    /// Stable code from the documented list.
    pub code: String,
    /// Sentence for the caller: what was wrong and what to do about it.
    pub detail: String,
}

impl Rejection {
    /// Creates a rejection from a code and a sentence for the caller.
    pub fn new(code: &str, detail: impl Into<String>) -> Self {
        Self { code: code.to_owned(), detail: detail.into() }
    }
}

impl From<Undecodable> for Rejection {
    fn from(error: Undecodable) -> Self {
        Self::new(error.code(), error.to_string())
    }
}

/// Outcome of one command: the events to append, or a rejection.
pub type Outcome = Result<Vec<Encoded>, Rejection>;

/// Commands that follow each other on one stream, and the stream's state before them.
#[derive(Debug, Clone)]
pub struct Turn {
    /// State as [`decide_turn`] or [`evolve_state`] returned it; empty for a stream without events.
    pub state: Vec<u8>,
    /// Entries that [`message_keys`] named for the commands, each once.
    pub entries: Vec<Entry>,
    /// Commands in order; each is decided on the state that the previous ones left.
    pub commands: Vec<(CommandContext, Encoded)>,
}

/// Result of a turn.
#[derive(Debug, Clone)]
pub struct Decided {
    /// State after all accepted commands.
    pub state: Vec<u8>,
    /// Entries that the events of all accepted commands changed, each once.
    pub entries: Vec<Entry>,
    /// One outcome for each command, in order.
    pub outcomes: Vec<Outcome>,
}

/// Result of folding events into a state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Folded {
    /// State after all events.
    pub state: Vec<u8>,
    /// Entries that changed, each once.
    pub entries: Vec<Entry>,
}

/// Returns the keys of the entries needed to decide a command or to fold an event, sorted, each once. Empty if the
/// message cannot be read.
#[must_use]
pub fn message_keys<D: Decider>(message: &Encoded) -> Vec<String> {
    let Encoded { kind, schema_version, payload } = message;
    if !D::HAS_ENTRIES {
        return Vec::new();
    }
    let named = if D::Command::TYPES.iter().any(|known| known.name == kind) {
        D::Command::decode(kind, *schema_version, payload).map(|command| D::command_keys(&command))
    } else {
        D::Event::decode(kind, *schema_version, payload).map(|event| D::event_keys(&event))
    };
    let mut keys = named.unwrap_or_default();
    keys.sort_unstable();
    keys.dedup();
    keys
}

/// Decides a turn in the form that crosses the sandbox boundary. Fails only if the state or its entries cannot be
/// read or written, or if an entry was used that was not named.
pub fn decide_turn<D: Decider>(turn: &Turn) -> Result<Decided, StateFault> {
    let mut state = read_state::<D>(&turn.state, &turn.entries)?;
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
    let Folded { state, entries } = write_state::<D>(state)?;
    Ok(Decided { state, entries, outcomes })
}

/// Folds stored events into a state. The error names the event that could not be read, or describes the fault of the
/// state.
pub fn evolve_state<D: Decider>(
    state: &[u8],
    entries: &[Entry],
    events: &[Encoded],
) -> Result<Folded, String> {
    let mut folded = read_state::<D>(state, entries).map_err(|fault| fault.to_string())?;
    for (index, event) in events.iter().enumerate() {
        let event = D::Event::decode(&event.kind, event.schema_version, &event.payload)
            .map_err(|error| format!("event {index} of the batch: {error}"))?;
        folded = D::evolve(folded, &event);
    }
    write_state::<D>(folded).map_err(|fault| fault.to_string())
}

fn read_state<D: Decider>(state: &[u8], named: &[Entry]) -> Result<D::State, StateFault> {
    let mut state = match state {
        [] => D::State::default(),
        bytes => decode_state(bytes)?,
    };
    if let Some(entries) = D::entries(&mut state) {
        *entries = Entries::part(named.iter().cloned());
    }
    Ok(state)
}

fn write_state<D: Decider>(mut state: D::State) -> Result<Folded, StateFault> {
    let entries = D::entries(&mut state).map(std::mem::take).unwrap_or_default().changes()?;
    Ok(Folded { state: encode_state(&state)?, entries })
}

/// Decides one command and returns its events, both typed and encoded.
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
