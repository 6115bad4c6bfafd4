//! State of the submitter: a fold of committed changes. It holds what a restart must know, and nothing that is observed.
//!
//! A change is committed before anything is done that rests on it. Pulls that ended and were reported, and settled
//! nonces, are forgotten here; their rows stay in the database, which refuses a known id and a used nonce.

use std::collections::BTreeMap;

use alloy::primitives::{Address, B256, Bytes};
use serde::{Deserialize, Serialize};

use super::price::Price;
use super::pull::{Pull, PullId};

/// Fact that was committed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Change {
    /// The pull was taken over, with everything that its hash covers.
    Accepted { pull: Pull },
    /// The lane of an account begins at that nonce.
    LaneOpened { account: Address, next_nonce: u64 },
    /// A transaction was signed for a nonce: its first, or a replacement. It may be sent from now on.
    Signed { account: Address, nonce: u64, transaction: Transaction },
    /// The nonce was used in a final block.
    Settled { account: Address, nonce: u64, by: Settler },
    /// The attempt failed in a final block, and the hash is not consumed: a definite refusal.
    Refused { id: PullId, attempt: u32 },
    /// The saga wants the same pull again.
    Retried { id: PullId, attempt: u32 },
    /// The pull shall not happen any more.
    Abandoned { id: PullId, cause: Cause },
    /// The hash was executed in a final block, whoever sent it.
    Done { id: PullId, transaction: B256, block: u64 },
    /// The hash can never be executed.
    Dead { id: PullId, cause: Cause },
    /// The saga has recorded the outcome.
    Reported { id: PullId, outcome: Outcome },
    /// An operator said what the submitter cannot find out about the pull. What follows is a change of its own.
    Resolved { id: PullId, word: Word, by: String, why: Option<String> },
}

impl Change {
    /// Returns the name of the kind of change.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Accepted { .. } => "accepted",
            Self::LaneOpened { .. } => "lane_opened",
            Self::Signed { .. } => "signed",
            Self::Settled { .. } => "settled",
            Self::Refused { .. } => "refused",
            Self::Retried { .. } => "retried",
            Self::Abandoned { .. } => "abandoned",
            Self::Done { .. } => "done",
            Self::Dead { .. } => "dead",
            Self::Reported { .. } => "reported",
            Self::Resolved { .. } => "resolved",
        }
    }

    /// Returns the pull that the change is about.
    #[must_use]
    pub fn pull(&self) -> Option<&PullId> {
        match self {
            Self::Accepted { pull } => Some(&pull.id),
            Self::Signed { transaction, .. } => transaction.work.pull(),
            Self::Refused { id, .. }
            | Self::Retried { id, .. }
            | Self::Abandoned { id, .. }
            | Self::Done { id, .. }
            | Self::Dead { id, .. }
            | Self::Reported { id, .. }
            | Self::Resolved { id, .. } => Some(id),
            Self::LaneOpened { .. } | Self::Settled { .. } => None,
        }
    }

    /// Returns the account and nonce that the change is about.
    #[must_use]
    pub fn place(&self) -> Option<(Address, u64)> {
        match self {
            Self::LaneOpened { account, next_nonce: nonce }
            | Self::Signed { account, nonce, .. }
            | Self::Settled { account, nonce, .. } => Some((*account, *nonce)),
            _ => None,
        }
    }
}

/// Signed transaction.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transaction {
    pub hash: B256,
    pub raw: Bytes,
    pub price: Price,
    pub work: Work,
    /// Newest block when it was signed.
    pub signed_at_block: u64,
    /// Newest final block when it was signed; `None` in a row from before this was kept.
    #[serde(default)]
    pub final_block: Option<u64>,
}

/// Purpose of a transaction.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Work {
    Pull {
        id: PullId,
        attempt: u32,
    },
    /// Consumes the hash of a pull in the name of its delegate.
    Invalidate {
        id: PullId,
    },
    /// Uses the nonce and does nothing else.
    Repair,
}

impl Work {
    /// Returns the pull that the work is about.
    #[must_use]
    pub fn pull(&self) -> Option<&PullId> {
        match self {
            Self::Pull { id, .. } | Self::Invalidate { id } => Some(id),
            Self::Repair => None,
        }
    }
}

/// Owner of the transaction that used a nonce.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Settler {
    Ours {
        transaction: B256,
        succeeded: bool,
    },
    /// A transaction that is none of ours: somebody else has the key.
    Foreign,
}

/// Reason for which a pull shall not happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Cause {
    /// Its saga asked for it.
    Asked,
    /// Its time is over.
    Expired,
    /// Its delegate invalidated the hash without us.
    Outside,
    /// An operator said that it was not paid.
    Resolved,
}

/// Word of an operator about a pull, as it is recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Word {
    /// Executed by this transaction.
    Paid { transaction: B256 },
    /// Not executed.
    NotPaid,
    /// Search for its execution from this block on.
    Search { from_block: u64 },
}

