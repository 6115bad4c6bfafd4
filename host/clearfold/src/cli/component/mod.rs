//! `clearfold component`: shows and changes which components run. A running host follows within a moment, without a
//! restart.
//!
//! The commands work on the registry in the write store; the admin API offers the same. Nothing here starts or stops
//! a host.

mod options;
mod text;

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::{Args, Subcommand};
use serde::Serialize;
use serde_json::json;

use self::options::Share;
pub(super) use self::options::{Past, Place};
use super::{load, progress};
use clearfold_base::digest::Digest;
use clearfold_engine::command::Trial;
use clearfold_engine::registry::{
    ActivationRequest, ComponentSelector, ComponentView, DeployRequest, Deployed, DeployedView,
    FollowerReport, Handler, Operations, Verified, VerifiedView, differing,
};
use clearfold_sandbox::{ComponentKind, inspect};

/// Progress of a shadow run.
pub(super) const DECIDED_AGAIN: &str = "{pos} commands decided again";

#[derive(Debug, Subcommand)]
pub(super) enum ComponentCommand {
    /// List the components in force, and what else is deployed
    List(ListArgs),
    /// Describe a component: a deployed one, or a file
    Inspect(InspectArgs),
    /// Store a component in the registry. It does not run until it is activated
    Deploy(ComponentDeployArgs),
    /// Let a component decide recorded commands again, and show what it would decide otherwise
    Verify(CandidateArgs),
    /// Put a component in force for all accounts, after a shadow run
    Activate(CandidateArgs),
    /// Try a decider on a share of the accounts, after a shadow run. It is taken out by itself when it fails or
    /// differs too often
    Canary(CanaryArgs),
    /// Go back to the component that was in force before, at once
    Rollback(RollbackArgs),
    /// List every activation, and after which command it was in force in each partition
    History(HistoryArgs),
    /// Show the fields in which two components differ
    Diff(DiffArgs),
}

#[derive(Debug, Args)]
pub(super) struct ListArgs {
    #[command(flatten)]
    place: Place,
}

#[derive(Debug, Args)]
pub(super) struct InspectArgs {
    /// Beginning of a digest, or a file
    component: String,
    #[command(flatten)]
    place: Place,
}

#[derive(Debug, Args)]
pub(super) struct ComponentDeployArgs {
    /// File with the component. Its signature, if it has one, is in FILE.sig
    file: PathBuf,
    /// Name of the handler, for a translator or an HTTP component; others name it themselves. Without it, the file's
    /// name
    #[arg(long, value_name = "NAME")]
    handler: Option<String>,
    /// Source revision that the component was built from, like a commit. Without it, none is recorded
    #[arg(long, env = "SOURCE_REVISION", value_name = "REVISION")]
    revision: Option<String>,
    /// Activate it as well
    #[arg(long)]
    activate: bool,
    #[command(flatten)]
    past: Past,
    #[command(flatten)]
    place: Place,
}

// A deployed component, to be verified or activated.
#[derive(Debug, Args)]
pub(super) struct CandidateArgs {
    /// Beginning of its digest
    digest: String,
    /// Name of the handler, for a translator or an HTTP component. Without it, the one that it was deployed for
    #[arg(long, value_name = "NAME")]
    handler: Option<String>,
    #[command(flatten)]
    past: Past,
    #[command(flatten)]
    place: Place,
}

#[derive(Debug, Args)]
pub(super) struct CanaryArgs {
    /// Beginning of its digest; not needed with --end
    #[arg(required_unless_present = "end")]
    digest: Option<String>,
    /// Share of the accounts, like 5% or 0.5%
    #[arg(long, required_unless_present = "end")]
    share: Option<Share>,
    /// Number of commands that it may fail on before it is taken out
    #[arg(long, value_name = "COMMANDS", default_value_t = 0)]
    max_faults: u64,
    /// Number of commands that it may decide otherwise before it is taken out
    #[arg(long, value_name = "COMMANDS", default_value_t = 0)]
    max_differences: u64,
    /// End the canary of this aggregate's decider
    #[arg(long, value_name = "AGGREGATE", conflicts_with_all = ["digest", "share"])]
    end: Option<String>,
    /// Reason of the end, for the record
    #[arg(long, requires = "end")]
    why: Option<String>,
    #[command(flatten)]
    past: Past,
    #[command(flatten)]
    place: Place,
}

