//! `cargo xtask sim domain`: random histories of payments, with the invariants held after every step.
//!
//! The histories are a test of the domain; this only calls it. A history is a pure function of its seed, so the seed
//! of a failure repeats it exactly, on any machine.

use anyhow::Result;
use clap::{Args, Subcommand};

use crate::{cargo, features, progress};

#[derive(Args)]
pub struct Options {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Histories of an account with its cards and payments.
    Domain(Domain),
}

#[derive(Args)]
struct Domain {
    /// The seed of the first history. Alone it repeats that one history and shows its steps.
    #[arg(long)]
    seed: Option<u64>,
    /// Number of histories; each has the seed after the one before it.
    #[arg(long)]
    histories: Option<u64>,
}

pub fn run(options: &Options) -> Result<()> {
    let What::Domain(domain) = &options.what;
    let mut command = cargo::cargo();
    // Only the domain: its dependencies are few, and nobody should wait for the host's to play a history.
    command.args(["test", "--package", "clearfold-domain"]).args(features::PACKAGE);
    command.args(["--test", "histories", "--"]);
    match (domain.seed, domain.histories) {
        (Some(seed), None) => command.args(["--histories", "1", "--show", "--seed", &seed.to_string()]),
        (seed, histories) => {
            let option = |name: &str, value: Option<u64>| value.map(|value| format!("--{name}={value}"));
            command.args(option("seed", seed)).args(option("histories", histories))
        }
    };
    progress::show("the histories", &mut command)
}
