//! The delay queue: while a transaction waits in it, the money that is there may be gone in minutes.
//!
//! The chain is read in order, so the last observation holds. What it means for holds is said in `hold`.

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
