//! Open instances of the authorization saga: memory and speed while their number grows, and an event for an old one.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use clearfold_engine::command::{Answer, Command};
use serde_json::json;

use crate::authorize::seed;
use crate::commands::CLIENTS;
use crate::load::{Payers, closed_loop, histogram, request};
use crate::place::{CONNECTIONS, Place};
use crate::report::{Report, resident_mib};

/// Ten open payments an account: with a thousand, what grows would be the states of accounts and cards.
const PAYERS: Payers = Payers::Many;
/// Old instances that get an event.
const WOKEN: u64 = 200;

pub async fn run(place: &Place, open: u64, report: &mut Report) -> Result<()> {
    let log = place.log(CONNECTIONS).await?;
    let writing = place.writing_with_saga(&log)?;
    seed(&writing.intake, PAYERS).await?;
    let (mut count, mut next, mut first) = (0, open / 10, None);
    while count < open {
        // Numbers are far apart, so that no request comes twice.
        let made = move |number| request(number, PAYERS);
        let outcome = closed_loop(&writing.intake, CLIENTS, Duration::from_secs(1), count * 10, made).await?;
        count += outcome.commands;
        if count >= next {
            let memory = resident_mib();
            report.figure(format!("{count} open, resident memory"), memory, "MiB");
            report.figure(format!("{count} open, begun"), outcome.per_second(), "/s");
            first.get_or_insert(memory);
            next += open / 10;
        }
    }
    let growth = resident_mib() / first.unwrap_or(f64::NAN);
    report.at_most("memory with all open / with a tenth", growth, 1.2);
    let mut latencies = histogram()?;
    for number in 0..WOKEN {
        let began = Instant::now();
        match writing.intake.submit(reversal(number)).await? {
            Answer::Accepted { .. } => {
                latencies.saturating_record(u64::try_from(began.elapsed().as_micros())?);
            }
            Answer::Rejected { code, detail } => bail!("refused: {code}: {detail}"),
        }
    }
    for percentile in [50.0, 99.0] {
        let ms = latencies.value_at_percentile(percentile) as f64 / 1000.0;
        report.figure(format!("an old one reversed and its hold ended, p{percentile}"), ms, "ms");
    }
    Ok(())
}

/// Reversal of the whole payment with a number.
fn reversal(number: u64) -> Command {
    let payload = json!({
        "message_id": format!("reversal-{number}"), "extent": "full", "cause": "merchant",
        "occurred_at": "2026-11-22T10:00:00.000Z",
    });
    Command {
        idempotency_key: format!("bench/reversal/{number}"),
        kind: "ReverseAuthorization".into(),
        payload: payload.to_string().into_bytes(),
        ..request(number, PAYERS)
    }
}
