//! Whole authorizations, from the network's HTTP request to the answer: signature, edge component, request, saga with
//! card and account, commit. In an open loop at fixed rates and in a closed loop, beside a flush of the same disk and
//! the host's plain commands.
//!
//! The host's outbox and all its projections run meanwhile, as they do in a host.

use std::future::IntoFuture;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use clearfold::api::Edges;
use clearfold_base::clock::Clock;
use clearfold_edge_kit::Secrets;
use clearfold_engine::command::{Answer, Command, CommandIntake};
use clearfold_sandbox::edge::{EdgeLimits, EdgeRuntime, InProcessApi};
use clearfold_sandbox::manifest::{OutboundHost, Route};
use clearfold_store::EventStore;
use hdrhistogram::Histogram;
use serde_json::{Value, json};
use sqlx::PgPool;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::commands::CLIENTS;
use crate::disk;
use crate::latency::at_rate;
use crate::load::{Payers, account, closed_loop, request};
use crate::place::{CONNECTIONS, Place};
use crate::report::{Report, processor_ms, resident_mib};
use crate::served::Served;

/// Address of the host's API for the component.
const API: &str = "http://127.0.0.1:9100";
const SECRET: &str = "the-secret-of-the-benchmark";
const PATH: &str = "/network/authorizations";
/// Rate at which the targets hold.
const TARGET_RATE: u32 = 200;
const PERCENTILES: [f64; 3] = [50.0, 99.0, 99.9];
/// Projectors of the application.
pub const PROJECTORS: &str = "projector-payments,projector-merchants,projector-disputes,projector-balances,\
                              projector-card-usage,projector-settlement,projector-sagas";

pub async fn run(
    place: &Place,
    time: Duration,
    rates: &[u32],
    clients: u64,
    projectors: &[String],
    report: &mut Report,
) -> Result<()> {
    // The empty list of the command line is one empty name.
    let projectors: Vec<&str> =
        projectors.iter().map(String::as_str).filter(|name| !name.is_empty()).collect();
    let folder = place.disk.clone();
    let flushes = tokio::task::spawn_blocking(move || disk::flushes(&folder, time / 2)).await??;
    let flush_p99_ms = flushes.value_at_percentile(99.0) as f64 / 1000.0;
    report.figure("flush, p99", flush_p99_ms, "ms");

    let log = place.log(CONNECTIONS).await?;
    let (pool, read, store) = (log.pool.clone(), log.read.clone(), log.store.clone());
    let writing = place.writing_with_saga(&log)?;
    seed(&writing.intake, Payers::Uniform).await?;
    let served = Served::of(place, log, writing, &projectors).await?;
    let (network, _server) = Network::before(place, &served).await?;
    for (index, rate) in rates.iter().copied().enumerate() {
        let first = index as u64 * 1_000_000_000;
        network.at_rate(rate, time / 5, first).await?;
        let latencies = network.at_rate(rate, time, first + 100_000_000).await?;
        for percentile in PERCENTILES {
            let ms = latencies.value_at_percentile(percentile) as f64 / 1000.0;
            report.figure(format!("{rate}/s, p{percentile}"), ms, "ms");
        }
        report.figure(format!("{rate}/s, not approved"), network.take_unapproved() as f64, "");
        if rate == TARGET_RATE {
            let p99_ms = latencies.value_at_percentile(99.0) as f64 / 1000.0;
            let most_ms = (12.0 * flush_p99_ms).max(50.0);
            report.at_most("200/s: p99, ms; the larger of 50 and 12 flushes", p99_ms, most_ms);
        }
    }
    report.at_most("commits of one authorization, at most", commits(&pool).await?, 1.0);
    let before = transactions(&read).await?;
    let (host_ms, database_ms) = (processor_ms(None), processor_ms(Some("postgres")));
    let most = network.closed_loop(clients, time).await?;
    let count = most * time.as_secs_f64();
    let host_ms = (processor_ms(None) - host_ms) / count;
    let database_ms = (processor_ms(Some("postgres")) - database_ms) / count;
    report.figure("processor time of host and load for one authorization", host_ms, "ms");
    report.figure("processor time of Postgres for one authorization", database_ms, "ms");
    let behind = behind(&store, &read).await?;
    let began = Instant::now();
    while self::behind(&store, &read).await? > 0 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    report.figure("events that the last projection is behind at the end", behind as f64, "");
    report.figure("time until it has them", began.elapsed().as_secs_f64(), "s");
    let projected = (transactions(&read).await? - before) / count;
    report.figure("transactions of the read store for one authorization", projected, "");
    report.figure("closed loop, not approved", network.take_unapproved() as f64, "");
    report.figure(format!("authorizations, closed loop, with {} projections", projectors.len()), most, "/s");
    drop((network, served));
    let alone = write_path(place, time, CLIENTS).await?;
    let few = usize::try_from(clients)?;
    let of_few = write_path(place, time, few).await?;
    report.figure(format!("authorizations, write path alone, {CLIENTS} clients"), alone, "/s");
    report.figure(format!("authorizations, write path alone, {clients} clients"), of_few, "/s");
    report.at_least("complete authorizations a second", most, 1_500.0);
    report.figure("resident memory of host and load", resident_mib(), "MiB");
    let log = place.log(CONNECTIONS).await?;
    let writing = place.writing(&log)?;
    let commands =
        closed_loop(&writing.intake, CLIENTS, time, 0, |number| request(number, Payers::Uniform)).await?;
    report.figure("commands, uniform", commands.per_second(), "/s");
    report.figure("authorizations of the write path / commands", alone / commands.per_second(), "");
    Ok(())
}

