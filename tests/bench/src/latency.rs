//! Duration of commands in an open loop at fixed rates, measured from the moment at which each command was due, so
//! that no wait is left out. Beside it, at the middle rate, the same rows written by plain SQL, and a flush of the
//! same disk.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Result;
use tokio::sync::Mutex;
use tokio::task::JoinSet;

use crate::disk;
use crate::limit::{event_payload, write_batch};
use crate::load::{Payers, histogram, request};
use crate::place::{CONNECTIONS, Place};
use crate::report::{Report, Series};

const RATES: [u32; 3] = [50, 500, 2_000];
const MIDDLE_RATE: u32 = 500;
/// Milliseconds beyond a flush that a command may take at the middle rate.
const BEYOND_A_FLUSH_MS: f64 = 2.0;
const PERCENTILES: [f64; 3] = [50.0, 99.0, 99.9];

pub async fn run(place: &Place, time: Duration, report: &mut Report) -> Result<()> {
    let folder = place.disk.clone();
    let flushes = tokio::task::spawn_blocking(move || disk::flushes(&folder, time / 2)).await??;
    let flush_ms = |percentile| flushes.value_at_percentile(percentile) as f64 / 1000.0;
    report.figure("flush, p50", flush_ms(50.0), "ms");
    report.figure("flush, p99", flush_ms(99.0), "ms");
    let plain = plain_sql(place, time).await?;
    for percentile in PERCENTILES {
        let ms = plain.value_at_percentile(percentile) as f64 / 1000.0;
        report.figure(format!("plain SQL at {MIDDLE_RATE}/s, p{percentile}"), ms, "ms");
    }
    let plain_ms = |percentile| plain.value_at_percentile(percentile) as f64 / 1000.0;
    let log = place.log(CONNECTIONS).await?;
    let writing = place.writing(&log)?;
    let mut points = Vec::new();
    for (index, rate) in RATES.into_iter().enumerate() {
        let send = |number| {
            let intake = writing.intake.clone();
            async move { Ok(intake.submit(request(number, Payers::Uniform)).await.map(drop)?) }
        };
        let first = index as u64 * 1_000_000_000;
        // The first seconds compile statements and fill caches.
        at_rate(rate, time / 5, first, send).await?;
        let latencies = at_rate(rate, time, first + 100_000_000, send).await?;
        let ms = |percentile| latencies.value_at_percentile(percentile) as f64 / 1000.0;
        for percentile in PERCENTILES {
            report.figure(format!("{rate}/s, p{percentile}"), ms(percentile), "ms");
            points.push((percentile, rate, ms(percentile)));
        }
        if rate == MIDDLE_RATE {
            report.at_most("500/s: p50 less one flush, ms", ms(50.0) - flush_ms(50.0), BEYOND_A_FLUSH_MS);
            report.at_most("500/s: p99 / the disk's p99", ms(99.0) / flush_ms(99.0), 4.0);
            report.figure("500/s: p50 / plain SQL's", ms(50.0) / plain_ms(50.0), "");
            report.figure("500/s: p99 / plain SQL's", ms(99.0) / plain_ms(99.0), "");
        }
    }
    for percentile in PERCENTILES {
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

/// Writes the same rows at the middle rate without a host: each partition has its connection, and writes one command
/// at a time.
async fn plain_sql(place: &Place, time: Duration) -> Result<hdrhistogram::Histogram<u64>> {
    const PARTITIONS: usize = 8;
    let log = place.log(CONNECTIONS).await?;
    let mut connections = Vec::new();
    for _ in 0..PARTITIONS {
        connections.push(Mutex::new(log.pool.acquire().await?));
    }
    let (connections, payload) = (Arc::new(connections), Arc::new(event_payload()?));
    let send = |number: u64| {
        let (connections, payload) = (Arc::clone(&connections), Arc::clone(&payload));
        async move {
            let partition = usize::try_from(number)? % PARTITIONS;
            let mut connection = connections[partition].lock().await;
            write_batch(&mut connection, i32::try_from(partition)?, &mut number.clone(), 1, &payload).await
        }
    };
    at_rate(MIDDLE_RATE, time / 5, 0, send).await?;
    at_rate(MIDDLE_RATE, time, 100_000_000, send).await
}

/// Sends each command when it is due, whatever became of the ones before, and returns their durations.
pub async fn at_rate<F>(
    rate: u32,
    time: Duration,
    first: u64,
    send: impl Fn(u64) -> F + Send,
) -> Result<hdrhistogram::Histogram<u64>>
where
    F: Future<Output = Result<()>> + Send + 'static,
{
    let runtime = tokio::runtime::Handle::current();
    let count = u64::from(rate) * time.as_secs().max(1);
    // A thread of its own: the runtime's timers are late by a millisecond, which is about what is measured.
    let sending = || {
        let mut under_way = JoinSet::new();
        let (began, every) = (Instant::now(), Duration::from_secs(1) / rate);
        for number in 0..count {
            let due = began + every * u32::try_from(number)?;
            #[expect(clippy::disallowed_methods, reason = "a thread that does nothing else")]
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
            let sent = send(first + number);
            under_way.spawn_on(async move { sent.await.map(|()| due.elapsed()) }, &runtime);
        }
        anyhow::Ok(under_way)
    };
    let (mut under_way, mut latencies) = (tokio::task::block_in_place(sending)?, histogram()?);
    while let Some(answered) = under_way.join_next().await {
        latencies.saturating_record(u64::try_from(answered??.as_micros())?);
    }
    Ok(latencies)
}
