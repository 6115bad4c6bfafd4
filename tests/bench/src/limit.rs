//! The limit: raw SQL that writes the same rows and bytes as the host does for each command (key and answer, command,
//! event, stream, and the head that the outbox follows), from one connection and from several, without a host.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use clearfold_domain::authorization::Authorization;
use clearfold_kernel::{CommandContext, Encoded, Timestamp, Turn, decide_turn};
use serde_json::{Value, json};
use sqlx::{PgConnection, PgPool};
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::load::{Payers, request};
use crate::place::Place;
use crate::report::{Report, Series};

const BATCHES: [usize; 4] = [1, 32, 256, 1_000];
const CONNECTIONS: u32 = 4;

const WRITE: &str = "
    WITH head AS (
        UPDATE partitions SET head_position = head_position + $2, head_sequence = head_sequence + $2
        WHERE partition = $1
    ), opened AS (
        INSERT INTO streams (stream, partition, routing_key, version)
        SELECT stream, $1, routing_key, 1 FROM UNNEST($4::text[], $5::text[]) AS new(stream, routing_key)
    ), happened AS (
        INSERT INTO events (partition, position, stream, stream_version, type, schema_version, payload, event_id,
                            correlation_id, causation_id, actor, component_digest, recorded_at, hash)
        SELECT $1, $3 + nth, stream, 1, 'AuthorizationRequested', 1, payload, id, cause, cause, 'api', $10, now(), $10
        FROM UNNEST($4::text[], $7::bytea[], $8::uuid[], $9::uuid[]) WITH ORDINALITY
             AS new(stream, payload, id, cause, nth)
    ), answered AS (
        INSERT INTO inbox (period, idempotency_key, partition, body_digest, answer, answered_at)
        SELECT (SELECT max(starts_on) FROM inbox_periods), key, $1, $10, answer, now()
        FROM UNNEST($11::text[], $12::jsonb[]) AS new(key, answer)
    )
    INSERT INTO commands (partition, sequence, idempotency_key, stream, routing_key, type, schema_version, payload,
                          actor, accepted_at, component_digest, expected_version, event_count)
    SELECT $1, $3 + nth, key, stream, routing_key, 'RequestAuthorization', 1, payload, 'api', now(), $10, 0, 1
    FROM UNNEST($11::text[], $4::text[], $5::text[], $6::bytea[]) WITH ORDINALITY
         AS new(key, stream, routing_key, payload, nth)";

pub async fn run(place: &Place, time: Duration, report: &mut Report) -> Result<()> {
    let mut lines = [Vec::new(), Vec::new()];
    for batch in BATCHES {
        let one = one_connection(place, batch, time).await?;
        report.figure(format!("one connection, batches of {batch}"), one, "/s");
        let several = connections(place, CONNECTIONS, batch, time).await?;
        report.figure(format!("{CONNECTIONS} connections, batches of {batch}"), several, "/s");
        lines[0].push((batch as f64, one));
        lines[1].push((batch as f64, several));
    }
    for (name, points) in ["one connection", "four connections"].into_iter().zip(lines) {
        let (x, y) = ("commands a batch", "commands/s");
        report.series.push(Series { plot: "limit", name: name.to_owned(), x, y, points });
    }
    Ok(())
}

/// Commands per second from one connection.
pub async fn one_connection(place: &Place, batch: usize, time: Duration) -> Result<f64> {
    connections(place, 1, batch, time).await
}

async fn connections(place: &Place, connections: u32, batch: usize, time: Duration) -> Result<f64> {
    let log = place.log(connections + 1).await?;
    let payload = event_payload()?;
    let mut writing = JoinSet::new();
    for partition in 0..connections {
        let (pool, payload) = (log.pool.clone(), payload.clone());
        writing.spawn(async move { write(&pool, i32::try_from(partition)?, batch, time, &payload).await });
    }
    let mut rate = 0.0;
    while let Some(written) = writing.join_next().await {
        rate += written??;
    }
    Ok(rate)
}

async fn write(pool: &PgPool, partition: i32, batch: usize, time: Duration, payload: &[u8]) -> Result<f64> {
    let mut connection = pool.acquire().await?;
    let (mut written, mut number) = (0, u64::try_from(partition)? * 1_000_000_000_000);
    // The first batches compile the statement.
    let warm_up = Instant::now() + time / 10;
    let mut began = None;
    while began.is_none_or(|began: Instant| began.elapsed() < time) {
        write_batch(&mut connection, partition, &mut number, batch, payload).await?;
        if began.is_some() {
            written += batch;
        } else if Instant::now() >= warm_up {
            began = Some(Instant::now());
        }
    }
    let elapsed = began.context("nothing was measured")?.elapsed();
    Ok(written as f64 / elapsed.as_secs_f64())
}

/// Writes commands, numbered from `number` on, which it advances.
pub async fn write_batch(
    connection: &mut PgConnection,
    partition: i32,
    number: &mut u64,
    batch: usize,
    payload: &[u8],
) -> Result<()> {
    let rows = Rows::make(number, batch, payload);
    let digest = [7_u8; 32];
    sqlx::query(WRITE)
        .bind(partition)
        .bind(i64::try_from(batch)?)
        .bind(i64::try_from(*number)?)
        .bind(&rows.streams)
        .bind(&rows.routing_keys)
        .bind(&rows.commands)
        .bind(&rows.events)
        .bind(&rows.ids)
        .bind(&rows.causes)
        .bind(&digest[..])
        .bind(&rows.keys)
        .bind(&rows.answers)
        .execute(connection)
        .await?;
    Ok(())
}

/// The same columns that the host fills.
#[derive(Default)]
struct Rows {
    streams: Vec<String>,
    routing_keys: Vec<String>,
    commands: Vec<Vec<u8>>,
    events: Vec<Vec<u8>>,
    ids: Vec<Uuid>,
    causes: Vec<Uuid>,
    keys: Vec<String>,
    answers: Vec<Value>,
}

impl Rows {
    fn make(number: &mut u64, count: usize, payload: &[u8]) -> Self {
        let mut rows = Self::default();
        for _ in 0..count {
            *number += 1;
            let command = request(*number, Payers::Uniform);
            let stream = command.stream();
            rows.answers.push(json!({
                "outcome": "accepted", "stream": stream, "stream_version": 1, "events": ["AuthorizationRequested"],
            }));
            rows.ids.push(Uuid::from_u128(u128::from(*number) << 64));
            rows.causes.push(command.correlation_id());
            rows.streams.push(stream);
            rows.routing_keys.push(command.routing_key);
            rows.commands.push(command.payload);
            rows.keys.push(command.idempotency_key);
            rows.events.push(payload.to_vec());
        }
        rows
    }
}

/// Event that the decider makes of such a command.
pub fn event_payload() -> Result<Vec<u8>> {
    let command = request(1, Payers::Uniform);
    let context = CommandContext {
        id: command.id,
        routing_key: command.routing_key,
        actor: command.actor,
        accepted_at: Timestamp::from_s(1_795_341_600).context("a time")?,
    };
    let encoded = Encoded { kind: command.kind, schema_version: 1, payload: command.payload };
    let turn = Turn { state: Vec::new(), entries: Vec::new(), commands: vec![(context, encoded)] };
    let mut decided = decide_turn::<Authorization>(&turn)?;
    let outcome = decided.outcomes.pop().context("an outcome")?;
    let events = outcome.map_err(|rejection| anyhow::anyhow!("{}: {}", rejection.code, rejection.detail))?;
    Ok(events.into_iter().next().context("an event")?.payload)
}
