//! The host's API as a host serves it: on a log, with its projection.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use axum::Router;
use axum::body::Body;
use axum::http::{Request, StatusCode};
use clearfold::api::{ApiState, router};
use clearfold::config::PROJECTION_BATCH_SIZE;
use clearfold_audit::Audit;
use clearfold_base::clock::Clock;
use clearfold_base::tasks::Tasks;
use clearfold_bus::Bus;
use clearfold_bus::outbox;
use clearfold_engine::command::Answer;
use clearfold_sandbox::{HandlerEngine, Limits, Projector};
use clearfold_views::projection::{Ground, LiveProjector, Readers, RunnerSettings, Supervisor};
use clearfold_views::query::{ReadStore, asked_of};
use tokio::sync::watch;
use tower::ServiceExt;

use crate::load::{Payers, request};
use crate::place::{CONNECTIONS, Log, Place, Writing};

/// Number of payments that can be read.
pub const PAYMENTS: u64 = 1_000;

/// Served API. It ends when this is dropped.
pub struct Served {
    pub api: Router,
    _writing: Writing,
    _tasks: Tasks,
}

impl Served {
    /// Serves the API on a log, with these projectors.
    pub async fn of(place: &Place, log: Log, writing: Writing, projectors: &[&str]) -> Result<Self> {
        let mut tasks = Tasks::default();
        let bus = Bus::new(log.store.clone());
        tasks.spawn("outbox", outbox::run(log.store.clone(), bus.clone(), tasks.driver()));
        let engine = Arc::new(HandlerEngine::new(Limits::of)?);
        let mut live = Vec::new();
        for name in projectors {
            live.push(project(place, &engine, &log, &bus, name, &mut tasks).await?);
        }
        let auditors = watch::channel(Vec::new()).1;
        let audit = Audit::new(log.store, log.read.clone(), live, auditors, Clock::system())?;
        let state = ApiState {
            read_store: ReadStore::new(log.read),
            intake: writing.intake.clone(),
            audit: Arc::new(audit),
        };
        Ok(Self { api: router(state), _writing: writing, _tasks: tasks })
    }

    /// Requests the payments, and waits until all of them can be read.
    pub async fn begin(place: &Place) -> Result<Self> {
        let log = place.log(CONNECTIONS).await?;
        let writing = place.writing(&log)?;
        for number in 0..PAYMENTS {
            let answer = writing.intake.submit(request(number, Payers::Uniform)).await?;
            if let Answer::Rejected { code, detail } = answer {
                bail!("refused: {code}: {detail}");
            }
        }
        let served = Self::of(place, log, writing, &["projector-payments"]).await?;
        served.is_read().await?;
        Ok(served)
    }

    async fn is_read(&self) -> Result<()> {
        const MOST: Duration = Duration::from_secs(60);
        let all = async {
            for number in 0..PAYMENTS {
                while self.status(&id(number)).await? != StatusCode::OK {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            }
            anyhow::Ok(())
        };
        tokio::time::timeout(MOST, all).await.context("the payments were not projected in time")?
    }

    async fn status(&self, id: &str) -> Result<StatusCode> {
        let request = Request::get(format!("/v1/payments/{id}")).body(Body::empty())?;
        Ok(self.api.clone().oneshot(request).await?.status())
    }
}

/// Starts a projection as a host does.
pub async fn project(
    place: &Place,
    engine: &Arc<HandlerEngine>,
    log: &Log,
    bus: &Bus,
    name: &str,
    tasks: &mut Tasks,
) -> Result<LiveProjector> {
    let wasm = std::fs::read(place.components.join(format!("{name}.wasm")))?;
    let projector = Arc::new(Projector::load(engine, name, &wasm)?);
    let pause_ms = place.projection_pause_ms;
    let ground = Ground {
        pool: log.read.clone(),
        bus: bus.clone(),
        clock: Clock::system(),
        settings: RunnerSettings { batch_size: PROJECTION_BATCH_SIZE, retry_ms: 1_000, pause_ms },
        readers: Readers(asked_of(&projector.descriptor().name)),
    };
    let (_, wanted) = watch::channel(projector);
    let supervisor = Supervisor::prepare(wanted, None, ground).await?;
    let live = supervisor.live();
    tasks.spawn("projection", supervisor.run(tasks.driver()));
    Ok(live)
}

/// Returns the id of a payment of [`request`].
pub fn id(number: u64) -> String {
    format!("{number:032x}")
}
