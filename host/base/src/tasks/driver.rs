//! The one loop of all background tasks: step, wait, retry with backoff, log, stop.
//!
//! A task defines one step; the driver decides when the next one comes. A failure is logged when its reason is a new
//! one, not at each retry, and so is the recovery. Cancellation drops a step at any `await`: a step must survive that,
//! as it must survive a crash.

use std::convert::Infallible;
use std::error::Error;
use std::future::{Future, pending};
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::status::{StatusEntry, TaskStatuses};
use crate::clock::Clock;
use crate::telemetry::with_causes;

/// Time of a task's next step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next<T = Infallible> {
    /// At once.
    Again,
    /// After this time, or earlier if the task is woken.
    WaitFor(Duration),
    /// As soon as the task is woken.
    Idle,
    /// Never: the task is done.
    End(T),
}

/// A task that repeats one step.
pub trait Task: Send {
    /// Result of a task that ends by itself; [`Infallible`] if it runs until it is stopped.
    type Output: Send;
    type Error: Error + Send + 'static;

    /// Does what is to be done now. It may be dropped at any `await`.
    fn step(&mut self) -> impl Future<Output = Result<Next<Self::Output>, Self::Error>> + Send;

    /// Ends when there is something to do. It must also end for an occasion that came while a step was running, and may
    /// be dropped at any `await`.
    fn woken(&mut self) -> impl Future<Output = ()> + Send {
        pending()
    }

    /// Pauses between retries.
    fn retry(&self) -> Retry;

    /// Log message for a failure, and how it is retried.
    fn failure(&self, error: &Self::Error) -> StepFailure;

    /// Returns true if an earlier failure lasts although a later step succeeded, because that step did other work. The
    /// failure then stays in the status, and neither is recovery logged nor does the backoff begin anew.
    fn is_still_failing(&self) -> bool {
        false
    }

    /// Log message for the first success after a failure.
    fn recovered(&self) -> &'static str {
        "the task succeeds again"
    }
}

/// Pauses between retries: each is twice as long as the one before, plus a random part of itself, so that many tasks do
/// not return to an overloaded server at the same moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retry {
    pub least: Duration,
    /// Longest pause without its random part.
    pub longest: Duration,
}

/// A failure as it is logged and retried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StepFailure {
    message: &'static str,
    is_warning: bool,
    is_other_question: bool,
    is_ended_by_wake: bool,
    repeat: Option<Duration>,
}

/// Runs tasks until they end or are stopped. A clone stops with the same token and writes to the same statuses.
#[derive(Clone)]
pub struct Driver {
    stop: CancellationToken,
    clock: Clock,
    statuses: TaskStatuses,
}

/// Failures since the last success.
struct Failing {
    pauses: ExponentialBackoff,
    /// The error that was logged last, and when.
    logged: Option<(String, Instant)>,
}

impl StepFailure {
    /// A failure that is logged as an error.
    #[must_use]
    pub const fn error(message: &'static str) -> Self {
        Self { message, is_warning: false, is_other_question: false, is_ended_by_wake: false, repeat: None }
    }

    /// A failure that is logged as a warning.
    #[must_use]
    pub const fn warning(message: &'static str) -> Self {
        Self { is_warning: true, ..Self::error(message) }
    }

    /// Makes the pause before the next step the least one again: the next step asks something else.
    #[must_use]
    pub const fn asking_otherwise(self) -> Self {
        Self { is_other_question: true, ..self }
    }

    /// Ends the pause before the next step early if the task is woken: the wake asks for other work than the step that
    /// failed. Without this a wake during the pause is kept until the pause has ended, so that a task under load backs
    /// off too.
    #[must_use]
    pub const fn or_when_woken(self) -> Self {
        Self { is_ended_by_wake: true, ..self }
    }

    /// Logs the same failure again after each such time, while it lasts.
    #[must_use]
    pub const fn repeated_every(self, time: Duration) -> Self {
        Self { repeat: Some(time), ..self }
    }
}

