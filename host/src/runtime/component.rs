//! What every loaded handler is: a name, the digest of its bytes, and code that is ready to run.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use wasmtime::Store;
use wasmtime::component::{Component, InstancePre, Linker};

use super::admission::{self, Refused, World};
use super::engine::HandlerEngine;
use super::limits::Guard;
use crate::digest::Digest;

/// Which component: its id in `spin.toml`, and its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ComponentId {
    pub name: Arc<str>,
    pub digest: Digest,
}

impl fmt::Display for ComponentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.name, &hex::encode(&self.digest.0[..6]))
    }
}

/// Why the runtime cannot start or take a component.
#[derive(Debug, thiserror::Error)]
pub enum RuntimeError {
    #[error("the WebAssembly engine does not start on this machine")]
    Engine(#[source] anyhow::Error),
    #[error("`{component}` cannot be loaded as a WebAssembly component; build it with `cargo xtask build`")]
    NotAComponent {
        component: String,
        #[source]
        cause: anyhow::Error,
    },
    #[error("component `{component}` is refused")]
    Refused {
        component: String,
        #[source]
        cause: Refused,
    },
    #[error(
        "component `{component}` does not fit this host; build it against the wit/ folder of this version"
    )]
    Incompatible {
        component: String,
        #[source]
        cause: anyhow::Error,
    },
    #[error("component `{component}` says of itself what cannot be: {why}")]
    Descriptor { component: String, why: String },
    #[error(transparent)]
    Fault(#[from] Fault),
}

/// A call that a component did not live through, or answered with nonsense. What it was called with is unharmed.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    #[error("component {component} failed in `{call}`")]
    Trapped {
        component: ComponentId,
        call: &'static str,
        #[source]
        cause: anyhow::Error,
    },
    #[error("component {component} answered nonsense in `{call}`: {why}")]
    Nonsense { component: ComponentId, call: &'static str, why: String },
    #[error("component {component} could not do `{call}`: {why}")]
    Failed { component: ComponentId, call: &'static str, why: String },
}

/// A component that was let in.
pub(super) struct Loaded {
    pub id: ComponentId,
    pub pre: InstancePre<Guard>,
    engine: Arc<HandlerEngine>,
}

impl Loaded {
    pub(super) fn new(
        engine: &Arc<HandlerEngine>,
        name: &str,
        wasm: &[u8],
        world: &World,
    ) -> Result<Self, RuntimeError> {
        let component = Component::new(engine.engine(), wasm).map_err(|cause| {
            RuntimeError::NotAComponent { component: name.to_owned(), cause: cause.into() }
        })?;
        admission::admit(engine.engine(), &component, world)
            .map_err(|cause| RuntimeError::Refused { component: name.to_owned(), cause })?;
        let pre = Linker::new(engine.engine())
            .instantiate_pre(&component)
            .map_err(|cause| incompatible(name, cause))?;
        let id = ComponentId { name: name.into(), digest: Digest::of(wasm) };
        Ok(Self { id, pre, engine: Arc::clone(engine) })
    }

    /// Runs one call in a fresh instance with its own budget.
    pub(super) fn call<T>(
        &self,
        call: &'static str,
        run: impl FnOnce(Store<Guard>) -> wasmtime::Result<T>,
    ) -> Result<T, Fault> {
        let trapped =
            |cause: wasmtime::Error| Fault::Trapped { component: self.id.clone(), call, cause: cause.into() };
        run(self.engine.store().map_err(trapped)?).map_err(trapped)
    }

    /// Checks that a list has as many entries as were asked for.
    pub(super) fn one_each<T>(
        &self,
        call: &'static str,
        asked: usize,
        answers: Vec<T>,
    ) -> Result<Vec<T>, Fault> {
        if answers.len() == asked {
            return Ok(answers);
        }
        let why = format!("{} answers to {asked} questions", answers.len());
        Err(Fault::Nonsense { component: self.id.clone(), call, why })
    }

    pub(super) fn failed(&self, call: &'static str, why: String) -> Fault {
        Fault::Failed { component: self.id.clone(), call, why }
    }

    pub(super) fn descriptor_error(&self, why: impl Into<String>) -> RuntimeError {
        RuntimeError::Descriptor { component: self.id.name.to_string(), why: why.into() }
    }
}

pub(super) fn incompatible(name: &str, cause: wasmtime::Error) -> RuntimeError {
    RuntimeError::Incompatible { component: name.to_owned(), cause: cause.into() }
}

/// Whether a text can be a name, an id or a code: 1 to 255 bytes without control characters.
pub(super) fn is_word(text: &str) -> bool {
    (1..=255).contains(&text.len()) && !text.chars().any(char::is_control)
}

/// Checks a name of ours: what becomes SQL or stands in an answer may not be anything.
pub(super) fn plain(what: &str, name: &str) -> Result<(), String> {
    let begins = name.bytes().next().is_some_and(|byte| byte.is_ascii_lowercase());
    let goes_on = name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
    if begins && goes_on && name.len() <= 63 {
        return Ok(());
    }
    Err(format!("`{name}` is no name for a {what}: a-z, 0-9 and _, beginning with a letter, 63 at most"))
}

/// Checks that no name stands twice.
pub(super) fn distinct<'a>(what: &str, names: impl Iterator<Item = &'a String>) -> Result<(), String> {
    let mut seen = BTreeSet::new();
    match names.into_iter().find(|name| !seen.insert(*name)) {
        Some(name) => Err(format!("the {what} `{name}` stands twice")),
        None => Ok(()),
    }
}
