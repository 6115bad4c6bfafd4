//! Work that keeps cores busy for seconds while commands are decided beside it: deciding the past again, and waiting for
//! a compiler.
//!
//! It has threads of its own at the lowest priority, one less than there are cores, so it gets what the rest leaves. They
//! share the process's memory: who changes its layout makes others wait, and the slower he runs, the longer. So what
//! compiles has a process of its own. Nothing that a payment waits for is ever done here.

use std::num::NonZero;
use std::sync::OnceLock;

use rayon::{ThreadPool, ThreadPoolBuilder};
use tokio::sync::oneshot;

/// The priority of what comes after everything else.
pub const LOWEST: i32 = 19;

/// The work ended without a result.
#[derive(Debug, thiserror::Error)]
#[error("work in the background failed; the log says why")]
pub struct Abandoned;

/// Does it there, and blocks this thread until it is done. What it splits up stays there too.
pub fn install<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    match pool() {
        Some(pool) => pool.install(work),
        None => work(),
    }
}

/// Does it there while this task waits.
pub async fn run<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Abandoned> {
    let (tell, told) = oneshot::channel();
    let work = move || {
        // Nobody may be waiting any more.
        let _ = tell.send(work());
    };
    match pool() {
        Some(pool) => pool.spawn(work),
        None => drop(tokio::task::spawn_blocking(work)),
    }
    told.await.map_err(|_| Abandoned)
}

/// As many as leave so many cores to the rest.
pub fn threads(spared: usize) -> usize {
    let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
    cores.saturating_sub(spared).max(1)
}

/// None if the machine has no threads to give: then whoever asks works himself.
fn pool() -> Option<&'static ThreadPool> {
    static POOL: OnceLock<Option<ThreadPool>> = OnceLock::new();
    let made = POOL.get_or_init(|| {
        let pool = ThreadPoolBuilder::new()
            .num_threads(threads(1))
            .thread_name(|number| format!("background {number}"))
            .start_handler(|_| be_last())
            .panic_handler(|_| tracing::error!("work in the background panicked"));
        let made = pool.build().inspect_err(|error| tracing::warn!(%error, "no threads for the background"));
        made.ok()
    });
    made.as_ref()
}

/// On Linux a priority is a thread's own; elsewhere it would be the process's.
fn be_last() {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::nice(LOWEST) {
        tracing::debug!(%error, "the background has the priority of everything else");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_os = "linux")]
    fn the_background_comes_last_and_nobody_else_does() {
        let priority = || rustix::process::nice(0).unwrap();
        let before = priority();
        assert_eq!(install(priority), LOWEST);
        assert_eq!(priority(), before);
    }

    #[tokio::test]
    async fn work_that_panics_is_no_result_and_harms_nobody() {
        assert!(run(|| panic!("on purpose")).await.is_err());
        assert_eq!(run(|| 42).await.unwrap(), 42);
    }
}
