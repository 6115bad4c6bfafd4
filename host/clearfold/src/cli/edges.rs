//! Loads the HTTP components in force, and replaces them while they serve when others are activated.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use futures::future::join_all;
use http::uri::Authority;

use crate::api::Edges;
use clearfold_base::blocking::blocking;
use clearfold_base::digest::Digest;
use clearfold_base::signature::Signers;
use clearfold_base::tasks::{Driver, Next, Retry, StepFailure, Task, changed};
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
const LOAD_AGAIN: Retry = Retry { least: Duration::from_millis(200), longest: Duration::from_secs(30) };

/// A component in force could not be loaded.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
struct NotLoaded(#[from] anyhow::Error);

/// Follows one component.
struct FollowOne<'a> {
    loader: &'a Loader,
    component: String,
    now: InForceNow<Digest>,
    edges: &'a Edges,
    /// True if another one may be in force than the one that answers. False at the first step: the one in force was
    /// loaded at the start.
    is_behind: bool,
}

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

    /// Replaces components that are no longer in force, until the driver stops. A request that has begun is finished by
    /// the component that began it.
    pub(super) async fn follow(
        self,
        edges: Edges,
        in_force: BTreeMap<String, InForceNow<Digest>>,
        driver: Driver,
    ) {
        let (loader, edges) = (&self, &edges);
        let each = in_force.into_iter().map(|(component, now)| {
            let driver = driver.clone();
            async move {
                let name = format!("edge of {component}");
                let mut one = FollowOne { loader, component, now, edges, is_behind: false };
                driver.run(name, &mut one).await
            }
        });
        join_all(each).await;
        // A manifest without HTTP components leaves nothing to follow, and a task may not end before the host stops.
        driver.stop().cancelled().await;
    }
}

impl FollowOne<'_> {
    /// Takes the newest activation: another one may be in force than at the last attempt.
    async fn take_over(&mut self) -> anyhow::Result<()> {
        let (activation, digest) = *self.now.borrow_and_update();
        let component = &self.component;
        let handler = self.loader.load(component, digest).await?;
        let routes = self.edges.replace(component, &handler);
        tracing::info!(activation, component, %digest, routes, "answers from now on");
        Ok(())
    }
}

impl Task for FollowOne<'_> {
    type Output = Infallible;
    type Error = NotLoaded;

    async fn step(&mut self) -> Result<Next, NotLoaded> {
        if self.is_behind {
            self.take_over().await?;
            self.is_behind = false;
        }
        Ok(Next::Idle)
    }

    async fn woken(&mut self) {
        changed(&mut self.now).await;
        self.is_behind = true;
    }

    fn retry(&self) -> Retry {
        LOAD_AGAIN
    }

    fn failure(&self, _: &NotLoaded) -> StepFailure {
        StepFailure::error("what is in force cannot answer; the one before goes on").or_when_woken()
    }
}
