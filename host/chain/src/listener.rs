//! Follows the chain: asks the planner, does what it says on one node after the other, and never gives up.

use std::sync::Arc;
use std::time::{Duration, Instant};

use alloy::rpc::types::Filter;
use sqlx::PgPool;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::cursor::{self, Cursor};
use super::endpoint::{Endpoint, EndpointError};
use super::pace::Pace;
use super::planner::{Step, View, plan};
use super::rpc::Rpc;
use super::{fetch, submit};
use clearfold_base::clock::Clock;
use clearfold_base::database::DatabaseError;
use clearfold_base::faults;
use clearfold_base::telemetry::with_causes;
use clearfold_engine::command::{CommandError, CommandIntake};
use clearfold_sandbox::Translator;

/// How often an alarm that nobody has answered is repeated.
const ALARM_INTERVAL: Duration = Duration::from_secs(60);
/// How long a translator that cannot be asked what it wants to see is left alone at first; it doubles.
const ASK_AGAIN: Duration = Duration::from_secs(1);
/// Looks at a node that shows nothing new before another one is asked: a node that hangs also shows nothing new.
const QUIET_LOOKS: u32 = 30;

/// How the chain is read.
#[derive(Debug, Clone, Copy)]
pub struct ListenerSettings {
    /// How many blocks must lie on top of one before it counts.
    pub confirmations: u64,
    pub poll_interval_ms: u64,
    /// Blocks in one range at the most.
    pub max_range: u64,
    /// Where a new database begins.
    pub first_block: u64,
}

/// The listener of one chain.
pub struct Listener {
    rpc: Rpc,
    /// The translator that shall translate, with the activation that put it there; and the one that does, with what it
    /// wants to see.
    live: watch::Receiver<(u64, Arc<Translator>)>,
    translator: Arc<Translator>,
    filters: Vec<Filter>,
    /// When the one that shall is asked again, if it could not say what it wants to see, and the pause behind that.
    ask_again: Option<(Instant, Duration)>,
    intake: CommandIntake,
    pool: PgPool,
    clock: Clock,
    settings: ListenerSettings,
    pace: Pace,
    /// When the last alarm was given, if there is still cause for it.
    alarmed: Option<Instant>,
    quiet_looks: u32,
}

/// Why a range was not finished. It is read again.
#[derive(Debug, thiserror::Error)]
enum ListenError {
    #[error("{cause}")]
    Endpoint {
        /// The range that was asked for, if it came to that.
        refused: Option<u64>,
        cause: EndpointError,
    },
    #[error("no endpoint of CHAIN_RPC_URLS can be used: {why}")]
    NoEndpoint { refused: Option<u64>, why: String },
    #[error("the cursor could not be read or moved")]
    Database(#[from] DatabaseError),
    #[error("the translation was cut short")]
    Translation(#[from] tokio::task::JoinError),
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
        Self::Endpoint { refused: None, cause }
    }
}

/// Whether there is more to do at once.
enum Progress {
    Read,
    UpToDate,
}

impl Listener {
    /// A listener that has not asked anything yet.
    #[must_use]
    pub fn new(
        rpc: Rpc,
        mut live: watch::Receiver<(u64, Arc<Translator>)>,
        filters: &[clearfold_kernel::LogFilter],
        intake: CommandIntake,
        pool: PgPool,
        clock: Clock,
        settings: ListenerSettings,
    ) -> Self {
        let pace = Pace::new(settings.max_range, settings.poll_interval_ms);
        let filters = fetch::filters(filters);
        let translator = Arc::clone(&live.borrow_and_update().1);
        Self {
            rpc,
            live,
            translator,
            filters,
            ask_again: None,
            intake,
            pool,
            clock,
            settings,
            pace,
            alarmed: None,
            quiet_looks: 0,
        }
    }

    /// Follows the chain until it is told to stop.
    pub async fn run(mut self, stop: CancellationToken) {
        while !stop.is_cancelled() {
            self.take_over().await;
            let step = tokio::select! {
                step = self.step() => step,
                () = stop.cancelled() => return,
            };
            if self.note(step) {
                continue;
            }
            tokio::select! {
                () = tokio::time::sleep(Duration::from_millis(self.pace.pause_ms())) => {}
                () = stop.cancelled() => {}
            }
        }
    }

    /// Lets another translator translate from the next range on, if it can read the contract set of this chain. One that
    /// fails is asked again later: a missed deadline passes.
    async fn take_over(&mut self) {
        let is_other = self.live.has_changed().unwrap_or(false);
        let is_time = self.ask_again.is_some_and(|(at, _)| at <= Instant::now());
        if !is_other && !is_time {
            return;
        }
        let pause = self.ask_again.take().filter(|_| !is_other).map_or(ASK_AGAIN, |(_, pause)| pause);
        let (activation, newest) = self.live.borrow_and_update().clone();
        let asked = Arc::clone(&newest);
        match tokio::task::spawn_blocking(move || asked.filters()).await {
            Ok(Ok(selection)) if selection.chain_id == self.rpc.chain_id() => {
                self.filters = fetch::filters(&selection.filters);
                self.translator = newest;
                tracing::info!(activation, "another translator translates from the next range on");
            }
            Ok(Ok(selection)) => {
                let (chain_id, of_component) = (self.rpc.chain_id(), selection.chain_id);
                tracing::error!(
                    activation,
                    chain_id,
                    of_component,
                    "the translator is of another chain; going on with the one before"
                );
            }
            Ok(Err(fault)) => {
                let pause_ms = self.ask_again_in(pause);
                tracing::error!(activation, error = %with_causes(&fault), pause_ms, "the translator cannot be used; going on with the one before, and asking it again");
            }
            Err(error) => {
                let pause_ms = self.ask_again_in(pause);
                tracing::error!(activation, %error, pause_ms, "the translator was not asked; asking it again");
            }
        }
    }

