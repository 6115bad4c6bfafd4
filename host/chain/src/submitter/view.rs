//! View of the chain: the newest observation, and what only several of them show. It is never stored: after a restart,
//! it begins empty and everything is observed again.

use std::collections::{BTreeMap, BTreeSet};

use alloy::primitives::{Address, B256, U256};
use clearfold_kernel::Timestamp;

use super::price::Market;
use super::state::{Slot, State};

/// Number of observations in a row after which what was not found is believed to be missing.
pub const POLLS: u32 = 3;

/// Answers of the nodes, taken together: one look at the chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observation {
    pub now: Timestamp,
    /// Number of the newest block.
    pub head: u64,
    /// Number of the newest final block, up to which the listener has read.
    pub finalized: u64,
    pub market: Market,
    /// Each account whose key this host has.
    pub accounts: BTreeMap<Address, Account>,
    /// Each transaction that was signed and is not settled.
    pub sightings: BTreeMap<B256, Sighting>,
    /// Each undecided pull, by its hash.
    pub fates: BTreeMap<B256, Fate>,
}

/// Account as the nodes know it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Account {
    /// Number of its transactions up to the newest final block.
    pub final_nonce: u64,
    /// Number of its transactions up to the newest block.
    pub latest_nonce: u64,
    /// Number of its transactions with those in the pool that follow without a gap.
    pub pending_nonce: u64,
    pub balance_wei: U256,
}

/// Place of a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sighting {
    /// No node knows it.
    Unknown,
    /// It waits in a pool.
    Waiting,
    Mined {
        block: u64,
        succeeded: bool,
    },
}

/// Hash of a pull at its Spender, in the newest final block.
///
/// A first signature needs a `Fresh` hash; a `Consumed` hash ends no pull.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It is not consumed.
    Fresh,
    /// The Spender logged `HashExecuted`.
    Executed { transaction: B256, block: u64 },
    /// It is consumed for the delegate and was not executed. The log `HashInvalidated` proves nothing: anyone can cause
    /// it.
    Invalidated,
    /// It is consumed for the delegate, and it is not known whether the money was pulled.
    Consumed(Search),
}

/// Search for the execution of a consumed hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Search {
    /// Some blocks that may hold the execution are unread.
    UnderWay,
    /// No endpoint serves the blocks in which it can be.
    Failed,
    /// It was not found, and nothing was ever signed here: this database may have forgotten what it signed.
    Fruitless,
}

/// An observation contradicts itself or the one before; it is not used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Implausible {
    #[error("the final block {finalized} is behind the newest, {head}; ask another node")]
    Finality { finalized: u64, head: u64 },
    #[error("the final block went back from {before} to {finalized}; the node is behind, ask another")]
    FinalityFell { before: u64, finalized: u64 },
    #[error("account {account} has {latest} transactions, but {finalized} in final blocks; ask another node")]
    Nonces { account: Address, latest: u64, finalized: u64 },
}

/// Newest observation, and counts over several.
#[derive(Debug, Clone, Default)]
pub struct View {
    seen: Option<Observation>,
    /// Number of observations in a row in which no node knew the transaction, since it was last sent.
    unknown: BTreeMap<B256, u32>,
    /// Number of observations in a row in which a nonce was used in a final block, by none of ours.
    taken: BTreeMap<(Address, u64), u32>,
    /// Number of observations in a row in which a nonce below assigned ones was not assigned itself.
    gaps: BTreeMap<(Address, u64), u32>,
    /// Transactions that this process has sent, and whose place in a pool no reorganization ended.
    sent: BTreeSet<B256>,
    /// First open nonce of each lane that is in no block, and the newest block when it became that.
    first: BTreeMap<Address, (u64, u64)>,
}

impl View {
    /// Returns the newest observation.
    #[must_use]
    pub fn seen(&self) -> Option<&Observation> {
        self.seen.as_ref()
    }

