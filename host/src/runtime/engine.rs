//! The engine that runs handlers: synchronous, without anything that differs from one run to the next.
//!
//! It gives every call two budgets. Fuel counts instructions and is the same everywhere, for ever; the epoch is
//! the wall clock's say and ends what fuel would let run too long on a slow machine.

use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use wasmtime::{
    Cache, CacheConfig, Config, Engine, InstanceAllocationStrategy, PoolingAllocationConfig, Store,
};

use super::{Limits, RuntimeError};

/// How often the epoch advances.
const EPOCH_TICK_MS: u64 = 10;
/// Handlers that can run at the same moment.
const MAX_INSTANCES: u32 = 256;
/// Core modules and tables that one component may be made of: other languages' toolchains need several.
const MAX_PARTS: u32 = 16;
/// Memory that stays with an instance's place for the next one, wiped: the stack, the data, and about what one decision
/// uses besides.
const KEPT_BYTES: usize = 512 << 10;
/// Places that keep their memory while nobody uses them.
const MAX_WARM: u32 = 16;

/// The engine, and the thread that makes its time pass.
pub struct HandlerEngine {
    engine: Engine,
    limits: Limits,
    stop_ticker: Option<Sender<()>>,
    ticker: Option<JoinHandle<()>>,
}

impl HandlerEngine {
    /// Builds the engine and starts its epoch.
    pub fn new(limits: Limits) -> Result<Self, RuntimeError> {
        let engine = Engine::new(&config(limits)).map_err(|error| RuntimeError::Engine(error.into()))?;
        let (stop_ticker, stopped) = channel();
        let ticking = engine.clone();
        let ticker = std::thread::Builder::new()
            .name("epoch".into())
            .spawn(move || {
                let tick = Duration::from_millis(EPOCH_TICK_MS);
                while stopped.recv_timeout(tick) == Err(RecvTimeoutError::Timeout) {
                    ticking.increment_epoch();
                }
            })
            .map_err(|error| RuntimeError::Engine(error.into()))?;
        Ok(Self { engine, limits, stop_ticker: Some(stop_ticker), ticker: Some(ticker) })
    }

    pub(super) fn engine(&self) -> &Engine {
        &self.engine
    }

    /// A store for one call, with the call's whole budget.
    pub(super) fn store(&self) -> Result<Store<super::limits::Guard>, wasmtime::Error> {
        let mut store = Store::new(&self.engine, super::limits::Guard::new(self.limits));
        store.limiter(|guard| guard);
        store.set_fuel(self.limits.fuel)?;
        // One tick more, because the next one may come at once.
        store.set_epoch_deadline(self.limits.deadline_ms.div_ceil(EPOCH_TICK_MS).saturating_add(1));
        Ok(store)
    }
}

impl Drop for HandlerEngine {
    fn drop(&mut self) {
        drop(self.stop_ticker.take());
        if let Some(ticker) = self.ticker.take() {
            // The thread ends with its channel; a panic in it has nothing left to harm.
            let _ = ticker.join();
        }
    }
}

/// Where compiled components are kept between two starts, by their bytes and the engine's settings. It is safe to lose:
/// without it a start takes seconds longer.
fn compiled_before() -> Option<Cache> {
    let cache = Cache::new(CacheConfig::new());
    cache.inspect_err(|error| tracing::warn!(%error, "components are compiled at every start")).ok()
}

fn config(limits: Limits) -> Config {
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(MAX_INSTANCES)
        .total_core_instances(4 * MAX_INSTANCES)
        .total_memories(MAX_INSTANCES)
        .total_tables(4 * MAX_INSTANCES)
        .max_core_instances_per_component(MAX_PARTS)
        .max_memories_per_component(1)
        .max_tables_per_component(MAX_PARTS)
        .max_memory_size(limits.memory_bytes)
        // Beyond it, pages come and go. `pagemap_scan` would be quicker, and is not for us: a page that is swapped out or
        // being moved at that very moment would keep what the call before wrote.
        .linear_memory_keep_resident(KEPT_BYTES)
        .table_keep_resident(1 << 16)
        .max_unused_warm_slots(MAX_WARM);
    let mut config = Config::new();
    config
        .allocation_strategy(InstanceAllocationStrategy::Pooling(pool))
        .concurrency_support(false)
        .consume_fuel(true)
        .epoch_interruption(true)
        .max_wasm_stack(limits.stack_bytes)
        .cache(compiled_before())
        // Bit for bit the same result on every machine.
        .cranelift_nan_canonicalization(true)
        .relaxed_simd_deterministic(true);
    config
}
