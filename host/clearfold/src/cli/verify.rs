//! `clearfold verify`: walks the log's chain of hashes, and says where it is broken first.

use std::io::Write;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::bail;
use clap::Args;

use super::progress::ProgressLine;
use crate::config::WriteStore;
use clearfold_base::database::{self, Store};
use clearfold_engine::integrity;
use clearfold_store::EventStore;

#[derive(Debug, Args)]
pub(super) struct VerifyArgs {
    #[command(flatten)]
    database: WriteStore,
}

impl VerifyArgs {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let pool = database::connect_to_read_all(Store::Write, &self.database.database_url, 1).await?;
        database::check_schema(Store::Write, &pool).await?;
        let store = EventStore::open(pool).await?;
        let (line, done) = (ProgressLine::new(), AtomicU64::new(0));
        let on_progress = |count: u64| {
            let done = done.fetch_add(count, Ordering::Relaxed).saturating_add(count);
            line.show(format_args!("{done} events"));
        };
        let (mut broken, mut events) = (0, 0);
        for partition in 0..store.partition_count() {
            let report = integrity::verify(&store, partition, &on_progress).await?;
            line.clear();
            events += report.events;
            let mut out = std::io::stdout().lock();
            match report.broken {
                None => {
                    writeln!(
                        out,
                        "ok      partition {partition}: {} events, {}",
                        report.events, report.hash
                    )?;
                }
                Some(place) => {
                    broken += 1;
                    writeln!(out, "BROKEN  partition {partition}: {place}")?;
                }
            }
        }
        if broken > 0 {
            bail!("the log was changed: restore it from a backup, see docs/operating/runbooks.md");
        }
        println!("{events} events are as they were written");
        Ok(())
    }
}