    /// Takes an observation in.
    pub fn observe(&mut self, state: &State, observation: Observation) -> Result<(), Implausible> {
        self.check(&observation)?;
        let before = self.seen.take();
        for (account, lane) in &state.lanes {
            let Some(now) = observation.accounts.get(account) else { continue };
            let fallen = before
                .as_ref()
                .and_then(|before| before.accounts.get(account))
                .is_some_and(|before| now.latest_nonce < before.latest_nonce);
            for (&nonce, slot) in &lane.slots {
                // A falling count is a reorganization: what was mined may be in no pool.
                if fallen && nonce >= now.latest_nonce {
                    slot.transactions.iter().for_each(|one| _ = self.sent.remove(&one.hash));
                }
                self.count(*account, nonce, slot, now, &observation);
            }
            let is_gap = |nonce: &u64| !lane.slots.contains_key(nonce);
            let from = now.latest_nonce.max(lane.floor);
            let gaps: Vec<u64> = (from..lane.next_nonce).filter(is_gap).collect();
            self.gaps.retain(|(of, nonce), _| of != account || gaps.contains(nonce));
            gaps.iter().for_each(|nonce| one_more(self.gaps.entry((*account, *nonce)).or_default()));
            match lane.slots.range(now.latest_nonce..).next() {
                Some((&nonce, _)) if self.first.get(account).is_some_and(|(old, _)| *old == nonce) => {}
                Some((&nonce, _)) => _ = self.first.insert(*account, (nonce, observation.head)),
                None => _ = self.first.remove(account),
            }
        }
        self.forget(state);
        self.seen = Some(observation);
        Ok(())
    }

    /// Notes that a transaction was sent, whatever the answer was.
    pub fn sent(&mut self, transaction: B256) {
        self.sent.insert(transaction);
        self.unknown.remove(&transaction);
    }

    pub(super) fn was_sent(&self, transaction: B256) -> bool {
        self.sent.contains(&transaction)
    }

    /// Returns true if the transaction was sent, and no node has known it for long.
    pub(super) fn is_dropped(&self, transaction: B256) -> bool {
        self.unknown.get(&transaction).is_some_and(|polls| *polls >= POLLS)
    }

    /// Returns true if a foreign transaction used the nonce.
    pub(super) fn is_taken(&self, account: Address, nonce: u64) -> bool {
        self.taken.get(&(account, nonce)).is_some_and(|polls| *polls >= POLLS)
    }

    /// Nonces of the lane that must be used and have no transaction.
    pub(super) fn gaps(&self, account: Address) -> impl Iterator<Item = (u64, bool)> {
        let of_lane = self.gaps.range((account, 0)..=(account, u64::MAX));
        of_lane.map(|((_, nonce), polls)| (*nonce, *polls >= POLLS))
    }

    /// Returns the first open nonce that is in no block, and the block since which it is that.
    pub(super) fn first(&self, account: Address) -> Option<(u64, u64)> {
        self.first.get(&account).copied()
    }

    fn check(&self, now: &Observation) -> Result<(), Implausible> {
        let (finalized, head) = (now.finalized, now.head);
        if finalized > head {
            return Err(Implausible::Finality { finalized, head });
        }
        if let Some(before) =
            self.seen.as_ref().map(|seen| seen.finalized).filter(|before| finalized < *before)
        {
            return Err(Implausible::FinalityFell { before, finalized });
        }
        for (account, Account { final_nonce, latest_nonce, .. }) in &now.accounts {
            if latest_nonce < final_nonce {
                let (account, latest, finalized) = (*account, *latest_nonce, *final_nonce);
                return Err(Implausible::Nonces { account, latest, finalized });
            }
        }
        Ok(())
    }

    fn count(&mut self, account: Address, nonce: u64, slot: &Slot, now: &Account, observation: &Observation) {
        let mut all_unknown = true;
        for transaction in &slot.transactions {
            match observation.sightings.get(&transaction.hash) {
                Some(Sighting::Unknown) => one_more(self.unknown.entry(transaction.hash).or_default()),
                Some(_) => {
                    all_unknown = false;
                    self.unknown.remove(&transaction.hash);
                }
                None => all_unknown = false,
            }
        }
        if all_unknown && nonce < now.final_nonce {
            one_more(self.taken.entry((account, nonce)).or_default());
        } else {
            self.taken.remove(&(account, nonce));
        }
    }

    /// Forgets what belongs to nonces that are settled.
    fn forget(&mut self, state: &State) {
        let is_open = |account: &Address, nonce: &u64| {
            state.lanes.get(account).is_some_and(|lane| lane.slots.contains_key(nonce))
        };
        self.taken.retain(|(account, nonce), _| is_open(account, nonce));
        let slots = state.lanes.values().flat_map(|lane| lane.slots.values());
        let known: BTreeSet<B256> =
            slots.flat_map(|slot| slot.transactions.iter().map(|transaction| transaction.hash)).collect();
        self.unknown.retain(|hash, _| known.contains(hash));
        self.sent.retain(|hash| known.contains(hash));
    }
}

/// Counts observations up to the number from which more of them say nothing new.
fn one_more(polls: &mut u32) {
    *polls = POLLS.min(*polls + 1);
}
