//! `cargo xtask ci`: every check. Each runs even if others failed.

use std::process::Command;

use anyhow::{Result, bail};

use crate::{
    cargo, contracts, convention, demo, features, place, progress, schemas, sqlx, test, tidy, tools,
};

/// Outcome of a check that did not fail.
enum Outcome {
    Passed,
    Skipped(&'static str),
}

type Check = (&'static str, fn() -> Result<Outcome>);

const CHECKS: [Check; 12] = [
    ("format", || cargo_check("checking the format", &["fmt", "--all", "--", "--check"])),
    ("tidy", || passed(tidy::run(&tidy::Options::default()))),
    ("features", || passed(features::run())),
    ("cargo-machete", machete),
    ("clippy", || {
        let arguments = ["clippy", "--workspace", "--all-targets", "--features", schemas::FEATURE];
        cargo_check("clippy", &[&arguments[..], &["--", "--deny", "warnings"]].concat())
    }),
    ("contracts", || passed(contracts::artifacts())),
    ("queries", || passed(sqlx::run(&sqlx::Options { check: true }))),
    ("schemas", || passed(schemas::run(&schemas::Options { check: true }))),
    ("cargo-deny", deny),
    ("tests", || passed(test::run(&test::Options::default()))),
    ("demo", || passed(demo::run_all())),
    ("cargo-component", || passed(convention::check())),
];

pub fn run() -> Result<()> {
    let mut report = Vec::new();
    let mut failed = 0;
    for (name, check) in CHECKS {
        eprintln!("\n── {name}");
        let line = match check() {
            Ok(Outcome::Passed) => format!("passed   {name}"),
            Ok(Outcome::Skipped(reason)) => format!("skipped  {name}: {reason}"),
            Err(error) => {
                eprintln!("error: {error:#}");
                failed += 1;
                format!("FAILED   {name}")
            }
        };
        report.push(line);
        if crate::signals::stop_requested() {
            bail!("interrupted");
        }
    }
    eprintln!("\n{}", report.join("\n"));
    if failed > 0 {
        bail!("{failed} of {} checks failed; what they say is above", CHECKS.len());
    }
    Ok(())
}

fn passed<T>(result: Result<T>) -> Result<Outcome> {
    result.map(|_| Outcome::Passed)
}

fn cargo_check(label: &str, arguments: &[&str]) -> Result<Outcome> {
    passed(progress::run(label, cargo::cargo().args(arguments)))
}

/// Dependencies that no source names. `features` is not among them: it only states features.
fn machete() -> Result<Outcome> {
    let mut command = Command::new(tools::cargo_machete()?);
    command.args(["components", "contracts", "host", "tests", "xtask"]).current_dir(place::root());
    passed(progress::run("cargo-machete", &mut command))
}

fn is_installed(program: &str) -> bool {
    Command::new(program).arg("--version").output().is_ok_and(|output| output.status.success())
}

/// Licences, sources and duplicates need no network but for the crates; advisories need a copy of their list.
fn deny() -> Result<Outcome> {
    if !is_installed("cargo-deny") {
        return Ok(Outcome::Skipped("not installed; `cargo install --locked cargo-deny` brings it"));
    }
    // It looks at the crates of every platform, and a build fetches only those of this one.
    cargo_check("fetching the crates of every platform", &["fetch", "--locked"])?;
    cargo_check("cargo-deny", &["deny", "--offline", "check", "bans", "licenses", "sources"])?;
    let mut advisories = cargo::cargo();
    advisories.args(["deny", "--offline", "check", "advisories"]);
    if !place::cargo_home()?.join("advisory-dbs").is_dir() {
        return Ok(Outcome::Skipped("advisories only: no copy of their list; `cargo deny fetch` brings it"));
    }
    passed(progress::run("cargo-deny: advisories", &mut advisories))
}
