//! `devchain`: deploys the contracts to a development chain, and generates card swipes on it.

mod card_network;
mod generator;
mod host;
mod life;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use alloy::primitives::Address;
use anyhow::Result;
use clap::{Parser, Subcommand};
use clearfold_devchain::{Deployment, DevChain};

use self::card_network::{CardNetwork, Question};
use self::host::Host;

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
    /// Swipes cards at random until it is stopped, and plays the card network if it is given the host's API.
    Swipes(generator::Options),
    /// Asks a host for one authorization as the card network would, and prints the answer as JSON.
    Ask(Ask),
}

#[derive(clap::Args)]
struct Ask {
    /// URL of the host's API.
    #[arg(long, value_name = "URL")]
    api: String,
    /// Secret under which the network signs, as in the host's SPIN_VARIABLE_NETWORK_SECRET.
    #[arg(long, value_name = "SECRET", env = "NETWORK_SECRET", hide_env_values = true)]
    network_secret: String,
    /// Safe that pays.
    #[arg(long, value_name = "ADDRESS")]
    account: Address,
    /// Card that pays.
    #[arg(long, value_name = "ID")]
    card: String,
    /// Amount in cents of a euro.
    #[arg(long, value_name = "CENTS")]
    cents: u64,
    /// Network's id of the payment [default: a new one].
    #[arg(long, value_name = "ID")]
    transaction_id: Option<String>,
    /// Time at which it was first asked, RFC 3339; with the same id and time it is the same message again [default: now].
    #[arg(long, value_name = "TIME")]
    at: Option<String>,
    /// Open the account's books and issue the card first.
    #[arg(long)]
    open: bool,
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
        Command::Ask(options) => ask(&options).await,
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

async fn ask(options: &Ask) -> Result<()> {
    let network = CardNetwork::new(Host::new(&options.api, &options.network_secret)?, Duration::ZERO);
    if options.open {
        network.open_account(options.account).await?;
        network.issue(options.account, &options.card).await?;
    }
    let question = Question {
        transaction_id: options.transaction_id.clone().unwrap_or_else(card_network::new_id),
        account: options.account,
        card: options.card.clone(),
        cents: options.cents,
        at: options.at.clone().unwrap_or_else(host::moment),
    };
    let said = network.ask(&question).await?;
    println!("{}", serde_json::to_string(&said)?);
    Ok(())
}

/// Opens the contracts of an earlier run. Any error counts as "not deployed": if the node cannot be reached, the
/// deployment that follows reports it.
async fn deployed(options: &Deploy) -> Result<DevChain> {
    DevChain::open(&options.rpc, &Deployment::read(&options.deployment)?).await
}