/// Completes as many authorizations as the write path can, without HTTP, edge and projections.
async fn write_path(place: &Place, time: Duration, clients: usize) -> Result<f64> {
    let log = place.log(CONNECTIONS).await?;
    let writing = place.writing_with_saga(&log)?;
    seed(&writing.intake, Payers::Uniform).await?;
    let outcome =
        closed_loop(&writing.intake, clients, time, 0, |number| request(number, Payers::Uniform)).await?;
    Ok(outcome.per_second())
}

/// Opens accounts with money and a card each.
pub(crate) async fn seed(intake: &CommandIntake, payers: Payers) -> Result<()> {
    let mut sent = JoinSet::new();
    for number in 1..=payers.accounts() {
        let intake = intake.clone();
        sent.spawn(async move {
            for command in books_of(number) {
                if let Answer::Rejected { code, detail } = intake.submit_in_turn(command).await? {
                    bail!("refused: {code}: {detail}");
                }
            }
            Ok(())
        });
    }
    while let Some(seeded) = sent.join_next().await {
        seeded??;
    }
    Ok(())
}

fn books_of(number: u64) -> [Command; 3] {
    let account = account(number);
    let source = json!({
        "chain_id": 100, "block_hash": format!("0x{}", "22".repeat(32)), "block_number": 1,
        "transaction_hash": format!("0x{number:064x}"), "log_index": 1,
    });
    let money = json!({"minor": "1000000000000000000000000000", "asset": "EURe", "decimals": 18});
    let rules = json!({"categories": "all", "countries": "all", "limits": [], "velocity": []});
    let command = |aggregate: &str, id: &str, kind: &str, actor: &str, payload: &Value| Command {
        idempotency_key: format!("seed/{kind}/{number}"),
        aggregate: aggregate.into(),
        id: id.into(),
        routing_key: account.clone(),
        kind: kind.into(),
        schema_version: 1,
        payload: payload.to_string().into_bytes(),
        actor: actor.into(),
    };
    let assets = json!({"assets": [{"asset": "EURe", "decimals": 18}]});
    let deposit = json!({"amount": money, "source": source, "occurred_at": "2026-11-22T10:00:00.000Z"});
    let card = json!({"account": account, "rules": rules});
    [
        command("account", &account, "OpenAccount", "api", &assets),
        command("account", &account, "RecordDeposit", "chain", &deposit),
        command("card", &format!("card-{number}"), "IssueCard", "api", &card),
    ]
}

/// Number of events that the projection furthest behind has not projected; zero without projections.
async fn behind(store: &EventStore, read: &PgPool) -> Result<u64> {
    let head: u64 = store.heads().await?.iter().sum();
    let last = "SELECT min(position)::bigint FROM (SELECT coalesce(sum(position), 0) AS position
                FROM projections LEFT JOIN projection_checkpoints ON projection = name GROUP BY name) AS of_each";
    let last: Option<i64> = sqlx::query_scalar(last).fetch_one(read).await?;
    Ok(last.map_or(0, |last| head.saturating_sub(last.unsigned_abs())))
}

/// Number of transactions that a read store has committed.
async fn transactions(read: &PgPool) -> Result<f64> {
    let committed = "SELECT xact_commit::float8 FROM pg_stat_database WHERE datname = current_database()";
    Ok(sqlx::query_scalar(committed).fetch_one(read).await?)
}

/// Number of commits in which the events of an authorization lie, for the one with the most.
async fn commits(pool: &PgPool) -> Result<f64> {
    let most: i64 = sqlx::query_scalar(
        "SELECT max(commits) FROM (SELECT count(DISTINCT xmin::text) AS commits FROM events
         WHERE correlation_id IN (SELECT correlation_id FROM events WHERE type = 'AuthorizationApproved')
         GROUP BY correlation_id) AS of_each",
    )
    .fetch_one(pool)
    .await?;
    Ok(most as f64)
}

/// Card network that sends signed requests over connections that it keeps.
#[derive(Clone)]
struct Network {
    address: SocketAddr,
    secrets: Arc<Secrets>,
    idle: Arc<Mutex<Vec<TcpStream>>>,
    /// Requests that were turned away, or declined since no decision came in time.
    unapproved: Arc<AtomicU64>,
}

