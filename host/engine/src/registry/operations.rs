//! What people and programs may do with components: the command line and the admin API both call these, and nothing else.
//!
//! Nothing is put in force unseen: what would decide runs first over what was decided. Only a rollback does not, since what
//! it goes back to was in force before, and it must take a moment.

use std::sync::Arc;

use clearfold_kernel::Timestamp;

use super::{
    ActivationCause, ActiveComponent, ComponentRecord, Deployment, Handler, NewActivation, Registry,
    RegistryError, fold,
};
use crate::command::Trial;
use crate::integrity::{OnProgress, Shadow, ShadowReport};
use clearfold_base::digest::Digest;
use clearfold_base::signature::Signers;
use clearfold_sandbox::{ComponentKind, Decider, HandlerEngine, inspect};
use clearfold_store::EventStore;

/// The registry, with what its operations need.
pub struct Operations {
    pub registry: Registry,
    pub store: EventStore,
    pub engine: Arc<HandlerEngine>,
    pub signers: Signers,
}

/// A component that is to be deployed.
#[derive(Debug, Clone)]
pub struct DeployRequest {
    /// Its file's name.
    pub name: String,
    /// The handler's name, for kinds that do not say it themselves.
    pub handler: Option<String>,
    pub source_revision: Option<String>,
    pub by: String,
    pub signature: Option<Vec<u8>>,
}

/// A component that is in the registry now.
#[derive(Debug, Clone)]
pub struct Deployed {
    pub digest: Digest,
    pub handler: Handler,
    /// What is in force for its handler, and what it imports that this does not.
    pub in_force: Option<Digest>,
    pub newly_imports: Vec<String>,
}

/// A component that was deployed, and what it is wanted for.
#[derive(Debug, Clone, Copy)]
pub struct ComponentSelector<'a> {
    /// The beginning of its digest.
    pub digest: &'a str,
    /// The handler's name, of a kind that does not say it itself. None: the one that it was first deployed for.
    pub handler: Option<&'a str>,
}

impl<'a> From<&'a String> for ComponentSelector<'a> {
    fn from(digest: &'a String) -> Self {
        Self { digest, handler: None }
    }
}

/// How much of the past a shadow run goes over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Window {
    All,
    /// The aggregate's newest commands, so many over all partitions.
    Last(u64),
    /// The commands since then.
    Since(Timestamp),
}

/// How something is put in force.
#[derive(Debug, Clone)]
pub struct ActivationRequest {
    pub by: String,
    pub window: Window,
    /// Why it is right that it decides otherwise.
    pub expect_divergence: Option<String>,
}

/// What was found before a component is put in force.
#[derive(Debug, Clone)]
pub struct Verified {
    pub record: ComponentRecord,
    pub handler: Handler,
    pub now: ActiveComponent,
    /// None of a kind that decides nothing.
    pub shadow: Option<ShadowReport>,
}

impl Operations {
    /// Takes a component in. What it is, it says itself.
    pub async fn deploy(&self, wasm: &[u8], deploying: &DeployRequest) -> Result<Deployed, RegistryError> {
        are_words("the name of the file", Some(&deploying.name))?;
        are_words("the handler's name", deploying.handler.as_deref())?;
        are_words("the source revision", deploying.source_revision.as_deref())?;
        are_words("the name of who deploys", Some(&deploying.by))?;
        let signed = self.signers.check(&deploying.name, wasm, deploying.signature.as_deref())?;
        let (engine, name, bytes) = (Arc::clone(&self.engine), deploying.name.clone(), wasm.to_vec());
        let found = busy(move || inspect(&engine, &name, &bytes)).await??;
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

    /// Finds out whether a component could be put in force, and what it would decide otherwise.
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
        let shadow = match handler.kind {
            ComponentKind::Decider => {
                Some(self.shadow(&handler, now.digest, record.digest, window, on_progress).await?)
            }
            // What does not decide is admitted by its world: a projector is built beside before it is read.
            ComponentKind::Translator
            | ComponentKind::Projector
            | ComponentKind::Auditor
            | ComponentKind::Http => {
                self.registry.wasm(record.digest, &self.signers).await?;
                None
            }
        };
        Ok(Verified { record, handler, now, shadow })
    }

    /// Puts a component in force for all accounts.
    pub async fn activate(
        &self,
        wanted: impl Into<ComponentSelector<'_>>,
        activating: &ActivationRequest,
        on_progress: OnProgress<'_>,
    ) -> Result<(u64, Verified), RegistryError> {
        self.put(wanted.into(), ActivationCause::Activate, None, activating, on_progress).await
    }

