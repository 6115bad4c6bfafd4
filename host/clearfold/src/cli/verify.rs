//! `clearfold verify`: checks the log's hash chain, and names the first broken place of each partition.

use std::io::Write;

use anyhow::bail;
use clap::Args;

use super::progress;
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
        line.finish_and_clear();
        if broken > 0 {
            bail!("the log was changed: restore it from a backup, see docs/operating/runbooks.md");
        }
        println!("{events} events are as they were written");
        Ok(())
    }
}
