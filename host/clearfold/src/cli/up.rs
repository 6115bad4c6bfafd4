//! `clearfold up`: starts the tasks of a host, runs them, and stops them in order.
//!
//! Every host follows each activation. So components, databases and chain are checked before a start activates
//! anything, and that is before the first task starts. Only the read store can still be refused then.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, ensure};
use clearfold_kernel::Selection;
use sqlx::PgPool;
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{Mutex, watch};
use tokio_util::sync::CancellationToken;

use super::{contracts, edges, load, projections};
use crate::api::admin::{self, AdminState};
use crate::api::{ApiState, router};
use crate::config::HostConfig;
use crate::effects;
use crate::submitter::Configured;
use clearfold_audit::Audit;
use clearfold_base::clock::Clock;
use clearfold_base::database::{self, Store};
use clearfold_base::signature::Signers;
use clearfold_base::tasks::Tasks;
use clearfold_base::telemetry;
use clearfold_bus::Bus;
use clearfold_bus::outbox;
use clearfold_chain::submitter::{PULL, PULL_LEG, SubmitterHand};
use clearfold_chain::{Listener, ListenerSettings, Rpc};
use clearfold_engine::command::{CommandIntake, IntakeSettings, LiveDeciders, Permits, WriterSettings};
use clearfold_engine::effects::{Effect, Effects};
use clearfold_engine::inbox_keeper;
use clearfold_engine::registry::{
    self, ComponentFile, Follower, Operations, Registry, Shelf, StartContext, watch_canaries,
};
use clearfold_engine::saga::SagaOperations;
use clearfold_sandbox::manifest::Manifest;
use clearfold_sandbox::{Auditor, compile_in_a_hurry, compile_patiently};
use clearfold_store::{EventStore, Retention};
use clearfold_views::projection::{Ground, LiveProjector, Readers, RunnerSettings};
use clearfold_views::query::ReadStore;

/// Pause of a projection after a failure, in milliseconds.
const RETRY_MS: u64 = 1_000;

/// Time after a signal to stop in which another one counts as the same request, in milliseconds.
const SAME_REQUEST_MS: u64 = 1_000;

pub(super) async fn run(config: HostConfig) -> anyhow::Result<()> {
    let path = config.manifest.manifest.clone();
    run_with(config, |host_url| load::manifest(&path, Some(host_url))).await
}

