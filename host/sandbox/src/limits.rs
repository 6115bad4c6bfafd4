//! The limits of one call of a handler, and their enforcement while the call runs.
//!
//! The figures of each kind are in the table of kinds, and in `docs/RUNTIME.md`; a test keeps the two alike. Nothing
//! here decides what a reached limit means: that is for [`FaultCause`](super::FaultCause).

use wasmtime::ResourceLimiter;

/// Maximum size of a component, in bytes.
pub const MAX_COMPONENT_BYTES: usize = 64 << 20;
/// Maximum number of functions in all modules of a component, and maximum size of one in bytes. The time of compiling
/// grows with the number, and faster than in proportion with the size.
pub const MAX_FUNCTIONS: usize = 20_000;
pub const MAX_FUNCTION_BYTES: usize = 128 << 10;
/// Size of the stack inside the sandbox, in bytes. It is a setting of the engine, so every kind has the same.
pub(super) const STACK_BYTES: usize = 512 << 10;

/// Limits of one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Units of wasmtime's fuel: about one for each instruction.
    pub fuel: u64,
    /// Wall-clock time.
    pub deadline_ms: u64,
    /// Size of all linear memories together.
    pub memory_bytes: usize,
    /// Entries of one table of functions.
    pub table_elements: usize,
    /// Memory that the answer takes in the host.
    pub output_bytes: usize,
    /// Elements of all lists of the answer together; the bytes of a payload are not counted one by one.
    pub output_items: usize,
}

impl Limits {
    /// Limits of most kinds. They leave room for batches of hundreds, in languages that bring their own runtime: one
    /// decision needs a ten-thousandth.
    pub(super) const USUAL: Self = Self {
        fuel: 10_000_000_000,
        deadline_ms: 5_000,
        memory_bytes: 128 << 20,
        table_elements: 65_536,
        output_bytes: 32 << 20,
        output_items: 100_000,
    };
}

/// Answer of a component whose items can be counted.
pub(super) trait Output {
    /// Number of elements of all its lists. It saturates: a saturated count is above every limit, so it is refused like
    /// the exact one.
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

/// Counts the items of a list: its elements, and the items `inside` each of them. Saturates as [`Output::items`] may.
pub(super) fn count<T>(list: &[T], inside: impl Fn(&T) -> usize) -> usize {
    list.iter().map(inside).fold(list.len(), usize::saturating_add)
}

/// Growth that was refused. It ends the call, so that the fault names the exceeded limit and not what the component
/// made of the refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum LimitExceeded {
    #[error("{wanted_bytes} bytes of memory are too many")]
    Memory { wanted_bytes: usize },
    #[error("a table of {wanted_elements} elements is too large")]
    Table { wanted_elements: usize },
}

/// Limiter of a store. Memories only grow, and end with their store, so one budget of what may still be added is
/// enough.
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

    /// Takes from the budget; the error is the total that there would have been.
    fn take(&mut self, more: usize) -> Result<(), usize> {
        match self.left.checked_sub(more) {
            Some(left) => {
                self.left = left;
                Ok(())
            }
            // The total is only shown; a saturated one exceeds the limit all the same.
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
        // wasmtime asks for growth only, so `desired` is not below `current`.
        let taken = self.memory_bytes.take(desired.saturating_sub(current));
        taken.map_err(|wanted_bytes| wasmtime::Error::new(LimitExceeded::Memory { wanted_bytes }))?;
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
            false => Err(wasmtime::Error::new(LimitExceeded::Table { wanted_elements: desired })),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::ComponentKind;
    use crate::figures::{Size, grouped};

    /// Renders the documents' table of limits.
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
        ComponentKind::ALL.into_iter().filter(|kind| kind.is_handler()).map(row).collect()
    }

    #[test]
    fn several_memories_share_one_limit() {
        let limits = Limits { memory_bytes: 100, table_elements: 10, ..Limits::of(ComponentKind::Decider) };
        let mut guard = Guard::new(&limits);
        let wanted = |grown: wasmtime::Result<bool>| grown.map_err(|error| *error.downcast_ref().unwrap());
        assert_eq!(wanted(guard.memory_growing(0, 40, None)), Ok(true));
        assert_eq!(wanted(guard.memory_growing(0, 50, None)), Ok(true), "another memory");
        let refused = LimitExceeded::Memory { wanted_bytes: 101 };
        assert_eq!(wanted(guard.memory_growing(40, 51, None)), Err(refused));
        assert_eq!(wanted(guard.memory_growing(40, 50, None)), Ok(true), "as much as there is");
        assert_eq!(wanted(guard.table_growing(0, 10, None)), Ok(true));
        assert_eq!(wanted(guard.table_growing(0, 10, None)), Ok(true), "of tables, each has it");
        let refused = LimitExceeded::Table { wanted_elements: 11 };
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
