//! Task of the submitter on a host: takes what is asked for, has the executor do its turns, and has refused pulls tried
//! again. One host has the lease; the others wait for it.
//!
//! After an error the executor is gone, and the next step begins another with what the database holds. Pulls, nonces and
//! outcomes are never decided here.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use clearfold_base::clock::Clock;
use clearfold_base::database::DatabaseError;
use clearfold_base::faults;
use clearfold_base::tasks::{Driver, Next, Retry, StepFailure, Task};
use clearfold_base::telemetry::with_causes;
use sqlx::PgPool;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::desk::Desk;
use super::effect::{BoardReader, Parties, PullEffect};
use super::executor::{Answer, Executor, ExecutorError, ExecutorSettings, Keys, Outcomes, SharedExecutions};
use super::hand::{Order, SubmitterHand, WaitingPull, hand};
use super::payments::{Verdict, verdict};
use super::targets::Targets;
use super::{Command, Outcome, Phase, PullId, Refusal, State, Wait};

/// Longest pause before a refused pull is sent again.
const LONGEST_RETRY: Duration = Duration::from_secs(3_600);
/// Longest pause after a failure, before jitter.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// Interval at which the error of a submitter that stands still is logged again.
const ALARM_INTERVAL: Duration = Duration::from_secs(600);

/// Settings of the submitter on a host.
#[derive(Debug, Clone)]
pub struct SubmitterSettings {
    pub executor: ExecutorSettings,
    pub targets: Targets,
    /// Interval between two looks at the chain and at what is asked for.
    pub interval: Duration,
    /// Pause before a refused pull is sent again for the first time; it doubles.
    pub retry_after: Duration,
    /// Time within which a pull must be executed, from the commit of its request.
    pub deadline: Duration,
}

/// Submitter of one chain on one host.
pub struct Submitter {
    work: Work,
    board: BoardReader,
}

struct Work {
    settings: SubmitterSettings,
    keys: Arc<Keys>,
    pool: PgPool,
    owner: Arc<str>,
    clock: Clock,
    desk: Desk,
    /// Executor with the lease; `None` if it failed, or another host has the lease.
    running: Option<Executor<InTheChanges>>,
    executions: SharedExecutions,
    refusals: Refusals,
    complaints: BTreeSet<Wait>,
    /// Pulls whose refusal was logged.
    unaccepted: BTreeSet<PullId>,
    is_standing_by: bool,
    orders: mpsc::Receiver<Order>,
    /// Orders of operators that are not answered.
    ordered: Vec<Order>,
}

/// Receiver of outcomes that has nothing to do: the effect reads them in the changes, whenever it asks.
struct InTheChanges;

impl Outcomes for InTheChanges {
    async fn record(&self, _: &PullId, _: Outcome) -> Result<(), String> {
        Ok(())
    }
}

