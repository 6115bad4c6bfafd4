//! Generator of random cardholder activity at a steady pace: swipes on the chain, and, if there is a host, payments
//! that the card network asks for, in turns. It continues after errors, until it is stopped.

use std::path::PathBuf;
use std::time::Duration;

use alloy::primitives::{Address, B256, U256};
use anyhow::Result;
use clearfold_devchain::{Deployment, DevChain};
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{MissedTickBehavior, interval};

use crate::card_network::{self, CardNetwork, Question};
use crate::host::{Host, moment};

/// Swipes on the chain between two batches of refunds, where no host is told of them.
const SWIPES_PER_REFUND: u64 = 20;
/// More than any account has.
const TOO_MUCH_CENTS: u64 = 5_000_000_000;
const CENTS: std::ops::RangeInclusive<u64> = 100..=12_000;
const NETWORK_POLL: Duration = Duration::from_secs(1);

#[derive(clap::Args)]
pub struct Options {
    /// The chain's JSON-RPC URL.
    #[arg(long, value_name = "URL")]
    rpc: String,
    /// File with the addresses that `devchain deploy` wrote.
    #[arg(long, value_name = "FILE")]
    deployment: PathBuf,
    /// Time from one swipe to the next, in milliseconds.
    #[arg(long, value_name = "MS", default_value_t = 2000, value_parser = clap::value_parser!(u64).range(1..))]
    every_ms: u64,
    /// Stop after this number of swipes; by default it runs until stopped. Payments not cleared by then stay
    /// recorded.
    #[arg(long, value_name = "N")]
    count: Option<u64>,
    /// URL of the host's API. With it, the card network asks for payments too, and clears, reverses, refunds and settles
    /// them.
    #[arg(long, value_name = "URL", requires = "network_secret")]
    api: Option<String>,
    /// Secret under which the network signs, as in the host's SPIN_VARIABLE_NETWORK_SECRET.
    #[arg(long, value_name = "SECRET", env = "NETWORK_SECRET", hide_env_values = true)]
    network_secret: Option<String>,
    /// Time from one act of the network on a payment to the next, in milliseconds.
    #[arg(long, value_name = "MS", default_value_t = 6000)]
    clear_after_ms: u64,
}

pub async fn run(options: &Options) -> Result<()> {
    let mut interrupted = signal(SignalKind::interrupt())?;
    let mut terminated = signal(SignalKind::terminate())?;
    tokio::select! {
        result = play(options) => result,
        _ = interrupted.recv() => Ok(()),
        _ = terminated.recv() => Ok(()),
    }
}

async fn play(options: &Options) -> Result<()> {
    let deployment = Deployment::read(&options.deployment)?;
    let chain = DevChain::open(&options.rpc, &deployment).await?;
    let (Some(api), Some(secret)) = (&options.api, &options.network_secret) else {
        swipe(&chain, None, options).await;
        return Ok(());
    };
    let patience = Duration::from_millis(options.clear_after_ms);
    let mut network = CardNetwork::new(Host::new(api, secret)?, patience);
    let accounts: Vec<Address> = deployment.accounts.iter().map(|account| account.safe).collect();
    network.open(&accounts).await?;
    let asking = CardNetwork::new(Host::new(api, secret)?, patience);
    tokio::select! {
        () = swipe(&chain, Some(&asking), options) => {}
        () = go_on(&mut network) => {}
    }
    Ok(())
}

async fn swipe(chain: &DevChain, network: Option<&CardNetwork>, options: &Options) {
    let mut ticks = interval(Duration::from_millis(options.every_ms));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut chain_away, mut host_away) = (Once::default(), Once::default());
    let mut count = 0_u64;
    while options.count != Some(count) {
        ticks.tick().await;
        count += 1;
        match network {
            Some(network) if count.is_multiple_of(2) => {
                host_away.report("the host takes no authorizations", ask_once(chain, network).await);
            }
            _ => chain_away.report("the chain does not take swipes", swipe_once(chain).await),
        }
        if network.is_none() && count.is_multiple_of(SWIPES_PER_REFUND) {
            chain_away.report("the chain does not take refunds", refund_once(chain).await);
        }
    }
}

async fn go_on(network: &mut CardNetwork) {
    let mut ticks = interval(NETWORK_POLL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut away = Once::default();
    loop {
        ticks.tick().await;
        away.report("the network waits for the host", network.go_on().await);
    }
}

/// Asks for a random payment: now and then for too much, or with a card that was reported lost.
async fn ask_once(chain: &DevChain, network: &CardNetwork) -> Result<()> {
    let (account, cents) = draw(chain);
    let (card, cents) = match B256::random()[0] % 12 {
        0 => (format!("card-{account}"), TOO_MUCH_CENTS),
        1 => (format!("card-{account}-lost"), cents),
        _ => (format!("card-{account}"), cents),
    };
    let safe = chain.deployment().account(account)?.safe;
    let question =
        Question { transaction_id: card_network::new_id(), account: safe, card, cents, at: moment() };
    let said = network.ask(&question).await?;
    let reason = said.reason.map(|reason| format!(": {reason}")).unwrap_or_default();
    println!("asked {} account {safe:#x} {}{reason}", display(cents), said.action);
    Ok(())
}

async fn swipe_once(chain: &DevChain) -> Result<()> {
    let (account, cents) = draw(chain);
    let swipe = chain.swipe(account, minor(cents)).await?;
    println!("swipe {} account {:#x} tx {}", display(cents), swipe.safe, swipe.transaction_hash);
    Ok(())
}

async fn refund_once(chain: &DevChain) -> Result<()> {
    let refunds = [draw(chain), draw(chain), draw(chain)];
    let total: u64 = refunds.iter().map(|(_, cents)| cents).sum();
    let mined = chain.refund_batch(&refunds.map(|(account, cents)| (account, minor(cents)))).await?;
    println!("refunds {} in all {} tx {}", refunds.len(), display(total), mined.transaction_hash);
    Ok(())
}

/// Draws a random account and a random amount in cents.
fn draw(chain: &DevChain) -> (usize, u64) {
    let dice = B256::random();
    let accounts = chain.deployment().accounts.len();
    let account = usize::from(dice[0]) % accounts.max(1);
    let cents =
        CENTS.start() + u64::from(u16::from_be_bytes([dice[1], dice[2]])) % (CENTS.end() - CENTS.start() + 1);
    (account, cents)
}

fn minor(cents: u64) -> U256 {
    U256::from(cents) * U256::from(10_000_000_000_000_000_u64)
}

fn display(cents: u64) -> String {
    format!("{}.{:02} EURe", cents / 100, cents % 100)
}

/// Reports the first failure, and then the first success after it.
#[derive(Default)]
struct Once {
    failing: bool,
}

impl Once {
    fn report(&mut self, what: &str, result: Result<()>) {
        let was_failing = std::mem::replace(&mut self.failing, result.is_err());
        match result {
            Ok(()) if was_failing => eprintln!("it works again"),
            Err(error) if !was_failing => eprintln!("{what}, going on: {error:#}"),
            Ok(()) | Err(_) => {}
        }
    }
}
