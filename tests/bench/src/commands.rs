//! Durable commands per second through the whole path: queue, inbox, decider in the sandbox, commit, answer. Beside
//! it, raw SQL that writes the same rows in the same minute.

use std::time::Duration;

use anyhow::Result;

use crate::limit;
use crate::load::{Payers, closed_loop, request};
use crate::place::{BATCH_SIZE, CONNECTIONS, Place};
use crate::report::{Report, resident_mib};

/// As many as the queue and the batches of one partition hold, so that none is refused when all go to one partition.
pub const CLIENTS: usize = 1_024;

pub async fn run(place: &Place, time: Duration, report: &mut Report) -> Result<()> {
    let mut rates = Vec::new();
    for (name, payers) in [("uniform", Payers::Uniform), ("one card", Payers::OneCard)] {
        let log = place.log(CONNECTIONS).await?;
        let writing = place.writing(&log)?;
        let warm =
            closed_loop(&writing.intake, CLIENTS, time / 5, 0, move |number| request(number, payers)).await?;
        let outcome =
            closed_loop(&writing.intake, CLIENTS, time, 2 * warm.commands + 10_000_000, move |number| {
                request(number, payers)
            })
            .await?;
        report.figure(format!("commands, {name}"), outcome.per_second(), "/s");
        for percentile in [50.0, 99.0, 99.9] {
            let value = outcome.percentile_ms(percentile);
            report.figure(format!("commands, {name}, p{percentile}"), value, "ms");
        }
        report.figure(format!("refused as overloaded, {name}"), outcome.overloaded as f64, "");
        rates.push(outcome.per_second());
    }
    report.figure("resident memory of host and load", resident_mib(), "MiB");
    let limit = limit::one_connection(place, BATCH_SIZE, time).await?;
    report.figure(format!("limit, one connection, batches of {BATCH_SIZE}"), limit, "/s");
    report.at_least("uniform / limit from one connection", rates[0] / limit, 0.5);
    report.at_least("one card / uniform", rates[1] / rates[0], 0.5);
    report.at_most("resident memory, MiB", resident_mib(), 300.0);
    Ok(())
}
