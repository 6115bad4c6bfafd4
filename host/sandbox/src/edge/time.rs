//! The time inside an edge component: it can read the host's clock and wait, and change nothing.

use super::state::EdgeState;
use clearfold_base::clock::Clock;
use wasmtime::Result;
use wasmtime::component::{HasData, Linker};
use wasmtime_wasi::clocks::{WasiClocks, WasiClocksView};
use wasmtime_wasi::p3::bindings::clocks::{monotonic_clock, system_clock, types};

/// Marker through which wasmtime's bindings reach the clock of the state.
struct HasClock;

struct Now<'a>(&'a Clock);

impl HasData for HasClock {
    type Data<'a> = Now<'a>;
}

pub fn add_to_linker(linker: &mut Linker<EdgeState>) -> Result<()> {
    types::add_to_linker::<_, WasiClocks>(linker, EdgeState::clocks)?;
    monotonic_clock::add_to_linker::<_, WasiClocks>(linker, EdgeState::clocks)?;
    system_clock::add_to_linker::<_, HasClock>(linker, |state| Now(state.clock()))
}

impl system_clock::Host for Now<'_> {
    fn now(&mut self) -> Result<system_clock::Instant> {
        const MS: u64 = 1_000;
        const NS_PER_MS: u32 = 1_000_000;
        let ms = self.0.now().as_ms();
        // Below 1,000 times a million, so the product fits.
        let nanoseconds = u32::try_from(ms % MS)?.saturating_mul(NS_PER_MS);
        Ok(system_clock::Instant { seconds: i64::try_from(ms / MS)?, nanoseconds })
    }

    fn get_resolution(&mut self) -> Result<types::Duration> {
        const NS_PER_MS: types::Duration = 1_000_000;
        Ok(NS_PER_MS)
    }
}
