//! The engine: WASI 0.3's async component model, instances from a pool, and a clock that makes them yield.

use super::EdgeLimits;
use std::time::Duration;
use wasmtime::{Config, Engine, InstanceAllocationStrategy, PoolingAllocationConfig, Result};

/// The clock of the engine's epochs: a component that computes is stopped at most this much too late.
const TICK: Duration = Duration::from_millis(10);

/// A component may compute this many ticks before it gives way to others.
pub const YIELD_TICKS: u64 = 1;

/// A component is made of a few core modules (`wit-component` adds two to the author's one) around one
/// memory. These bounds are per instance; what needs more does not load.
const CORE_INSTANCES: u32 = 8;
const TABLES: u32 = 4;
/// One for each of the guest's calls in flight: handling, and writing bodies.
const STACKS: u32 = 4;

/// How edge components are compiled.
pub fn code() -> Config {
    let mut config = Config::new();
    config.wasm_component_model_async(true).epoch_interruption(true);
    config
}

pub fn new(limits: &EdgeLimits) -> Result<Engine> {
    let count = limits.concurrent_requests;
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(count)
        .total_core_instances(count.saturating_mul(CORE_INSTANCES))
        .total_memories(count)
        .total_tables(count.saturating_mul(TABLES))
        .total_stacks(count.saturating_mul(STACKS))
        .max_core_instances_per_component(CORE_INSTANCES)
        .max_memories_per_component(1)
        .max_tables_per_component(TABLES)
        .max_memory_size(limits.memory_bytes)
        // What an instance used is wiped as a whole, and a little memory kept: a second thread makes the pool slower
        // without. `pagemap_scan` would wipe less, and passes over a page that is swapped out or being moved at that
        // very moment: the next request would find what this one wrote. Decommitting in batches would keep instances
        // from the pool that have ended: it then runs dry below the number that is admitted.
        .linear_memory_keep_resident(1 << 20)
        .table_keep_resident(1 << 16);

    let mut config = code();
    config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
    let engine = Engine::new(&config)?;
    start_clock(&engine)?;
    Ok(engine)
}

/// A thread, not a task: it must tick while every worker of the async runtime is inside a component. It
/// ends with the engine.
#[expect(clippy::disallowed_methods, reason = "the thread that sleeps is the clock's own")]
fn start_clock(engine: &Engine) -> std::io::Result<()> {
    let engine = engine.weak();
    let clock = std::thread::Builder::new().name("edge-epoch".to_owned());
    clock.spawn(move || {
        while let Some(engine) = engine.upgrade() {
            engine.increment_epoch();
            drop(engine);
            std::thread::sleep(TICK);
        }
    })?;
    Ok(())
}
