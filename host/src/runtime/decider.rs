//! Deciders: the `decider` world, called.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use self::bindings::DeciderPre;
use self::bindings::exports::clearfold::handlers::decision as wit;
use super::admission::World;
use super::component::{ComponentId, Fault, Loaded, RuntimeError, incompatible, is_word};
use super::engine::HandlerEngine;
use super::limits::Guard;

pub use self::bindings::exports::clearfold::handlers::decision::{
    Command, Decided, Entry, Folded, Message, Outcome, Rejection, Turn,
};

mod bindings {
    //! Made by wasmtime from `wit/decider.wit`.
    wasmtime::component::bindgen!({ world: "decider", path: "../wit" });
}

const WORLD: World = World {
    name: "decider",
    interface: "clearfold:handlers/decision@0.1.0",
    functions: &["describe", "initial", "keys", "decide", "evolve"],
};

/// The newest schema version that there can be.
const MAX_VERSION: u32 = i32::MAX.unsigned_abs();
/// The longest key of an entry, in bytes.
const MAX_KEY: usize = 512;

/// A decider that was let in.
pub struct Decider {
    loaded: Loaded,
    pre: DeciderPre<Guard>,
    descriptor: wit::Descriptor,
    initial: Vec<u8>,
}

impl Decider {
    /// Loads a component and asks it what it is.
    pub fn load(engine: &Arc<HandlerEngine>, name: &str, wasm: &[u8]) -> Result<Self, RuntimeError> {
        let loaded = Loaded::new(engine, name, wasm, &WORLD)?;
        let pre = DeciderPre::new(loaded.pre.clone()).map_err(|cause| incompatible(name, cause))?;
        let descriptor = loaded.call("describe", |mut store| {
            let instance = pre.instantiate(&mut store)?;
            instance.clearfold_handlers_decision().call_describe(&mut store)
        })?;
        let initial = loaded.call("initial", |mut store| {
            let instance = pre.instantiate(&mut store)?;
            instance.clearfold_handlers_decision().call_initial(&mut store)
        })?;
        let named = |name: &str| !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_lowercase());
        if !named(&descriptor.aggregate) {
            let why =
                format!("`{}` is no name of an aggregate: lower-case letters only", descriptor.aggregate);
            return Err(loaded.descriptor_error(why));
        }
        if descriptor.commands.is_empty() {
            return Err(loaded.descriptor_error("it takes no commands"));
        }
        Ok(Self { loaded, pre, descriptor, initial })
    }

    /// Name and digest.
    #[must_use]
    pub fn id(&self) -> &ComponentId {
        &self.loaded.id
    }

    /// The kind of stream it decides for.
    #[must_use]
    pub fn aggregate(&self) -> &str {
        &self.descriptor.aggregate
    }

    /// The version of its states' bytes.
    #[must_use]
    pub fn state_version(&self) -> u32 {
        self.descriptor.state_version
    }

    /// Whether its states have entries, which `keys` names.
    #[must_use]
    pub fn has_entries(&self) -> bool {
        self.descriptor.has_entries
    }

    /// The state before the first event. It has no entries.
    #[must_use]
    pub fn initial(&self) -> &[u8] {
        &self.initial
    }

    /// The keys of the entries that commands need to be decided, or events to be folded: a list for each.
    pub fn keys(&self, messages: &[Message]) -> Result<Vec<Vec<String>>, Fault> {
        if !self.has_entries() || messages.is_empty() {
            return Ok(vec![Vec::new(); messages.len()]);
        }
        let keys = self.loaded.call("keys", |mut store| {
            let instance = self.pre.instantiate(&mut store)?;
            instance.clearfold_handlers_decision().call_keys(&mut store, messages)
        })?;
        let odd = |key: &&String| !(1..=MAX_KEY).contains(&key.len()) || key.chars().any(char::is_control);
        if let Some(key) = keys.iter().flatten().find(odd) {
            return Err(self.nonsense("keys", format!("the key `{key}`")));
        }
        self.loaded.one_each("keys", messages.len(), keys)
    }

    /// Decides turns of different streams. One answer for each turn, with one outcome for each of its commands.
    pub fn decide(&self, turns: &[Turn]) -> Result<Vec<Decided>, Fault> {
        let decided = self.loaded.call("decide", |mut store| {
            let instance = self.pre.instantiate(&mut store)?;
            instance.clearfold_handlers_decision().call_decide(&mut store, turns)
        })?;
        let decided = self.loaded.one_each("decide", turns.len(), decided)?;
        turns
            .iter()
            .zip(decided)
            .map(|(turn, answer)| {
                self.only_named("decide", &turn.entries, &answer.entries)?;
                let outcomes = self.loaded.one_each("decide", turn.commands.len(), answer.outcomes)?;
                let outcomes =
                    outcomes.into_iter().map(|outcome| self.checked(outcome)).collect::<Result<_, _>>()?;
                Ok(Decided { outcomes, ..answer })
            })
            .collect()
    }

    /// What goes into the log must be something that the log can hold.
    fn checked(&self, outcome: Outcome) -> Result<Outcome, Fault> {
        let nonsense = |why: String| self.nonsense("decide", why);
        match outcome {
            Outcome::Accepted(events) => {
                let odd = |event: &&Message| {
                    !is_word(&event.type_) || !(1..=MAX_VERSION).contains(&event.schema_version)
                };
                match events.iter().find(odd) {
                    Some(event) => {
                        Err(nonsense(format!("an event `{}` v{}", event.type_, event.schema_version)))
                    }
                    None => Ok(Outcome::Accepted(events)),
                }
            }
            Outcome::Rejected(Rejection { code, .. }) if !is_word(&code) => {
                Err(nonsense(format!("a rejection with the code `{code}`")))
            }
            Outcome::Rejected(Rejection { code, detail }) => {
                // What a caller sent may be quoted here, and the database holds no zero character.
                Ok(Outcome::Rejected(Rejection { code, detail: detail.replace('\0', "\u{fffd}") }))
            }
        }
    }

    /// Folds events into a state, with the entries that `keys` named for them.
    pub fn evolve(&self, state: &[u8], entries: &[Entry], events: &[Message]) -> Result<Folded, Fault> {
        let folded = self.loaded.call("evolve", |mut store| {
            let instance = self.pre.instantiate(&mut store)?;
            instance.clearfold_handlers_decision().call_evolve(&mut store, state, entries, events)
        })?;
        let folded = folded.map_err(|why| self.loaded.failed("evolve", why))?;
        self.only_named("evolve", entries, &folded.entries)?;
        Ok(folded)
    }

    /// What was not named was not seen, and cannot have changed.
    fn only_named(&self, call: &'static str, named: &[Entry], changed: &[Entry]) -> Result<(), Fault> {
        let named: BTreeSet<&str> = named.iter().map(|entry| entry.key.as_str()).collect();
        match changed.iter().find(|entry| !named.contains(entry.key.as_str())) {
            Some(entry) => {
                Err(self.nonsense(call, format!("a change of `{}`, which it did not name", entry.key)))
            }
            None => Ok(()),
        }
    }

    fn nonsense(&self, call: &'static str, why: String) -> Fault {
        Fault::Nonsense { component: self.loaded.id.clone(), call, why }
    }
}

