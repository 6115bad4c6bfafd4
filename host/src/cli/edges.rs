//! The HTTP components of a host: loaded as they are in force, and replaced while they answer when others are.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Context;
use futures::future::select_all;
use http::uri::Authority;
use tokio_util::sync::CancellationToken;

use crate::api::Edges;
use crate::digest::Digest;
use crate::manifest::Manifest;
use crate::registry::{InForceNow, Registry};
use crate::runtime::edge::{EdgeHandler, EdgeLimits, EdgeRuntime, InProcessApi};
use crate::telemetry::chain;

/// What loading a component takes.
pub(super) struct Loader {
    pub registry: Registry,
    pub manifest: Arc<Manifest>,
    pub address: SocketAddr,
    /// Calls to this host's API stay in this process.
    pub api: axum::Router,
    runtime: EdgeRuntime,
}

impl Loader {
    pub(super) fn new(
        registry: Registry,
        manifest: Arc<Manifest>,
        address: SocketAddr,
        api: axum::Router,
    ) -> anyhow::Result<Self> {
        let runtime = EdgeRuntime::new(EdgeLimits::default())?;
        Ok(Self { registry, manifest, address, api, runtime })
    }

    /// What answers at the manifest's routes.
    pub(super) async fn edges(
        &self,
        in_force: &BTreeMap<String, InForceNow<Digest>>,
    ) -> anyhow::Result<Edges> {
        let mut handlers = Vec::new();
        for trigger in &self.manifest.http {
            let digest =
                in_force.get(&trigger.component).context("the registry knows the manifest")?.borrow().1;
            handlers.push((trigger.route.clone(), self.load(&trigger.component, digest).await?));
        }
        Ok(Edges::new(handlers))
    }

    async fn load(&self, component: &str, digest: Digest) -> anyhow::Result<EdgeHandler> {
        let (_, wasm, _) = self.registry.wasm(digest).await?;
        let described = self.manifest.components.get(component).context("the manifest was checked")?;
        let own: Authority = self.address.to_string().parse().context("the address is no authority")?;
        let in_process = InProcessApi { authorities: vec![own], router: self.api.clone() };
        let (variables, hosts) = (described.variables.clone(), described.allowed_outbound_hosts.clone());
        Ok(self.runtime.load(component, &wasm, variables, hosts, in_process)?)
    }

    /// Replaces what is not in force any more, until it is told to stop. A request that has begun is answered by whoever
    /// began it.
    pub(super) async fn follow(
        self,
        edges: Edges,
        mut in_force: BTreeMap<String, InForceNow<Digest>>,
        stop: CancellationToken,
    ) {
        while !in_force.is_empty() {
            let changed = in_force.iter_mut().map(|(component, now)| {
                Box::pin(async move {
                    // The registry's follower lives as long as the host.
                    let is_told = now.changed().await.is_ok();
                    (component.clone(), is_told.then(|| *now.borrow_and_update()))
                })
            });
            let (component, now) = tokio::select! {
                (changed, ..) = select_all(changed) => changed,
                () = stop.cancelled() => return,
            };
            let Some((activation, digest)) = now else { break };
            match self.load(&component, digest).await {
                Ok(handler) => {
                    let routes = edges.replace(&component, &handler);
                    tracing::info!(activation, component, %digest, routes, "answers from now on");
                }
                Err(error) => {
                    let error = chain(error.as_ref());
                    tracing::error!(activation, component, error, "cannot answer; the one before goes on");
                }
            }
        }
        stop.cancelled().await;
    }
}
