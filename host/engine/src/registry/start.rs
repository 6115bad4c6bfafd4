//! Start of a host: the effect of its manifest on the registry.
//!
//! A file that was never in force is deployed and activated. For a file that was in force before, the activations
//! since then stand. So a start with a new file is a deploy, and no start undoes a rollback. All files are checked
//! before the first is activated, so a start that fails has activated none.

use std::sync::Arc;

use super::{
    Activation, ActivationCause, ActiveComponent, Deployment, Handler, NewActivation, Registry,
    RegistryError, fold,
};
use clearfold_base::clock::Clock;
use clearfold_base::digest::Digest;
use clearfold_base::signature::Signers;
use clearfold_sandbox::{HandlerEngine, Inspection, RuntimeError, inspect};

/// Component that a manifest names, with its bytes and the signature beside it.
pub struct ComponentFile {
    pub handler: Handler,
    /// Id of the component in the manifest.
    pub component: String,
    pub wasm: Vec<u8>,
    pub signature: Option<Vec<u8>>,
}

impl ComponentFile {
    /// Inspects the component, and refuses it if it is another handler than the manifest says.
    pub fn check(&self, engine: &Arc<HandlerEngine>) -> Result<Inspection, RuntimeError> {
        let found = inspect(engine, &self.component, &self.wasm)?;
        agree(self, &found)?;
        Ok(found)
    }
}

/// Name of the starting host, the keys that it requires, and the revision that the files were built from.
pub struct StartContext {
    pub by: String,
    pub signers: Signers,
    pub source_revision: Option<String>,
}

/// Start whose components were checked and stored, with the activations that it will record. None is recorded yet.
pub struct Start {
    activations: Vec<Activation>,
    new: Vec<NewActivation>,
}

impl Registry {
    /// Deploys the manifest's components, and activates those that were never in force.
    pub async fn start(
        &self,
        engine: &Arc<HandlerEngine>,
        named: &[ComponentFile],
        starting: &StartContext,
    ) -> Result<(), RegistryError> {
        let start = self.prepare_start(engine, named, starting).await?;
        self.put_in_force(start).await
    }

    /// Deploys the manifest's components if all of them are what the manifest says, and determines which are to be
    /// activated.
    pub async fn prepare_start(
        &self,
        engine: &Arc<HandlerEngine>,
        named: &[ComponentFile],
        starting: &StartContext,
    ) -> Result<Start, RegistryError> {
        let activations = self.activations(0).await?;
        let in_force = fold(&activations);
        let mut deployments = Vec::new();
        for named in named {
            deployments.push(deployment(engine, named, starting)?);
        }
        let mut new = Vec::new();
        for (named, deployment) in named.iter().zip(&deployments) {
            let digest = self.keep(&named.wasm, deployment).await?;
            let was_in_force =
                |activation: &&Activation| activation.handler == named.handler && activation.digest == digest;
            match (in_force.get(&named.handler), activations.iter().find(was_in_force)) {
                (Some(now), Some(_)) if now.digest != digest => say_what_stands(named, digest, now),
                (Some(_), Some(_)) => {}
                (now, _) => new.push(first_of(named, digest, now, starting)),
            }
        }
        Ok(Start { activations, new })
    }

    /// Records the prepared activations.
    pub async fn put_in_force(&self, start: Start) -> Result<(), RegistryError> {
        let before = fold(&start.activations);
        for new in &start.new {
            if let Some(now) = before.get(&new.handler) {
                let (handler, digest, replaced) = (&new.handler, new.digest, now.digest);
                tracing::warn!(%handler, %digest, %replaced, "the manifest's component is new, and in force without a shadow run; \
                    `clearfold deploy` makes one");
            }
            match self.activate(new).await {
                // Another host started at the same moment, with this file or another one: its activation stands.
                Err(RegistryError::ChangedMeanwhile { .. }) | Ok(_) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

impl Start {
    /// Returns all activations as they will be after this start, if no other is recorded in between.
    #[must_use]
    pub fn activations(&self) -> Vec<Activation> {
        let at = Clock::system().now();
        let newest = self.activations.last().map_or(0, |activation| activation.activation);
        let new = (newest..).skip(1).zip(&self.new).map(|(activation, new)| Activation {
            activation,
            handler: new.handler.clone(),
            digest: new.digest,
            cause: new.cause,
            why: None,
            by: new.by.clone(),
            at,
            family: new.family,
            trial: None,
            shadow: None,
            moved_from: None,
        });
        self.activations.iter().cloned().chain(new).collect()
    }
}

/// Makes the first activation of a file.
fn first_of(
    named: &ComponentFile,
    digest: Digest,
    now: Option<&ActiveComponent>,
    starting: &StartContext,
) -> NewActivation {
    let handler = named.handler.clone();
    let family = handler.kind.decides().then_some(digest);
    NewActivation {
        handler,
        newest: now.map_or(0, |now| now.newest),
        digest,
        cause: ActivationCause::Start,
        why: None,
        by: starting.by.clone(),
        family,
        trial: None,
        shadow: None,
        moved_from: None,
    }
}

/// Warns that the manifest's component is not the one in force.
fn say_what_stands(named: &ComponentFile, digest: Digest, now: &ActiveComponent) {
    let (handler, in_force, since) = (&named.handler, now.digest, now.since);
    tracing::warn!(%handler, file = %digest, %in_force, since, "the manifest's component was in force before and is not now; \
        what was decided since stands; `clearfold component activate` puts it in force again");
}

/// Makes the record of a component that is signed as required and is what the manifest says.
fn deployment(
    engine: &Arc<HandlerEngine>,
    named: &ComponentFile,
    starting: &StartContext,
) -> Result<Deployment, RegistryError> {
    let signed = starting.signers.check(&named.component, &named.wasm, named.signature.as_deref())?;
    let found = named.check(engine)?;
    Ok(Deployment {
        name: named.component.clone(),
        handler: named.handler.clone(),
        wit_version: Some(found.wit_version),
        imports: found.imports,
        source_revision: starting.source_revision.clone(),
        deployed_by: starting.by.clone(),
        signed,
    })
}

fn agree(named: &ComponentFile, found: &Inspection) -> Result<(), RuntimeError> {
    // A translator does not name itself, so it has the manifest's name.
    let name = found.name.clone().unwrap_or_else(|| named.handler.name.clone());
    let says = Handler { kind: found.kind, name };
    if says == named.handler {
        return Ok(());
    }
    let why = format!("the {says}, and the manifest names it as the {}; correct the manifest", named.handler);
    Err(RuntimeError::Descriptor { component: named.component.clone(), why })
}
