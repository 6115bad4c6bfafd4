//! API clients that continue through any fault: each sends one command after another, each until it is answered.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::Answer;

/// Number of clients that send at the same time. Half of them write to one account.
const CLIENTS: usize = 12;
const ACCOUNTS: usize = 5;
/// Time after which a command without an answer is sent again with the same key.
const PATIENCE_MS: u64 = 1_500;
/// Longest time for which a command may stay without an answer, whatever happens.
const LIMIT_S: u64 = 60;
const PAUSE_MS: u64 = 10;

/// Command with the first answer to it.
#[derive(Debug, Clone)]
pub struct Heard {
    pub key: String,
    pub body: Value,
    pub answer: Answer,
}

/// Running clients.
pub struct Load {
    hosts: Hosts,
    stop: CancellationToken,
    clients: JoinSet<Result<Vec<Heard>>>,
}

/// Addresses that commands are sent to at the moment; any of them will do.
type Hosts = Arc<Mutex<Vec<String>>>;

impl Load {
    /// Starts clients that send to these hosts.
    pub fn start(addresses: &[&str]) -> Result<Self> {
        clearfold_base::tls::install();
        let client = reqwest::Client::builder().timeout(Duration::from_millis(PATIENCE_MS)).build()?;
        let mut load =
            Self { hosts: Hosts::default(), stop: CancellationToken::new(), clients: JoinSet::new() };
        load.send_to(addresses);
        for number in 0..CLIENTS {
            let (hosts, client) = (Arc::clone(&load.hosts), client.clone());
            load.clients.spawn(Sender { number, hosts, client }.run(load.stop.clone()));
        }
        Ok(load)
    }

    /// Sends to these hosts from now on.
    pub fn send_to(&self, addresses: &[&str]) {
        *self.hosts.lock().unwrap_or_else(PoisonError::into_inner) =
            addresses.iter().map(|&address| address.to_owned()).collect();
    }

    /// Begins no more commands, and waits until every one has its answer.
    pub async fn finish(mut self) -> Result<Vec<Heard>> {
        self.stop.cancel();
        let mut heard = Vec::new();
        while let Some(client) = self.clients.join_next().await {
            heard.extend(client??);
        }
        Ok(heard)
    }
}

struct Sender {
    number: usize,
    hosts: Hosts,
    client: reqwest::Client,
}

impl Sender {
    async fn run(self, stop: CancellationToken) -> Result<Vec<Heard>> {
        let mut heard = Vec::new();
        for step in 0.. {
            if stop.is_cancelled() {
                break;
            }
            let (key, body) = (format!("load-{}-{step}", self.number), self.command(step));
            let answer = if usize::is_multiple_of(step, 4) {
                // A client that sends a command twice at once gets the same answer twice.
                let (one, other) = tokio::try_join!(self.answer(&key, &body), self.answer(&key, &body))?;
                ensure!(one == other, "{key} was answered with {one:?} and with {other:?}");
                one
            } else {
                self.answer(&key, &body).await?
            };
            heard.push(Heard { key, body, answer });
            tokio::time::sleep(Duration::from_millis(PAUSE_MS)).await;
        }
        Ok(heard)
    }

    /// Sends a command until it is answered.
    async fn answer(&self, key: &str, body: &Value) -> Result<Answer> {
        let mut began = Instant::now();
        let mut last = None;
        for attempt in self.number.. {
            // The first host may compile its components for a minute; until then nobody is asked.
            if self.hosts.lock().unwrap_or_else(PoisonError::into_inner).is_empty() {
                began = Instant::now();
            }
            ensure!(began.elapsed() < Duration::from_secs(LIMIT_S), "{key} has no answer: {last:?}");
            match self.send(attempt, key, body).await {
                Ok(answer) if matches!(answer.status, 200 | 422) => return Ok(answer),
                Ok(answer) if answer.status != 503 => bail!("{key} was answered with {answer:?}"),
                unheard => last = Some(unheard),
            }
            tokio::time::sleep(Duration::from_millis(PAUSE_MS)).await;
        }
        bail!("{key} was given up")
    }

    async fn send(&self, attempt: usize, key: &str, body: &Value) -> Result<Answer> {
        let address = {
            let hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
            hosts.get(attempt % hosts.len().max(1)).cloned().context("there is no host")?
        };
        let request = self.client.post(format!("http://{address}/v1/commands"));
        Answer::of(request.header("idempotency-key", key).json(body).send().await?).await
    }

    /// Makes one payment after another, each of five commands on the payment's stream and on the account's.
    fn command(&self, step: usize) -> Value {
        let account = if self.number.is_multiple_of(2) { 0 } else { self.number % ACCOUNTS };
        let account = format!("0x{account:038x}ac");
        let payment = format!("c{}-p{}", self.number, step / 5);
        let (aggregate, kind, payload) = match (step, step % 5) {
            (0, _) => ("account", "OpenAccount", json!({"assets": [{"asset": "EURe", "decimals": 18}]})),
            // Already satisfied, so no event.
            (_, 0) => ("account", "VoidHold", json!({"hold_id": "never-placed"})),
            (_, 1) => ("authorization", "RequestAuthorization", request(&account)),
            (_, 2) => {
                ("account", "PlaceHold", json!({"hold_id": payment, "amount": euro(850), "forced": true}))
            }
            (_, 3) => ("authorization", "ApproveAuthorization", json!({"amount": euro(850)})),
            // Already decided, so rejected.
            _ => ("authorization", "ApproveAuthorization", json!({"amount": euro(851)})),
        };
        let id = if aggregate == "account" { &account } else { &payment };
        json!({"aggregate": aggregate, "id": id, "account": account, "type": kind, "schema_version": 1,
               "payload": payload})
    }
}

fn request(account: &str) -> Value {
    json!({
        "message_id": "m1",
        "account": account,
        "card_id": "card-1",
        "amount": euro(850),
        "merchant": {"id": "526567002107", "name": "Caffe Sicilia", "category": "5812", "country": "IT"},
        "network": "visa",
        "partial_allowed": false,
        "occurred_at": "2026-11-22T10:15:30.000Z",
    })
}

fn euro(minor: u32) -> Value {
    json!({"minor": minor.to_string(), "asset": "EURe", "decimals": 18})
}
