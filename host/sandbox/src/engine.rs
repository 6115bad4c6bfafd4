//! The engine that runs handlers: synchronous, without anything that differs from one run to the next.
//!
//! It gives every call two budgets. Fuel counts instructions and is the same everywhere, for ever; the epoch is
//! the wall clock's say and ends what fuel would let run too long on a slow machine.

use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use wasmtime::component::Component;
use wasmtime::{Config, Engine, InstanceAllocationStrategy, PoolingAllocationConfig, Store};

use super::compiled::Compiled;
use super::compiler::Code;
use super::limits::{Guard, MAX_COMPONENT_BYTES, STACK_BYTES};
use super::{ComponentKind, Limits, RuntimeError};

/// How often the epoch advances.
const EPOCH_TICK_MS: u64 = 10;
/// Handlers that can run at the same moment.
const MAX_INSTANCES: u32 = 256;
/// Core modules and tables that one component may be made of: other languages' toolchains need dozens.
const MAX_PARTS: u32 = 64;
const MAX_TABLES_OF_A_MODULE: u32 = 8;
/// What describes one instance of a module: a few bytes for each of its functions.
const MAX_INSTANCE_BYTES: usize = 4 << 20;
/// Memory that stays with an instance's place for the next one, wiped: the stack, the data, and about what one decision
/// uses besides.
const KEPT_BYTES: usize = 512 << 10;
/// Places that keep their memory while nobody uses them.
const MAX_WARM: u32 = 16;

/// The engine, and the thread that makes its time pass.
pub struct HandlerEngine {
    engine: Engine,
    compiled: Compiled,
    limits: fn(ComponentKind) -> Limits,
    stop_ticker: Option<Sender<()>>,
    ticker: Option<JoinHandle<()>>,
}

impl HandlerEngine {
    /// Builds the engine and starts its epoch. The limits of each kind are usually [`Limits::of`].
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

    /// An engine whose time stands still until somebody moves it.
    fn without_clock(limits: fn(ComponentKind) -> Limits) -> Result<Self, RuntimeError> {
        let engine = Engine::new(&config(limits)).map_err(|error| RuntimeError::Engine(error.into()))?;
        let compiled = Compiled::of_user(Code::Handler, &engine);
        Ok(Self { engine, compiled, limits, stop_ticker: None, ticker: None })
    }

    pub(super) fn engine(&self) -> &Engine {
        &self.engine
    }

    /// A component, compiled for this engine.
    pub(super) fn component(&self, wasm: &[u8]) -> wasmtime::Result<Component> {
        self.compiled.component(&self.engine, wasm)
    }

    /// What a call of such a handler may use.
    pub(super) fn limits(&self, kind: ComponentKind) -> Limits {
        (self.limits)(kind)
    }

    /// A store for one call, with the call's whole budget.
    pub(super) fn store(&self, limits: &Limits) -> Result<Store<Guard>, wasmtime::Error> {
        let mut store = Store::new(&self.engine, Guard::new(limits));
        store.limiter(|guard| guard);
        // What reading an answer may allocate. What does not fit is never read.
        store.set_hostcall_fuel(limits.output_bytes);
        Self::refuel(&mut store, limits)?;
        Ok(store)
    }

    /// Gives a store the whole budget of one call.
    pub(super) fn refuel(store: &mut Store<Guard>, limits: &Limits) -> Result<(), wasmtime::Error> {
        store.set_fuel(limits.fuel)?;
        // One tick more, because the next one may come at once.
        store.set_epoch_deadline(limits.deadline_ms.div_ceil(EPOCH_TICK_MS).saturating_add(1));
        Ok(())
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

/// How handlers are compiled.
pub(super) fn code() -> Config {
    let mut config = Config::new();
    config
        .concurrency_support(false)
        .consume_fuel(true)
        .epoch_interruption(true)
        .max_wasm_stack(STACK_BYTES)
        // What a component's data are mapped from; other languages bring tens of MiB of them.
        .memory_guaranteed_dense_image_size(MAX_COMPONENT_BYTES as u64)
        // Bit for bit the same result on every machine.
        .cranelift_nan_canonicalization(true)
        .relaxed_simd_deterministic(true);
    config
}

fn config(limits: fn(ComponentKind) -> Limits) -> Config {
    let of_all = || ComponentKind::ALL.into_iter().map(limits);
    let memory_bytes = of_all().map(|limits| limits.memory_bytes).max().unwrap_or_default();
    let table_elements = of_all().map(|limits| limits.table_elements).max().unwrap_or_default();
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
        // Beyond it, pages come and go. `pagemap_scan` would be quicker, and is not for us: a page that is swapped out or
        // being moved at that very moment would keep what the call before wrote.
        .linear_memory_keep_resident(KEPT_BYTES)
        .table_keep_resident(1 << 16)
        .max_unused_warm_slots(MAX_WARM);
    let mut config = code();
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

    /// How a loop without end ends when so many ticks have passed since its call began, and none follows.
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

    /// Without a wall clock: the fuel says when the epoch did not.
    #[test]
    fn a_call_has_its_deadline_and_is_dead_at_the_second_tick_of_it() {
        assert_eq!(end_after(0), Trap::OutOfFuel);
        assert_eq!(end_after(1), Trap::OutOfFuel, "the first tick may come at once");
        assert_eq!(end_after(2), Trap::Interrupt);
    }
}
