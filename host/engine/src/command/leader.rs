//! Writer of a partition while it holds the lease: executes the steps that the planner plans from the pipeline's view.
//!
//! If a batch fails, everything that was built on it is thrown away, and no caller was told that it had happened.

use std::collections::BTreeSet;
use std::sync::Arc;

use tokio::sync::mpsc;

use super::batch::Batch;
use super::decide;
use super::effect_runner::EffectRunner;
use super::failure::Failure;
use super::in_flight::{CommitOutcome, InFlight};
use super::permits::{Permit, Permits, keeping};
use super::pipeline::Pipeline;
use super::planner::{Chunk, Step, plan, room};
use super::prepare::{Prepared, Unprepared, prepare};
use super::queued::{Origin, Queued, answer_all};
use super::session::{Session, with_time_out};
use super::sort::{QueuedTurn, in_order};
use super::state::{StateCache, StreamState};
use super::subscriptions::Subscriptions;
use super::timers::{HeldQueue, PAGE, TimerQueue};
use super::{Deciders, LiveDeciders, WriterSettings};
use crate::saga::follow;
use clearfold_base::blocking::blocking;
use clearfold_base::clock::Clock;
use clearfold_base::faults;
use clearfold_store::DueTimer;

/// End of a leadership.
pub(super) enum End {
    /// The queue is closed and empty, and the lease is given back.
    Stopped,
    /// The commands in `again` were not committed: the next leadership, here or elsewhere, decides them again.
    Lost {
        failure: Failure,
        again: Vec<Queued>,
        /// True if the leadership committed a batch, or was idle until it renewed its lease.
        has_progressed: bool,
    },
}

/// Rounds from commands to the last that follows from them.
struct Run {
    /// None if the wait for it, or one for the database, was too long.
    permit: Option<Permit>,
}

pub(super) struct Leader {
    session: Session,
    pipeline: Pipeline,
    permits: Permits,
    /// Run under way.
    run: Option<Run>,
    in_flight: Option<InFlight>,
    has_progressed: bool,
    cache: StateCache,
    timers: TimerQueue,
    held: HeldQueue,
    /// Timers that the in-flight batch sets.
    set_timers: Vec<DueTimer>,
    effects: EffectRunner,
    /// Names of the effects that the in-flight batch requests.
    requested: BTreeSet<String>,
    /// Newest deciders.
    live: LiveDeciders,
    /// Deciders in force here; none until their takeover is recorded.
    deciders: Option<Arc<Deciders>>,
    clock: Clock,
    snapshot_every: u64,
    subscriptions: Subscriptions,
}

impl Leader {
    /// `begin` is the empty batch at the partition's end; its time is that of the partition's last command, so that
    /// time does not run backwards from one host to another. `again` comes before the queue.
    pub(super) fn new(
        session: Session,
        begin: Batch,
        again: Vec<Queued>,
        deciders: LiveDeciders,
        clock: Clock,
        settings: &WriterSettings,
        subscriptions: Subscriptions,
    ) -> Self {
        let (store, partition) = (session.store().clone(), session.lease().partition);
        let effects = EffectRunner::start(store, partition, settings.effects.clone());
        Self {
            session,
            pipeline: Pipeline::new(settings.batch_size, settings.effects.names(), begin, again),
            permits: settings.permits.clone(),
            run: None,
            in_flight: None,
            has_progressed: false,
            cache: StateCache::new(settings.state_cache_bytes),
            timers: TimerQueue::new(),
            held: HeldQueue::of(BTreeSet::new()),
            set_timers: Vec::new(),
            effects,
            requested: BTreeSet::new(),
            live: deciders,
            deciders: None,
            clock,
            snapshot_every: settings.snapshot_every,
            subscriptions,
        }
    }

