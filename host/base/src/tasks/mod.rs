//! Tasks of the host that run side by side: listener, writers, outbox, projections, API.
//!
//! None of them may end before it is told to. One that does, by a panic or by itself, stops the others in order and is
//! named: a host that looks alive and does nothing would be worse. A task that repeats one step is run by a [`Driver`],
//! which retries, logs and keeps its [`TaskStatus`].

mod driver;
mod status;

pub use driver::{Driver, Next, Retry, StepFailure, Task, backoff, changed};
pub use status::{TaskFailure, TaskStatus, TaskStatuses};

use std::collections::BTreeMap;
use std::future::Future;
use std::time::Duration;

use tokio::task::{Id, JoinError, JoinSet};
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;

/// Time that the tasks have for finishing what they have begun.
const SHUTDOWN_MS: u64 = 10_000;

/// A task ended that never should.
#[derive(Debug, thiserror::Error)]
#[error("the {name} ended ({why}); the host stopped, and what was committed is safe: start it again")]
pub struct TaskEnded {
    name: &'static str,
    why: String,
}

/// Running tasks.
pub struct Tasks {
    running: JoinSet<()>,
    names: BTreeMap<Id, &'static str>,
    driver: Driver,
}

impl Default for Tasks {
    fn default() -> Self {
        let driver = Driver::new(CancellationToken::new(), Clock::system());
        Self { running: JoinSet::new(), names: BTreeMap::new(), driver }
    }
}

impl Tasks {
    /// Token that is cancelled when the tasks must stop.
    #[must_use]
    pub fn stop(&self) -> CancellationToken {
        self.driver.stop()
    }

    /// Driver for tasks that repeat a step. It stops with these tasks and keeps its statuses in the one list.
    #[must_use]
    pub fn driver(&self) -> Driver {
        self.driver.clone()
    }

    /// Statuses of all driven tasks, now and later.
    #[must_use]
    pub fn statuses(&self) -> TaskStatuses {
        self.driver.statuses()
    }

    /// Starts a task.
    pub fn spawn(&mut self, name: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        let id = self.running.spawn(task).id();
        self.names.insert(id, name);
    }

    /// Runs until `told` to stop, then stops all tasks. If told again, cuts off those that have not stopped.
    pub async fn run_until<F: Future<Output = ()>>(mut self, told: impl Fn() -> F) -> Result<(), TaskEnded> {
        let mut ended = tokio::select! {
            () = told() => None,
            ended = self.running.join_next_with_id() => ended.map(|ended| self.name(ended)),
        };
        tracing::info!("stopping");
        self.statuses().log();
        self.stop().cancel();
        tokio::select! {
            () = self.drain(&mut ended) => tracing::info!("stopped"),
            () = tokio::time::sleep(Duration::from_millis(SHUTDOWN_MS)) => self.cut_off(),
            () = told() => self.cut_off(),
        }
        ended.map_or(Ok(()), Err)
    }

    fn name(&mut self, ended: Result<(Id, ()), JoinError>) -> TaskEnded {
        let (id, why) = match ended {
            Ok((id, ())) => (id, "by itself".to_owned()),
            Err(error) => (error.id(), error.to_string()),
        };
        TaskEnded { name: self.names.remove(&id).unwrap_or("task"), why }
    }

    /// Waits until all tasks have ended. Keeps the first failure: one that panics while it stops may have left its work
    /// undone, which must not look like an orderly stop.
    async fn drain(&mut self, failure: &mut Option<TaskEnded>) {
        while let Some(ended) = self.running.join_next_with_id().await {
            let has_failed = ended.is_err();
            let ended = self.name(ended);
            if has_failed {
                tracing::error!(task = ended.name, error = ended.why, "a task failed while it stopped");
                failure.get_or_insert(ended);
            }
        }
    }

    fn cut_off(&mut self) {
        let names: Vec<&str> = self.names.values().copied().collect();
        tracing::warn!(tasks = ?names, "cut off what did not stop in time; what was committed is safe");
        self.running.abort_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_task_that_ends_stops_the_others_and_is_named() {
        for panics in [false, true] {
            let mut tasks = Tasks::default();
            let stop = tasks.stop();
            tasks.spawn("patient", async move { stop.cancelled().await });
            tasks.spawn("hasty", async move { assert!(!panics, "it fell over") });
            let ended = tasks.run_until(std::future::pending).await.unwrap_err();
            assert_eq!(ended.name, "hasty");
        }
    }

    #[tokio::test]
    async fn a_task_that_panics_while_it_stops_makes_the_run_fail_unless_another_one_failed_before() {
        for ends_early in [false, true] {
            let mut tasks = Tasks::default();
            let (stop, stop_too) = (tasks.stop(), tasks.stop());
            tasks.spawn("orderly", async move { stop.cancelled().await });
            tasks.spawn("clumsy", async move {
                stop_too.cancelled().await;
                panic!("it fell over while it stopped");
            });
            if ends_early {
                tasks.spawn("hasty", async {});
            }
            let told = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(ends_early));
            let tell_once = move || {
                let was_told = told.swap(true, std::sync::atomic::Ordering::Relaxed);
                async move {
                    if was_told {
                        std::future::pending::<()>().await;
                    }
                }
            };
            let ended = tasks.run_until(tell_once).await.unwrap_err();
            assert_eq!(ended.name, if ends_early { "hasty" } else { "clumsy" });
        }
    }

    #[tokio::test]
    async fn a_task_that_does_not_stop_is_cut_off_when_told_again() {
        let mut tasks = Tasks::default();
        tasks.spawn("deaf", std::future::pending());
        assert!(tasks.run_until(|| std::future::ready(())).await.is_ok());
    }
}
