//! Spin: this program as the trigger program `trigger-clearfold`, and `clearfold spin install`, which makes Spin find
//! it.
//!
//! No crate of Spin's is linked: a trigger is a program that Spin starts, and the two communicate by environment,
//! arguments, one JSON file and signals.

mod install;
mod trigger;

pub use trigger::SpinTrigger;

use clap::Subcommand;

#[derive(Debug, Subcommand)]
pub(super) enum SpinCommand {
    /// Make Spin find this program: as the trigger `clearfold` of `spin up`, and as the plugin of `spin deploy`
    Install(install::InstallArgs),
}

impl SpinCommand {
    pub(super) fn run(self) -> anyhow::Result<()> {
        match self {
            Self::Install(install) => install.run(),
        }
    }
}
