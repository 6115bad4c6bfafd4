//! Places at which a test lets the host die or stand still, each named where it stands.
//!
//! The tests' host has them (the feature `faults`): the variable FAILPOINTS says at which of them something happens and
//! at the how-manieth time. `decided=7*off->return` ends the process there at the eighth; `return(30)` does so after 30
//! ms, in which the rest of the host goes on; `1*sleep(900)` keeps one thread waiting. Without the feature, and in every
//! release, there is nothing here.

/// Reads FAILPOINTS, once, before anything else.
pub fn begin() {
    #[cfg(all(feature = "faults", debug_assertions))]
    // What it says is true until the process ends.
    std::mem::forget(fail::FailScenario::setup());
}

/// A place where the process may end as if the machine had failed.
#[inline]
pub fn point(name: &str) {
    #[cfg(all(feature = "faults", debug_assertions))]
    fail::fail_point!(name, |after_ms| end(name, after_ms.as_deref()));
    #[cfg(not(all(feature = "faults", debug_assertions)))]
    let _ = name;
}

#[cfg(all(feature = "faults", debug_assertions))]
#[expect(clippy::disallowed_methods, reason = "this thread does nothing any more")]
fn end(name: &str, after_ms: Option<&str>) {
    let after_ms = after_ms.and_then(|ms| ms.parse().ok()).unwrap_or(0);
    std::thread::sleep(std::time::Duration::from_millis(after_ms));
    eprintln!("clearfold ends here: {name}");
    std::process::abort()
}
