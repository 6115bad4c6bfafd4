//! The two engines that code is compiled for, as the settings that decide what the code looks like.
//!
//! The engines that run code add to them where instances live; the compiler, which runs nothing, does not.

use wasmtime::Config;

use super::limits::{MAX_COMPONENT_BYTES, STACK_BYTES};

/// Engine that code is compiled for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum CompileTarget {
    /// Handlers: synchronous, metered by fuel, and with nothing that differs between two runs.
    Handler,
    /// HTTP components: the async component model of WASI 0.3.
    Edge,
}

impl CompileTarget {
    pub(super) const ALL: [Self; 2] = [Self::Handler, Self::Edge];

    /// Name on the command line of the compiler's process.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Handler => "handler",
            Self::Edge => "edge",
        }
    }

    /// Settings that decide what the code looks like. Code runs only in an engine that has the same ones.
    pub(super) fn settings(self) -> Config {
        let mut config = Config::new();
        config.epoch_interruption(true);
        match self {
            Self::Handler => config
                .concurrency_support(false)
                .consume_fuel(true)
                .max_wasm_stack(STACK_BYTES)
                // A component's data are mapped from its image; other languages bring tens of MiB of them.
                .memory_guaranteed_dense_image_size(MAX_COMPONENT_BYTES as u64)
                // Results are bit for bit the same on every machine.
                .cranelift_nan_canonicalization(true)
                .relaxed_simd_deterministic(true),
            Self::Edge => config.wasm_component_model_async(true),
        };
        config
    }
}
