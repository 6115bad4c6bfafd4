//! Operations on components. The command line and the admin API both call these and nothing else.
//!
//! No decider is activated untested: it first decides recorded commands again in a shadow run. Only a rollback makes
//! none, since its target was in force before, and it must take a moment.

use std::sync::Arc;

use clearfold_kernel::Timestamp;
use serde_json::Value;

use super::{
    ActivationCause, ActiveComponent, ComponentRecord, Deployment, FollowerReport, Handler, NewActivation,
    Registry, RegistryError, fold,
};
use crate::command::Trial;
use crate::integrity::{OnProgress, Shadow, ShadowReport};
use crate::saga::load_deciding;
use clearfold_base::blocking::blocking;
use clearfold_base::digest::Digest;
use clearfold_base::signature::Signers;
use clearfold_sandbox::{ComponentKind, Decides, HandlerEngine, inspect};
use clearfold_store::EventStore;

/// Registry, with the resources that its operations need.
pub struct Operations {
    pub registry: Registry,
    pub store: EventStore,
    pub engine: Arc<HandlerEngine>,
    pub signers: Signers,
}

/// Description of a component that is to be deployed.
#[derive(Debug, Clone)]
pub struct DeployRequest {
    /// Name of its file.
    pub name: String,
    /// Name of the handler, for kinds whose components do not name it themselves.
    pub handler: Option<String>,
    pub source_revision: Option<String>,
    pub by: String,
    pub signature: Option<Vec<u8>>,
}

/// Outcome of a deploy.
#[derive(Debug, Clone)]
pub struct Deployed {
    pub digest: Digest,
    pub handler: Handler,
    /// Component in force for its handler.
    pub in_force: Option<Digest>,
    /// Imports that the component in force does not have.
    pub newly_imports: Vec<String>,
}

/// Choice of a deployed component, and of the handler that it is wanted for.
#[derive(Debug, Clone, Copy)]
pub struct ComponentSelector<'a> {
    /// Beginning of its digest.
    pub digest: &'a str,
    /// Name of the handler, for kinds whose components do not name it themselves. None: the one that it was first
    /// deployed for.
    pub handler: Option<&'a str>,
}

impl<'a> From<&'a String> for ComponentSelector<'a> {
    fn from(digest: &'a String) -> Self {
        Self { digest, handler: None }
    }
}

/// Recorded commands that a shadow run decides again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Window {
    All,
    /// This many of the aggregate's newest commands, over all partitions.
    Last(u64),
    /// Commands accepted since this time.
    Since(Timestamp),
}

/// Conditions of an activation.
#[derive(Debug, Clone)]
pub struct ActivationRequest {
    pub by: String,
    pub window: Window,
    /// Reason why the component may decide otherwise. Without one, a difference refuses the activation.
    pub expect_divergence: Option<String>,
}

/// Findings about a component before it is activated.
#[derive(Debug, Clone)]
pub struct Verified {
    pub record: ComponentRecord,
    pub handler: Handler,
    pub now: ActiveComponent,
    /// None for kinds that decide nothing.
    pub shadow: Option<ShadowReport>,
    /// Sagas that follow a decider's streams, each on every version with open instances; none if they see the same.
    pub followers: Vec<FollowerReport>,
}

impl Verified {
    /// Findings as they are recorded with the activation; none for kinds that decide nothing.
    fn recorded(&self) -> Result<Option<Value>, RegistryError> {
        let Some(shadow) = &self.shadow else { return Ok(None) };
        let mut recorded = serde_json::to_value(shadow)?;
        if let Some(fields) = recorded.as_object_mut().filter(|_| !self.followers.is_empty()) {
            fields.insert("followers".to_owned(), serde_json::to_value(&self.followers)?);
        }
        Ok(Some(recorded))
    }
}

