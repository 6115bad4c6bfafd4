//! Loads the HTTP components in force, and replaces them while they serve when others are activated.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use futures::future::join_all;
use http::uri::Authority;
use tokio_util::sync::CancellationToken;

use crate::api::Edges;
use clearfold_base::blocking::blocking;
use clearfold_base::digest::Digest;
use clearfold_base::signature::Signers;
use clearfold_base::telemetry::with_causes;
use clearfold_engine::registry::{InForceNow, Registry};
use clearfold_sandbox::edge::{EdgeHandler, EdgeLimits, EdgeRuntime, InProcessApi};
use clearfold_sandbox::manifest::Manifest;

/// Loader of HTTP components.
pub(super) struct Loader {
    pub registry: Registry,
    /// Keys of which one must have signed each component.
    pub signers: Signers,
    pub manifest: Arc<Manifest>,
    pub address: SocketAddr,
    /// This host's API, so that calls to it stay in this process.
    pub api: axum::Router,
    runtime: Arc<EdgeRuntime>,
}

/// Pauses between attempts to load a component. They grow, since the cause may be a short outage of the database or a
/// component that never loads.
const FIRST_PAUSE_MS: u64 = 200;
const LONGEST_PAUSE_MS: u64 = 30_000;

impl Loader {
    pub(super) fn new(
        registry: Registry,
        signers: Signers,
        manifest: Arc<Manifest>,
        address: SocketAddr,
        api: axum::Router,
    ) -> anyhow::Result<Self> {
        let runtime = Arc::new(EdgeRuntime::new(EdgeLimits::default())?);
        Ok(Self { registry, signers, manifest, address, api, runtime })
    }

    /// Loads the components of the manifest's routes.
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
        let (_, wasm) = self.registry.wasm(digest, &self.signers).await?;
        let described = self.manifest.components.get(component).context("the manifest was checked")?;
        let own: Authority = self.address.to_string().parse().context("the address is no authority")?;
        let in_process = InProcessApi { authorities: vec![own], router: self.api.clone() };
        let (variables, hosts) = (described.variables.clone(), described.allowed_outbound_hosts.clone());
        let (runtime, component) = (Arc::clone(&self.runtime), component.to_owned());
        // It may have to be compiled, which takes as long as a component likes.
        Ok(blocking(move || runtime.load(&component, &wasm, variables, hosts, in_process)).await??)
    }

    /// Replaces components that are no longer in force, until `stop`. A request that has begun is finished by the
    /// component that began it.
    pub(super) async fn follow(
        self,
        edges: Edges,
        in_force: BTreeMap<String, InForceNow<Digest>>,
        stop: CancellationToken,
    ) {
        let each = in_force.into_iter().map(|(component, now)| self.follow_one(component, now, &edges));
        tokio::select! {
            _ = join_all(each) => stop.cancelled().await,
            () = stop.cancelled() => {}
        }
    }

    /// Follows one component, until the sender of activations is gone.
    async fn follow_one(&self, component: String, mut now: InForceNow<Digest>, edges: &Edges) {
        while now.changed().await.is_ok() {
            let mut pause_ms = FIRST_PAUSE_MS;
            // Each attempt takes the newest activation: another one may be in force by then.
            while let Err(error) = self.take_over(&component, &mut now, edges).await {
                let error = with_causes(error.as_ref());
                tracing::error!(
                    component,
                    error,
                    pause_ms,
                    "what is in force cannot answer; the one before goes on"
                );
                tokio::select! {
                    () = tokio::time::sleep(Duration::from_millis(pause_ms)) => {}
                    Ok(()) = now.changed() => {}
                }
                pause_ms = (pause_ms * 2).min(LONGEST_PAUSE_MS);
            }
        }
    }

    async fn take_over(
        &self,
        component: &str,
        now: &mut InForceNow<Digest>,
        edges: &Edges,
    ) -> anyhow::Result<()> {
        let (activation, digest) = *now.borrow_and_update();
        let handler = self.load(component, digest).await?;
        let routes = edges.replace(component, &handler);
        tracing::info!(activation, component, %digest, routes, "answers from now on");
        Ok(())
    }
}
