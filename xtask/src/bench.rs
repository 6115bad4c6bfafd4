//! `cargo xtask bench`: figures beside what bounds them, on a durable Postgres of their own.
//!
//! The benchmarks are a program of their own (`tests/bench`), built for release; this starts what they measure.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;

use crate::postgres::Durability;
use crate::throwaway::Throwaway;
use crate::{build, cargo, features, progress};

#[derive(Args)]
pub struct Options {
    /// Benchmark to run: limit, commands, latency, replay, wasm, growth, shadow, swap, authorize, project, sagas, timers, http; `-- --help` describes each
    #[arg(value_name = "NAME")]
    name: String,
    /// Seconds for which each part is measured
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// File to which the figures are written as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Further options of the benchmark; `-- --help` lists them
    #[arg(last = true)]
    rest: Vec<String>,
}

pub fn run(options: &Options) -> Result<()> {
    build::components(None)?;
    let mut command = cargo::cargo();
    command.args(["build", "--release", "--package", "clearfold-bench"]).args(features::PACKAGE);
    command.args(["--bin", "clearfold-bench"]);
    let made = cargo::build("building the benchmarks", &mut command)?;
    let program = made.get("clearfold-bench").cloned().unwrap_or_default();
    let server = Throwaway::start_with(Durability::Kept, &[], |_| Ok(()))?;
    let mut command = std::process::Command::new(program);
    command.arg(&options.name).args(["--seconds", &options.seconds.to_string()]).args(&options.rest);
    if let Some(file) = &options.json {
        command.arg("--json").arg(file);
    }
    command.env("CLEARFOLD_BENCH_DATABASE_URL", server.postgres.url("postgres"));
    command.env("CLEARFOLD_BENCH_DISK", server.folder());
    command.env("CLEARFOLD_COMPONENTS", build::components_folder());
    if options.name == "wasm" {
        command.env("CLEARFOLD_COMPONENT_VARIANTS", build::variants()?);
    }
    command.env("RUST_LOG", "warn");
    progress::show("the benchmark", &mut command)
}
