//! Commands at a fixed rate while their decider is replaced every second, or as often as it can be, beside the same
//! without: how long they take, and how many fail. And HTTP requests while the component that answers them is.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use clearfold::command::CommandIntake;
use clearfold::parts::Parts;
use clearfold::registry::{
    Activating, Deploying, Follower, Handler, Named, Operations, Registry, Shelf, Starting, Window,
};
use clearfold::runtime::{HandlerEngine, Kind, Limits};
use clearfold::signature::Signers;
use tokio::task::JoinSet;

use crate::http;
use crate::latency::at_rate;
use crate::load::{Payers, request};
use crate::place::{CONNECTIONS, Log, Place};
use crate::report::Report;
use crate::shadow::noted;

const RATE: u32 = 500;
const COMPONENTS: [(&str, Kind, &str); 4] = [
    ("decider-account", Kind::Decider, "account"),
    ("decider-authorization", Kind::Decider, "authorization"),
    ("decider-card", Kind::Decider, "card"),
    ("translator-gnosis-pay", Kind::Translator, "gnosis-pay"),
];

pub async fn run(place: &Place, time: Duration, report: &mut Report) -> Result<()> {
    http::swaps(place, time, report).await?;
    let mut p99_without = 0.0;
    for (name, window) in [
        ("without swaps", None),
        // A few commands decided again show that the states are the same ones, so they go on being used.
        ("a swap a second", Some(Window::Last(1_000))),
    ] {
        let log = place.log(CONNECTIONS).await?;
        let Measured { latencies, failures, swaps, doubled } = measure(place, &log, time, window).await?;
        for percentile in [50.0, 99.0, 99.9] {
            let ms = latencies.value_at_percentile(percentile) as f64 / 1000.0;
            report.figure(format!("{name}: p{percentile} at {RATE}/s"), ms, "ms");
        }
        let p99 = latencies.value_at_percentile(99.0) as f64 / 1000.0;
        if window.is_none() {
            p99_without = p99;
            continue;
        }
        report.figure(format!("{name}: swaps"), swaps as f64, "");
        report.at_most(&format!("{name}: commands that failed"), failures as f64, 0.0);
        report.at_most(
            &format!("{name}: commands that were recorded twice or not at all"),
            doubled as f64,
            0.0,
        );
        report.at_most(&format!("{name}: p99 / p99 without"), p99 / p99_without, 2.0);
    }
    Ok(())
}

struct Measured {
    latencies: hdrhistogram::Histogram<u64>,
    failures: u64,
    swaps: u64,
    /// The difference between the commands that were sent and those that the log has.
    doubled: u64,
}

async fn measure(place: &Place, log: &Log, time: Duration, window: Option<Window>) -> Result<Measured> {
    let engine = Arc::new(HandlerEngine::new(Limits::of)?);
    let registry = Registry::new(log.pool.clone());
    let named = named(place)?;
    let starting = Starting { by: "bench".to_owned(), signers: Signers::default(), source_revision: None };
    registry.start(&engine, &named, &starting).await?;
    let shelf = Shelf::new(registry.clone(), Arc::clone(&engine), Signers::default(), Vec::new());
    let handlers: BTreeSet<Handler> = named.iter().map(|named| named.handler.clone()).collect();
    let follower = Follower::begin(registry.clone(), shelf, handlers).await?;
    let live = follower.live().context("there is a translator")?;
    let mut parts = Parts::default();
    let intake = place.intake(log, live.deciders, &mut parts);
    parts.spawn("registry", follower.run(parts.stop()));

    let failures = Arc::new(AtomicU64::new(0));
    // The first seconds compile statements and fill caches.
    commands(time / 5, 0, intake.clone(), Arc::clone(&failures)).await?;
    let operations = Operations { registry, store: log.store.clone(), engine, signers: Signers::default() };
    let swapping = async {
        let Some(window) = window else { return anyhow::Ok(0) };
        let wasm = std::fs::read(place.components.join("decider-authorization.wasm"))?;
        let (began, mut swaps) = (Instant::now(), 0_u64);
        while began.elapsed() + Duration::from_secs(1) < time {
            tokio::time::sleep(Duration::from_secs(swaps + 1).saturating_sub(began.elapsed())).await;
            swap(&operations, &noted(&wasm, &format!("swap {swaps}")), window).await?;
            swaps += 1;
        }
        Ok(swaps)
    };
    // A task of its own: it keeps its thread.
    let mut measuring = JoinSet::new();
    measuring.spawn(commands(time, 100_000_000, intake, Arc::clone(&failures)));
    let swaps = swapping.await?;
    let latencies = measuring.join_next().await.context("one was spawned")???;
    let mut recorded = 0;
    for partition in 0..log.store.partition_count() {
        recorded += log.store.end(partition).await?.sequence;
    }
    let sent = u64::from(RATE) * (time.as_secs().max(1) + (time / 5).as_secs().max(1));
    let failures = failures.load(Ordering::Relaxed);
    Ok(Measured { latencies, failures, swaps, doubled: sent.abs_diff(recorded + failures) })
}

/// Sends commands at the rate, and counts those that fail.
async fn commands(
    time: Duration,
    first: u64,
    intake: CommandIntake,
    failures: Arc<AtomicU64>,
) -> Result<hdrhistogram::Histogram<u64>> {
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

async fn swap(operations: &Operations, wasm: &[u8], window: Window) -> Result<()> {
    let deploying = Deploying {
        name: "decider-authorization".to_owned(),
        handler: None,
        source_revision: None,
        by: "bench".to_owned(),
        signature: None,
    };
    let digest = operations.deploy(wasm, &deploying).await?.digest;
    let activating = Activating { by: "bench".to_owned(), window, expect_divergence: None };
    operations.activate(&digest.to_string(), &activating, &|_| ()).await?;
    Ok(())
}

fn named(place: &Place) -> Result<Vec<Named>> {
    let named = COMPONENTS.into_iter().map(|(component, kind, name)| {
        let wasm = std::fs::read(place.components.join(format!("{component}.wasm")))?;
        let handler = Handler { kind, name: name.to_owned() };
        Ok(Named { handler, component: component.to_owned(), wasm, signature: None })
    });
    named.collect()
}
