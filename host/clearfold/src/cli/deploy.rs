//! `clearfold deploy`: deploys and activates the manifest's components in a running system, without a restart.
//!
//! `SPIN_DEPLOY_PLUGIN=clearfold spin deploy` runs this too. All components are inspected first; then each that is
//! not in force is deployed, verified and activated. The first that decides otherwise ends the command; activations
//! before it stay. Handlers that no host serves are never activated.

use std::path::PathBuf;

use anyhow::Context;
use clap::Args;
use serde_json::{Value, json};

use super::component::{self, Past, Place};
use super::load;
use crate::config::ManifestFile;
use clearfold_engine::registry::{
    ComponentFile, ComponentSelector, DeployRequest, Operations, RegistryError, fold,
};
use clearfold_sandbox::ComponentKind;

#[derive(Debug, Args)]
pub(super) struct DeployArgs {
    /// Source revision that the components were built from, like a commit. Without it, none is recorded
    #[arg(long, env = "SOURCE_REVISION", value_name = "REVISION")]
    revision: Option<String>,
    /// Manifest, by the option that Spin uses. It overrides --manifest
    #[arg(short = 'f', long, value_name = "FILE")]
    from: Option<PathBuf>,
    #[command(flatten)]
    manifest: ManifestFile,
    #[command(flatten)]
    past: Past,
    #[command(flatten)]
    place: Place,
}

/// Progress of the command, also if it ended early.
#[derive(Default)]
struct Done {
    activated: Vec<Value>,
    passed_over: Vec<String>,
}

impl DeployArgs {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let file = self.from.as_ref().unwrap_or(&self.manifest.manifest);
        let manifest = load::manifest(file, None)?;
        let operations = self.place.operations().await?;
        let named = load::named(&manifest)?;
        let (count, mut done) = (named.len(), Done::default());
        let served = self.look_at(&operations, named, &mut done).await?;
        let ended = self.bring(&operations, served, &mut done).await;
        let Done { activated, passed_over } = done;
        let json = json!({ "components": count, "activated": activated, "passed_over": passed_over });
        self.place.show(&json, || match &ended {
            Ok(()) => format!("{} of {count} components were not in force, and are now\n", activated.len()),
            Err(_) => String::new(),
        })?;
        ended
    }

    /// Inspects all components before the first is activated, and returns those that a host serves.
    async fn look_at(
        &self,
        operations: &Operations,
        named: Vec<ComponentFile>,
        done: &mut Done,
    ) -> anyhow::Result<Vec<ComponentFile>> {
        let in_force = fold(&operations.registry.activations(0).await?);
        let mut served = Vec::new();
        for named in named {
            let component = &named.component;
            operations.signers.check(component, &named.wasm, named.signature.as_deref())?;
            named.check(&operations.engine)?;
            if in_force.contains_key(&named.handler) {
                served.push(named);
            } else if named.handler.kind == ComponentKind::Http {
                // Under Spin, Spin serves HTTP, and reads its components from the manifest when it starts.
                let text = format!(
                    "{component}: passed over, since no host serves it; Spin, if it does, takes it at its next start\n"
                );
                print!("{}", self.place.unless_json(text));
                done.passed_over.push(component.clone());
            } else {
                return Err(RegistryError::NoSuchHandler(named.handler).into());
            }
        }
        // Consumers of events come before the deciders that emit them, and deciders before the senders of their commands.
        served.sort_by_key(|named| match named.handler.kind {
            ComponentKind::Projector | ComponentKind::Auditor | ComponentKind::Saga => 0,
            ComponentKind::Decider => 1,
            ComponentKind::Translator | ComponentKind::Http => 2,
        });
        Ok(served)
    }

    /// Deploys and activates the components that are not in force.
    async fn bring(
        &self,
        operations: &Operations,
        named: Vec<ComponentFile>,
        done: &mut Done,
    ) -> anyhow::Result<()> {
        for ComponentFile { handler, component, wasm, signature } in named {
            let deploying = DeployRequest {
                name: component.clone(),
                handler: Some(handler.name.clone()),
                source_revision: self.revision.clone(),
                by: self.place.by.clone(),
                signature,
            };
            let deployed = operations.deploy(&wasm, &deploying).await?;
            if deployed.in_force == Some(deployed.digest) {
                continue;
            }
            let digest = deployed.digest.to_string();
            let wanted = ComponentSelector { digest: &digest, handler: Some(&handler.name) };
            let activated = component::activate(operations, wanted, None, &self.past, &self.place).await;
            let activated = activated.with_context(|| format!("{component} is not activated"))?;
            print!("{}", self.place.unless_json(format!("{component}: {}", activated.text())));
            let mut json = activated.json();
            json["component"] = component.into();
            done.activated.push(json);
        }
        Ok(())
    }
}
