//! Auditors: the `auditor` world, called, and held to the invariants that it describes.

use std::collections::BTreeSet;
use std::sync::Arc;

use clearfold_kernel::Timestamp;

use self::bindings::AuditorPre;
use super::ComponentKind;
use super::admission::World;
use super::component::{ComponentId, Loaded, RuntimeError, distinct, incompatible, plain};
use super::engine::HandlerEngine;
use super::fault::Fault;
use super::limits::{Guard, Output, count};

pub use self::bindings::exports::clearfold::handlers::audit::{
    Descriptor as AuditorDescriptor, Event as AuditedEvent, Invariant, Violation,
};

mod bindings {
    //! Made by wasmtime from `wit/auditor.wit`.
    wasmtime::component::bindgen!({
        world: "auditor",
        path: "../../wit",
        additional_derives: [Clone, PartialEq],
    });
}

const WORLD: World = World {
    kind: ComponentKind::Auditor,
    interface: "clearfold:handlers/audit@0.1.0",
    functions: &["describe", "audit"],
};

impl Output for AuditorDescriptor {
    fn items(&self) -> usize {
        self.invariants.len()
    }
}

impl Output for Vec<Violation> {
    fn items(&self) -> usize {
        count(self, |violation| violation.streams.len())
    }
}

/// An auditor that was let in.
pub struct Auditor {
    loaded: Loaded,
    pre: AuditorPre<Guard>,
    descriptor: AuditorDescriptor,
}

impl Auditor {
    /// Loads a component and asks it which invariants it knows.
    pub fn load(engine: &Arc<HandlerEngine>, name: &str, wasm: &[u8]) -> Result<Self, RuntimeError> {
        let loaded = Loaded::new(engine, name, wasm, &WORLD)?;
        let pre = AuditorPre::new(loaded.pre.clone()).map_err(|cause| incompatible(name, cause))?;
        let descriptor = loaded.call("describe", |store| {
            let instance = pre.instantiate(&mut *store)?;
            instance.clearfold_handlers_audit().call_describe(store)
        })?;
        check(&descriptor).map_err(|why| loaded.descriptor_error(why))?;
        Ok(Self { loaded, pre, descriptor })
    }

    /// Name and digest.
    #[must_use]
    pub fn id(&self) -> &ComponentId {
        &self.loaded.id
    }

    /// What it calls itself, and what it says of itself.
    pub(super) fn about(&self) -> (Option<String>, String) {
        let AuditorDescriptor { name, invariants } = &self.descriptor;
        (Some(name.clone()), format!("knows {} invariants as `{name}`", invariants.len()))
    }

    /// Name and invariants.
    #[must_use]
    pub fn descriptor(&self) -> &AuditorDescriptor {
        &self.descriptor
    }

    /// What is broken in all that happened to one account, at the time of the check.
    pub fn audit(
        &self,
        account: &str,
        checked_at: Timestamp,
        events: &[AuditedEvent],
    ) -> Result<Vec<Violation>, Fault> {
        let found = self.loaded.call("audit", |store| {
            let instance = self.pre.instantiate(&mut *store)?;
            let audit = instance.clearfold_handlers_audit();
            audit.call_audit(store, account, checked_at.as_ms(), events)
        })?;
        let found = found.map_err(|why| self.loaded.failed("audit", why))?;
        match unknown(&self.descriptor, &found) {
            None => Ok(found),
            Some(code) => {
                let why = format!("a violation of `{code}`, an invariant that it does not describe");
                Err(self.loaded.nonsense("audit", why))
            }
        }
    }
}

fn check(descriptor: &AuditorDescriptor) -> Result<(), String> {
    if descriptor.invariants.is_empty() {
        return Err("it knows no invariant".to_owned());
    }
    distinct("code", descriptor.invariants.iter().map(|invariant| &invariant.code))?;
    descriptor.invariants.iter().try_for_each(|invariant| {
        plain("code", &invariant.code)?;
        if invariant.statement.trim().is_empty() {
            return Err(format!("the invariant `{}` states nothing", invariant.code));
        }
        Ok(())
    })
}

/// The code of a violation that breaks nothing that was described.
fn unknown<'a>(descriptor: &AuditorDescriptor, found: &'a [Violation]) -> Option<&'a str> {
    let known: BTreeSet<&str> =
        descriptor.invariants.iter().map(|invariant| invariant.code.as_str()).collect();
    found.iter().map(|violation| violation.invariant.as_str()).find(|code| !known.contains(code))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn described(invariants: &[(&str, &str)]) -> AuditorDescriptor {
        let invariant = |(code, statement): &(&str, &str)| Invariant {
            code: (*code).to_owned(),
            statement: (*statement).to_owned(),
        };
        AuditorDescriptor { name: "payments".into(), invariants: invariants.iter().map(invariant).collect() }
    }

    #[test]
    fn a_description_that_cannot_be_shown_is_refused() {
        assert_eq!(check(&described(&[("hold_covers", "A hold covers.")])), Ok(()));
        for (invariants, said) in [
            (vec![], "it knows no invariant"),
            (vec![("a", "A."), ("a", "B.")], "the code `a` stands twice"),
            (vec![("Hold", "A.")], "`Hold` is no name for a code"),
            (vec![("hold", " ")], "the invariant `hold` states nothing"),
        ] {
            let why = check(&described(&invariants)).unwrap_err();
            assert!(why.contains(said), "{why}");
        }
    }

    #[test]
    fn a_violation_of_what_was_not_described_is_noticed() {
        let violation =
            |code: &str| Violation { invariant: code.to_owned(), detail: String::new(), streams: Vec::new() };
        let descriptor = described(&[("a", "A.")]);
        assert_eq!(unknown(&descriptor, &[violation("a")]), None);
        assert_eq!(unknown(&descriptor, &[violation("a"), violation("b")]), Some("b"));
    }
}
