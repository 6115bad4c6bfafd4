//! Checks the log by itself: positions, versions, and the partitions of streams.
//!
//! Each check is one statement, so it sees one state of a log that goes on being written. Payloads are not read.

use sqlx::PgPool;

use super::findings::{Findings, LISTED};
use super::invariants::{ONE_PARTITION_PER_ACCOUNT, POSITIONS_GAPLESS, STREAMS_KNOWN, VERSIONS_GAPLESS};
use super::{AuditError, CheckProgress, OnCheckProgress, Scope};
use clearfold_base::database::{DatabaseError, partition_key, unsigned};
use clearfold_store::EventStore;

/// Largest number of rows that a statement returns; it counts the others.
const LIMIT: i64 = LISTED as i64;

pub(super) async fn check(
    store: &EventStore,
    extent: &[(u32, u64)],
    scope: &Scope,
    findings: &mut Findings,
    on_progress: OnCheckProgress<'_>,
) -> Result<(), AuditError> {
    let pool = store.pool();
    let account = match scope {
        Scope::Everything => None,
        Scope::Account(account) => Some(account.as_str()),
    };
    let total = extent.len() as u64;
    for (done, (partition, _)) in (0..).zip(extent.iter().copied()) {
        on_progress(&CheckProgress { at: "partitions", done, total });
        versions(pool, partition, account, findings).await?;
        if account.is_none() {
            positions(pool, partition, findings).await?;
            strays(pool, partition, findings).await?;
        }
    }
    if account.is_none() {
        heads(pool, findings).await?;
    }
    torn(pool, account, findings).await
}

/// Finds positions that do not follow the one before.
async fn positions(pool: &PgPool, partition: u32, findings: &mut Findings) -> Result<(), AuditError> {
    let gaps = sqlx::query!(
        r#"SELECT position AS "position!", previous AS "previous!", stream AS "stream!", count(*) OVER () AS "total!"
           FROM (SELECT position, stream, lag(position, 1, 0::bigint) OVER (ORDER BY position) AS previous
                 FROM events WHERE partition = $1) AS ordered
           WHERE position <> previous + 1
           ORDER BY position LIMIT $2"#,
        partition_key(partition)?,
        LIMIT,
    );
    let gaps = gaps.fetch_all(pool).await?;
    let total = gaps.first().map_or(0, |gap| gap.total);
    count_rest(findings, POSITIONS_GAPLESS, total, gaps.len())?;
    for gap in gaps {
        let detail = format!("partition {partition}: {} is followed by {}", gap.previous, gap.position);
        findings.violation(POSITIONS_GAPLESS, detail, vec![gap.stream]);
    }
    Ok(())
}

/// Finds partitions whose head is not their last event.
async fn heads(pool: &PgPool, findings: &mut Findings) -> Result<(), AuditError> {
    let wrong = sqlx::query!(
        r#"SELECT partition, head_position, last AS "last!"
           FROM (SELECT partition, head_position,
                        COALESCE((SELECT max(position) FROM events WHERE events.partition = partitions.partition), 0)
                            AS last
                 FROM partitions) AS compared
           WHERE head_position <> last
           ORDER BY partition"#
    );
    for row in wrong.fetch_all(pool).await? {
        let detail = format!(
            "partition {}: its head is {} and its last event {}",
            row.partition, row.head_position, row.last
        );
        findings.violation(POSITIONS_GAPLESS, detail, Vec::new());
    }
    Ok(())
}

