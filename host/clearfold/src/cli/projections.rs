//! Starts the projections of a host, each under a supervisor that follows the projector in force, and records in the
//! registry from which events on each is read. Nothing is projected here.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use crate::api::admin::Builds;
use clearfold_base::digest::Digest;
use clearfold_base::tasks::{Driver, Next, Retry, StepFailure, Task, Tasks};
use clearfold_engine::registry::{Follower, Handler, Registry, RegistryError};
use clearfold_sandbox::{ComponentKind, Projector};
use clearfold_views::projection::{
    Ground, LiveProjector, LiveTables, Readers, State, Status, Supervisor, stored_digest,
};
use clearfold_views::query::asked_of;

/// Interval between two looks for points to record, also after a failure: a database that is back is noticed soon.
const LOOK: Duration = Duration::from_millis(500);

/// Projector that is read and status of each projection, now and later.
pub(super) struct Projections {
    pub live: Vec<LiveProjector>,
    pub status: Vec<watch::Receiver<Status>>,
}

impl Projections {
    /// Returns the progress of the builds, for the admin API.
    pub(super) fn builds(&self) -> Builds {
        let all = self.status.clone();
        Arc::new(move |projection| {
            let status =
                all.iter().map(|status| status.borrow()).find(|status| status.projection == projection)?;
            (status.state != State::Live).then(|| status.state.to_string())
        })
    }
}

/// Starts the projections. `ground` is common to all of them, except for its readers.
pub(super) async fn start(
    follower: &mut Follower,
    registry: &Registry,
    projectors: &BTreeMap<String, watch::Receiver<Arc<Projector>>>,
    ground: &Ground,
    tasks: &mut Tasks,
) -> anyhow::Result<Projections> {
    let mut projections = Projections { live: Vec::new(), status: Vec::new() };
    for (name, wanted) in projectors {
        let readers = Readers(asked_of(name));
        let old = match stored_digest(&ground.pool, name).await? {
            Some(digest) if digest != wanted.borrow().id().digest => follower.projector(digest).await?,
            _ => None,
        };
        let supervisor =
            Supervisor::prepare(wanted.clone(), old, Ground { readers, ..ground.clone() }).await?;
        projections.live.push(supervisor.live());
        projections.status.push(supervisor.status());
        tasks.spawn("projection", supervisor.run(tasks.driver()));
    }
    let record = Record {
        registry: registry.clone(),
        partitions: ground.bus.partition_count(),
        status: projections.status.clone(),
        through: 0,
        known: Vec::new(),
        recorded: BTreeSet::new(),
    };
    tasks.spawn("projection record", record.run(tasks.driver()));
    Ok(projections)
}

/// Recorder of the points of projectors: the positions after which the rows of each are those that are read.
struct Record {
    registry: Registry,
    partitions: u32,
    status: Vec<watch::Receiver<Status>>,
    /// Number of the newest activation that was seen.
    through: u64,
    /// Activations of projectors: number, handler, component.
    known: Vec<(u64, Handler, Digest)>,
    /// Activations whose points are recorded.
    recorded: BTreeSet<u64>,
}

impl Record {
    async fn run(mut self, driver: Driver) {
        driver.run("projection record", &mut self).await;
    }

    /// Reads the current state rather than changes to it, so nothing is missed after a start or a failure.
    async fn look(&mut self) -> Result<(), RegistryError> {
        for activation in self.registry.activations(self.through).await? {
            self.through = activation.activation;
            if activation.handler.kind == ComponentKind::Projector {
                self.known.push((activation.activation, activation.handler, activation.digest));
            }
        }
        for status in &self.status {
            let Status { projection, live, .. } = status.borrow().clone();
            let Some(LiveTables { digest: Some(digest), from, .. }) = live else { continue };
            let is_it =
                |(_, handler, of): &&(u64, Handler, Digest)| handler.name == projection && *of == digest;
            let Some((activation, ..)) = self.known.iter().rev().find(is_it) else { continue };
            if self.recorded.contains(activation) {
                continue;
            }
            // Tables that replaced no others were made by their component from the first event on.
            let mut positions = from;
            positions.resize(self.partitions as usize, 0);
            self.registry.begin(*activation, &positions).await?;
            self.recorded.insert(*activation);
        }
        Ok(())
    }
}

impl Task for Record {
    type Output = Infallible;
    type Error = RegistryError;

    async fn step(&mut self) -> Result<Next, RegistryError> {
        self.look().await?;
        Ok(Next::WaitFor(LOOK))
    }

    fn retry(&self) -> Retry {
        Retry { least: LOOK, longest: LOOK }
    }

    fn failure(&self, _: &RegistryError) -> StepFailure {
        StepFailure::error("where a projector begins cannot be recorded; trying again")
    }
}
