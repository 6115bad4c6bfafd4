//! What one call of a handler may use, by the kind of handler.
//!
//! The figures stand here and in `docs/RUNTIME.md`, and a test keeps the two alike. Nothing here knows why a limit was
//! reached: that is for [`FaultCause`](super::FaultCause) to say.

use wasmtime::ResourceLimiter;

use super::ComponentKind;

/// The largest component that is looked at.
pub const MAX_COMPONENT_BYTES: usize = 64 << 20;
/// Functions of all modules of a component, and the bytes of one: what compiling costs grows with the one, and faster
/// than in proportion with the other.
pub const MAX_FUNCTIONS: usize = 20_000;
pub const MAX_FUNCTION_BYTES: usize = 128 << 10;
/// Stack inside the sandbox, the same for every kind: the engine has one.
pub(super) const STACK_BYTES: usize = 512 << 10;

const MIB: usize = 1 << 20;

/// The limits of one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Instructions, roughly: wasmtime's fuel.
    pub fuel: u64,
    /// Wall-clock time.
    pub deadline_ms: u64,
    /// Linear memory, all of them together.
    pub memory_bytes: usize,
    /// Entries of one table of functions.
    pub table_elements: usize,
    /// The answer, as the host holds it.
    pub output_bytes: usize,
    /// What the answer's lists have in them, all together; the bytes of a payload do not count one by one.
    pub output_items: usize,
}

impl Limits {
    /// What a handler of that kind gets. Room for batches of hundreds, in languages that bring their own runtime: a
    /// decision needs a ten-thousandth of it. An edge component runs elsewhere, under
    /// [`EdgeLimits`](super::edge::EdgeLimits).
    #[must_use]
    pub const fn of(kind: ComponentKind) -> Self {
        let usual = Self {
            fuel: 10_000_000_000,
            deadline_ms: 5_000,
            memory_bytes: 128 * MIB,
            table_elements: 65_536,
            output_bytes: 32 * MIB,
            output_items: 100_000,
        };
        match kind {
            ComponentKind::Translator | ComponentKind::Decider | ComponentKind::Http => usual,
            // A row has a value for each column.
            ComponentKind::Projector => Self { output_items: 1_000_000, ..usual },
            // All that ever happened to an account, at once; and what it finds is read by people.
            ComponentKind::Auditor => Self {
                fuel: 60_000_000_000,
                deadline_ms: 30_000,
                memory_bytes: 256 * MIB,
                output_bytes: 8 * MIB,
                ..usual
            },
        }
    }
}

/// An answer of a component, for the limit of its items.
pub(super) trait Output {
    /// What its lists have in them.
    fn items(&self) -> usize;
}

impl Output for Vec<u8> {
    fn items(&self) -> usize {
        0
    }
}

impl<T: Output> Output for Result<T, String> {
    fn items(&self) -> usize {
        self.as_ref().map_or(0, Output::items)
    }
}

/// All items of a list: the entries themselves, and what `inside` says that each holds besides.
pub(super) fn count<T>(list: &[T], inside: impl Fn(&T) -> usize) -> usize {
    list.iter().map(inside).fold(list.len(), usize::saturating_add)
}

/// A growth that was refused. It ends the call, so that the fault says what was short, and not what the component made
/// of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Outgrown {
    #[error("{wanted_bytes} bytes of memory are too many")]
    Memory { wanted_bytes: usize },
    #[error("a table of {wanted_elements} elements is too large")]
    Table { wanted_elements: usize },
}

/// Holds a store to its limits. Memories only grow, and end with their store; so what may still be added is known.
pub(super) struct Guard {
    memory_bytes: Budget,
    table_elements: usize,
}

#[derive(Clone, Copy)]
struct Budget {
    left: usize,
    limit: usize,
}

impl Budget {
    const fn of(limit: usize) -> Self {
        Self { left: limit, limit }
    }

    /// The error: how much there would be of all together.
    fn take(&mut self, more: usize) -> Result<(), usize> {
        match self.left.checked_sub(more) {
            Some(left) => {
                self.left = left;
                Ok(())
            }
            None => Err((self.limit - self.left).saturating_add(more)),
        }
    }
}

impl Guard {
    pub(super) fn new(limits: &Limits) -> Self {
        Self { memory_bytes: Budget::of(limits.memory_bytes), table_elements: limits.table_elements }
    }
}

impl ResourceLimiter for Guard {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let taken = self.memory_bytes.take(desired.saturating_sub(current));
        taken.map_err(|wanted_bytes| wasmtime::Error::new(Outgrown::Memory { wanted_bytes }))?;
        Ok(true)
    }

    fn table_growing(
        &mut self,
        _current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        match desired <= self.table_elements {
            true => Ok(true),
            false => Err(wasmtime::Error::new(Outgrown::Table { wanted_elements: desired })),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::fault::{Size, grouped};

    /// The documents' table of limits, made from the limits.
    fn rows() -> String {
        let row = |kind: ComponentKind| {
            let Limits { fuel, deadline_ms, memory_bytes, table_elements, output_bytes, output_items } =
                Limits::of(kind);
            format!(
                "| {kind} | {} | {deadline_ms} ms | {} | {} | {} | {} | {} |\n",
                grouped(fuel),
                Size(memory_bytes),
                grouped(table_elements as u64),
                Size(STACK_BYTES),
                Size(output_bytes),
                grouped(output_items as u64),
            )
        };
        ComponentKind::ALL.into_iter().filter(|kind| *kind != ComponentKind::Http).map(row).collect()
    }

    #[test]
    fn several_memories_share_one_limit() {
        let limits = Limits { memory_bytes: 100, table_elements: 10, ..Limits::of(ComponentKind::Decider) };
        let mut guard = Guard::new(&limits);
        let wanted = |grown: wasmtime::Result<bool>| grown.map_err(|error| *error.downcast_ref().unwrap());
        assert_eq!(wanted(guard.memory_growing(0, 40, None)), Ok(true));
        assert_eq!(wanted(guard.memory_growing(0, 50, None)), Ok(true), "another memory");
        let refused = Outgrown::Memory { wanted_bytes: 101 };
        assert_eq!(wanted(guard.memory_growing(40, 51, None)), Err(refused));
        assert_eq!(wanted(guard.memory_growing(40, 50, None)), Ok(true), "as much as there is");
        assert_eq!(wanted(guard.table_growing(0, 10, None)), Ok(true));
        assert_eq!(wanted(guard.table_growing(0, 10, None)), Ok(true), "of tables, each has it");
        let refused = Outgrown::Table { wanted_elements: 11 };
        assert_eq!(wanted(guard.table_growing(10, 11, None)), Err(refused));
    }

    #[test]
    fn the_documents_have_these_limits() {
        let document = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/RUNTIME.md");
        let document = std::fs::read_to_string(document).unwrap();
        assert!(document.contains(&rows()), "docs/RUNTIME.md must have this table of limits:\n{}", rows());
        assert!(document.contains(&format!("at most {} large", Size(MAX_COMPONENT_BYTES))));
        let functions = grouped(MAX_FUNCTIONS as u64);
        let code = format!("at most {functions} functions of at most {}", Size(MAX_FUNCTION_BYTES));
        assert!(document.contains(&code), "docs/RUNTIME.md must say: {code}");
    }
}
