//! What one call of a handler may use.

use wasmtime::ResourceLimiter;

/// The limits of one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Instructions, roughly: wasmtime's fuel.
    pub fuel: u64,
    /// Wall-clock time.
    pub deadline_ms: u64,
    /// Linear memory.
    pub memory_bytes: usize,
    /// Stack inside the sandbox.
    pub stack_bytes: usize,
}

impl Default for Limits {
    /// Room for batches of hundreds; a decision needs a thousandth of it.
    fn default() -> Self {
        Self { fuel: 10_000_000_000, deadline_ms: 5_000, memory_bytes: 64 << 20, stack_bytes: 512 << 10 }
    }
}

/// Holds a store to its limits.
pub(super) struct Guard {
    memory_bytes: usize,
}

impl Guard {
    pub(super) fn new(limits: Limits) -> Self {
        Self { memory_bytes: limits.memory_bytes }
    }
}

impl ResourceLimiter for Guard {
    fn memory_growing(
        &mut self,
        _current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        Ok(desired <= self.memory_bytes)
    }

    fn table_growing(
        &mut self,
        _current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        Ok(desired <= 10_000)
    }
}
