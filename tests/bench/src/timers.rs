//! Timers of sagas while many wait: reading and ending one that is due, beside the same with ten waiting.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use clearfold_kernel::Timestamp;
use clearfold_store::DueTimer;
use hdrhistogram::Histogram;

use crate::load::histogram;
use crate::place::{Log, Place};
use crate::report::Report;

/// Timers that wait when the others are compared with them.
const FEW: u64 = 10;
/// Page that a writer reads at once.
const PAGE: u32 = 100;
/// Number of timers that are set by one statement.
const AT_ONCE: u64 = 100_000;
/// Time at which the first timer is due; the waiting ones are years later.
const FIRST_DUE_S: u64 = 1_800_000_000;
/// Due timers that end before the measurement, with the partition's vacuum put off: what they leave is never visited.
const DEAD: u64 = 10_000;

pub async fn run(place: &Place, time: Duration, waiting: u64, report: &mut Report) -> Result<()> {
    let few = measured(place, time, FEW, report).await?;
    let many = measured(place, time, waiting, report).await?;
    for percentile in [50.0, 99.0] {
        let at = |latencies: &Histogram<u64>| latencies.value_at_percentile(percentile) as f64;
        let name = format!("a due timer among {waiting} waiting / among {FEW}, p{percentile}");
        report.at_most(&name, at(&many) / at(&few), 1.5);
    }
    Ok(())
}

async fn measured(
    place: &Place,
    time: Duration,
    waiting: u64,
    report: &mut Report,
) -> Result<Histogram<u64>> {
    let log = place.log(4).await?;
    let began = Instant::now();
    set(&log, waiting).await?;
    report.figure(format!("{waiting} waiting, set in"), began.elapsed().as_secs_f64(), "s");
    let mut queue = Queue { log: &log, number: 0, last: None };
    while queue.number < DEAD {
        queue.fire().await?;
    }
    let (mut latencies, until) = (histogram()?, Instant::now() + time);
    while Instant::now() < until {
        latencies.saturating_record(u64::try_from(queue.fire().await?.as_micros())?);
    }
    for percentile in [50.0, 99.0] {
        let us = latencies.value_at_percentile(percentile) as f64;
        report.figure(format!("{waiting} waiting, a due timer read and ended, p{percentile}"), us, "µs");
    }
    Ok(latencies)
}

/// Sets timers that wait, a second apart, over all partitions.
async fn set(log: &Log, waiting: u64) -> Result<()> {
    let partitions = i32::try_from(log.store.partition_count())?;
    let mut set = 0;
    // A statement may not take longer than a few seconds.
    while set < waiting {
        let next = waiting.min(set + AT_ONCE);
        sqlx::query(
            "INSERT INTO timers (partition, due, stream, number)
             SELECT waiting % $3, timestamptz '2100-01-01' + waiting * interval '1 second',
                    'saga-authorization-' || waiting, 1
             FROM generate_series($1 + 1, $2) AS waiting",
        )
        .bind(i64::try_from(set)?)
        .bind(i64::try_from(next)?)
        .bind(partitions)
        .execute(&log.pool)
        .await?;
        set = next;
    }
    sqlx::query(
        "INSERT INTO streams (stream, partition, routing_key, version) VALUES ('saga-authorization-due', 0, '0xaa', 1)",
    )
    .execute(&log.pool)
    .await?;
    sqlx::query("ANALYZE timers").execute(&log.pool).await?;
    Ok(())
}

/// Partition 0 as its writer sees it.
struct Queue<'a> {
    log: &'a Log,
    /// Number of timers that were due so far.
    number: u64,
    last: Option<DueTimer>,
}

impl Queue<'_> {
    /// Sets a timer that is due, and measures how long it takes to read and to end it.
    async fn fire(&mut self) -> Result<Duration> {
        self.number += 1;
        let due = Timestamp::from_s(FIRST_DUE_S + self.number).context("a time")?;
        let timer = DueTimer { due, stream: "saga-authorization-due".to_owned(), number: self.number };
        let mut connection = self.log.pool.acquire().await?;
        let key = |sql| {
            let at = sqlx::query(sql).bind(i64::try_from(FIRST_DUE_S + timer.number).unwrap_or(i64::MAX));
            at.bind(timer.stream.clone()).bind(i64::try_from(timer.number).unwrap_or(i64::MAX))
        };
        key("INSERT INTO timers (partition, due, stream, number) VALUES (0, to_timestamp($1), $2, $3)")
            .execute(&mut *connection)
            .await?;
        let began = Instant::now();
        let page = self.log.store.timers(&mut connection, 0, self.last.as_ref(), PAGE).await?;
        key("DELETE FROM timers WHERE partition = 0 AND due = to_timestamp($1) AND stream = $2 AND number = $3")
            .execute(&mut *connection)
            .await?;
        let took = began.elapsed();
        ensure!(page.first().is_some_and(|first| first.timer == timer), "another timer is due: {page:?}");
        self.last = Some(timer);
        Ok(took)
    }
}
