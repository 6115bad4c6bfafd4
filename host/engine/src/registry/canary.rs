//! Watches what is tried on some accounts, and takes it out by itself when it fails or decides otherwise too often.
//!
//! That it decides otherwise is found afterwards, in what it recorded: the decider in force decides the same commands
//! again. So the trial costs the payments nothing, and a difference is noticed about a second later.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::{ActivationCause, Handler, NewActivation, Registry, RegistryError, fold};
use crate::command::{Canary, InForce, LiveDeciders, Running};
use crate::integrity::{Shadow, ShadowReport};
use clearfold_base::telemetry::with_causes;
use clearfold_sandbox::ComponentKind;
use clearfold_store::EventStore;

/// How often what was recorded meanwhile is looked at.
const LOOK_MS: u64 = 500;

/// What one canary has shown so far.
struct Trying {
    /// The commands that were looked at, by partition.
    seen: Vec<u64>,
    running: Arc<Running>,
    /// How often it had failed when it was last looked at, and in a trial before this one.
    faults: u64,
    faults_before: u64,
    report: ShadowReport,
}

/// Watches until it is told to stop.
pub async fn watch_canaries(
    registry: Registry,
    store: EventStore,
    deciders: LiveDeciders,
    stop: CancellationToken,
) {
    let mut trying = BTreeMap::<u64, Trying>::new();
    loop {
        tokio::select! {
            () = tokio::time::sleep(Duration::from_millis(LOOK_MS)) => {}
            () = stop.cancelled() => return,
        }
        let now = Arc::clone(&deciders.borrow());
        for (aggregate, in_force) in now.in_force() {
            let Some(canary) = &in_force.canary else { continue };
            let looked = look(&registry, &store, in_force, canary, &mut trying).await;
            let ended = match looked {
                Ok(Some(why)) => take_out(&registry, aggregate, canary, why).await,
                Ok(None) => Ok(()),
                Err(error) => Err(error),
            };
            if let Err(error) = ended {
                tracing::error!(aggregate, error = %with_causes(&error), "a canary cannot be watched");
            }
        }
        trying.retain(|since, _| {
            let canaries = now.in_force().values().filter_map(|in_force| in_force.canary.as_ref());
            canaries.map(|canary| canary.since).any(|other| other == *since)
        });
    }
}

/// Looks at what the canary did since the last look. The answer: why it must go.
async fn look(
    registry: &Registry,
    store: &EventStore,
    in_force: &InForce,
    canary: &Canary,
    trying: &mut BTreeMap<u64, Trying>,
) -> Result<Option<String>, RegistryError> {
    let partitions = usize::try_from(store.partition_count()).unwrap_or(0);
    // The same one may have been tried on fewer accounts before.
    let trial_before = trying.values().filter(|other| Arc::ptr_eq(&other.running, &canary.running));
    let faults_before = trial_before.map(|before| before.faults).max().unwrap_or(0);
    let trying = trying.entry(canary.since).or_insert_with(|| Trying {
        seen: vec![u64::MAX; partitions],
        running: Arc::clone(&canary.running),
        faults: faults_before,
        faults_before,
        report: ShadowReport::default(),
    });
    trying.faults = canary.running.faults();
    let faults = trying.faults.saturating_sub(trying.faults_before);
    if faults > canary.trial.max_faults {
        return Ok(Some(format!("it failed on {faults} commands, and {} may fail", canary.trial.max_faults)));
    }
    for point in registry.points_of(canary.since).await? {
        let place = usize::try_from(point.partition).ok().and_then(|place| trying.seen.get_mut(place));
        if let Some(seen) = place.filter(|seen| **seen == u64::MAX) {
            *seen = point.after_sequence;
        }
    }
    // What the canary recorded is held against what the one in force would have said.
    let shadow = Shadow {
        store: store.clone(),
        in_force: Arc::clone(&canary.running.decider),
        candidate: Arc::clone(&in_force.stable.decider),
        decided_by: Some(canary.running.digest()),
        with_states: false,
        threads: 1,
    };
    for (partition, seen) in (0..).zip(&mut trying.seen).filter(|(_, seen)| **seen < u64::MAX) {
        let end = store.end(partition).await?.sequence;
        if end > *seen {
            // What is found before the database fails is found again at the next look, and counts once.
            let mut report = trying.report.clone();
            shadow.partition(partition, *seen, end, &mut report, &|_| ()).await?;
            (trying.report, *seen) = (report, end);
        }
    }
    let different = trying.report.different;
    if different <= canary.trial.max_differences {
        return Ok(None);
    }
    let first = trying.report.divergences.first().map(|first| {
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
    let (decided, max) = (trying.report.commands, canary.trial.max_differences);
    let first = first.unwrap_or_default();
    Ok(Some(format!("it decided {different} of {decided} commands otherwise, and {max} may differ{first}")))
}

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
        // Somebody else was quicker; what they did is looked at next time.
        Ok(_) | Err(RegistryError::ChangedMeanwhile { .. }) => Ok(()),
        Err(error) => Err(error),
    }
}
