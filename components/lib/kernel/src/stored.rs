//! Stream state stored the way the host does it, for specifications and tests that run without a host.
//!
//! It hands over only the entries that were named, so a decider that forgets to name one fails here as it would in
//! the sandbox.

use crate::{
    CommandContext, Decider, Encoded, Entries, Folded, Outcome, StateFault, Turn, decide_turn, decode_state,
    evolve_state, message_keys,
};

/// State bytes of a stream, and all of its entries.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StoredState {
    /// State as a turn or a fold left it; empty for a stream without events.
    pub state: Vec<u8>,
    /// All entries of the stream.
    pub entries: Entries,
}

impl StoredState {
    /// Decides commands in one turn. If the turn fails, nothing is kept.
    pub fn decide<D: Decider>(
        &mut self,
        commands: Vec<(CommandContext, Encoded)>,
    ) -> Result<Vec<Outcome>, StateFault> {
        let keys = commands.iter().flat_map(|(_, command)| message_keys::<D>(command));
        let entries = self.entries.named(keys);
        let decided = decide_turn::<D>(&Turn { state: self.state.clone(), entries, commands })?;
        self.keep(Folded { state: decided.state, entries: decided.entries });
        Ok(decided.outcomes)
    }

    /// Folds events into the state. If the fold fails, nothing is kept.
    pub fn evolve<D: Decider>(&mut self, events: &[Encoded]) -> Result<(), String> {
        let entries = self.entries.named(events.iter().flat_map(message_keys::<D>));
        self.keep(evolve_state::<D>(&self.state, &entries, events)?);
        Ok(())
    }

    /// Stores the result of a turn or a fold.
    pub fn keep(&mut self, folded: Folded) {
        self.state = folded.state;
        self.entries.keep(folded.entries);
    }

    /// Returns the decoded state with all of its entries, for inspection.
    pub fn read<D: Decider>(&self) -> Result<D::State, StateFault> {
        let mut state = match &self.state[..] {
            [] => D::State::default(),
            bytes => decode_state(bytes)?,
        };
        if let Some(entries) = D::entries(&mut state) {
            entries.clone_from(&self.entries);
        }
        Ok(state)
    }
}

#[cfg(test)]
mod tests {
    use serde::{Deserialize, Serialize};

    use super::*;
    use crate::{Message, Rejection, Timestamp, messages};

    /// For the test.
    #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
    #[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
    struct Open {}

    /// For the test.
    #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
    #[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
    struct Lend {
        book: String,
        /// Key that is looked up without being named.
        instead_of: Option<String>,
    }

    /// For the test.
    #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
    #[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
    struct Opened {}

    /// For the test.
    #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
    #[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
    struct Lent {
        book: String,
    }

    messages! {
        /// For the test.
        enum Command {
            /// Begins.
            Open = 1,
            /// Lends a book once.
            Lend = 1,
        }
    }

    messages! {
        /// For the test.
        enum Event {
            /// It began.
            Opened = 1,
            /// A book was lent.
            Lent = 1,
        }
    }

    #[derive(Debug, Clone, Serialize, Deserialize)]
    enum State {
        Closed(#[serde(skip)] Entries),
        Open {
            lent: u32,
            #[serde(skip)]
            entries: Entries,
        },
    }

    impl Default for State {
        fn default() -> Self {
            Self::Closed(Entries::default())
        }
    }

    /// A library that lends each book once.
    struct Library;

    impl Decider for Library {
        const AGGREGATE: &'static str = "library";
        const STATE_VERSION: u32 = 1;
        const HAS_ENTRIES: bool = true;

        type State = State;
        type Command = Command;
        type Event = Event;

        fn decide(
            state: &State,
            command: &Command,
            _context: &CommandContext,
        ) -> Result<Vec<Event>, Rejection> {
            match (state, command) {
                (State::Closed(_), Command::Open(_)) => Ok(vec![Event::Opened(Opened {})]),
                (State::Open { entries, .. }, Command::Lend(lend)) => {
                    let is_out = |book: &String| entries.contains(book);
                    if is_out(&lend.book) || lend.instead_of.as_ref().is_some_and(is_out) {
                        return Ok(Vec::new());
                    }
                    Ok(vec![Event::Lent(Lent { book: lend.book.clone() })])
                }
                _ => Err(Rejection::new("closed", "or open already")),
            }
        }

