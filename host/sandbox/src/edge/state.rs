//! The state behind one instance: its variables, its limits, and the tables of WASI.

use super::outbound::{InProcessApi, Outbound};
use super::{EdgeLimits, OutboundHost};
use clearfold_base::clock::Clock;
use spin::variables::variables::{Error, Host, HostWithStore};
use std::collections::BTreeMap;
use std::sync::Arc;
use wasmtime::component::{Accessor, HasData, Linker, ResourceTable};
use wasmtime::{StoreLimits, StoreLimitsBuilder};
use wasmtime_wasi::clocks::{WasiClocksCtx, WasiClocksCtxView, WasiClocksView};
use wasmtime_wasi_http::{WasiHttpCtx, WasiHttpCtxView, WasiHttpView};

// The only interface of Spin that is linked, as in `spin-sdk` 7.
wasmtime::component::bindgen!({
    world: "edge",
    inline: "
        package spin:variables@3.0.0;

        interface variables {
            get: async func(name: string) -> result<string, error>;

            variant error {
                invalid-name(string),
                undefined(string),
                provider(string),
                other(string),
            }
        }

        world edge {
            import variables;
        }
    ",
});

/// Maximum number of an instance's resources: more than an honest component holds, and little for the host.
const RESOURCES: usize = 1_000;

/// State that all instances of a component share.
pub struct Shared {
    pub id: String,
    pub variables: BTreeMap<String, String>,
    pub allowed_outbound_hosts: Vec<OutboundHost>,
    pub api: InProcessApi,
    pub clock: Clock,
}

pub struct EdgeState {
    pub limits: StoreLimits,
    pub outbound: Outbound,
    shared: Arc<Shared>,
    clocks: WasiClocksCtx,
    http: WasiHttpCtx,
    table: ResourceTable,
}

impl EdgeState {
    pub fn new(shared: Arc<Shared>, limits: &EdgeLimits) -> Self {
        // A refused growth traps, so the error names the memory and not what the component makes of the refusal.
        let limits = StoreLimitsBuilder::new().memory_size(limits.memory_bytes).trap_on_grow_failure(true);
        let mut table = ResourceTable::new();
        table.set_max_capacity(RESOURCES);
        let outbound = Outbound::new(Arc::clone(&shared));
        let (clocks, http) = (WasiClocksCtx::default(), WasiHttpCtx::new());
        Self { limits: limits.build(), outbound, shared, clocks, http, table }
    }

    pub fn clock(&self) -> &Clock {
        &self.shared.clock
    }
}

impl WasiHttpView for EdgeState {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView { hooks: &mut self.outbound, table: &mut self.table, ctx: &mut self.http }
    }
}

impl WasiClocksView for EdgeState {
    fn clocks(&mut self) -> WasiClocksCtxView<'_> {
        WasiClocksCtxView { ctx: &mut self.clocks, table: &mut self.table }
    }
}

/// Marker through which wasmtime's bindings reach the variables of the state.
pub struct HasVariables;

/// Variables of a component.
pub struct EdgeVariables<'a>(&'a BTreeMap<String, String>);

impl HasData for HasVariables {
    type Data<'a> = EdgeVariables<'a>;
}

impl HasVariables {
    pub fn add_to_linker(linker: &mut Linker<EdgeState>) -> wasmtime::Result<()> {
        spin::variables::variables::add_to_linker::<_, Self>(linker, |state| {
            EdgeVariables(&state.shared.variables)
        })
    }
}

impl Host for EdgeVariables<'_> {}

impl<T> HostWithStore<T> for HasVariables {
    async fn get(accessor: &Accessor<T, Self>, name: String) -> Result<String, Error> {
        let value = accessor.with(|mut access| access.get().0.get(&name).cloned());
        value.ok_or(Error::Undefined(name))
    }
}
