//! Deciders: the `decider` world, called.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use self::bindings::DeciderPre;
use self::bindings::exports::clearfold::handlers::decision as wit;
use super::ComponentKind;
use super::admission::World;
use super::component::{ComponentId, Loaded, RuntimeError, distinct, incompatible, is_word};
use super::engine::HandlerEngine;
use super::fault::Fault;
use super::limits::{Guard, Output, count};

pub use self::bindings::exports::clearfold::handlers::decision::{
    Command as WireCommand, Decided, Entry, Folded, Message, Outcome, Rejection, Turn,
};

mod bindings {
    //! Made by wasmtime from `wit/decider.wit`.
    wasmtime::component::bindgen!({ world: "decider", path: "../../wit" });
}

const WORLD: World = World {
    kind: ComponentKind::Decider,
    interface: "clearfold:handlers/decision@0.1.0",
    functions: &["describe", "initial", "keys", "decide", "evolve"],
};

/// The newest schema version that there can be.
const MAX_VERSION: u32 = i32::MAX.unsigned_abs();
/// The longest key of an entry, in bytes.
const MAX_KEY: usize = 512;

impl Output for wit::Descriptor {
    fn items(&self) -> usize {
        self.commands.len().saturating_add(self.events.len())
    }
}

impl Output for Vec<Vec<String>> {
    fn items(&self) -> usize {
        count(self, Vec::len)
    }
}

impl Output for Vec<Decided> {
    fn items(&self) -> usize {
        let events = |outcome: &Outcome| match outcome {
            Outcome::Accepted(events) => events.len(),
            Outcome::Rejected(_) => 0,
        };
        count(self, |decided| count(&decided.outcomes, events).saturating_add(decided.entries.len()))
    }
}

impl Output for Folded {
    fn items(&self) -> usize {
        self.entries.len()
    }
}

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
        let descriptor = loaded.call("describe", |store| {
            let instance = pre.instantiate(&mut *store)?;
            instance.clearfold_handlers_decision().call_describe(store)
        })?;
        check(&descriptor).map_err(|why| loaded.descriptor_error(why))?;
        let initial = loaded.call("initial", |store| {
            let instance = pre.instantiate(&mut *store)?;
            instance.clearfold_handlers_decision().call_initial(store)
        })?;
        Ok(Self { loaded, pre, descriptor, initial })
    }

    /// Name and digest.
    #[must_use]
    pub fn id(&self) -> &ComponentId {
        &self.loaded.id
    }

    /// What it calls itself, and what it says of itself.
    pub(super) fn about(&self) -> (Option<String>, String) {
        let wit::Descriptor { aggregate, commands, events, state_version, has_entries } = &self.descriptor;
        let entries = if *has_entries { "with" } else { "without" };
        let (commands, events) = (commands.len(), events.len());
        let about = format!(
            "decides for `{aggregate}`: {commands} commands, {events} events, states of version {state_version} {entries} entries"
        );
        (Some(aggregate.clone()), about)
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

    /// Whether it says that it makes the same events as another, in the same versions.
    #[must_use]
    pub fn knows_the_events_of(&self, other: &Self) -> bool {
        let names = |decider: &Self| -> BTreeMap<String, u32> {
            let events = decider.descriptor.events.iter();
            events.map(|event| (event.name.clone(), event.schema_version)).collect()
        };
        names(self) == names(other)
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
        let keys = self.loaded.call("keys", |store| {
            let instance = self.pre.instantiate(&mut *store)?;
            instance.clearfold_handlers_decision().call_keys(store, messages)
        })?;
        let odd = |key: &&String| !(1..=MAX_KEY).contains(&key.len()) || key.chars().any(char::is_control);
        if let Some(key) = keys.iter().flatten().find(odd) {
            return Err(self.loaded.nonsense("keys", format!("the key `{key}`")));
        }
        self.loaded.one_each("keys", messages.len(), keys)
    }

    /// Decides turns of different streams. One answer for each turn, with one outcome for each of its commands.
    pub fn decide(&self, turns: &[Turn]) -> Result<Vec<Decided>, Fault> {
        Ok(self.decide_counted(turns)?.0)
    }

    /// The same, with the fuel that it took: the same on every machine.
    pub fn decide_counted(&self, turns: &[Turn]) -> Result<(Vec<Decided>, u64), Fault> {
        let (decided, fuel) = self.loaded.counted("decide", |store| {
            let instance = self.pre.instantiate(&mut *store)?;
            instance.clearfold_handlers_decision().call_decide(store, turns)
        })?;
        let decided = self.loaded.one_each("decide", turns.len(), decided)?;
        let decided = turns.iter().zip(decided).map(|(turn, answer)| {
            self.only_named("decide", &turn.entries, &answer.entries)?;
            let outcomes = self.loaded.one_each("decide", turn.commands.len(), answer.outcomes)?;
            let outcomes =
                outcomes.into_iter().map(|outcome| self.checked(outcome)).collect::<Result<_, _>>()?;
            Ok(Decided { outcomes, ..answer })
        });
        Ok((decided.collect::<Result<_, _>>()?, fuel))
    }

    /// An instance that answers again and again, to measure what a fresh one costs beside it. Nothing in the host keeps
    /// one: what a call leaves behind would be there for the next.
    pub fn kept(&self) -> Result<impl FnMut(&[Turn]) -> Result<Vec<Decided>, Fault>, Fault> {
        let (mut store, instance) = self.loaded.kept("decide", |store| self.pre.instantiate(store))?;
        Ok(move |turns: &[Turn]| {
            self.loaded.refuelled("decide", &mut store, |store| {
                instance.clearfold_handlers_decision().call_decide(store, turns)
            })
        })
    }

    /// What goes into the log must be something that the log can hold.
    fn checked(&self, outcome: Outcome) -> Result<Outcome, Fault> {
        let nonsense = |why: String| self.loaded.nonsense("decide", why);
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
        let folded = self.loaded.call("evolve", |store| {
            let instance = self.pre.instantiate(&mut *store)?;
            instance.clearfold_handlers_decision().call_evolve(store, state, entries, events)
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
                Err(self.loaded.nonsense(call, format!("a change of `{}`, which it did not name", entry.key)))
            }
            None => Ok(()),
        }
    }
}