        fn evolve(state: State, event: &Event) -> State {
            match (state, event) {
                (State::Closed(entries), Event::Opened(_)) => State::Open { lent: 0, entries },
                (State::Open { lent, mut entries }, Event::Lent(event)) => {
                    entries.set(&event.book, &true);
                    State::Open { lent: lent + 1, entries }
                }
                (state, _) => state,
            }
        }

        fn command_keys(command: &Command) -> Vec<String> {
            match command {
                Command::Open(_) => Vec::new(),
                Command::Lend(lend) => vec![lend.book.clone()],
            }
        }

        fn event_keys(event: &Event) -> Vec<String> {
            match event {
                Event::Opened(_) => Vec::new(),
                Event::Lent(lent) => vec![lent.book.clone()],
            }
        }

        fn entries(state: &mut State) -> Option<&mut Entries> {
            match state {
                State::Closed(entries) | State::Open { entries, .. } => Some(entries),
            }
        }
    }

    fn sent(command: &Command) -> (CommandContext, Encoded) {
        let context = CommandContext {
            id: "l".into(),
            routing_key: "l".into(),
            actor: "api".into(),
            accepted_at: Timestamp::from_s(0).unwrap(),
        };
        (context, command.encode().unwrap())
    }

    fn lend(book: &str, instead_of: Option<&str>) -> (CommandContext, Encoded) {
        sent(&Command::Lend(Lend { book: book.into(), instead_of: instead_of.map(Into::into) }))
    }

    /// A library that opened and lent a book, in one turn.
    fn library() -> StoredState {
        let mut library = StoredState::default();
        let outcomes = library.decide::<Library>(vec![sent(&Command::Open(Open {})), lend("emma", None)]);
        let caused: Vec<usize> =
            outcomes.unwrap().into_iter().map(|outcome| outcome.unwrap().len()).collect();
        assert_eq!(caused, [1, 1]);
        library
    }

    #[test]
    fn entries_outlive_the_turn_in_which_a_state_begins_and_are_no_part_of_its_bytes() {
        let mut library = library();
        // The second variant, and one book that is lent.
        assert_eq!(library.state, [1, 1]);
        assert_eq!(library.entries.iter().collect::<Vec<_>>(), [("emma", &b"true"[..])]);
        assert_eq!(library.decide::<Library>(vec![lend("emma", None)]).unwrap(), [Ok(Vec::new())]);
        let State::Open { entries, .. } = library.read::<Library>().unwrap() else { panic!("it is open") };
        assert_eq!(entries, library.entries);

        let events = [Event::Opened(Opened {}), Event::Lent(Lent { book: "emma".into() })];
        let mut folded = StoredState::default();
        folded.evolve::<Library>(&events.map(|event| event.encode().unwrap())).unwrap();
        assert_eq!(folded, library);
    }

    #[test]
    fn a_decider_that_reads_a_key_that_it_did_not_name_fails_and_says_which() {
        let mut library = library();
        let before = library.clone();
        let fault = library.decide::<Library>(vec![lend("persuasion", Some("emma"))]).unwrap_err();
        assert_eq!(fault.to_string(), "the entry `emma` is needed, but `keys` did not name it");
        assert_eq!(library, before);

        let lent = Event::Lent(Lent { book: "persuasion".into() }).encode().unwrap();
        let fault = evolve_state::<Library>(&library.state, &[], &[lent]).unwrap_err();
        assert_eq!(fault, "the entry `persuasion` is needed, but `keys` did not name it");
    }

    #[test]
    fn a_message_that_cannot_be_read_needs_no_entry() {
        let unknown = Encoded { kind: "Burn".into(), schema_version: 1, payload: b"{}".to_vec() };
        let malformed = Encoded { kind: "Lend".into(), ..unknown.clone() };
        assert_eq!([unknown, malformed].map(|message| message_keys::<Library>(&message)), [[""; 0]; 2]);
    }
}
