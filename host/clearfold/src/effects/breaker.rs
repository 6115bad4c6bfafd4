//! Circuit breaker: after failures in a row nothing is sent for a while, then one request tries whether the other side is
//! back. Pure: the time is an argument.

use std::time::Duration;

/// Failures in a row that open the circuit.
const FAILURES: u32 = 5;
/// Time for which it stays open.
const OPEN: Duration = Duration::from_secs(5);

/// Circuit breaker of one effect. Times are durations since a moment that the caller chooses.
#[derive(Debug, Default)]
pub(super) struct Breaker {
    /// Failures in a row.
    failures: u32,
    /// Time at which the next request may be sent; none while the circuit is closed.
    open_until: Option<Duration>,
}

impl Breaker {
    /// Returns true while requests are sent as they come.
    pub(super) fn is_closed(&self) -> bool {
        self.open_until.is_none()
    }

    /// Returns true if a request may be sent now. Of those that ask while the circuit is open, one is let through
    /// after each pause.
    pub(super) fn lets_through(&mut self, now: Duration) -> bool {
        match self.open_until {
            None => true,
            Some(until) if now < until => false,
            Some(_) => {
                self.open_until = Some(now + OPEN);
                true
            }
        }
    }

    /// Notes the outcome of a request. Returns true if the circuit opens because of it.
    pub(super) fn note(&mut self, has_succeeded: bool, now: Duration) -> bool {
        if has_succeeded {
            *self = Self::default();
            return false;
        }
        self.failures = self.failures.saturating_add(1);
        let was_closed = self.open_until.is_none();
        if self.failures >= FAILURES {
            self.open_until = Some(now + OPEN);
        }
        was_closed && self.open_until.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(s: u64) -> Duration {
        Duration::from_secs(s)
    }

    #[test]
    fn it_opens_after_failures_in_a_row_and_lets_one_through_to_try() {
        let mut breaker = Breaker::default();
        for _ in 1..FAILURES {
            assert!(!breaker.note(false, at(0)));
        }
        assert!(!breaker.note(true, at(0)), "a success begins anew");
        for _ in 1..FAILURES {
            assert!(!breaker.note(false, at(0)));
        }
        assert!(breaker.lets_through(at(0)) && breaker.is_closed());
        assert!(breaker.note(false, at(0)) && !breaker.is_closed(), "it opens once");
        assert!(!breaker.lets_through(at(4)));
        assert!(breaker.lets_through(at(5)) && !breaker.lets_through(at(5)), "one probe");
        assert!(!breaker.note(false, at(5)) && !breaker.lets_through(at(9)));
        assert!(breaker.lets_through(at(10)) && !breaker.note(true, at(10)));
        assert!(breaker.lets_through(at(10)) && breaker.lets_through(at(10)), "closed");
    }
}
