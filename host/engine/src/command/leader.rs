//! The writer of a partition while it holds the lease: decides what waits, and commits it, batch after batch.
//!
//! One batch is in flight to the database; meanwhile the next is decided on the state that it will leave, and grows
//! until the flight lands. So a command that comes alone is committed at once, and many that come together share one
//! flush. If a flight fails, all that was built on it is thrown away, and nobody was told that it had happened.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::mem;
use std::sync::Arc;
use std::time::Duration;

use clearfold_kernel::Timestamp;
use sqlx::Postgres;
use sqlx::pool::PoolConnection;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::batch::Batch;
use super::decide;
use super::plan::take_repeats;
use super::prepare::{Prepared, prepare};
use super::queued::Queued;
use super::state::{StateCache, States, StreamState};
use super::writer::Writer;
use super::{Command, CommandError, Deciders, LiveDeciders};
use clearfold_base::database::DatabaseError;
use clearfold_base::faults;
use clearfold_store::{EventStore, Head, Lease, StoreError};

/// How often a command's batch may fail before its sender is told.
const MAX_FAILURES: u32 = 5;
/// How long the database may be silent. What waits for a lock or runs too long it ends earlier by itself.
const PATIENCE: Duration = Duration::from_secs(10);

/// How the leading ended.
pub(super) enum End {
    /// Nothing will come any more, and the lease is given back.
    Stopped,
    /// What was not committed is to be decided again by whoever leads then.
    Lost { error: StoreError, again: Vec<Queued> },
}

pub(super) struct Leader<'a> {
    writer: &'a Writer,
    lease: Lease,
    /// Who shall decide, and who does here; nobody until that is recorded.
    live: LiveDeciders,
    deciders: Option<Arc<Deciders>>,
    renewed_at: Instant,
    cache: StateCache,
    /// Kept from one use to the next: one for the flight, and one for what is asked meanwhile.
    connections: Vec<PoolConnection<Postgres>>,
    flight: Option<Flight>,
    next: Batch,
    /// What comes before anything of the queue: it came earlier, and was not committed.
    backlog: VecDeque<Queued>,
    /// Repeats of what is on its way: they hear what comes of it.
    repeats: Vec<Queued>,
    /// What was being done when the leading ended: the batch that did not land, and the commands in hand.
    fallen: Vec<Queued>,
    in_hand: Vec<Queued>,
}

/// A batch on its way to the database.
struct Flight {
    /// The one task that commits it.
    landing: JoinSet<Landed>,
    states: States,
    keys: BTreeSet<String>,
}

enum Landed {
    /// It is committed, and its commands are answered.
    Committed(PoolConnection<Postgres>),
    /// It is not, or nobody knows.
    Failed { error: StoreError, queued: Vec<Queued> },
}

impl<'a> Leader<'a> {
    /// `latest` is the time of the partition's last command: time does not run backwards from one host to another.
    pub(super) fn new(
        writer: &'a Writer,
        lease: Lease,
        head: Head,
        latest: Timestamp,
        again: Vec<Queued>,
    ) -> Self {
        let next = Batch::new(lease.partition, head, latest);
        Self {
            writer,
            lease,
            live: writer.deciders.clone(),
            deciders: None,
            renewed_at: Instant::now(),
            cache: StateCache::new(writer.settings.state_cache_bytes),
            connections: Vec::new(),
            flight: None,
            next,
            backlog: again.into(),
            repeats: Vec::new(),
            fallen: Vec::new(),
            in_hand: Vec::new(),
        }
    }

    /// Works until the queue is closed and empty, or the lease or the store is lost.
    pub(super) async fn lead(mut self, queue: &mut mpsc::Receiver<Queued>) -> End {
        match self.work(queue).await {
            Ok(()) => {
                // Who cannot give it back lets it run out.
                if let Err(error) = self.writer.store.release_lease(&self.lease).await {
                    tracing::debug!(%error, partition = self.lease.partition, "the lease runs out by itself");
                }
                faults::point("lease_given_back");
                End::Stopped
            }
            Err(error) => {
                if matches!(error, StoreError::Behind { .. }) {
                    // Another host may know what decides here; this one looks again later.
                    let released = self.writer.store.release_lease(&self.lease).await;
                    released.unwrap_or_else(|error| tracing::debug!(%error, "the lease runs out by itself"));
                }
                let again = self.abandon().await;
                End::Lost { error, again }
            }
        }
    }