/// A step was not finished; the next one begins with what the database holds.
#[derive(Debug, thiserror::Error)]
enum SubmitError {
    #[error(transparent)]
    Executor(#[from] ExecutorError),
    #[error("the pulls that are asked for could not be read")]
    Database(#[from] DatabaseError),
}

impl Submitter {
    /// Makes the submitter, the effect by which sagas ask it, and the hand by which operators do. No request is sent yet.
    #[must_use]
    pub fn new(
        settings: SubmitterSettings,
        keys: Keys,
        pool: PgPool,
        owner: Arc<str>,
        clock: Clock,
    ) -> (Self, PullEffect, SubmitterHand) {
        let desk = Desk::new(pool.clone(), settings.executor.policy.chain_id);
        let parties = Parties { delegate: keys.delegate(), sender: keys.sender() };
        let (targets, deadline, interval) = (settings.targets.clone(), settings.deadline, settings.interval);
        let (effect, board) = PullEffect::new(desk.clone(), targets, parties, deadline, interval);
        let refusals = Refusals { first: settings.retry_after, since: BTreeMap::new() };
        let (hand, orders) = hand();
        let work = Work {
            settings,
            keys: Arc::new(keys),
            pool,
            owner,
            clock,
            desk,
            running: None,
            executions: SharedExecutions::default(),
            refusals,
            complaints: BTreeSet::new(),
            unaccepted: BTreeSet::new(),
            is_standing_by: false,
            orders,
            ordered: Vec::new(),
        };
        (Self { work, board }, effect, hand)
    }

    /// Submits pulls until it is told to stop, and then gives the lease back.
    pub async fn run(self, driver: Driver) {
        let Self { mut work, mut board } = self;
        tokio::join!(
            driver.run("chain submitter", &mut work),
            driver.run("outcomes of the chain submitter", &mut board),
        );
        if let Some(executor) = work.running
            && let Err(error) = executor.end().await
        {
            tracing::warn!(
                error = with_causes(&error),
                "the submitter's lease could not be given back; it expires"
            );
        }
    }
}

impl Task for Work {
    type Output = Infallible;
    type Error = SubmitError;

    async fn step(&mut self) -> Result<Next, SubmitError> {
        let Some(executor) = self.executor().await? else {
            self.take_orders().for_each(Order::stands_by);
            return Ok(Next::WaitFor(self.settings.interval));
        };
        let executor = self.take_asked(executor).await?;
        let executor = self.take_withdrawn(executor).await?;
        let executor = self.try_again(executor).await?;
        // Without anything under way, the nodes are not asked.
        let executor = if executor.is_idle() { executor.keep().await? } else { executor.turn().await? };
        let executor = self.obey(executor).await?;
        self.complain(&executor);
        self.running = Some(executor);
        Ok(Next::WaitFor(self.settings.interval))
    }

    async fn woken(&mut self) {
        match self.orders.recv().await {
            Some(order) => self.ordered.push(order),
            // Nobody has the hand any more.
            None => std::future::pending().await,
        }
    }

    fn retry(&self) -> Retry {
        let least = self.settings.interval;
        Retry { least, longest: LONGEST_PAUSE.max(least) }
    }

    fn failure(&self, _: &SubmitError) -> StepFailure {
        StepFailure::error("the chain submitter stands still; trying again").repeated_every(ALARM_INTERVAL)
    }

    fn recovered(&self) -> &'static str {
        "the chain submitter works again"
    }
}

impl Work {
    /// Returns the executor, or begins one. `None` while another host has the lease.
    async fn executor(&mut self) -> Result<Option<Executor<InTheChanges>>, SubmitError> {
        if let Some(executor) = self.running.take() {
            return Ok(Some(executor));
        }
        let (settings, keys) = (self.settings.executor.clone(), Arc::clone(&self.keys));
        let (clock, pool) = (self.clock.clone(), &self.pool);
        let (owner, executions) = (&self.owner, &self.executions);
        let begun = Executor::begin(settings, keys, pool, owner, clock, InTheChanges, executions).await?;
        let stands_by = begun.is_none();
        if stands_by != self.is_standing_by {
            let chain_id = self.settings.executor.policy.chain_id;
            match stands_by {
                true => tracing::info!(chain_id, "another host submits pulls; this one stands by"),
                false => tracing::info!(chain_id, "this host submits pulls now"),
            }
        }
        self.is_standing_by = stands_by;
        Ok(begun)
    }

    /// Has the executor accept what is asked for, and takes off the desk what needs nothing more.
    async fn take_asked(
        &mut self,
        mut executor: Executor<InTheChanges>,
    ) -> Result<Executor<InTheChanges>, SubmitError> {
        let asked = self.desk.asked().await?;
        self.unaccepted.retain(|id| asked.iter().any(|asked| asked.pull.id == *id));
        for asked in asked {
            let id = asked.pull.id.clone();
            // Read for each: what was accepted before belongs to the pulls of the leg.
            let leg = self.desk.leg(&asked.leg_name).await?;
            match verdict(&leg.pulls, &id) {
                Verdict::New | Verdict::Behind if leg.is_withdrawn => {}
                Verdict::Behind => continue,
                Verdict::Executed { .. } | Verdict::Dead { .. } | Verdict::UnderWay => {}
                Verdict::New => {
                    let (next, answer) = executor.command(Command::Pull(asked.pull)).await?;
                    executor = next;
                    faults::point("pull_accepted");
                    match answer {
                        Answer::Done | Answer::Ended(_) => tracing::info!(pull = %id, "a pull is accepted"),
                        Answer::Refused(Refusal::QueueFull { .. }) => return Ok(executor),
                        Answer::Refused(why) => {
                            if self.unaccepted.insert(id.clone()) {
                                tracing::error!(pull = %id, %why, "a pull cannot be accepted and waits");
                            }
                            continue;
                        }
                    }
                }
            }
            self.desk.settle(&id).await?;
        }
        Ok(executor)
    }

