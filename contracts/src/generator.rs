//! Generator of random cardholder activity: swipes at a steady pace, occasional refunds, and the card network's
//! clearing if there is a host to present it to. It continues after errors, until it is stopped.

use std::path::PathBuf;
use std::time::Duration;

use alloy::primitives::{B256, U256};
use anyhow::Result;
use clearfold_devchain::{Deployment, DevChain};
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{MissedTickBehavior, interval};

use crate::clearing::CardNetwork;

const SWIPES_PER_REFUND: u64 = 20;
const CENTS: std::ops::RangeInclusive<u64> = 100..=12_000;
const CLEARING_POLL: Duration = Duration::from_secs(1);

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
    /// URL of the host's API. With it, payments are also cleared, as the card network would.
    #[arg(long, value_name = "URL")]
    api: Option<String>,
    /// Time that a payment stays recorded before it is cleared, in milliseconds.
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
    let network = options.api.as_deref().map(|api| CardNetwork::new(api, options.clear_after_ms));
    tokio::select! {
        () = swipe(&chain, options) => {}
        () = clear(network) => {}
    }
    Ok(())
}

async fn swipe(chain: &DevChain, options: &Options) {
    let mut ticks = interval(Duration::from_millis(options.every_ms));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut away = Once::default();
    let mut count = 0;
    while options.count != Some(count) {
        ticks.tick().await;
        count += 1;
        away.report("the chain does not take swipes", swipe_once(chain).await);
        if count % SWIPES_PER_REFUND == 0 {
            away.report("the chain does not take refunds", refund_once(chain).await);
        }
    }
}

async fn clear(network: Option<CardNetwork>) {
    let Some(mut network) = network else { return std::future::pending().await };
    let mut ticks = interval(CLEARING_POLL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut away = Once::default();
    loop {
        ticks.tick().await;
        away.report("clearings wait", network.clear_due().await);
    }
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
