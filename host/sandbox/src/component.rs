//! What every loaded handler is: a name, the digest of its bytes, and code that is ready to run.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use wasmparser::{Parser, Payload};
use wasmtime::Store;
use wasmtime::component::{Component, InstancePre, Linker};

use super::admission::{self, Refused, World};
use super::edge::EdgeLoadError;
use super::engine::HandlerEngine;
use super::fault::{Excess, Fault, FaultCause, Size, grouped};
use super::limits::{Guard, Limits, MAX_COMPONENT_BYTES, MAX_FUNCTION_BYTES, MAX_FUNCTIONS, Output};
use clearfold_base::digest::Digest;

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
    #[error(
        "`{component}` is {size_bytes} bytes large, a component may have {}; leave out what it does not need",
        Size(MAX_COMPONENT_BYTES)
    )]
    TooLarge { component: String, size_bytes: usize },
    #[error(
        "`{component}` has {what}, which takes too long to compile; a component may have {} functions of {} each",
        grouped(MAX_FUNCTIONS as u64),
        Size(MAX_FUNCTION_BYTES)
    )]
    TooMuchCode { component: String, what: String },
    #[error(
        "`{component}` cannot be loaded as a WebAssembly component; build it for a world of wit/, within the limits of \
         docs/RUNTIME.md"
    )]
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
    #[error(transparent)]
    Http(#[from] EdgeLoadError),
}

/// A component that was let in.
pub(super) struct Loaded {
    pub id: ComponentId,
    pub pre: InstancePre<Guard>,
    limits: Limits,
    engine: Arc<HandlerEngine>,
}

impl Loaded {
    pub(super) fn new(
        engine: &Arc<HandlerEngine>,
        name: &str,
        wasm: &[u8],
        world: &World,
    ) -> Result<Self, RuntimeError> {
        let component = compile(engine, name, wasm)?;
        admission::admit(engine.engine(), &component, world)
            .map_err(|cause| RuntimeError::Refused { component: name.to_owned(), cause })?;
        let pre = Linker::new(engine.engine())
            .instantiate_pre(&component)
            .map_err(|cause| incompatible(name, cause))?;
        let id = ComponentId { name: name.into(), digest: Digest::of(wasm) };
        Ok(Self { id, pre, limits: engine.limits(world.kind), engine: Arc::clone(engine) })
    }

    /// Runs one call in a fresh instance with its own budget, and gives its answer if that is not too large.
    pub(super) fn call<T: Output>(
        &self,
        call: &'static str,
        run: impl FnOnce(&mut Store<Guard>) -> wasmtime::Result<T>,
    ) -> Result<T, Fault> {
        self.counted(call, run).map(|(answer, _)| answer)
    }

    /// The same, with the fuel that it took.
    pub(super) fn counted<T: Output>(
        &self,
        call: &'static str,
        run: impl FnOnce(&mut Store<Guard>) -> wasmtime::Result<T>,
    ) -> Result<(T, u64), Fault> {
        let failed = |error: wasmtime::Error| self.fault(call, FaultCause::of(&error, &self.limits));
        let mut store = self.engine.store(&self.limits).map_err(failed)?;
        let answer = run(&mut store).map_err(failed)?;
        let (items, limit) = (answer.items(), self.limits.output_items);
        if items > limit {
            return Err(self.fault(call, FaultCause::OutputTooLarge(Excess::Items { items, limit })));
        }
        let left = store.get_fuel().map_err(failed)?;
        Ok((answer, self.limits.fuel.saturating_sub(left)))
    }

    /// An instance for more than one call, with the store that it lives in.
    pub(super) fn kept<I>(
        &self,
        call: &'static str,
        make: impl FnOnce(&mut Store<Guard>) -> wasmtime::Result<I>,
    ) -> Result<(Store<Guard>, I), Fault> {
        let failed = |error: wasmtime::Error| self.fault(call, FaultCause::of(&error, &self.limits));
        let mut store = self.engine.store(&self.limits).map_err(failed)?;
        let instance = make(&mut store).map_err(failed)?;
        Ok((store, instance))
    }

    /// One more call in an instance that lives on, with its own budget.
    pub(super) fn refuelled<T>(
        &self,
        call: &'static str,
        store: &mut Store<Guard>,
        run: impl FnOnce(&mut Store<Guard>) -> wasmtime::Result<T>,
    ) -> Result<T, Fault> {
        HandlerEngine::refuel(store, &self.limits)
            .and_then(|()| run(store))
            .map_err(|error| self.fault(call, FaultCause::of(&error, &self.limits)))
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
        Err(self.nonsense(call, format!("{} answers to {asked} questions", answers.len())))
    }

    pub(super) fn failed(&self, call: &'static str, why: String) -> Fault {
        self.fault(call, FaultCause::Failed { why })
    }

    pub(super) fn nonsense(&self, call: &'static str, why: impl Into<String>) -> Fault {
        self.fault(call, FaultCause::Nonsense { why: why.into() })
    }

    fn fault(&self, call: &'static str, cause: FaultCause) -> Fault {
        Fault { component: self.id.clone(), call, cause }
    }

    pub(super) fn descriptor_error(&self, why: impl Into<String>) -> RuntimeError {
        RuntimeError::Descriptor { component: self.id.name.to_string(), why: why.into() }
    }
}

/// Refuses what is too large to be looked at.
pub(super) fn fits(name: &str, wasm: &[u8]) -> Result<(), RuntimeError> {
    let component = || name.to_owned();
    if wasm.len() > MAX_COMPONENT_BYTES {
        return Err(RuntimeError::TooLarge { component: component(), size_bytes: wasm.len() });
    }
    let mut functions = 0_usize;
    // What is no WebAssembly is refused by the compiler, with the place.
    for payload in Parser::new(0).parse_all(wasm).map_while(Result::ok) {
        let Payload::CodeSectionEntry(body) = payload else { continue };
        functions = functions.saturating_add(1);
        let bytes = body.range().len();
        if bytes > MAX_FUNCTION_BYTES {
            let what = format!("a function of {}", Size(bytes));
            return Err(RuntimeError::TooMuchCode { component: component(), what });
        }
    }
    if functions > MAX_FUNCTIONS {
        let what = format!("{} functions", grouped(functions as u64));
        return Err(RuntimeError::TooMuchCode { component: component(), what });
    }
    Ok(())
}

/// Compiles what is not too large to be looked at.
fn compile(engine: &HandlerEngine, name: &str, wasm: &[u8]) -> Result<Component, RuntimeError> {
    fits(name, wasm)?;
    engine
        .component(wasm)
        .map_err(|cause| RuntimeError::NotAComponent { component: name.to_owned(), cause: cause.into() })
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
