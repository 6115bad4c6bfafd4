//! `clearfold saga versions` and `clearfold saga migrate`: the versions on which instances run.
//!
//! A migration works on the registry in the write store, like `clearfold component activate`; running hosts follow.

use clap::Args;
use serde_json::json;

use super::super::component::{DECIDED_AGAIN, Place};
use super::super::progress;
use crate::api::admin::SagaVersions;
use crate::cli::admin_host::{AdminHost, show};
use clearfold_engine::registry::{MigrationReport, MigrationRequest};

#[derive(Debug, Args)]
pub(in crate::cli) struct VersionsArgs {
    /// Name of the saga, like authorization
    saga: String,
    #[command(flatten)]
    host: AdminHost,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct MigrateArgs {
    /// Name of the saga, like authorization
    saga: String,
    /// Beginning of the digest of the version that decides the instances, as `versions` shows it
    #[arg(long, value_name = "DIGEST")]
    from: String,
    /// Find what would come of it, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// Reason why the version in force may decide otherwise. Without it, a difference refuses the migration
    #[arg(long, value_name = "WHY")]
    expect_divergence: Option<String>,
    #[command(flatten)]
    place: Place,
}

impl VersionsArgs {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let versions: SagaVersions =
            self.host.get(&["handlers", "saga", &self.saga, "versions"], &[]).await?;
        show(&self.host, &versions, || shown(&versions))
    }
}

impl MigrateArgs {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let operations = self.place.operations().await?;
        let line = progress::line(DECIDED_AGAIN)?;
        let counted = |count| line.inc(count);
        let (activation, report) = if self.dry_run {
            let report = operations.verify_migration(&self.saga, &self.from, &counted).await;
            (None, report?)
        } else {
            let (saga, from, by) = (self.saga.clone(), self.from, self.place.by.clone());
            let request = MigrationRequest { saga, from, by, expect_divergence: self.expect_divergence };
            let (activation, report) = operations.migrate(&request, &counted).await?;
            (Some(activation), report)
        };
        line.finish_and_clear();
        let json = json!({ "activation": activation, "report": report });
        self.place.show(&json, || moved(activation, &report))
    }
}

fn shown(versions: &SagaVersions) -> String {
    let mut text = format!("new instances of {} begin on {}\n", versions.saga, versions.in_force);
    if versions.data.is_empty() {
        text.push_str("it has no instances yet\n");
    }
    for version in &versions.data {
        let counts = &version.counts;
        text.push_str(&format!(
            "{}  {} instances, {} open, {} parked\n",
            counts.began_on, counts.instances, counts.counts.open, counts.counts.parked
        ));
        if version.decided_by != counts.began_on {
            text.push_str(&format!("    moved: decided by {}\n", version.decided_by));
        }
    }
    text
}

fn moved(activation: Option<u64>, report: &MigrationReport) -> String {
    let MigrationReport { from, to, shadow, trial } = report;
    let mut text = format!(
        "{} instances on {from}, {} of them open; beside {to}: {} of {} recorded inputs come to the same\n",
        trial.instances,
        trial.open,
        // An input that differs is one of those counted.
        shadow.commands - shadow.different,
        shadow.commands
    );
    for stuck in &trial.first_stuck {
        text.push_str(&format!("STUCK      {}: {}\n", stuck.instance, stuck.why));
    }
    for divergence in &shadow.divergences {
        text.push_str(&format!("DIFFERENT  {divergence}\n"));
    }
    match activation {
        Some(activation) => {
            text.push_str(&format!("activation {activation}: all of them are decided by {to}\n"));
        }
        None => text.push_str("nothing was moved\n"),
    }
    text
}
