//! The shape of business logic: an initial state, a decision, and a fold.
//!
//! A decider is a pure function of its arguments. What it cannot know (ids, times, the account whose partition
//! it runs in) comes in with the command.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::{Encoded, Entries, Entry, Message, StateFault, Timestamp, Undecodable};

/// One kind of stream: which commands it takes, which events they cause, and what state remains.
pub trait Decider {
    /// The kind's name, which begins its streams' ids.
    const AGGREGATE: &'static str;
    /// The version of the state's form. Raise it when `State` or an entry changes: snapshots of another version are
    /// refolded.
    const STATE_VERSION: u32;
    /// Whether a state has entries. Then the functions about them are its own.
    const HAS_ENTRIES: bool = false;

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

    /// The keys of all entries that deciding a command may need, and folding the events that it may cause.
    fn command_keys(_command: &Self::Command) -> Vec<String> {
        Vec::new()
    }

    /// The keys of all entries that folding an event may need.
    fn event_keys(_event: &Self::Event) -> Vec<String> {
        Vec::new()
    }

    /// The state's entries. They are no part of its bytes.
    fn entries(_state: &mut Self::State) -> Option<&mut Entries> {
        None
    }
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
    /// Those that [`message_keys`] named for the commands, each once.
    pub entries: Vec<Entry>,
    /// Each is decided on the state that the ones before it leave behind.
    pub commands: Vec<(CommandContext, Encoded)>,
}

/// A turn's answer.
#[derive(Debug, Clone)]
pub struct Decided {
    /// The state after all accepted commands.
    pub state: Vec<u8>,
    /// The entries that the events of all accepted commands changed, each once.
    pub entries: Vec<Entry>,
    /// One for each command, in order.
    pub outcomes: Vec<Outcome>,
}

/// A state that events were folded into.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Folded {
    /// The state after all events.
    pub state: Vec<u8>,
    /// The entries that changed, each once.
    pub entries: Vec<Entry>,
}

/// The keys of the entries that a command needs to be decided, or an event to be folded, each once. None if it cannot
/// be read.
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

/// Decides a turn in the form that crosses the sandbox's border. Fails only if the state or its entries cannot be read,
/// or an entry was needed that was not named.
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

/// Folds stored events into a state. The error says which event could not be read, or what else is wrong.
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
        bytes => serde_json::from_slice(bytes).map_err(|error| StateFault::unreadable(&error))?,
    };
    if let Some(entries) = D::entries(&mut state) {
        *entries = Entries::part(named.iter().cloned());
    }
    Ok(state)
}

fn write_state<D: Decider>(mut state: D::State) -> Result<Folded, StateFault> {
    let entries = D::entries(&mut state).map(std::mem::take).unwrap_or_default().changes()?;
    let state = crate::json::to_vec(&state).map_err(|error| StateFault::unreadable(&error))?;
    Ok(Folded { state, entries })
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
