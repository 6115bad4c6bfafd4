//! The engine that runs handlers: synchronous, without anything that differs from one run to the next.
//!
//! It gives every call two budgets. Fuel counts instructions and is the same on every machine; the epoch follows the
//! wall clock, and ends calls that their fuel would let run too long on a slow machine.

use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use wasmtime::component::Component;
use wasmtime::{Config, Engine, InstanceAllocationStrategy, PoolingAllocationConfig, Store};

use super::ComponentKind;
use super::compiled::Compiled;
use super::error::RuntimeError;
use super::limits::{Guard, Limits};
use super::target::CompileTarget;

/// Interval at which the epoch advances.
const EPOCH_TICK_MS: u64 = 10;
/// Maximum number of handlers that run at the same moment.
const MAX_INSTANCES: u32 = 256;
/// Maximum number of core modules, and of tables, in one component: other languages' toolchains need dozens.
const MAX_PARTS: u32 = 64;
const MAX_TABLES_OF_A_MODULE: u32 = 8;
/// Maximum size of wasmtime's description of one instance: a few bytes for each of its functions.
const MAX_INSTANCE_BYTES: usize = 4 << 20;
/// Memory that stays with an instance's slot, wiped, for the next instance: the stack, the data, and about as much as
/// one decision uses besides.
const KEPT_BYTES: usize = 512 << 10;
/// Maximum number of unused slots that keep their memory.
const MAX_WARM: u32 = 16;

/// Engine of the handlers, with the thread that advances its epoch.
pub struct HandlerEngine {
    engine: Engine,
    compiled: Compiled,
    limits: fn(ComponentKind) -> Limits,
    stop_ticker: Option<Sender<()>>,
    ticker: Option<JoinHandle<()>>,
}

impl HandlerEngine {
    /// Builds the engine and starts its epoch. `limits` gives the limits of each kind, usually [`Limits::of`].
    pub fn new(limits: fn(ComponentKind) -> Limits) -> Result<Self, RuntimeError> {
        let mut made = Self::without_clock(limits)?;
        let (stop_ticker, stopped) = channel();
        let ticking = made.engine.clone();
        let ticker = std::thread::Builder::new()
            .name("epoch".into())
            .spawn(move || {
                let tick = Duration::from_millis(EPOCH_TICK_MS);
                while stopped.recv_timeout(tick) == Err(RecvTimeoutError::Timeout) {
                    ticking.increment_epoch();
                }
            })
            .map_err(|error| RuntimeError::Engine(error.into()))?;
        (made.stop_ticker, made.ticker) = (Some(stop_ticker), Some(ticker));
        Ok(made)
    }

    /// Builds an engine whose epoch only advances when the caller advances it.
    fn without_clock(limits: fn(ComponentKind) -> Limits) -> Result<Self, RuntimeError> {
        let engine = Engine::new(&config(limits)).map_err(|error| RuntimeError::Engine(error.into()))?;
        let compiled = Compiled::of_user(CompileTarget::Handler, &engine);
        Ok(Self { engine, compiled, limits, stop_ticker: None, ticker: None })
    }

    pub(super) fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Returns a component that is compiled for this engine.
    pub(super) fn component(&self, wasm: &[u8]) -> wasmtime::Result<Component> {
        self.compiled.component(&self.engine, wasm)
    }

    /// Limits of one call of a handler of a kind.
    pub(super) fn limits(&self, kind: ComponentKind) -> Limits {
        (self.limits)(kind)
    }

    /// Makes a store for one call, with the call's whole budget.
    pub(super) fn store(&self, limits: &Limits) -> Result<Store<Guard>, wasmtime::Error> {
        let mut store = Store::new(&self.engine, Guard::new(limits));
        store.limiter(|guard| guard);
        // Reading an answer may allocate this much; a larger answer is never read.
        store.set_hostcall_fuel(limits.output_bytes);
        Self::refuel(&mut store, limits)?;
        Ok(store)
    }

