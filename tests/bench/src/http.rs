//! An HTTP trigger beside the same handler written natively: requests per second and their durations, through one
//! server, over the same connections, in turns.
//!
//! The handler is the customer's read of a payment: it asks the host's API in the same process, and returns a part of
//! the answer. The native one is an axum handler; the trigger is the component `edge-payments`, with a fresh instance
//! for each request. The API is the real one, which asks the read store; and, to measure the sandbox alone, one that
//! answers from memory.

use std::future::IntoFuture;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Path, State};
use axum::http::{Request, StatusCode, header};
use axum::routing::get;
use clearfold::api::Edges;
use clearfold_sandbox::edge::{EdgeHandler, EdgeLimits, EdgeRuntime, InProcessApi};
use clearfold_sandbox::manifest::{OutboundHost, Route};
use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tower::ServiceExt;

use crate::load::histogram;
use crate::place::Place;
use crate::report::Report;
use crate::served::{PAYMENTS, Served, id};
use crate::shadow::noted;

/// Address of the host's API for the component.
const API: &str = "http://127.0.0.1:9100";
const CONNECTIONS: u64 = 16;
/// Number of turns. Both take turns, so that other load on the machine affects both.
const TURNS: u32 = 10;
/// Share of the native handler's rate that should remain with a sandbox for each request.
const SHARE: f64 = 0.4;

pub async fn run(place: &Place, time: Duration, report: &mut Report) -> Result<()> {
    let edge = load(&EdgeRuntime::new(EdgeLimits::default())?, &wasm(place)?, api())?;
    alone(&edge, time / 4, report).await?;
    let in_memory = beside("API in memory", place, api(), time, report).await?;
    report.figure("API in memory: trigger / native, requests a second".to_owned(), in_memory, "");
    let served = Served::begin(place).await?;
    let real = beside("API with its read store", place, served.api.clone(), time, report).await?;
    report.at_least("API with its read store: trigger / native, requests a second", real, SHARE);
    Ok(())
}

/// Measures the component beside the native handler, both on this API, and returns the share of the native rate.
async fn beside(name: &str, place: &Place, api: Router, time: Duration, report: &mut Report) -> Result<f64> {
    let edge = load(&EdgeRuntime::new(EdgeLimits::default())?, &wasm(place)?, api.clone())?;
    let route = Route::parse("/edge/...").context("a route")?;
    let native = Router::new().route("/native/payments/{id}", get(natively)).with_state(api);
    let app = Edges::new(vec![(route, edge)]).in_front_of(native);
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let mut server = JoinSet::new();
    server.spawn(axum::serve(listener, app).into_future());

    let (mut native, mut trigger) = (Measured::begin()?, Measured::begin()?);
    // The first requests grow pools and fill caches.
    for path in ["native", "edge"] {
        Measured::begin()?.add(address, path, time / 10).await?;
    }
    for _ in 0..TURNS {
        native.add(address, "native", time / TURNS).await?;
        trigger.add(address, "edge", time / TURNS).await?;
    }
    for (way, measured) in [("natively", &native), ("through the trigger", &trigger)] {
        report.figure(format!("{name}: {way}, {CONNECTIONS} connections"), measured.rate(), "requests/s");
        for percentile in [50.0, 99.0] {
            let ms = measured.latencies.value_at_percentile(percentile) as f64 / 1000.0;
            report.figure(format!("{name}: {way}, p{percentile}"), ms, "ms");
        }
    }
    Ok(trigger.rate() / native.rate())
}

/// Measures requests while the component that answers them is replaced every second, beside the same without.
pub async fn swaps(place: &Place, time: Duration, report: &mut Report) -> Result<()> {
    let (runtime, wasm) = (EdgeRuntime::new(EdgeLimits::default())?, wasm(place)?);
    let route = Route::parse("/edge/...").context("a route")?;
    let edges = Edges::new(vec![(route, load(&runtime, &wasm, api())?)]);
    let app = edges.clone().in_front_of(Router::new());
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let mut server = JoinSet::new();
    server.spawn(axum::serve(listener, app).into_future());
    Measured::begin()?.add(address, "edge", time / 10).await?;
    let mut without = Measured::begin()?;
    without.add(address, "edge", time).await?;
    let mut with = Measured::begin()?;
    let swapping = async {
        let mut swaps = 0_u64;
        for _ in 1..time.as_secs() {
            tokio::time::sleep(Duration::from_secs(1)).await;
            let other = noted(&wasm, &format!("swap {swaps}"));
            let handler = tokio::task::block_in_place(|| load(&runtime, &other, api()))?;
            ensure!(edges.replace("edge-payments", &handler) == 1, "nobody was replaced");
            swaps += 1;
        }
        Ok(swaps)
    };
    // An answer that is not as expected ends the benchmark.
    let ((), swaps) = tokio::try_join!(with.add(address, "edge", time), swapping)?;
    let p99 = |measured: &Measured| measured.latencies.value_at_percentile(99.0) as f64 / 1000.0;
    report.figure("HTTP without swaps: p99", p99(&without), "ms");
    report.figure("HTTP, a swap a second: p99", p99(&with), "ms");
    report.figure("HTTP: swaps", swaps as f64, "");
    report.figure("HTTP: requests meanwhile, all answered", with.latencies.len() as f64, "");
    report.at_most("HTTP, a swap a second: p99 / p99 without", p99(&with) / p99(&without), 2.0);
    Ok(())
}

