//! Live stream: its state, and the checks of everything that must hold after every command.

use std::fmt::Debug;

use clearfold_kernel::{
    CommandContext, Decider, Encoded, Entries, Message, Rejection, StoredState, Turn, decide_turn,
    encode_state,
};

/// Description of a broken property.
pub type Broken = String;

pub struct Live<D: Decider> {
    /// Current state, with all of its entries.
    pub state: D::State,
    pub events: Vec<D::Event>,
    encoded: Vec<Encoded>,
    /// State as bytes; empty if it has changed since it was encoded.
    bytes: Vec<u8>,
    /// Snapshot: number of events that led to it, and the state.
    snapshot: (usize, StoredState),
}

impl<D: Decider> Default for Live<D> {
    fn default() -> Self {
        let (events, encoded, bytes, snapshot) = Default::default();
        Self { state: D::State::default(), events, encoded, bytes, snapshot }
    }
}

impl<D: Decider> Live<D>
where
    D::State: PartialEq + Debug,
    D::Event: PartialEq + Debug + Clone,
{
    /// Decides one command and applies its events, with only the entries at hand that are named. Returns the new
    /// events.
    pub fn take(
        &mut self,
        command: &D::Command,
        context: &CommandContext,
    ) -> Result<Result<Vec<D::Event>, Rejection>, Broken> {
        let keys = D::command_keys(command);
        let decided = self.with(&keys, |live| D::decide(&live.state, command, context))?;
        for event in decided.iter().flatten() {
            let of_event = D::event_keys(event);
            if let Some(key) = of_event.iter().find(|key| !keys.contains(key)) {
                return Err(format!("{event:?} needs the entry `{key}`, which its command does not name"));
            }
            self.with(&of_event, |live| live.apply(event))??;
        }
        if decided.as_ref().map_or(true, Vec::is_empty) {
            self.unchanged(command, context, &decided)?;
        }
        Ok(decided)
    }

    /// Runs `act` on a state that has only these entries, as in the sandbox.
    fn with<T>(&mut self, keys: &[String], act: impl FnOnce(&mut Self) -> T) -> Result<T, Broken> {
        let Some(entries) = D::entries(&mut self.state) else { return Ok(act(self)) };
        let part = Entries::part(entries.named(keys.iter().cloned()));
        let mut whole = std::mem::replace(entries, part);
        let done = act(self);
        if let Some(part) = D::entries(&mut self.state) {
            let changed = std::mem::take(part).changes().map_err(|fault| fault.to_string())?;
            whole.keep(changed);
            *part = whole;
        }
        Ok(done)
    }

    fn apply(&mut self, event: &D::Event) -> Result<(), Broken> {
        let encoded = event.encode().map_err(|error| error.to_string())?;
        let decoded = D::Event::decode(&encoded.kind, encoded.schema_version, &encoded.payload);
        if decoded.as_ref() != Ok(event) {
            return Err(format!("{event:?} is read back as {decoded:?}"));
        }
        self.state = D::evolve(std::mem::take(&mut self.state), event);
        self.events.push(event.clone());
        self.encoded.push(encoded);
        self.bytes.clear();
        Ok(())
    }

    fn bytes(&mut self) -> Result<&Vec<u8>, Broken> {
        if self.bytes.is_empty() {
            self.bytes = encode_state(&self.state).map_err(|fault| fault.to_string())?;
        }
        Ok(&self.bytes)
    }

    /// Returns the state as a host stores it.
    fn stored(&mut self) -> Result<StoredState, Broken> {
        let state = self.bytes()?.clone();
        let entries = D::entries(&mut self.state).cloned().unwrap_or_default();
        Ok(StoredState { state, entries })
    }

    /// Checks that a command without effect leaves the state byte for byte as it was, also across the sandbox's
    /// border.
    fn unchanged(
        &mut self,
        command: &D::Command,
        context: &CommandContext,
        decided: &Result<Vec<D::Event>, Rejection>,
    ) -> Result<(), Broken> {
        let state = self.bytes()?.clone();
        let keys = D::command_keys(command);
        let entries = D::entries(&mut self.state).map(|entries| entries.named(keys)).unwrap_or_default();
        let encoded = command.encode().map_err(|error| error.to_string())?;
        let turn = Turn { state, entries, commands: vec![(context.clone(), encoded)] };
        let across = decide_turn::<D>(&turn).map_err(|fault| fault.to_string())?;
        if across.state != turn.state || !across.entries.is_empty() {
            return Err(format!("it had no effect ({decided:?}), and the state changed"));
        }
        let said = across.outcomes.first().map(|outcome| outcome.as_ref().map(Vec::len));
        if said != Some(decided.as_ref().map(Vec::len)) {
            return Err(format!("here {decided:?}, across the border {said:?}"));
        }
        Ok(())
    }

    /// Checks that folding all events gives the live state, and so does a snapshot with the events after it.
    pub fn folds(&self) -> Result<(), Broken> {
        let fold = |state: D::State, from: usize| self.events[from..].iter().fold(state, D::evolve);
        if fold(D::State::default(), 0) != self.state {
            return Err("folding from zero gives another state".to_owned());
        }
        let (count, snapshot) = &self.snapshot;
        let state = snapshot.read::<D>().map_err(|error| format!("a snapshot: {error}"))?;
        if fold(state, *count) != self.state {
            return Err(format!("a snapshot after {count} events gives another state"));
        }
        Ok(())
    }

    /// Checks the same with the stored form of events and states, with only the entries at hand that the events name.
    pub fn folds_as_stored(&mut self) -> Result<(), Broken> {
        self.folds()?;
        let live = self.stored()?;
        let (count, mut from_snapshot) = self.snapshot.clone();
        let mut from_zero = StoredState::default();
        from_zero.evolve::<D>(&self.encoded)?;
        from_snapshot.evolve::<D>(&self.encoded[count..])?;
        if self.encoded.is_empty() || (from_zero == live && from_snapshot == live) {
            return Ok(());
        }
        Err("folding the stored events gives other bytes or entries than the live state has".to_owned())
    }

    pub fn take_snapshot(&mut self) -> Result<(), Broken> {
        self.snapshot = (self.events.len(), self.stored()?);
        Ok(())
    }
}
