//! `clearfold stream show`: prints the events of a stream.

use std::io::Write;

use anyhow::bail;
use clap::{Args, Subcommand};
use serde_json::{Value, json};

use crate::config::WriteStore;
use clearfold_base::database::{self, Store};
use clearfold_store::{EventStore, StoredEvent};

#[derive(Debug, Subcommand)]
pub(super) enum StreamCommand {
    /// Show the events of a stream, in order
    Show(ShowArgs),
}

#[derive(Debug, Args)]
pub(super) struct ShowArgs {
    /// Stream, like authorization-0123…, or the id of a payment
    id: String,
    /// Print one JSON object per line
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    database: WriteStore,
}

impl StreamCommand {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        match self {
            Self::Show(show) => show.run().await,
        }
    }
}

impl ShowArgs {
    async fn run(self) -> anyhow::Result<()> {
        let pool = database::connect(Store::Write, &self.database.database_url, 1).await?;
        database::check_schema(Store::Write, &pool).await?;
        let store = EventStore::open(pool).await?;
        // A payment is the stream of an authorization; people copy its id from the API.
        let names = [self.id.clone(), format!("authorization-{}", self.id)];
        for name in names {
            if let Some(head) = store.stream_head(&name).await? {
                let events = store.streams(head.partition, std::slice::from_ref(&name)).await?;
                self.print(&name, &head.routing_key, &events)?;
                return Ok(());
            }
        }
        bail!("there is no stream `{}`; a payment's id is in GET /v1/payments", self.id);
    }

    fn print(&self, stream: &str, account: &str, events: &[StoredEvent]) -> anyhow::Result<()> {
        let mut out = std::io::stdout().lock();
        if self.json {
            for event in events {
                writeln!(out, "{}", event_json(event))?;
            }
            return Ok(());
        }
        writeln!(out, "stream {stream}, account {account}, {} events", events.len())?;
        for event in events {
            writeln!(
                out,
                "\n{:>4}  {} v{}  {}\n      partition {} position {}  event {}\n      correlation {}  by {}  decided by {}",
                event.stream_version,
                event.kind,
                event.schema_version,
                event.recorded_at,
                event.partition,
                event.position,
                event.event_id,
                event.correlation_id,
                event.actor,
                event.component_digest,
            )?;
            let payload = serde_json::to_string_pretty(&payload(event))?;
            writeln!(out, "      {}", payload.replace('\n', "\n      "))?;
        }
        Ok(())
    }
}

fn event_json(event: &StoredEvent) -> Value {
    json!({
        "stream": event.stream,
        "stream_version": event.stream_version,
        "partition": event.partition,
        "position": event.position,
        "type": event.kind,
        "schema_version": event.schema_version,
        "event_id": event.event_id,
        "correlation_id": event.correlation_id,
        "causation_id": event.causation_id,
        "actor": event.actor,
        "component_digest": event.component_digest.to_string(),
        "recorded_at": event.recorded_at.to_string(),
        "payload": payload(event),
    })
}

/// Returns the payload as JSON, or its bytes in hexadecimal if it is no JSON.
fn payload(event: &StoredEvent) -> Value {
    serde_json::from_slice(&event.payload).unwrap_or_else(|_| Value::String(hex::encode(&event.payload)))
}
