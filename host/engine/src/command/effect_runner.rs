//! Runner of a partition's effects, while this host writes it: reads what waits, has it carried out, and sends the outcome
//! to the writer. It remembers nothing that the database does not hold.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use backon::BackoffBuilder;
use futures::FutureExt;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio::task::JoinSet;

use super::queued::Queued;
use super::session::with_time_out;
use crate::effects::{Effect, EffectCall, Effects, Outcome};
use crate::saga::follow;
use clearfold_base::faults;
use clearfold_base::tasks::{Retry, backoff};
use clearfold_base::telemetry::with_causes;
use clearfold_store::{EventStore, StoreError, WaitingEffect};

/// Pause before the database is asked again after a failure.
const PAUSE: Duration = Duration::from_millis(500);
/// Pauses before an outcome that was not taken is sent to the writer again.
const TELL_AGAIN: Retry = Retry { least: PAUSE, longest: Duration::from_secs(60) };
/// Effects under way for whose name this host has nothing that carries them out: each is refused at once.
const UNKNOWN_CONCURRENCY: u32 = 16;
/// Outcomes of a lane that are not committed yet: so many may be carried out ahead of a writer that does not take them.
const UNTOLD: usize = 1_024;
/// Outcomes that wait for the writer.
const OUTCOMES: usize = 64;

/// Runner of a partition's effects. Dropping it ends what is under way; the next runner, here or elsewhere, begins with
/// what waits in the database.
pub(super) struct EffectRunner {
    committed: mpsc::UnboundedSender<BTreeSet<String>>,
    outcomes: mpsc::Receiver<Queued>,
    _task: JoinSet<()>,
}

/// Partition, store and effects that all lanes use.
#[derive(Clone)]
struct Ground {
    store: EventStore,
    partition: u32,
    effects: Effects,
    outcomes: mpsc::Sender<Queued>,
}

/// Effects of one name in one partition.
struct Lane {
    ground: Ground,
    name: String,
    /// Tells that more were committed.
    more: Arc<Notify>,
}

impl EffectRunner {
    pub(super) fn start(store: EventStore, partition: u32, effects: Effects) -> Self {
        let (committed, names) = mpsc::unbounded_channel();
        let (sender, outcomes) = mpsc::channel(OUTCOMES);
        let mut task = JoinSet::new();
        task.spawn(run(Ground { store, partition, effects, outcomes: sender }, names));
        Self { committed, outcomes, _task: task }
    }

    /// Notes that effects of these names were committed.
    pub(super) fn committed(&self, names: BTreeSet<String>) {
        if !names.is_empty() {
            // The task ends only with the runner.
            let _ = self.committed.send(names);
        }
    }

    /// Next outcomes, as commands; waits for the first.
    pub(super) async fn outcomes(&mut self, at_most: usize) -> Vec<Queued> {
        let mut outcomes = Vec::new();
        if self.outcomes.recv_many(&mut outcomes, at_most).await == 0 {
            std::future::pending::<()>().await;
        }
        outcomes
    }
}

/// Runs a lane for each name of which there is an effect.
async fn run(ground: Ground, mut committed: mpsc::UnboundedReceiver<BTreeSet<String>>) {
    let (mut lanes, mut known) = (JoinSet::new(), BTreeMap::<String, Arc<Notify>>::new());
    let mut names: BTreeSet<String> = waiting_names(&ground).await.into_iter().collect();
    loop {
        for name in names {
            let more = known.entry(name.clone()).or_insert_with(|| {
                let more = Arc::new(Notify::new());
                let lane = Lane { ground: ground.clone(), name, more: Arc::clone(&more) };
                lanes.spawn(lane.run());
                more
            });
            more.notify_one();
        }
        match committed.recv().await {
            Some(more) => names = more,
            None => return,
        }
    }
}

/// Names of the effects that waited before this host took the partition over.
async fn waiting_names(ground: &Ground) -> Vec<String> {
    loop {
        let read = async {
            let mut connection = ground.store.pool().acquire().await?;
            ground.store.waiting_effect_names(&mut connection, ground.partition).await
        };
        match with_time_out(read).await {
            Ok(names) => return names,
            Err(error) => pause(ground, &error).await,
        }
    }
}

async fn pause(ground: &Ground, error: &StoreError) {
    tracing::warn!(partition = ground.partition, error = with_causes(error), "effects could not be read");
    tokio::time::sleep(PAUSE).await;
}

impl Lane {
    async fn run(self) {
        let effect = self.ground.effects.get(&self.name).cloned();
        let room = effect.as_ref().map_or(UNKNOWN_CONCURRENCY, |effect| effect.concurrency().max(1));
        let room = Arc::new(Semaphore::new(usize::try_from(room).unwrap_or(Semaphore::MAX_PERMITS)));
        let untold = Arc::new(Semaphore::new(UNTOLD));
        let (mut under_way, mut last) = (JoinSet::new(), 0);
        loop {
            self.more.notified().await;
            loop {
                while under_way.try_join_next().is_some() {}
                // Only this task takes places, so those that are free stay so. The semaphore is never closed.
                let _ = room.acquire().await;
                let free = u32::try_from(room.available_permits()).unwrap_or(u32::MAX);
                let page = match self.read(last, free).await {
                    Ok(page) => page,
                    Err(error) => {
                        pause(&self.ground, &error).await;
                        continue;
                    }
                };
                last = page.last().map_or(last, |waiting| waiting.id);
                let is_full = u32::try_from(page.len()).is_ok_and(|count| count >= free);
                for waiting in page {
                    let Ok(place) = Arc::clone(&room).acquire_owned().await else { return };
                    let (outcomes, name) = (self.ground.outcomes.clone(), self.name.clone());
                    let (effect, untold) = (effect.clone(), Arc::clone(&untold));
                    under_way.spawn(work(outcomes, name, effect, waiting, place, untold));
                }
                if !is_full {
                    break;
                }
            }
        }
    }

