//! Check that each timer and each effect for which an instance of a saga waits has its row, without which it would wait
//! for ever. The events are the truth, the rows their index.

use std::fmt;

use futures::StreamExt;

use super::{IntegrityError, OnProgress, next_stream};
use crate::saga::{PREFIX, WaitsFor};
use clearfold_kernel::Timestamp;
use clearfold_store::{DueTimer, EventStore, PendingEffect};

/// Number of rows that are looked up at once.
const CHUNK: usize = 500;
/// Maximum number of missing rows that are shown; all are counted.
const SHOWN: usize = 10;

/// Findings of a partition.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WaitingReport {
    pub instances: u64,
    /// Number of timers for which instances wait.
    pub timers: u64,
    /// Number of effects for which instances wait.
    pub effects: u64,
    /// Number of those without a row.
    pub missing: u64,
    pub first_missing: Vec<MissingRow>,
}

/// Timer or effect for which an instance waits, and which has no row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MissingRow {
    Timer { instance: String, number: u64, due: Timestamp },
    Effect { instance: String, number: u64 },
}

impl MissingRow {
    fn instance(&self) -> &String {
        match self {
            Self::Timer { instance, .. } | Self::Effect { instance, .. } => instance,
        }
    }

    /// Returns true if an instance waits for it.
    fn is_of(&self, waits_for: &WaitsFor) -> bool {
        match self {
            Self::Timer { number, due, .. } => waits_for.timers.contains(&(*number, *due)),
            Self::Effect { number, .. } => waits_for.effects.contains(number),
        }
    }
}

impl fmt::Display for MissingRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Timer { instance, number, due } => {
                write!(f, "{instance} waits for its timer {number}, due {due}, which has no row in `timers`")
            }
            Self::Effect { instance, number } => {
                write!(f, "{instance} waits for its effect {number}, which has no row in `effects`")
            }
        }
    }
}

/// Checks the rows of one partition.
pub async fn waiting(
    store: &EventStore,
    partition: u32,
    on_progress: OnProgress<'_>,
) -> Result<WaitingReport, IntegrityError> {
    let mut events = std::pin::pin!(store.events_by_stream(partition, PREFIX)?.peekable());
    let (mut report, mut timers, mut effects) = (WaitingReport::default(), Vec::new(), Vec::new());
    loop {
        let instance = next_stream(events.as_mut()).await?;
        let is_end = instance.is_none();
        if let Some(events) = instance {
            let waits_for = WaitsFor::of(&events).map_err(IntegrityError::Unreadable)?;
            let stream = events.first().map(|event| event.stream.clone()).unwrap_or_default();
            report.instances += 1;
            let timer = |(number, due)| DueTimer { due, stream: stream.clone(), number };
            timers.extend(waits_for.timers.into_iter().map(timer));
            let effect = |number| PendingEffect { stream: stream.clone(), number };
            effects.extend(waits_for.effects.into_iter().map(effect));
            on_progress(events.len() as u64);
        }
        if timers.len() + effects.len() >= CHUNK || is_end {
            report.timers += timers.len() as u64;
            report.effects += effects.len() as u64;
            let missing = without_rows(store, partition, &timers, &effects).await?;
            report.add(store, partition, missing).await?;
            timers.clear();
            effects.clear();
        }
        if is_end {
            return Ok(report);
        }
    }
}

async fn without_rows(
    store: &EventStore,
    partition: u32,
    timers: &[DueTimer],
    effects: &[PendingEffect],
) -> Result<Vec<MissingRow>, IntegrityError> {
    let timers = store.missing_timers(partition, timers).await?.into_iter();
    let effects = store.missing_effects(effects).await?.into_iter();
    let timers =
        timers.map(|DueTimer { due, stream, number }| MissingRow::Timer { instance: stream, number, due });
    let effects =
        effects.map(|PendingEffect { stream, number }| MissingRow::Effect { instance: stream, number });
    Ok(timers.chain(effects).collect())
}

impl WaitingReport {
    /// Adds the findings of another partition.
    pub fn join(&mut self, other: Self) {
        self.instances += other.instances;
        self.timers += other.timers;
        self.effects += other.effects;
        self.missing += other.missing;
        let room = SHOWN.saturating_sub(self.first_missing.len());
        self.first_missing.extend(other.first_missing.into_iter().take(room));
    }

    /// Adds what is missing. A row goes with the event that ends the wait, so an instance that has moved on meanwhile misses
    /// none.
    async fn add(
        &mut self,
        store: &EventStore,
        partition: u32,
        missing: Vec<MissingRow>,
    ) -> Result<(), IntegrityError> {
        for row in missing {
            let events = store.streams(partition, std::slice::from_ref(row.instance())).await?;
            let still = WaitsFor::of(&events).map_err(IntegrityError::Unreadable)?;
            if row.is_of(&still) {
                self.missing += 1;
                if self.first_missing.len() < SHOWN {
                    self.first_missing.push(row);
                }
            }
        }
        Ok(())
    }
}
