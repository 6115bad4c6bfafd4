//! The `clearfold` program. Started by Spin, it is the trigger program `trigger-clearfold`.

use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use clearfold::cli::{Cli, SpinTrigger};
use clearfold_base::telemetry::with_causes;
use clearfold_sandbox::compiler_is_asked_for;

/// A command allocates many small pieces of memory, and another thread frees them. jemalloc hands the piece out again that
/// was freed last, so it is still in the processor's cache.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Time for which a component that is still running may delay the end of the program, in milliseconds.
const LINGER_MS: u64 = 500;

/// Role that this program was started in.
enum Program {
    Trigger(SpinTrigger),
    CommandLine(Box<Cli>),
}

fn main() -> ExitCode {
    if let Some(ended) = compiler_is_asked_for() {
        return ended;
    }
    clearfold_base::faults::begin();
    // The check for Spin comes first, since its arguments are not those of a command.
    let program = match SpinTrigger::asked_for(std::env::args_os()) {
        Some(trigger) => Program::Trigger(trigger),
        None => Program::CommandLine(Box::new(Cli::parse())),
    };
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => return failed(&error.to_string()),
    };
    let outcome = runtime.block_on(async {
        match program {
            Program::Trigger(trigger) => trigger.run().await,
            Program::CommandLine(cli) => cli.run().await,
        }
    });
    runtime.shutdown_timeout(Duration::from_millis(LINGER_MS));
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        // The reader closed the pipe, as `head` does.
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => failed(&with_causes(error.as_ref())),
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
