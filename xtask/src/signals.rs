//! A request to stop (Ctrl-C, SIGTERM, SIGHUP) as a flag that every wait looks at.
//!
//! It never ends the process: each wait checks the flag, and its caller stops what it started and returns.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

static STOP: LazyLock<Arc<AtomicBool>> = LazyLock::new(Arc::default);

/// Turns the signals into the flag.
pub fn watch() -> Result<()> {
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        signal_hook::flag::register(signal, Arc::clone(&STOP)).context("cannot listen for signals")?;
    }
    Ok(())
}

/// Returns true if a signal asked to stop.
pub fn stop_requested() -> bool {
    STOP.load(Ordering::Relaxed)
}

/// Sleeps for one turn of a waiting loop; fails if somebody asked to stop.
#[expect(clippy::disallowed_methods, reason = "xtask has no async runtime whose threads could be blocked")]
pub fn pause(pause_ms: u64) -> Result<()> {
    std::thread::sleep(Duration::from_millis(pause_ms));
    if stop_requested() {
        bail!("interrupted");
    }
    Ok(())
}