    /// Gives a store the whole budget of one call.
    pub(super) fn refuel(store: &mut Store<Guard>, limits: &Limits) -> Result<(), wasmtime::Error> {
        store.set_fuel(limits.fuel)?;
        // One tick more, because the next one may come at once. A deadline saturates only if it is longer than the
        // epoch can count, and then it is never reached anyway.
        store.set_epoch_deadline(limits.deadline_ms.div_ceil(EPOCH_TICK_MS).saturating_add(1));
        Ok(())
    }
}

impl Drop for HandlerEngine {
    fn drop(&mut self) {
        drop(self.stop_ticker.take());
        if let Some(ticker) = self.ticker.take() {
            // The thread ends when its channel is closed; if it panicked, the engine is gone anyway.
            let _ = ticker.join();
        }
    }
}

fn config(limits: fn(ComponentKind) -> Limits) -> Config {
    // A slot of the pool fits every kind. There is at least one kind, so the folds begin below all of them.
    let largest =
        |of: fn(Limits) -> usize| ComponentKind::ALL.map(limits).map(of).into_iter().fold(0, usize::max);
    let memory_bytes = largest(|limits| limits.memory_bytes);
    let table_elements = largest(|limits| limits.table_elements);
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(MAX_INSTANCES)
        .total_core_instances(MAX_PARTS * MAX_INSTANCES)
        .max_core_instance_size(MAX_INSTANCE_BYTES)
        .max_component_instance_size(MAX_INSTANCE_BYTES)
        .total_memories(4 * MAX_INSTANCES)
        .total_tables(4 * MAX_INSTANCES)
        .max_core_instances_per_component(MAX_PARTS)
        // QuickJS as a component has three, two of them empty.
        .max_memories_per_component(4)
        .max_tables_per_component(MAX_PARTS)
        .max_tables_per_module(MAX_TABLES_OF_A_MODULE)
        .table_elements(table_elements)
        .max_memory_size(memory_bytes)
        // Memory above it is given back to the operating system. `pagemap_scan` would be quicker, but is unsafe here:
        // a page that is swapped out or being moved at that moment would keep what the previous call wrote.
        .linear_memory_keep_resident(KEPT_BYTES)
        .table_keep_resident(1 << 16)
        .max_unused_warm_slots(MAX_WARM);
    let mut config = CompileTarget::Handler.settings();
    config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
    config
}

#[cfg(test)]
mod tests {
    use wasmtime::Trap;
    use wasmtime::component::Linker;

    use super::*;

    const LOOP: &str = r#"(component
        (core module $m (func (export "f") (loop $again (br $again))))
        (core instance $i (instantiate $m))
        (func (export "f") (canon lift (core func $i "f"))))"#;

    /// Trap that ends an endless loop if `ticks` ticks have passed since its call began, and none follows.
    fn end_after(ticks: u64) -> Trap {
        let limits = |kind| Limits { fuel: 1_000_000, deadline_ms: EPOCH_TICK_MS, ..Limits::of(kind) };
        let engine = HandlerEngine::without_clock(limits).unwrap();
        let component = Component::new(engine.engine(), wat::parse_str(LOOP).unwrap()).unwrap();
        let mut store = engine.store(&engine.limits(ComponentKind::Decider)).unwrap();
        let instance = Linker::new(engine.engine()).instantiate(&mut store, &component).unwrap();
        let call = instance.get_typed_func::<(), ()>(&mut store, "f").unwrap();
        for _ in 0..ticks {
            engine.engine().increment_epoch();
        }
        *call.call(&mut store, ()).unwrap_err().downcast_ref().unwrap()
    }

    /// Without a wall clock: if the epoch does not end the loop, running out of fuel does.
    #[test]
    fn a_call_has_its_deadline_and_is_dead_at_the_second_tick_of_it() {
        assert_eq!(end_after(0), Trap::OutOfFuel);
        assert_eq!(end_after(1), Trap::OutOfFuel, "the first tick may come at once");
        assert_eq!(end_after(2), Trap::Interrupt);
    }
}
