//! Sees to it that the wanted component's rows are read: runs it, or builds it beside what is read and switches.
//!
//! What is wanted may change at any moment, and the process may end at any moment: each time it is settled anew from
//! what the book says ([`book::settle`]). What is half built of another component is thrown away, what is half built of
//! the wanted one goes on.
//!
//! Of two hosts on one read store each acts when it starts and when its wish changes, and follows the other in between:
//! one that finds its tables replaced leaves them alone, and so two that want different components never take turns at
//! throwing away each other's work. Two that want the same build together; the checkpoints let one of them through.

use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use sqlx::PgPool;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::book::{Settled, Terms};
use super::build::{Build, Built, Pace};
use super::runner::{Ended, Filling, Runner, RunnerSettings};
use super::tables::Declaration;
use super::{LiveTables, ProjectionError, Readers, State, Status, book, checkpoint};
use clearfold_base::clock::Clock;
use clearfold_base::digest::Digest;
use clearfold_base::telemetry::with_causes;
use clearfold_bus::Bus;
use clearfold_sandbox::Projector;

/// How often is looked again at what another host does, and at what could not be dropped yet.
const LOOK_AGAIN_MS: u64 = 5_000;

/// The component whose rows are read, as far as this host has its code.
pub type Live = watch::Receiver<Arc<Projector>>;

/// What a projection stands on.
#[derive(Clone)]
pub struct Ground {
    pub pool: PgPool,
    pub bus: Bus,
    pub clock: Clock,
    pub settings: RunnerSettings,
    /// What others ask of this projection's tables.
    pub readers: Readers,
}

/// One projection.
pub struct Supervisor {
    projection: String,
    wanted: watch::Receiver<Arc<Projector>>,
    /// The components of which this host has the code: what was wanted, and what was live.
    known: Vec<Arc<Projector>>,
    ground: Ground,
    live: watch::Sender<Arc<Projector>>,
    status: watch::Sender<Status>,
    /// A component that was wanted and is not built by this host any more, and why.
    left: Option<(Digest, State)>,
}

/// What ended a while in which nothing changed.
enum Turn {
    Wanted,
    Live(Ended),
    Built(Built),
    BookChanged,
}

/// The digest of the component that made the rows which are read, if there are rows and that is known.
pub async fn stored_digest(pool: &PgPool, projection: &str) -> Result<Option<Digest>, ProjectionError> {
    let mut connection = pool.acquire().await?;
    Ok(book::find(&mut connection, projection).await?.and_then(|read| read.digest))
}

impl Supervisor {
    /// Makes what the wanted component needs. `old` is the component whose rows are there, if it is another one and the
    /// host has it: it goes on while the wanted one is built. Fails if nothing could be done for the projection.
    pub async fn prepare(
        wanted: watch::Receiver<Arc<Projector>>,
        old: Option<Arc<Projector>>,
        ground: Ground,
    ) -> Result<Self, ProjectionError> {
        let first = Arc::clone(&wanted.borrow());
        let projection = first.descriptor().name.clone();
        let status = Status { projection: projection.clone(), live: None, state: State::Live };
        let mut supervisor = Self {
            projection,
            wanted,
            known: old.into_iter().collect(),
            ground,
            live: watch::Sender::new(Arc::clone(&first)),
            status: watch::Sender::new(status),
            left: None,
        };
        let settled = supervisor.settle(&first).await;
        supervisor.notice().await?;
        match settled {
            // With the code of what is read there is something to run all the same.
            Err(error) if error.is_final() && supervisor.is_live_known() => {
                supervisor.give_up(&first, &error);
            }
            Err(error) => return Err(error),
            Ok(_) => {}
        }
        supervisor.check_against_log().await?;
        Ok(supervisor)
    }

    /// How the projection stands, now and later. What is live is told after it was committed, also by another host; what
    /// was committed when the process ended, from the next start.
    #[must_use]
    pub fn status(&self) -> watch::Receiver<Status> {
        self.status.subscribe()
    }

    /// The component whose rows are read, now and later.
    #[must_use]
    pub fn live(&self) -> Live {
        self.live.subscribe()
    }

    /// Keeps the projection up until it is told to stop. That may be at any moment: what is not committed is nothing.
    pub async fn run(mut self, stop: CancellationToken) {
        tokio::select! {
            () = stop.cancelled() => {}
            () = self.supervise() => {}
        }
    }

