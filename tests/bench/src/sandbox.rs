//! The same decisions natively and in the sandbox, at the batch sizes of load; and what an instance costs.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use clearfold::command::Command;
use clearfold::runtime;
use clearfold_domain::authorization::Authorization;
use clearfold_kernel::{CommandContext, Encoded, Timestamp, Turn, decide_turn};

use crate::load::{Payers, request};
use crate::place::Place;
use crate::report::{Report, Series};

const BATCHES: [u64; 4] = [1, 16, 64, 256];
const NOW_S: u64 = 1_795_341_600;

pub fn run(place: &Place, time: Duration, report: &mut Report) -> Result<()> {
    let deciders = place.deciders()?;
    let decider = deciders.get("authorization").context("the authorization decider")?;
    let time = time / 4;
    let (mut native_line, mut sandboxed_line) = (Vec::new(), Vec::new());
    for batch in BATCHES {
        let commands: Vec<Command> = (0..batch).map(|number| request(number, Payers::Uniform)).collect();
        let turns: Vec<Turn> = commands.iter().map(native_turn).collect::<Result<_>>()?;
        let wire: Vec<runtime::Turn> =
            commands.iter().map(|command| wire_turn(decider.initial(), command)).collect();
        let natively = || {
            for turn in &turns {
                decide_turn::<Authorization>(turn)?;
            }
            Ok(())
        };
        let in_the_sandbox = || {
            decider.decide(&wire)?;
            Ok(())
        };
        let [native, sandboxed] = side_by_side(time, batch, natively, in_the_sandbox)?;
        report.figure(format!("native, batches of {batch}"), native, "µs a decision");
        report.figure(format!("sandbox, batches of {batch}"), sandboxed, "µs a decision");
        if batch == 256 {
            report.at_most("sandbox / native, batches of 256", sandboxed / native, 2.0);
            let unread = unread(&wire);
            let crossing = || {
                decider.decide(&unread)?;
                Ok(())
            };
            let border = each_us(time / 4, batch, crossing)?;
            report.figure("of it the border: the same turns, refused unread", border, "µs a decision");
            report.figure("without the border: sandbox / native", (sandboxed - border) / native, "");
        }
        native_line.push((batch as f64, native));
        sandboxed_line.push((batch as f64, sandboxed));
    }
    let empty = || {
        decider.decide(&[])?;
        Ok(())
    };
    let empty_us = each_us(time, 1, empty)?;
    report.figure("instances", 1_000_000.0 / empty_us, "/s");
    report.figure("a fresh instance and an empty call", empty_us, "µs");
    for (name, points) in [("native", native_line), ("sandbox", sandboxed_line)] {
        let (x, y) = ("decisions a call", "µs a decision");
        report.series.push(Series { plot: "wasm", name: name.to_owned(), x, y, points });
    }
    Ok(())
}

/// Both, in short turns, so that what else the machine does falls on both. Of the turns the median counts.
fn side_by_side(
    time: Duration,
    batch: u64,
    mut one: impl FnMut() -> Result<()>,
    mut other: impl FnMut() -> Result<()>,
) -> Result<[f64; 2]> {
    const TURNS: u32 = 40;
    let (mut ones, mut others) = (Vec::new(), Vec::new());
    for _ in 0..TURNS {
        ones.push(each_us(time / TURNS / 2, batch, &mut one)?);
        others.push(each_us(time / TURNS / 2, batch, &mut other)?);
    }
    Ok([ones, others].map(|mut turns| {
        turns.sort_by(f64::total_cmp);
        turns[turns.len() / 2]
    }))
}

/// Microseconds for each of `batch` that one call does.
fn each_us(time: Duration, batch: u64, mut call: impl FnMut() -> Result<()>) -> Result<f64> {
    let (began, mut calls) = (Instant::now(), 0_u64);
    while began.elapsed() < time {
        call()?;
        calls += 1;
    }
    Ok(began.elapsed().as_secs_f64() * 1_000_000.0 / (calls * batch) as f64)
}

/// The same bytes in commands of a type that nobody knows, so that nothing of them is read.
fn unread(turns: &[runtime::Turn]) -> Vec<runtime::Turn> {
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

fn wire_turn(initial: &[u8], command: &Command) -> runtime::Turn {
    let command = runtime::Command {
        id: command.id.clone(),
        routing_key: command.routing_key.clone(),
        actor: command.actor.clone(),
        accepted_at_ms: NOW_S * 1000,
        message: runtime::Message {
            type_: command.kind.clone(),
            schema_version: 1,
            payload: command.payload.clone(),
        },
    };
    runtime::Turn { state: initial.to_vec(), entries: Vec::new(), commands: vec![command] }
}