    /// Has the pulls of withdrawn legs abandoned.
    async fn take_withdrawn(
        &mut self,
        mut executor: Executor<InTheChanges>,
    ) -> Result<Executor<InTheChanges>, SubmitError> {
        let pulls = executor.state().pulls.iter();
        let open = pulls.filter(|(_, known)| known.is_undecided() && known.abandoned.is_none());
        let open: Vec<(PullId, String)> =
            open.filter_map(|(id, _)| Some((id.clone(), id.leg_name()?))).collect();
        if open.is_empty() {
            return Ok(executor);
        }
        let names: Vec<String> = open.iter().map(|(_, name)| name.clone()).collect();
        let withdrawn = self.desk.withdrawn(&names).await?;
        for (id, _) in open.into_iter().filter(|(_, name)| withdrawn.contains(name)) {
            let (next, answer) = executor.command(Command::Abandon { id: id.clone() }).await?;
            executor = next;
            tracing::info!(pull = %id, ?answer, "a pull is withdrawn, unless it is mined already");
        }
        Ok(executor)
    }

    /// Has refused pulls sent again when it is time: the same pull, never a new one.
    async fn try_again(
        &mut self,
        mut executor: Executor<InTheChanges>,
    ) -> Result<Executor<InTheChanges>, SubmitError> {
        for (id, attempt) in self.refusals.due(executor.state(), Instant::now()) {
            let (next, answer) = executor.command(Command::Retry { id: id.clone(), attempt }).await?;
            executor = next;
            tracing::info!(pull = %id, attempt, ?answer, "a refused pull is sent again");
        }
        Ok(executor)
    }

    /// Takes the orders that somebody waits for.
    fn take_orders(&mut self) -> impl Iterator<Item = Order> + use<> {
        while let Ok(order) = self.orders.try_recv() {
            self.ordered.push(order);
        }
        std::mem::take(&mut self.ordered).into_iter().filter(|order| !order.is_given_up())
    }

    /// Carries out what operators order. The chain was looked at just before.
    async fn obey(
        &mut self,
        mut executor: Executor<InTheChanges>,
    ) -> Result<Executor<InTheChanges>, SubmitError> {
        for order in self.take_orders() {
            match order {
                Order::List(reply) => _ = reply.send(Ok(list(&executor))),
                Order::Resolve(resolution, reply) => {
                    let (next, answer) = executor.resolve(&resolution).await?;
                    executor = next;
                    let (pull, by) = (&resolution.id, &resolution.by);
                    tracing::info!(%pull, by, word = ?resolution.word, ?answer, "an operator says how a pull ended");
                    // The operator may have gone; what follows is committed.
                    _ = reply.send(answer.map_err(Into::into));
                }
            }
        }
        Ok(executor)
    }