    async fn work(&mut self, queue: &mut mpsc::Receiver<Queued>) -> Result<(), StoreError> {
        let mut chunk = Vec::new();
        let mut is_closed = false;
        loop {
            let is_due = self.is_takeover_due();
            if is_due && self.is_idle() {
                self.take_over().await?;
                continue;
            }
            while !is_due && let Some(chunk) = self.earlier() {
                self.take(chunk).await?;
            }
            self.launch();
            if is_closed && self.flight.is_none() {
                return Ok(());
            }
            let room = if is_closed || is_due { 0 } else { self.room() };
            let is_flying = self.flight.is_some();
            tokio::select! {
                biased;
                landed = landing(&mut self.flight), if is_flying => self.land(landed)?,
                () = tokio::time::sleep_until(self.renewed_at + self.lease.duration / 3), if !is_flying => {
                    renew(&self.writer.store, &self.lease).await?;
                    self.renewed_at = Instant::now();
                    // There is little to do, and one is enough for it.
                    self.connections.truncate(1);
                }
                // Whoever could send another set may be gone; then there is none.
                Ok(()) = self.live.changed(), if !is_due => {}
                count = queue.recv_many(&mut chunk, room), if room > 0 => {
                    is_closed = count == 0;
                    self.take(mem::take(&mut chunk)).await?;
                }
            }
        }
    }

    /// Whether others shall decide from the next batch on.
    fn is_takeover_due(&self) -> bool {
        self.deciders.as_ref().is_none_or(|deciders| !Arc::ptr_eq(deciders, &self.live.borrow()))
    }

    /// Lets those decide who shall, and records from which command on. Nothing is on its way, so this lies between two
    /// batches.
    async fn take_over(&mut self) -> Result<(), StoreError> {
        let newest = Arc::clone(&self.live.borrow_and_update());
        if newest.through > 0 {
            let begun = self.writer.store.begin_activations(&self.lease, newest.through);
            self.holding(within(begun)).await.flatten()?;
        }
        faults::point("taken_over");
        self.deciders = Some(newest);
        Ok(())
    }

    /// How many commands may come from the queue: none while there are earlier ones, and repeats may not pile up.
    fn room(&self) -> usize {
        if self.backlog.is_empty() { self.free().saturating_sub(self.repeats.len()) } else { 0 }
    }

    /// How many commands may still join the next batch.
    fn free(&self) -> usize {
        self.writer.settings.batch_size.saturating_sub(self.next.len())
    }

    fn is_idle(&self) -> bool {
        self.flight.is_none() && self.next.is_empty()
    }

    fn is_on_its_way(&self, key: &str) -> bool {
        self.next.has_key(key) || self.flight.as_ref().is_some_and(|flight| flight.keys.contains(key))
    }

    /// What comes before the queue, as far as it can be decided now: repeats of what has landed, and the backlog. A
    /// command that goes alone waits until nothing else is on its way.
    fn earlier(&mut self) -> Option<Vec<Queued>> {
        let mut free = self.free();
        let mut repeats = mem::take(&mut self.repeats);
        let landed = repeats.extract_if(.., |queued| {
            let is_ready = free > 0 && !self.is_on_its_way(&queued.command.idempotency_key);
            free = free.saturating_sub(usize::from(is_ready));
            is_ready
        });
        let mut chunk: Vec<Queued> = landed.collect();
        self.repeats = repeats;
        if chunk.is_empty() && self.backlog.front().is_some_and(|queued| queued.alone) {
            return if self.is_idle() { self.backlog.pop_front().map(|alone| vec![alone]) } else { None };
        }
        while chunk.len() < free
            && let Some(queued) = self.backlog.pop_front_if(|queued| !queued.alone)
        {
            chunk.push(queued);
        }
        (!chunk.is_empty()).then_some(chunk)
    }

