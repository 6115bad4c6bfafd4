//! Commands at a fixed rate while their decider is replaced, beside the same without: their durations, and how many
//! fail. The same for HTTP requests and their component.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use clearfold_base::digest::Digest;
use clearfold_base::signature::Signers;
use clearfold_base::tasks::Tasks;
use clearfold_engine::command::CommandIntake;
use clearfold_engine::registry::{
    ActivationRequest, ComponentFile, DeployRequest, Follower, Handler, Operations, Registry, Shelf,
    StartContext, Window,
};
use clearfold_sandbox::{ComponentKind, HandlerEngine, Limits};
use clearfold_store::EventStore;
use hdrhistogram::Histogram;
use tokio::task::JoinSet;

use crate::http;
use crate::latency::at_rate;
use crate::load::{Payers, histogram, request};
use crate::place::{CONNECTIONS, Log, Place};
use crate::report::Report;
use crate::shadow::noted;

const RATE: u32 = 500;
const COMPONENTS: [(&str, ComponentKind, &str); 4] = [
    ("decider-account", ComponentKind::Decider, "account"),
    ("decider-authorization", ComponentKind::Decider, "authorization"),
    ("decider-card", ComponentKind::Decider, "card"),
    ("translator-gnosis-pay", ComponentKind::Translator, "gnosis-pay"),
];

/// Replacement of the decider while commands arrive.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Swapping {
    Never,
    /// It alternates between two known versions, each after a shadow run.
    EverySecond,
    /// It is replaced by a new version again and again, which is compiled first, on the same cores.
    WithDeploys,
}

/// Duration of a turn. The modes take turns, since disks and other load vary over time.
const TURN: Duration = Duration::from_secs(10);
const MODES: [(Swapping, &str); 3] = [
    (Swapping::Never, "without swaps"),
    (Swapping::EverySecond, "a swap a second"),
    (Swapping::WithDeploys, "deploy after deploy"),
];

pub async fn run(place: &Place, time: Duration, report: &mut Report) -> Result<()> {
    http::swaps(place, time, report).await?;
    let log = place.log(CONNECTIONS).await?;
    let mut swapped = Swapped::begin(place, &log).await?;
    // The first seconds plan statements and fill caches.
    swapped.turn(TURN / 2, Swapping::EverySecond).await?;
    let mut found = Vec::new();
    for _ in MODES {
        found.push((histogram()?, 0));
    }
    let turns = (time.as_secs_f64() / TURN.as_secs_f64()).ceil().max(1.0) as u32;
    for _ in 0..turns {
        for ((mode, _), (latencies, swaps)) in MODES.into_iter().zip(&mut found) {
            let (of_turn, swaps_of_turn) = swapped.turn(time / turns, mode).await?;
            latencies.add(of_turn)?;
            *swaps += swaps_of_turn;
        }
    }
    let p99_without = found[0].0.value_at_percentile(99.0) as f64;
    for ((mode, name), (latencies, swaps)) in MODES.into_iter().zip(&found) {
        for percentile in [50.0, 99.0, 99.9] {
            let ms = latencies.value_at_percentile(percentile) as f64 / 1000.0;
            report.figure(format!("{name}: p{percentile} at {RATE}/s"), ms, "ms");
        }
        if mode != Swapping::Never {
            let p99 = latencies.value_at_percentile(99.0) as f64;
            report.figure(format!("{name}: swaps"), *swaps as f64, "");
            report.at_most(&format!("{name}: p99 / p99 without"), p99 / p99_without, 2.0);
        }
    }
    let (failed, lost) = (swapped.failures.load(Ordering::Relaxed), swapped.lost_or_doubled().await?);
    report.figure("commands of all three".to_owned(), swapped.sent as f64, "");
    report.at_most("commands that failed", failed as f64, 0.0);
    report.at_most("commands that were recorded twice or not at all", lost as f64, 0.0);
    Ok(())
}

/// Write path of a host whose decider of authorizations is replaced.
struct Swapped {
    store: EventStore,
    intake: CommandIntake,
    operations: Operations,
    wasm: Vec<u8>,
    /// Number of versions that were deployed.
    versions: u32,
    /// Two of them, the one in force first.
    known: [Digest; 2],
    sent: u64,
    failures: Arc<AtomicU64>,
    _tasks: Tasks,
}

