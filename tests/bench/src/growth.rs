//! Cost of a command as the log and its stream grow.
//!
//! The log is filled by plain SQL in the shape of a log that the host wrote; the host is what is measured.

use std::time::Duration;

use anyhow::Result;
use clearfold_engine::command::{Answer, Command};
use serde_json::json;
use sqlx::PgPool;

use crate::load::{Payers, account, closed_loop, request};
use crate::place::{CONNECTIONS, Place};
use crate::report::{Report, Series};

const CLIENTS: usize = 512;
/// Number of events filled in by one statement.
const STEP: u64 = 100_000;

pub async fn run(
    place: &Place,
    time: Duration,
    log_sizes: &[u64],
    stream_lengths: &[u64],
    report: &mut Report,
) -> Result<()> {
    let (mut rates, mut filled) = (Vec::new(), 0);
    let log = place.log(CONNECTIONS).await?;
    for size in log_sizes {
        fill(&log.pool, filled, *size).await?;
        filled = *size;
        let first = 1_000_000_000 * (1 + size);
        let outcome = {
            let writing = place.writing(&log)?;
            let make = |number| request(number, Payers::Uniform);
            let warm = closed_loop(&writing.intake, CLIENTS, time / 5, first, make).await?;
            closed_loop(&writing.intake, CLIENTS, time, first + 2 * warm.commands + 100_000_000, make).await?
        };
        report.figure(format!("with {size} events in the log"), outcome.per_second(), "/s");
        report.figure(format!("with {size} events in the log, p99"), outcome.percentile_ms(99.0), "ms");
        rates.push((*size as f64, outcome.per_second()));
    }
    if let (Some((_, first)), Some((most, last))) = (rates.first(), rates.last()) {
        report.at_least(&format!("rate with {most} events / with none"), last / first, 0.9);
    }
    let (x, y) = ("events in the log", "commands/s");
    report.series.push(Series { plot: "growth", name: "growing log".into(), x, y, points: rates });
    streams(place, time, stream_lengths, report).await
}

/// A growing stream: its first command, and the command that makes it longer.
struct Growing {
    name: &'static str,
    begin: fn() -> Command,
    grow: fn(u64) -> Command,
}

/// A card's state stays small however long its stream is. An account keeps the id of everything that it booked.
const GROWING: [Growing; 2] = [
    Growing { name: "a card's rules", begin: issue, grow: set_rules },
    Growing { name: "an account's deposits", begin: open, grow: deposit },
];

/// Measures the cost of a command on one stream, by the stream's length.
async fn streams(place: &Place, time: Duration, lengths: &[u64], report: &mut Report) -> Result<()> {
    for growing in &GROWING {
        let mut costs = Vec::new();
        for length in lengths {
            let cost = cost(place, time, *length, growing).await?;
            report.figure(format!("{}, a command on a stream of {length}", growing.name), cost, "ms");
            costs.push((*length as f64, cost));
        }
        if let (Some((_, first)), Some((most, last))) = (costs.first(), costs.last()) {
            let name = format!("{}: cost on a stream of {most} / of the shortest", growing.name);
            report.at_most(&name, last / first, 1.5);
        }
        let (x, y) = ("events in the stream", "ms a command");
        report.series.push(Series { plot: "growth-streams", name: growing.name.into(), x, y, points: costs });
    }
    Ok(())
}

async fn cost(place: &Place, time: Duration, length: u64, growing: &Growing) -> Result<f64> {
    let log = place.log(CONNECTIONS).await?;
    let writing = place.writing(&log)?;
    let answer = writing.intake.submit((growing.begin)()).await?;
    anyhow::ensure!(matches!(answer, Answer::Accepted { .. }), "the stream does not begin: {answer:?}");
    let mut number = 1;
    while number < length {
        let step = (length - number).min(256);
        let more = (number..number + step).map(|number| writing.intake.submit((growing.grow)(number)));
        futures::future::try_join_all(more).await?;
        number += step;
    }
    // Each measured command makes the stream longer, so there are only a few, one after the other.
    let outcome = closed_loop(&writing.intake, 1, time / 5, 1_000_000_000, growing.grow).await?;
    Ok(outcome.latencies.mean() / 1000.0)
}

fn issue() -> Command {
    let payload = json!({"account": account(1), "rules": rules(1)});
    of_account("card", "card-1", "issue", "IssueCard", payload.to_string())
}

fn set_rules(number: u64) -> Command {
    let payload = json!({"rules": rules(1 + number)});
    of_account("card", "card-1", &format!("rules/{number}"), "SetRules", payload.to_string())
}

