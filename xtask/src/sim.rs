//! `cargo xtask sim`: random histories of payments with the invariants held after every step, and random lives whose
//! books are compared with a model.
//!
//! Both are tests of the domain; this only calls them. A history is a pure function of its seed, so the seed of a
//! failure repeats it exactly, on any machine.

use std::process::Command;

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
    /// Lives of an account whose books a naive model computes as well.
    Model(Model),
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

#[derive(Args)]
struct Model {
    /// The seed of the first life. Alone it repeats that one life and shows its facts.
    #[arg(long)]
    seed: Option<u64>,
    /// Number of lives; each has the seed after the one before it.
    #[arg(long)]
    lives: Option<u64>,
}

pub fn run(options: &Options) -> Result<()> {
    let option = |name: &str, value: Option<u64>| value.map(|value| format!("--{name}={value}"));
    match &options.what {
        What::Domain(domain) => {
            let mut command = test("histories");
            match (domain.seed, domain.histories) {
                (Some(_), None) => command.args(["--histories=1", "--show"]),
                (_, histories) => command.args(option("histories", histories)),
            };
            progress::show("the histories", command.args(option("seed", domain.seed)))
        }
        What::Model(model) => {
            let mut command = test("model");
            match (model.seed, model.lives) {
                (Some(_), None) => command.args(["--lives=1", "--show"]),
                (_, lives) => command.args(option("lives", lives)),
            };
            progress::show("the lives", command.args(option("seed", model.seed)))
        }
    }
}

/// Command that runs a test of the domain. Only the domain: its dependencies are few, and nobody should wait for the
/// host's to play a history.
fn test(name: &str) -> Command {
    let mut command = cargo::cargo();
    command.args(["test", "--package", "clearfold-domain"]).args(features::PACKAGE);
    command.args(["--test", name, "--"]);
    command
}
