//! Watches each canary, and takes it out when it fails or diverges too often.
//!
//! A divergence is found afterwards, in what the canary recorded: the decider in force decides the same commands again.
//! So the trial costs the payments nothing, and a difference is noticed about a second later.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use super::{ActivationCause, Handler, NewActivation, Registry, RegistryError, fold};
use crate::command::{ActiveDecider, AggregateDeciders, Canary, LiveDeciders};
use crate::integrity::{Shadow, ShadowReport};
use clearfold_base::database::{DatabaseError, partition_index, with_time_out, within};
use clearfold_base::tasks::{Driver, Next, Retry, StepFailure, Task};
use clearfold_base::telemetry::with_causes;
use clearfold_store::EventStore;

/// Time between two looks at the newly recorded commands.
const LOOK: Duration = Duration::from_millis(500);
/// Pauses after a failure. With their random part they stay below the listener's patience with a canary that fails, a
/// few seconds: a failure of one look must not keep the other canaries in force.
const LOOK_AGAIN: Retry = Retry { least: LOOK, longest: LOOK };
/// Longest time for comparing what one partition recorded since the last look, which is many pages after an outage.
const COMPARE_TIME_OUT: Duration = Duration::from_secs(300);

/// Observations of one canary so far.
struct Trying {
    /// Last command looked at, by partition; `None` where the canary is not in force yet.
    seen: Vec<Option<u64>>,
    running: Arc<ActiveDecider>,
    /// Its failures up to the last look.
    faults: u64,
    /// Its failures in an earlier trial.
    faults_before: u64,
    report: ShadowReport,
}

/// Canaries that could not be watched, each with the error.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Unwatched(String);

struct CanaryWatch {
    registry: Registry,
    store: EventStore,
    deciders: LiveDeciders,
    /// By the activation of the canary.
    trying: BTreeMap<u64, Trying>,
}

/// Watches the canaries until it is told to stop.
pub async fn watch_canaries(registry: Registry, store: EventStore, deciders: LiveDeciders, driver: Driver) {
    let mut watch = CanaryWatch { registry, store, deciders, trying: BTreeMap::new() };
    driver.run("canary watch", &mut watch).await;
}

impl Task for CanaryWatch {
    type Output = Infallible;
    type Error = Unwatched;

    async fn step(&mut self) -> Result<Next, Unwatched> {
        let now = Arc::clone(&self.deciders.borrow());
        let canaries = || {
            let each = now.in_force().iter();
            each.filter_map(|(aggregate, in_force)| Some((aggregate, in_force, in_force.canary.as_ref()?)))
        };
        let partitions = partition_index(self.store.partition_count());
        // The faults of all are counted before the database is asked for anything, so that no canary that fails waits
        // for another one's comparison.
        let mut failing = Vec::new();
        for (aggregate, _, canary) in canaries() {
            if let Some(why) = count_faults(&mut self.trying, canary, partitions) {
                failing.push((aggregate, canary, why));
            }
        }
        let mut unwatched = Vec::new();
        let failing_since: Vec<u64> = failing.iter().map(|(_, canary, _)| canary.since).collect();
        for (aggregate, canary, why) in failing {
            if let Err(error) = with_time_out(take_out(&self.registry, aggregate, canary, why)).await {
                unwatched.push(format!("{aggregate}: {}", with_causes(&error)));
            }
        }
        for (aggregate, in_force, canary) in canaries() {
            if failing_since.contains(&canary.since) {
                continue;
            }
            if let Err(error) = self.watch(aggregate, in_force, canary).await {
                unwatched.push(format!("{aggregate}: {}", with_causes(&error)));
            }
        }
        self.trying.retain(|since, _| {
            let canaries = now.in_force().values().filter_map(|in_force| in_force.canary.as_ref());
            canaries.map(|canary| canary.since).any(|other| other == *since)
        });
        if unwatched.is_empty() { Ok(Next::WaitFor(LOOK)) } else { Err(Unwatched(unwatched.join("; "))) }
    }

    fn retry(&self) -> Retry {
        LOOK_AGAIN
    }

    fn failure(&self, _: &Unwatched) -> StepFailure {
        StepFailure::error("a canary cannot be watched; trying again")
    }
}

impl CanaryWatch {
    /// Looks at what one canary recorded, and takes it out if it decides otherwise too often.
    async fn watch(
        &mut self,
        aggregate: &str,
        in_force: &AggregateDeciders,
        canary: &Canary,
    ) -> Result<(), RegistryError> {
        let Some(trying) = self.trying.get_mut(&canary.since) else { return Ok(()) };
        with_time_out(trying.begin(&self.registry, canary.since)).await?;
        trying.compare(&self.store, in_force, canary).await?;
        match trying.too_different(canary) {
            Some(why) => with_time_out(take_out(&self.registry, aggregate, canary, why)).await,
            None => Ok(()),
        }
    }
}