/// Runs the host with the manifest that `manifest` returns for the URL of this host.
pub(super) async fn run_with(
    config: HostConfig,
    manifest: impl FnOnce(&str) -> anyhow::Result<Manifest>,
) -> anyhow::Result<()> {
    telemetry::start(config.logging.log_format, &config.logging.log).map_err(anyhow::Error::msg)?;
    let signals = StopSignals::install();
    // Before the writers start, compiling delays no command.
    compile_in_a_hurry();
    let (contracts, contracts_name) = contracts::read(&config.chain.contracts)?;
    let submitter = Configured::read(&config.submitter, (&config.chain).into(), &contracts, |name| {
        std::env::var(name).ok()
    })?;
    let listener = listen("LISTEN (--listen)", config.listen).await?;
    let edge_listener = match config.edge_listen {
        Some(address) => Some(listen("EDGE_LISTEN (--edge-listen)", address).await?),
        None => None,
    };
    let address = listener.local_addr()?;
    let manifest = Arc::new(manifest(&format!("http://{address}"))?);
    let named = load::named(&manifest)?;
    let (write_pool, read_pool) = databases(&config).await?;
    let registry = Registry::new(write_pool.clone());
    let (mut follower, rpc) =
        deploy_and_follow(&config, &registry, &named, contracts, &contracts_name).await?;
    let (live, selection) = chosen(&follower, &contracts_name)?;

    let (mut tasks, clock) = (Tasks::default(), Clock::system());
    let store = EventStore::open(write_pool.clone()).await?;
    let (effects, hand) = start_effects(&manifest, submitter, &write_pool, &clock, &mut tasks)?;
    compile_patiently();
    let intake = start_writers(&config, &registry, &store, &live.deciders, effects, &clock, &mut tasks);
    let bus = Bus::new(store.clone());
    let ground = ground(&config, &read_pool, &bus, &clock);
    let projections =
        projections::start(&mut follower, &registry, &live.projectors, &ground, &mut tasks).await?;
    let builds = projections.builds();
    let audit = audit(&config, projections.live, live.auditors.clone(), &clock).await?;
    let read_store = ReadStore::new(read_pool);
    read_store.check().await.context(
        "the read store lacks what the API asks for; the manifest needs the projector `payments` of this version",
    )?;
    tasks.spawn("outbox", outbox::run(store.clone(), bus, tasks.driver()));
    let settings = listener_settings(&config, &selection);
    let chain_id = rpc.chain_id();
    let filters = &selection.filters;
    let listening = Listener::new(rpc, live.translator, filters, intake.clone(), write_pool, clock, settings);
    tasks.spawn("chain listener", listening.run(tasks.driver()));
    tasks.spawn("registry", follower.run(tasks.driver()));

    let sagas = SagaOperations { store: store.clone(), intake: intake.clone() };
    let read = read_store.clone();
    let admin = AdminState { builds, submitter: hand, ..admin(&config, &registry, sagas, read).await? };
    let api = router(ApiState { read_store, intake, audit });
    // Components get the API without the admin API, so that none can change what runs, even with the token.
    let signers = Signers(config.component_signers.clone());
    let loader = edges::Loader::new(registry.clone(), signers, Arc::clone(&manifest), address, api.clone())?;
    let edges = loader.edges(&live.http).await?;
    tasks.spawn("edge", loader.follow(edges.clone(), live.http, tasks.driver()));
    if let Some(listener) = edge_listener {
        let address = listener.local_addr()?;
        tracing::info!(%address, "listening for the edge alone");
        tasks.spawn("edge's own address", serve(listener, edges.clone().alone(), tasks.stop()));
    }
    let app = edges.in_front_of(api.merge(admin::router(admin)));
    tracing::info!(%address, chain_id, application = manifest.name, "listening");
    // The API owns the last clones of the command intake: when it ends, the writers end.
    tasks.spawn("API", serve(listener, app, tasks.stop()));
    Ok(tasks.run_until(|| signals.next()).await?)
}

/// Deploys the manifest's components and loads those in force. New ones are activated only after all of them were
/// loaded here and the chain was reached.
async fn deploy_and_follow(
    config: &HostConfig,
    registry: &Registry,
    named: &[ComponentFile],
    contracts: Vec<u8>,
    contracts_name: &str,
) -> anyhow::Result<(Follower, Rpc)> {
    let (engine, signers) = (load::engine()?, Signers(config.component_signers.clone()));
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let source_revision = config.source_revision.clone();
    let starting = StartContext { by: format!("host {host}"), signers: signers.clone(), source_revision };
    let start = registry.prepare_start(&engine, named, &starting).await?;
    let shelf = Shelf::new(registry.clone(), engine, signers, contracts);
    let handlers: BTreeSet<_> = named.iter().map(|named| named.handler.clone()).collect();
    let will_be = start.activations();
    let tried = Follower::begin_with(will_be, registry.clone(), shelf.clone(), handlers.clone()).await?;
    let chain_id = chosen(&tried, contracts_name)?.1.chain_id;
    let rpc = Rpc::new(&config.chain.chain_rpc_urls, chain_id);
    for unreachable in rpc.survey().await?.unreachable {
        tracing::warn!(unreachable, "an endpoint of CHAIN_RPC_URLS does not answer; the others are used");
    }
    registry.put_in_force(start).await?;
    // The components loaded for the attempt are still in the cache, until `tried` is dropped.
    let follower = Follower::begin(registry.clone(), shelf, handlers).await?;
    drop(tried);
    ensure!(
        chosen(&follower, contracts_name)?.1.chain_id == chain_id,
        "the translator of another chain was activated meanwhile; start again"
    );
    Ok((follower, rpc))
}

/// Returns the components in force, and the logs that the translator selects on the chain.
fn chosen(follower: &Follower, contracts_name: &str) -> anyhow::Result<(registry::Live, Selection)> {
    let live = follower.live().context("the manifest was checked to name a translator")?;
    let translator = Arc::clone(&live.translator.borrow().1);
    let selection = translator.filters().with_context(|| format!("{contracts_name} cannot be used"))?;
    Ok((live, selection))
}