    /// Logs each reason for which pulls wait and that somebody must do something about, once while it lasts.
    fn complain(&mut self, executor: &Executor<InTheChanges>) {
        let waits = executor.waits();
        let mut lasting = BTreeSet::new();
        for (id, wait) in &waits {
            let Some(remedy) = wait.remedy() else { continue };
            if lasting.insert(*wait) && !self.complaints.contains(wait) {
                let count = waits.values().filter(|other| *other == wait).count();
                tracing::warn!(reason = ?wait, pulls = count, first = %id, "pulls wait: {remedy}");
            }
        }
        for ended in self.complaints.difference(&lasting) {
            tracing::info!(reason = ?ended, "pulls do not wait for this any more");
        }
        self.complaints = lasting;
    }
}

/// Returns the pulls that have not ended, as an operator sees them.
fn list(executor: &Executor<InTheChanges>) -> Vec<WaitingPull> {
    let pulls = &executor.state().pulls;
    let waiting = executor.waits().into_iter().filter_map(|(id, wait)| {
        Some(WaitingPull {
            hash: pulls.get(&id)?.hash,
            pull: id.to_string(),
            reason: format!("{wait:?}"),
            remedy: wait.remedy().map(str::to_owned),
        })
    });
    waiting.collect()
}

/// Refused pulls, with the moment since which this host knows each refusal.
struct Refusals {
    first: Duration,
    since: BTreeMap<PullId, (u32, Instant)>,
}

impl Refusals {
    /// Returns the pulls that are to be sent again now, each with the number of its next attempt.
    fn due(&mut self, state: &State, now: Instant) -> Vec<(PullId, u32)> {
        let refused = state.pulls.iter().filter(|(_, known)| known.abandoned.is_none());
        let refused: BTreeMap<PullId, u32> = refused
            .filter_map(|(id, known)| match known.phase {
                Phase::Over(Outcome::Refused { attempt }) => Some((id.clone(), attempt)),
                Phase::Over(_) | Phase::Open => None,
            })
            .collect();
        self.since.retain(|id, (attempt, _)| refused.get(id) == Some(attempt));
        for (id, attempt) in &refused {
            self.since.entry(id.clone()).or_insert((*attempt, now));
        }
        let is_due =
            |(attempt, since): &(u32, Instant)| now.saturating_duration_since(*since) >= self.pause(*attempt);
        let due = self.since.iter().filter(|(_, refused)| is_due(refused));
        // An attempt is weeks after the one before it long before the numbers end.
        due.map(|(id, (attempt, _))| (id.clone(), attempt.saturating_add(1))).collect()
    }

    /// Pause behind an attempt: twice the one before it, up to the longest.
    fn pause(&self, attempt: u32) -> Duration {
        let doublings = attempt.saturating_sub(1).min(16);
        (self.first * (1 << doublings)).min(LONGEST_RETRY.max(self.first))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::submitter::Change;
    use crate::submitter::tests_support::pull;

    #[test]
    fn a_refused_pull_is_sent_again_after_pauses_that_double() {
        let mut refusals = Refusals { first: Duration::from_secs(10), since: BTreeMap::new() };
        let (mut state, began) = (State::default(), Instant::now());
        let at = |seconds| began + Duration::from_secs(seconds);
        let pull = pull("visa-1/pull/1");
        let id = pull.id.clone();
        state.apply(&Change::Accepted { pull }).unwrap();
        assert!(refusals.due(&state, at(0)).is_empty(), "it is under way");
        state.apply(&Change::Refused { id: id.clone(), attempt: 1 }).unwrap();
        assert!(refusals.due(&state, at(5)).is_empty() && refusals.due(&state, at(14)).is_empty());
        assert_eq!(refusals.due(&state, at(15)), [(id.clone(), 2)]);

        state.apply(&Change::Retried { id: id.clone(), attempt: 2 }).unwrap();
        assert!(refusals.due(&state, at(16)).is_empty());
        state.apply(&Change::Refused { id: id.clone(), attempt: 2 }).unwrap();
        assert!(refusals.due(&state, at(20)).is_empty() && refusals.due(&state, at(39)).is_empty());
        assert_eq!(refusals.due(&state, at(40)), [(id.clone(), 3)]);
        assert_eq!(refusals.pause(30), LONGEST_RETRY);

        state.apply(&Change::Abandoned { id, cause: crate::submitter::Cause::Expired }).unwrap();
        assert!(refusals.due(&state, at(99)).is_empty(), "an abandoned pull is not sent again");
    }
}