impl Word {
    /// Word that the transaction with that hash executed the pull.
    #[must_use]
    pub fn paid(transaction: clearfold_kernel::Hash) -> Self {
        Self::Paid { transaction: B256::from(transaction.0) }
    }
}

/// Result for the saga.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// The money was pulled.
    Done { transaction: B256, block: u64 },
    /// The attempt was refused. The same pull may go again, or be abandoned; until then anyone who saw it can send it.
    Refused { attempt: u32 },
    /// The money was not pulled and cannot be.
    Dead { cause: Cause },
}

/// Pull with its progress.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PullState {
    pub pull: Pull,
    pub hash: B256,
    /// Place in the queue.
    pub sequence: u64,
    /// Number of the attempt, from 1. It increments only after a definite refusal.
    pub attempt: u32,
    pub phase: Phase,
    pub abandoned: Option<Cause>,
    /// Block since which the hash can have been consumed: the final one in which it was fresh when the first transaction
    /// about it was committed. Since then, the call may be known outside. `None` before.
    #[serde(alias = "exposed_at_block")]
    pub watched_from_block: Option<u64>,
    /// Block from which an operator has its execution looked for, if nothing was signed here.
    #[serde(default)]
    pub search_from: Option<u64>,
    /// Outcome that the saga has recorded last.
    pub reported: Option<Outcome>,
}

/// Phase of a pull.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Phase {
    /// To be sent, or sent.
    Open,
    /// Ended, or refused and waiting for the saga.
    Over(Outcome),
}

impl PullState {
    /// Returns true if a transaction about the pull was committed.
    #[must_use]
    pub fn is_watched(&self) -> bool {
        self.watched_from_block.is_some()
    }

    /// Returns true if the pull is to be sent, or is sent.
    #[must_use]
    pub fn is_under_way(&self) -> bool {
        self.phase == Phase::Open && self.abandoned.is_none()
    }

    /// Returns true if the chain can still change what became of the pull.
    #[must_use]
    pub fn is_undecided(&self) -> bool {
        matches!(self.phase, Phase::Open | Phase::Over(Outcome::Refused { .. }))
    }

    /// Returns the outcome that the saga has not recorded.
    #[must_use]
    pub fn unreported(&self) -> Option<Outcome> {
        match self.phase {
            Phase::Over(outcome) if self.reported != Some(outcome) => Some(outcome),
            Phase::Over(_) | Phase::Open => None,
        }
    }
}

/// Nonce that is not settled, with the transactions that were signed for it, the oldest first.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Slot {
    pub transactions: Vec<Transaction>,
}

impl Slot {
    /// Returns the transaction that is to be sent.
    #[must_use]
    pub fn newest(&self) -> Option<&Transaction> {
        self.transactions.last()
    }
}

/// Nonces of one account, in use and to come.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lane {
    /// First nonce that was never assigned.
    pub next_nonce: u64,
    /// First nonce that is not known to be used in a final block. Nonces are used in turn, so all below are.
    pub floor: u64,
    /// Nonces that were assigned and are not settled.
    pub slots: BTreeMap<u64, Slot>,
}

impl Lane {
    /// Returns true if an open nonce may execute that work.
    #[must_use]
    pub fn carries(&self, is_it: impl Fn(&Work) -> bool) -> bool {
        let mut transactions = self.slots.values().flat_map(|slot| &slot.transactions);
        transactions.any(|transaction| is_it(&transaction.work))
    }
}

/// A change does not follow from the state: rows of the database contradict each other.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Inconsistent {
    #[error("pull {0} was accepted twice")]
    AcceptedTwice(PullId),
    #[error("pull {0} is not known or has ended")]
    NoSuchPull(PullId),
    #[error("the lane of {0} is not open, or was opened twice")]
    Lane(Address),
    #[error("nonce {nonce} of {account} cannot be used for that: it is settled, or was never assigned")]
    Nonce { account: Address, nonce: u64 },
    #[error("pull {id} is at attempt {found}, not at {given}")]
    Attempt { id: PullId, found: u32, given: u32 },
}

/// All pulls and lanes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    pub pulls: BTreeMap<PullId, PullState>,
    pub lanes: BTreeMap<Address, Lane>,
    next_sequence: u64,
}