#[derive(Debug, Args)]
pub(super) struct RollbackArgs {
    /// Kind of the handler: translator, decider, saga, projector, auditor, http
    kind: ComponentKind,
    /// Name of the handler: the decider's aggregate, the projector's projection
    name: String,
    /// Beginning of the digest of an earlier component. Without it, the one before
    #[arg(long, value_name = "DIGEST")]
    to: Option<String>,
    /// Reason, for the record
    #[arg(long)]
    why: Option<String>,
    #[command(flatten)]
    place: Place,
}

#[derive(Debug, Args)]
pub(super) struct HistoryArgs {
    /// Kind of one handler. Without it, all handlers
    #[arg(requires = "name")]
    kind: Option<ComponentKind>,
    /// Name of the handler
    name: Option<String>,
    #[command(flatten)]
    place: Place,
}

#[derive(Debug, Args)]
pub(super) struct DiffArgs {
    /// Beginning of a digest
    one: String,
    /// Beginning of the other digest
    other: String,
    #[command(flatten)]
    place: Place,
}

impl ComponentCommand {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        match self {
            Self::List(list) => list.run().await,
            Self::Inspect(inspect) => inspect.run().await,
            Self::Deploy(deploy) => deploy.run().await,
            Self::Verify(candidate) => candidate.verify().await,
            Self::Activate(candidate) => candidate.activate().await,
            Self::Canary(canary) => canary.run().await,
            Self::Rollback(rollback) => rollback.run().await,
            Self::History(history) => history.run().await,
            Self::Diff(diff) => diff.run().await,
        }
    }
}

impl ListArgs {
    async fn run(self) -> anyhow::Result<()> {
        let overview = self.place.registry().await?.overview().await?;
        self.place.show(&overview, || text::overview(&overview))
    }
}

impl InspectArgs {
    async fn run(self) -> anyhow::Result<()> {
        if Path::new(&self.component).is_file() {
            let path = PathBuf::from(&self.component);
            let found = inspect(&load::engine()?, &load::stem(&path), &load::read_wasm(&path)?)?;
            let found = json!({
                "digest": found.digest.to_string(), "kind": found.kind.as_str(), "handler": found.name,
                "about": found.about, "world": found.world, "wit_version": found.wit_version,
                "imports": found.imports, "exports": found.exports, "size_bytes": found.size_bytes,
            });
            return self.place.show(&found, || text::fields(&found));
        }
        let view = ComponentView::from(self.place.registry().await?.find(&self.component).await?);
        let view = serde_json::to_value(view)?;
        self.place.show(&view, || text::fields(&view))
    }
}

impl ComponentDeployArgs {
    async fn run(self) -> anyhow::Result<()> {
        let operations = self.place.operations().await?;
        let by = self.place.by.clone();
        let deployed = deploy(&operations, &self.file, self.handler, self.revision, by).await?;
        if !self.activate {
            return self.place.show(&DeployedView::from(&deployed), || text::deployed(&deployed));
        }
        print!("{}", self.place.unless_json(text::deployed(&deployed)));
        let (digest, handler) = (deployed.digest.to_string(), Some(deployed.handler.name.as_str()));
        let activated = activate(
            &operations,
            ComponentSelector { digest: &digest, handler },
            None,
            &self.past,
            &self.place,
        );
        self.place.show_activated(&activated.await?)
    }
}

/// Deploys a file.
async fn deploy(
    operations: &Operations,
    file: &Path,
    handler: Option<String>,
    source_revision: Option<String>,
    by: String,
) -> anyhow::Result<Deployed> {
    let signature = load::signature_beside(file)?;
    let deploying = DeployRequest { name: load::stem(file), handler, source_revision, by, signature };
    Ok(operations.deploy(&load::read_wasm(file)?, &deploying).await?)
}

impl CandidateArgs {
    async fn verify(self) -> anyhow::Result<()> {
        let operations = self.place.operations().await?;
        let line = progress::line(DECIDED_AGAIN)?;
        let wanted = ComponentSelector { digest: &self.digest, handler: self.handler.as_deref() };
        let verified = operations.verify(wanted, self.past.window()?, &|count| line.inc(count)).await;
        line.finish_and_clear();
        let verified = verified?;
        self.place.show(&VerifiedView::from(&verified), || text::verified(&verified))?;
        anyhow::ensure!(
            verified.followers.iter().all(FollowerReport::holds),
            "a saga cannot take in what it decides otherwise; the failures are shown above"
        );
        anyhow::ensure!(
            verified.shadow.as_ref().is_none_or(clearfold_engine::integrity::ShadowReport::is_same),
            "it decides otherwise than what is in force; the differences are shown above"
        );
        Ok(())
    }

