//! Deciders: the `decider` world, called.

use std::sync::Arc;

use self::bindings::DeciderPre;
use self::bindings::exports::clearfold::handlers::decision as wit;
use super::admission::World;
use super::component::{ComponentId, Fault, Loaded, RuntimeError, incompatible, is_word};
use super::engine::HandlerEngine;
use super::limits::Guard;

pub use self::bindings::exports::clearfold::handlers::decision::{
    Command, Decided, Message, Outcome, Rejection, Turn,
};

mod bindings {
    //! Made by wasmtime from `wit/decider.wit`.
    wasmtime::component::bindgen!({ world: "decider", path: "../wit" });
}

const WORLD: World = World {
    name: "decider",
    interface: "clearfold:handlers/decision@0.1.0",
    functions: &["describe", "initial", "decide", "evolve"],
};

/// The newest schema version that there can be.
const MAX_VERSION: u32 = i32::MAX.unsigned_abs();

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

    /// The state before the first event.
    #[must_use]
    pub fn initial(&self) -> &[u8] {
        &self.initial
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
                let outcomes = self.loaded.one_each("decide", turn.commands.len(), answer.outcomes)?;
                let outcomes =
                    outcomes.into_iter().map(|outcome| self.checked(outcome)).collect::<Result<_, _>>()?;
                Ok(Decided { state: answer.state, outcomes })
            })
            .collect()
    }

    /// What goes into the log must be something that the log can hold.
    fn checked(&self, outcome: Outcome) -> Result<Outcome, Fault> {
        let nonsense =
            |why: String| Fault::Nonsense { component: self.loaded.id.clone(), call: "decide", why };
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

    /// Folds events into a state.
    pub fn evolve(&self, state: &[u8], events: &[Message]) -> Result<Vec<u8>, Fault> {
        let folded = self.loaded.call("evolve", |mut store| {
            let instance = self.pre.instantiate(&mut store)?;
            instance.clearfold_handlers_decision().call_evolve(&mut store, state, events)
        })?;
        folded.map_err(|why| self.loaded.failed("evolve", why))
    }
}
