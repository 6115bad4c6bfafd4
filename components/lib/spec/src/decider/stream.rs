//! Stream state outside the sandbox, stored the way a host does it for a decider of which it knows nothing.

use clearfold_kernel::{CommandContext, Encoded, Entry, Folded, Outcome, StoredState, Turn};

use super::DeciderSubject;
use crate::difference::readable;

/// State of a stream, and the decider under test.
#[derive(Clone)]
pub(super) struct Stream<'a> {
    subject: &'a dyn DeciderSubject,
    pub stored: StoredState,
}

impl<'a> Stream<'a> {
    /// Creates a stream without events.
    pub fn new(subject: &'a dyn DeciderSubject) -> Result<Self, String> {
        let stored = StoredState { state: subject.initial()?, ..StoredState::default() };
        Ok(Self { subject, stored })
    }

    /// Decides one turn.
    pub fn decide(&mut self, commands: Vec<(CommandContext, Encoded)>) -> Result<Vec<Outcome>, String> {
        let messages: Vec<Encoded> = commands.iter().map(|(_, command)| command.clone()).collect();
        let turn = Turn { state: self.stored.state.clone(), entries: self.named(&messages)?, commands };
        let decided = self.subject.decide(&turn)?;
        self.keep(&turn.entries, Folded { state: decided.state, entries: decided.entries })?;
        Ok(decided.outcomes)
    }

    pub fn evolve(&mut self, events: &[Encoded]) -> Result<(), String> {
        let named = self.named(events)?;
        let folded = self.subject.evolve(&self.stored.state, &named, events)?;
        self.keep(&named, folded)
    }

    /// Formats the state, followed by the entries if there are any. The state's form is the decider's own: JSON is shown
    /// as it is, other bytes in hexadecimal digits.
    pub fn shown(&self) -> String {
        let entry = |(key, value): (&str, &[u8])| format!("{key}: {}", readable(value));
        let entries: Vec<String> = self.stored.entries.iter().map(entry).collect();
        let state = match &self.stored.state[..] {
            json @ [b'{' | b'[', ..] => readable(json),
            bytes => hex::encode_prefixed(bytes),
        };
        if entries.is_empty() { state } else { format!("{state} with the entries {}", entries.join(", ")) }
    }

    fn named(&self, messages: &[Encoded]) -> Result<Vec<Entry>, String> {
        let keys = self.subject.keys(messages)?;
        if keys.len() != messages.len() {
            return Err(format!("`keys` gave {} lists for {} messages", keys.len(), messages.len()));
        }
        if let Some(key) = keys.iter().flatten().find(|key| !is_key(key)) {
            return Err(format!("`{key}` is no key: it has 1 to 512 bytes, without control characters"));
        }
        Ok(self.stored.entries.named(keys.into_iter().flatten()))
    }

    /// Stores the result. Fails if an entry changed that was not handed over, or one changed twice.
    fn keep(&mut self, named: &[Entry], folded: Folded) -> Result<(), String> {
        for (index, Entry { key, .. }) in folded.entries.iter().enumerate() {
            if !named.iter().any(|entry| entry.key == *key) {
                return Err(format!("the entry `{key}` changed, but `keys` did not name it"));
            }
            if folded.entries.iter().take(index).any(|before| before.key == *key) {
                return Err(format!("the entry `{key}` changed twice"));
            }
        }
        self.stored.keep(folded);
        Ok(())
    }
}

fn is_key(key: &str) -> bool {
    (1..=512).contains(&key.len()) && !key.chars().any(char::is_control)
}
