//! Executor of the submitter: does what the core says, one thing after the other, and decides nothing itself.
//!
//! What it commits it commits before it acts on it; what it was doing when it ended, it does again. Every step bears being
//! cut off anywhere: after an error or a cut, the executor is gone, and another begins with what the database holds. Two
//! of them on one database are safe: one holds the lease, and a commit without it is refused.

pub(crate) mod abi;
mod change_log;
mod keys;
mod reader;
mod signing;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use alloy::primitives::Address;
use clearfold_base::clock::Clock;
use clearfold_base::faults;
use sqlx::PgPool;
use url::Url;

use self::change_log::ChangeLog;
use self::reader::Reader;
use super::resolve::repeated;
use super::{
    Change, Command, Evidence, Follows, Implausible, Inconsistent, Outcome, Policy, PolicyError, Pull,
    PullId, Refusal, Resolution, State, Step, Unresolved, View, Wait, Word, accept, plan, resolve, settle,
    waits,
};
use crate::rpc::Rpc;

pub use change_log::ChangeLogError;
pub use keys::{DELEGATE, KeyError, KeyVariables, Keys, SENDER};
pub use reader::{ReadError, SharedExecutions};
pub use signing::SigningError;

/// Most rounds of planning in one turn. Each round but the last assigns or replaces a nonce, and the next turn goes on.
const MAX_ROUNDS: usize = 64;

/// Settings of the executor.
#[derive(Debug, Clone)]
pub struct ExecutorSettings {
    pub policy: Policy,
    pub chain_rpc_urls: Vec<Url>,
    /// Number of blocks that must lie on top of a block before it counts as final, beside what the node says.
    pub confirmations: u64,
    /// Spenders that pulls may name.
    pub spenders: Vec<Address>,
    /// Time for which the lease lasts after each commit or turn.
    pub lease: Duration,
}

/// Receiver of outcomes: the sagas.
pub trait Outcomes: Send + Sync {
    /// Records an outcome, once or again. It is recorded when this returns.
    fn record(&self, id: &PullId, outcome: Outcome) -> impl Future<Output = Result<(), String>> + Send;
}

