//! The commands that are sent, and the clients that send them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use clearfold_engine::command::{Answer, Command, CommandIntake};
use hdrhistogram::Histogram;
use serde_json::json;
use tokio::task::JoinSet;

/// Distribution of the payments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Payers {
    /// A thousand accounts, over all partitions.
    Uniform,
    /// A hundred thousand accounts, over all partitions.
    Many,
    /// One card of one account: one partition.
    OneCard,
}

impl Payers {
    /// Returns the number of accounts, each with a card.
    pub fn accounts(self) -> u64 {
        match self {
            Payers::Uniform => 1_000,
            Payers::Many => 100_000,
            Payers::OneCard => 1,
        }
    }
}

/// Result of a load.
pub struct Outcome {
    pub commands: u64,
    pub elapsed: Duration,
    /// Latencies in microseconds.
    pub latencies: Histogram<u64>,
    pub overloaded: u64,
}

impl Outcome {
    pub fn per_second(&self) -> f64 {
        self.commands as f64 / self.elapsed.as_secs_f64()
    }

    pub fn percentile_ms(&self, percentile: f64) -> f64 {
        self.latencies.value_at_percentile(percentile) as f64 / 1000.0
    }
}

pub fn histogram() -> Result<Histogram<u64>> {
    Ok(Histogram::new_with_bounds(1, 600_000_000, 3)?)
}

pub fn account(number: u64) -> String {
    format!("0x{number:040x}")
}

/// Makes the command by which the network asks for a new payment.
pub fn request(number: u64, payers: Payers) -> Command {
    let payer = 1 + number % payers.accounts();
    let payload = json!({
        "message_id": format!("msg-{number}"), "account": account(payer), "card_id": format!("card-{payer}"),
        "amount": {"minor": "8500000000000000000", "asset": "EURe", "decimals": 18},
        "merchant": {"id": "m1", "name": "Trattoria da Bruno", "category": "5812", "country": "IT"},
        "network": "visa", "partial_allowed": false, "occurred_at": "2026-11-22T10:00:00.000Z",
    });
    Command {
        idempotency_key: format!("bench/{number}"),
        aggregate: "authorization".into(),
        id: format!("{number:032x}"),
        routing_key: account(payer),
        kind: "RequestAuthorization".into(),
        schema_version: 1,
        payload: payload.to_string().into_bytes(),
        actor: "api".into(),
    }
}

/// Runs this many clients, each with one command under way, for this long. `make` makes the commands by number.
pub async fn closed_loop(
    intake: &CommandIntake,
    clients: usize,
    time: Duration,
    first: u64,
    make: impl Fn(u64) -> Command + Send + Sync + 'static,
) -> Result<Outcome> {
    let (next, over) = (Arc::new(AtomicU64::new(first)), Arc::new(AtomicBool::new(false)));
    let make = Arc::new(make);
    let mut working = JoinSet::new();
    let began = Instant::now();
    for _ in 0..clients {
        let (intake, next, over, make) =
            (intake.clone(), Arc::clone(&next), Arc::clone(&over), Arc::clone(&make));
        working.spawn(async move {
            let (mut latencies_us, mut overloaded) = (Vec::new(), 0);
            while !over.load(Ordering::Relaxed) {
                let command = make(next.fetch_add(1, Ordering::Relaxed));
                let sent = Instant::now();
                match intake.submit(command).await {
                    Ok(Answer::Accepted { .. }) => {
                        latencies_us.push(u32::try_from(sent.elapsed().as_micros()).unwrap_or(u32::MAX));
                    }
                    Ok(Answer::Rejected { code, detail }) => bail!("refused: {code}: {detail}"),
                    Err(error) if error.is_passing() => {
                        overloaded += 1;
                        tokio::time::sleep(Duration::from_millis(1)).await;
                    }
                    Err(error) => return Err(error.into()),
                }
            }
            Ok((latencies_us, overloaded))
        });
    }
    tokio::time::sleep(time).await;
    let elapsed = began.elapsed();
    over.store(true, Ordering::Relaxed);
    let (mut latencies, mut overloaded) = (histogram()?, 0);
    while let Some(client) = working.join_next().await {
        let (theirs, refused) = client??;
        theirs.into_iter().for_each(|latency_us| latencies.saturating_record(latency_us.into()));
        overloaded += refused;
    }
    Ok(Outcome { commands: latencies.len(), elapsed, latencies, overloaded })
}