    async fn supervise(&mut self) {
        loop {
            let wanted = Arc::clone(&self.wanted.borrow_and_update());
            match Box::pin(self.turn(&wanted)).await {
                Ok(Turn::Wanted | Turn::Built(Built::Switched | Built::Unwanted)) => {}
                Ok(Turn::BookChanged) => self.leave(&wanted),
                Ok(Turn::Built(Built::Replaced) | Turn::Live(Ended::Replaced)) => {
                    self.leave(&wanted);
                    self.pause().await;
                }
                Ok(Turn::Live(Ended::NoBus)) => pending().await,
                Err(error) if error.is_final() => {
                    self.give_up(&wanted, &error);
                    self.pause().await;
                }
                Err(error) => {
                    let projection = &self.projection;
                    tracing::error!(%projection, error = %with_causes(&error), "the projection waits; trying again");
                    self.pause().await;
                }
            }
        }
    }

    /// Settles what is to be done, and does it until something changes.
    async fn turn(&mut self, wanted: &Arc<Projector>) -> Result<Turn, ProjectionError> {
        let settled = self.settle(wanted).await?;
        let runner = self.notice().await?;
        let build = match settled {
            Settled::Beside => Some(self.build(wanted).await?),
            Settled::Live { .. } | Settled::Others => None,
        };
        let is_building = build.is_some();
        let (changes, mut changed) = (self.wanted.clone(), self.wanted.clone());
        let live = async {
            match runner {
                // While something is built, it is the build that knows why the other one ended.
                Some(runner) if is_building => {
                    runner.run().await;
                    pending().await
                }
                Some(runner) => runner.run().await,
                None => pending().await,
            }
        };
        let building = async {
            match build {
                Some(build) => build.run(changes).await,
                None => pending().await,
            }
        };
        tokio::select! {
            ended = live => Ok(Turn::Live(ended)),
            built = building => built.map(Turn::Built),
            // A build asks by itself, between two batches.
            () = is_changed(&mut changed), if !is_building => Ok(Turn::Wanted),
            () = self.look_again(), if !is_building => Ok(Turn::BookChanged),
        }
    }

    /// What the book says of the wanted component.
    async fn settle(&mut self, wanted: &Arc<Projector>) -> Result<Settled, ProjectionError> {
        let digest = wanted.id().digest;
        self.left.take_if(|(left, _)| *left != digest);
        if !self.known.iter().any(|known| known.id() == wanted.id()) {
            self.known.push(Arc::clone(wanted));
        }
        let declared = &wanted.descriptor().name;
        let settled = if *declared == self.projection {
            let terms = Terms {
                now: self.ground.clock.now(),
                readers: self.ground.readers,
                known: &self.known,
                leave: self.left.is_some(),
            };
            book::settle(&self.ground.pool, wanted, &terms).await?
        } else if self.left.is_some() {
            Settled::Others
        } else {
            let (projection, declared) = (self.projection.clone(), declared.clone());
            return Err(ProjectionError::OtherProjection { projection, declared });
        };
        let (projection, component) = (&self.projection, wanted.id());
        match settled {
            Settled::Live { made } => {
                if made {
                    tracing::info!(projection, %component, "tables made; building them from the first event");
                }
                self.left = None;
                self.set(State::Live);
            }
            Settled::Beside => {
                tracing::info!(projection, %component, "building beside what is read");
                self.set(State::Building { digest, position: 0, of: 0, events_per_second: 0 });
            }
            Settled::Others => {
                let why = self.left.as_ref().map(|(_, why)| why.clone());
                self.set(why.unwrap_or(State::LeftAlone { digest }));
            }
        }
        Ok(settled)
    }

