//! Random histories of an account, its cards and its payments, each a pure function of its seed.
//!
//! After every step the model's invariants hold, a command without effect leaves the state byte for byte as it was,
//! stored data reads back as it was written, and no message needs an entry that it does not name. At times on the way
//! and at the end, folds and snapshots agree with the live state. At the end no command is in flight forever. The
//! histories use the deciders, the bookings and the invariants as they are: there is no second model of payments
//! here.
//!
//! `cargo xtask sim domain --seed N` replays the history of a seed.

#![allow(clippy::expect_used, reason = "a test fails loudly")]

mod accounts;
mod cards;
mod claims;
mod clearings;
mod coverage;
mod decisions;
mod dice;
mod facts;
mod fees;
mod history;
mod links;
mod live;
mod numbers;
mod payments;
mod pending;
mod play;
mod run;
mod saga;
mod twist;
mod values;
mod world;

use std::process::ExitCode;

use clap::Parser;

#[derive(Parser)]
#[command(about = "Plays random histories of payments and holds the invariants after every step.")]
pub struct Options {
    /// Seed of the first history; each further history has the next seed.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Number of histories.
    #[arg(long, default_value_t = 10_000)]
    histories: u64,
    /// Number of steps of each history.
    #[arg(long, default_value_t = 200)]
    steps: usize,
    /// Print every step as it is played.
    #[arg(long)]
    show: bool,
    /// Filters that `cargo test` passes to every test: the histories run if one of them is part of their name.
    #[arg(value_name = "FILTER")]
    filters: Vec<String>,
    /// Accepted because `cargo test` passes it; has no effect here.
    #[arg(long, hide = true)]
    nocapture: bool,
    /// Accepted because `cargo test` passes it to list the tests: nothing is played.
    #[arg(long, hide = true)]
    list: bool,
}

fn main() -> ExitCode {
    let options = Options::parse();
    let is_meant = options.filters.is_empty()
        || options.filters.iter().any(|filter| "histories".contains(filter.as_str()));
    if options.list || !is_meant {
        return ExitCode::SUCCESS;
    }
    run::run(&options)
}
