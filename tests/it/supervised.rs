//! Projections under supervision in this process, on a log that the real writer writes.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result};
use clearfold_base::clock::Clock;
use clearfold_base::tasks::{Driver, Tasks};
use clearfold_bus::Bus;
use clearfold_bus::outbox;
use clearfold_engine::command::CommandIntake;
use clearfold_sandbox::{HandlerEngine, Limits, Projector};
use clearfold_store::EventStore;
use clearfold_tests::{Databases, Environment, Noting, eventually};
use clearfold_views::projection::{
    Ground, LiveProjector, LiveTables, Readers, RunnerSettings, State, Status, Supervisor,
};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{PgPool, Row};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::store::{ACCOUNT, intake, swipe};

/// A log that the real writer writes, and the resources to project it.
pub struct Scene {
    pub environment: Environment,
    pub databases: Databases,
    pub store: EventStore,
    pub engine: Arc<HandlerEngine>,
    pub bus: Bus,
    intake: CommandIntake,
    sent: AtomicU64,
    tasks: Tasks,
}

/// Supervised projection. It ends when this is dropped.
pub struct Projection {
    pub wanted: watch::Sender<Arc<Projector>>,
    pub status: watch::Receiver<Status>,
    pub live: LiveProjector,
    switched: Arc<Mutex<Vec<LiveTables>>>,
    stop: CancellationToken,
    running: tokio::task::JoinHandle<()>,
}

impl Scene {
    pub async fn new() -> Result<Self> {
        let environment = Environment::read()?;
        let databases = Databases::migrated(&environment).await?;
        let store = EventStore::open(databases.write().await?).await?;
        let (intake, mut tasks) = intake(&environment, &store, "one")?;
        let bus = Bus::new(store.clone());
        tasks.spawn("outbox", outbox::run(store.clone(), bus.clone(), tasks.driver()));
        let engine = Arc::new(HandlerEngine::new(Limits::of)?);
        Ok(Self { environment, databases, store, engine, bus, intake, sent: AtomicU64::new(0), tasks })
    }

    /// Makes this many payments more, of several accounts; each is an event.
    pub async fn swipes(&self, count: u64) -> Result<()> {
        for _ in 0..count {
            let number = self.sent.fetch_add(1, Ordering::Relaxed);
            let account = format!("0x{:040x}", number % 7);
            let mut command = swipe(&format!("k{number}"), &format!("p{number}"), "850");
            command.payload = String::from_utf8(command.payload)?.replace(ACCOUNT, &account).into_bytes();
            command.routing_key = account;
            self.intake.submit(command).await?;
        }
        Ok(())
    }

    pub fn projector(&self, name: &str, wasm: &[u8]) -> Result<Arc<Projector>> {
        Ok(Arc::new(Projector::load(&self.engine, name, wasm)?))
    }

    pub fn noting(&self, noting: Noting<'_>) -> Result<Arc<Projector>> {
        self.projector("noting", &noting.component(&self.environment)?)
    }

    /// Pool on a read store whose sessions wait only briefly for a lock.
    pub async fn pool(&self, url: &str) -> Result<PgPool> {
        let options: PgConnectOptions = url.parse()?;
        let options = options.options([("lock_timeout", "200ms")]);
        Ok(PgPoolOptions::new().max_connections(8).connect_with(options).await?)
    }

    pub async fn read(&self) -> Result<PgPool> {
        self.pool(&self.databases.read_url).await
    }

    pub fn ground(&self, pool: &PgPool, readers: Readers) -> Ground {
        let settings = RunnerSettings { batch_size: 20, retry_ms: 20, pause_ms: 5 };
        Ground { pool: pool.clone(), bus: self.bus.clone(), clock: Clock::system(), settings, readers }
    }

    pub async fn supervise(
        &self,
        pool: &PgPool,
        first: Arc<Projector>,
        old: Option<Arc<Projector>>,
    ) -> Result<Projection> {
        Projection::start(first, old, self.ground(pool, Readers::default())).await
    }

    /// All events of the log as (partition, position), as the rows contain them.
    async fn events(&self) -> Result<Vec<(i64, i64)>> {
        let events = "SELECT partition::bigint, position FROM events ORDER BY 1, 2";
        Ok(sqlx::query_as(events).fetch_all(self.store.pool()).await?)
    }

