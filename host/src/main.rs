//! The `clearfold` program.

use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use clearfold::cli::Cli;
use clearfold::telemetry::chain;

/// A command is many small pieces of text that come and go, on two threads at once.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// How long a component that is still running may hold up the end of the program.
const LINGER_MS: u64 = 500;

fn main() -> ExitCode {
    clearfold::faults::begin();
    let cli = Cli::parse();
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => return failed(&error.to_string()),
    };
    let outcome = runtime.block_on(cli.run());
    runtime.shutdown_timeout(Duration::from_millis(LINGER_MS));
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        // Who reads the output has read enough, like `head`.
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => failed(&chain(error.as_ref())),
    }
}

fn failed(why: &str) -> ExitCode {
    eprintln!("clearfold: {why}");
    ExitCode::FAILURE
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let io = error.downcast_ref::<std::io::Error>();
    io.is_some_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe)
}
