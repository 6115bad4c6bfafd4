//! The same decisions natively and in the sandbox: one in a fresh instance, batches of load, on one thread and on
//! two.
//!
//! Calls of both kinds take turns of a few milliseconds, so that other load on the machine affects both; the median
//! of the turns counts. It measures, and asserts nothing.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use clearfold_domain::authorization::Authorization;
use clearfold_engine::command::Command;
use clearfold_kernel::{CommandContext, Encoded, Timestamp, Turn, decide_turn};
use clearfold_sandbox::{self, Decider, Decides, HandlerEngine, Limits};

use crate::load::{Payers, request};
use crate::place::Place;
use crate::report::{Report, Series};

const BATCHES: [u64; 4] = [1, 16, 64, 256];
const NOW_S: u64 = 1_795_341_600;
/// Decisions a call when variants of the component are compared.
const VARIANT_BATCH: u64 = 16;
/// Variants of the component: the feature that takes out one of its parts, that part, and the least ratio of fuel at
/// which the part pays. Fuel counts instructions, so that it is the same in each run; docs/adr/0018 has the figures.
const VARIANTS: [(&str, &str, f64); 2] =
    [("default-allocator", "the arena", 1.1), ("serde-json-writer", "the kernel's writer", 1.03)];
/// Turns of each way of deciding.
const TURNS: u32 = 40;

/// Commands for new streams, as the native types and as those of WIT.
struct Work {
    size: u64,
    native: Vec<Turn>,
    wire: Vec<clearfold_sandbox::Turn>,
}

pub fn run(place: &Place, time: Duration, report: &mut Report) -> Result<()> {
    let deciders = place.deciders()?;
    let decider = deciders.get("authorization").context("the authorization decider")?;
    let time = time / 4;
    loading(place, report)?;
    instances(decider, time, report)?;
    threads(decider, time, report)?;
    variants(decider, time, report)?;
    let (mut native_line, mut fresh_line, mut kept_line) = (Vec::new(), Vec::new(), Vec::new());
    for size in BATCHES {
        let work = Work::new(decider, size)?;
        let [native, fresh, kept] = three_ways(decider, &work, time)?;
        report.figure(format!("native, batches of {size}"), native, "µs a decision");
        report.figure(format!("fresh instance, batches of {size}"), fresh, "µs a decision");
        report.figure(format!("kept instance, batches of {size}"), kept, "µs a decision");
        let (_, fuel) = decider.decide_counted(&work.wire)?;
        report.figure(format!("fuel, batches of {size}"), fuel as f64 / size as f64, "units a decision");
        match size {
            1 => report.at_most("fresh instance and one decision, µs", fresh, 15.0),
            256 => {
                report.at_most("fresh instance / native, batches of 256", fresh / native, 2.0);
                border(decider, &work, [native, fresh], time, report)?;
            }
            _ => {}
        }
        native_line.push((size as f64, native));
        fresh_line.push((size as f64, fresh));
        kept_line.push((size as f64, kept));
    }
    for (name, points) in [("native", native_line), ("sandbox", fresh_line), ("kept instance", kept_line)] {
        let (x, y) = ("decisions a call", "µs a decision");
        report.series.push(Series { plot: "wasm", name: name.to_owned(), x, y, points });
    }
    Ok(())
}

impl Work {
    fn new(decider: &Decider, size: u64) -> Result<Self> {
        let commands: Vec<Command> = (0..size).map(|number| request(number, Payers::Uniform)).collect();
        let native = commands.iter().map(native_turn).collect::<Result<_>>()?;
        let wire = commands.iter().map(|command| wire_turn(decider.initial(), command)).collect();
        Ok(Self { size, native, wire })
    }

    fn natively(&self) -> Result<()> {
        for turn in &self.native {
            std::hint::black_box(decide_turn::<Authorization>(turn)?);
        }
        Ok(())
    }
}