/// The executor cannot go on. Another may begin with what the database holds.
#[derive(Debug, thiserror::Error)]
pub enum ExecutorError {
    #[error("the settings of the submitter cannot work")]
    Policy(#[from] PolicyError),
    #[error(transparent)]
    ChangeLog(#[from] ChangeLogError),
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error("what the node shows contradicts itself; nothing was done")]
    Implausible(#[from] Implausible),
    #[error(transparent)]
    Signing(#[from] SigningError),
    #[error("a change does not follow from the state; nothing was committed")]
    Inconsistent(#[from] Inconsistent),
    #[error("the outcome of pull {id} could not be recorded: {why}")]
    Outcome { id: PullId, why: String },
}

/// Answer to a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// It is committed, or was before.
    Done,
    Refused(Refusal),
    /// The pull ended long ago, like that.
    Ended(Outcome),
}

/// Executor with the lease of one chain's submitter.
pub struct Executor<O> {
    settings: ExecutorSettings,
    keys: Arc<Keys>,
    log: ChangeLog,
    reader: Reader,
    clock: Clock,
    outcomes: O,
    state: State,
    view: View,
}

impl<O: Outcomes> Executor<O> {
    /// Checks the settings, takes the lease and reads the state. `None` if another owner holds the lease. `executions` are
    /// those that earlier executors of this process have read.
    pub async fn begin(
        settings: ExecutorSettings,
        keys: Arc<Keys>,
        pool: &PgPool,
        owner: &Arc<str>,
        clock: Clock,
        outcomes: O,
        executions: &SharedExecutions,
    ) -> Result<Option<Self>, ExecutorError> {
        settings.policy.check()?;
        let chain_id = settings.policy.chain_id;
        let rpc = Rpc::new(&settings.chain_rpc_urls, chain_id);
        let reader = Reader::new(rpc, settings.confirmations, executions.clone());
        for spender in &settings.spenders {
            reader.check_spender(*spender, keys.delegate(), keys.sender()).await?;
        }
        let Some((log, state)) = ChangeLog::take(pool, chain_id, owner, settings.lease).await? else {
            return Ok(None);
        };
        Ok(Some(Self { settings, keys, log, reader, clock, outcomes, state, view: View::default() }))
    }

    /// Takes a command of a saga; it is committed when this returns. A new pull is signed and sent by this host's accounts,
    /// whichever it names.
    pub async fn command(mut self, mut command: Command) -> Result<(Self, Answer), ExecutorError> {
        if let Command::Pull(pull) = &mut command {
            if let Some(answer) = self.known(pull).await? {
                return Ok((self, answer));
            }
            (pull.delegate, pull.sender) = (self.keys.delegate(), self.keys.sender());
        }
        match accept(&self.state, &self.settings.policy, command) {
            Ok(changes) => {
                self.commit(changes).await?;
                Ok((self, Answer::Done))
            }
            Err(refusal) => Ok((self, Answer::Refused(refusal))),
        }
    }

    /// Applies an operator's word. Its consequences are committed when this returns.
    pub async fn resolve(
        mut self,
        resolution: &Resolution,
    ) -> Result<(Self, Result<Follows, Unresolved>), ExecutorError> {
        if !self.state.pulls.contains_key(&resolution.id) {
            let ended = self.log.find(&resolution.id).await?.and_then(|known| known.outcome);
            let unknown = || Unresolved::NoPull(resolution.id.clone());
            let answer = ended.ok_or_else(unknown).and_then(|outcome| repeated(resolution, outcome));
            return Ok((self, answer));
        }
        let evidence = self.evidence(resolution).await?;
        match resolve(&self.state, &self.view, resolution, evidence) {
            Ok((changes, follows)) => {
                self.commit(changes).await?;
                Ok((self, Ok(follows)))
            }
            Err(why) => Ok((self, Err(why))),
        }
    }

    /// Asks the chain about the transaction that an operator names.
    async fn evidence(&self, resolution: &Resolution) -> Result<Evidence, ExecutorError> {
        let known = self.state.pulls.get(&resolution.id);
        let (Some(known), Word::Paid { transaction }) = (known, resolution.word) else {
            return Ok(Evidence::Unknown);
        };
        let Some(seen) = self.view.seen() else { return Ok(Evidence::Unknown) };
        let asking = self.reader.evidence(known, transaction, seen.finalized);
        Ok(self.log.renewing_during(asking).await?)
    }

    /// Answers for a pull that is not to be accepted: its Spender is none of ours, or it ended long ago, or its hash did. The
    /// state has forgotten those, the log has not.
    async fn known(&self, pull: &Pull) -> Result<Option<Answer>, ExecutorError> {
        if self.state.pulls.contains_key(&pull.id) {
            return Ok(None);
        }
        if let Some(known) = self.log.find(&pull.id).await? {
            let is_same = known.pull.is_repeated_by(pull);
            return Ok(Some(match known.outcome.filter(|_| is_same) {
                Some(outcome) => Answer::Ended(outcome),
                None => Answer::Refused(Refusal::OtherContent(pull.id.clone())),
            }));
        }
        let id = pull.id.clone();
        if let Some(known) = self.log.find_hash(pull.hash()).await? {
            return Ok(Some(Answer::Refused(Refusal::SameHash { id, known })));
        }
        let spender = pull.spender;
        let is_unknown = !self.settings.spenders.contains(&spender);
        Ok(is_unknown.then_some(Answer::Refused(Refusal::UnknownSpender { id, spender })))
    }

    /// Observes the chain once, and does all that follows.
    pub async fn turn(mut self) -> Result<Self, ExecutorError> {
        self.log.renew().await?;
        let accounts = [self.keys.sender(), self.keys.delegate()];
        let observing = self.reader.observe(&self.state, &accounts, self.clock.now());
        let observation = self.log.renewing_during(observing).await??;
        self.view.observe(&self.state, observation)?;
        self.commit(settle(&self.state, &self.view)).await?;
        for _ in 0..MAX_ROUNDS {
            let steps = plan(&self.state, &self.view, &self.settings.policy);
            if steps.is_empty() {
                break;
            }
            // Nodes may have been slow to answer.
            self.log.renew().await?;
            for step in steps {
                self.take(step).await?;
            }
        }
        Ok(self)
    }

    /// Returns true if nothing is under way on chain: no pull that may still be executed, and no nonce that is not settled.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        let lanes = &self.state.lanes;
        self.state.pulls.is_empty() && lanes.values().all(|lane| lane.slots.is_empty())
    }

    /// Keeps the lease and does nothing else.
    pub async fn keep(self) -> Result<Self, ExecutorError> {
        self.log.renew().await?;
        Ok(self)
    }

    /// Gives the lease back.
    pub async fn end(self) -> Result<(), ExecutorError> {
        Ok(self.log.release().await?)
    }

    /// Reason of each pull that has not ended.
    #[must_use]
    pub fn waits(&self) -> BTreeMap<PullId, Wait> {
        waits(&self.state, &self.view, &self.settings.policy)
    }

    #[must_use]
    pub fn state(&self) -> &State {
        &self.state
    }

    async fn take(&mut self, step: Step) -> Result<(), ExecutorError> {
        match step {
            Step::Sign(draft) => {
                let (hash, raw) = signing::sign(&self.keys, &self.settings.policy, &self.state, &draft)?;
                // A plan follows from an observation, so there is one.
                let (signed_at_block, final_block) =
                    self.view.seen().map_or((0, 0), |seen| (seen.head, seen.finalized));
                let signed = Command::Sign { draft, hash, raw, signed_at_block, final_block };
                // A signature that the state does not accept any more is discarded. It was not sent.
                let changes = accept(&self.state, &self.settings.policy, signed).unwrap_or_default();
                self.commit(changes).await?;
                faults::point("pull_signed");
                Ok(())
            }
            Step::Send { transaction, raw } => {
                self.reader.send(&raw).await;
                self.view.sent(transaction);
                faults::point("pull_sent");
                Ok(())
            }
            Step::Report { id, outcome } => {
                faults::point("pull_ended");
                let recorded = self.outcomes.record(&id, outcome).await;
                recorded.map_err(|why| ExecutorError::Outcome { id: id.clone(), why })?;
                self.commit(vec![Change::Reported { id, outcome }]).await
            }
        }
    }

    /// Commits changes, and only then folds them.
    async fn commit(&mut self, changes: Vec<Change>) -> Result<(), ExecutorError> {
        if changes.is_empty() {
            return Ok(());
        }
        let mut state = self.state.clone();
        changes.iter().try_for_each(|change| state.apply(change))?;
        self.log.commit(&changes, &state).await?;
        self.state = state;
        Ok(())
    }
}
