//! `cargo xtask`: every job of this repository, from set-up to running the whole.
//!
//! A job that lacks something (a compiler target, a Postgres, a development chain) fetches it itself, once per
//! machine. What a job never does: touch a database, a process or a file that it did not make.

mod bench;
mod build;
mod cargo;
mod ci;
mod contracts;
mod convention;
mod demo;
mod dev;
mod examples;
mod features;
mod http;
mod place;
mod postgres;
mod processes;
mod progress;
mod schemas;
mod signals;
mod sim;
mod sqlx;
mod test;
mod throwaway;
mod tidy;
mod times;
mod tools;
mod up;
mod wasm;
mod watch;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", about = "Every job of this repository.")]
struct Arguments {
    #[command(subcommand)]
    job: Job,
}

#[derive(Subcommand)]
enum Job {
    /// Build everything, start a database, a chain and card swipes, and show the payments.
    Up(up::Options),
    /// The same, and after each change of a component: build it, hold it to its specifications, put it in force.
    Dev(up::Options),
    /// Show what happens when something goes wrong: a step is refused, the host dies, a block is replaced.
    Demo(demo::Options),
    /// Build the host and the components.
    Build(build::Options),
    /// Build the examples of components in other languages.
    Example(examples::Options),
    /// Run every test, starting what they need.
    Test(test::Options),
    /// Measure, and show each figure beside what bounds it.
    Bench(bench::Options),
    /// Run every check, the tests included.
    Ci,
    /// Play random histories and hold the invariants after every step.
    Sim(sim::Options),
    /// Hold the rules of the house: arrows between crates and modules, lengths, headers.
    Tidy(tidy::Options),
    /// Check that every third-party crate has one feature set, whatever is built together.
    Features,
    /// Show how long each step of the last runs took.
    Times(times::Options),
    /// Write the schemas of all commands and events, `docs/events`, from the domain's types.
    Schemas(schemas::Options),
    /// Write the caches of checked queries, `host/*/.sqlx`, from the migrations.
    Sqlx(sqlx::Options),
    /// For tests: a Postgres that may be killed, until its input ends.
    #[command(hide = true)]
    KillablePostgres,
}

impl Job {
    /// Name under which the times of its steps are kept.
    fn name(&self) -> &'static str {
        match self {
            Self::Up(_) => "up",
            Self::Dev(_) => "dev",
            Self::Build(_) => "build",
            Self::Test(_) => "test",
            Self::Ci => "ci",
            _ => "other",
        }
    }
}

fn main() -> ExitCode {
    if let Err(error) = sqlx::compile_if_asked() {
        eprintln!("error: {error:#}");
        return ExitCode::FAILURE;
    }
    let job = Arguments::parse().job;
    let clock = times::Clock::start();
    let name = job.name();
    let result = signals::watch().and_then(|()| run(job));
    if let Err(error) = times::keep(name, &clock) {
        eprintln!("The times of this run are not kept: {error:#}");
    }
    if ["test", "ci"].contains(&name) {
        times::print();
    }
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(job: Job) -> Result<()> {
    match job {
        Job::Up(options) => up::run(&options),
        Job::Dev(options) => dev::run(&options),
        Job::Demo(options) => demo::run(&options),
        Job::Build(options) => build::run(&options),
        Job::Example(options) => examples::run(&options),
        Job::Test(options) => test::run(&options),
        Job::Bench(options) => bench::run(&options),
        Job::Ci => ci::run(),
        Job::Sim(options) => sim::run(&options),
        Job::Tidy(options) => tidy::run(&options),
        Job::Features => features::run(),
        Job::Times(options) => times::run(&options),
        Job::Schemas(options) => schemas::run(&options),
        Job::Sqlx(options) => sqlx::run(&options),
        Job::KillablePostgres => throwaway::killable(),
    }
}