/// Finds streams whose versions do not run from 1 to their head.
async fn versions(
    pool: &PgPool,
    partition: u32,
    account: Option<&str>,
    findings: &mut Findings,
) -> Result<(), AuditError> {
    let wrong = sqlx::query!(
        r#"SELECT streams.stream, streams.version, events AS "events!", first, last, count(*) OVER () AS "total!"
           FROM streams
           CROSS JOIN LATERAL (SELECT count(*) AS events, min(stream_version) AS first, max(stream_version) AS last
                               FROM events
                               WHERE events.partition = $1 AND events.stream = streams.stream) AS counted
           WHERE streams.partition = $1 AND ($2::text IS NULL OR routing_key = $2)
             AND (version <> events OR first IS DISTINCT FROM 1 OR last IS DISTINCT FROM events)
           ORDER BY streams.stream LIMIT $3"#,
        partition_key(partition)?,
        account,
        LIMIT,
    );
    let wrong = wrong.fetch_all(pool).await?;
    let total = wrong.first().map_or(0, |row| row.total);
    count_rest(findings, VERSIONS_GAPLESS, total, wrong.len())?;
    for row in wrong {
        let detail = format!(
            "{} is at version {} and has {} in partition {partition}",
            row.stream,
            row.version,
            extent(row.events, row.first, row.last)
        );
        findings.violation(VERSIONS_GAPLESS, detail, vec![row.stream]);
    }
    Ok(())
}

/// Finds events whose stream is unknown, or recorded in another partition.
async fn strays(pool: &PgPool, partition: u32, findings: &mut Findings) -> Result<(), AuditError> {
    let strays = sqlx::query!(
        r#"SELECT stream, count(*) AS "events!", count(*) OVER () AS "total!"
           FROM events
           WHERE partition = $1
             AND NOT EXISTS (SELECT FROM streams WHERE streams.stream = events.stream AND streams.partition = $1)
           GROUP BY stream ORDER BY stream LIMIT $2"#,
        partition_key(partition)?,
        LIMIT,
    );
    let strays = strays.fetch_all(pool).await?;
    let total = strays.first().map_or(0, |row| row.total);
    count_rest(findings, STREAMS_KNOWN, total, strays.len())?;
    for row in strays {
        let detail = format!(
            "partition {partition} has {} of {}, a stream that the log does not know there",
            events(row.events),
            row.stream
        );
        findings.violation(STREAMS_KNOWN, detail, vec![row.stream]);
    }
    Ok(())
}

/// Finds accounts whose streams lie in several partitions.
async fn torn(pool: &PgPool, account: Option<&str>, findings: &mut Findings) -> Result<(), AuditError> {
    let torn = sqlx::query!(
        r#"SELECT routing_key, array_agg(DISTINCT partition) AS "partitions!",
                  (array_agg(stream ORDER BY partition, stream))[1:20] AS "streams!", count(*) OVER () AS "total!"
           FROM streams
           WHERE $1::text IS NULL OR routing_key = $1
           GROUP BY routing_key HAVING count(DISTINCT partition) > 1
           ORDER BY routing_key LIMIT $2"#,
        account,
        LIMIT,
    );
    let torn = torn.fetch_all(pool).await?;
    let total = torn.first().map_or(0, |row| row.total);
    count_rest(findings, ONE_PARTITION_PER_ACCOUNT, total, torn.len())?;
    for row in torn {
        let places = row.partitions.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        let detail = format!("account {} has streams in the partitions {places}", row.routing_key);
        findings.violation(ONE_PARTITION_PER_ACCOUNT, detail, row.streams);
    }
    Ok(())
}

/// Counts the findings of a statement beyond the rows that it returned. Each row holds the total; without a row it is
/// 0.
fn count_rest(findings: &mut Findings, code: &str, total: i64, listed: usize) -> Result<(), AuditError> {
    let rest = unsigned(total)?.checked_sub(listed as u64);
    let rest =
        rest.ok_or_else(|| DatabaseError::Corrupt(format!("a total of {total} over {listed} rows")))?;
    findings.counted(code, rest);
    Ok(())
}

fn extent(count: i64, first: Option<i64>, last: Option<i64>) -> String {
    match (first, last) {
        (Some(first), Some(last)) => format!("{}, from {first} to {last},", events(count)),
        _ => "no event".to_owned(),
    }
}

fn events(count: i64) -> String {
    if count == 1 { "1 event".to_owned() } else { format!("{count} events") }
}