impl State {
    /// Folds a change into the state.
    pub fn apply(&mut self, change: &Change) -> Result<(), Inconsistent> {
        match change {
            Change::Accepted { pull } => self.accepted(pull),
            Change::LaneOpened { account, next_nonce } => self.lane_opened(*account, *next_nonce),
            Change::Signed { account, nonce, transaction } => self.signed(*account, *nonce, transaction),
            Change::Settled { account, nonce, by: _ } => self.settled(*account, *nonce),
            Change::Refused { id, attempt } => {
                self.at_attempt(id, *attempt)?.phase = Phase::Over(Outcome::Refused { attempt: *attempt });
                Ok(())
            }
            Change::Retried { id, attempt } => self.retried(id, *attempt),
            Change::Abandoned { id, cause } => {
                self.undecided(id)?.abandoned = Some(*cause);
                Ok(())
            }
            Change::Done { id, transaction, block } => {
                let outcome = Outcome::Done { transaction: *transaction, block: *block };
                self.undecided(id)?.phase = Phase::Over(outcome);
                Ok(())
            }
            Change::Dead { id, cause } => {
                self.undecided(id)?.phase = Phase::Over(Outcome::Dead { cause: *cause });
                Ok(())
            }
            Change::Reported { id, outcome } => self.reported(id, *outcome),
            Change::Resolved { id, word, .. } => {
                let known = self.undecided(id)?;
                if let Word::Search { from_block } = word {
                    known.search_from = Some(*from_block);
                }
                Ok(())
            }
        }
    }

    fn accepted(&mut self, pull: &Pull) -> Result<(), Inconsistent> {
        if self.pulls.contains_key(&pull.id) {
            return Err(Inconsistent::AcceptedTwice(pull.id.clone()));
        }
        let state = PullState {
            pull: pull.clone(),
            hash: pull.hash(),
            sequence: self.next_sequence,
            attempt: 1,
            phase: Phase::Open,
            abandoned: None,
            watched_from_block: None,
            search_from: None,
            reported: None,
        };
        self.next_sequence += 1;
        self.pulls.insert(pull.id.clone(), state);
        Ok(())
    }

    fn lane_opened(&mut self, account: Address, next_nonce: u64) -> Result<(), Inconsistent> {
        if self.lanes.contains_key(&account) {
            return Err(Inconsistent::Lane(account));
        }
        self.lanes.insert(account, Lane { next_nonce, ..Lane::default() });
        Ok(())
    }

    fn signed(
        &mut self,
        account: Address,
        nonce: u64,
        transaction: &Transaction,
    ) -> Result<(), Inconsistent> {
        let known = match &transaction.work {
            Work::Pull { id, attempt } => Some(self.at_attempt(id, *attempt)?),
            Work::Invalidate { id } => Some(self.undecided(id)?),
            Work::Repair => None,
        };
        if let Some(known) = known {
            let block = transaction.final_block.unwrap_or(transaction.signed_at_block);
            known.watched_from_block.get_or_insert(block);
        }
        let lane = self.lanes.get_mut(&account).ok_or(Inconsistent::Lane(account))?;
        let unusable = Inconsistent::Nonce { account, nonce };
        if nonce < lane.floor && !lane.slots.contains_key(&nonce) {
            return Err(unusable);
        }
        let after = nonce.checked_add(1).ok_or(unusable)?;
        lane.slots.entry(nonce).or_default().transactions.push(transaction.clone());
        lane.next_nonce = lane.next_nonce.max(after);
        Ok(())
    }

    fn settled(&mut self, account: Address, nonce: u64) -> Result<(), Inconsistent> {
        let lane = self.lanes.get_mut(&account).ok_or(Inconsistent::Lane(account))?;
        let after = nonce.checked_add(1).filter(|_| lane.slots.remove(&nonce).is_some());
        lane.floor = lane.floor.max(after.ok_or(Inconsistent::Nonce { account, nonce })?);
        Ok(())
    }

    fn retried(&mut self, id: &PullId, attempt: u32) -> Result<(), Inconsistent> {
        let state = self.undecided(id)?;
        if state.attempt.checked_add(1) != Some(attempt) {
            return Err(Inconsistent::Attempt { id: id.clone(), found: state.attempt, given: attempt });
        }
        (state.attempt, state.phase) = (attempt, Phase::Open);
        Ok(())
    }

    fn reported(&mut self, id: &PullId, outcome: Outcome) -> Result<(), Inconsistent> {
        let state = self.pulls.get_mut(id).ok_or_else(|| Inconsistent::NoSuchPull(id.clone()))?;
        state.reported = Some(outcome);
        if !state.is_undecided() && state.unreported().is_none() {
            self.pulls.remove(id);
        }
        Ok(())
    }

    fn undecided(&mut self, id: &PullId) -> Result<&mut PullState, Inconsistent> {
        let state = self.pulls.get_mut(id).filter(|state| state.is_undecided());
        state.ok_or_else(|| Inconsistent::NoSuchPull(id.clone()))
    }

    fn at_attempt(&mut self, id: &PullId, attempt: u32) -> Result<&mut PullState, Inconsistent> {
        let state = self.undecided(id)?;
        if state.attempt != attempt {
            return Err(Inconsistent::Attempt { id: id.clone(), found: state.attempt, given: attempt });
        }
        Ok(state)
    }
}
