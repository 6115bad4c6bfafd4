//! Supervisor of a projection: makes the wanted component's rows those that are read. It runs the component, or builds
//! its tables beside those that are read and switches.
//!
//! The wanted component may change at any moment, and the process may end at any moment: each time the book decides
//! anew what is to be done ([`book::settle`]). A half-built set of tables of another component is dropped; one of the
//! wanted component goes on.
//!
//! If two hosts use one read store, each acts when it starts and when its wish changes, and follows the other in
//! between: a host that finds its tables replaced leaves them alone. So two hosts that want different components never
//! drop each other's work in turns. Two that want the same component build it together; the checkpoints let one of
//! them through.

use std::convert::Infallible;
use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use sqlx::PgPool;
use tokio::sync::watch;

use super::book::{Settled, Terms};
use super::build::{BuildRate, Built, TableBuild};
use super::runner::{Replaced, Runner, RunnerSettings};
use super::table_writer::TableWriter;
use super::tables::Declaration;
use super::{LiveTables, ProjectionError, Readers, State, Status, book, checkpoint};
use clearfold_base::clock::Clock;
use clearfold_base::digest::Digest;
use clearfold_base::tasks::{Driver, Next, Retry, StepFailure, Task, changed};
use clearfold_base::telemetry::with_causes;
use clearfold_bus::Bus;
use clearfold_sandbox::Projector;

/// Time between two looks at what other hosts do, and at tables that could not be dropped yet.
const LOOK_AGAIN: Duration = Duration::from_secs(5);

/// The component whose rows are read, as far as this host has its code.
pub type LiveProjector = watch::Receiver<Arc<Projector>>;

/// Resources of a projection.
#[derive(Clone)]
pub struct Ground {
    pub pool: PgPool,
    pub bus: Bus,
    pub clock: Clock,
    pub settings: RunnerSettings,
    /// Queries that this projection's tables must serve.
    pub readers: Readers,
}

/// Supervisor of one projection.
pub struct Supervisor {
    projection: String,
    wanted: watch::Receiver<Arc<Projector>>,
    /// Components whose code this host has: those that were wanted, and the one that was live.
    known: Vec<Arc<Projector>>,
    ground: Ground,
    live: watch::Sender<Arc<Projector>>,
    status: watch::Sender<Status>,
    /// A component that was wanted and that this host does not build any more, with the state that says why.
    left: Option<(Digest, State)>,
    /// A failure that no task has reported yet.
    unreported: Option<ProjectionError>,
}

/// Work on a projection until something changes.
struct Work {
    /// Keeps the tables that are read up, if this host has their component's code.
    runner: Option<Runner>,
    /// Builds the wanted component's tables beside them, if those that are read are another one's.
    build: Option<TableBuild>,
}

/// End of a supervisor's step.
enum Turn {
    /// The work is settled, and can begin.
    Settled,
    /// Another component is wanted.
    Wanted,
    /// The tables that are read belong to another component now.
    Replaced,
    Built(Built),
    /// Another host changed the tables that are read.
    BookChanged,
}

/// Finds the component that made the rows that are read. `None` if there are no rows, or it is not known.
pub async fn stored_digest(pool: &PgPool, projection: &str) -> Result<Option<Digest>, ProjectionError> {
    let mut connection = pool.acquire().await?;
    Ok(book::find(&mut connection, projection).await?.and_then(|read| read.digest))
}

