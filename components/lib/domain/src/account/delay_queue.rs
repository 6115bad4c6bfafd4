//! The delay queue: while a transaction waits in it, the money in the Safe may be gone within minutes.
//!
//! The chain is read in order, so the last observation is the current state. `hold` says what it means for holds.

use clearfold_kernel::{Rejection, Timestamp};

use super::messages::{DelayQueueChanged, Event, ObserveDelayQueue};
use super::rule::Rule;
use super::state::Books;

impl Rule for ObserveDelayQueue {
    fn is_seen_on_chain(&self) -> bool {
        true
    }

    fn event(&self, books: &Books, at: Timestamp) -> Result<Event, Rejection> {
        Ok(Event::DelayQueueChanged(DelayQueueChanged {
            account: books.address,
            state: self.state,
            source: self.source.clone(),
            at,
        }))
    }
}