    async fn read(&self, behind: u64, limit: u32) -> Result<Vec<WaitingEffect>, StoreError> {
        let Ground { store, partition, .. } = &self.ground;
        with_time_out(async {
            let mut connection = store.pool().acquire().await?;
            store.waiting_effects(&mut connection, *partition, &self.name, behind, limit).await
        })
        .await
    }
}

/// Carries out one effect, and tells its outcome. Its place in the lane is free when the outcome has one among those that
/// are not committed.
async fn work(
    outcomes: mpsc::Sender<Queued>,
    name: String,
    effect: Option<Arc<dyn Effect>>,
    waiting: WaitingEffect,
    place: OwnedSemaphorePermit,
    untold: Arc<Semaphore>,
) {
    let outcome = carry_out(&name, effect, &waiting).await;
    let _told = untold.acquire_owned().await;
    drop(place);
    tell(&outcomes, &name, &waiting, &outcome).await;
}

/// Carries out one effect.
async fn carry_out(name: &str, effect: Option<Arc<dyn Effect>>, waiting: &WaitingEffect) -> Outcome {
    faults::point("effect_read");
    let outcome = match &effect {
        Some(effect) => outcome(effect.as_ref(), waiting).await,
        None => not_offered(name),
    };
    faults::point("effect_carried_out");
    outcome
}

/// Sends an outcome to the writer until it is committed. An instance that cannot take it, because its version cannot be
/// loaded, occupies no place in the lane meanwhile.
async fn tell(outcomes: &mpsc::Sender<Queued>, name: &str, waiting: &WaitingEffect, outcome: &Outcome) {
    let mut pauses = backoff(TELL_AGAIN).build();
    loop {
        let command = match follow::answer_effect(waiting, outcome.clone()) {
            Ok(command) => command,
            Err(error) => {
                return tracing::error!(error, effect = name, "the outcome of an effect cannot be told");
            }
        };
        let (sender, answered) = oneshot::channel();
        if outcomes.send(Queued::of_effect(command, sender)).await.is_err() {
            return;
        }
        match answered.await {
            Ok(Ok(_)) => return,
            // The leadership has ended, or its end is near; the effect still waits in the database.
            Err(_) => return,
            Ok(Err(error)) => {
                let instance = waiting.pending.stream.as_str();
                tracing::warn!(%error, effect = name, instance, "the outcome of an effect was not taken; trying again");
                tokio::time::sleep(pauses.next().unwrap_or(TELL_AGAIN.longest)).await;
            }
        }
    }
}

/// Has an effect carried out. What panics has perhaps carried it out.
async fn outcome(effect: &dyn Effect, waiting: &WaitingEffect) -> Outcome {
    let call = EffectCall {
        identity: waiting.pending.identity(),
        request: waiting.request.clone(),
        requested_at: waiting.requested_at,
    };
    let carried_out = AssertUnwindSafe(effect.carry_out(call)).catch_unwind().await;
    carried_out.unwrap_or_else(|_| Outcome::Unanswered("the host failed while it carried it out".to_owned()))
}

fn not_offered(name: &str) -> Outcome {
    let detail = format!("the manifest of this host does not name the effect `{name}` any more");
    Outcome::Refused { code: "effect_not_offered".to_owned(), detail }
}

#[cfg(test)]
mod tests {
    use clearfold_kernel::Timestamp;
    use clearfold_store::PendingEffect;

    use super::*;

    fn waiting(number: u64) -> WaitingEffect {
        WaitingEffect {
            id: number,
            pending: PendingEffect { stream: "saga-authorization-a1".to_owned(), number },
            routing_key: "account".to_owned(),
            request: Vec::new(),
            requested_at: Timestamp::default(),
        }
    }

    /// Lets all tasks go on until each waits for something.
    async fn settled() {
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn so_many_outcomes_go_ahead_of_a_writer_and_the_next_ones_keep_their_places() {
        let (outcomes, mut writer) = mpsc::channel(8);
        let (room, untold) = (Arc::new(Semaphore::new(4)), Arc::new(Semaphore::new(2)));
        let mut under_way = JoinSet::new();
        for number in 1..=4 {
            let place = Arc::clone(&room).acquire_owned().await.unwrap();
            let (outcomes, untold) = (outcomes.clone(), Arc::clone(&untold));
            under_way.spawn(work(outcomes, "risk".to_owned(), None, waiting(number), place, untold));
        }
        settled().await;
        assert_eq!((writer.len(), room.available_permits()), (2, 2), "two are told, and two wait for that");
        drop(writer.recv().await);
        settled().await;
        assert_eq!((writer.len(), room.available_permits()), (2, 3), "the writer took one");
        drop(writer.recv().await);
        drop(writer.recv().await);
        drop(writer.recv().await);
        under_way.join_all().await;
        assert_eq!(room.available_permits(), 4);
    }
}
