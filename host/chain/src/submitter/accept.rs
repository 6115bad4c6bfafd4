//! Answers to commands: which changes they cause, or why none. Pure.

use alloy::primitives::{Address, B256, Bytes};

use super::Policy;
use super::price::Price;
use super::pull::{Pull, PullId};
use super::state::{Cause, Change, Lane, Outcome, Phase, PullState, Slot, State, Transaction, Work};

/// Pulls that the chain can still decide, for each that may be under way: refused and abandoned ones take no place of
/// those, but each is asked about at every look.
const UNDECIDED: usize = 10;

/// Request to the submitter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Pulls money, once.
    Pull(Pull),
    /// Sends a refused pull again, as it is. `attempt` is one more than the refused attempt.
    Retry { id: PullId, attempt: u32 },
    /// Sees to it that the pull does not happen, unless it already did.
    Abandon { id: PullId },
    /// Notes that the saga recorded the outcome.
    Report { id: PullId, outcome: Outcome },
    /// Takes a signed transaction over, to be committed before it is sent.
    Sign { draft: Draft, hash: B256, raw: Bytes, signed_at_block: u64, final_block: u64 },
}

/// Transaction that is to be signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    pub account: Address,
    pub nonce: u64,
    pub price: Price,
    pub work: Work,
    /// Newest transaction of the nonce; `None` if it has none.
    pub replaces: Option<B256>,
}

/// Reason for which a command is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error(
        "pull {0} was accepted with another content; another amount, Spender or salt is another pull: give it another id"
    )]
    OtherContent(PullId),
    #[error(
        "pull {id} is for Spender {spender}, which this submitter does not serve; have the hosts use one contract set"
    )]
    UnknownSpender { id: PullId, spender: Address },
    #[error("pull {id} is for chain {given}, but the submitter is on chain {expected}")]
    WrongChain { id: PullId, given: u64, expected: u64 },
    #[error(
        "pull {0} would be sent by its own delegate, whose calls consume no hash: send it from another account"
    )]
    SentByDelegate(PullId),
    #[error("{max} pulls are under way already; send pull {id} again later")]
    QueueFull { id: PullId, max: usize },
    #[error("pull {0} is not known, or has ended")]
    NotOpen(PullId),
    #[error(
        "pull {id} has the hash of pull {known}: only one of them could be executed; give it another salt"
    )]
    SameHash { id: PullId, known: PullId },
    #[error(
        "pull {id} is at attempt {found}; attempt {given} can only follow a refused one that was not abandoned"
    )]
    NotRefused { id: PullId, found: u32, given: u32 },
    #[error("pull {id} has not ended like that; report {expected:?}")]
    OtherOutcome { id: PullId, expected: Option<Outcome> },
    #[error(
        "nonce {nonce} of {account} has moved on since the transaction was drafted; drop it, and plan again"
    )]
    Outdated { account: Address, nonce: u64 },
}

/// Decides about a command.
pub fn accept(state: &State, policy: &Policy, command: Command) -> Result<Vec<Change>, Refusal> {
    match command {
        Command::Pull(pull) => take_over(state, policy, pull),
        Command::Retry { id, attempt } => retry(undecided(state, &id)?, attempt),
        Command::Abandon { id } => {
            let known = undecided(state, &id)?.abandoned.is_some();
            Ok(if known { Vec::new() } else { vec![Change::Abandoned { id, cause: Cause::Asked }] })
        }
        Command::Report { id, outcome } => report(state, id, outcome),
        Command::Sign { draft, hash, raw, signed_at_block, final_block } => {
            if !is_wanted(state, &draft) {
                return Err(Refusal::Outdated { account: draft.account, nonce: draft.nonce });
            }
            let Draft { account, nonce, price, work, replaces: _ } = draft;
            let final_block = Some(final_block);
            let transaction = Transaction { hash, raw, price, work, signed_at_block, final_block };
            Ok(vec![Change::Signed { account, nonce, transaction }])
        }
    }
}