impl Swapped {
    async fn begin(place: &Place, log: &Log) -> Result<Self> {
        let engine = Arc::new(HandlerEngine::new(Limits::of)?);
        let registry = Registry::new(log.pool.clone());
        let named = named(place)?;
        let starting =
            StartContext { by: "bench".to_owned(), signers: Signers::default(), source_revision: None };
        registry.start(&engine, &named, &starting).await?;
        let shelf = Shelf::new(registry.clone(), Arc::clone(&engine), Signers::default(), Vec::new());
        let handlers: BTreeSet<Handler> = named.iter().map(|named| named.handler.clone()).collect();
        let follower = Follower::begin(registry.clone(), shelf, handlers).await?;
        let live = follower.live().context("there is a translator")?;
        let mut tasks = Tasks::default();
        let intake = place.intake(log, live.deciders, &mut tasks);
        tasks.spawn("registry", follower.run(tasks.driver()));
        let wasm = std::fs::read(place.components.join("decider-authorization.wasm"))?;
        let operations =
            Operations { registry, store: log.store.clone(), engine, signers: Signers::default() };
        let known = [Digest::of(&wasm); 2];
        let (store, failures) = (log.store.clone(), Arc::default());
        let mut swapped =
            Self { store, intake, operations, wasm, versions: 0, known, sent: 0, failures, _tasks: tasks };
        swapped.known[1] = swapped.deploy().await?;
        Ok(swapped)
    }

    /// Sends commands for a time, and returns their durations and how often their decider was replaced.
    async fn turn(&mut self, time: Duration, mode: Swapping) -> Result<(Histogram<u64>, u64)> {
        // A task of its own, since it keeps its thread busy.
        let mut measuring = JoinSet::new();
        let failures = Arc::clone(&self.failures);
        measuring.spawn(commands(time, self.sent, self.intake.clone(), failures));
        self.sent += u64::from(RATE) * time.as_secs().max(1);
        let (began, mut swaps) = (Instant::now(), 0);
        while mode != Swapping::Never && began.elapsed() + Duration::from_secs(1) < time {
            if mode == Swapping::EverySecond {
                let next = Duration::from_secs(swaps + 1);
                tokio::time::sleep(next.saturating_sub(began.elapsed())).await;
            } else {
                self.known[1] = self.deploy().await?;
            }
            self.swap().await?;
            swaps += 1;
        }
        Ok((measuring.join_next().await.context("one was spawned")???, swaps))
    }

    /// Makes a version that never existed before.
    async fn deploy(&mut self) -> Result<Digest> {
        self.versions += 1;
        let wasm = noted(&self.wasm, &format!("version {}", self.versions));
        let deploying = DeployRequest {
            name: "decider-authorization".to_owned(),
            handler: None,
            source_revision: None,
            by: "bench".to_owned(),
            signature: None,
        };
        Ok(self.operations.deploy(&wasm, &deploying).await?.digest)
    }

    async fn swap(&mut self) -> Result<()> {
        // A few commands decided again show that the states are the same, so that stored states stay in use.
        let window = Window::Last(1_000);
        let activating = ActivationRequest { by: "bench".to_owned(), window, expect_divergence: None };
        self.operations.activate(&self.known[1].to_string(), &activating, &|_| ()).await?;
        self.known.swap(0, 1);
        Ok(())
    }

    /// Difference between the number of accepted commands and those in the log.
    async fn lost_or_doubled(&self) -> Result<u64> {
        let mut recorded = self.failures.load(Ordering::Relaxed);
        for partition in 0..self.store.partition_count() {
            recorded += self.store.end(partition).await?.sequence;
        }
        Ok(self.sent.abs_diff(recorded))
    }
}

/// Sends commands at the rate, and counts those that fail.
async fn commands(
    time: Duration,
    first: u64,
    intake: CommandIntake,
    failures: Arc<AtomicU64>,
) -> Result<Histogram<u64>> {
    let send = |number| {
        let (intake, failures) = (intake.clone(), Arc::clone(&failures));
        async move {
            if intake.submit(request(number, Payers::Uniform)).await.is_err() {
                failures.fetch_add(1, Ordering::Relaxed);
            }
            Ok(())
        }
    };
    at_rate(RATE, time, first, send).await
}

fn named(place: &Place) -> Result<Vec<ComponentFile>> {
    let named = COMPONENTS.into_iter().map(|(component, kind, name)| {
        let wasm = std::fs::read(place.components.join(format!("{component}.wasm")))?;
        let handler = Handler { kind, name: name.to_owned() };
        Ok(ComponentFile { handler, component: component.to_owned(), wasm, signature: None })
    });
    named.collect()
}
