//! A sample: what an account adds up, up to a limit. It decides from what it is given, and never asks a clock or anybody
//! else: ids and times come in with the command.

use clearfold_kernel::{
    CommandContext, Decider, Entries, ExternalId, Minor, MoneyError, Rejection, Timestamp, messages,
};
use serde::{Deserialize, Serialize};

clearfold_guest::export_decider!(SampleDecider);

/// Opens it. Once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenSample {
    pub limit: Minor,
}

/// Adds to it, each entry once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AddToSample {
    /// An idempotency key is remembered for a while, this for ever.
    pub entry_id: ExternalId,
    pub amount: Minor,
}

messages! {
    /// What can be asked for: in the imperative, each with the version of its schema.
    pub enum Command {
        /// Opens it.
        OpenSample = 1,
        /// Adds to it.
        AddToSample = 1,
    }
}

/// It is there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SampleOpened {
    pub account: String,
    pub limit: Minor,
    pub at: Timestamp,
}

/// It has grown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SampleRaised {
    pub account: String,
    pub entry_id: ExternalId,
    pub amount: Minor,
    pub total: Minor,
    pub at: Timestamp,
}

messages! {
    /// What can have happened: in the past. What the log holds once is read for ever.
    pub enum Event {
        /// It is there.
        SampleOpened = 1,
        /// It has grown.
        SampleRaised = 1,
    }
}

/// What the events add up to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    opened: Option<Opened>,
    /// What would grow with every event is no part of a state's bytes: here, the amount of each entry by its id.
    #[serde(skip)]
    entries: Entries,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Opened {
    account: String,
    limit: Minor,
    total: Minor,
}

/// The decider.
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
            // Satisfied already.
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

    // Only the entries that are named here are at hand.

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

/// Under what an entry is remembered.
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
        // Satisfied already, whatever key it came under.
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