    fn ask_again_in(&mut self, pause: Duration) -> u128 {
        self.ask_again = Some((Instant::now() + pause, pause.saturating_mul(2).min(ALARM_INTERVAL)));
        pause.as_millis()
    }

    /// Draws the conclusions of a step, and says whether there is more to do at once.
    fn note(&mut self, step: Result<Progress, ListenError>) -> bool {
        let progress = match step {
            Ok(progress) => progress,
            Err(error) => {
                self.trouble(&error);
                return false;
            }
        };
        if self.alarmed.take().is_some() {
            tracing::info!("the chain is followed again");
        }
        match progress {
            Progress::Read => {
                self.pace.read();
                self.quiet_looks = 0;
                true
            }
            Progress::UpToDate => {
                self.pace.went_well();
                self.quiet_looks = self.quiet_looks.saturating_add(1);
                if self.quiet_looks >= QUIET_LOOKS {
                    self.quiet_looks = 0;
                    self.rpc.prefer_another();
                }
                false
            }
        }
    }

    fn trouble(&mut self, error: &ListenError) {
        match error {
            ListenError::Forked { .. } => {
                if self.alarmed.is_none_or(|at| at.elapsed() >= ALARM_INTERVAL) {
                    self.alarmed = Some(Instant::now());
                    tracing::error!(error = %with_causes(error), "the listener has stopped reading");
                }
            }
            ListenError::NoEndpoint { refused, .. } => {
                self.pace.failed(*refused);
                let (pause_ms, max_range) = (self.pace.pause_ms(), self.pace.range());
                tracing::error!(error = %with_causes(error), pause_ms, max_range, "the chain could not be read; trying again");
            }
            _ => {
                self.pace.failed(None);
                let pause_ms = self.pace.pause_ms();
                tracing::error!(error = %with_causes(error), pause_ms, "the chain could not be followed; trying again");
            }
        }
    }

    /// One look at the chain. It is had from one node alone, and begun again on the next one if that fails.
    async fn step(&self) -> Result<Progress, ListenError> {
        let cursor = cursor::load(&self.pool, self.rpc.chain_id()).await?;
        let (mut reasons, mut range) = (Vec::new(), None);
        for (place, endpoint) in self.rpc.in_turn() {
            match self.look(endpoint, cursor.as_ref()).await {
                Err(ListenError::Endpoint { refused, cause }) => {
                    tracing::debug!(host = endpoint.host(), error = %cause, "an endpoint could not be used");
                    reasons.push(format!("{}: {cause}", endpoint.host()));
                    range = refused.or(range);
                }
                done => {
                    self.rpc.prefer(place);
                    return done;
                }
            }
        }
        Err(ListenError::NoEndpoint { refused: range, why: reasons.join("; ") })
    }

    async fn look(&self, endpoint: &Endpoint, cursor: Option<&Cursor>) -> Result<Progress, ListenError> {
        endpoint.check_chain(self.rpc.chain_id()).await?;
        let view = View {
            cursor: cursor.map(|cursor| cursor.block_number),
            first_block: self.settings.first_block,
            head: endpoint.head().await?,
            confirmations: self.settings.confirmations,
            max_range: self.pace.range(),
        };
        match plan(view) {
            Step::Wait => Ok(Progress::UpToDate),
            Step::Behind { cursor, head } => Err(EndpointError::Behind { head, cursor }.into()),
            Step::Read { from, to } => {
                still_canonical(endpoint, cursor).await?;
                let fetched = fetch::fetch(endpoint, self.rpc.chain_id(), &self.filters, from, to).await;
                let refused = Some((to - from).saturating_add(1));
                self.take(fetched.map_err(|cause| ListenError::Endpoint { refused, cause })?).await?;
                tracing::debug!(from, to, host = endpoint.host(), "blocks read");
                Ok(Progress::Read)
            }
        }
    }

    /// Has what was fetched translated and decided, and moves the cursor behind it.
    async fn take(&self, fetched: fetch::Fetched) -> Result<(), ListenError> {
        let transactions: Arc<[_]> = fetched.transactions.into();
        let (translated, mut letters) =
            submit::translate(&self.translator, &transactions, &fetched.log_indexes).await?;
        letters.extend(submit::submit(&self.intake, &transactions, translated).await?);
        faults::point("range_submitted");
        let cursor = Cursor { block_number: fetched.last.number, block_hash: fetched.last.hash.0 };
        cursor::advance(&self.pool, self.rpc.chain_id(), &cursor, &letters, self.clock.now()).await?;
        Ok(())
    }
}

/// What we build on must still be there.
async fn still_canonical(endpoint: &Endpoint, cursor: Option<&Cursor>) -> Result<(), ListenError> {
    let Some(Cursor { block_number: block, block_hash }) = cursor else { return Ok(()) };
    match endpoint.header(*block).await? {
        Some(header) if header.hash.0 == *block_hash => Ok(()),
        Some(_) => Err(ListenError::Forked { block: *block, host: endpoint.host().to_owned() }),
        None => Err(fetch::inconsistent(format!("block {block} is below its head but not known")).into()),
    }
}
