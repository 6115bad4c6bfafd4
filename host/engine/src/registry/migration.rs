//! Migration of a saga's instances to the version in force: all that another version decides, by one activation
//! (ADR 0026). Before it, the version in force decides their recorded inputs again, and is asked what comes up next in
//! each that is open.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::StreamExt;
use serde::{Serialize, Serializer};

use super::operations::are_words;
use super::{ActivationCause, ActiveComponent, Handler, NewActivation, Operations, RegistryError};
use crate::integrity::{OnProgress, Shadow, ShadowReport, next_stream};
use crate::saga::{OpenInstance, SagaDecider, Trial, TrialReport, began_on};
use clearfold_base::blocking::blocking;
use clearfold_base::clock::Clock;
use clearfold_base::digest::Digest;
use clearfold_base::signature::Signers;
use clearfold_base::telemetry::with_causes;
use clearfold_sandbox::{ComponentKind, Decides, Saga};
use clearfold_store::StoredEvent;

/// Number of open instances that are tried at once.
const CHUNK: usize = 1_000;

/// Instances to be moved, and the conditions.
#[derive(Debug, Clone)]
pub struct MigrationRequest {
    /// Name of the saga.
    pub saga: String,
    /// Beginning of the digest of the version that decides them.
    pub from: String,
    pub by: String,
    /// Reason why the version in force may decide otherwise. Without one, a difference refuses the migration.
    pub expect_divergence: Option<String>,
}

/// Findings about a migration.
#[derive(Debug, Clone, Serialize)]
pub struct MigrationReport {
    #[serde(serialize_with = "as_text")]
    pub from: Digest,
    /// Version in force.
    #[serde(serialize_with = "as_text")]
    pub to: Digest,
    /// Recorded inputs, decided again.
    pub shadow: ShadowReport,
    /// Instances, as they are now.
    pub trial: TrialReport,
}

fn as_text<S: Serializer>(digest: &Digest, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(digest)
}

/// Migration that is being checked.
struct Checked {
    handler: Handler,
    now: ActiveComponent,
    from: Digest,
    /// Version that decides them now; none if it cannot be loaded, as it need not be.
    before: Option<Arc<Saga>>,
    to: Arc<Saga>,
    /// Versions on which the instances began.
    began_on: Vec<Digest>,
}

impl Operations {
    /// Moves all instances that a version decides to the version in force, and returns the activation's number.
    pub async fn migrate(
        &self,
        request: &MigrationRequest,
        on_progress: OnProgress<'_>,
    ) -> Result<(u64, MigrationReport), RegistryError> {
        are_words("the reason of the divergence", request.expect_divergence.as_deref())?;
        are_words("the name of the operator", Some(&request.by))?;
        let checked = self.checked(&request.saga, &request.from).await?;
        let report = self.report(&checked, on_progress).await?;
        let Checked { handler, now, .. } = checked;
        if report.trial.instances == 0 {
            return Err(RegistryError::NoInstances { handler, digest: report.from });
        }
        // A failure is no other decision: the instance would be parked.
        if report.trial.stuck > 0 || report.shadow.faults > 0 {
            return Err(RegistryError::CannotMove { handler, report: Box::new(report) });
        }
        if !report.shadow.is_same() && request.expect_divergence.is_none() {
            return Err(RegistryError::Diverges { handler, shadow: Box::new(report.shadow) });
        }
        let new = NewActivation {
            handler,
            newest: now.newest,
            digest: report.to,
            cause: ActivationCause::Migrate,
            why: request.expect_divergence.clone(),
            by: request.by.clone(),
            family: now.family,
            trial: None,
            shadow: Some(serde_json::to_value(&report)?),
            moved_from: Some(report.from),
        };
        Ok((self.registry.activate(&new).await?, report))
    }

    /// Finds what a migration would do, and changes nothing.
    pub async fn verify_migration(
        &self,
        saga: &str,
        from: &str,
        on_progress: OnProgress<'_>,
    ) -> Result<MigrationReport, RegistryError> {
        let checked = self.checked(saga, from).await?;
        self.report(&checked, on_progress).await
    }