impl Network {
    /// Serves the edge in front of the API. The server ends with the returned set.
    async fn before(place: &Place, served: &Served) -> Result<(Self, JoinSet<std::io::Result<()>>)> {
        let wasm = std::fs::read(place.components.join("edge-network.wasm"))?;
        let variables = [
            ("host_url", API),
            ("network_secret", SECRET),
            ("network_window_s", "300"),
            ("network_budget_ms", "800"),
        ];
        let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        let api = InProcessApi { authorities: vec!["127.0.0.1:9100".parse()?], router: served.api.clone() };
        let runtime = EdgeRuntime::new(EdgeLimits::default())?;
        let edge = runtime.load("edge-network", &wasm, variables, vec![OutboundHost::parse(API)?], api)?;
        let route = Route::parse("/network/...").context("a route")?;
        let app = Edges::new(vec![(route, edge)]).in_front_of(served.api.clone());
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let mut server = JoinSet::new();
        server.spawn(axum::serve(listener, app).into_future());
        let secrets = Secrets::parse("network_secret", SECRET).map_err(|error| anyhow::anyhow!("{error}"))?;
        Ok((
            Self { address, secrets: Arc::new(secrets), idle: Arc::default(), unapproved: Arc::default() },
            server,
        ))
    }

    async fn at_rate(&self, rate: u32, time: Duration, first: u64) -> Result<Histogram<u64>> {
        let send = |number| {
            let network = self.clone();
            async move { network.authorize(number).await.map(drop) }
        };
        at_rate(rate, time, first, send).await
    }

    /// Completes as many authorizations as get through in that time.
    async fn closed_loop(&self, clients: u64, time: Duration) -> Result<f64> {
        let (began, mut running) = (Instant::now(), JoinSet::new());
        for client in 0..clients {
            let network = self.clone();
            running.spawn(async move {
                let (mut sent, mut count) = (0_u64, 0_u64);
                while began.elapsed() < time {
                    let number = 10_000_000_000 + sent * clients + client;
                    count += u64::from(network.authorize(number).await?);
                    sent += 1;
                }
                anyhow::Ok(count)
            });
        }
        let mut count = 0;
        while let Some(of_client) = running.join_next().await {
            count += of_client??;
        }
        Ok(count as f64 / began.elapsed().as_secs_f64())
    }

    /// Number of requests that were not approved since the last time.
    fn take_unapproved(&self) -> u64 {
        self.unapproved.swap(0, Ordering::Relaxed)
    }

    /// Asks for one authorization. Returns true if it is approved.
    async fn authorize(&self, number: u64) -> Result<bool> {
        let pooled = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut connection = match pooled {
            Some(connection) => connection,
            None => {
                let connection = TcpStream::connect(self.address).await?;
                connection.set_nodelay(true)?;
                connection
            }
        };
        connection.write_all(self.message(number).as_bytes()).await?;
        let mut buffer = Vec::with_capacity(1 << 11);
        let is_approved = loop {
            if let Some(is_approved) = answer(&buffer)? {
                break is_approved;
            }
            ensure!(connection.read_buf(&mut buffer).await? > 0, "the server hung up");
        };
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
        self.unapproved.fetch_add(u64::from(!is_approved), Ordering::Relaxed);
        Ok(is_approved)
    }

    fn message(&self, number: u64) -> String {
        let payer = 1 + number % Payers::Uniform.accounts();
        let body = json!({
            "message_id": format!("m{number}"), "transaction_id": format!("t{number}"), "network": "visa",
            "account": account(payer), "card": format!("card-{payer}"),
            "transmitted_at": "2026-11-22T10:00:00.000Z",
            "amount": {"minor": "850", "currency": "EUR", "exponent": 2},
            "merchant": {"id": "m1", "name": "Trattoria da Bruno", "category": "5812", "country": "IT"},
        })
        .to_string();
        let at_s = (Clock::system().now().as_ms() / 1_000).to_string();
        let code = self.secrets.code(&[at_s.as_bytes(), b".", PATH.as_bytes(), b".", body.as_bytes()]);
        format!(
            "POST {PATH} HTTP/1.1\r\nhost: {}\r\nx-timestamp: {at_s}\r\nx-signature: v1={code}\r\n\
             content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            self.address,
            body.len()
        )
    }
}

/// Returns whether an answer is an approval; none while it is not complete. Under too much load the edge turns requests
/// away, or a decision comes too late; any other answer is an error.
fn answer(buffer: &[u8]) -> Result<Option<bool>> {
    const END: &[u8] = b"\r\n\r\n";
    let Some(head) = buffer.windows(END.len()).position(|at| at == END) else { return Ok(None) };
    let text = std::str::from_utf8(&buffer[..head])?.to_ascii_lowercase();
    let length = text.lines().find_map(|line| line.strip_prefix("content-length: "));
    let length: usize = length.context("an answer without a length")?.parse()?;
    let body = &buffer[head + END.len()..];
    if body.len() < length {
        return Ok(None);
    }
    let body = String::from_utf8_lossy(body);
    let is_approved = text.starts_with("http/1.1 200") && body.contains("\"approved\"");
    let is_late = body.contains("\"no_answer\"") || body.contains("\"timeout\"");
    let is_turned_away = text.starts_with("http/1.1 503");
    ensure!(is_approved || is_late || is_turned_away, "the answer is {text} {body}");
    Ok(Some(is_approved))
}
