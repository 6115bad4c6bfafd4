//! Follows the chain: asks the planner, and does what it says on one node after the other.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use sqlx::PgPool;
use tokio::sync::watch;

use super::cursor::{self, ChainCursor};
use super::endpoint::{Endpoint, EndpointError};
use super::pace::Pace;
use super::planner::{Step, View, plan};
use super::rpc::Rpc;
use super::translation::{FollowTranslator, Translation};
use super::{fetch, pulls, submit};
use clearfold_base::blocking::Panicked;
use clearfold_base::clock::Clock;
use clearfold_base::database::DatabaseError;
use clearfold_base::faults;
use clearfold_base::tasks::{Driver, Next, Retry, StepFailure, Task};
use clearfold_engine::command::{CommandError, CommandIntake};
use clearfold_sandbox::Translator;

/// Interval at which the error of a fork is logged again while it lasts.
const ALARM_INTERVAL: Duration = Duration::from_secs(60);
/// Longest pause after a failure, before jitter, which can double it.
const LONGEST_PAUSE: Duration = Duration::from_secs(15);
/// Number of times in a row that a node shows nothing new before another one is asked: a node that hangs also shows
/// nothing new.
const QUIET_READS: u32 = 30;

/// Settings of the listener.
#[derive(Debug, Clone, Copy)]
pub struct ListenerSettings {
    /// Number of blocks that must lie on top of a block before it is read.
    pub confirmations: u64,
    pub poll_interval_ms: u64,
    /// Largest number of blocks in one range.
    pub max_range: u64,
    /// Number of the first block to read with a new database.
    pub first_block: u64,
}

/// The listener of one chain.
pub struct Listener {
    reader: Reader,
    translators: FollowTranslator,
}

/// Reads the chain, range by range.
struct Reader {
    rpc: Rpc,
    translation: watch::Receiver<Translation>,
    intake: CommandIntake,
    pool: PgPool,
    clock: Clock,
    settings: ListenerSettings,
    pace: Pace,
    quiet_reads: u32,
}

/// A range was not finished. It is read again.
#[derive(Debug, thiserror::Error)]
enum ListenError {
    /// One endpoint failed; the next one is asked.
    #[error("{cause}")]
    Endpoint {
        /// Number of blocks that were requested, if it came to that.
        refused_blocks: Option<u64>,
        cause: EndpointError,
    },
    #[error("no endpoint of CHAIN_RPC_URLS can be used: {why}")]
    NoEndpoint {
        /// True if the next range is a shorter one.
        is_halved: bool,
        why: String,
    },
    #[error("the cursor could not be read or moved")]
    Database(#[from] DatabaseError),
    #[error("the translation did not end")]
    Panicked(#[from] Panicked),
    #[error(transparent)]
    Command(#[from] CommandError),
    #[error(
        "block {block}, which was read, is not on the chain of {host} any more: the chain was reorganized deeper than \
         CHAIN_CONFIRMATIONS, or this is another chain. No block is read until the chain has it again or the cursor \
         is set back. What to check and how to go on is in docs/operating/fork-repair.md"
    )]
    Forked { block: u64, host: String },
}

impl From<EndpointError> for ListenError {
    fn from(cause: EndpointError) -> Self {
        Self::Endpoint { refused_blocks: None, cause }
    }
}

/// Outcome of reading the next range.
enum RangeOutcome {
    /// It was read and submitted, and the cursor is behind it.
    Read,
    /// The chain has no further range yet.
    UpToDate,
}

/// Reason why the next range was not read.
enum RangeError {
    AllEndpointsFailed {
        /// Number of blocks that were requested last, if it came to that.
        refused_blocks: Option<u64>,
        /// Reason of each endpoint.
        why: String,
    },
    /// Reason that has nothing to do with an endpoint.
    Other(ListenError),
}

impl From<ListenError> for RangeError {
    fn from(error: ListenError) -> Self {
        Self::Other(error)
    }
}

impl Listener {
    /// Makes a listener. No request is sent yet.
    #[must_use]
    pub fn new(
        rpc: Rpc,
        live: watch::Receiver<(u64, Arc<Translator>)>,
        filters: &[clearfold_kernel::LogFilter],
        intake: CommandIntake,
        pool: PgPool,
        clock: Clock,
        settings: ListenerSettings,
    ) -> Self {
        let translators = FollowTranslator::new(rpc.chain_id(), live, filters);
        let translation = translators.subscribe();
        let pace = Pace::new(settings.max_range);
        let reader = Reader { rpc, translation, intake, pool, clock, settings, pace, quiet_reads: 0 };
        Self { reader, translators }
    }

    /// Follows the chain until it is told to stop.
    pub async fn run(self, driver: Driver) {
        let Self { mut reader, mut translators } = self;
        tokio::join!(
            driver.run("chain listener", &mut reader),
            driver.run("translator of the chain listener", &mut translators),
        );
    }
}

impl Task for Reader {
    type Output = Infallible;
    type Error = ListenError;

    async fn step(&mut self) -> Result<Next, ListenError> {
        match self.read_from_any_endpoint().await {
            Ok(RangeOutcome::Read) => {
                self.pace.read();
                self.quiet_reads = 0;
                Ok(Next::Again)
            }
            Ok(RangeOutcome::UpToDate) => {
                // At most QUIET_READS, where it begins again.
                self.quiet_reads += 1;
                if self.quiet_reads >= QUIET_READS {
                    self.quiet_reads = 0;
                    self.rpc.prefer_another();
                }
                Ok(Next::WaitFor(self.poll_interval()))
            }
            Err(RangeError::AllEndpointsFailed { refused_blocks, why }) => {
                let is_halved = self.pace.failed(refused_blocks);
                tracing::debug!(max_range = self.pace.range(), "the next range is no longer than this");
                Err(ListenError::NoEndpoint { is_halved, why })
            }
            Err(RangeError::Other(error)) => {
                self.pace.failed(None);
                Err(error)
            }
        }
    }