impl Operations {
    /// Deploys a component. Its kind and, for most kinds, its name come from the component itself.
    pub async fn deploy(&self, wasm: &[u8], deploying: &DeployRequest) -> Result<Deployed, RegistryError> {
        are_words("the name of the file", Some(&deploying.name))?;
        are_words("the handler's name", deploying.handler.as_deref())?;
        are_words("the source revision", deploying.source_revision.as_deref())?;
        are_words("the name of the deployer", Some(&deploying.by))?;
        let signed = self.signers.check(&deploying.name, wasm, deploying.signature.as_deref())?;
        let (engine, name, bytes) = (Arc::clone(&self.engine), deploying.name.clone(), wasm.to_vec());
        let found = blocking(move || inspect(&engine, &name, &bytes)).await??;
        let named_outside = || deploying.handler.clone().unwrap_or_else(|| deploying.name.clone());
        let name = found.name.unwrap_or_else(named_outside);
        let handler = Handler { kind: found.kind, name };
        let deployment = Deployment {
            name: deploying.name.clone(),
            handler: handler.clone(),
            wit_version: Some(found.wit_version),
            imports: found.imports.clone(),
            source_revision: deploying.source_revision.clone(),
            deployed_by: deploying.by.clone(),
            signed,
        };
        let digest = self.registry.keep(wasm, &deployment).await?;
        let in_force = match self.now(&handler).await {
            Ok(now) => Some(now.digest),
            Err(RegistryError::NoSuchHandler(_)) => None,
            Err(error) => return Err(error),
        };
        let imported = match in_force {
            Some(in_force) => self.registry.find(&in_force.to_string()).await?.imports,
            None => Vec::new(),
        };
        let newly_imports = found.imports.into_iter().filter(|import| !imported.contains(import)).collect();
        Ok(Deployed { digest, handler, in_force, newly_imports })
    }

    /// Checks that a component could be activated, and finds what it would decide otherwise.
    pub async fn verify(
        &self,
        wanted: impl Into<ComponentSelector<'_>>,
        window: Window,
        on_progress: OnProgress<'_>,
    ) -> Result<Verified, RegistryError> {
        let wanted = wanted.into();
        let record = self.registry.find(wanted.digest).await?;
        let handler = handler_of(&record, wanted)?;
        let now = self.now(&handler).await?;
        let (shadow, followers) = match handler.kind {
            ComponentKind::Decider | ComponentKind::Saga => {
                let tried = self.shadow(&handler, now.digest, record.digest, window, on_progress).await?;
                (Some(tried.0), tried.1)
            }
            // These have no decisions to compare. A projector's tables are built completely before they are read.
            ComponentKind::Translator
            | ComponentKind::Projector
            | ComponentKind::Auditor
            | ComponentKind::Http => {
                self.registry.wasm(record.digest, &self.signers).await?;
                (None, Vec::new())
            }
        };
        Ok(Verified { record, handler, now, shadow, followers })
    }

    /// Activates a component for all accounts.
    pub async fn activate(
        &self,
        wanted: impl Into<ComponentSelector<'_>>,
        activating: &ActivationRequest,
        on_progress: OnProgress<'_>,
    ) -> Result<(u64, Verified), RegistryError> {
        self.put(wanted.into(), ActivationCause::Activate, None, activating, on_progress).await
    }

    /// Starts a canary: activates a decider for a share of the accounts.
    pub async fn canary(
        &self,
        wanted: impl Into<ComponentSelector<'_>>,
        trial: Trial,
        activating: &ActivationRequest,
        on_progress: OnProgress<'_>,
    ) -> Result<(u64, Verified), RegistryError> {
        self.put(wanted.into(), ActivationCause::Canary, Some(trial), activating, on_progress).await
    }

    async fn put(
        &self,
        wanted: ComponentSelector<'_>,
        cause: ActivationCause,
        trial: Option<Trial>,
        activating: &ActivationRequest,
        on_progress: OnProgress<'_>,
    ) -> Result<(u64, Verified), RegistryError> {
        are_words("the reason of the divergence", activating.expect_divergence.as_deref())?;
        are_words("the name of the activator", Some(&activating.by))?;
        let verified = self.verify(wanted, activating.window, on_progress).await?;
        let Verified { record, handler, now, .. } = &verified;
        let handler = handler.clone();
        if trial.is_some() && !handler.kind.decides() {
            return Err(RegistryError::OnlyDeciders(handler));
        }
        if now.digest == record.digest {
            return Err(RegistryError::InForceAlready { handler, digest: record.digest });
        }
        // A reason for another decision is none for parking the instances that cannot take it in.
        let is_meant = activating.expect_divergence.is_some();
        let fails = |follower: &&FollowerReport| follower.failed > 0 || !is_meant && !follower.holds();
        if let Some(follower) = verified.followers.iter().find(fails) {
            return Err(RegistryError::FollowerFails { handler, follower: Box::new(follower.clone()) });
        }
        let diverges = verified.shadow.as_ref().filter(|shadow| !shadow.is_same());
        if let Some(shadow) = diverges.filter(|_| activating.expect_divergence.is_none()) {
            return Err(RegistryError::Diverges { handler, shadow: Box::new(shadow.clone()) });
        }
        let shadow = verified.shadow.as_ref();
        let has_same_states = shadow.is_some_and(|shadow| shadow.is_same() && shadow.has_same_states());
        let family = if has_same_states { now.family } else { Some(record.digest) };
        let new = NewActivation {
            family: family.filter(|_| handler.kind.decides()),
            handler,
            newest: now.newest,
            digest: record.digest,
            cause,
            why: activating.expect_divergence.clone(),
            by: activating.by.clone(),
            trial,
            shadow: verified.recorded()?,
            moved_from: None,
        };
        let activation = self.registry.activate(&new).await?;
        Ok((activation, verified))
    }

