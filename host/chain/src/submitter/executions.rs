//! Executions of hashes by the Spenders, as far as final blocks were read for them. Pure, and never stored.
//!
//! The blocks that were read form one range. It grows at its end with the final block, and at its beginning only as far as a
//! hash needs that is consumed for a reason not found yet. So no pull waits for older blocks than its own fate needs, and
//! a restart reads them only for what was consumed meanwhile. An executor that fails leaves to the next what it has read.
//!
//! A consumed hash without a transaction in this database may have been consumed in any block. If an endpoint still serves
//! old state, the Spender's state gives the last block in which the hash was fresh, and the search begins behind it.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;

use alloy::primitives::{Address, B256};

use super::state::PullState;
use super::view::{Fate, Search};

/// Number of blocks after which endpoints are asked again for the old state that none of them served.
const PROBE_EVERY: u64 = 720;

/// Limits of the blocks that are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reach {
    /// Longest range that is read at once.
    pub range: u64,
    /// Blocks that are read before the one since which a pull is watched: older rows name the newest block there, and a
    /// reorganization could put an execution before it.
    pub margin: u64,
    /// Blocks before the final one in which the execution of a hash is looked for that nobody signed here.
    pub unsigned: u64,
}

/// Executions in a range of final blocks.
#[derive(Debug)]
pub struct Executions {
    reach: Reach,
    /// Contracts whose executions were read.
    spenders: BTreeSet<Address>,
    /// First and last block that were read; `None` before the first.
    range: Option<(u64, u64)>,
    /// Transaction and block of each execution in the range, by hash.
    found: BTreeMap<B256, (B256, u64)>,
    /// Newest probe of the Spender's old state for each hash without a transaction in this database.
    probes: BTreeMap<B256, Probe>,
    /// Reason for which the newest read failed; `None` after one that did not.
    failure: Option<String>,
}

/// Result of a probe: the last block in which a hash was fresh.
#[derive(Debug, Clone, Copy)]
enum Probe {
    /// The hash was fresh in that block, and consumed in the next one.
    FreshUntil(u64),
    /// No endpoint served a block in which the hash was fresh. Holds the final block at that time.
    Unserved(u64),
}

impl Executions {
    #[must_use]
    pub fn new(reach: Reach) -> Self {
        let (spenders, found, probes) = (BTreeSet::new(), BTreeMap::new(), BTreeMap::new());
        Self { reach, spenders, range: None, found, probes, failure: None }
    }