/// Measures the sandbox without a socket: one request after the other, on one thread.
async fn alone(edge: &EdgeHandler, time: Duration, report: &mut Report) -> Result<()> {
    let (began, mut requests) = (Instant::now(), 0_u64);
    while began.elapsed() < time {
        let request =
            Request::get(format!("/edge/payments/{}", id(0))).header(header::HOST, "127.0.0.1:9100");
        let answer = edge.handle(request.body(Body::empty())?).await?;
        ensure!(answer.status() == StatusCode::OK, "the component answers {}", answer.status());
        requests += 1;
    }
    let each_us = began.elapsed().as_secs_f64() * 1_000_000.0 / requests as f64;
    report.figure("a request without a socket, a fresh instance each", each_us, "µs");
    Ok(())
}

fn wasm(place: &Place) -> Result<Vec<u8>> {
    Ok(std::fs::read(place.components.join("edge-payments.wasm"))?)
}

/// Loads the component as the host does.
fn load(runtime: &EdgeRuntime, wasm: &[u8], router: Router) -> Result<EdgeHandler> {
    let variables = [("host_url", API), ("customer_secret", "")];
    let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    let api = InProcessApi { authorities: vec!["127.0.0.1:9100".parse()?], router };
    Ok(runtime.load("edge-payments", wasm, variables, vec![OutboundHost::parse(API)?], api)?)
}

/// Serves an API that knows every payment, from memory.
fn api() -> Router {
    let answer = async |Path(id): Path<String>| {
        axum::Json(json!({
        "id": id, "account": "0x1111111111111111111111111111111111111111", "status": "cleared",
        "amount": {"minor": "8500000000000000000", "decimals": 18, "asset": "EURe", "display": "8.50 EURe"},
        "source": {"chain_id": 100, "log_index": 8}, "timeline": [{"type": "SwipeRecorded"}],
        "occurred_at": "2026-01-02T03:04:05Z", "updated_at": "2026-01-02T03:04:15Z",
        }))
    };
    Router::new().route("/v1/payments/{id}", get(answer))
}

#[derive(Deserialize, Serialize)]
struct Payment {
    id: String,
    status: String,
    amount: Amount,
    occurred_at: String,
    updated_at: String,
}

#[derive(Deserialize, Serialize)]
struct Amount {
    minor: String,
    decimals: u8,
    asset: String,
    display: String,
}

/// Does what the component does, without a sandbox.
async fn natively(
    State(api): State<Router>,
    Path(id): Path<String>,
) -> Result<axum::Json<Payment>, StatusCode> {
    const BAD: StatusCode = StatusCode::BAD_GATEWAY;
    let request = Request::get(format!("/v1/payments/{id}")).body(Body::empty()).map_err(|_| BAD)?;
    let answer = api.oneshot(request).await.map_err(|_| BAD)?;
    let body = to_bytes(answer.into_body(), 1 << 20).await.map_err(|_| BAD)?;
    let payment: Payment = serde_json::from_slice(&body).map_err(|_| BAD)?;
    if payment.id == id { Ok(axum::Json(payment)) } else { Err(BAD) }
}

/// Requests over several turns.
struct Measured {
    latencies: Histogram<u64>,
    time: Duration,
}

impl Measured {
    fn begin() -> Result<Self> {
        Ok(Self { latencies: histogram()?, time: Duration::ZERO })
    }

    fn rate(&self) -> f64 {
        self.latencies.len() as f64 / self.time.as_secs_f64()
    }

    /// Sends as many requests as get through in that time.
    async fn add(&mut self, address: SocketAddr, path: &str, time: Duration) -> Result<()> {
        let began = Instant::now();
        let mut connections = JoinSet::new();
        for connection in 0..CONNECTIONS {
            connections.spawn(ask(address, path.to_owned(), connection, began + time));
        }
        while let Some(latencies) = connections.join_next().await {
            self.latencies.add(&latencies??)?;
        }
        self.time += began.elapsed();
        Ok(())
    }
}

/// Sends requests on one connection, one after the other, for one payment after the other.
async fn ask(address: SocketAddr, path: String, first: u64, until: Instant) -> Result<Histogram<u64>> {
    let mut connection = TcpStream::connect(address).await?;
    connection.set_nodelay(true)?;
    let (mut latencies, mut buffer) = (histogram()?, Vec::with_capacity(1 << 12));
    for number in first.. {
        let began = Instant::now();
        if began >= until {
            break;
        }
        let payment = id(number % PAYMENTS);
        let request = format!("GET /{path}/payments/{payment} HTTP/1.1\r\nhost: {address}\r\n\r\n");
        connection.write_all(request.as_bytes()).await?;
        buffer.clear();
        while !is_whole(&buffer)? {
            ensure!(connection.read_buf(&mut buffer).await? > 0, "the server hung up");
        }
        latencies.record(u64::try_from(began.elapsed().as_micros())?)?;
    }
    Ok(latencies)
}

/// Returns true if an answer is complete; it must be as expected.
fn is_whole(buffer: &[u8]) -> Result<bool> {
    const END: &[u8] = b"\r\n\r\n";
    let Some(head) = buffer.windows(END.len()).position(|at| at == END) else { return Ok(false) };
    let text = std::str::from_utf8(&buffer[..head])?.to_ascii_lowercase();
    ensure!(text.starts_with("http/1.1 200"), "the answer is {text}");
    let length = text.lines().find_map(|line| line.strip_prefix("content-length: "));
    let length: usize = length.context("an answer without a length")?.parse()?;
    Ok(buffer.len() >= head + END.len() + length)
}
