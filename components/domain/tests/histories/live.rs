//! One stream as it lives: its state, and all that must be true of it after every command.

use std::fmt::Debug;

use clearfold_kernel::{
    CommandContext, Decider, Encoded, Message, Rejection, Turn, decide_turn, evolve_state,
};

/// What is not as it must be.
pub type Broken = String;

pub struct Live<D: Decider> {
    pub state: D::State,
    pub events: Vec<D::Event>,
    encoded: Vec<Encoded>,
    /// The state as bytes; empty when it has changed since.
    bytes: Vec<u8>,
    /// A state on the way, and how many events led to it.
    snapshot: (usize, Vec<u8>),
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
    /// Decides one command and applies what it causes. The answer holds the new events.
    pub fn take(
        &mut self,
        command: &D::Command,
        context: &CommandContext,
    ) -> Result<Result<Vec<D::Event>, Rejection>, Broken> {
        let decided = D::decide(&self.state, command, context);
        match &decided {
            Ok(events) if !events.is_empty() => events.iter().try_for_each(|event| self.apply(event))?,
            without_effect => self.unchanged(command, context, without_effect)?,
        }
        Ok(decided)
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
            self.bytes = serde_json::to_vec(&self.state).map_err(|error| error.to_string())?;
        }
        Ok(&self.bytes)
    }

    /// A command without effect leaves the state byte for byte as it was, also where it crosses the sandbox's border.
    fn unchanged(
        &mut self,
        command: &D::Command,
        context: &CommandContext,
        decided: &Result<Vec<D::Event>, Rejection>,
    ) -> Result<(), Broken> {
        let before = self.bytes()?.clone();
        let encoded = command.encode().map_err(|error| error.to_string())?;
        let turn = Turn { state: before, commands: vec![(context.clone(), encoded)] };
        let across = decide_turn::<D>(&turn).map_err(|error| error.to_string())?;
        if across.state != turn.state {
            return Err(format!("it had no effect ({decided:?}), and the state changed"));
        }
        let said = across.outcomes.first().map(|outcome| outcome.as_ref().map(Vec::len));
        if said != Some(decided.as_ref().map(Vec::len)) {
            return Err(format!("here {decided:?}, across the border {said:?}"));
        }
        Ok(())
    }

    /// Folding from zero gives the live state, and so does a snapshot with the events after it.
    pub fn folds(&self) -> Result<(), Broken> {
        let fold = |state: D::State, from: usize| self.events[from..].iter().fold(state, D::evolve);
        if fold(D::State::default(), 0) != self.state {
            return Err("folding from zero gives another state".to_owned());
        }
        let (count, snapshot) = &self.snapshot;
        if !snapshot.is_empty() {
            let state = serde_json::from_slice(snapshot).map_err(|error| format!("a snapshot: {error}"))?;
            if fold(state, *count) != self.state {
                return Err(format!("a snapshot after {count} events gives another state"));
            }
        }
        Ok(())
    }

    /// The same over the stored form of events and states.
    pub fn folds_as_stored(&mut self) -> Result<(), Broken> {
        self.folds()?;
        let (count, snapshot) = self.snapshot.clone();
        let live = self.bytes()?.clone();
        let from_zero = evolve_state::<D>(&[], &self.encoded)?;
        let from_snapshot = evolve_state::<D>(&snapshot, &self.encoded[count..])?;
        if self.encoded.is_empty() || (from_zero == live && from_snapshot == live) {
            return Ok(());
        }
        Err("folding the stored events gives other bytes than the live state has".to_owned())
    }

    pub fn take_snapshot(&mut self) -> Result<(), Broken> {
        self.snapshot = (self.events.len(), self.bytes()?.clone());
        Ok(())
    }
}
