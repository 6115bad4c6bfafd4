//! `clearfold doctor`: looks at everything that `up` needs, one after the other, and goes on when something is wrong.

use anyhow::{Context, bail};
use clap::Args;
use tokio::net::TcpListener;

use super::{contracts, load};
use crate::chain::{Rpc, Survey};
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
        let components = components(host);
        let chain_id = components.as_ref().ok().map(|(_, chain_id)| *chain_id);
        let findings = [
            ("manifest and components", components.map(|(found, _)| found)),
            ("write store", database(Store::Write, &host.databases.database_url).await),
            ("read store", database(Store::Read, &host.databases.read_database_url).await),
            ("chain", follow(host, chain_id).await),
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

/// What was found, and the chain that the contract set is for.
fn components(host: &Host) -> anyhow::Result<(String, u64)> {
    let manifest = load::manifest(&host.manifest.manifest, None)?;
    let (contracts, contracts_name) = contracts::read(&host.chain.contracts)?;
    let handlers = load::handlers(&manifest, &contracts, &contracts_name)?;
    let runtime = EdgeRuntime::new(EdgeLimits::default())?;
    for trigger in &manifest.http {
        let wasm = load::wasm(&manifest, &trigger.component)?;
        let nowhere = InProcessApi { authorities: Vec::new(), router: axum::Router::new() };
        runtime.load(&trigger.component, &wasm, Default::default(), Vec::new(), nowhere)?;
    }
    let found = format!(
        "{} handlers and {} HTTP components fit; translator {}",
        manifest.handlers.len(),
        manifest.http.len(),
        handlers.translator.id()
    );
    Ok((found, handlers.selection.chain_id))
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

async fn follow(host: &Host, chain_id: Option<u64>) -> Finding {
    let chain_id =
        chain_id.context("which chain it must be is in the contract set; mend the components first")?;
    let Survey { head, unreachable } = Rpc::new(&host.chain.chain_rpc_urls, chain_id).survey().await?;
    let found = format!("chain id {chain_id}, head {head}");
    if unreachable.is_empty() {
        return Ok(found);
    }
    Ok(format!("{found}; of CHAIN_RPC_URLS does not answer: {}", unreachable.join("; ")))
}

async fn address(host: &Host) -> Finding {
    TcpListener::bind(host.listen).await.with_context(|| {
        format!("LISTEN (--listen) {} cannot be used; stop what listens there, or give another", host.listen)
    })?;
    Ok(format!("{} is free", host.listen))
}
