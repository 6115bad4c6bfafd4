//! Length of the next range of blocks. Pure.
//!
//! Providers refuse ranges that are too long for them, each by its own measure. So a range that was refused is halved,
//! and grows again after a while. No range is requested twice unchanged in a loop.

/// Reads in a row before a longer range is tried: if the provider's limit is below the setting, every trial is refused.
const READS_TO_GROW: u32 = 16;

#[derive(Debug)]
pub(super) struct Pace {
    max_range: u64,
    range: u64,
    /// Reads since the range last changed.
    reads: u32,
}

impl Pace {
    pub(super) fn new(max_range: u64) -> Self {
        Self { max_range, range: max_range, reads: 0 }
    }

    /// Largest number of blocks that the next range may have.
    pub(super) fn range(&self) -> u64 {
        self.range
    }

    /// Notes that a range was read.
    pub(super) fn read(&mut self) {
        // At most READS_TO_GROW, where it begins again.
        self.reads += 1;
        if self.reads >= READS_TO_GROW {
            self.reads = 0;
            // A doubled range that is no number is longer than the setting, too.
            self.range = self.range.saturating_mul(2).min(self.max_range);
        }
    }

    /// Notes a failure; `refused_blocks` is the number of blocks that were requested, if it came to that. Returns true
    /// if the next range is a shorter one, so that the next request is another one.
    pub(super) fn failed(&mut self, refused_blocks: Option<u64>) -> bool {
        self.reads = 0;
        let shorter = refused_blocks.map(|blocks| blocks / 2).filter(|blocks| *blocks > 0);
        if let Some(blocks) = shorter {
            self.range = blocks;
        }
        shorter.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::Pace;

    #[test]
    fn a_refused_range_is_halved_down_to_one_block() {
        let mut pace = Pace::new(1_000);
        let asked = [(); 10].map(|()| {
            let range = pace.range();
            assert_eq!(pace.failed(Some(range)), range > 1);
            range
        });
        assert_eq!(asked, [1_000, 500, 250, 125, 62, 31, 15, 7, 3, 1]);
        assert_eq!(pace.range(), 1);
    }

    #[test]
    fn a_failure_without_a_range_changes_no_range() {
        let mut pace = Pace::new(1_000);
        assert!(!pace.failed(None));
        assert_eq!(pace.range(), 1_000);
    }

    #[test]
    fn the_range_that_was_requested_counts_and_not_the_one_that_was_allowed() {
        let mut pace = Pace::new(1_000);
        pace.failed(Some(10));
        assert_eq!(pace.range(), 5);
    }

    #[test]
    fn it_grows_again_up_to_the_setting() {
        let mut pace = Pace::new(1_000);
        pace.failed(Some(1_000));
        pace.failed(Some(500));
        (0..15).for_each(|_| pace.read());
        assert_eq!(pace.range(), 250);
        pace.read();
        assert_eq!(pace.range(), 500);
        (0..64).for_each(|_| pace.read());
        assert_eq!(pace.range(), 1_000);
    }
}
