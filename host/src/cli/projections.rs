//! Starts the projections of a host: each under a supervisor that is told what is in force, and tells the registry from
//! which events on it is read.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::{mpsc, watch};

use crate::parts::Parts;
use crate::projection::{Ground, Live, Readers, Supervisor, Switched, stored_digest};
use crate::query::asked_of;
use crate::registry::{Follower, Registry, RegistryError};
use crate::runtime::Projector;
use crate::telemetry::chain;

/// Starts them, and says what is read of each, now and later. `ground` is the same for all but for its readers.
pub(super) async fn start(
    follower: &mut Follower,
    registry: &Registry,
    projectors: &BTreeMap<String, watch::Receiver<Arc<Projector>>>,
    ground: &Ground,
    parts: &mut Parts,
) -> anyhow::Result<Vec<Live>> {
    let (switched, switches) = mpsc::unbounded_channel();
    let mut live = Vec::new();
    for (name, wanted) in projectors {
        let readers = Readers(asked_of(name));
        let old = match stored_digest(&ground.pool, name).await? {
            Some(digest) if digest != wanted.borrow().id().digest => follower.projector(digest).await?,
            _ => None,
        };
        let tell = switched.clone();
        let supervisor =
            Supervisor::prepare(wanted.clone(), old, Ground { readers, ..ground.clone() }).await?;
        let supervisor = supervisor.on_switch(move |switched| {
            // Who would hear it has ended only with the whole host.
            let _ = tell.send(switched.clone());
        });
        live.push(supervisor.live());
        parts.spawn("projection", supervisor.run(parts.stop()));
    }
    parts.spawn("projection record", record(registry.clone(), switches, parts.stop()));
    Ok(live)
}

/// Records every switch where the activation that it follows from stands.
async fn record(
    registry: Registry,
    mut switches: mpsc::UnboundedReceiver<Switched>,
    stop: tokio_util::sync::CancellationToken,
) {
    loop {
        let switched = tokio::select! {
            switched = switches.recv() => switched,
            () = stop.cancelled() => None,
        };
        let Some(switched) = switched else {
            stop.cancelled().await;
            return;
        };
        if let Err(error) = record_one(&registry, &switched).await {
            let projection = &switched.projection;
            tracing::error!(projection, error = %chain(&error), "the switch of a projection was not recorded");
        }
    }
}

async fn record_one(registry: &Registry, switched: &Switched) -> Result<(), RegistryError> {
    let activations = registry.activations(0).await?;
    let of_it = activations.iter().rev().find(|activation| {
        activation.handler.name == switched.projection && activation.digest == switched.to
    });
    match of_it {
        Some(activation) => registry.begin(activation.activation, &switched.positions).await,
        None => Ok(()),
    }
}
