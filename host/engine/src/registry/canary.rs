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
use clearfold_base::database::{DatabaseError, partition_index};
use clearfold_base::tasks::{Driver, Next, Retry, StepFailure, Task};
use clearfold_base::telemetry::with_causes;
use clearfold_sandbox::ComponentKind;
use clearfold_store::EventStore;

/// Time between two looks at the newly recorded commands.
const LOOK: Duration = Duration::from_millis(500);
/// Longest pause after a failure.
const LONGEST_PAUSE: Duration = Duration::from_secs(8);

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
        let mut unwatched = Vec::new();
        for (aggregate, in_force) in now.in_force() {
            let Some(canary) = &in_force.canary else { continue };
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
        Retry { least: LOOK, longest: LONGEST_PAUSE }
    }

    fn failure(&self, _: &Unwatched) -> StepFailure {
        StepFailure::error("a canary cannot be watched; trying again")
    }
}

impl CanaryWatch {
    /// Looks at one canary, and takes it out if it must go.
    async fn watch(
        &mut self,
        aggregate: &str,
        in_force: &AggregateDeciders,
        canary: &Canary,
    ) -> Result<(), RegistryError> {
        match look(&self.registry, &self.store, in_force, canary, &mut self.trying).await? {
            Some(why) => take_out(&self.registry, aggregate, canary, why).await,
            None => Ok(()),
        }
    }
}

/// Looks at what the canary did since the last look. Returns the reason if it must go.
async fn look(
    registry: &Registry,
    store: &EventStore,
    in_force: &AggregateDeciders,
    canary: &Canary,
    trying: &mut BTreeMap<u64, Trying>,
) -> Result<Option<String>, RegistryError> {
    let partitions = partition_index(store.partition_count());
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
    if faults > canary.trial.max_faults {
        return Ok(Some(format!("it failed on {faults} commands, and {} may fail", canary.trial.max_faults)));
    }
    trying.begin(registry, canary.since).await?;
    trying.compare(store, in_force, canary).await?;
    Ok(trying.too_different(canary))
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
            in_force: Arc::clone(&canary.running.decider),
            candidate: Arc::clone(&in_force.stable.decider),
            decided_by: Some(canary.running.digest()),
            with_states: false,
            threads: 1,
        };
        for (partition, seen) in (0..).zip(&mut self.seen) {
            let Some(seen) = seen else { continue };
            let end = store.end(partition).await?.sequence;
            if end > *seen {
                // Differences that are found before the database fails are found again at the next look, so they are
                // counted when the whole partition was read.
                let mut report = self.report.clone();
                shadow.partition(partition, *seen, end, &mut report, &|_| ()).await?;
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
    let handler = Handler { kind: ComponentKind::Decider, name: aggregate.to_owned() };
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
    };
    match registry.activate(&new).await {
        // Another host or an operator changed the handler first; the next look sees the change.
        Ok(_) | Err(RegistryError::ChangedMeanwhile { .. }) => Ok(()),
        Err(error) => Err(error),
    }
}
