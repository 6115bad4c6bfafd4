//! The command line: `clearfold up`, `migrate`, `component`, `deploy`, `check`, `verify`, `replay`, `stream`, `translate`,
//! `new`, `build`, `spec`, `doctor`, `spin`.
//!
//! Every command ends with exit code 0 only if all of it was done. An error is one line that says what was wrong
//! and what to do.

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
mod replay;
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
    /// Run the host: follow the chain, decide, project, and serve the API
    Up(Box<crate::config::HostConfig>),
    /// Bring both databases to this program's schema; a new log is laid out in partitions
    Migrate(migrate::MigrateArgs),
    /// What runs, and what shall run: deploy, verify, activate, try, roll back
    #[command(subcommand)]
    Component(component::ComponentCommand),
    /// Bring a running system to what the manifest says, without a restart
    Deploy(deploy::DeployArgs),
    /// Recompute what must always hold from the log and the read store, and name what does not
    Check(check::CheckArgs),
    /// Walk the log's chain of hashes, and say where it was changed
    Verify(verify::VerifyArgs),
    /// Decide every recorded command again, and compare what comes of it bit for bit
    Replay(replay::ReplayArgs),
    /// Look at one stream of the event log
    #[command(subcommand)]
    Stream(stream::StreamCommand),
    /// Show what a recorded transaction would become: one command a line, as JSON
    Translate(translate::TranslateArgs),
    /// Make a folder with a component that builds and keeps its specifications at once
    New(new::New),
    /// Build the component of a folder
    Build(build::BuildArgs),
    /// Hold a component to its specifications
    #[command(subcommand)]
    Spec(spec::SpecCommand),
    /// Find what is missing or misconfigured, and say what to do about it
    Doctor(doctor::DoctorArgs),
    /// Work with Spin
    #[command(subcommand)]
    Spin(spin::SpinCommand),
}

impl Cli {
    /// Does what was asked.
    pub async fn run(self) -> anyhow::Result<()> {
        match self.command {
            CliCommand::Up(host) => up::run(*host).await,
            CliCommand::Migrate(migrate) => migrate.run().await,
            CliCommand::Component(component) => component.run().await,
            CliCommand::Deploy(deploy) => deploy.run().await,
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