fn take_over(state: &State, policy: &Policy, pull: Pull) -> Result<Vec<Change>, Refusal> {
    if let Some(known) = state.pulls.get(&pull.id) {
        let is_same = known.pull.is_repeated_by(&pull);
        return if is_same { Ok(Vec::new()) } else { Err(Refusal::OtherContent(pull.id)) };
    }
    if pull.chain_id != policy.chain_id {
        let (given, expected) = (pull.chain_id, policy.chain_id);
        return Err(Refusal::WrongChain { id: pull.id, given, expected });
    }
    if pull.sender == pull.delegate {
        return Err(Refusal::SentByDelegate(pull.id));
    }
    let count = |which: fn(&PullState) -> bool| state.pulls.values().filter(|known| which(known)).count();
    let most_undecided = policy.max_pulls.saturating_mul(UNDECIDED);
    if count(PullState::is_under_way) >= policy.max_pulls || count(PullState::is_undecided) >= most_undecided
    {
        return Err(Refusal::QueueFull { id: pull.id, max: policy.max_pulls });
    }
    let hash = pull.hash();
    if let Some(known) = state.pulls.values().find(|known| known.hash == hash) {
        return Err(Refusal::SameHash { id: pull.id, known: known.pull.id.clone() });
    }
    Ok(vec![Change::Accepted { pull }])
}

fn retry(known: &PullState, attempt: u32) -> Result<Vec<Change>, Refusal> {
    let (id, found) = (known.pull.id.clone(), known.attempt);
    if found == attempt && known.phase == Phase::Open && attempt > 1 {
        return Ok(Vec::new());
    }
    let is_next = found.checked_add(1) == Some(attempt);
    if !is_next || known.phase == Phase::Open || known.abandoned.is_some() {
        return Err(Refusal::NotRefused { id, found, given: attempt });
    }
    Ok(vec![Change::Retried { id, attempt }])
}

fn report(state: &State, id: PullId, outcome: Outcome) -> Result<Vec<Change>, Refusal> {
    let Some(known) = state.pulls.get(&id) else {
        // It ended, was reported, and is forgotten: a repeat.
        return Ok(Vec::new());
    };
    if known.reported == Some(outcome) {
        return Ok(Vec::new());
    }
    let expected = known.unreported();
    if expected != Some(outcome) {
        return Err(Refusal::OtherOutcome { id, expected });
    }
    Ok(vec![Change::Reported { id, outcome }])
}

fn undecided<'a>(state: &'a State, id: &PullId) -> Result<&'a PullState, Refusal> {
    let known = state.pulls.get(id).filter(|known| known.is_undecided());
    known.ok_or_else(|| Refusal::NotOpen(id.clone()))
}

/// Returns true if the draft still is what the lane and the pull need. Between plan and signature, the pull may have been
/// abandoned.
fn is_wanted(state: &State, draft: &Draft) -> bool {
    let Some(lane) = state.lanes.get(&draft.account) else { return false };
    let slot = lane.slots.get(&draft.nonce);
    let follows = match draft.replaces {
        Some(hash) => slot.and_then(Slot::newest).is_some_and(|newest| newest.hash == hash),
        None => slot.is_none() && draft.nonce >= lane.floor,
    };
    follows && is_needed(state, lane, draft)
}

fn is_needed(state: &State, lane: &Lane, draft: &Draft) -> bool {
    let is_new = draft.replaces.is_none();
    match &draft.work {
        Work::Repair => true,
        Work::Pull { id, attempt } => state.pulls.get(id).is_some_and(|known| {
            let is_elsewhere =
                is_new && lane.carries(|work| matches!(work, Work::Pull { id: of, .. } if of == id));
            let is_due = known.is_under_way() && known.attempt == *attempt;
            is_due && known.pull.sender == draft.account && !is_elsewhere
        }),
        Work::Invalidate { id } => state.pulls.get(id).is_some_and(|known| {
            known.is_undecided() && known.abandoned.is_some() && known.pull.delegate == draft.account
        }),
    }
}