    /// Waits until there is exactly one row for every event of the log, with this mark, and no other row.
    pub async fn noted(&self, read: &PgPool, mark: &str) -> Result<()> {
        let events = self.events().await?;
        let rows = eventually("all events", async || {
            let rows = sqlx::query("SELECT partition, position, mark FROM noting.event ORDER BY 1, 2");
            let rows = rows.fetch_all(read).await?;
            Ok((rows.len() >= events.len()).then_some(rows))
        })
        .await?;
        let noted: Vec<(i64, i64)> = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
        assert_eq!(noted, events);
        assert!(rows.iter().all(|row| row.get::<&str, _>(2) == mark), "there are other marks than {mark}");
        Ok(())
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        self.tasks.stop().cancel();
    }
}

impl Projection {
    pub async fn start(first: Arc<Projector>, old: Option<Arc<Projector>>, ground: Ground) -> Result<Self> {
        let (wanted, wishes) = watch::channel(first);
        let supervisor = Supervisor::prepare(wishes, old, ground).await?;
        let (status, live, stop) = (supervisor.status(), supervisor.live(), CancellationToken::new());
        let switched: Arc<Mutex<Vec<LiveTables>>> = Arc::default();
        let noting = note(status.clone(), Arc::clone(&switched));
        let running = supervisor.run(Driver::new(stop.clone(), Clock::system()));
        #[expect(clippy::disallowed_methods, reason = "it is awaited or cut off with the projection")]
        let running = tokio::spawn(async { tokio::join!(running, noting).0 });
        Ok(Self { wanted, status, live, switched, stop, running })
    }

    /// Waits for a state.
    pub async fn when(&self, what: impl Fn(&Status) -> bool) -> Result<Status> {
        let mut status = self.status.clone();
        let patience = std::time::Duration::from_secs(120);
        let found = tokio::time::timeout(patience, status.wait_for(|status| what(status))).await;
        let found = found.with_context(|| format!("it stays {:?}", *self.status.borrow()))??.clone();
        Ok(found)
    }

    pub async fn is_live(&self, projector: &Projector) -> Result<Status> {
        let digest = Some(projector.id().digest);
        self.when(|status| {
            status.state == State::Live && status.live.as_ref().and_then(|live| live.digest) == digest
        })
        .await
    }

    /// Reason why a component was given up.
    pub async fn failed(&self) -> Result<String> {
        match self.when(|status| matches!(status.state, State::Failed { .. })).await?.state {
            State::Failed { why, .. } => Ok(why),
            other => anyhow::bail!("{other:?}"),
        }
    }

    /// Tables that came to be read since it began, in order.
    pub fn switches(&self) -> Vec<LiveTables> {
        self.switched.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub async fn stop(self) -> Result<()> {
        self.stop.cancel();
        Ok(self.running.await?)
    }

    /// Aborts it, as a crash would.
    pub fn cut_off(self) {
        self.running.abort();
    }
}

/// Records the tables that come to be read, until the sender is gone.
async fn note(mut status: watch::Receiver<Status>, switched: Arc<Mutex<Vec<LiveTables>>>) {
    let mut before = status.borrow_and_update().live.clone();
    while status.changed().await.is_ok() {
        let live = status.borrow_and_update().live.clone();
        if live != before {
            before.clone_from(&live);
            switched.lock().unwrap_or_else(PoisonError::into_inner).extend(live);
        }
    }
}

/// Schemas and rows of the book that one projection should leave: one of each.
pub async fn tidy(read: &PgPool, projection: &str) -> Result<()> {
    let schemas = eventually("one schema", async || {
        let ours = "SELECT nspname::text FROM pg_namespace WHERE obj_description(oid, 'pg_namespace') LIKE 'Made by clearfold%'";
        let schemas: Vec<String> = sqlx::query_scalar(ours).fetch_all(read).await?;
        Ok((schemas.len() == 1).then_some(schemas))
    })
    .await?;
    let book: Vec<String> = sqlx::query_scalar("SELECT name FROM projections").fetch_all(read).await?;
    assert_eq!((schemas, book), (vec![projection.to_owned()], vec![projection.to_owned()]));
    let of: Vec<String> =
        sqlx::query_scalar("SELECT DISTINCT projection FROM projection_checkpoints").fetch_all(read).await?;
    assert_eq!(of, [projection]);
    Ok(())
}
