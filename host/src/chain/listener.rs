//! Follows the chain: asks the planner, does what it says, and never gives up.

use std::sync::Arc;
use std::time::Duration;

use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

use super::cursor::{self, Cursor};
use super::planner::{Step, View, plan};
use super::rpc::{Rpc, RpcError};
use super::{fetch, submit};
use crate::clock::Clock;
use crate::command::{CommandError, CommandIntake};
use crate::database::DatabaseError;
use crate::runtime::{Fault, LogFilter, Translator};
use crate::telemetry::chain;

/// How the chain is read.
#[derive(Debug, Clone, Copy)]
pub struct ListenerSettings {
    /// How many blocks must lie on top of one before it counts.
    pub confirmations: u64,
    pub poll_interval_ms: u64,
    /// Blocks in one range at the most.
    pub max_range: u64,
    /// Where a new database begins, if not where the contract set does.
    pub first_block: Option<u64>,
}

/// The listener of one chain.
pub struct Listener {
    chain_id: u64,
    rpc: Rpc,
    translator: Arc<Translator>,
    filters: Vec<LogFilter>,
    intake: CommandIntake,
    pool: PgPool,
    clock: Clock,
    settings: ListenerSettings,
}

/// Why a range was not finished. It is read again.
#[derive(Debug, thiserror::Error)]
enum ListenError {
    #[error(transparent)]
    Rpc(#[from] RpcError),
    #[error("the cursor could not be read or moved")]
    Database(#[from] DatabaseError),
    #[error(transparent)]
    Command(#[from] CommandError),
    #[error(
        "the chain was reorganized below block {block}, deeper than CHAIN_CONFIRMATIONS, or this is another chain: \
         the listener has stopped and guesses nothing. Give the endpoint of the chain that this database belongs \
         to; if it is the right one, check the payments behind the fork by hand before you go on"
    )]
    Reorganized { block: u64 },
}

/// Whether there is more to do at once.
enum Progress {
    Read,
    UpToDate,
}

impl Listener {
    /// A listener that has not asked anything yet.
    pub fn new(
        chain_id: u64,
        rpc: Rpc,
        translator: Arc<Translator>,
        intake: CommandIntake,
        pool: PgPool,
        clock: Clock,
        settings: ListenerSettings,
    ) -> Result<Self, Fault> {
        let filters = translator.filters()?;
        Ok(Self { chain_id, rpc, translator, filters, intake, pool, clock, settings })
    }

    /// Follows the chain until it is told to stop.
    pub async fn run(self, stop: CancellationToken) {
        let pause = Duration::from_millis(self.settings.poll_interval_ms);
        while !stop.is_cancelled() {
            let step = tokio::select! {
                step = self.step() => step,
                () = stop.cancelled() => return,
            };
            match step {
                Ok(Progress::Read) => continue,
                Ok(Progress::UpToDate) => {}
                Err(error) => {
                    tracing::error!(error = %chain(&error), "the chain could not be followed; trying again");
                }
            }
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = stop.cancelled() => {}
            }
        }
    }

    async fn step(&self) -> Result<Progress, ListenError> {
        let cursor = cursor::load(&self.pool, self.chain_id).await?;
        let first_block = self
            .settings
            .first_block
            .unwrap_or_else(|| self.filters.iter().map(|filter| filter.from_block).min().unwrap_or(0));
        let view = View {
            cursor: cursor.as_ref().map(|cursor| cursor.block_number),
            first_block,
            head: self.rpc.head().await?,
            confirmations: self.settings.confirmations,
            max_range: self.settings.max_range,
        };
        match plan(view) {
            Step::Wait => Ok(Progress::UpToDate),
            Step::Behind { cursor, head } => {
                tracing::warn!(cursor, head, "the node is behind what was read before; waiting for it");
                Ok(Progress::UpToDate)
            }
            Step::Read { from, to } => {
                self.still_canonical(cursor.as_ref()).await?;
                self.read(from, to).await?;
                Ok(Progress::Read)
            }
        }
    }

    /// What we build on must still be there.
    async fn still_canonical(&self, cursor: Option<&Cursor>) -> Result<(), ListenError> {
        let Some(cursor) = cursor else { return Ok(()) };
        match self.rpc.header(cursor.block_number).await? {
            Some(header) if header.hash.0 == cursor.block_hash => Ok(()),
            Some(_) => Err(ListenError::Reorganized { block: cursor.block_number }),
            None => Err(RpcError::Inconsistent(format!("block {} is not known", cursor.block_number)).into()),
        }
    }

    async fn read(&self, from: u64, to: u64) -> Result<(), ListenError> {
        let fetched = fetch::fetch(&self.rpc, self.chain_id, &self.filters, from, to).await?;
        let translator = Arc::clone(&self.translator);
        let transactions: Arc<[_]> = fetched.transactions.into();
        let batch = Arc::clone(&transactions);
        let translated = tokio::task::spawn_blocking(move || submit::translate(&translator, &batch)).await;
        let (translated, mut letters) =
            translated.map_err(|error| DatabaseError::Corrupt(error.to_string()))?;
        letters.extend(submit::submit(&self.intake, &transactions, translated).await?);
        let cursor = Cursor { block_number: to, block_hash: fetched.last.hash.0 };
        cursor::advance(&self.pool, self.chain_id, &cursor, &letters, self.clock.now()).await?;
        tracing::debug!(
            from,
            to,
            transactions = transactions.len(),
            dead_letters = letters.len(),
            "blocks read"
        );
        Ok(())
    }
}
