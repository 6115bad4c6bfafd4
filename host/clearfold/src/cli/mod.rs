//! The command line: `clearfold up`, `migrate`, `component`, `deploy`, `saga`, `pull`, `check`, `verify`, `replay`,
//! `stream`, `translate`, `new`, `build`, `spec`, `doctor`, `spin`.
//!
//! Every command ends with exit code 0 only if all of it was done. An error is one line with the cause and the
//! remedy.

mod admin_host;
mod build;
mod check;
mod component;
mod contracts;
mod deploy;
mod doctor;
mod edges;
mod load;
mod migrate;
mod new;
mod progress;
mod projections;
mod pull;
mod replay;
mod saga;
mod spec;
mod spin;
mod stream;
mod translate;
mod up;
mod verify;

pub use spin::SpinTrigger;

use clap::{Parser, Subcommand};

/// Clearfold: an event-driven processor for self-custodial card payments.
#[derive(Debug, Parser)]
#[command(name = "clearfold", version, about, max_term_width = 110)]
pub struct Cli {
    #[command(subcommand)]
    command: CliCommand,
}

#[derive(Debug, Subcommand)]
enum CliCommand {
    /// Run the host: follow the chain, decide commands, project events, and serve the API
    Up(Box<crate::config::HostConfig>),
    /// Bring both databases to this program's schema. A new log is divided into partitions
    Migrate(migrate::MigrateArgs),
    /// Show and change which components run: deploy, verify, activate, try on some accounts, roll back
    #[command(subcommand)]
    Component(component::ComponentCommand),
    /// Deploy and activate the manifest's components in a running system, without a restart
    Deploy(deploy::DeployArgs),
    /// Show instances of sagas, and act on them: try again, cancel, say how a step ended
    #[command(subcommand)]
    Saga(Box<saga::SagaCommand>),
    /// Show pulls that have not ended, and say how one ended that the submitter cannot decide about
    #[command(subcommand)]
    Pull(Box<pull::PullCommand>),
    /// Check the invariants: recompute them from the log and the read store, and name what violates them
    Check(check::CheckArgs),
    /// Check the log's hash chain, and say where it was changed
    Verify(verify::VerifyArgs),
    /// Decide every recorded command again, and compare the results bit for bit
    Replay(replay::ReplayArgs),
    /// Show one stream of the event log
    #[command(subcommand)]
    Stream(stream::StreamCommand),
    /// Show the commands that a recorded transaction would become, one JSON object per line
    Translate(translate::TranslateArgs),
    /// Make a folder with a new component that builds and passes its specifications at once
    New(new::New),
    /// Build the component in a folder
    Build(build::BuildArgs),
    /// Run specifications against a component
    #[command(subcommand)]
    Spec(spec::SpecCommand),
    /// Find what is missing or misconfigured, and how to correct it
    Doctor(doctor::DoctorArgs),
    /// Connect this program with Spin
    #[command(subcommand)]
    Spin(spin::SpinCommand),
}

impl Cli {
    /// Runs the command.
    pub async fn run(self) -> anyhow::Result<()> {
        match self.command {
            CliCommand::Up(host) => up::run(*host).await,
            CliCommand::Migrate(migrate) => migrate.run().await,
            CliCommand::Component(component) => component.run().await,
            CliCommand::Deploy(deploy) => deploy.run().await,
            CliCommand::Saga(saga) => (*saga).run().await,
            CliCommand::Pull(pull) => (*pull).run().await,
            CliCommand::Check(check) => check.run().await,
            CliCommand::Verify(verify) => verify.run().await,
            CliCommand::Replay(replay) => replay.run().await,
            CliCommand::Stream(stream) => stream.run().await,
            CliCommand::Translate(translate) => translate.run(),
            CliCommand::New(new) => new.run(),
            CliCommand::Build(build) => build.run(),
            CliCommand::Spec(spec) => spec.run(),
            CliCommand::Doctor(doctor) => doctor.run().await,
            CliCommand::Spin(spin) => spin.run(),
        }
    }
}