    /// Rolls back to the component that was in force before, or to a named earlier one. Without a name, a running
    /// canary is ended instead.
    pub async fn rollback(
        &self,
        handler: &Handler,
        to: Option<&str>,
        why: Option<String>,
        by: String,
    ) -> Result<(u64, Digest), RegistryError> {
        are_words("the reason", why.as_deref())?;
        are_words("the name of the operator", Some(&by))?;
        let now = self.now(handler).await?;
        if now.canary.is_some() && to.is_none() {
            return self
                .record(handler, &now, now.digest, now.family, ActivationCause::CanaryEnd, why, by)
                .await;
        }
        let nothing = || RegistryError::NothingBefore(handler.clone());
        let (digest, family) = match to {
            // A version whose instances were moved away is never in force again.
            None => {
                let before = now.before.iter().rev();
                *before.clone().find(|(digest, _)| !now.moves.contains_key(digest)).ok_or_else(nothing)?
            }
            Some(prefix) => {
                let wanted = self.registry.find(prefix).await?.digest;
                let before = now.before.iter().rev().find(|(digest, _)| *digest == wanted);
                *before.ok_or_else(nothing)?
            }
        };
        if digest == now.digest && now.canary.is_none() {
            return Err(RegistryError::InForceAlready { handler: handler.clone(), digest });
        }
        // A component that no host would load cannot be the target.
        self.registry.wasm(digest, &self.signers).await?;
        self.record(handler, &now, digest, family, ActivationCause::Rollback, why, by).await
    }

    /// Ends a canary, without a verdict.
    pub async fn end_canary(
        &self,
        handler: &Handler,
        why: Option<String>,
        by: String,
    ) -> Result<(u64, Digest), RegistryError> {
        are_words("the reason", why.as_deref())?;
        are_words("the name of the operator", Some(&by))?;
        let now = self.now(handler).await?;
        if now.canary.is_none() {
            return Err(RegistryError::NoCanary(handler.clone()));
        }
        self.record(handler, &now, now.digest, now.family, ActivationCause::CanaryEnd, why, by).await
    }

    /// Pauses a saga: from the next command of each partition on, its instances begin no step.
    pub async fn pause(&self, saga: &str, why: Option<String>, by: String) -> Result<u64, RegistryError> {
        self.set_paused(saga, true, why, by).await
    }

    /// Resumes a paused saga. What waited goes on.
    pub async fn resume(&self, saga: &str, why: Option<String>, by: String) -> Result<u64, RegistryError> {
        self.set_paused(saga, false, why, by).await
    }

    async fn set_paused(
        &self,
        saga: &str,
        is_paused: bool,
        why: Option<String>,
        by: String,
    ) -> Result<u64, RegistryError> {
        are_words("the reason", why.as_deref())?;
        are_words("the name of the operator", Some(&by))?;
        let handler = Handler { kind: ComponentKind::Saga, name: saga.to_owned() };
        let now = self.now(&handler).await?;
        let cause = match (is_paused, now.is_paused) {
            (true, false) => ActivationCause::Pause,
            (false, true) => ActivationCause::Resume,
            (true, true) => return Err(RegistryError::PausedAlready(handler)),
            (false, false) => return Err(RegistryError::NotPaused(handler)),
        };
        Ok(self.record(&handler, &now, now.digest, now.family, cause, why, by).await?.0)
    }

    #[expect(clippy::too_many_arguments, reason = "the columns of one row")]
    async fn record(
        &self,
        handler: &Handler,
        now: &ActiveComponent,
        digest: Digest,
        family: Option<Digest>,
        cause: ActivationCause,
        why: Option<String>,
        by: String,
    ) -> Result<(u64, Digest), RegistryError> {
        let (handler, newest) = (handler.clone(), now.newest);
        let (trial, shadow, moved_from) = (None, None, None);
        let new =
            NewActivation { handler, newest, digest, cause, why, by, family, trial, shadow, moved_from };
        Ok((self.registry.activate(&new).await?, digest))
    }