/// Counts the faults of a canary since its trial began, without asking the database. Returns the reason if it must go.
fn count_faults(trying: &mut BTreeMap<u64, Trying>, canary: &Canary, partitions: usize) -> Option<String> {
    // The same component may have been tried on fewer accounts before; if it was not, it has no failure before.
    let trial_before = trying.values().filter(|other| Arc::ptr_eq(&other.running, &canary.running));
    let faults_before = trial_before.map(|before| before.faults).max().unwrap_or(0);
    let trying = trying.entry(canary.since).or_insert_with(|| Trying {
        seen: vec![None; partitions],
        running: Arc::clone(&canary.running),
        faults: faults_before,
        faults_before,
        report: ShadowReport::default(),
    });
    trying.faults = canary.running.faults();
    // The counter of one component only grows, so it is never below what it was before.
    let faults = trying.faults.saturating_sub(trying.faults_before);
    let max = canary.trial.max_faults;
    (faults > max).then(|| format!("it failed on {faults} commands, and {max} may fail"))
}

impl Trying {
    /// Notes where the canary has come into force since the last look.
    async fn begin(&mut self, registry: &Registry, since: u64) -> Result<(), RegistryError> {
        for point in registry.points_of(since).await? {
            let seen = self.seen.get_mut(partition_index(point.partition)).ok_or_else(|| {
                let partition = point.partition;
                DatabaseError::Corrupt(format!(
                    "activation {since} in partition {partition}, which is not there"
                ))
            })?;
            seen.get_or_insert(point.after_sequence);
        }
        Ok(())
    }

    /// Compares what the canary recorded with what the decider in force would have decided.
    async fn compare(
        &mut self,
        store: &EventStore,
        in_force: &AggregateDeciders,
        canary: &Canary,
    ) -> Result<(), RegistryError> {
        let shadow = Shadow {
            store: store.clone(),
            in_force: Some(Arc::clone(&canary.running.decider)),
            candidate: Arc::clone(&in_force.stable.decider),
            decided_by: Some(canary.running.digest()),
            with_states: false,
            threads: 1,
        };
        for (partition, seen) in (0..).zip(&mut self.seen) {
            let Some(seen) = seen else { continue };
            let end = with_time_out(store.end(partition)).await?.sequence;
            if end > *seen {
                // Differences that are found before the database fails are found again at the next look, so they are
                // counted when the whole partition was read.
                let mut report = self.report.clone();
                let compared = shadow.partition(partition, *seen, end, &mut report, &|_| ());
                within(COMPARE_TIME_OUT, async { Ok::<_, RegistryError>(compared.await?) }).await?;
                (self.report, *seen) = (report, end);
            }
        }
        Ok(())
    }

    /// Returns the reason if the canary has diverged more often than it may.
    fn too_different(&self, canary: &Canary) -> Option<String> {
        let (different, decided) = (self.report.different, self.report.commands);
        let max = canary.trial.max_differences;
        if different <= max {
            return None;
        }
        let first = self.report.divergences.first().map(|first| {
            format!(
                "; first {} on {} (command {} of partition {}), payload {}: in force: {}; canary: {}",
                first.kind,
                first.stream,
                first.sequence,
                first.partition,
                first.command,
                first.candidate,
                first.in_force
            )
        });
        let first = first.unwrap_or_default();
        Some(format!("it decided {different} of {decided} commands otherwise, and {max} may differ{first}"))
    }
}

/// Ends the trial, unless the handler was changed in between.
async fn take_out(
    registry: &Registry,
    aggregate: &str,
    canary: &Canary,
    why: String,
) -> Result<(), RegistryError> {
    let handler = Handler::deciding(aggregate);
    let activations = registry.activations(0).await?;
    let Some(now) = fold(&activations).remove(&handler) else { return Ok(()) };
    if now.canary.as_ref().is_none_or(|tried| tried.since != canary.since) {
        return Ok(());
    }
    tracing::warn!(%handler, digest = %canary.running.digest(), why, "the canary is taken out");
    let new = NewActivation {
        handler,
        newest: now.newest,
        digest: now.digest,
        cause: ActivationCause::AutomaticRollback,
        why: Some(why),
        by: "host".to_owned(),
        family: now.family,
        trial: None,
        shadow: None,
        moved_from: None,
    };
    match registry.activate(&new).await {
        // Another host or an operator changed the handler first; the next look sees the change.
        Ok(_) | Err(RegistryError::ChangedMeanwhile { .. }) => Ok(()),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_look_is_followed_by_another_one_within_the_listeners_patience() {
        // The random part of a pause is at most as long as the pause.
        assert!(2 * LOOK_AGAIN.longest <= Duration::from_secs(1));
    }
}
