//! `clearfold up`: puts the parts together, runs them, and takes them down in order.
//!
//! Everything that can be wrong with the configuration is found before the first part starts.

use std::time::Duration;

use anyhow::{Context, ensure};
use http::uri::Authority;
use sqlx::PgPool;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::{contracts, load};
use crate::api::{ApiState, Edges, router};
use crate::bus::Bus;
use crate::chain::{Listener, ListenerSettings, Rpc};
use crate::clock::Clock;
use crate::command::{CommandIntake, IntakeSettings};
use crate::config::Host;
use crate::database::{self, Store};
use crate::event_store::EventStore;
use crate::manifest::Manifest;
use crate::projection::{Runner, RunnerSettings};
use crate::query::ReadStore;
use crate::runtime::edge::{EdgeLimits, EdgeRuntime, InProcessApi};
use crate::{outbox, telemetry};

/// How long the parts may take to finish what they have begun.
const SHUTDOWN_MS: u64 = 10_000;
const RETRY_MS: u64 = 1_000;

pub(super) async fn run(config: Host) -> anyhow::Result<()> {
    telemetry::start(config.logging.log_format, &config.logging.log).map_err(anyhow::Error::msg)?;
    let (contracts, contracts_name) = contracts::read(&config.chain.contracts)?;
    let host_url = format!("http://{}", config.listen);
    let manifest = load::manifest(&config.manifest.manifest, Some(&host_url))?;
    let handlers = load::handlers(&manifest, &contracts, &contracts_name)?;
    let listener = TcpListener::bind(config.listen).await.with_context(|| {
        format!(
            "LISTEN (--listen) {} cannot be used; stop what listens there, or give another address",
            config.listen
        )
    })?;
    let (write_pool, read_pool) = databases(&config).await?;
    let rpc = Rpc::new(&config.chain.chain_rpc_urls);
    let chain_id = rpc
        .chain_id()
        .await
        .context("the chain cannot be reached; start the node, or correct CHAIN_RPC_URLS")?;

    let (stop, tasks, clock) = (CancellationToken::new(), TaskTracker::new(), Clock::system());
    let store = EventStore::open(write_pool.clone()).await?;
    let settings = IntakeSettings {
        queue_length: config.command_queue_length as usize,
        batch_size: config.command_batch_size as usize,
    };
    let intake = CommandIntake::start(&store, handlers.deciders, &clock, settings, &tasks);
    let bus = Bus::new(store.clone());
    for projector in handlers.projectors {
        let settings = RunnerSettings { batch_size: config.projection_batch_size, retry_ms: RETRY_MS };
        let partitions = store.partition_count();
        let runner =
            Runner::prepare(projector, read_pool.clone(), &bus, partitions, &clock, settings).await?;
        tasks.spawn(runner.run(stop.clone()));
    }
    let read_store = ReadStore::new(read_pool);
    read_store.check().await.context(
        "the read store lacks what the API asks for; the manifest needs the projector `payments` of this version",
    )?;
    tasks.spawn(outbox::run(store.clone(), bus, stop.clone()));
    let settings = ListenerSettings {
        confirmations: config.chain.chain_confirmations,
        poll_interval_ms: config.chain.chain_poll_interval_ms,
        max_range: config.chain.chain_max_range,
        first_block: config.chain.chain_first_block,
    };
    let follower =
        Listener::new(chain_id, rpc, handlers.translator, intake.clone(), write_pool, clock, settings)?;
    tasks.spawn(follower.run(stop.clone()));

    let api = router(ApiState { read_store, intake });
    let app = edges(&manifest, &config, &api)?.in_front_of(api);
    tracing::info!(address = %config.listen, chain_id, application = manifest.name, "listening");
    serve(listener, app, stop, tasks).await
}

async fn databases(config: &Host) -> anyhow::Result<(PgPool, PgPool)> {
    // A connection for each partition's writer, and some for reads.
    const CONNECTIONS: u32 = 16;
    let write = database::connect(Store::Write, &config.databases.database_url, CONNECTIONS).await?;
    database::check_schema(Store::Write, &write).await?;
    let read = database::connect(Store::Read, &config.databases.read_database_url, CONNECTIONS).await?;
    database::check_schema(Store::Read, &read).await?;
    Ok((write, read))
}

/// The HTTP components; their calls to this host's API stay in this process.
fn edges(manifest: &Manifest, config: &Host, api: &axum::Router) -> anyhow::Result<Edges> {
    let runtime = EdgeRuntime::new(EdgeLimits::default())?;
    let own: Authority = config.listen.to_string().parse().context("the address is no authority")?;
    let mut handlers = Vec::new();
    for trigger in &manifest.http {
        let wasm = load::wasm(manifest, &trigger.component)?;
        let component = manifest.components.get(&trigger.component).context("the manifest was checked")?;
        let in_process = InProcessApi { authorities: vec![own.clone()], router: api.clone() };
        let (variables, hosts) = (component.variables.clone(), component.allowed_outbound_hosts.clone());
        let handler = runtime.load(&trigger.component, &wasm, variables, hosts, in_process)?;
        handlers.push((trigger.route.clone(), handler));
    }
    Ok(Edges::new(handlers))
}

/// Serves until a signal comes or a part ends that never should; then stops all of them.
async fn serve(
    listener: TcpListener,
    app: axum::Router,
    stop: CancellationToken,
    tasks: TaskTracker,
) -> anyhow::Result<()> {
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let signalled = stop.clone();
    let wait = async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        tracing::info!("stopping");
        signalled.cancel();
    };
    // The server owns the last clones of the command intake: when it ends, the writers end.
    let served = axum::serve(listener, app).with_graceful_shutdown(wait).await;
    stop.cancel();
    tasks.close();
    let finished = tokio::time::timeout(Duration::from_millis(SHUTDOWN_MS), tasks.wait()).await;
    ensure!(finished.is_ok(), "not everything stopped within {SHUTDOWN_MS} ms; nothing committed is lost");
    served.context("the API stopped serving")?;
    tracing::info!("stopped");
    Ok(())
}
