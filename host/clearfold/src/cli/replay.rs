//! `clearfold replay --verify`: has every recorded command decided again by the component that decided it, and
//! compares the results bit for bit.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, bail};
use clap::Args;

use super::{load, progress};
use crate::config::WriteStore;
use clearfold_base::database::{self, Store};
use clearfold_base::digest::Digest;
use clearfold_engine::integrity::{CommandReplay, ReplayReport};
use clearfold_engine::saga::load_deciding;
use clearfold_sandbox::{Decides, HandlerEngine, inspect};
use clearfold_store::EventStore;

#[derive(Debug, Args)]
pub(super) struct ReplayArgs {
    /// Compare the results with the recorded ones. Nothing is written
    #[arg(long, required = true)]
    verify: bool,
    /// File with a component that the database does not have
    #[arg(long = "component", value_name = "FILE")]
    components: Vec<PathBuf>,
    #[command(flatten)]
    database: WriteStore,
}

impl ReplayArgs {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        // Connections: one reads commands, one reads events, and one is for the rest.
        let pool = database::connect_to_read_all(Store::Write, &self.database.database_url, 3).await?;
        database::check_schema(Store::Write, &pool).await?;
        let store = EventStore::open(pool).await?;
        let replay = CommandReplay { deciders: self.deciders(&store).await?, store };
        let line = progress::line("{pos} commands")?;
        let mut report = ReplayReport::default();
        for partition in 0..replay.store.partition_count() {
            replay.partition(partition, &mut report, &|count| line.inc(count)).await?;
        }
        line.finish_and_clear();
        write!(std::io::stdout().lock(), "{}", text(&report))?;
        if !report.is_same() {
            bail!("some commands did not come to the same again; they are listed above");
        }
        Ok(())
    }

    /// Loads the deciders that the database has, and those that were given.
    async fn deciders(&self, store: &EventStore) -> anyhow::Result<BTreeMap<Digest, Arc<dyn Decides>>> {
        let engine = load::engine()?;
        let mut deciders = BTreeMap::new();
        for path in &self.components {
            let decider = load_any(&engine, &load::stem(path), &load::read_wasm(path)?)?;
            deciders.insert(decider.id().digest, decider);
        }
        for kept in store.components_of_commands().await? {
            let decider = load_any(&engine, &kept.name, &kept.wasm)
                .with_context(|| format!("the kept component {} cannot be used", kept.name))?;
            deciders.insert(decider.id().digest, decider);
        }
        Ok(deciders)
    }
}

/// Loads a decider or a saga.
fn load_any(engine: &Arc<HandlerEngine>, name: &str, wasm: &[u8]) -> anyhow::Result<Arc<dyn Decides>> {
    let kind = inspect(engine, name, wasm)?.kind;
    Ok(load_deciding(engine, kind, name, wasm)?)
}

fn text(report: &ReplayReport) -> String {
    let (commands, events) = (report.commands, report.events);
    // A command that differs is one of those counted.
    let same = commands - report.different;
    let mut text = format!("{same} of {commands} commands, with {events} events, came to the same again\n");
    for difference in &report.differences {
        text.push_str(&format!(
            "DIFFERENT  {} {}, command {} of partition {}\n    recorded: {}\n    replayed: {}\n",
            difference.stream,
            difference.kind,
            difference.sequence,
            difference.partition,
            difference.recorded,
            difference.replayed
        ));
    }
    // Each one listed is counted.
    let more = report.different - report.differences.len() as u64;
    if more > 0 {
        text.push_str(&format!("DIFFERENT  and {more} more\n"));
    }
    for (digest, count) in &report.undecidable {
        text.push_str(&format!(
            "NOT AT HAND  {count} commands were decided by the component {digest}; give its file with --component\n"
        ));
    }
    if report.unexplained > 0 {
        text.push_str(&format!("UNEXPLAINED  {} events came of no recorded command\n", report.unexplained));
    }
    if report.missing > 0 {
        text.push_str(&format!("MISSING  {} commands were recorded and are not there\n", report.missing));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use clearfold_engine::integrity::ReplayDifference;

    #[test]
    fn what_differs_and_what_cannot_be_decided_is_named() {
        let mut report = ReplayReport { commands: 3, events: 2, different: 2, ..ReplayReport::default() };
        report.differences.push(ReplayDifference {
            partition: 1,
            sequence: 7,
            stream: "card-a".into(),
            kind: "FreezeCard".into(),
            recorded: "CardFrozen v1 {}".into(),
            replayed: "rejected: card_closed: it is closed".into(),
        });
        report.undecidable.insert("abcd".into(), 4);
        let text = text(&report);
        let said = [
            "1 of 3 commands, with 2 events, came to the same again",
            "DIFFERENT  card-a FreezeCard, command 7 of partition 1",
            "recorded: CardFrozen v1 {}",
            "replayed: rejected: card_closed",
            "and 1 more",
            "4 commands were decided by the component abcd",
        ];
        assert!(said.iter().all(|said| text.contains(said)), "{text}");
        assert!(!report.is_same());
    }
}
