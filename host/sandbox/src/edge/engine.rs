//! The engine of edge components: WASI 0.3's async component model, instances from a pool, and a clock that makes them
//! yield.

use super::EdgeLimits;
use crate::target::CompileTarget;
use std::time::Duration;
use wasmtime::{Engine, InstanceAllocationStrategy, PoolingAllocationConfig, Result};

/// Interval of the engine's epochs: a component that computes is stopped at most this much too late.
const TICK: Duration = Duration::from_millis(10);

/// Ticks that a component may compute before it yields to others.
pub const YIELD_TICKS: u64 = 1;

/// Bounds of one instance: a component consists of a few core modules (`wit-component` adds two to the author's one)
/// around one memory. A component that needs more is not loaded.
const CORE_INSTANCES: u32 = 8;
const TABLES: u32 = 4;
/// One stack for each of the guest's calls in flight: handling, and writing bodies.
const STACKS: u32 = 4;

/// Builds the engine and starts its clock. A limit so high that a product saturates is refused by the pool.
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
        // An instance's memory is wiped as a whole, and a little of it is kept: without that, the pool is slower with a
        // second thread. `pagemap_scan` would wipe less, but skips a page that is swapped out or being moved at that
        // moment: the next request would find what this one wrote. Decommitting in batches would hold back ended
        // instances from the pool, so that it runs dry below the admitted number.
        .linear_memory_keep_resident(1 << 20)
        .table_keep_resident(1 << 16);

    let mut config = CompileTarget::Edge.settings();
    config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
    let engine = Engine::new(&config)?;
    start_clock(&engine)?;
    Ok(engine)
}

/// Starts the clock: a thread and not a task, because it must tick while every thread of the async runtime is inside a
/// component. It ends with the engine.
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