impl Supervisor {
    /// Makes the tables of the wanted component. `old` is the component whose rows are there, if it is another one and
    /// the host has its code: it goes on while the wanted one is built. Fails if the projection can neither run nor be
    /// built.
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
            unreported: None,
        };
        let settled = supervisor.settle(&first).await;
        supervisor.notice().await?;
        match settled {
            // With the code of the component whose rows are read, the projection can run all the same.
            Err(error) if error.is_final() && supervisor.is_live_known() => {
                supervisor.unreported = Some(supervisor.give_up(&first, error));
            }
            Err(error) => return Err(error),
            Ok(_) => {}
        }
        supervisor.check_against_log().await?;
        Ok(supervisor)
    }

    /// Status of the projection, now and later. A component is shown as live after the switch to it was committed, by
    /// this host or another one; if the process ended then, from the next start.
    #[must_use]
    pub fn status(&self) -> watch::Receiver<Status> {
        self.status.subscribe()
    }

    /// The component whose rows are read, now and later.
    #[must_use]
    pub fn live(&self) -> LiveProjector {
        self.live.subscribe()
    }

    /// Keeps the projection up until it is told to stop. That may be at any moment: only committed work counts.
    pub async fn run(self, driver: Driver) {
        let name = format!("supervisor of {}", self.projection);
        let wanted = Arc::clone(&self.wanted.borrow());
        let mut supervising = Supervising { supervisor: self, driver: driver.clone(), wanted, work: None };
        driver.run(name, &mut supervising).await;
    }

    /// Settles what is to be done for the wanted component.
    async fn begin(&mut self, wanted: &Arc<Projector>) -> Result<Work, ProjectionError> {
        let settled = self.settle(wanted).await?;
        let runner = self.notice().await?;
        let build = match settled {
            Settled::Beside => Some(self.build(wanted).await?),
            Settled::Live { .. } | Settled::Others => None,
        };
        Ok(Work { runner, build })
    }

    /// Does the work until something changes.
    async fn work(&self, work: Work, driver: &Driver) -> Result<Turn, ProjectionError> {
        let Work { runner, build } = work;
        let is_building = build.is_some();
        let mut wish = self.wanted.clone();
        let live = async {
            let Some(mut runner) = runner else { return pending().await };
            let ended = driver.run(format!("projection {}", self.projection), &mut runner).await;
            match ended {
                Some(ended) if !is_building => ended,
                // While something is built, the build finds out why the runner ended. If the driver stops, so does this
                // task.
                Some(_) | None => pending().await,
            }
        };
        let building = async {
            let Some(mut build) = build else { return pending().await };
            match driver.run(format!("build of {}", self.projection), &mut build).await {
                Some(built) => built,
                None => pending().await,
            }
        };
        tokio::select! {
            Replaced = live => Ok(Turn::Replaced),
            built = building => built.map(Turn::Built),
            // A build looks for another wish by itself, between two batches.
            () = changed(&mut wish), if !is_building => Ok(Turn::Wanted),
            () = self.look_again(driver), if !is_building => Ok(Turn::BookChanged),
        }
    }

    /// Prepares the tables of the wanted component, as the book says.
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
                    tracing::info!(projection, %component, "tables made; filling them from the first event");
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

    /// Finds the tables that are read now, and reports them if they are others than before. Returns their runner if
    /// this host has the code.
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
        let declaration = Declaration::live(&maker)?;
        // The same component, declared in another way by another version of this host.
        if !read.is_of(&declaration) {
            return Ok(None);
        }
        Ok(Some(Runner::new(
            self.table_writer(maker, declaration).await?,
            self.ground.bus.subscribe(),
            self.ground.settings,
        )))
    }

    async fn build(&self, wanted: &Arc<Projector>) -> Result<TableBuild, ProjectionError> {
        let ground = &self.ground;
        Ok(TableBuild {
            tables: self.table_writer(Arc::clone(wanted), Declaration::beside(wanted)?).await?,
            subscription: ground.bus.subscribe(),
            settings: ground.settings,
            readers: ground.readers,
            clock: ground.clock.clone(),
            status: self.status.clone(),
            wanted: self.wanted.clone(),
            rate: BuildRate::start(),
            failures: 0,
        })
    }

    async fn table_writer(
        &self,
        projector: Arc<Projector>,
        declaration: Declaration,
    ) -> Result<TableWriter, ProjectionError> {
        let partitions = self.ground.bus.partition_count();
        TableWriter::load(projector, declaration, self.ground.pool.clone(), partitions).await
    }

    /// Drops tables that are not read any more. Ends when another host has changed the tables that are read.
    async fn look_again(&self, driver: &Driver) {
        let noticed = self.status.borrow().live.as_ref().and_then(|live| live.digest);
        let (pool, projection) = (&self.ground.pool, self.projection.as_str());
        let mut book = BookWatch { pool, projection, noticed, is_swept: false, has_waited: false };
        let name = format!("book of the read store, {projection}");
        if driver.run(name, &mut book).await.is_none() {
            pending::<()>().await;
        }
    }

    /// Gives a failing component up: it is not built any more, and the live one stays live. Returns the failure to
    /// report.
    fn give_up(&mut self, wanted: &Projector, cause: ProjectionError) -> ProjectionError {
        let (component, why) = (wanted.id(), with_causes(&cause));
        let (digest, component) = (component.digest, component.to_string());
        let failed = State::Failed { digest, why };
        self.left = Some((digest, failed.clone()));
        self.set(failed);
        ProjectionError::GivenUp { component, cause: Box::new(cause) }
    }

    fn leave(&mut self, wanted: &Projector) {
        let digest = wanted.id().digest;
        let error = ProjectionError::Replaced { projection: self.projection.clone() };
        tracing::warn!(error = %with_causes(&error), "looking for the tables that are read now");
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
}