    /// Works until the queue is closed and empty, or the lease or the store is lost.
    pub(super) async fn lead(mut self, queue: &mut mpsc::Receiver<Queued>) -> End {
        match self.work(queue).await {
            Ok(()) => {
                self.session.release().await;
                faults::point("lease_given_back");
                End::Stopped
            }
            Err(failure) => {
                // The end may wait for the commit of the batch in flight.
                self.run = None;
                if failure.is_behind() {
                    // Another host may know what decides here; this one looks again later.
                    self.session.release().await;
                }
                let (again, has_progressed) = self.abandon().await;
                End::Lost { failure, again, has_progressed }
            }
        }
    }

    async fn work(&mut self, queue: &mut mpsc::Receiver<Queued>) -> Result<(), Failure> {
        loop {
            let is_takeover_due = self.is_takeover_due();
            let is_timer_due = self.timers.is_due(self.clock.now()) || self.held.is_due();
            let view = self.pipeline.view(is_takeover_due, is_timer_due);
            let step = plan(view);
            self.run.take_if(|_| !matches!(step, Step::Decide(_)));
            match step {
                Step::TakeOver => self.take_over().await?,
                Step::Decide(_) if self.run.is_none() => self.begin_run(room(view), queue).await,
                Step::Decide(chunk) => self.decide(chunk).await?,
                Step::ReadTimers => self.read_timers().await?,
                Step::Launch => self.launch()?,
                Step::Wait { room } => self.wait(room, !is_takeover_due, queue).await?,
                Step::Stop => return Ok(()),
            }
        }
    }

    /// Returns true if newer deciders are to decide from the next batch on.
    fn is_takeover_due(&self) -> bool {
        self.deciders.as_ref().is_none_or(|deciders| !Arc::ptr_eq(deciders, &self.live.borrow()))
    }

    /// Records from which command on the newest deciders decide, and lets them.
    async fn take_over(&mut self) -> Result<(), Failure> {
        let newest = Arc::clone(&self.live.borrow_and_update());
        if newest.through > 0 {
            let begun = self.session.store().begin_activations(self.session.lease(), newest.through);
            self.session.renewing_lease_during(with_time_out(begun)).await?;
        }
        faults::point("taken_over");
        self.held = HeldQueue::of(newest.running_sagas().cloned().collect());
        self.deciders = Some(newest);
        Ok(())
    }

    /// Waits for a permit to decide in, and takes the commands that have come meanwhile, at most `room`.
    async fn begin_run(&mut self, room: usize, queue: &mut mpsc::Receiver<Queued>) {
        self.run = Some(Run { permit: self.permits.acquire().await });
        let more = std::iter::from_fn(|| queue.try_recv().ok()).take(room);
        self.pipeline.received(more.collect());
    }

    /// Decides a chunk of commands, which then join the next batch.
    async fn decide(&mut self, chunk: Chunk) -> Result<(), Failure> {
        let mut commands = self.pipeline.take(chunk);
        if commands.is_empty() {
            return Ok(());
        }
        let deciders = self.deciders.clone().unwrap_or_default();
        if let Err(why) = commands.iter_mut().try_for_each(|queued| queued.hold(&deciders)) {
            let failure = Failure::Broken(why);
            answer_all(self.pipeline.decision_failed(&failure, commands));
            return Err(failure);
        }
        let mut permit = self.run.as_mut().and_then(|run| run.permit.take());
        let prepared = keeping(&mut permit, Box::pin(self.prepare(commands))).await;
        self.run = Some(Run { permit });
        let Prepared { turns, inputs, resolved } = prepared?;
        faults::point("prepared");
        let now = self.pipeline.decision_time(self.clock.now());
        let decided = if inputs.is_empty() {
            Ok(Vec::new())
        } else {
            let deciding = blocking(move || decide::decide(inputs, now));
            self.session.renewing_lease_during(async { Ok::<_, Failure>(deciding.await?) }).await
        };
        let decided = match decided {
            Ok(decided) if decided.len() == turns.len() => decided,
            Ok(decided) => {
                let why = format!("{} decisions for {} streams", decided.len(), turns.len());
                return Err(self.keep_undecided(Failure::Broken(why), turns));
            }
            Err(failure) => return Err(self.keep_undecided(failure, turns)),
        };
        let joined = self.pipeline.resolved(resolved).and_then(|mut answers| {
            let mut turns = turns.into_iter().zip(decided);
            while let Some((turn, decided)) = turns.next() {
                match self.pipeline.decided(turn, decided, &deciders) {
                    Ok(more) => answers.extend(more),
                    Err(failure) => {
                        // The turns that did not join yet are decided again, like the batch itself.
                        let rest = in_order(turns.map(|(turn, _)| turn).collect());
                        answers.extend(self.pipeline.decision_failed(&failure, rest));
                        answer_all(answers);
                        return Err(failure);
                    }
                }
            }
            Ok(answers)
        });
        match joined {
            Ok(answers) => answer_all(answers),
            Err(failure) => {
                answer_all(self.pipeline.next_failed(&failure));
                return Err(failure);
            }
        }
        faults::point("decided");
        Ok(())
    }