    /// Returns the next pull to probe: its hash is consumed, without a transaction in this database and without a found
    /// execution.
    #[must_use]
    pub fn to_probe<'a>(
        &self,
        undecided: &[&'a PullState],
        consumed: &BTreeSet<B256>,
        finalized: u64,
    ) -> Option<&'a PullState> {
        let is_due = |known: &&&PullState| match self.probes.get(&known.hash) {
            None => true,
            Some(Probe::FreshUntil(_)) => false,
            Some(Probe::Unserved(at)) => finalized >= at.saturating_add(PROBE_EVERY),
        };
        let unsigned = undecided.iter().filter(|known| !known.is_watched() && consumed.contains(&known.hash));
        unsigned.filter(|known| !self.found.contains_key(&known.hash)).find(is_due).copied()
    }

    /// Records the last block in which the hash was fresh; `None` if no endpoint serves such a block.
    pub fn probed(&mut self, hash: B256, fresh_until: Option<u64>, finalized: u64) {
        let probe = fresh_until.map_or(Probe::Unserved(finalized), Probe::FreshUntil);
        self.probes.insert(hash, probe);
    }

    /// Prepares for these undecided pulls: forgets what none of them needs, and everything if another Spender's
    /// executions are needed too. `consumed` holds the hashes that are consumed for their delegates.
    pub fn prepare(&mut self, undecided: &[&PullState], consumed: &BTreeSet<B256>, finalized: u64) {
        let spenders: BTreeSet<Address> = undecided.iter().map(|known| known.pull.spender).collect();
        if !spenders.is_subset(&self.spenders) {
            (self.range, self.spenders) = (None, spenders);
        }
        self.probes.retain(|hash, _| consumed.contains(hash));
        let is_needed = |known: &&&PullState| known.is_watched() || consumed.contains(&known.hash);
        let first = undecided.iter().filter(is_needed).map(|known| self.first(known, finalized)).min();
        // Reading anew from the final block is shorter than reading on from a range that nobody needs.
        self.range = self
            .range
            .zip(first)
            .and_then(|((from, to), first)| (first <= to).then_some((from.max(first), to)));
        let from = self.range.map_or(u64::MAX, |(from, _)| from);
        self.found.retain(|_, (_, block)| *block >= from);
    }

    /// Returns the range to read next: on to the final block, then back as far as a consumed hash needs that was not found.
    /// `None` if nothing is missing.
    #[must_use]
    pub fn next(
        &self,
        undecided: &[&PullState],
        consumed: &BTreeSet<B256>,
        finalized: u64,
    ) -> Option<RangeInclusive<u64>> {
        let unexplained = undecided.iter().filter(|known| consumed.contains(&known.hash));
        let unexplained = unexplained.filter(|known| !self.found.contains_key(&known.hash));
        let first = unexplained.map(|known| self.first(known, finalized)).min();
        let Some((from, to)) = self.range else {
            let is_needed = first.is_some() || undecided.iter().any(|known| known.is_watched());
            return is_needed.then(|| self.before(finalized, 0));
        };
        if to < finalized {
            return Some(to + 1..=finalized.min(to.saturating_add(self.reach.range)));
        }
        let first = first.filter(|first| *first < from)?;
        Some(self.before(from - 1, first))
    }

    /// Takes a range in that was read, with its executions. A range that does not join on was read for nothing.
    pub fn extend(
        &mut self,
        range: &RangeInclusive<u64>,
        found: impl IntoIterator<Item = (B256, (B256, u64))>,
    ) {
        let joined = match self.range {
            None => (*range.start(), *range.end()),
            Some((from, to)) if Some(*range.start()) == to.checked_add(1) => (from, *range.end()),
            Some((from, to)) if range.end().checked_add(1) == Some(from) => (*range.start(), to),
            Some(_) => return,
        };
        self.range = Some(joined);
        self.found.extend(found);
        self.failure = None;
    }

    /// Notes that a range could not be read. Returns true if that was not known.
    pub fn fail(&mut self, why: String) -> bool {
        let before = self.failure.replace(why);
        before != self.failure
    }

    /// Returns the fate of a pull's hash in that final block, from what was read and from what the Spender says.
    #[must_use]
    pub fn fate(&self, known: &PullState, is_consumed: bool, finalized: u64) -> Fate {
        let found = self.found.get(&known.hash).filter(|(_, block)| *block <= finalized);
        if let Some(&(transaction, block)) = found {
            return Fate::Executed { transaction, block };
        }
        if !is_consumed {
            return Fate::Fresh;
        }
        let first = self.first(known, finalized);
        let is_read = self.range.is_some_and(|(from, to)| from <= first && to >= finalized);
        let was_fresh = known.is_watched() || self.fresh_until(known).is_some();
        match (is_read, was_fresh) {
            (true, true) => Fate::Invalidated,
            // It was consumed before this database knew it, and can have been executed before the blocks that were read.
            (true, false) => Fate::Consumed(Search::Fruitless),
            (false, _) if self.failure.is_some() => Fate::Consumed(Search::Failed),
            (false, _) => Fate::Consumed(Search::UnderWay),
        }
    }

    #[must_use]
    pub fn spenders(&self) -> &BTreeSet<Address> {
        &self.spenders
    }

    /// Returns the first block in which the pull can have been executed, as far as it is looked for.
    fn first(&self, known: &PullState, finalized: u64) -> u64 {
        // Before the first block there is none.
        match (known.watched_from_block, self.fresh_until(known)) {
            (Some(block), _) => block.saturating_sub(self.reach.margin),
            (None, Some(block)) => block.saturating_add(1),
            (None, None) => {
                let reached = finalized.saturating_sub(self.reach.unsigned);
                known.search_from.map_or(reached, |block| block.min(reached))
            }
        }
    }

    fn fresh_until(&self, known: &PullState) -> Option<u64> {
        match self.probes.get(&known.hash) {
            Some(Probe::FreshUntil(block)) => Some(*block),
            Some(Probe::Unserved(_)) | None => None,
        }
    }

    /// Returns the longest range that ends there and begins not before `first`.
    fn before(&self, last: u64, first: u64) -> RangeInclusive<u64> {
        last.saturating_sub(self.reach.range - 1).max(first)..=last
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::submitter::tests_support::pull;
    use crate::submitter::{Change, Price, State, Transaction, Work};

    const REACH: Reach = Reach { range: 10, margin: 5, unsigned: 100 };

    /// Pull that is watched from that block; `None`: nothing was signed.
    fn known(watched_from_block: Option<u64>) -> PullState {
        let (mut state, pull) = (State::default(), pull("visa-1/pull/1"));
        let (id, account) = (pull.id.clone(), pull.sender);
        state.apply(&Change::Accepted { pull }).unwrap();
        state.apply(&Change::LaneOpened { account, next_nonce: 0 }).unwrap();
        if watched_from_block.is_some() {
            let transaction = Transaction {
                hash: B256::ZERO,
                raw: Vec::new().into(),
                price: Price { fee_cap_wei: 1, tip_cap_wei: 1 },
                work: Work::Pull { id: id.clone(), attempt: 1 },
                signed_at_block: 1_000,
                final_block: watched_from_block,
            };
            state.apply(&Change::Signed { account, nonce: 0, transaction }).unwrap();
        }
        state.pulls.remove(&id).unwrap()
    }

    /// Reads to the end of what is needed; returns the ranges.
    fn read(executions: &mut Executions, known: &PullState, is_consumed: bool, last: u64) -> Vec<(u64, u64)> {
        let consumed: BTreeSet<B256> = is_consumed.then_some(known.hash).into_iter().collect();
        executions.prepare(&[known], &consumed, last);
        let mut ranges = Vec::new();
        while let Some(range) = executions.next(&[known], &consumed, last) {
            ranges.push((*range.start(), *range.end()));
            executions.extend(&range, []);
        }
        ranges
    }

    #[test]
    fn old_blocks_are_read_only_for_a_hash_that_is_consumed_and_only_once() {
        let (mut executions, known) = (Executions::new(REACH), known(Some(965)));
        assert_eq!(read(&mut executions, &known, false, 1_000), [(991, 1_000)]);
        assert_eq!(read(&mut executions, &known, false, 1_012), [(1_001, 1_010), (1_011, 1_012)]);
        assert_eq!(executions.fate(&known, true, 1_012), Fate::Consumed(Search::UnderWay));
        assert_eq!(
            read(&mut executions, &known, true, 1_012),
            [(981, 990), (971, 980), (961, 970), (960, 960)]
        );
        assert_eq!(executions.fate(&known, true, 1_012), Fate::Invalidated);
        assert_eq!(executions.fate(&known, true, 1_013), Fate::Consumed(Search::UnderWay));
        assert_eq!(read(&mut executions, &known, true, 1_013), [(1_013, 1_013)]);
    }

    #[test]
    fn what_nobody_signed_is_looked_for_and_never_taken_for_invalidated() {
        let (mut executions, known) = (Executions::new(REACH), known(None));
        assert!(read(&mut executions, &known, false, 1_000).is_empty(), "fresh, and nobody signed it");
        assert_eq!(executions.fate(&known, false, 1_000), Fate::Fresh);
        assert!(executions.fail("pruned".to_owned()) && !executions.fail("pruned".to_owned()));
        assert_eq!(executions.fate(&known, true, 1_000), Fate::Consumed(Search::Failed));
        assert_eq!(read(&mut executions, &known, true, 1_000).last(), Some(&(900, 900)));
        assert_eq!(executions.fate(&known, true, 1_000), Fate::Consumed(Search::Fruitless));
    }

    #[test]
    fn what_the_spender_says_of_old_blocks_shortens_the_search_and_ends_it() {
        let (mut executions, known) = (Executions::new(REACH), known(None));
        let consumed: BTreeSet<B256> = [known.hash].into();
        let to_probe = |executions: &Executions, finalized| {
            executions.to_probe(&[&known], &consumed, finalized).map(|known| known.hash)
        };
        assert_eq!(executions.to_probe(&[&known], &BTreeSet::new(), 1_000), None, "it is fresh");
        assert_eq!(to_probe(&executions, 1_000), Some(known.hash));
        executions.probed(known.hash, None, 1_000);
        assert_eq!(to_probe(&executions, 1_719), None, "nobody served old state a while ago");
        assert_eq!(to_probe(&executions, 1_720), Some(known.hash));
        executions.probed(known.hash, Some(1_705), 1_720);
        assert_eq!(to_probe(&executions, 9_000), None);
        assert_eq!(read(&mut executions, &known, true, 1_720), [(1_711, 1_720), (1_706, 1_710)]);
        assert_eq!(executions.fate(&known, true, 1_720), Fate::Invalidated);
        executions.prepare(&[&known], &BTreeSet::new(), 1_720);
        assert_eq!(to_probe(&executions, 1_720), Some(known.hash), "it was fresh again meanwhile");
    }

    #[test]
    fn an_operator_has_older_blocks_searched_and_the_search_alone_ends_nothing() {
        let (mut executions, mut known) = (Executions::new(REACH), known(None));
        known.search_from = Some(885);
        assert_eq!(read(&mut executions, &known, true, 1_000).last(), Some(&(885, 890)));
        assert_eq!(executions.fate(&known, true, 1_000), Fate::Consumed(Search::Fruitless));
        known.search_from = Some(950);
        assert_eq!(executions.fate(&known, true, 1_000), Fate::Consumed(Search::Fruitless));
        known.search_from = Some(880);
        assert_eq!(executions.fate(&known, true, 1_000), Fate::Consumed(Search::UnderWay));
    }

    #[test]
    fn a_range_that_does_not_join_on_or_of_other_spenders_is_read_again() {
        let (mut executions, known) = (Executions::new(REACH), known(Some(985)));
        read(&mut executions, &known, true, 1_000);
        executions.extend(&(1_005..=1_010), [(known.hash, (B256::ZERO, 1_005))]);
        assert_eq!(executions.fate(&known, true, 1_000), Fate::Invalidated);
        assert_eq!(read(&mut executions, &known, true, 1_010), [(1_001, 1_010)]);
        let mut elsewhere = known;
        elsewhere.pull.spender = Address::repeat_byte(9);
        assert_eq!(read(&mut executions, &elsewhere, true, 1_010).first(), Some(&(1_001, 1_010)));
    }
}