/// Starts what appends to the log and what tends it: the partitions' writers, the watch of their canaries and the inbox
/// keeper. Returns the intake of commands.
fn start_writers(
    config: &HostConfig,
    registry: &Registry,
    store: &EventStore,
    deciders: &LiveDeciders,
    effects: Effects,
    clock: &Clock,
    tasks: &mut Tasks,
) -> CommandIntake {
    let retention = Retention { days: config.inbox_retention_days };
    tasks.spawn("inbox keeper", inbox_keeper::run(store.clone(), clock.clone(), retention, tasks.driver()));
    let settings = intake_settings(config, store.partition_count(), effects, clock);
    let intake = CommandIntake::start(store, deciders.clone(), clock, &settings, tasks);
    let canaries = watch_canaries(registry.clone(), store.clone(), deciders.clone(), tasks.driver());
    tasks.spawn("canary watch", canaries);
    intake
}

/// Makes the effects that this host offers, and starts the chain submitter if the configuration names one. Returns the
/// operators' hand on it, too.
fn start_effects(
    manifest: &Manifest,
    submitter: Option<Configured>,
    pool: &PgPool,
    clock: &Clock,
    tasks: &mut Tasks,
) -> anyhow::Result<(Effects, Option<SubmitterHand>)> {
    let Some(submitter) = submitter else {
        return Ok((effects::offered(&manifest.effects, Vec::new(), clock)?, None));
    };
    let (submitter, effect, hand) = submitter.submitter(pool.clone(), owner(clock), clock.clone());
    let effect: Arc<dyn Effect> = Arc::new(effect);
    let own = vec![(PULL, Arc::clone(&effect)), (PULL_LEG, effect)];
    let effects = effects::offered(&manifest.effects, own, clock)?;
    tasks.spawn("chain submitter", submitter.run(tasks.driver()));
    Ok((effects, Some(hand)))
}

/// Name under which this process holds leases.
fn owner(clock: &Clock) -> Arc<str> {
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    format!("{host}/{}/{}", std::process::id(), clock.now().as_ms()).into()
}

fn intake_settings(config: &HostConfig, partitions: u32, effects: Effects, clock: &Clock) -> IntakeSettings {
    let writer = WriterSettings {
        owner: owner(clock),
        lease: Duration::from_millis(config.partition_lease_ms),
        batch_size: config.command_batch_size as usize,
        // A store has at least one partition, or it does not open.
        state_cache_bytes: (config.state_cache_mib << 20) / u64::from(partitions),
        snapshot_every: config.snapshot_every,
        permits: Permits::of_processors(),
        effects,
    };
    IntakeSettings { queue_length: config.command_queue_length as usize, writer }
}

/// Ground that all projections share, without the readers of each.
fn ground(config: &HostConfig, read_pool: &PgPool, bus: &Bus, clock: &Clock) -> Ground {
    Ground {
        pool: read_pool.clone(),
        bus: bus.clone(),
        clock: clock.clone(),
        settings: RunnerSettings {
            batch_size: config.projection_batch_size,
            retry_ms: RETRY_MS,
            pause_ms: config.projection_pause_ms,
        },
        readers: Readers::default(),
    }
}

fn listener_settings(config: &HostConfig, selection: &Selection) -> ListenerSettings {
    ListenerSettings {
        confirmations: config.chain.chain_confirmations,
        poll_interval_ms: config.chain.chain_poll_interval_ms,
        max_range: config.chain.chain_max_range,
        first_block: config.chain.chain_first_block.unwrap_or_else(|| first_block(selection)),
    }
}

/// First block of the contract set. A set without filters selects no logs, so any block will do.
fn first_block(selection: &Selection) -> u64 {
    selection.filters.iter().map(|filter| filter.from_block).min().unwrap_or(0)
}

async fn databases(config: &HostConfig) -> anyhow::Result<(PgPool, PgPool)> {
    // For queries and everything else that is not a writer.
    const CONNECTIONS: u32 = 16;
    let url = &config.databases.database_url;
    let first = database::connect(Store::Write, url, 1).await?;
    database::check_schema(Store::Write, &first).await?;
    let partitions = EventStore::open(first).await?.partition_count();
    // Each busy writer needs two: one that commits a batch, and one for its queries meanwhile.
    // `migrate` makes 1024 partitions at the most.
    let connections = CONNECTIONS + partitions * 2;
    let write = database::connect(Store::Write, url, connections).await?;
    let read = database::connect(Store::Read, &config.databases.read_database_url, CONNECTIONS).await?;
    database::check_schema(Store::Read, &read).await?;
    Ok((write, read))
}