    /// Decides commands, and adds them to the next batch.
    async fn take(&mut self, mut chunk: Vec<Queued>) -> Result<(), StoreError> {
        let repeats = take_repeats(&mut chunk, |key| self.is_on_its_way(key));
        self.repeats.extend(repeats);
        if chunk.is_empty() {
            return Ok(());
        }
        let commands: Vec<Arc<Command>> = chunk.iter().map(|queued| Arc::clone(&queued.command)).collect();
        let Prepared { known, named, ready } = match self.prepare(commands).await {
            Ok(prepared) => prepared,
            Err(error) => return Err(self.failed(error, chunk)),
        };
        faults::point("prepared");
        if self.next.is_empty() {
            self.next.now = self.next.now.max(self.writer.clock.now());
        }
        let now = self.next.now;
        let decided = tokio::task::spawn_blocking(move || decide::decide(&named, ready, now));
        let outcomes = match self.holding(decided).await {
            Ok(Ok(outcomes)) => outcomes,
            Ok(Err(error)) => {
                return Err(self.failed(DatabaseError::Corrupt(error.to_string()).into(), chunk));
            }
            Err(error) => return Err(self.failed(error, chunk)),
        };
        let mut chunk: BTreeMap<usize, Queued> = chunk.into_iter().enumerate().collect();
        for (index, answer) in known {
            if let Some(queued) = chunk.remove(&index) {
                queued.answer(answer);
            }
        }
        for outcome in outcomes {
            self.next.add(&mut chunk, outcome);
        }
        faults::point("decided");
        Ok(())
    }

    /// Does something that may take longer than the lease is good for.
    async fn holding<T>(&self, work: impl Future<Output = T>) -> Result<T, StoreError> {
        let renewing = async {
            loop {
                tokio::time::sleep(self.lease.duration / 3).await;
                if let Err(error) = renew(&self.writer.store, &self.lease).await {
                    return error;
                }
            }
        };
        tokio::select! {
            biased;
            done = work => Ok(done),
            error = renewing => Err(error),
        }
    }

    /// Keeps the commands in hand that are worth another attempt.
    fn failed(&mut self, error: StoreError, commands: Vec<Queued>) -> StoreError {
        self.in_hand = after_failure(&error, commands);
        error
    }

    /// Finds out what must be known before commands are decided.
    async fn prepare(&mut self, commands: Vec<Arc<Command>>) -> Result<Prepared, StoreError> {
        let kept = self.connections.pop();
        let mut connection = self.holding(connection(&self.writer.store, kept)).await.flatten()?;
        let deciders = self.deciders.clone().unwrap_or_default();
        let state = |stream: &str| self.state(stream).filter(|state| is_of_family(&deciders, stream, state));
        let prepared = prepare(self.writer, &deciders, &mut connection, commands, state);
        let prepared = self.holding(prepared).await.flatten();
        match prepared {
            Ok(_) => self.connections.push(connection),
            // Whatever state it is in, nobody waits for it: it is cut.
            Err(_) => drop(connection.detach()),
        }
        prepared
    }

    /// The newest state of a stream that is in memory, as it will be when all that is on its way is committed.
    fn state(&self, stream: &str) -> Option<&StreamState> {
        let in_flight = self.flight.as_ref().and_then(|flight| flight.states.get(stream));
        self.next.states.get(stream).or(in_flight).or_else(|| self.cache.get(stream))
    }

    /// Sends the next batch off if there is one and nothing is in flight.
    fn launch(&mut self) {
        if self.flight.is_some() || self.next.is_empty() {
            return;
        }
        let next = Batch::new(self.lease.partition, self.next.after, self.next.now);
        let mut batch = mem::replace(&mut self.next, next);
        batch.take_snapshots(self.writer.settings.snapshot_every);
        let states = mem::take(&mut batch.states);
        let keys = batch.waiting.iter().map(|(queued, _)| queued.command.idempotency_key.clone()).collect();
        let (store, lease, kept) = (self.writer.store.clone(), self.lease.clone(), self.connections.pop());
        let mut landing = JoinSet::new();
        landing.spawn(async move { fly(&store, kept, &lease, batch).await });
        self.flight = Some(Flight { landing, states, keys });
    }

    fn land(&mut self, landed: Landed) -> Result<(), StoreError> {
        let flight = self.flight.take();
        match landed {
            Landed::Committed(connection) => {
                self.connections.push(connection);
                self.renewed_at = Instant::now();
                self.cache.keep(flight.map(|flight| flight.states).unwrap_or_default());
                faults::point("states_kept");
                Ok(())
            }
            Landed::Failed { error, queued } => {
                self.fallen = after_failure(&error, queued);
                Err(error)
            }
        }
    }

