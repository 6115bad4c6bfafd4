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

pub use spin::Trigger;

use clap::{Parser, Subcommand};

/// Clearfold: an event-driven processor for self-custodial card payments.
#[derive(Debug, Parser)]
#[command(name = "clearfold", version, about, max_term_width = 110)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the host: follow the chain, decide, project, and serve the API
    Up(Box<crate::config::Host>),
    /// Bring both databases to this program's schema; a new log is laid out in partitions
    Migrate(migrate::Migrate),
    /// What runs, and what shall run: deploy, verify, activate, try, roll back
    #[command(subcommand)]
    Component(component::Component),
    /// Bring a running system to what the manifest says, without a restart
    Deploy(deploy::Deploy),
    /// Recompute what must always hold from the log and the read store, and name what does not
    Check(check::Check),
    /// Walk the log's chain of hashes, and say where it was changed
    Verify(verify::Verify),
    /// Decide every recorded command again, and compare what comes of it bit for bit
    Replay(replay::ReplayArgs),
    /// Look at one stream of the event log
    #[command(subcommand)]
    Stream(stream::Stream),
    /// Show what a recorded transaction would become: one command a line, as JSON
    Translate(translate::Translate),
    /// Make a folder with a component that builds and keeps its specifications at once
    New(new::New),
    /// Build the component of a folder
    Build(build::Build),
    /// Hold a component to its specifications
    #[command(subcommand)]
    Spec(spec::Spec),
    /// Find what is missing or misconfigured, and say what to do about it
    Doctor(doctor::Doctor),
    /// Work with Spin
    #[command(subcommand)]
    Spin(spin::Spin),
}

impl Cli {
    /// Does what was asked.
    pub async fn run(self) -> anyhow::Result<()> {
        match self.command {
            Command::Up(host) => up::run(*host).await,
            Command::Migrate(migrate) => migrate.run().await,
            Command::Component(component) => component.run().await,
            Command::Deploy(deploy) => deploy.run().await,
            Command::Check(check) => check.run().await,
            Command::Verify(verify) => verify.run().await,
            Command::Replay(replay) => replay.run().await,
            Command::Stream(stream) => stream.run().await,
            Command::Translate(translate) => translate.run(),
            Command::New(new) => new.run(),
            Command::Build(build) => build.run(),
            Command::Spec(spec) => spec.run(),
            Command::Doctor(doctor) => doctor.run().await,
            Command::Spin(spin) => spin.run(),
        }
    }
}