/// Measures a component from its bytes to its first answer, compiled before.
fn loading(place: &Place, report: &mut Report) -> Result<()> {
    let wasm = std::fs::read(place.components.join("decider-authorization.wasm"))?;
    let engine = Arc::new(HandlerEngine::new(Limits::of)?);
    Decider::load(&engine, "decider-authorization", &wasm)?;
    let mut load = || Decider::load(&engine, "decider-authorization", &wasm).map(drop).map_err(Into::into);
    report.figure("load from the cache", median_us(TURNS, &mut load)? / 1000.0, "ms");
    Ok(())
}

fn instances(decider: &Decider, time: Duration, report: &mut Report) -> Result<()> {
    let mut empty = || decider.decide(&[]).map(drop).map_err(Into::into);
    let [empty_us] = in_turns(time, 1, [&mut empty])?;
    report.figure("instances", 1_000_000.0 / empty_us, "/s");
    report.figure("a fresh instance, an empty call, and its end", empty_us, "µs");
    Ok(())
}

/// Measures decisions per second in fresh instances, one a call: on one thread, and on two at once.
fn threads(decider: &Decider, time: Duration, report: &mut Report) -> Result<()> {
    let work = Work::new(decider, 1)?;
    let part = time / TURNS;
    let count = || {
        let (began, mut calls) = (Instant::now(), 0_u64);
        while began.elapsed() < part {
            decider.decide(&work.wire)?;
            calls += 1;
        }
        anyhow::Ok(calls as f64 / began.elapsed().as_secs_f64())
    };
    let (mut on_one, mut on_two) = (Vec::new(), Vec::new());
    for _ in 0..TURNS {
        on_one.push(count()?);
        let both = std::thread::scope(|scope| {
            let other = scope.spawn(count);
            let this = count()?;
            let other = other.join().map_err(|_| anyhow::anyhow!("a thread of the benchmark panicked"))??;
            anyhow::Ok(this + other)
        })?;
        on_two.push(both);
    }
    let (on_one, on_two) = (median(on_one), median(on_two));
    report.figure("one decision a fresh instance, one thread", on_one, "/s");
    report.figure("one decision a fresh instance, two threads", on_two, "/s");
    report.at_least("two threads / one thread", on_two / on_one, 1.6);
    Ok(())
}

/// Measures what the arena and the JSON writer save: the same decisions by variants of the component, one without each.
fn variants(decider: &Decider, time: Duration, report: &mut Report) -> Result<()> {
    let work = Work::new(decider, VARIANT_BATCH)?;
    let (_, fuel) = decider.decide_counted(&work.wire)?;
    let engine = Arc::new(HandlerEngine::new(Limits::of)?);
    let folder = std::env::var("CLEARFOLD_COMPONENT_VARIANTS");
    let folder = PathBuf::from(folder.context("run `cargo xtask bench wasm`, which builds the variants")?);
    for (feature, ours, least) in VARIANTS {
        let path = folder.join(feature).join("decider-authorization.wasm");
        let wasm = std::fs::read(&path).with_context(|| format!("reading {}", path.display()))?;
        let variant = Decider::load(&engine, "decider-authorization", &wasm)?;
        let mut with = || decider.decide(&work.wire).map(drop).map_err(Into::into);
        let mut without = || variant.decide(&work.wire).map(drop).map_err(Into::into);
        let [with_us, without_us] = in_turns(time, VARIANT_BATCH, [&mut with, &mut without])?;
        report.figure(format!("with {feature} instead of {ours}"), without_us, "µs a decision");
        report.figure(format!("time, {feature} / {ours}"), without_us / with_us, "");
        let (_, without_fuel) = variant.decide_counted(&work.wire)?;
        report.at_least(&format!("fuel, {feature} / {ours}"), without_fuel as f64 / fuel as f64, least);
    }
    Ok(())
}

