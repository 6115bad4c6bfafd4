//! Plan of the next steps: what to sign, send and report, from the state and the view. Pure.
//!
//! Nothing here looks at an error's text. A transaction is sent again because no node knows it, and raised because no
//! block takes it; a nonce is given up only when a final block has used it.

use alloy::primitives::{Address, B256, Bytes, U256};

use super::Policy;
use super::accept::Draft;
use super::pull::PullId;
use super::settle::unreported;
use super::state::{Lane, Outcome, PullState, Slot, State, Transaction, Work};
use super::view::{Account, Fate, Observation, Sighting, View};
use super::wait::Wait;

/// Step of the executor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Sign a transaction, and have it accepted and committed.
    Sign(Draft),
    /// Send these committed bytes, and note that they were sent, whatever the answer is.
    Send { transaction: B256, raw: Bytes },
    /// Report an outcome to the saga, and have its recording committed.
    Report { id: PullId, outcome: Outcome },
}

/// Returns the next steps. At most one of them assigns a new nonce in each lane; the plan after its commit goes on.
#[must_use]
pub fn plan(state: &State, view: &View, policy: &Policy) -> Vec<Step> {
    let mut steps: Vec<Step> =
        unreported(state).map(|(id, outcome)| Step::Report { id: id.clone(), outcome }).collect();
    for account in state.lanes.keys() {
        if let Some(outlook) = Outlook::of(state, view, policy, *account) {
            steps.extend(outlook.steps());
        }
    }
    steps
}

/// One lane, with what is known about it.
#[derive(Clone, Copy)]
pub(super) struct Outlook<'a> {
    state: &'a State,
    view: &'a View,
    policy: &'a Policy,
    seen: &'a Observation,
    account: Address,
    pub lane: &'a Lane,
    pub now: &'a Account,
}

impl<'a> Outlook<'a> {
    /// Returns `None` if the lane was not observed yet.
    pub fn of(state: &'a State, view: &'a View, policy: &'a Policy, account: Address) -> Option<Self> {
        let (seen, lane) = (view.seen()?, state.lanes.get(&account)?);
        let now = seen.accounts.get(&account)?;
        Some(Self { state, view, policy, seen, account, lane, now })
    }

    fn steps(self) -> impl Iterator<Item = Step> {
        let unmined = self.lane.slots.range(self.now.latest_nonce..);
        let of_slots = unmined.filter_map(move |(nonce, slot)| self.of_slot(*nonce, slot));
        of_slots.chain(self.repairs()).chain(self.assignment())
    }

    /// Plans for a nonce that is in no block.
    fn of_slot(self, nonce: u64, slot: &Slot) -> Option<Step> {
        let newest = slot.newest()?;
        let work = self.wanted(slot, newest);
        let is_replaced = work != newest.work || self.is_outbid(slot, newest) || self.is_stuck(nonce, newest);
        if is_replaced && self.has_keys(&work) {
            let raised = self.policy.prices.raise(newest.price, self.seen.market, self.ceiling_wei(&work));
            if let Some(price) = raised {
                let replaces = Some(newest.hash);
                return Some(Step::Sign(Draft { account: self.account, nonce, price, work, replaces }));
            }
        }
        let is_due = !self.view.was_sent(newest.hash) || self.view.is_dropped(newest.hash);
        is_due.then(|| Step::Send { transaction: newest.hash, raw: newest.raw.clone() })
    }

    /// Returns what the nonce shall do: its work, as long as that is wanted, and otherwise nothing.
    fn wanted(self, slot: &Slot, newest: &Transaction) -> Work {
        let is_wanted = |work: &Work| match work {
            Work::Repair => true,
            Work::Pull { id, attempt } => {
                let known = self.state.pulls.get(id);
                known.is_some_and(|known| known.is_under_way() && known.attempt == *attempt)
            }
            Work::Invalidate { id } => self.state.pulls.get(id).is_some_and(PullState::is_undecided),
        };
        // A nonce that does nothing stays so: its pull is abandoned or has ended, or has another nonce.
        let first = slot.transactions.first().filter(|first| first.work == newest.work);
        first.map(|first| first.work.clone()).filter(is_wanted).unwrap_or(Work::Repair)
    }

    /// Returns true if the pool has an older transaction of this nonce, and not the newest.
    fn is_outbid(self, slot: &Slot, newest: &Transaction) -> bool {
        let is_waiting =
            |older: &Transaction| self.seen.sightings.get(&older.hash) == Some(&Sighting::Waiting);
        self.view.is_dropped(newest.hash) && slot.transactions.iter().any(is_waiting)
    }

    /// Returns true if the nonce is the next of the account, and blocks have passed it by.
    pub fn is_stuck(self, nonce: u64, newest: &Transaction) -> bool {
        let Some((_, since)) = self.view.first(self.account).filter(|(first, _)| *first == nonce) else {
            return false;
        };
        let since = since.max(newest.signed_at_block);
        // A head before that is one of a node that is behind, or of a reorganized chain.
        self.seen.head.checked_sub(since).is_some_and(|blocks| blocks >= self.policy.raise_after_blocks)
    }

