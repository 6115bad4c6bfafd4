//! Resources of the benchmarks: a server for databases, built components, and a host's write path in this process.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};
use clearfold_base::clock::Clock;
use clearfold_base::database::{self, Store};
use clearfold_base::tasks::Tasks;
use clearfold_engine::command::{
    ActiveDecider, AggregateDeciders, CommandIntake, Deciders, IntakeSettings, LiveDeciders, Permits,
    WriterSettings,
};
use clearfold_engine::effects::Effects;
use clearfold_engine::saga::SagaDecider;
use clearfold_sandbox::{Decider, Decides, HandlerEngine, Limits};
use clearfold_store::EventStore;
use sqlx::{AssertSqlSafe, Connection, PgConnection, PgPool};
use tokio::sync::watch;
use url::Url;

/// Deciders of the domain.
const DECIDERS: [&str; 3] = ["decider-account", "decider-authorization", "decider-card"];

/// Default settings of a host.
pub const BATCH_SIZE: usize = 256;
pub const QUEUE_LENGTH: usize = 1024;
/// Two connections for each of the eight writers, and as many for others.
pub const CONNECTIONS: u32 = 32;

pub struct Place {
    pub components: PathBuf,
    pub server: String,
    /// Folder on the disk of the server's files.
    pub disk: PathBuf,
    /// Least time from one batch of a projection to its next.
    pub projection_pause_ms: u64,
    /// Memory for the states of streams, of all partitions together.
    pub state_cache_mib: u64,
}

/// Databases, one of them with a log.
pub struct Log {
    pub pool: PgPool,
    pub store: EventStore,
    /// Empty read store beside the log.
    pub read: PgPool,
}

/// Running write path. Its writers end when it is dropped.
pub struct Writing {
    pub intake: CommandIntake,
    _tasks: Tasks,
}

impl Place {
    pub fn read(projection_pause_ms: u64, state_cache_mib: u64) -> Result<Self> {
        let variable = |name: &str| {
            std::env::var(name).with_context(|| format!("{name} is not set; run `cargo xtask bench`"))
        };
        Ok(Self {
            components: variable("CLEARFOLD_COMPONENTS")?.into(),
            server: variable("CLEARFOLD_BENCH_DATABASE_URL")?,
            disk: variable("CLEARFOLD_BENCH_DISK")?.into(),
            projection_pause_ms,
            state_cache_mib,
        })
    }

    pub fn deciders(&self) -> Result<BTreeMap<String, Arc<Decider>>> {
        let engine = Arc::new(HandlerEngine::new(Limits::of)?);
        let mut deciders = BTreeMap::new();
        for name in DECIDERS {
            let wasm = std::fs::read(self.components.join(format!("{name}.wasm")))?;
            let decider = Decider::load(&engine, name, &wasm)?;
            deciders.insert(decider.aggregate().to_owned(), Arc::new(decider));
        }
        Ok(deciders)
    }

    /// Creates a new log.
    pub async fn log(&self, connections: u32) -> Result<Log> {
        static MADE: AtomicU32 = AtomicU32::new(0);
        let name = format!("bench_{}", MADE.fetch_add(1, Ordering::Relaxed));
        let write = self.database(&format!("{name}_write")).await?;
        let read = self.database(&format!("{name}_read")).await?;
        let (to_write, to_read) = (PgPool::connect(&write).await?, PgPool::connect(&read).await?);
        database::migrate(&to_write, &to_read, None).await?;
        to_write.close().await;
        to_read.close().await;
        let pool = database::connect(Store::Write, &write, connections).await?;
        let store = EventStore::open(pool.clone()).await?;
        let read = database::connect(Store::Read, &read, connections).await?;
        Ok(Log { pool, store, read })
    }

    async fn database(&self, name: &str) -> Result<String> {
        let mut connection = PgConnection::connect(&self.server).await?;
        sqlx::query(AssertSqlSafe(format!("CREATE DATABASE {name}"))).execute(&mut connection).await?;
        let mut url: Url = self.server.parse()?;
        url.set_path(name);
        Ok(url.to_string())
    }

    /// Starts the write path as a host does.
    pub fn writing(&self, log: &Log) -> Result<Writing> {
        let mut tasks = Tasks::default();
        let deciders = Deciders::always(self.deciders()?.into_values());
        let intake = self.intake(log, deciders, &mut tasks);
        Ok(Writing { intake, _tasks: tasks })
    }

    /// Starts the write path with the authorization saga, as a host does.
    pub fn writing_with_saga(&self, log: &Log) -> Result<Writing> {
        let mut in_force = BTreeMap::new();
        let always = |active: ActiveDecider| AggregateDeciders { stable: Arc::new(active), canary: None };
        for (aggregate, decider) in self.deciders()? {
            let digest = decider.id().digest;
            in_force.insert(aggregate, always(ActiveDecider::new(decider, digest)));
        }
        let engine = Arc::new(HandlerEngine::new(Limits::of)?);
        let wasm = std::fs::read(self.components.join("saga-authorization.wasm"))?;
        let saga = Arc::new(SagaDecider::load(&engine, "saga-authorization", &wasm)?);
        let active = ActiveDecider::of_saga(&saga, saga.id().digest, false);
        in_force.insert(saga.aggregate().to_owned(), always(active));
        let deciders = watch::Sender::new(Arc::new(Deciders::new(0, in_force))).subscribe();
        let mut tasks = Tasks::default();
        let intake = self.intake(log, deciders, &mut tasks);
        Ok(Writing { intake, _tasks: tasks })
    }

    /// The same, where these decide.
    pub fn intake(&self, log: &Log, deciders: LiveDeciders, tasks: &mut Tasks) -> CommandIntake {
        let writer = WriterSettings {
            owner: "bench".into(),
            lease: Duration::from_secs(5),
            batch_size: BATCH_SIZE,
            state_cache_bytes: (self.state_cache_mib << 20) / u64::from(log.store.partition_count()),
            snapshot_every: 100,
            permits: Permits::of_processors(),
            effects: Effects::default(),
        };
        let settings = IntakeSettings { queue_length: QUEUE_LENGTH, writer };
        CommandIntake::start(&log.store, deciders, &Clock::system(), &settings, tasks)
    }
}
