//! Events per second, folded from the store: natively, and by the decider in the sandbox. Reading alone beside them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use clearfold_domain::authorization::{Authorization, Event, State};
use clearfold_kernel::{Decider as _, Message as _};
use clearfold_sandbox::{Decider, Decides, Message};
use clearfold_store::{EventStore, StoredEvent};
use tokio::task::JoinSet;

use crate::load::{Payers, closed_loop, request};
use crate::place::{CONNECTIONS, Place};
use crate::report::Report;

const PAGE: u32 = 10_000;

#[derive(Clone)]
enum Fold {
    Nothing,
    Natively,
    Sandboxed(Arc<Decider>),
}

pub async fn run(place: &Place, time: Duration, report: &mut Report) -> Result<()> {
    let log = place.log(CONNECTIONS).await?;
    let writing = place.writing(&log)?;
    closed_loop(&writing.intake, 1_024, time * 2, 0, |number| request(number, Payers::Uniform)).await?;
    let decider = place.deciders()?.remove("authorization").context("the authorization decider")?;
    for (name, fold) in
        [("read", Fold::Nothing), ("native", Fold::Natively), ("sandbox", Fold::Sandboxed(decider))]
    {
        let began = Instant::now();
        let mut folding = JoinSet::new();
        for partition in 0..log.store.partition_count() {
            let (store, fold) = (log.store.clone(), fold.clone());
            folding.spawn(async move { partition_events(&store, partition, &fold).await });
        }
        let mut events = 0_u64;
        while let Some(folded) = folding.join_next().await {
            events += folded??;
        }
        let rate = events as f64 / began.elapsed().as_secs_f64();
        report.figure(format!("{name}, of {events} events"), rate, "events/s");
        if name == "native" {
            report.at_least("events/s folded natively", rate, 200_000.0);
        }
    }
    Ok(())
}

async fn partition_events(store: &EventStore, partition: u32, fold: &Fold) -> Result<u64> {
    let mut position = 0;
    let mut states: BTreeMap<String, State> = BTreeMap::new();
    loop {
        let events = store.page(partition, position, u64::MAX >> 1, PAGE).await?;
        let Some(last) = events.last() else { return Ok(position) };
        position = last.position;
        match fold {
            Fold::Nothing => {}
            Fold::Natively => natively(&mut states, events)?,
            Fold::Sandboxed(decider) => {
                let decider = Arc::clone(decider);
                tokio::task::spawn_blocking(move || sandboxed(&decider, events)).await??;
            }
        }
    }
}

fn natively(states: &mut BTreeMap<String, State>, events: Vec<StoredEvent>) -> Result<()> {
    for stored in events {
        let event = Event::decode(&stored.kind, stored.schema_version, &stored.payload)?;
        let state = states.remove(&stored.stream).unwrap_or_default();
        states.insert(stored.stream, Authorization::evolve(state, &event));
    }
    Ok(())
}

/// Folds as the host folds streams that it loads: one call for each stream.
fn sandboxed(decider: &Decider, events: Vec<StoredEvent>) -> Result<()> {
    let mut by_stream: BTreeMap<String, Vec<Message>> = BTreeMap::new();
    for event in events {
        let message =
            Message { type_: event.kind, schema_version: event.schema_version, payload: event.payload };
        by_stream.entry(event.stream).or_default().push(message);
    }
    for events in by_stream.values() {
        decider.evolve(decider.initial(), &[], events)?;
    }
    Ok(())
}