    /// Reads timers that are due, or else those that a resume fires, and puts what they fire before the queue.
    async fn read_timers(&mut self) -> Result<(), Failure> {
        let now = self.clock.now();
        let is_due = self.timers.is_due(now);
        let behind = if is_due { self.timers.behind() } else { Some(self.held.behind()) };
        // A partition without work must not hold a connection, so one that was not kept goes back to the pool.
        let was_kept = self.session.has_kept();
        let mut connection = self.session.connection().await?;
        let (store, partition) = (self.session.store(), self.session.lease().partition);
        let read = with_time_out(store.timers(&mut connection, partition, behind, PAGE)).await;
        let page = match read {
            Ok(page) => page,
            Err(error) => {
                // The connection may be in any state; it is cut without waiting for it.
                drop(connection.detach());
                return Err(error.into());
            }
        };
        if was_kept {
            self.session.keep(connection);
        }
        let due = if is_due { self.timers.take(page, now) } else { self.held.take(page) };
        let fired = due.iter().map(|waiting| {
            let command = follow::fire(&waiting.timer, &waiting.routing_key).map_err(Failure::Broken)?;
            Ok(Queued::of_host(command, Origin::Timer))
        });
        let fired = fired.collect::<Result<Vec<_>, Failure>>()?;
        self.pipeline.received(fired);
        faults::point("timers_read");
        Ok(())
    }

    /// Keeps the commands of turns that could not be decided for another try, answers those that are given up, and
    /// returns the failure.
    fn keep_undecided(&mut self, failure: Failure, turns: Vec<QueuedTurn>) -> Failure {
        answer_all(self.pipeline.decision_failed(&failure, in_order(turns)));
        failure
    }

    /// Gathers what commands are decided on. Keeps the commands if that fails.
    async fn prepare(&mut self, commands: Vec<Queued>) -> Result<Prepared, Failure> {
        let mut connection = match self.session.connection().await {
            Ok(connection) => connection,
            Err(error) => {
                let failure = error.into();
                answer_all(self.pipeline.decision_failed(&failure, commands));
                return Err(failure);
            }
        };
        let deciders = self.deciders.clone().unwrap_or_default();
        let in_memory = |stream: &str| {
            let state = self.pipeline.state(stream).or_else(|| self.cache.get(stream));
            state.filter(|state| is_of_family(&deciders, stream, state))
        };
        match prepare(&self.session, &mut connection, &deciders, commands, in_memory).await {
            Ok(prepared) => {
                self.session.keep(connection);
                Ok(prepared)
            }
            Err(Unprepared { failure, commands }) => {
                // The connection may be in any state; it is cut without waiting for it.
                drop(connection.detach());
                answer_all(self.pipeline.decision_failed(&failure, commands));
                Err(failure)
            }
        }
    }

