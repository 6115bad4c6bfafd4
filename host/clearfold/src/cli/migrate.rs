//! `clearfold migrate`: brings both databases to this program's schema.

use clap::Args;

use crate::config::Databases;
use clearfold_base::database::{self, Store};

#[derive(Debug, Args)]
pub(super) struct MigrateArgs {
    #[command(flatten)]
    databases: Databases,
    /// Number of partitions of a new log, 8 without it. It can never be changed
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..=1024))]
    partitions: Option<u32>,
}

impl MigrateArgs {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let write = database::connect_to_migrate(Store::Write, &self.databases.database_url).await?;
        let read = database::connect_to_migrate(Store::Read, &self.databases.read_database_url).await?;
        let report = database::migrate(&write, &read, self.partitions).await?;
        println!(
            "write store: schema version {}, {} partitions",
            report.write_version, report.partition_count
        );
        println!("read store: schema version {}", report.read_version);
        Ok(())
    }
}
