//! `cargo xtask test`: builds what the tests use, starts a throw-away Postgres, runs them all.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use clap::Args;

use crate::cargo::Member;
use crate::throwaway::Throwaway;
use crate::{build, cargo, contracts, convention, examples, place, progress, schemas, tools, wasm};

#[derive(Args, Default)]
pub struct Options {
    /// Run only the tests whose names contain one of these.
    #[arg(value_name = "FILTER")]
    filters: Vec<String>,
}

/// Where the tests find what they use.
struct Environment {
    host: PathBuf,
    xtask: PathBuf,
    anvil: PathBuf,
    artifacts: PathBuf,
    cargo_component: PathBuf,
    database_url: String,
}

pub fn run(options: &Options) -> Result<()> {
    let mut stages = Stages::default();
    let result = run_stages(options, &mut stages);
    stages.print();
    result
}

fn run_stages(options: &Options, stages: &mut Stages) -> Result<()> {
    stages.time("components", || build::components(None))?;
    stages.time("examples", examples::all)?;
    let cargo_component = stages.time("cargo-component", convention::component)?;
    let anvil = stages.time("tools", tools::anvil)?;
    let artifacts = stages.time("contracts", contracts::artifacts)?;
    let members = cargo::members()?;
    stages.time("components' own", || test_components(&members, &options.filters))?;
    let native = cargo::native(&members);
    // One build for the programs and the tests: cargo test then finds everything made.
    let mut command = cargo::cargo();
    command.arg("build").args(&native).args(["--lib", "--bins", "--tests"]);
    let programs =
        stages.time("host and tests", || cargo::build("building the host and the tests", &mut command))?;
    let host = build::programs_of(&programs)?.host;
    let xtask = programs.get("xtask").cloned().context("the build made no program xtask")?;
    stages.time("schemas", || schemas::test(&native, &options.filters))?;
    let server = stages.time("database", || Throwaway::start(&[], |_| Ok(())))?;
    let environment = Environment {
        host,
        xtask,
        anvil,
        artifacts,
        cargo_component,
        database_url: server.postgres.url("postgres"),
    };
    stages.time("tests", || run_tests(&native, &environment, &options.filters))
}

/// Runs what components test themselves.
fn test_components(members: &[Member], filters: &[String]) -> Result<()> {
    let tested = cargo::tested_components(members);
    // Without a package, cargo would take all there are.
    if tested.is_empty() {
        return Ok(());
    }
    let mut command = cargo::cargo();
    command.arg("test").args(tested).args(["--lib", "--no-fail-fast", "--"]).args(filters);
    progress::show("cargo test of the components", &mut command)
}

fn run_tests(native: &[String], environment: &Environment, filters: &[String]) -> Result<()> {
    let mut command = cargo::cargo();
    command.arg("test").args(native).args(["--no-fail-fast", "--"]).args(filters);
    command.env("CLEARFOLD_TEST_DATABASE_URL", &environment.database_url);
    command.env("CLEARFOLD_BIN", &environment.host);
    command.env("CLEARFOLD_XTASK", &environment.xtask);
    command.env("CLEARFOLD_COMPONENTS", build::components_folder());
    command.env("CLEARFOLD_ARTIFACTS", &environment.artifacts);
    command.env("CLEARFOLD_CARGO_COMPONENT", &environment.cargo_component);
    command.env("CLEARFOLD_ROOT", place::root());
    command.env("ANVIL_BIN", &environment.anvil);
    // For components that tests make outside of this workspace: how they are compiled, and where what they share lies.
    let mut authoring = wasm::environment()?;
    authoring.insert("CARGO_TARGET_DIR".into(), place::cache()?.join("authoring").display().to_string());
    // How quick they are, nobody asks.
    for (setting, value) in [("LTO", "off"), ("CODEGEN_UNITS", "16"), ("OPT_LEVEL", "1")] {
        authoring.insert(format!("CARGO_PROFILE_RELEASE_{setting}"), value.into());
    }
    command.env("CLEARFOLD_AUTHORING", serde_json::to_string(&authoring)?);
    progress::show("cargo test", &mut command)
}

/// How long each part took.
#[derive(Default)]
struct Stages(Vec<(&'static str, Duration)>);

impl Stages {
    fn time<T>(&mut self, name: &'static str, work: impl FnOnce() -> Result<T>) -> Result<T> {
        let began = Instant::now();
        let result = work();
        self.0.push((name, began.elapsed()));
        result
    }

    fn print(&self) {
        for (name, time) in &self.0 {
            eprintln!("{name:>16}  {}", progress::seconds(*time));
        }
    }
}