/// Measures decisions natively, in a fresh instance, and in one that is kept.
fn three_ways(decider: &Decider, work: &Work, time: Duration) -> Result<[f64; 3]> {
    let mut natively = || work.natively();
    let mut freshly = || decider.decide(&work.wire).map(drop).map_err(Into::into);
    let mut instance = decider.kept()?;
    let mut calls = 0_u32;
    let mut kept = || {
        // A call's data stays in the instance's memory, so an instance is not kept for ever.
        calls += 1;
        if calls.is_multiple_of(1_000) {
            instance = decider.kept()?;
        }
        instance(&work.wire).map(drop).map_err(Into::into)
    };
    in_turns(time, work.size, [&mut natively, &mut freshly, &mut kept])
}

/// Measures the cost of copying the bytes in and out.
fn border(
    decider: &Decider,
    work: &Work,
    [native, fresh]: [f64; 2],
    time: Duration,
    report: &mut Report,
) -> Result<()> {
    let unread = unread(&work.wire);
    let mut crossing = || decider.decide(&unread).map(drop).map_err(Into::into);
    let [border] = in_turns(time / 4, work.size, [&mut crossing])?;
    report.figure("of it the border: the same turns, refused unread", border, "µs a decision");
    report.figure("without the border: fresh instance / native", (fresh - border) / native, "");
    Ok(())
}

/// Returns the microseconds for each of the `batch` items of one call, for each way of doing it.
fn in_turns<const N: usize>(
    time: Duration,
    batch: u64,
    mut ways: [&mut dyn FnMut() -> Result<()>; N],
) -> Result<[f64; N]> {
    let mut turns = [const { Vec::new() }; N];
    for _ in 0..TURNS {
        for (way, turns) in ways.iter_mut().zip(&mut turns) {
            let part = time / TURNS / N as u32;
            let (began, mut calls) = (Instant::now(), Vec::new());
            while began.elapsed() < part || calls.is_empty() {
                let call = Instant::now();
                way()?;
                calls.push(call.elapsed().as_secs_f64() * 1_000_000.0 / batch as f64);
            }
            turns.push(median(calls));
        }
    }
    Ok(turns.map(median))
}

fn median_us(times: u32, call: &mut dyn FnMut() -> Result<()>) -> Result<f64> {
    let mut calls = Vec::new();
    for _ in 0..times {
        let began = Instant::now();
        call()?;
        calls.push(began.elapsed().as_secs_f64() * 1_000_000.0);
    }
    Ok(median(calls))
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or_default()
}

/// The same bytes in commands of an unknown type, so that none of them are parsed.
fn unread(turns: &[clearfold_sandbox::Turn]) -> Vec<clearfold_sandbox::Turn> {
    let mut turns = turns.to_vec();
    for command in turns.iter_mut().flat_map(|turn| &mut turn.commands) {
        command.message.type_ = "Unknown".to_owned();
    }
    turns
}

fn native_turn(command: &Command) -> Result<Turn> {
    let context = CommandContext {
        id: command.id.clone(),
        routing_key: command.routing_key.clone(),
        actor: command.actor.clone(),
        accepted_at: Timestamp::from_s(NOW_S).context("a time")?,
    };
    let (kind, payload) = (command.kind.clone(), command.payload.clone());
    Ok(Turn {
        state: Vec::new(),
        entries: Vec::new(),
        commands: vec![(context, Encoded { kind, schema_version: 1, payload })],
    })
}

fn wire_turn(initial: &[u8], command: &Command) -> clearfold_sandbox::Turn {
    let command = clearfold_sandbox::WireCommand {
        id: command.id.clone(),
        routing_key: command.routing_key.clone(),
        actor: command.actor.clone(),
        accepted_at_ms: NOW_S * 1000,
        message: clearfold_sandbox::Message {
            type_: command.kind.clone(),
            schema_version: 1,
            payload: command.payload.clone(),
        },
    };
    clearfold_sandbox::Turn { state: initial.to_vec(), entries: Vec::new(), commands: vec![command] }
}