/// A stream's state with all its entries, for those who fold it from its beginning.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WholeState {
    state: Vec<u8>,
    entries: BTreeMap<String, Vec<u8>>,
}

impl WholeState {
    /// Before the first event.
    #[must_use]
    pub fn initial(decider: &Decider) -> Self {
        Self { state: decider.initial().to_vec(), entries: BTreeMap::new() }
    }

    /// Folds events, as many at once as a sandbox holds.
    pub fn evolve(&mut self, decider: &Decider, events: &[Message]) -> Result<(), Fault> {
        const PAGE: usize = 2_000;
        for events in events.chunks(PAGE) {
            let folded = decider.evolve(&self.state, &self.named(decider, events)?, events)?;
            self.state = folded.state;
            for entry in folded.entries {
                // What was removed is as what never was.
                match entry.value {
                    Some(value) => self.entries.insert(entry.key, value),
                    None => self.entries.remove(&entry.key),
                };
            }
        }
        Ok(())
    }

    /// A turn of commands on it.
    pub fn turn(&self, decider: &Decider, commands: Vec<Command>) -> Result<Turn, Fault> {
        let messages: Vec<Message> = commands.iter().map(|command| command.message.clone()).collect();
        Ok(Turn { state: self.state.clone(), entries: self.named(decider, &messages)?, commands })
    }

    fn named(&self, decider: &Decider, messages: &[Message]) -> Result<Vec<Entry>, Fault> {
        let keys: BTreeSet<String> = decider.keys(messages)?.into_iter().flatten().collect();
        let entry = |key: String| Entry { value: self.entries.get(&key).cloned(), key };
        Ok(keys.into_iter().map(entry).collect())
    }
}