    async fn activate(self) -> anyhow::Result<()> {
        let wanted = ComponentSelector { digest: &self.digest, handler: self.handler.as_deref() };
        let activated =
            activate(&self.place.operations().await?, wanted, None, &self.past, &self.place).await?;
        self.place.show_activated(&activated)
    }
}

impl CanaryArgs {
    async fn run(self) -> anyhow::Result<()> {
        let operations = self.place.operations().await?;
        if let Some(name) = self.end {
            let handler = Handler { kind: ComponentKind::Decider, name };
            let by = self.place.by.clone();
            let (activation, digest) = operations.end_canary(&handler, self.why, by).await?;
            return self.place.say(
                activation,
                digest,
                &format!("the canary is ended; the {handler} is {digest} for all accounts"),
            );
        }
        let digest = self.digest.context("a digest is needed")?;
        let share = self.share.context("--share is needed")?;
        let trial =
            Trial { permille: share.0, max_faults: self.max_faults, max_differences: self.max_differences };
        let activated = activate(&operations, (&digest).into(), Some(trial), &self.past, &self.place).await?;
        self.place.show_activated(&activated)
    }
}

/// Outcome of an activation.
pub(super) struct Activated {
    pub activation: u64,
    is_trial: bool,
    verified: Verified,
}

/// Activates a component, for all accounts or as a canary.
pub(super) async fn activate(
    operations: &Operations,
    wanted: ComponentSelector<'_>,
    trial: Option<Trial>,
    past: &Past,
    place: &Place,
) -> anyhow::Result<Activated> {
    let activating = ActivationRequest {
        by: place.by.clone(),
        window: past.window()?,
        expect_divergence: past.expect_divergence.clone(),
    };
    let line = progress::line(DECIDED_AGAIN)?;
    let counted = |count| line.inc(count);
    let activated = match trial {
        None => operations.activate(wanted, &activating, &counted).await,
        Some(trial) => operations.canary(wanted, trial, &activating, &counted).await,
    };
    line.finish_and_clear();
    let (activation, verified) = activated?;
    Ok(Activated { activation, is_trial: trial.is_some(), verified })
}

impl Activated {
    pub(super) fn json(&self) -> serde_json::Value {
        json!({ "activation": self.activation, "verified": VerifiedView::from(&self.verified) })
    }

    pub(super) fn text(&self) -> String {
        let what = if self.is_trial { "tried on its share of the accounts" } else { "in force" };
        format!("{}activation {}: {what}\n", text::verified(&self.verified), self.activation)
    }
}

impl RollbackArgs {
    async fn run(self) -> anyhow::Result<()> {
        let operations = self.place.operations().await?;
        let handler = Handler { kind: self.kind, name: self.name };
        let by = self.place.by.clone();
        let (activation, digest) = operations.rollback(&handler, self.to.as_deref(), self.why, by).await?;
        self.place.say(activation, digest, &format!("the {handler} is {digest} again"))
    }
}

impl HistoryArgs {
    async fn run(self) -> anyhow::Result<()> {
        let only = self.kind.zip(self.name).map(|(kind, name)| Handler { kind, name });
        let history = self.place.registry().await?.history(only.as_ref()).await?;
        self.place.show(&history, || text::history(&history))
    }
}

impl DiffArgs {
    async fn run(self) -> anyhow::Result<()> {
        let registry = self.place.registry().await?;
        let (one, other) = (registry.find(&self.one).await?, registry.find(&self.other).await?);
        let differs = differing(one, other)?;
        self.place.show(&differs, || text::diff(&differs))
    }
}

impl Place {
    /// Prints the value as JSON with `--json`, else the text.
    pub(super) fn show(&self, value: &impl Serialize, text: impl FnOnce() -> String) -> anyhow::Result<()> {
        let mut out = std::io::stdout().lock();
        if self.json {
            writeln!(out, "{}", serde_json::to_string(value)?)?;
        } else {
            write!(out, "{}", text())?;
        }
        Ok(())
    }

    fn show_activated(&self, activated: &Activated) -> anyhow::Result<()> {
        self.show(&activated.json(), || activated.text())
    }

    fn say(&self, activation: u64, digest: Digest, what: &str) -> anyhow::Result<()> {
        let json = json!({ "activation": activation, "digest": digest.to_string() });
        self.show(&json, || format!("activation {activation}: {what}\n"))
    }

    pub(super) fn unless_json(&self, text: String) -> String {
        if self.json { String::new() } else { text }
    }
}