    /// Finds out which tables are read now, tells of it if they are others than before, and gives what keeps them up,
    /// if this host has the code.
    async fn notice(&mut self) -> Result<Option<Runner>, ProjectionError> {
        let ground = &self.ground;
        let mut connection = ground.pool.acquire().await?;
        let Some(read) = book::find(&mut connection, &self.projection).await? else { return Ok(None) };
        drop(connection);
        let now = LiveTables { digest: read.digest, since: read.since, from: read.from.clone() };
        let before = self.status.borrow().live.clone();
        let keep = [now.digest, Some(self.wanted.borrow().id().digest)];
        self.known.retain(|known| keep.contains(&Some(known.id().digest)));
        let maker = self.known.iter().find(|known| Some(known.id().digest) == now.digest).cloned();
        if let Some(maker) = &maker {
            self.live.send_if_modified(|live| {
                let is_other = live.id() != maker.id();
                *live = Arc::clone(maker);
                is_other
            });
        }
        if before.as_ref() != Some(&now) {
            self.status.send_modify(|status| status.live = Some(now.clone()));
        }
        if let (Some(before), Some(to)) = (before, now.digest)
            && before.digest != Some(to)
        {
            let (projection, from) = (&self.projection, before.digest.map(|from| from.to_string()));
            tracing::info!(projection, from, %to, positions = ?now.from, "switched: the rows of another component are read now");
        }
        let Some(maker) = maker else { return Ok(None) };
        let declaration = Declaration::live(&maker);
        // The same component, written down otherwise by another version of this host.
        if !read.is_of(&declaration) {
            return Ok(None);
        }
        Ok(Some(Runner::new(
            self.filling(maker, declaration).await?,
            self.ground.bus.subscribe(),
            self.ground.settings,
        )))
    }

    async fn build(&self, wanted: &Arc<Projector>) -> Result<Build<'_>, ProjectionError> {
        let ground = &self.ground;
        Ok(Build {
            filling: self.filling(Arc::clone(wanted), Declaration::beside(wanted)).await?,
            subscription: ground.bus.subscribe(),
            settings: ground.settings,
            readers: ground.readers,
            clock: &ground.clock,
            status: &self.status,
            pace: Pace::start(),
        })
    }

    async fn filling(
        &self,
        projector: Arc<Projector>,
        declaration: Declaration,
    ) -> Result<Filling, ProjectionError> {
        let partitions = self.ground.bus.partition_count();
        Filling::load(projector, declaration, self.ground.pool.clone(), partitions).await
    }

    /// Drops what nobody reads any more. Ends when other tables are read than before, by the hand of another host.
    async fn look_again(&self) {
        let mut is_swept = false;
        loop {
            if !is_swept {
                // What is in the way of it now, is not for ever.
                is_swept = book::sweep(&self.ground.pool).await.unwrap_or(false);
            }
            tokio::time::sleep(Duration::from_millis(LOOK_AGAIN_MS)).await;
            let noticed = self.status.borrow().live.as_ref().and_then(|live| live.digest);
            match stored_digest(&self.ground.pool, &self.projection).await {
                Ok(stored) if stored != noticed => return,
                Ok(_) | Err(_) => {}
            }
        }
    }

    /// A component that fails is not built any more, and what is live stays live.
    fn give_up(&mut self, wanted: &Projector, error: &ProjectionError) {
        let (projection, component, why) = (&self.projection, wanted.id(), with_causes(error));
        tracing::error!(projection, %component, error = why, "this component cannot become live; what is live stays");
        let digest = component.digest;
        self.left = Some((digest, State::Failed { digest, why: why.clone() }));
        self.set(State::Failed { digest, why });
    }

    fn leave(&mut self, wanted: &Projector) {
        let digest = wanted.id().digest;
        let error = Declaration::live(wanted).replaced();
        tracing::warn!(error = %with_causes(&error), "looking what is read now");
        self.left.get_or_insert((digest, State::LeftAlone { digest }));
    }

    fn set(&self, state: State) {
        self.status.send_if_modified(|status| {
            let is_other = status.state != state;
            status.state = state;
            is_other
        });
    }

    fn is_live_known(&self) -> bool {
        let live = self.status.borrow().live.as_ref().and_then(|live| live.digest);
        self.known.iter().any(|known| Some(known.id().digest) == live)
    }

    async fn check_against_log(&self) -> Result<(), ProjectionError> {
        let (pool, partitions) = (&self.ground.pool, self.ground.bus.partition_count());
        let positions = checkpoint::load(pool, &self.projection, partitions).await?;
        checkpoint::check_against(&positions, &self.ground.bus.subscribe().heads().await?)
    }

    async fn pause(&self) {
        tokio::time::sleep(Duration::from_millis(self.ground.settings.retry_ms)).await;
    }
}

/// Waits until something else is given. If nobody can give anything any more, for ever.
pub(super) async fn is_changed<T>(given: &mut watch::Receiver<T>) {
    if given.changed().await.is_err() {
        pending::<()>().await;
    }
}