    /// Tries a decider on some accounts.
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
        are_words("why it may decide otherwise", activating.expect_divergence.as_deref())?;
        are_words("the name of who activates", Some(&activating.by))?;
        let verified = self.verify(wanted, activating.window, on_progress).await?;
        let Verified { record, handler, now, .. } = &verified;
        let handler = handler.clone();
        if trial.is_some() && handler.kind != ComponentKind::Decider {
            return Err(RegistryError::OnlyDeciders(handler));
        }
        if now.digest == record.digest {
            return Err(RegistryError::InForceAlready { handler, digest: record.digest });
        }
        let diverges = verified.shadow.as_ref().filter(|shadow| !shadow.is_same());
        if let Some(shadow) = diverges.filter(|_| activating.expect_divergence.is_none()) {
            return Err(RegistryError::Diverges { handler, shadow: Box::new(shadow.clone()) });
        }
        let shadow = verified.shadow.as_ref();
        let has_same_states = shadow.is_some_and(|shadow| shadow.is_same() && shadow.has_same_states());
        let family = if has_same_states { now.family } else { Some(record.digest) };
        let new = NewActivation {
            family: family.filter(|_| handler.kind == ComponentKind::Decider),
            handler,
            newest: now.newest,
            digest: record.digest,
            cause,
            why: activating.expect_divergence.clone(),
            by: activating.by.clone(),
            trial,
            shadow: verified.shadow.as_ref().and_then(|shadow| serde_json::to_value(shadow).ok()),
        };
        let activation = self.registry.activate(&new).await?;
        Ok((activation, verified))
    }

    /// Goes back: to what was in force before, or to a component that once was. What is tried goes first.
    pub async fn rollback(
        &self,
        handler: &Handler,
        to: Option<&str>,
        why: Option<String>,
        by: String,
    ) -> Result<(u64, Digest), RegistryError> {
        are_words("why", why.as_deref())?;
        are_words("the name of who does it", Some(&by))?;
        let now = self.now(handler).await?;
        if now.canary.is_some() && to.is_none() {
            return self
                .record(handler, &now, now.digest, now.family, ActivationCause::CanaryEnd, why, by)
                .await;
        }
        let nothing = || RegistryError::NothingBefore(handler.clone());
        let (digest, family) = match to {
            None => *now.before.last().ok_or_else(nothing)?,
            Some(prefix) => {
                let wanted = self.registry.find(prefix).await?.digest;
                let before = now.before.iter().rev().find(|(digest, _)| *digest == wanted);
                *before.ok_or_else(nothing)?
            }
        };
        if digest == now.digest && now.canary.is_none() {
            return Err(RegistryError::InForceAlready { handler: handler.clone(), digest });
        }
        // What no host would load is no way back.
        self.registry.wasm(digest, &self.signers).await?;
        self.record(handler, &now, digest, family, ActivationCause::Rollback, why, by).await
    }

    /// Ends a trial, without a verdict.
    pub async fn end_canary(
        &self,
        handler: &Handler,
        why: Option<String>,
        by: String,
    ) -> Result<(u64, Digest), RegistryError> {
        are_words("why", why.as_deref())?;
        are_words("the name of who does it", Some(&by))?;
        let now = self.now(handler).await?;
        if now.canary.is_none() {
            return Err(RegistryError::NoCanary(handler.clone()));
        }
        self.record(handler, &now, now.digest, now.family, ActivationCause::CanaryEnd, why, by).await
    }

    #[expect(clippy::too_many_arguments, reason = "one row")]
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
        let new =
            NewActivation { handler, newest, digest, cause, why, by, family, trial: None, shadow: None };
        Ok((self.registry.activate(&new).await?, digest))
    }

    /// What is in force for a handler.
    pub async fn now(&self, handler: &Handler) -> Result<ActiveComponent, RegistryError> {
        let activations = self.registry.activations(0).await?;
        fold(&activations).remove(handler).ok_or_else(|| RegistryError::NoSuchHandler(handler.clone()))
    }

    async fn shadow(
        &self,
        handler: &Handler,
        in_force: Digest,
        candidate: Digest,
        window: Window,
        on_progress: OnProgress<'_>,
    ) -> Result<ShadowReport, RegistryError> {
        // What is in force here need not be vouched for: it may be what is to be replaced for want of a signature.
        let in_force = self.decider(in_force, &Signers::default()).await?;
        let candidate = self.decider(candidate, &self.signers).await?;
        // Who knows other events makes states of them that the other one never makes, whatever the past says.
        let with_states = in_force.state_version() == candidate.state_version()
            && in_force.has_entries() == candidate.has_entries()
            && in_force.knows_the_events_of(&candidate);
        let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let shadow =
            Shadow { store: self.store.clone(), in_force, candidate, decided_by: None, with_states, threads };
        let mut report = ShadowReport::default();
        let (partitions, prefix) = (self.store.partition_count(), format!("{}-", handler.name));
        for partition in 0..partitions {
            let end = self.store.end(partition).await?.sequence;
            let after = match window {
                Window::All => 0,
                Window::Last(count) => {
                    let count = count.div_ceil(u64::from(partitions));
                    self.store.sequence_before_last(partition, &prefix, count).await?.unwrap_or(0)
                }
                Window::Since(since) => self.store.sequence_since(partition, since).await?.saturating_sub(1),
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
        Ok(report)
    }

    async fn decider(&self, digest: Digest, signers: &Signers) -> Result<Arc<Decider>, RegistryError> {
        let (name, wasm) = self.registry.wasm(digest, signers).await?;
        let engine = Arc::clone(&self.engine);
        Ok(Arc::new(busy(move || Decider::load(&engine, &name, &wasm)).await??))
    }
}

/// Does what takes long on a thread that may be busy.
async fn busy<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, RegistryError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| clearfold_base::database::DatabaseError::Corrupt(error.to_string()).into())
}

/// For which handler a component is wanted.
fn handler_of(record: &ComponentRecord, wanted: ComponentSelector<'_>) -> Result<Handler, RegistryError> {
    match (record.kind, wanted.handler, &record.handler) {
        (kind @ (ComponentKind::Translator | ComponentKind::Http), Some(name), _) => {
            Ok(Handler { kind, name: name.to_owned() })
        }
        (_, Some(asked), Some(own)) if asked != own.name => {
            Err(RegistryError::AnothersName { own: own.clone(), asked: asked.to_owned() })
        }
        (_, _, Some(own)) => Ok(own.clone()),
        (_, _, None) => Err(RegistryError::Unknown(wanted.digest.to_owned())),
    }
}

/// Whether the database can keep a text, and people can read it.
fn are_words(what: &'static str, text: Option<&str>) -> Result<(), RegistryError> {
    match text {
        Some(text) if text.trim().is_empty() || text.chars().any(char::is_control) => {
            Err(RegistryError::NoText { what })
        }
        _ => Ok(()),
    }
}
