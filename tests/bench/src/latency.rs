//! How long a command takes that arrives when it will: an open loop at fixed rates, measured from the moment at which
//! the command was due, so that no wait is left out. Beside it, a flush of the same disk.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use tokio::task::JoinSet;

use crate::disk;
use crate::load::{Payers, histogram, request};
use crate::place::{CONNECTIONS, Place, Writing};
use crate::report::{Report, Series};

const RATES: [u32; 3] = [50, 500, 2_000];
/// What a flush and the way may take beyond it, at the middle rate.
const BEYOND_A_FLUSH_MS: f64 = 2.0;

pub async fn run(place: &Place, time: Duration, report: &mut Report) -> Result<()> {
    let folder = place.disk.clone();
    let flushes = tokio::task::spawn_blocking(move || disk::flushes(&folder, time / 2)).await??;
    let flush_ms = |percentile| flushes.value_at_percentile(percentile) as f64 / 1000.0;
    report.figure("flush, p50", flush_ms(50.0), "ms");
    report.figure("flush, p99", flush_ms(99.0), "ms");
    let log = place.log(CONNECTIONS).await?;
    let writing = place.writing(&log)?;
    let mut points = Vec::new();
    for (index, rate) in RATES.into_iter().enumerate() {
        let first = index as u64 * 1_000_000_000;
        // The first seconds compile statements and fill caches.
        at_rate(&writing, rate, time / 5, first).await?;
        let latencies = at_rate(&writing, rate, time, first + 100_000_000).await?;
        let ms = |percentile| latencies.value_at_percentile(percentile) as f64 / 1000.0;
        for percentile in [50.0, 99.0, 99.9] {
            report.figure(format!("{rate}/s, p{percentile}"), ms(percentile), "ms");
            points.push((percentile, rate, ms(percentile)));
        }
        if rate == 500 {
            report.at_most("500/s: p50 less one flush, ms", ms(50.0) - flush_ms(50.0), BEYOND_A_FLUSH_MS);
            report.at_most("500/s: p99 / the disk's p99", ms(99.0) / flush_ms(99.0), 4.0);
        }
    }
    for percentile in [50.0, 99.0, 99.9] {
        let points = points.iter().filter(|(of, ..)| *of == percentile);
        report.series.push(Series {
            plot: "latency",
            name: format!("p{percentile}"),
            x: "commands/s",
            y: "ms",
            points: points.map(|(_, rate, ms)| (f64::from(*rate), *ms)).collect(),
        });
    }
    Ok(())
}

async fn at_rate(
    writing: &Writing,
    rate: u32,
    time: Duration,
    first: u64,
) -> Result<hdrhistogram::Histogram<u64>> {
    let mut latencies = histogram()?;
    let mut under_way = JoinSet::new();
    let (began, every) = (Instant::now(), Duration::from_secs(1) / rate);
    for number in 0..u64::from(rate) * time.as_secs().max(1) {
        let due = began + every * u32::try_from(number)?;
        tokio::time::sleep_until(due.into()).await;
        let intake = writing.intake.clone();
        under_way.spawn(async move {
            match intake.submit(request(first + number, Payers::Uniform)).await {
                Ok(_) => Ok(due.elapsed()),
                Err(error) => Err(error),
            }
        });
        while let Some(answered) = under_way.try_join_next() {
            latencies.saturating_record(u64::try_from(answered??.as_micros())?);
        }
    }
    while let Some(answered) = under_way.join_next().await {
        latencies.saturating_record(u64::try_from(answered??.as_micros())?);
    }
    if latencies.is_empty() {
        bail!("nothing was sent");
    }
    Ok(latencies)
}
