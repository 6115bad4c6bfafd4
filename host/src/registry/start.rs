//! What a host's manifest means to the registry: a file that was never in force is deployed and put in force; one that was
//! is left to what was decided since. So a start with a new file is a deploy, and no start undoes a rollback.

use std::sync::Arc;

use super::{Cause, Deployment, Handler, InForce, NewActivation, Registry, RegistryError, fold};
use crate::digest::Digest;
use crate::runtime::{HandlerEngine, Inspection, Kind, RuntimeError, inspect};
use crate::signature::Signers;

/// A component as a manifest names it.
pub struct Named {
    pub handler: Handler,
    /// Its id in the manifest.
    pub component: String,
    pub wasm: Vec<u8>,
    pub signature: Option<Vec<u8>>,
}

impl Named {
    /// What it is, if that is what the manifest says.
    pub fn check(&self, engine: &Arc<HandlerEngine>) -> Result<Inspection, RuntimeError> {
        let found = inspect(engine, &self.component, &self.wasm)?;
        agree(self, &found)?;
        Ok(found)
    }
}

/// Who starts, and what is known of where the files come from.
pub struct Starting {
    pub by: String,
    pub signers: Signers,
    pub source_revision: Option<String>,
}

impl Registry {
    /// Takes the manifest's components in, and puts those in force that never were.
    pub async fn start(
        &self,
        engine: &Arc<HandlerEngine>,
        named: &[Named],
        starting: &Starting,
    ) -> Result<(), RegistryError> {
        let activations = self.activations(0).await?;
        let in_force = fold(&activations);
        for named in named {
            let digest = Digest::of(&named.wasm);
            let deployment = deployment(engine, named, starting)?;
            self.keep(&named.wasm, &deployment).await?;
            let was_in_force = |activation: &&super::Activation| {
                activation.handler == named.handler && activation.digest == digest
            };
            match (in_force.get(&named.handler), activations.iter().find(was_in_force)) {
                (Some(now), Some(_)) if now.digest != digest => say_what_stands(named, digest, now),
                (Some(_), Some(_)) => {}
                (now, _) => self.begin_with(named, digest, now, starting).await?,
            }
        }
        Ok(())
    }

    async fn begin_with(
        &self,
        named: &Named,
        digest: Digest,
        now: Option<&InForce>,
        starting: &Starting,
    ) -> Result<(), RegistryError> {
        let handler = named.handler.clone();
        if let Some(now) = now {
            let replaced = now.digest;
            tracing::warn!(%handler, %digest, %replaced, "the manifest's component is new, and in force without a shadow run; \
                `clearfold deploy` makes one");
        }
        let family = (handler.kind == Kind::Decider).then_some(digest);
        let new = NewActivation {
            handler,
            newest: now.map_or(0, |now| now.newest),
            digest,
            cause: Cause::Start,
            why: None,
            by: starting.by.clone(),
            family,
            trial: None,
            shadow: None,
        };
        match self.activate(&new).await {
            // Another host started at the same moment, with the same file or with another: what it did stands.
            Err(RegistryError::ChangedMeanwhile { .. }) | Ok(_) => Ok(()),
            Err(error) => Err(error),
        }
    }
}

fn say_what_stands(named: &Named, digest: Digest, now: &InForce) {
    let (handler, in_force, since) = (&named.handler, now.digest, now.since);
    tracing::warn!(%handler, file = %digest, %in_force, since, "the manifest's component was in force before and is not now; \
        what was decided since stands; `clearfold component activate` puts it in force again");
}

/// What the registry keeps of a component, if it is what the manifest says.
fn deployment(
    engine: &Arc<HandlerEngine>,
    named: &Named,
    starting: &Starting,
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

fn agree(named: &Named, found: &Inspection) -> Result<(), RuntimeError> {
    // A translator has no name but the manifest's.
    let name = found.name.clone().unwrap_or_else(|| named.handler.name.clone());
    let says = Handler { kind: found.kind, name };
    let is_same = says == named.handler;
    if is_same {
        return Ok(());
    }
    let why = format!("the {says}, and the manifest has it as the {}; correct the manifest", named.handler);
    Err(RuntimeError::Descriptor { component: named.component.clone(), why })
}
