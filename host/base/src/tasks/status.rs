//! Statuses of the driven tasks: what a health check, metrics and the admin API can read at any moment.
//!
//! An entry lives as long as its task runs. Nothing here waits for a task.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use clearfold_kernel::Timestamp;

/// Status of one task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskStatus {
    pub name: String,
    /// Time at which a step last succeeded; `None` before the first success.
    pub last_success: Option<Timestamp>,
    /// The newest failure, also after the task has recovered; `None` if no step has failed.
    pub last_failure: Option<TaskFailure>,
    /// Failures since the last success; 0 if the task is healthy.
    pub consecutive_failures: u64,
}

/// A step that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskFailure {
    /// The error with its causes.
    pub error: String,
    pub at: Timestamp,
}

/// Statuses of the running tasks. A clone shows the same ones.
#[derive(Debug, Clone, Default)]
pub struct TaskStatuses(Arc<Mutex<StatusTable>>);

/// Statuses by number: numbers tell tasks of the same name apart.
#[derive(Debug, Default)]
struct StatusTable {
    /// Number of the next task.
    next: u64,
    statuses: BTreeMap<u64, TaskStatus>,
}

/// The status of one running task; it leaves the list when this is dropped.
pub(super) struct StatusEntry {
    statuses: TaskStatuses,
    number: u64,
}

impl TaskStatuses {
    /// Statuses as they are now, in the order in which the tasks were started.
    #[must_use]
    pub fn list(&self) -> Vec<TaskStatus> {
        self.with(|table| table.statuses.values().cloned().collect())
    }

    /// Writes the statuses to the log: those of tasks that have failed as information, the others for debugging.
    pub fn log(&self) {
        for TaskStatus { name, last_success, last_failure, consecutive_failures } in self.list() {
            let last_success = last_success.map(tracing::field::display);
            match last_failure {
                None => tracing::debug!(task = name, last_success, "task status: no failure"),
                Some(TaskFailure { error, at }) => tracing::info!(
                    task = name,
                    last_success,
                    last_error = error,
                    last_failure = %at,
                    consecutive_failures,
                    "task status: it has failed before"
                ),
            }
        }
    }

    pub(super) fn enter(&self, name: String) -> StatusEntry {
        let number = self.with(|table| {
            let number = table.next;
            // A task that started every nanosecond would take 584 years to use up the numbers.
            table.next = number.wrapping_add(1);
            let status = TaskStatus { name, last_success: None, last_failure: None, consecutive_failures: 0 };
            table.statuses.insert(number, status);
            number
        });
        StatusEntry { statuses: self.clone(), number }
    }

    fn with<R>(&self, work: impl FnOnce(&mut StatusTable) -> R) -> R {
        // Each change is one assignment, so a thread that panicked has left nothing half done.
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl StatusEntry {
    pub(super) fn succeeded(&self, now: Timestamp) {
        self.change(|status| {
            status.last_success = Some(now);
            status.consecutive_failures = 0;
        });
    }

    /// Notes a failure, and returns the number of failures in a row.
    pub(super) fn failed(&self, error: String, now: Timestamp) -> u64 {
        self.change(|status| {
            status.last_failure = Some(TaskFailure { error, at: now });
            // Saturates: a figure that is shown and decides nothing.
            status.consecutive_failures = status.consecutive_failures.saturating_add(1);
            status.consecutive_failures
        })
        // The entry lives as long as this handle.
        .unwrap_or(0)
    }

    fn change<R>(&self, change: impl FnOnce(&mut TaskStatus) -> R) -> Option<R> {
        self.statuses.with(|table| table.statuses.get_mut(&self.number).map(change))
    }
}

impl Drop for StatusEntry {
    fn drop(&mut self) {
        self.statuses.with(|table| table.statuses.remove(&self.number));
    }
}
