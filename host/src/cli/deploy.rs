//! `clearfold deploy`: brings a running system to what the manifest says, component by component, without a restart.
//!
//! `SPIN_DEPLOY_PLUGIN=clearfold spin deploy` runs this too. Each component that is not in force is taken in, verified
//! and activated; the first that is refused ends it, and what was activated before stays.

use std::path::PathBuf;

use anyhow::Context;
use clap::Args;

use super::component::{self, Past, Place};
use super::load;
use crate::config::ManifestFile;

#[derive(Debug, Args)]
pub(super) struct Deploy {
    /// What the components were built from, like a commit
    #[arg(long, env = "SOURCE_REVISION", value_name = "REVISION")]
    revision: Option<String>,
    /// The description of what runs, as Spin names it
    #[arg(short = 'f', long, value_name = "FILE")]
    from: Option<PathBuf>,
    #[command(flatten)]
    manifest: ManifestFile,
    #[command(flatten)]
    past: Past,
    #[command(flatten)]
    place: Place,
}

impl Deploy {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let file = self.from.as_ref().unwrap_or(&self.manifest.manifest);
        let manifest = load::manifest(file, None)?;
        let operations = self.place.operations().await?;
        let mut activated = 0_usize;
        let named = load::named(&manifest)?;
        let count = named.len();
        for named in named {
            let (component, handler) = (named.component.clone(), named.handler.name.clone());
            let deploying = crate::registry::Deploying {
                name: component.clone(),
                handler: Some(handler),
                source_revision: self.revision.clone(),
                by: self.place.by.clone(),
                signature: named.signature,
            };
            let deployed = operations.deploy(&named.wasm, &deploying).await?;
            if deployed.in_force == Some(deployed.digest) {
                continue;
            }
            let digest = deployed.digest.to_string();
            print!("{}", self.place.unless_json(format!("{component}: ")));
            component::activate(&operations, &digest, None, &self.past, &self.place)
                .await
                .with_context(|| format!("{component} is not activated"))?;
            activated = activated.saturating_add(1);
        }
        let summary = format!("{activated} of {count} components were not in force, and are now\n");
        print!("{}", self.place.unless_json(summary));
        Ok(())
    }
}
