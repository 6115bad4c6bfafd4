//! A shadow run over a recorded log: another component decides the commands again, and its states are compared.
//! Reading alone beside it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use clearfold_engine::integrity::{Shadow, ShadowReport};
use clearfold_sandbox::{Decider, Decides, HandlerEngine, Limits};
use futures::TryStreamExt;

use crate::load::{Payers, closed_loop, request};
use crate::place::{CONNECTIONS, Log, Place};
use crate::report::Report;

/// Seconds that a million commands may take beyond reading them.
const MILLION_S: f64 = 30.0;

pub async fn run(place: &Place, commands: u64, report: &mut Report) -> Result<()> {
    let log = place.log(CONNECTIONS).await?;
    fill(place, &log, commands).await?;
    let mut recorded = 0;
    for partition in 0..log.store.partition_count() {
        recorded += log.store.end(partition).await?.sequence;
    }
    let reading = Instant::now();
    for partition in 0..log.store.partition_count() {
        let commands = log.store.commands_by_stream(partition, "authorization-", 0, u64::MAX >> 1)?;
        let commands = commands.try_fold(0_u64, |count, _| async move { Ok(count + 1) });
        let events = log.store.events_by_stream(partition, "authorization-")?;
        let events = events.try_fold(0_u64, |count, _| async move { Ok(count + 1) });
        tokio::try_join!(commands, events)?;
    }
    let read_s = reading.elapsed().as_secs_f64();
    report.figure(format!("reading {recorded} commands and their events"), read_s, "s");

    let (in_force, candidate) = components(place)?;
    let threads = std::thread::available_parallelism()?.get();
    for (name, with_states) in [("decisions", false), ("decisions and states", true)] {
        let shadow = Shadow {
            store: log.store.clone(),
            in_force: Some(Arc::clone(&in_force) as Arc<dyn Decides>),
            candidate: Arc::clone(&candidate) as Arc<dyn Decides>,
            decided_by: None,
            with_states,
            threads,
        };
        let (mut found, began) = (ShadowReport::default(), Instant::now());
        for partition in 0..log.store.partition_count() {
            let end = log.store.end(partition).await?.sequence;
            shadow.partition(partition, 0, end, &mut found, &|_| ()).await?;
        }
        let took_s = began.elapsed().as_secs_f64();
        ensure!(found.is_same() && found.commands == recorded, "{found:?}");
        report.figure(format!("{name}: the shadow run, reading included"), took_s, "s");
        report.figure(format!("{name}: commands"), recorded as f64 / took_s, "/s");
        let million_s = (took_s - read_s).max(0.0) * 1_000_000.0 / recorded as f64;
        report.at_most(
            &format!("{name}: s for a million commands beside reading them"),
            million_s,
            MILLION_S,
        );
    }
    Ok(())
}

/// Records at least this many commands.
async fn fill(place: &Place, log: &Log, commands: u64) -> Result<()> {
    let writing = place.writing(log)?;
    let (mut recorded, mut first) = (0, 0);
    while recorded < commands {
        let make = |number| request(number, Payers::Uniform);
        closed_loop(&writing.intake, 1_024, Duration::from_secs(5), first, make).await?;
        first += 1_000_000_000;
        recorded = 0;
        for partition in 0..log.store.partition_count() {
            recorded += log.store.end(partition).await?.sequence;
        }
    }
    Ok(())
}

/// Loads the decider that recorded, and the same code under another digest.
fn components(place: &Place) -> Result<(Arc<Decider>, Arc<Decider>)> {
    let in_force = place.deciders()?.remove("authorization").context("the authorization decider")?;
    let wasm = std::fs::read(place.components.join("decider-authorization.wasm"))?;
    let engine = Arc::new(HandlerEngine::new(Limits::of)?);
    let candidate = Decider::load(&engine, "candidate", &noted(&wasm, "shadow"))?;
    Ok((in_force, Arc::new(candidate)))
}

/// Adds a note to the code, a custom section, so that it is another component, and none that was compiled in an
/// earlier run.
pub fn noted(wasm: &[u8], note: &str) -> Vec<u8> {
    // Section id, length, length of the name, name, and bytes that nothing reads. All lengths are short.
    let note = format!("{note} {}", clearfold_base::clock::Clock::system().now());
    let content = [&[4], b"note".as_slice(), note.as_bytes()].concat();
    let length = u8::try_from(content.len()).unwrap_or(0x7f);
    [wasm, &[0, length], &content].concat()
}