/// A supervisor at work.
struct Supervising {
    supervisor: Supervisor,
    /// Runs the projection and its build.
    driver: Driver,
    /// The component that the work is for.
    wanted: Arc<Projector>,
    /// Work to be done next; `None` if it must be settled first.
    work: Option<Work>,
}

impl Supervising {
    /// Settles the work, or does it until something changes: so its beginning is a success of its own.
    async fn settle_or_work(&mut self) -> Result<Turn, ProjectionError> {
        if let Some(work) = self.work.take() {
            return Box::pin(self.supervisor.work(work, &self.driver)).await;
        }
        self.wanted = Arc::clone(&self.supervisor.wanted.borrow_and_update());
        self.work = Some(Box::pin(self.supervisor.begin(&self.wanted)).await?);
        Ok(Turn::Settled)
    }
}

impl Task for Supervising {
    type Output = Infallible;
    type Error = ProjectionError;

    async fn step(&mut self) -> Result<Next, ProjectionError> {
        if let Some(error) = self.supervisor.unreported.take() {
            return Err(error);
        }
        let turn = self.settle_or_work().await;
        let Self { supervisor, wanted, .. } = self;
        let pause = Next::WaitFor(supervisor.ground.settings.retry().least);
        match turn {
            Ok(Turn::Settled | Turn::Wanted | Turn::Built(Built::Switched | Built::Unwanted)) => {
                Ok(Next::Again)
            }
            Ok(Turn::BookChanged) => {
                supervisor.leave(wanted);
                Ok(Next::Again)
            }
            Ok(Turn::Built(Built::Replaced) | Turn::Replaced) => {
                supervisor.leave(wanted);
                Ok(pause)
            }
            Err(error) if error.is_final() => Err(supervisor.give_up(wanted, error)),
            Err(error) => Err(error),
        }
    }

    async fn woken(&mut self) {
        changed(&mut self.supervisor.wanted).await;
    }

    fn retry(&self) -> Retry {
        self.supervisor.ground.settings.retry()
    }

    fn is_still_failing(&self) -> bool {
        has_given_up(self.supervisor.left.as_ref())
    }

    fn failure(&self, error: &ProjectionError) -> StepFailure {
        let message = match error {
            ProjectionError::GivenUp { .. } => "this component cannot become live; what is live stays",
            _ => "the projection waits; trying again",
        };
        StepFailure::error(message).or_when_woken()
    }
}

/// Returns true if the wanted component was given up: the failure lasts until another one is wanted, although the live
/// one is kept up.
fn has_given_up(left: Option<&(Digest, State)>) -> bool {
    left.is_some_and(|(_, state)| matches!(state, State::Failed { .. }))
}

/// Looks at the book until another host has changed the tables that are read.
struct BookWatch<'a> {
    pool: &'a PgPool,
    projection: &'a str,
    /// The component whose rows this host knows to be read.
    noticed: Option<Digest>,
    is_swept: bool,
    /// False at the first step: the book was read just before.
    has_waited: bool,
}

impl Task for BookWatch<'_> {
    type Output = ();
    type Error = ProjectionError;

    async fn step(&mut self) -> Result<Next<()>, ProjectionError> {
        if self.has_waited && stored_digest(self.pool, self.projection).await? != self.noticed {
            return Ok(Next::End(()));
        }
        if !self.is_swept {
            // A query that is in the way now will end; the next look tries again.
            self.is_swept = book::sweep(self.pool).await.unwrap_or(false);
        }
        self.has_waited = true;
        Ok(Next::WaitFor(LOOK_AGAIN))
    }

    fn retry(&self) -> Retry {
        Retry { least: LOOK_AGAIN, longest: LOOK_AGAIN }
    }

    fn failure(&self, _: &ProjectionError) -> StepFailure {
        StepFailure::warning("the book of the read store cannot be read; trying again")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_component_that_was_given_up_stays_a_failure_and_one_left_to_another_host_is_none() {
        let digest = Digest::of(b"projector");
        assert!(!has_given_up(None));
        assert!(!has_given_up(Some(&(digest, State::LeftAlone { digest }))));
        assert!(has_given_up(Some(&(digest, State::Failed { digest, why: "it trapped".to_owned() }))));
    }
}
