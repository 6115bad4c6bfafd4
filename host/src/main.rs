//! The `clearfold` program.

use std::process::ExitCode;

use clap::Parser;
use clearfold::cli::Cli;
use clearfold::telemetry::chain;

#[tokio::main]
async fn main() -> ExitCode {
    match Cli::parse().run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("clearfold: {}", chain(error.as_ref()));
            ExitCode::FAILURE
        }
    }
}
