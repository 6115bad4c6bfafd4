//! `clearfold verify`: checks the log's hash chain, and names the first broken place of each partition.

use std::io::Write;

use anyhow::bail;
use clap::Args;
use indicatif::ProgressBar;

use super::progress;
use crate::config::WriteStore;
use clearfold_base::database::{self, Store};
use clearfold_engine::integrity::{self, WaitingReport};
use clearfold_store::EventStore;

#[derive(Debug, Args)]
pub(super) struct VerifyArgs {
    #[command(flatten)]
    database: WriteStore,
}

impl VerifyArgs {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        // One reads events, the other looks up what they wait for.
        let pool = database::connect_to_read_all(Store::Write, &self.database.database_url, 2).await?;
        database::check_schema(Store::Write, &pool).await?;
        let store = EventStore::open(pool).await?;
        let line = progress::line("{pos} events")?;
        let (mut broken, mut events) = (0, 0);
        for partition in 0..store.partition_count() {
            let report = integrity::verify(&store, partition, &|count| line.inc(count)).await?;
            events += report.events;
            let found = match report.broken {
                None => format!("ok      partition {partition}: {} events, {}", report.events, report.hash),
                Some(place) => {
                    broken += 1;
                    format!("BROKEN  partition {partition}: {place}")
                }
            };
            line.suspend(|| writeln!(std::io::stdout().lock(), "{found}"))?;
        }
        if broken > 0 {
            line.finish_and_clear();
            bail!("the log was changed: restore it from a backup, see docs/operating/runbooks.md");
        }
        let waiting = waiting(&store, &line).await?;
        line.finish_and_clear();
        println!("{}", waiting_text(&waiting));
        println!("{events} events are as they were written");
        if waiting.missing > 0 {
            bail!("{} rows are missing; see docs/operating/runbooks.md", waiting.missing);
        }
        Ok(())
    }
}

/// Checks the rows of what sagas wait for, over all partitions.
async fn waiting(store: &EventStore, line: &ProgressBar) -> anyhow::Result<WaitingReport> {
    let mut all = WaitingReport::default();
    for partition in 0..store.partition_count() {
        all.join(integrity::waiting(store, partition, &|count| line.inc(count)).await?);
    }
    Ok(all)
}

fn waiting_text(report: &WaitingReport) -> String {
    let WaitingReport { instances, timers, effects, first_missing, .. } = report;
    let found = first_missing.iter().map(|row| format!("MISSING  {row}\n"));
    let found: String = found.collect();
    format!("{found}{instances} instances of sagas wait for {timers} timers and {effects} effects")
}
