//! Properties of a log after any fault of the host and its database.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use clearfold_store::command_id;
use clearfold_tests::{Heard, Host, Output, World};
use serde_json::{Value, json};
use sqlx::{PgPool, Row};
use uuid::Uuid;

use crate::crash::consistent;

/// Compares a log with the answers of clients, which alone wrote to it besides the chain: no acknowledged command is
/// lost, none was applied twice, and nothing else happened.
pub async fn prove(world: &World, host: &Host, heard: &[Heard]) -> Result<()> {
    let write = world.databases.write().await?;
    every_command_stands_once(&write, heard).await?;
    every_key_hears_its_first_answer(host, heard).await?;
    // Asking again has changed nothing.
    every_command_stands_once(&write, heard).await?;
    consistent(&write).await?;
    says(world, &["verify"], "events are as they were written")?;
    says(world, &["replay", "--verify"], "came to the same again")
}

async fn every_key_hears_its_first_answer(host: &Host, heard: &[Heard]) -> Result<()> {
    const AT_ONCE: usize = 32;
    for some in heard.chunks(AT_ONCE) {
        let again = some.iter().map(|heard| host.command_to(&heard.key, &heard.body));
        for (heard, again) in some.iter().zip(futures::future::try_join_all(again).await?) {
            assert_eq!(again, heard.answer, "{}", heard.key);
        }
    }
    Ok(())
}

async fn every_command_stands_once(write: &PgPool, heard: &[Heard]) -> Result<()> {
    let stored =
        "SELECT idempotency_key, stream, expected_version, rejection_code FROM commands WHERE actor = 'api'";
    let stored = sqlx::query(stored).fetch_all(write).await?;
    assert_eq!(stored.len(), heard.len());
    let inbox = sqlx::query("SELECT idempotency_key FROM inbox WHERE idempotency_key LIKE 'load-%'");
    assert_eq!(inbox.fetch_all(write).await?.len(), heard.len());
    let mut caused = events_by_command(write).await?;
    let heard: BTreeMap<&str, &Heard> = heard.iter().map(|heard| (heard.key.as_str(), heard)).collect();
    for row in stored {
        let key: &str = row.get(0);
        let heard = heard.get(key).with_context(|| format!("nobody heard of {key}"))?;
        let events = caused.remove(&command_id(key)).unwrap_or_default();
        assert_eq!(told(&row, &events), said(&heard.answer.body), "{key}");
    }
    assert_eq!(caused, BTreeMap::new(), "nobody asked for these events");
    Ok(())
}

/// Types of the events that each command from the API caused, in order.
async fn events_by_command(write: &PgPool) -> Result<BTreeMap<Uuid, Vec<String>>> {
    let events = "SELECT correlation_id, type FROM events WHERE actor = 'api' ORDER BY partition, position";
    let mut caused: BTreeMap<Uuid, Vec<String>> = BTreeMap::new();
    for row in sqlx::query(events).fetch_all(write).await? {
        caused.entry(row.get(0)).or_default().push(row.get(1));
    }
    Ok(caused)
}

/// The log's record of a command.
fn told(command: &sqlx::postgres::PgRow, events: &[String]) -> Value {
    let (stream, before, code): (&str, i64, Option<&str>) = (command.get(1), command.get(2), command.get(3));
    match code {
        Some(code) => json!({"code": code, "events": events}),
        None => {
            let version = before + i64::try_from(events.len()).unwrap();
            json!({"stream": stream, "stream_version": version, "events": events})
        }
    }
}

/// The client's answer, in the same form.
fn said(answer: &Value) -> Value {
    match answer["outcome"].as_str() {
        Some(_) => json!({"stream": answer["stream"], "stream_version": answer["stream_version"],
                          "events": answer["events"]}),
        None => json!({"code": answer["code"], "events": []}),
    }
}

/// Runs a command of the host's program on the world's log.
fn says(world: &World, arguments: &[&str], expected: &str) -> Result<()> {
    let mut command = std::process::Command::new(&world.environment.host);
    let output = Output::of(command.args(arguments).env("DATABASE_URL", &world.databases.write_url))?;
    assert!(output.status.success() && output.stdout.contains(expected), "{arguments:?}: {output:?}");
    Ok(())
}
