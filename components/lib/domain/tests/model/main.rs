//! Differential test: random lives of an account, told to the real deciders with the real saga between them, and to a
//! naive model of what the books must say. Wherever nothing is on its way, the figures of both must be the same.
//!
//! `books` and `totals` are the model, `facts` is what it reads. A life is a pure function of its seed.
//! `cargo xtask sim model --seed N` replays the life of a seed.

#![allow(clippy::expect_used, clippy::panic, reason = "a test fails loudly")]

mod alone;
mod books;
mod compare;
mod coverage;
mod facts;
mod life;
mod links;
mod lives;
mod network;
mod operator;
mod rows;
mod run;
mod totals;

/// World, saga engine and chain of the saga's tests; not all of what they offer is used here.
#[allow(dead_code, reason = "shared with the saga's tests, which use the rest")]
#[path = "../authorization_saga/chain.rs"]
mod chain;
#[allow(dead_code, reason = "shared with the histories, which use the rest")]
#[path = "../histories/dice.rs"]
mod dice;
#[allow(dead_code, reason = "shared with the saga's tests, which use the rest")]
#[path = "../authorization_saga/engine.rs"]
mod engine;
#[allow(dead_code, reason = "shared with the histories, which use the rest")]
#[path = "../histories/live.rs"]
mod live;
#[allow(dead_code, reason = "shared with the histories, which use the rest")]
#[path = "../histories/values.rs"]
mod values;
#[allow(dead_code, reason = "shared with the saga's tests, which use the rest")]
#[path = "../authorization_saga/world.rs"]
mod world;

use std::process::ExitCode;

use clap::Parser;

#[derive(Parser)]
#[command(about = "Plays random lives of an account and compares its books with a naive model.")]
pub struct Options {
    /// Seed of the first life; each further life has the next seed.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Number of lives.
    #[arg(long, default_value_t = 10_000)]
    lives: u64,
    /// Number of steps of each life.
    #[arg(long, default_value_t = 40)]
    steps: usize,
    /// Print the facts of every life that has the model's books.
    #[arg(long)]
    show: bool,
    /// Filters that `cargo test` passes to every test: the lives run if one of them is part of their name.
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
    let is_meant =
        options.filters.is_empty() || options.filters.iter().any(|filter| "model".contains(filter.as_str()));
    if options.list || !is_meant {
        return ExitCode::SUCCESS;
    }
    run::run(&options)
}