    /// Returns the component in force for a handler.
    pub async fn now(&self, handler: &Handler) -> Result<ActiveComponent, RegistryError> {
        let activations = self.registry.activations(0).await?;
        fold(&activations).remove(handler).ok_or_else(|| RegistryError::NoSuchHandler(handler.clone()))
    }

    /// Lets the candidate decide the window's commands again, beside the component in force, and finds how the sagas that
    /// follow the streams take in what comes out otherwise.
    async fn shadow(
        &self,
        handler: &Handler,
        in_force: Digest,
        candidate: Digest,
        window: Window,
        on_progress: OnProgress<'_>,
    ) -> Result<(ShadowReport, Vec<FollowerReport>), RegistryError> {
        // The component in force needs no signature here: the lack of one may be why it is replaced.
        let in_force = self.decider(handler.kind, in_force, &Signers::default()).await?;
        let candidate = self.decider(handler.kind, candidate, &self.signers).await?;
        // Deciders that know different events will make different states one day, even if the past shows none.
        let with_states = in_force.state_version() == candidate.state_version()
            && in_force.has_entries() == candidate.has_entries()
            && in_force.events() == candidate.events();
        // A machine that does not tell how many threads it has gets one.
        let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let known = Arc::clone(&in_force);
        let shadow = Shadow {
            store: self.store.clone(),
            in_force: Some(in_force),
            candidate,
            decided_by: None,
            with_states,
            threads,
        };
        let mut report = ShadowReport::default();
        let (partitions, prefix) =
            (self.store.partition_count(), format!("{}-", shadow.candidate.aggregate()));
        for partition in 0..partitions {
            let end = self.store.end(partition).await?.sequence;
            let after = match window {
                Window::All => 0,
                Window::Last(count) => {
                    let count = count.div_ceil(u64::from(partitions));
                    let before = self.store.sequence_before_last(partition, &prefix, count).await?;
                    // None: the partition has no more than that many, so the run begins before its first command.
                    before.unwrap_or(0)
                }
                // Sequences begin at 1, so this is 0 at least: before the first command.
                Window::Since(since) => self.store.sequence_since(partition, since).await? - 1,
            };
            shadow.partition(partition, after, end, &mut report, on_progress).await?;
        }
        if report.commands == 0 && matches!(window, Window::Since(_)) {
            for partition in 0..partitions {
                if self.store.sequence_before_last(partition, &prefix, 0).await?.is_some() {
                    return Err(RegistryError::NothingCompared(handler.clone()));
                }
            }
        }
        let followers = self.followers(handler, &*known, &*shadow.candidate, &report).await?;
        Ok((report, followers))
    }

    async fn decider(
        &self,
        kind: ComponentKind,
        digest: Digest,
        signers: &Signers,
    ) -> Result<Arc<dyn Decides>, RegistryError> {
        let (name, wasm) = self.registry.wasm(digest, signers).await?;
        let engine = Arc::clone(&self.engine);
        Ok(blocking(move || load_deciding(&engine, kind, &name, &wasm)).await??)
    }
}

/// Determines the handler that a component is wanted for.
fn handler_of(record: &ComponentRecord, wanted: ComponentSelector<'_>) -> Result<Handler, RegistryError> {
    match (record.kind, wanted.handler, &record.handler) {
        (kind, Some(name), _) if !kind.facts().names_itself => Ok(Handler { kind, name: name.to_owned() }),
        (_, Some(asked), Some(own)) if asked != own.name => {
            Err(RegistryError::AnothersName { own: own.clone(), asked: asked.to_owned() })
        }
        (_, _, Some(own)) => Ok(own.clone()),
        (_, _, None) => Err(RegistryError::Unknown(wanted.digest.to_owned())),
    }
}

/// Refuses a text that people cannot read or the database cannot store. Without a text there is nothing to refuse.
pub(super) fn are_words(what: &'static str, text: Option<&str>) -> Result<(), RegistryError> {
    match text {
        Some(text) if text.trim().is_empty() || text.chars().any(char::is_control) => {
            Err(RegistryError::NoText { what })
        }
        _ => Ok(()),
    }
}
