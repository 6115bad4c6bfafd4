//! Timers of sagas in one partition: which were read, and when the next is due. Pure.

use std::collections::BTreeSet;
use std::time::Duration;

use clearfold_kernel::Timestamp;
use clearfold_store::{DueTimer, WaitingTimer};

use crate::saga::follow;

/// Timers that are read at once.
pub(super) const PAGE: u32 = 100;
/// Longest time after which the clock is looked at again: it may have been set.
const LOOK: Duration = Duration::from_secs(1);

/// Place among a partition's timers. Rows left of `read` are never visited again, so that those that fired, whose rows
/// may not be gone yet, cost nothing.
#[derive(Debug)]
pub(super) struct TimerQueue {
    /// Last timer that was read and fired.
    read: Option<DueTimer>,
    /// Time at which the next is due; none if there is none.
    next: Option<Timestamp>,
}

impl TimerQueue {
    /// Queue of which nothing is known, so that it is read at once.
    pub(super) fn new() -> Self {
        Self { read: None, next: Some(Timestamp::default()) }
    }

    pub(super) fn is_due(&self, now: Timestamp) -> bool {
        self.next.is_some_and(|next| next <= now)
    }

    /// Time to wait before the next is due; none if there is none.
    pub(super) fn wait(&self, now: Timestamp) -> Option<Duration> {
        let next = self.next?;
        // Zero if it is due.
        Some(Duration::from_millis(next.as_ms().saturating_sub(now.as_ms())).min(LOOK))
    }

    /// Timer behind which the next page begins.
    pub(super) fn behind(&self) -> Option<&DueTimer> {
        self.read.as_ref()
    }

    /// Takes in a page that was read. Returns the timers that are due.
    pub(super) fn take(&mut self, mut page: Vec<WaitingTimer>, now: Timestamp) -> Vec<WaitingTimer> {
        let due = page.partition_point(|waiting| waiting.timer.due <= now);
        let is_full = u32::try_from(page.len()).is_ok_and(|count| count >= PAGE);
        self.next = match page.get(due) {
            Some(waiting) => Some(waiting.timer.due),
            // A full page may be followed by more that are due.
            None => is_full.then_some(now),
        };
        page.truncate(due);
        if let Some(last) = page.last() {
            self.read = Some(last.timer.clone());
        }
        page
    }

    /// Notes timers that a committed batch has set.
    pub(super) fn set(&mut self, timers: &[DueTimer]) {
        for timer in timers {
            self.next = Some(self.next.map_or(timer.due, |next| next.min(timer.due)));
            if self.read.as_ref().is_some_and(|read| timer <= read) {
                // It comes before what was read, so that is read again; what fired already has no row any more, or is
                // ignored by its instance.
                self.read = None;
            }
        }
    }
}

/// Timers of held instances, which the resume of their saga fires, page by page. Made when deciders take over; none of
/// a saga that runs is added afterwards.
#[derive(Debug)]
pub(super) struct HeldQueue {
    /// Aggregates of the instances of sagas that run.
    running: BTreeSet<String>,
    /// Last timer that was read.
    read: DueTimer,
    is_done: bool,
}

impl HeldQueue {
    pub(super) fn of(running: BTreeSet<String>) -> Self {
        let is_done = running.is_empty();
        let read = DueTimer { due: follow::never(), stream: String::new(), number: 0 };
        Self { running, read, is_done }
    }

    pub(super) fn is_due(&self) -> bool {
        !self.is_done
    }

    /// Timer behind which the next page begins.
    pub(super) fn behind(&self) -> &DueTimer {
        &self.read
    }

    /// Takes in a page that was read. Returns the timers that fire.
    pub(super) fn take(&mut self, mut page: Vec<WaitingTimer>) -> Vec<WaitingTimer> {
        self.is_done = !u32::try_from(page.len()).is_ok_and(|count| count >= PAGE);
        if let Some(last) = page.last() {
            self.read = last.timer.clone();
        }
        let runs = |stream: &str| {
            follow::split(stream).is_some_and(|(aggregate, _)| self.running.contains(aggregate))
        };
        page.retain(|waiting| runs(&waiting.timer.stream));
        page
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(s: u64) -> Timestamp {
        Timestamp::from_s(s).unwrap()
    }

    fn timer(s: u64, number: u64) -> DueTimer {
        DueTimer { due: time(s), stream: "saga-a-1".into(), number }
    }

    fn page(timers: &[(u64, u64)]) -> Vec<WaitingTimer> {
        let waiting =
            |(s, number): &(u64, u64)| WaitingTimer { timer: timer(*s, *number), routing_key: "0xaa".into() };
        timers.iter().map(waiting).collect()
    }

    #[test]
    fn what_is_due_fires_in_order_and_the_next_is_waited_for() {
        let mut queue = TimerQueue::new();
        assert!(queue.is_due(time(0)), "nothing is known yet");
        let due = queue.take(page(&[(1, 1), (2, 2), (9, 3)]), time(2));
        assert_eq!(due.iter().map(|waiting| waiting.timer.number).collect::<Vec<_>>(), [1, 2]);
        assert_eq!(queue.behind(), Some(&timer(2, 2)));
        assert!(!queue.is_due(time(8)) && queue.is_due(time(9)));
        assert_eq!(queue.wait(time(8)), Some(Duration::from_secs(1)));
        assert!(queue.take(Vec::new(), time(9)).is_empty());
        assert_eq!((queue.wait(time(9)), queue.is_due(time(99))), (None, false));
    }

    #[test]
    fn a_full_page_is_followed_by_another() {
        let mut queue = TimerQueue::new();
        let full: Vec<_> = (1..=u64::from(PAGE)).map(|number| (1, number)).collect();
        assert_eq!(queue.take(page(&full), time(5)).len(), full.len());
        assert!(queue.is_due(time(5)));
    }

    #[test]
    fn a_timer_that_is_set_before_what_was_read_is_not_missed() {
        let mut queue = TimerQueue::new();
        queue.take(page(&[(4, 1)]), time(5));
        queue.set(&[timer(3, 2)]);
        assert!(queue.is_due(time(5)) && queue.behind().is_none());
        queue.take(page(&[(3, 2)]), time(5));
        queue.set(&[timer(9, 3)]);
        assert_eq!(
            (queue.behind(), queue.is_due(time(5)), queue.is_due(time(9))),
            (Some(&timer(3, 2)), false, true)
        );
    }

    #[test]
    fn only_the_held_instances_of_sagas_that_run_are_resumed_page_by_page() {
        let held = |stream: &str| WaitingTimer {
            timer: DueTimer { due: follow::never(), stream: stream.into(), number: 1 },
            routing_key: "0xaa".into(),
        };
        let mut queue = HeldQueue::of(BTreeSet::from(["saga-runs".to_owned()]));
        let mut full: Vec<WaitingTimer> = (1..PAGE).map(|number| held(&format!("saga-a-{number}"))).collect();
        full.push(held("saga-runs-1"));
        let fired = queue.take(full);
        assert_eq!(fired, [held("saga-runs-1")]);
        assert!(queue.is_due());
        assert_eq!(queue.behind(), &fired[0].timer);
        assert!(queue.take(Vec::new()).is_empty() && !queue.is_due());
        assert!(!HeldQueue::of(BTreeSet::new()).is_due(), "without sagas nothing is read");
    }
}