    fn repairs(self) -> impl Iterator<Item = Step> {
        let (account, ceiling_wei) = (self.account, self.ceiling_wei(&Work::Repair));
        let price = self.policy.prices.first(self.seen.market, ceiling_wei);
        let persistent = self.gaps().filter_map(|(nonce, is_persistent)| is_persistent.then_some(nonce));
        persistent.filter_map(move |nonce| {
            let (work, replaces) = (Work::Repair, None);
            price.map(|price| Step::Sign(Draft { account, nonce, price, work, replaces }))
        })
    }

    /// Nonces that are below assigned ones and have no transaction, each with true if they are long so.
    fn gaps(self) -> impl Iterator<Item = (u64, bool)> {
        let gaps = self.view.gaps(self.account);
        gaps.filter(move |(nonce, _)| *nonce >= self.lane.floor && !self.lane.slots.contains_key(nonce))
    }

    fn assignment(self) -> Option<Step> {
        let work = self.next_work()?;
        if self.obstacle(&work).is_some() {
            return None;
        }
        let price = self.policy.prices.first(self.seen.market, self.ceiling_wei(&work))?;
        let nonce = self.lane.next_nonce.max(self.now.latest_nonce);
        Some(Step::Sign(Draft { account: self.account, nonce, price, work, replaces: None }))
    }

    /// Returns the work that gets the next nonce: invalidations first, then pulls, the oldest first. A pull gets one only
    /// while the Spender says that its hash is not consumed.
    fn next_work(self) -> Option<Work> {
        let is_fresh = |known: &PullState| self.seen.fates.get(&known.hash) == Some(&Fate::Fresh);
        let fresh = self.state.pulls.iter().filter(|(_, known)| known.is_undecided() && is_fresh(known));
        let due = fresh.filter_map(|(id, known)| {
            let id = id.clone();
            if known.abandoned.is_some() {
                // A pull that was never signed here can have been signed by this host before its database was restored.
                let is_ours = known.pull.delegate == self.account;
                return is_ours.then_some((false, known.sequence, Work::Invalidate { id }));
            }
            let work = Work::Pull { id, attempt: known.attempt };
            let is_due = known.pull.sender == self.account && known.is_under_way() && self.has_keys(&work);
            is_due.then_some((true, known.sequence, work))
        });
        let unassigned = due.filter(|(_, _, work)| !self.lane.carries(|carried| is_same(carried, work)));
        unassigned.min_by_key(|(is_pull, sequence, _)| (*is_pull, *sequence)).map(|(_, _, work)| work)
    }

    /// Returns true if the work's call can be signed, beside the transaction: a pull's by its delegate.
    fn has_keys(self, work: &Work) -> bool {
        let Work::Pull { id, .. } = work else { return true };
        self.state.pulls.get(id).is_some_and(|known| self.seen.accounts.contains_key(&known.pull.delegate))
    }

    /// Returns the reason for which the lane takes no new work.
    pub fn obstacle(self, work: &Work) -> Option<Wait> {
        if self.now.pending_nonce > self.lane.next_nonce.max(self.now.latest_nonce) {
            return Some(Wait::ForeignPending);
        }
        if self.gaps().next().is_some() {
            return Some(Wait::Gap);
        }
        let in_flight = self.lane.slots.range(self.now.latest_nonce..);
        if in_flight.clone().count() >= self.policy.max_in_flight {
            return Some(Wait::InFlightLimit);
        }
        let Some(price) = self.policy.prices.first(self.seen.market, self.ceiling_wei(work)) else {
            return Some(Wait::PriceCeiling);
        };
        let fee_caps = in_flight.filter_map(|(_, slot)| Some(slot.newest()?.price.fee_cap_wei));
        let gas_limit = U256::from(self.policy.gas_limit);
        let cost_wei = fee_caps
            .chain([price.fee_cap_wei])
            .try_fold(self.policy.purse_reserve_wei, |sum, fee_cap_wei| {
                sum.checked_add(gas_limit.checked_mul(U256::from(fee_cap_wei))?)
            });
        // A cost beyond the number's range exceeds every purse.
        cost_wei.is_none_or(|cost_wei| cost_wei > self.now.balance_wei).then_some(Wait::LowPurse)
    }

    pub fn ceiling_wei(self, work: &Work) -> u128 {
        match work {
            Work::Pull { .. } => self.policy.prices.ceiling_fee_cap_wei,
            Work::Invalidate { .. } | Work::Repair => self.policy.prices.repair_ceiling_fee_cap_wei,
        }
    }

    /// Returns true if the nonce's transaction cannot be raised any more.
    pub fn is_at_ceiling(self, newest: &Transaction) -> bool {
        let ceiling_wei = self.ceiling_wei(&newest.work);
        self.policy.prices.raise(newest.price, self.seen.market, ceiling_wei).is_none()
    }
}

/// Returns true if both are the same pull, whatever its attempt, or the invalidation of the same.
fn is_same(carried: &Work, work: &Work) -> bool {
    match (carried, work) {
        (Work::Pull { id: carried, .. }, Work::Pull { id, .. })
        | (Work::Invalidate { id: carried }, Work::Invalidate { id }) => carried == id,
        _ => false,
    }
}
