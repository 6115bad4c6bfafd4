//! The common part of every loaded handler: its identity, code that is ready to run, and its limits.
//!
//! Each call gets a fresh instance with a budget of its own. Here every answer is held to the limits; the modules of
//! the kinds check what is in it.

use std::collections::BTreeSet;
use std::sync::Arc;

use wasmparser::{Parser, Payload};
use wasmtime::Store;
use wasmtime::component::{Component, InstancePre, Linker};

use super::ComponentKind;
use super::admission;
use super::engine::HandlerEngine;
use super::error::RuntimeError;
use super::fault::{Excess, Fault, FaultCause};
use super::figures::{Size, grouped};
use super::id::ComponentId;
use super::limits::{Guard, Limits, MAX_COMPONENT_BYTES, MAX_FUNCTION_BYTES, MAX_FUNCTIONS, Output};
use clearfold_base::digest::Digest;

/// Handler that was admitted and compiled.
pub(super) struct LoadedComponent {
    pub id: ComponentId,
    pub pre: InstancePre<Guard>,
    limits: Limits,
    engine: Arc<HandlerEngine>,
}

impl LoadedComponent {
    pub(super) fn new(
        engine: &Arc<HandlerEngine>,
        name: &str,
        wasm: &[u8],
        kind: ComponentKind,
    ) -> Result<Self, RuntimeError> {
        let component = compile(engine, name, wasm)?;
        admission::admit(engine.engine(), &component, kind)
            .map_err(|cause| RuntimeError::Refused { component: name.to_owned(), cause })?;
        let pre = Linker::new(engine.engine())
            .instantiate_pre(&component)
            .map_err(|cause| incompatible(name, cause))?;
        let id = ComponentId { name: name.into(), digest: Digest::of(wasm) };
        Ok(Self { id, pre, limits: engine.limits(kind), engine: Arc::clone(engine) })
    }

    /// Runs one call in a fresh instance with a budget of its own, and returns its answer if that is not too large.
    pub(super) fn call<T: Output>(
        &self,
        call: &'static str,
        run: impl FnOnce(&mut Store<Guard>) -> wasmtime::Result<T>,
    ) -> Result<T, Fault> {
        self.counted(call, run).map(|(answer, _)| answer)
    }

    /// Runs a call like [`call`](Self::call), and also returns the fuel used.
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
        // The store was given the limit, and its fuel only falls.
        Ok((answer, self.limits.fuel.saturating_sub(left)))
    }

    /// Makes an instance for more than one call, with the store that it lives in.
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

    /// Runs one more call in a kept instance, with a budget of its own.
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

    /// Checks that there is one answer for each question.
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

/// Refuses a component that is too large or has too much code, before anything is compiled.
pub(super) fn fits(name: &str, wasm: &[u8]) -> Result<(), RuntimeError> {
    let component = || name.to_owned();
    if wasm.len() > MAX_COMPONENT_BYTES {
        return Err(RuntimeError::TooLarge { component: component(), size_bytes: wasm.len() });
    }
    let mut functions = 0_usize;
    // Reading stops at the first malformed byte; the compiler refuses such a component, and says where it is.
    for payload in Parser::new(0).parse_all(wasm).map_while(Result::ok) {
        let Payload::CodeSectionEntry(body) = payload else { continue };
        // At most one for each byte, so it cannot overflow.
        functions += 1;
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

/// Compiles a component that is not too large.
fn compile(engine: &HandlerEngine, name: &str, wasm: &[u8]) -> Result<Component, RuntimeError> {
    fits(name, wasm)?;
    engine
        .component(wasm)
        .map_err(|cause| RuntimeError::NotAComponent { component: name.to_owned(), cause: cause.into() })
}

pub(super) fn incompatible(name: &str, cause: wasmtime::Error) -> RuntimeError {
    RuntimeError::Incompatible { component: name.to_owned(), cause: cause.into() }
}

/// Largest schema version of a message, and version of a state or projection: the log holds them as positive
/// `integer`s.
pub const MAX_SCHEMA_VERSION: u32 = i32::MAX.unsigned_abs();

/// Returns true if a text can be a name, an id or a code: 1 to 255 bytes without control characters.
pub(super) fn is_word(text: &str) -> bool {
    (1..=255).contains(&text.len()) && !text.chars().any(char::is_control)
}

/// Returns true if a text can be the first part of a stream's name, which ends at the first hyphen.
pub(super) fn is_letters(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_lowercase())
}

/// Checks the aggregates whose events a component reads.
pub(super) fn check_reads(reads: &[String]) -> Result<(), String> {
    if let Some(aggregate) = reads.iter().find(|aggregate| !is_letters(aggregate)) {
        return Err(format!(
            "it reads `{aggregate}`, which is no name of an aggregate: lower-case letters only"
        ));
    }
    distinct("aggregate", reads.iter())
}

/// Returns true if a component that reads these aggregates, or everything, reads a stream.
pub(super) fn is_read(reads: &[String], stream: &str) -> bool {
    let is_of = |aggregate: &String| {
        stream.strip_prefix(aggregate.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
    };
    reads.is_empty() || reads.iter().any(is_of)
}

/// Checks a name that becomes SQL or stands in the API's answers: only plain letters, digits and underscores.
pub(super) fn plain(what: &str, name: &str) -> Result<(), String> {
    let begins = name.bytes().next().is_some_and(|byte| byte.is_ascii_lowercase());
    let goes_on = name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
    if begins && goes_on && name.len() <= 63 {
        return Ok(());
    }
    Err(format!("`{name}` is no name for a {what}: a-z, 0-9 and _, beginning with a letter, 63 at most"))
}

/// Checks that no name occurs twice.
pub(super) fn distinct<'a>(what: &str, names: impl Iterator<Item = &'a String>) -> Result<(), String> {
    let mut seen = BTreeSet::new();
    match names.into_iter().find(|name| !seen.insert(*name)) {
        Some(name) => Err(format!("the {what} `{name}` stands twice")),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_component_reads_the_streams_of_its_aggregates_or_all() {
        let reads = ["card".to_owned(), "saga".to_owned()];
        for (stream, is_one) in
            [("card-c-1", true), ("saga-authorization-a", true), ("cards-1", false), ("account-card", false)]
        {
            assert_eq!((is_read(&reads, stream), is_read(&[], stream)), (is_one, true), "{stream}");
        }
        assert_eq!(check_reads(&reads), Ok(()));
        let why = check_reads(&["card-c".to_owned()]).unwrap_err();
        assert!(why.contains("`card-c`, which is no name of an aggregate"), "{why}");
        assert!(check_reads(&["card".to_owned(), "card".to_owned()]).unwrap_err().contains("stands twice"));
    }
}
