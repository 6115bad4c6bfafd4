//! `cargo xtask test`: builds what the tests use, starts a throw-away Postgres, runs them all.

use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::Args;

use crate::cargo::Member;
use crate::throwaway::Throwaway;
use crate::{build, cargo, contracts, examples, features, place, progress, schemas, tools, wasm};

#[derive(Args, Default)]
pub struct Options {
    /// Run only the tests whose names contain one of these.
    #[arg(value_name = "FILTER")]
    filters: Vec<String>,
}

/// Programs, folders and servers that the tests use.
struct Environment {
    host: PathBuf,
    xtask: PathBuf,
    anvil: PathBuf,
    artifacts: PathBuf,
    database_url: String,
}

pub fn run(options: &Options) -> Result<()> {
    build::components(None)?;
    examples::all()?;
    let anvil = tools::anvil()?;
    let artifacts = contracts::artifacts()?;
    let members = cargo::members()?;
    let native = cargo::native(&members);
    // One build for the programs and the tests: cargo test then finds everything made.
    let mut command = cargo::cargo();
    command.arg("build").args(&native).args(["--lib", "--bins", "--tests"]);
    let programs = cargo::build("building the host and the tests", &mut command)?;
    let host = build::programs_of(&programs)?.host;
    let xtask = programs.get("xtask").cloned().context("the build made no program xtask")?;
    test_components(&members, &options.filters)?;
    schemas::test(&native, &options.filters)?;
    let server = Throwaway::start(&[], |_| Ok(()))?;
    let environment =
        Environment { host, xtask, anvil, artifacts, database_url: server.postgres.url("postgres") };
    run_tests(&native, &environment, &options.filters)
}

/// Runs what components test themselves.
fn test_components(members: &[Member], filters: &[String]) -> Result<()> {
    let tested = cargo::tested_components(members);
    // Without a package, cargo would take all there are.
    if tested.is_empty() {
        return Ok(());
    }
    let mut command = cargo::cargo();
    command
        .arg("test")
        .args(features::PACKAGE)
        .args(tested)
        .args(["--lib", "--no-fail-fast", "--"])
        .args(filters);
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
