//! Decider of `sample` streams: each adds up entries of an account, up to a limit. Decisions depend on the arguments
//! only: there is no clock and no other source, so ids and times come with the command.

use clearfold_kernel::{
    CommandContext, Decider, Entries, ExternalId, Minor, MoneyError, Rejection, Timestamp, messages,
};
use serde::{Deserialize, Serialize};

clearfold_guest::export_decider!(SampleDecider);

/// Opens a stream, once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenSample {
    pub limit: Minor,
}

/// Adds an entry. Adding the same entry again changes nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AddToSample {
    /// Id of the entry in the client's system. It is remembered for ever, where an idempotency key expires.
    pub entry_id: ExternalId,
    pub amount: Minor,
}

messages! {
    /// Commands: imperative names, each with the version of its schema.
    pub enum Command {
        /// Opens a stream.
        OpenSample = 1,
        /// Adds an entry.
        AddToSample = 1,
    }
}

/// The stream was opened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SampleOpened {
    pub account: String,
    pub limit: Minor,
    pub at: Timestamp,
}

/// An entry was added.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SampleRaised {
    pub account: String,
    pub entry_id: ExternalId,
    pub amount: Minor,
    pub total: Minor,
    pub at: Timestamp,
}

messages! {
    /// Events: names in the past tense. An event stays in the log for ever, so its schema must stay readable.
    pub enum Event {
        /// The stream was opened.
        SampleOpened = 1,
        /// An entry was added.
        SampleRaised = 1,
    }
}

/// State that the events add up to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    opened: Option<Opened>,
    /// Amount of each entry by its id. Data that grows with every event is kept as entries, outside the state's bytes.
    #[serde(skip)]
    entries: Entries,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Opened {
    account: String,
    limit: Minor,
    total: Minor,
}

/// Decider of the `sample` aggregate.
pub struct SampleDecider;

impl Decider for SampleDecider {
    const AGGREGATE: &'static str = "sample";
    const STATE_VERSION: u32 = 1;
    const HAS_ENTRIES: bool = true;

    type State = State;
    type Command = Command;
    type Event = Event;

    fn decide(state: &State, command: &Command, context: &CommandContext) -> Result<Vec<Event>, Rejection> {
        match (command, &state.opened) {
            (Command::OpenSample(open), None) => Ok(vec![Event::SampleOpened(SampleOpened {
                account: context.routing_key.clone(),
                limit: open.limit,
                at: context.accepted_at,
            })]),
            // A repeat that is satisfied already causes no event.
            (Command::OpenSample(open), Some(opened)) if open.limit == opened.limit => Ok(Vec::new()),
            (Command::OpenSample(_), Some(_)) => {
                Err(Rejection::new("already_opened", format!("{} was opened with another limit", context.id)))
            }
            (Command::AddToSample(_), None) => {
                Err(Rejection::new("not_opened", format!("{} must be opened first", context.id)))
            }
            (Command::AddToSample(add), Some(opened)) => raise(opened, &state.entries, add, context),
        }
    }

    fn evolve(mut state: State, event: &Event) -> State {
        match event {
            Event::SampleOpened(opened) => {
                let (account, limit) = (opened.account.clone(), opened.limit);
                state.opened = Some(Opened { account, limit, total: Minor::ZERO });
            }
            Event::SampleRaised(raised) => {
                state.entries.set(&key(&raised.entry_id), &raised.amount);
                state.opened = state.opened.map(|opened| Opened { total: raised.total, ..opened });
            }
        }
        state
    }

    // `decide` and `evolve` can read only the entries that these two functions name.

    fn command_keys(command: &Command) -> Vec<String> {
        match command {
            Command::OpenSample(_) => Vec::new(),
            Command::AddToSample(add) => vec![key(&add.entry_id)],
        }
    }

    fn event_keys(event: &Event) -> Vec<String> {
        match event {
            Event::SampleOpened(_) => Vec::new(),
            Event::SampleRaised(raised) => vec![key(&raised.entry_id)],
        }
    }

    fn entries(state: &mut State) -> Option<&mut Entries> {
        Some(&mut state.entries)
    }
}

/// Key of an entry in the state.
fn key(entry_id: &ExternalId) -> String {
    format!("entry/{entry_id}")
}

fn raise(
    opened: &Opened,
    entries: &Entries,
    add: &AddToSample,
    context: &CommandContext,
) -> Result<Vec<Event>, Rejection> {
    if opened.account != context.routing_key {
        return Err(Rejection::new("account_mismatch", format!("this is of {}", opened.account)));
    }
    match entries.get::<Minor>(&key(&add.entry_id)) {
        // It was added already, perhaps under another idempotency key.
        Some(amount) if amount == add.amount => return Ok(Vec::new()),
        Some(amount) => {
            let detail = format!("{} was added before, with {amount}", add.entry_id);
            return Err(Rejection::new("duplicate_mismatch", detail));
        }
        None => {}
    }
    let too_much = |error: MoneyError| Rejection::new("amount_too_large", error.to_string());
    let total = opened.total.plus(add.amount).map_err(too_much)?;
    if total > opened.limit {
        return Err(Rejection::new(
            "limit_exceeded",
            format!("{total} is above the limit, {}", opened.limit),
        ));
    }
    Ok(vec![Event::SampleRaised(SampleRaised {
        account: context.routing_key.clone(),
        entry_id: add.entry_id.clone(),
        amount: add.amount,
        total,
        at: context.accepted_at,
    })])
}