    async fn checked(&self, saga: &str, from: &str) -> Result<Checked, RegistryError> {
        let handler = Handler { kind: ComponentKind::Saga, name: saga.to_owned() };
        let now = self.now(&handler).await?;
        let record = self.registry.find(from).await?;
        if let Some(own) = record.handler.filter(|own| *own != handler) {
            return Err(RegistryError::AnothersName { own, asked: saga.to_owned() });
        }
        if record.digest == now.digest {
            return Err(RegistryError::InForceAlready { handler, digest: record.digest });
        }
        if now.canary.is_some() {
            return Err(RegistryError::HasCanary(handler));
        }
        if now.moves.contains_key(&record.digest) {
            return Err(RegistryError::MovedAway { handler, digest: record.digest });
        }
        let began_on = now.decided_by(record.digest);
        // The version that is left needs no signature here, nor to be loaded: either may be why it is left.
        let from = record.digest;
        let before = self.saga(from, &Signers::default()).await;
        let before = before.inspect_err(|error| {
            tracing::warn!(error = with_causes(error), %from, "the version that is left cannot be loaded");
        });
        let to = self.saga(now.digest, &self.signers).await?;
        Ok(Checked { handler, now, from, before: before.ok(), to, began_on })
    }

    async fn report(
        &self,
        checked: &Checked,
        on_progress: OnProgress<'_>,
    ) -> Result<MigrationReport, RegistryError> {
        let shadow = self.inputs_again(checked, on_progress).await?;
        let trial = self.try_instances(checked).await?;
        Ok(MigrationReport { from: checked.from, to: checked.to.id().digest, shadow, trial })
    }

    /// Lets the version in force decide the recorded inputs of the instances again, and compares with what is recorded.
    async fn inputs_again(
        &self,
        checked: &Checked,
        on_progress: OnProgress<'_>,
    ) -> Result<ShadowReport, RegistryError> {
        let candidate: Arc<dyn Decides> = Arc::new(SagaDecider::new(Arc::clone(&checked.to) as _));
        let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let mut report = ShadowReport::default();
        for began_on in &checked.began_on {
            let shadow = Shadow {
                store: self.store.clone(),
                in_force: None,
                candidate: Arc::clone(&candidate),
                decided_by: Some(*began_on),
                with_states: false,
                threads,
            };
            for partition in 0..self.store.partition_count() {
                let end = self.store.end(partition).await?.sequence;
                shadow.partition(partition, 0, end, &mut report, on_progress).await?;
            }
        }
        Ok(report)
    }

    /// Asks the version in force what comes up next in each open instance.
    async fn try_instances(&self, checked: &Checked) -> Result<TrialReport, RegistryError> {
        let prefix = format!("{}-", checked.handler.aggregate());
        let mut report = TrialReport::default();
        for partition in 0..self.store.partition_count() {
            let mut events = std::pin::pin!(self.store.events_by_stream(partition, &prefix)?.peekable());
            let mut open = Vec::new();
            while let Some(events) = next_stream(events.as_mut()).await? {
                open.extend(checked.open_instance(&prefix, &events, &mut report)?);
                if open.len() >= CHUNK {
                    report = self.try_chunk(checked, std::mem::take(&mut open), report).await?;
                }
            }
            report = self.try_chunk(checked, open, report).await?;
        }
        Ok(report)
    }

    async fn try_chunk(
        &self,
        checked: &Checked,
        mut open: Vec<OpenInstance>,
        mut report: TrialReport,
    ) -> Result<TrialReport, RegistryError> {
        let streams: Vec<String> = open.iter().map(|instance| instance.stream.clone()).collect();
        let heads: BTreeMap<_, _> = self.store.stream_heads(&streams).await?;
        for instance in &mut open {
            if let Some(head) = heads.get(&instance.stream) {
                instance.routing_key.clone_from(&head.routing_key);
            }
        }
        let before = checked.before.clone().map(|before| before as _);
        let other = Arc::clone(&checked.to) as _;
        let trial = Trial { before, other, now: Clock::system().now() };
        Ok(blocking(move || {
            trial.run(open, &mut report);
            report
        })
        .await?)
    }

    pub(super) async fn saga(&self, digest: Digest, signers: &Signers) -> Result<Arc<Saga>, RegistryError> {
        let (name, wasm) = self.registry.wasm(digest, signers).await?;
        let engine = Arc::clone(&self.engine);
        Ok(Arc::new(blocking(move || Saga::load(&engine, &name, &wasm)).await??))
    }
}

impl Checked {
    /// Counts an instance that would be moved, and returns it if it is open.
    fn open_instance(
        &self,
        prefix: &str,
        events: &[StoredEvent],
        report: &mut TrialReport,
    ) -> Result<Option<OpenInstance>, RegistryError> {
        let is_moved = began_on(events).is_some_and(|version| self.began_on.contains(&version));
        let Some(first) = events.first().filter(|_| is_moved) else {
            return Ok(None);
        };
        report.instances += 1;
        let id = first.stream.strip_prefix(prefix).unwrap_or_default();
        OpenInstance::fold(&first.stream, id, events).map_err(RegistryError::Unreadable)
    }
}