fn rules(minor: u64) -> serde_json::Value {
    let amount = json!({"minor": minor.to_string(), "asset": "EURe", "decimals": 18});
    json!({"categories": "all", "countries": "all", "velocity": [],
           "limits": [{"amount": amount, "per": "transaction"}]})
}

fn open() -> Command {
    let payload = json!({"assets": [{"asset": "EURe", "decimals": 18}]});
    of_account("account", &account(1), "open", "OpenAccount", payload.to_string())
}

fn deposit(number: u64) -> Command {
    let hash = format!("0x{number:064x}");
    let payload = json!({
        "amount": {"minor": "1000000000000000000", "asset": "EURe", "decimals": 18},
        "source": {"chain_id": 100, "block_hash": hash, "block_number": number, "transaction_hash": hash,
                   "log_index": 0},
        "occurred_at": "2026-11-22T10:00:00.000Z",
    });
    of_account("account", &account(1), &format!("deposit/{number}"), "RecordDeposit", payload.to_string())
}

fn of_account(aggregate: &str, id: &str, key: &str, kind: &str, payload: String) -> Command {
    Command {
        idempotency_key: key.to_owned(),
        aggregate: aggregate.to_owned(),
        id: id.to_owned(),
        routing_key: account(1),
        kind: kind.to_owned(),
        schema_version: 1,
        payload: payload.into_bytes(),
        actor: "chain".into(),
    }
}

/// Fills the log from one size to another, evenly over the partitions.
async fn fill(pool: &PgPool, from: u64, to: u64) -> Result<()> {
    let mut connection = pool.acquire().await?;
    sqlx::query("SET statement_timeout = 0").execute(&mut *connection).await?;
    let mut number = from;
    while number < to {
        let until = to.min(number + STEP);
        eprint!("\r  filling the log: {until} of {to} events");
        sqlx::query(FILL)
            .bind(i64::try_from(number)?)
            .bind(i64::try_from(until)?)
            .execute(&mut *connection)
            .await?;
        number = until;
    }
    eprintln!();
    // Otherwise the server would begin with it at some moment of the measurement.
    sqlx::query("VACUUM ANALYZE").execute(&mut *connection).await?;
    sqlx::query("CHECKPOINT").execute(&mut *connection).await?;
    Ok(())
}

/// Writes payments with one event each, as the host does: the rows, bytes and indexes are those of a real log. Only
/// the hashes are not, which no command reads.
const FILL: &str = "
    WITH base AS (
        SELECT partition, head_position, head_sequence FROM partitions
    ), new AS (
        SELECT number, (number % 8)::integer AS partition,
               'authorization-' || md5(number::text) AS stream, '0x' || lpad(to_hex(number % 1000), 40, '0') AS account,
               row_number() OVER (PARTITION BY number % 8 ORDER BY number) AS nth,
               convert_to(rpad('{\"message_id\":\"msg-' || number || '\",\"filling\":\"', 460, md5(number::text)) || '\"}',
                          'UTF8') AS payload
        FROM generate_series($1 + 1, $2) AS number
    ), placed AS (
        SELECT new.*, head_position + nth AS position, head_sequence + nth AS sequence
        FROM new JOIN base USING (partition)
    ), opened AS (
        INSERT INTO streams (stream, partition, routing_key, version)
        SELECT stream, partition, account, 1 FROM placed
    ), happened AS (
        INSERT INTO events (partition, position, stream, stream_version, type, schema_version, payload, event_id,
                            correlation_id, causation_id, actor, component_digest, recorded_at, hash)
        SELECT partition, position, stream, 1, 'AuthorizationRequested', 1, payload, md5('e' || number)::uuid,
               md5('c' || number)::uuid, md5('c' || number)::uuid, 'api', sha256(''), now(), sha256('')
        FROM placed
    ), answered AS (
        INSERT INTO inbox (period, idempotency_key, partition, body_digest, answer, answered_at)
        SELECT (SELECT max(starts_on) FROM inbox_periods), 'filled/' || number, partition, sha256(''),
               jsonb_build_object('outcome', 'accepted', 'stream', stream, 'stream_version', 1,
                                  'events', jsonb_build_array('AuthorizationRequested')), now()
        FROM placed
    ), decided AS (
        INSERT INTO commands (partition, sequence, idempotency_key, stream, routing_key, type, schema_version, payload,
                              actor, accepted_at, component_digest, expected_version, event_count)
        SELECT partition, sequence, 'filled/' || number, stream, account, 'RequestAuthorization', 1, payload, 'api',
               now(), sha256(''), 0, 1
        FROM placed
    )
    UPDATE partitions SET head_position = head_position + added, head_sequence = head_sequence + added
    FROM (SELECT partition AS of, count(*) AS added FROM placed GROUP BY partition) AS counted
    WHERE partition = counted.of";