/// Backoff without an end, with jitter.
#[must_use]
pub const fn backoff(retry: Retry) -> ExponentialBuilder {
    ExponentialBuilder::new()
        .with_min_delay(retry.least)
        .with_max_delay(retry.longest)
        .without_max_times()
        .with_jitter()
}

/// Ends when the value is changed. If nobody can change it any more, never.
pub async fn changed<T>(receiver: &mut watch::Receiver<T>) {
    if receiver.changed().await.is_err() {
        pending::<()>().await;
    }
}

impl Driver {
    #[must_use]
    pub fn new(stop: CancellationToken, clock: Clock) -> Self {
        Self { stop, clock, statuses: TaskStatuses::default() }
    }

    /// Token that stops the tasks of this driver.
    #[must_use]
    pub fn stop(&self) -> CancellationToken {
        self.stop.clone()
    }

    /// Statuses of the running tasks.
    #[must_use]
    pub fn statuses(&self) -> TaskStatuses {
        self.statuses.clone()
    }

    /// Runs a task until it ends; `None` if it was stopped.
    pub async fn run<T: Task>(&self, name: impl Into<String>, task: &mut T) -> Option<T::Output> {
        let name = name.into();
        let entry = self.statuses.enter(name.clone());
        tokio::select! {
            biased;
            () = self.stop.cancelled() => None,
            output = self.repeat(&name, &entry, task) => Some(output),
        }
    }

    async fn repeat<T: Task>(&self, name: &str, entry: &StatusEntry, task: &mut T) -> T::Output {
        let mut failing = Failing::none(task.retry());
        loop {
            let pause = match task.step().await {
                Ok(next) => {
                    if !task.is_still_failing() {
                        entry.succeeded(self.clock.now());
                        if failing.logged.is_some() {
                            tracing::info!(task = name, "{}", task.recovered());
                            failing = Failing::none(task.retry());
                        }
                    }
                    match next {
                        Next::Again => Some(Duration::ZERO),
                        Next::WaitFor(time) => Some(time),
                        Next::Idle => None,
                        Next::End(output) => return output,
                    }
                }
                Err(error) => {
                    let (failure, text) = (task.failure(&error), with_causes(&error));
                    let failures = entry.failed(text.clone(), self.clock.now());
                    let pause = failing.failed(name, failure, text, failures, task.retry());
                    if !failure.is_ended_by_wake {
                        tokio::time::sleep(pause).await;
                        continue;
                    }
                    Some(pause)
                }
            };
            match pause {
                // A step that never waits must not keep the thread, nor the stop, from anybody.
                Some(Duration::ZERO) => tokio::task::yield_now().await,
                Some(pause) => {
                    tokio::select! {
                        () = task.woken() => {}
                        () = tokio::time::sleep(pause) => {}
                    }
                }
                None => task.woken().await,
            }
        }
    }
}

impl Failing {
    fn none(retry: Retry) -> Self {
        Self { pauses: backoff(retry).build(), logged: None }
    }

    /// Logs a failure unless it was logged, and returns the pause before the next try.
    fn failed(
        &mut self,
        name: &str,
        failure: StepFailure,
        error: String,
        failures: u64,
        retry: Retry,
    ) -> Duration {
        if failure.is_other_question {
            self.pauses = backoff(retry).build();
        }
        // The backoff has no end; the longest pause is what it comes to.
        let pause = self.pauses.next().unwrap_or(retry.longest);
        let is_logged = self.logged.as_ref().is_some_and(|(logged, at)| {
            *logged == error && failure.repeat.is_none_or(|repeat| at.elapsed() < repeat)
        });
        if !is_logged {
            let (message, pause_ms) = (failure.message, pause.as_millis());
            if failure.is_warning {
                tracing::warn!(task = name, error, failures, pause_ms, "{message}");
            } else {
                tracing::error!(task = name, error, failures, pause_ms, "{message}");
            }
            self.logged = Some((error, Instant::now()));
        }
        pause
    }
}

#[cfg(test)]
mod tests;