    fn retry(&self) -> Retry {
        let least = self.poll_interval();
        Retry { least, longest: LONGEST_PAUSE.max(least) }
    }

    fn failure(&self, error: &ListenError) -> StepFailure {
        match error {
            // The next read may find the block again, so it comes after the usual interval.
            ListenError::Forked { .. } => StepFailure::error("the listener has stopped reading")
                .asking_otherwise()
                .repeated_every(ALARM_INTERVAL),
            // A shorter range is another question, so there is no need to wait for better times.
            ListenError::NoEndpoint { is_halved: true, .. } => {
                StepFailure::error("the chain could not be read; trying again").asking_otherwise()
            }
            ListenError::NoEndpoint { .. } => StepFailure::error("the chain could not be read; trying again"),
            _ => StepFailure::error("the chain could not be followed; trying again"),
        }
    }

    fn recovered(&self) -> &'static str {
        "the chain is followed again"
    }
}

impl Reader {
    fn poll_interval(&self) -> Duration {
        Duration::from_millis(self.settings.poll_interval_ms)
    }

    /// Reads the next range. All answers come from one node; if it fails, the read begins again on the next one.
    async fn read_from_any_endpoint(&self) -> Result<RangeOutcome, RangeError> {
        let cursor = cursor::load(&self.pool, self.rpc.chain_id()).await.map_err(ListenError::from)?;
        let (mut reasons, mut last_refused) = (Vec::new(), None);
        for (place, endpoint) in self.rpc.in_turn() {
            match self.read_next_range(endpoint, cursor.as_ref()).await {
                Err(ListenError::Endpoint { refused_blocks, cause }) => {
                    tracing::debug!(host = endpoint.host(), error = %cause, "an endpoint could not be used");
                    reasons.push(format!("{}: {cause}", endpoint.host()));
                    last_refused = refused_blocks.or(last_refused);
                }
                outcome => {
                    self.rpc.prefer(place);
                    return Ok(outcome?);
                }
            }
        }
        Err(RangeError::AllEndpointsFailed { refused_blocks: last_refused, why: reasons.join("; ") })
    }

    /// Reads the next range from one endpoint and submits it, if the chain has one.
    async fn read_next_range(
        &self,
        endpoint: &Endpoint,
        cursor: Option<&ChainCursor>,
    ) -> Result<RangeOutcome, ListenError> {
        endpoint.check_chain(self.rpc.chain_id()).await?;
        let view = View {
            cursor: cursor.map(|cursor| cursor.block_number),
            first_block: self.settings.first_block,
            head: endpoint.head().await?,
            confirmations: self.settings.confirmations,
            max_range: self.pace.range(),
        };
        match plan(view) {
            Step::Wait => Ok(RangeOutcome::UpToDate),
            Step::Behind { cursor, head } => Err(EndpointError::Behind { head, cursor }.into()),
            Step::Read { from, to } => {
                still_canonical(endpoint, cursor).await?;
                // One translator for the whole range, whichever comes into force meanwhile.
                let translation = self.translation.borrow().clone();
                let filters = &translation.filters;
                let fetched = fetch::fetch(endpoint, self.rpc.chain_id(), filters, from, to).await;
                // The planner gives no empty range, and none that ends behind the head.
                let refused_blocks = Some(to - from + 1);
                let fetched = fetched.map_err(|cause| ListenError::Endpoint { refused_blocks, cause })?;
                self.submit_range(&translation.translator, fetched).await?;
                tracing::debug!(from, to, host = endpoint.host(), "blocks read");
                Ok(RangeOutcome::Read)
            }
        }
    }

    /// Has a range translated and decided, and moves the cursor behind it.
    async fn submit_range(
        &self,
        translator: &Arc<Translator>,
        mut fetched: fetch::Fetched,
    ) -> Result<(), ListenError> {
        pulls::mark(&self.pool, &mut fetched.transactions).await?;
        let transactions: Arc<[_]> = fetched.transactions.into();
        let (translated, mut letters) =
            submit::translate(translator, &transactions, &fetched.log_indexes).await?;
        letters.extend(submit::submit(&self.intake, &transactions, translated).await?);
        faults::point("range_submitted");
        let cursor = ChainCursor { block_number: fetched.last.number, block_hash: fetched.last.hash.0 };
        cursor::advance(&self.pool, self.rpc.chain_id(), &cursor, &letters, self.clock.now()).await?;
        Ok(())
    }
}

/// Checks that the block of the cursor is still on the chain.
async fn still_canonical(endpoint: &Endpoint, cursor: Option<&ChainCursor>) -> Result<(), ListenError> {
    let Some(ChainCursor { block_number: block, block_hash }) = cursor else { return Ok(()) };
    match endpoint.header(*block).await? {
        Some(header) if header.hash.0 == *block_hash => Ok(()),
        Some(_) => Err(ListenError::Forked { block: *block, host: endpoint.host().to_owned() }),
        None => {
            let why = format!("block {block} is below its head but not known");
            Err(EndpointError::Inconsistent(why).into())
        }
    }
}
