//! Work that keeps cores busy for seconds beside the deciding of commands: deciding past commands again, and waiting
//! for a compiler.
//!
//! It runs on threads of its own at the lowest priority, one less than there are cores, so it gets the time that the
//! rest leaves. These threads share the process's memory: one that changes the memory's layout makes the others wait,
//! and the slower it runs, the longer. So the compiler has a process of its own. Nothing that a payment waits for is
//! ever done here.

use std::num::NonZero;
use std::sync::OnceLock;

use rayon::{ThreadPool, ThreadPoolBuilder};
use tokio::sync::oneshot;

/// The priority ("niceness") of work that comes after everything else.
pub const LOWEST: i32 = 19;

/// Background work ended without a result.
#[derive(Debug, thiserror::Error)]
#[error("work in the background failed; the log says why")]
pub struct Abandoned;

/// Does work on the background threads, and blocks this thread until it is done. Parallel work that it starts stays
/// there too.
pub fn install<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    match pool() {
        Some(pool) => pool.install(work),
        None => work(),
    }
}

/// Does work on the background threads while the calling task waits.
pub async fn run<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Abandoned> {
    let (tell, told) = oneshot::channel();
    let work = move || {
        // The caller may not be waiting any more.
        let _ = tell.send(work());
    };
    match pool() {
        Some(pool) => pool.spawn(work),
        None => drop(tokio::task::spawn_blocking(work)),
    }
    told.await.map_err(|_| Abandoned)
}

/// Number of threads that leaves so many cores to the rest; at least one.
pub fn threads(spared: usize) -> usize {
    // If the number of cores is unknown, one is a safe assumption.
    let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
    // Fewer cores than are spared leave none, and one thread is needed all the same.
    cores.saturating_sub(spared).max(1)
}

/// The background threads. `None` if they cannot be started: then the work is done by the caller.
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

/// Gives this thread the lowest priority. On Linux a priority belongs to a thread; elsewhere it would change the whole
/// process.
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