    /// Sends the next batch to the database.
    fn launch(&mut self) -> Result<(), Failure> {
        let batch = self.pipeline.launched(self.snapshot_every);
        if let Err(why) = batch.check() {
            let failure = Failure::Broken(why);
            answer_all(self.pipeline.commit_failed(&failure, batch.into_commands()));
            return Err(failure);
        }
        self.set_timers = batch.append.timers.clone();
        self.requested = batch.append.effects.iter().map(|effect| effect.effect.clone()).collect();
        let (store, lease) = (self.session.store().clone(), self.session.lease().clone());
        self.in_flight =
            Some(InFlight::launch(store, lease, self.session.take_kept(), batch, self.subscriptions.clone()));
        Ok(())
    }

    /// Waits until something happens. `for_deciders` is false while a takeover is due: it is known already.
    async fn wait(
        &mut self,
        room: usize,
        for_deciders: bool,
        queue: &mut mpsc::Receiver<Queued>,
    ) -> Result<(), Failure> {
        let is_in_flight = self.in_flight.is_some();
        let mut commands = Vec::new();
        let until_timer = self.timers.wait(self.clock.now());
        let waits_for_timer = until_timer.is_some() && for_deciders;
        let until_timer = until_timer.unwrap_or_default();
        tokio::select! {
            biased;
            outcome = commit_outcome(&mut self.in_flight), if is_in_flight => self.finish_commit(outcome),
            () = tokio::time::sleep_until(self.session.renewal_at()), if !is_in_flight => {
                self.session.renew().await?;
                self.has_progressed = true;
                Ok(())
            }
            // If nobody can send other deciders any more, none come.
            Ok(()) = self.live.changed(), if for_deciders => Ok(()),
            () = tokio::time::sleep(until_timer), if waits_for_timer => Ok(()),
            outcomes = self.effects.outcomes(room), if room > 0 => {
                self.pipeline.received(outcomes);
                Ok(())
            }
            count = queue.recv_many(&mut commands, room), if room > 0 => {
                if count == 0 {
                    self.pipeline.closed();
                } else {
                    self.pipeline.received(commands);
                }
                Ok(())
            }
        }
    }

    /// Takes over what the in-flight batch left, or keeps its commands for another try and returns the failure.
    fn finish_commit(&mut self, outcome: CommitOutcome) -> Result<(), Failure> {
        self.in_flight = None;
        match outcome {
            CommitOutcome::Committed(connection) => {
                self.session.keep(connection);
                self.session.renewed();
                self.has_progressed = true;
                self.cache.keep(self.pipeline.commit_succeeded());
                self.timers.set(&std::mem::take(&mut self.set_timers));
                self.effects.committed(std::mem::take(&mut self.requested));
                faults::point("states_kept");
                Ok(())
            }
            CommitOutcome::Failed { failure, commands } => {
                answer_all(self.pipeline.commit_failed(&failure, commands));
                Err(failure)
            }
        }
    }

    /// Everything that was not committed, in the order in which it came, and whether the leadership has progressed.
    async fn abandon(mut self) -> (Vec<Queued>, bool) {
        if self.in_flight.is_some() {
            match commit_outcome(&mut self.in_flight).await {
                // Its commands are answered. Its states are not kept: the next leadership begins without any.
                CommitOutcome::Committed(_) => self.has_progressed = true,
                CommitOutcome::Failed { failure, commands } => {
                    answer_all(self.pipeline.commit_failed(&failure, commands));
                }
            }
        }
        (self.pipeline.abandoned(), self.has_progressed)
    }
}

/// Outcome of the in-flight batch; never, if there is none.
async fn commit_outcome(in_flight: &mut Option<InFlight>) -> CommitOutcome {
    match in_flight {
        Some(in_flight) => in_flight.outcome().await,
        None => std::future::pending().await,
    }
}

/// Returns true if the decider of a stream makes states like this one.
fn is_of_family(deciders: &Deciders, stream: &str, state: &StreamState) -> bool {
    let aggregate = follow::split(stream).map_or(stream, |(aggregate, _)| aggregate);
    let active = deciders.of(aggregate, &state.routing_key);
    active.is_some_and(|active| active.family == state.family)
}
