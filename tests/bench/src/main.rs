//! Benchmarks: each prints its figures beside the limit that binds them, measured in the same run on the same server.
//!
//! `cargo xtask bench` starts this with a durable Postgres and built components. A figure is never a test: machines
//! differ and disks drift, so the ratio to what the same machine could do in the same minute counts.

#![allow(clippy::float_arithmetic, clippy::cast_precision_loss, reason = "figures, not money")]

mod authorize;
mod commands;
mod disk;
mod growth;
mod http;
mod latency;
mod limit;
mod load;
mod place;
mod plot;
mod project;
mod replay;
mod report;
mod sagas;
mod sandbox;
mod served;
mod shadow;
mod swap;
mod timers;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;
use clap::{Parser, ValueEnum};
use clearfold::config::{PROJECTION_PAUSE_MS, STATE_CACHE_MIB};
use clearfold_sandbox::compiler_is_asked_for;

use self::place::Place;
use self::report::Report;

/// The allocator of the host.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

#[derive(Parser)]
#[command(about = "Figures beside what bounds them.")]
struct Arguments {
    /// Benchmark to run
    bench: Bench,
    /// Duration of each measurement, in seconds
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// File for the figures, as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Folder for the plots, as SVG
    #[arg(long, value_name = "FOLDER")]
    plots: Option<PathBuf>,
    /// Sizes that `growth` fills the log to, in events
    #[arg(long, value_delimiter = ',', default_value = "0,1000000,5000000")]
    log_sizes: Vec<u64>,
    /// Number of commands that `shadow` records first
    #[arg(long, default_value_t = 1_000_000)]
    shadow_commands: u64,
    /// Number of timers that wait in `timers`
    #[arg(long, default_value_t = 10_000_000)]
    waiting_timers: u64,
    /// Number of instances that `sagas` opens
    #[arg(long, default_value_t = 1_000_000)]
    open_sagas: u64,
    /// Memory in MiB for the states of streams
    #[arg(long, default_value_t = STATE_CACHE_MIB)]
    state_cache_mib: u64,
    /// Least time in milliseconds from one batch of a projection to its next
    #[arg(long, default_value_t = PROJECTION_PAUSE_MS)]
    projection_pause_ms: u64,
    /// Rates at which `authorize` is asked in an open loop, per second
    #[arg(long, value_delimiter = ',', default_value = "50,200,1000")]
    rates: Vec<u32>,
    /// Clients of the closed loop of `authorize`, each with one authorization under way
    #[arg(long, default_value_t = 128)]
    clients: u64,
    /// Projectors that run meanwhile in `authorize`, none if empty, and those that `project` measures
    #[arg(long, value_delimiter = ',', default_value = authorize::PROJECTORS, value_name = "NAMES")]
    projectors: Vec<String>,
    /// Lengths of the streams that `growth` measures, in events
    #[arg(long, value_delimiter = ',', default_value = "10,1000,100000")]
    stream_lengths: Vec<u64>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Bench {
    /// Raw SQL that writes the same rows and bytes, without a host
    Limit,
    /// Durable commands per second through the whole path
    Commands,
    /// Duration of commands at fixed rates, beside a flush of the same disk
    Latency,
    /// Events folded from the store, natively and in the sandbox
    Replay,
    /// The same decisions natively and in the sandbox
    Wasm,
    /// Commands per second as the log and the streams grow
    Growth,
    /// Recorded commands decided again by another component
    Shadow,
    /// Commands while their decider is replaced every second
    Swap,
    /// Whole authorizations from the network's request to the answer
    Authorize,
    /// Each projection alone, over a log of whole authorizations
    Project,
    /// Memory and speed while instances of a saga are open
    Sagas,
    /// A due timer while millions wait
    Timers,
    /// An HTTP trigger beside the same handler written natively
    Http,
}

fn main() -> ExitCode {
    // As in the host, and for the same reason.
    if let Some(ended) = compiler_is_asked_for() {
        return ended;
    }
    match measure() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("Error: {error:?}");
            ExitCode::FAILURE
        }
    }
}

#[tokio::main]
async fn measure() -> Result<()> {
    let arguments = Arguments::parse();
    let place = Place::read(arguments.projection_pause_ms, arguments.state_cache_mib)?;
    let time = Duration::from_secs(arguments.seconds);
    let mut report = Report::begin(&place, arguments.seconds).await?;
    match arguments.bench {
        Bench::Limit => limit::run(&place, time, &mut report).await?,
        Bench::Commands => commands::run(&place, time, &mut report).await?,
        Bench::Latency => latency::run(&place, time, &mut report).await?,
        Bench::Replay => replay::run(&place, time, &mut report).await?,
        Bench::Shadow => shadow::run(&place, arguments.shadow_commands, &mut report).await?,
        Bench::Swap => swap::run(&place, time, &mut report).await?,
        Bench::Wasm => sandbox::run(&place, time, &mut report)?,
        Bench::Growth => {
            growth::run(&place, time, &arguments.log_sizes, &arguments.stream_lengths, &mut report).await?;
        }
        Bench::Authorize => {
            let Arguments { rates, projectors, clients, .. } = &arguments;
            authorize::run(&place, time, rates, *clients, projectors, &mut report).await?;
        }
        Bench::Project => project::run(&place, time, &arguments.projectors, &mut report).await?,
        Bench::Sagas => sagas::run(&place, arguments.open_sagas, &mut report).await?,
        Bench::Timers => timers::run(&place, time, arguments.waiting_timers, &mut report).await?,
        Bench::Http => http::run(&place, time, &mut report).await?,
    }
    report.print();
    if let Some(file) = &arguments.json {
        report.write(file)?;
    }
    if let Some(folder) = &arguments.plots {
        plot::draw(folder, &report)?;
    }
    Ok(())
}
