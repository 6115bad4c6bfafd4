//! Fault points: named places at which a test makes the host crash or stand still.
//!
//! The host of the tests has them (the feature `faults`): the variable FAILPOINTS says what happens at which of them,
//! and at which passage. `decided=7*off->return` ends the process there at the eighth passage; `return(30)` does so
//! after 30 ms, during which the rest of the host goes on; `1*sleep(900)` keeps one thread waiting. Without the
//! feature, and in every release, nothing happens here.

/// Reads FAILPOINTS, once, before anything else.
pub fn begin() {
    #[cfg(all(feature = "faults", debug_assertions))]
    // The scenario holds until the process ends, so it is never torn down.
    std::mem::forget(fail::FailScenario::setup());
}

/// A fault point: the process may end here as if the machine had failed.
#[inline]
pub fn point(name: &str) {
    #[cfg(all(feature = "faults", debug_assertions))]
    fail::fail_point!(name, |after_ms| end(name, after_ms.as_deref()));
    #[cfg(not(all(feature = "faults", debug_assertions)))]
    let _ = name;
}

#[cfg(all(feature = "faults", debug_assertions))]
#[expect(clippy::disallowed_methods, reason = "the process ends here, so this thread has nothing else to do")]
fn end(name: &str, after_ms: Option<&str>) {
    // Without a time the process ends at once.
    let after_ms = after_ms.and_then(|ms| ms.parse().ok()).unwrap_or(0);
    std::thread::sleep(std::time::Duration::from_millis(after_ms));
    eprintln!("clearfold ends here: {name}");
    std::process::abort()
}
