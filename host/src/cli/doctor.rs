//! `clearfold doctor`: looks at everything that `up` needs, one after the other, and goes on when something is wrong.

use anyhow::{Context, bail};
use clap::Args;
use tokio::net::TcpListener;

use super::{contracts, load};
use crate::chain::Rpc;
use crate::config::Host;
use crate::database::{self, Store};
use crate::event_store::EventStore;
use crate::runtime::edge::{EdgeLimits, EdgeRuntime, InProcessApi};
use crate::telemetry::chain;

#[derive(Debug, Args)]
pub(super) struct Doctor {
    #[command(flatten)]
    host: Host,
}

/// What was found, or what is wrong and how to mend it.
type Finding = anyhow::Result<String>;

impl Doctor {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let host = &self.host;
        let findings = [
            ("manifest and components", components(host)),
            ("write store", database(Store::Write, &host.databases.database_url).await),
            ("read store", database(Store::Read, &host.databases.read_database_url).await),
            ("chain", follow(host).await),
            ("address", address(host).await),
        ];
        let mut wrong = 0_usize;
        for (what, finding) in findings {
            match finding {
                Ok(found) => println!("ok     {what}: {found}"),
                Err(error) => {
                    wrong = wrong.saturating_add(1);
                    println!("wrong  {what}: {}", chain(error.as_ref()));
                }
            }
        }
        if wrong > 0 {
            bail!("{wrong} of 5 need attention; see above");
        }
        Ok(())
    }
}

fn components(host: &Host) -> Finding {
    let manifest = load::manifest(&host.manifest.manifest, None)?;
    let (contracts, contracts_name) = contracts::read(&host.chain.contracts)?;
    let handlers = load::handlers(&manifest, &contracts, &contracts_name)?;
    let runtime = EdgeRuntime::new(EdgeLimits::default())?;
    for trigger in &manifest.http {
        let wasm = load::wasm(&manifest, &trigger.component)?;
        let nowhere = InProcessApi { authorities: Vec::new(), router: axum::Router::new() };
        runtime.load(&trigger.component, &wasm, Default::default(), Vec::new(), nowhere)?;
    }
    Ok(format!(
        "{} handlers and {} HTTP components fit; translator {}",
        manifest.handlers.len(),
        manifest.http.len(),
        handlers.translator.id()
    ))
}

async fn database(store: Store, url: &str) -> Finding {
    let pool = database::connect(store, url, 1).await?;
    database::check_schema(store, &pool).await?;
    if store == Store::Read {
        return Ok("reachable, schema current".to_owned());
    }
    let partitions = EventStore::open(pool).await?.partition_count();
    Ok(format!("reachable, schema current, {partitions} partitions"))
}

async fn follow(host: &Host) -> Finding {
    let rpc = Rpc::new(&host.chain.chain_rpc_urls);
    let reach = "start the node, or correct CHAIN_RPC_URLS";
    let chain_id = rpc.chain_id().await.context(reach)?;
    let head = rpc.head().await.context(reach)?;
    Ok(format!("chain id {chain_id}, head {head}"))
}

async fn address(host: &Host) -> Finding {
    TcpListener::bind(host.listen).await.with_context(|| {
        format!("LISTEN (--listen) {} cannot be used; stop what listens there, or give another", host.listen)
    })?;
    Ok(format!("{} is free", host.listen))
}