    /// Everything that was not committed, in the order in which it came.
    async fn abandon(mut self) -> Vec<Queued> {
        let mut again = mem::take(&mut self.fallen);
        if self.flight.is_some()
            && let Landed::Failed { error, queued } = landing(&mut self.flight).await
        {
            again.extend(after_failure(&error, queued));
        }
        again.extend(self.next.waiting.into_iter().map(|(queued, _)| queued));
        again.extend(self.in_hand.into_iter().chain(self.backlog).chain(self.repeats));
        again
    }
}

/// Whether who decides on a stream makes states like this one.
fn is_of_family(deciders: &Deciders, stream: &str, state: &StreamState) -> bool {
    let aggregate = stream.split_once('-').map_or(stream, |(aggregate, _)| aggregate);
    let running = deciders.of(aggregate, &state.routing_key);
    running.is_some_and(|running| running.family == state.family)
}

async fn renew(store: &EventStore, lease: &Lease) -> Result<(), StoreError> {
    if within(store.renew_lease(lease)).await? {
        faults::point("lease_renewed");
        return Ok(());
    }
    let (partition, why) = (lease.partition, "another host may have taken it".to_owned());
    Err(StoreError::LeaseLost { partition, why })
}

/// The connection that was kept, or another.
async fn connection(
    store: &EventStore,
    kept: Option<PoolConnection<Postgres>>,
) -> Result<PoolConnection<Postgres>, StoreError> {
    match kept {
        Some(connection) => Ok(connection),
        None => Ok(store.pool().acquire().await?),
    }
}

/// The end of the flight, which there must be.
async fn landing(flight: &mut Option<Flight>) -> Landed {
    let Some(flight) = flight else { return std::future::pending().await };
    match flight.landing.join_next().await {
        Some(Ok(landed)) => landed,
        Some(Err(error)) => lost(error.to_string()),
        None => lost("a flight landed twice".to_owned()),
    }
}

/// The task is gone and took its commands with it: their senders hear that there is no answer.
fn lost(why: String) -> Landed {
    Landed::Failed { error: DatabaseError::Corrupt(why).into(), queued: Vec::new() }
}

/// Commits a batch and answers its commands.
async fn fly(
    store: &EventStore,
    kept: Option<PoolConnection<Postgres>>,
    lease: &Lease,
    batch: Batch,
) -> Landed {
    let failed = |batch: Batch, error| {
        let queued = batch.waiting.into_iter().map(|(queued, _)| queued).collect();
        Landed::Failed { error, queued }
    };
    let mut connection = match connection(store, kept).await {
        Ok(connection) => connection,
        Err(error) => return failed(batch, error),
    };
    faults::point("before_append");
    let appended = store.append(&mut connection, lease, &batch.before, &batch.append, batch.now);
    match within(appended).await {
        Ok(()) => {
            faults::point("committed");
            for (queued, answer) in batch.waiting {
                queued.answer(Ok(answer));
                faults::point("answered");
            }
            Landed::Committed(connection)
        }
        Err(error) => {
            // Whatever state it is in, nobody waits for it: it is cut.
            drop(connection.detach());
            failed(batch, error)
        }
    }
}

/// A network that says nothing any more is a store that does not answer.
pub(super) async fn within<T>(work: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
    let silence = || DatabaseError::Silent { seconds: PATIENCE.as_secs() }.into();
    tokio::time::timeout(PATIENCE, work).await.unwrap_or_else(|_| Err(silence()))
}

/// What is worth another attempt. What the database refuses is sought one by one, so that it fails alone.
fn after_failure(error: &StoreError, queued: Vec<Queued>) -> Vec<Queued> {
    let text = clearfold_base::telemetry::with_causes(error);
    let is_only_one = queued.len() == 1;
    let mut again = Vec::with_capacity(queued.len());
    for mut queued in queued {
        queued.failures = queued.failures.saturating_add(1);
        if error.is_refusal() && is_only_one {
            queued.answer(Err(CommandError::Unstorable(text.clone())));
        } else if queued.failures > MAX_FAILURES {
            queued.answer(Err(CommandError::Unavailable(text.clone())));
        } else {
            queued.alone = error.is_refusal();
            again.push(queued);
        }
    }
    again
}