fn check(descriptor: &wit::Descriptor) -> Result<(), String> {
    let wit::Descriptor { aggregate, commands, events, state_version, .. } = descriptor;
    if aggregate.is_empty() || !aggregate.bytes().all(|byte| byte.is_ascii_lowercase()) {
        return Err(format!("`{aggregate}` is no name of an aggregate: lower-case letters only"));
    }
    if commands.is_empty() {
        return Err("it takes no commands".to_owned());
    }
    if !(1..=MAX_VERSION).contains(state_version) {
        return Err(format!("its states' version is {state_version}; versions begin with 1"));
    }
    for message in commands.iter().chain(events) {
        let wit::MessageType { name, schema_version } = message;
        if !is_word(name) {
            return Err(format!("a message with {name:?} for a name"));
        }
        if !(1..=MAX_VERSION).contains(schema_version) {
            return Err(format!("a {name} of schema version {schema_version}; versions begin with 1"));
        }
    }
    distinct("command", commands.iter().map(|command| &command.name))?;
    distinct("event", events.iter().map(|event| &event.name))
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
    pub fn turn(&self, decider: &Decider, commands: Vec<WireCommand>) -> Result<Turn, Fault> {
        let messages: Vec<Message> = commands.iter().map(|command| command.message.clone()).collect();
        Ok(Turn { state: self.state.clone(), entries: self.named(decider, &messages)?, commands })
    }

    fn named(&self, decider: &Decider, messages: &[Message]) -> Result<Vec<Entry>, Fault> {
        let keys: BTreeSet<String> = decider.keys(messages)?.into_iter().flatten().collect();
        let entry = |key: String| Entry { value: self.entries.get(&key).cloned(), key };
        Ok(keys.into_iter().map(entry).collect())
    }
}
