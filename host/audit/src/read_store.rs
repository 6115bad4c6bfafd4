//! Compares the read store with the log: each projection is built again in memory and compared, row by row.
//!
//! It takes the projection's tables twice in memory, once as stored and once as built again. If they differ, the log is
//! replayed once more to find the streams that made the rows in question.

use std::sync::Arc;
use std::time::Duration;

use sqlx::PgPool;

use super::findings::{Findings, LISTED};
use super::invariants::READ_STORE_FOLLOWS_LOG;
use super::{AuditError, CheckProgress, OnCheckProgress};
use clearfold_base::telemetry::with_causes;
use clearfold_sandbox::Projector;
use clearfold_store::EventStore;
use clearfold_views::projection::{
    LiveProjector, ProjectionError, ProjectionReplay, RowDifference, StoredProjection,
};

/// Number of events that are projected together.
const BATCH: u32 = 500;
/// Time to wait for the news that another component is live.
const HEARD_MS: u64 = 1_000;

pub(super) async fn check(
    store: &EventStore,
    pool: &PgPool,
    live: &LiveProjector,
    findings: &mut Findings,
    on_progress: OnCheckProgress<'_>,
) -> Result<(), AuditError> {
    let mut live = live.clone();
    let mut projector = Arc::clone(&live.borrow_and_update());
    let compared = loop {
        let compared = compare(store, pool, &projector, findings, on_progress).await;
        let is_others = matches!(compared, Err(AuditError::ReadStore(ProjectionError::OtherTables { .. })));
        // The component may have been replaced while the check began, and then nothing was compared yet. The news of it
        // comes at once.
        let moment = Duration::from_millis(HEARD_MS);
        if !is_others || !matches!(tokio::time::timeout(moment, live.changed()).await, Ok(Ok(()))) {
            break compared;
        }
        projector = Arc::clone(&live.borrow_and_update());
    };
    let subject = || format!("projection {}", projector.descriptor().name);
    match compared {
        Err(AuditError::ReadStore(error)) if is_of_the_component(&error) => {
            findings.not_audited(subject(), with_causes(&error));
            Ok(())
        }
        other => other,
    }
}

async fn compare(
    store: &EventStore,
    pool: &PgPool,
    projector: &Arc<Projector>,
    findings: &mut Findings,
    on_progress: OnCheckProgress<'_>,
) -> Result<(), AuditError> {
    let name = &projector.descriptor().name;
    let stored = StoredProjection::take(pool, projector, store.partition_count()).await;
    let stored = stored.map_err(AuditError::ReadStore)?;
    // Read after the rows, so that a log that goes on being written is never behind them.
    let heads = store.heads().await?;
    let mut is_ahead = false;
    for ((partition, position), head) in (0_u32..).zip(&stored.positions).zip(&heads) {
        if position > head {
            is_ahead = true;
            let detail = format!(
                "{name} is at position {position} of partition {partition}, and the log ends at {head}"
            );
            findings.violation(READ_STORE_FOLLOWS_LOG, detail, Vec::new());
        }
    }
    // The rows that the missing events made cannot be recomputed.
    if is_ahead {
        return Ok(());
    }
    let mut replay = ProjectionReplay::new(Arc::clone(projector));
    run(store, &mut replay, &stored.positions, &format!("events of {name}"), on_progress).await?;
    let (mut first, mut total) = (Vec::new(), 0_u64);
    replay.differences(&stored, |difference| {
        // Counted one by one, so it stays far below 2^64.
        total += 1;
        if first.len() < LISTED {
            first.push(difference);
        }
    });
    if first.is_empty() {
        return Ok(());
    }
    drop(replay);
    let positions = stored.positions.clone();
    drop(stored);
    // The first of them are among the total.
    let unlisted = total - first.len() as u64;
    name_streams(store, projector, &positions, first, unlisted, findings, on_progress).await
}

/// Reports differences, each with the streams whose events changed its row.
async fn name_streams(
    store: &EventStore,
    projector: &Arc<Projector>,
    positions: &[u64],
    first: Vec<RowDifference>,
    unlisted: u64,
    findings: &mut Findings,
    on_progress: OnCheckProgress<'_>,
) -> Result<(), AuditError> {
    let mut replay = ProjectionReplay::watching(Arc::clone(projector), &first);
    let at = format!("streams behind differences of {}", projector.descriptor().name);
    run(store, &mut replay, positions, &at, on_progress).await?;
    findings.counted(READ_STORE_FOLLOWS_LOG, unlisted);
    for difference in first {
        let streams = replay.streams_of(&difference);
        findings.violation(READ_STORE_FOLLOWS_LOG, difference.detail, streams);
    }
    Ok(())
}

/// Replays the log, one partition after the other, up to a position in each.
async fn run(
    store: &EventStore,
    replay: &mut ProjectionReplay,
    up_to: &[u64],
    at: &str,
    on_progress: OnCheckProgress<'_>,
) -> Result<(), AuditError> {
    // Both figures saturate: they are shown as progress and decide nothing.
    let total = up_to.iter().fold(0, |sum: u64, position| sum.saturating_add(*position));
    let mut done = 0_u64;
    for (partition, up_to) in (0..).zip(up_to) {
        let mut after = 0;
        loop {
            on_progress(&CheckProgress { at, done, total });
            let events = store.page(partition, after, *up_to, BATCH).await?;
            let Some(last) = events.last() else { break };
            after = last.position;
            done = done.saturating_add(events.len() as u64);
            replay.project(&events).await.map_err(AuditError::ReadStore)?;
        }
    }
    Ok(())
}

/// Returns true if other projections can be compared all the same.
fn is_of_the_component(error: &ProjectionError) -> bool {
    matches!(
        error,
        ProjectionError::Fault(_) | ProjectionError::NotBuilt { .. } | ProjectionError::OtherTables { .. }
    )
}
