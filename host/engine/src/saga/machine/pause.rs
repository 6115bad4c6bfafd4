//! Pause of the saga: inputs are recorded and wait, and no step begins until the resume.

use super::{Machine, name_of};
use crate::saga::event::{SagaHeld, SagaResumed, TimerHeld};
use crate::saga::instance::Flow;

impl Machine {
    /// Has what waits for the resume found by it.
    pub(super) fn hold(&mut self) {
        let waits = !self.instance.unobserved.is_empty() || self.instance.running().any(Flow::is_idle);
        if waits && self.instance.held.is_none() {
            self.emit(SagaHeld { timer: self.next_timer() });
        }
    }

    pub(super) fn hold_timer(&mut self, flow: &Flow, timer: u64) {
        self.emit(TimerHeld { key: flow.key(), name: name_of(flow), timer });
    }

    /// Goes on with what waited. If the saga is paused again, that waits for the next resume.
    pub(super) fn resume(&mut self, timer: u64) {
        self.emit(SagaResumed { timer });
        if !self.is_held {
            self.asked = self.instance.unobserved.front().cloned();
        }
    }
}
