//! `devchain`: deploys the contracts to a development chain, and generates card swipes on it.

mod clearing;
mod generator;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};
use clearfold_devchain::{Deployment, DevChain};

/// The development chain's contracts, and a generator of card swipes.
#[derive(Parser)]
#[command(name = "devchain", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Deploys the contracts to the chain, unless they are there already.
    Deploy(Deploy),
    /// Swipes cards at random, with a batch of refunds after every 20th, until it is stopped.
    Swipes(generator::Options),
}

#[derive(clap::Args)]
struct Deploy {
    /// The chain's JSON-RPC URL.
    #[arg(long, value_name = "URL")]
    rpc: String,
    /// Directory of the compiled contracts.
    #[arg(long, value_name = "DIR")]
    artifacts: PathBuf,
    /// Number of customer accounts to open, each with money and a daily limit.
    #[arg(long, value_name = "N", default_value_t = 5)]
    accounts: usize,
    /// File with the addresses; it is written, and read the next time.
    #[arg(long, value_name = "FILE")]
    deployment: PathBuf,
    /// File to which the contract set for the host is written.
    #[arg(long, value_name = "FILE")]
    contract_set: PathBuf,
}

#[tokio::main]
async fn main() -> ExitCode {
    let result = match Arguments::parse().command {
        Command::Deploy(options) => deploy(&options).await,
        Command::Swipes(options) => generator::run(&options).await,
    };
    let Err(error) = result else { return ExitCode::SUCCESS };
    eprintln!("devchain: {error:#}");
    ExitCode::FAILURE
}

async fn deploy(options: &Deploy) -> Result<()> {
    let (chain, verb) = match deployed(options).await {
        Ok(chain) => (chain, "already has"),
        Err(_) => (DevChain::deploy(&options.rpc, &options.artifacts, options.accounts).await?, "now has"),
    };
    chain.deployment().write(&options.deployment)?;
    chain.deployment().write_contract_set(&options.contract_set)?;
    let accounts = chain.deployment().accounts.len();
    println!("chain {} {verb} the contracts and {accounts} accounts", chain.deployment().chain_id);
    Ok(())
}

/// Opens the contracts of an earlier run. Any error counts as "not deployed": if the node cannot be reached, the
/// deployment that follows reports it.
async fn deployed(options: &Deploy) -> Result<DevChain> {
    DevChain::open(&options.rpc, &Deployment::read(&options.deployment)?).await
}
