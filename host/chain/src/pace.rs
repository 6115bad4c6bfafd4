//! How much is asked for at once, and how long to wait after a failure. Pure.
//!
//! Providers refuse ranges that are too long for them, each by its own measure. So a range that was refused is
//! halved, and grows again after a while. It is never asked for twice unchanged in a loop.

/// Reads in a row before a longer range is tried: where the limit lies below the setting, every trial is refused.
const READS_TO_GROW: u32 = 16;
/// The longest pause.
const MAX_PAUSE_MS: u64 = 30_000;

#[derive(Debug)]
pub(super) struct Pace {
    max_range: u64,
    poll_interval_ms: u64,
    range: u64,
    /// Reads since the range last changed.
    reads: u32,
    /// Failures in a row that a shorter range could not mend.
    failures: u32,
}

impl Pace {
    pub(super) fn new(max_range: u64, poll_interval_ms: u64) -> Self {
        Self { max_range, poll_interval_ms, range: max_range, reads: 0, failures: 0 }
    }

    /// The most blocks that the next range may have.
    pub(super) fn range(&self) -> u64 {
        self.range
    }

    /// How long to wait before the next look at the chain.
    pub(super) fn pause_ms(&self) -> u64 {
        let doubled = 1_u64.checked_shl(self.failures.saturating_sub(1)).unwrap_or(u64::MAX);
        self.poll_interval_ms.saturating_mul(doubled).min(MAX_PAUSE_MS.max(self.poll_interval_ms))
    }

    /// The chain was looked at without trouble.
    pub(super) fn went_well(&mut self) {
        self.failures = 0;
    }

    /// A range was read.
    pub(super) fn read(&mut self) {
        self.went_well();
        self.reads = self.reads.saturating_add(1);
        if self.reads >= READS_TO_GROW {
            self.reads = 0;
            self.range = self.range.saturating_mul(2).min(self.max_range);
        }
    }

    /// A look at the chain failed; `refused` is how many blocks were asked for, if it came to that.
    pub(super) fn failed(&mut self, refused: Option<u64>) {
        self.reads = 0;
        match refused {
            // The next question is another one, so there is no need to wait for better times.
            Some(blocks) if blocks > 1 => self.range = blocks / 2,
            _ => self.failures = self.failures.saturating_add(1),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Pace;

    #[test]
    fn a_refused_range_is_halved_down_to_one_block() {
        let mut pace = Pace::new(1_000, 100);
        let asked = [(); 10].map(|()| {
            let range = pace.range();
            pace.failed(Some(range));
            range
        });
        assert_eq!(asked, [1_000, 500, 250, 125, 62, 31, 15, 7, 3, 1]);
        assert_eq!((pace.range(), pace.pause_ms()), (1, 100));
    }

    #[test]
    fn what_was_asked_for_counts_and_not_what_might_have_been() {
        let mut pace = Pace::new(1_000, 100);
        pace.failed(Some(10));
        assert_eq!(pace.range(), 5);
    }

    #[test]
    fn it_grows_again_up_to_the_setting() {
        let mut pace = Pace::new(1_000, 100);
        pace.failed(Some(1_000));
        pace.failed(Some(500));
        (0..15).for_each(|_| pace.read());
        assert_eq!(pace.range(), 250);
        pace.read();
        assert_eq!(pace.range(), 500);
        (0..64).for_each(|_| pace.read());
        assert_eq!(pace.range(), 1_000);
    }

    #[test]
    fn pauses_double_up_to_half_a_minute_and_end_with_the_trouble() {
        let mut pace = Pace::new(1_000, 1_000);
        let mut pauses = Vec::new();
        for _ in 0..7 {
            pace.failed(None);
            pauses.push(pace.pause_ms());
        }
        assert_eq!(pauses, [1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000]);
        (0..100).for_each(|_| pace.failed(Some(1)));
        assert_eq!((pace.range(), pace.pause_ms()), (1_000, 30_000));
        pace.went_well();
        assert_eq!(pace.pause_ms(), 1_000);
        assert_eq!(Pace::new(1, 60_000).pause_ms(), 60_000);
    }
}