/// Makes the admin's operations, with an engine and connections of their own, so that a shadow run takes none from
/// the writers.
async fn admin(
    config: &HostConfig,
    registry: &Registry,
    sagas: SagaOperations,
    read_store: ReadStore,
) -> anyhow::Result<AdminState> {
    // Two to read recorded commands and events, and two for queries in between.
    const CONNECTIONS: u32 = 4;
    let store = match config.admin_token {
        None => sagas.store.clone(),
        // Connections without a time-out, for long reads.
        Some(_) => {
            let url = &config.databases.database_url;
            EventStore::open(database::connect_to_read_all(Store::Write, url, CONNECTIONS).await?).await?
        }
    };
    let operations = Operations {
        registry: registry.clone(),
        store,
        engine: load::engine()?,
        signers: Signers(config.component_signers.clone()),
    };
    let token = config.admin_token.clone().map(Into::into);
    let trying = Arc::new(Mutex::new(()));
    let (operations, builds) = (Arc::new(operations), Arc::new(|_: &str| None));
    Ok(AdminState { operations, sagas, read_store, submitter: None, token, builds, trying })
}

/// Makes the audit on connections of its own, so that a check takes none from the writers.
async fn audit(
    config: &HostConfig,
    projectors: Vec<LiveProjector>,
    auditors: watch::Receiver<Vec<Arc<Auditor>>>,
    clock: &Clock,
) -> anyhow::Result<Arc<Audit>> {
    let write = database::connect(Store::Write, &config.databases.database_url, 1).await?;
    let read = database::connect(Store::Read, &config.databases.read_database_url, 1).await?;
    let store = EventStore::open(write).await?;
    Ok(Arc::new(Audit::new(store, read, projectors, auditors, clock.clone())?))
}

/// Listens at an address; `option` names its setting in an error.
async fn listen(option: &str, address: SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).await.with_context(|| {
        format!("{option} {address} cannot be used; stop what listens there, or give another address")
    })
}

async fn serve(listener: TcpListener, app: axum::Router, stop: CancellationToken) {
    let server = axum::serve(listener, app).with_graceful_shutdown(stop.cancelled_owned());
    if let Err(error) = server.await {
        tracing::error!(error = %telemetry::with_causes(&error), "the API stopped serving");
    }
}

/// Signals to stop. They count from the moment at which this exists, so that a host that is stopped while it starts
/// stops in order too.
struct StopSignals {
    streams: Option<tokio::sync::Mutex<(Signal, Signal)>>,
    told_before: AtomicBool,
}

impl StopSignals {
    fn install() -> Self {
        let streams = match (signal(SignalKind::interrupt()), signal(SignalKind::terminate())) {
            (Ok(interrupt), Ok(terminate)) => Some(tokio::sync::Mutex::new((interrupt, terminate))),
            (interrupt, terminate) => {
                let error = interrupt.err().or(terminate.err()).map(|error| error.to_string());
                tracing::warn!(error, "signals cannot be received; only a kill stops this host");
                None
            }
        };
        Self { streams, told_before: AtomicBool::new(false) }
    }

    /// Waits for a signal to stop; for ever where signals cannot be received.
    ///
    /// One request to stop may come as two signals: a terminal signals both Spin and this program, and Spin signals this
    /// program too. So for a moment after the first, another one counts as the same request.
    async fn next(&self) {
        let Some(streams) = &self.streams else { return std::future::pending().await };
        let (interrupt, terminate) = &mut *streams.lock().await;
        if self.told_before.swap(true, Ordering::Relaxed) {
            let same_request = tokio::time::sleep(Duration::from_millis(SAME_REQUEST_MS));
            tokio::pin!(same_request);
            loop {
                tokio::select! {
                    () = &mut same_request => break,
                    _ = interrupt.recv() => {}
                    _ = terminate.recv() => {}
                }
            }
        }
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    }
}
