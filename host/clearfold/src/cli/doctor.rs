//! `clearfold doctor`: checks everything that `up` needs, one after the other, and goes on after a finding.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use clap::Args;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use url::Url;

use super::{contracts, load};
use crate::config::{Contracts, ManifestFile, Submitter};
use crate::submitter::{ChainAccess, Configured};
use clearfold_base::database::{self, Store};
use clearfold_base::telemetry::with_causes;
use clearfold_chain::{Rpc, Survey};
use clearfold_sandbox::edge::{EdgeLimits, EdgeRuntime, InProcessApi};
use clearfold_sandbox::{ComponentKind, Translator};
use clearfold_store::EventStore;

#[derive(Debug, Args)]
pub(super) struct DoctorArgs {
    /// URL of the write store. Without it, its check fails
    #[arg(long, env = "DATABASE_URL", hide_env_values = true, value_name = "URL")]
    database_url: Option<String>,
    /// URL of the read store. Without it, its check fails
    #[arg(long, env = "READ_DATABASE_URL", hide_env_values = true, value_name = "URL")]
    read_database_url: Option<String>,
    /// JSON-RPC endpoints of the chain, separated by commas. Without them, the check of the chain fails
    #[arg(long, env = "CHAIN_RPC_URLS", hide_env_values = true, value_name = "URLS", value_delimiter = ',')]
    chain_rpc_urls: Vec<Url>,
    /// Address and port of the API, which must be free
    #[arg(long, env = "LISTEN", value_name = "ADDRESS", default_value = "127.0.0.1:9100")]
    listen: SocketAddr,
    #[command(flatten)]
    submitter: Submitter,
    #[command(flatten)]
    contracts: Contracts,
    #[command(flatten)]
    manifest: ManifestFile,
}

/// Result of one check, or what is wrong and how to correct it.
type Finding = anyhow::Result<String>;

impl DoctorArgs {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let components = self.components();
        let chain_id = components.as_ref().ok().map(|(_, chain_id)| *chain_id);
        let findings = [
            ("manifest and components", components.map(|(found, _)| found)),
            ("write store", database(Store::Write, self.database_url.as_deref()).await),
            ("read store", database(Store::Read, self.read_database_url.as_deref()).await),
            ("chain", self.follow(chain_id).await),
            ("effects", self.effects().await),
            ("submitter", self.submitter()),
            ("address", self.address().await),
        ];
        let (mut wrong, all) = (0_usize, findings.len());
        for (what, finding) in findings {
            match finding {
                Ok(found) => println!("ok     {what}: {found}"),
                Err(error) => {
                    wrong += 1;
                    println!("wrong  {what}: {}", with_causes(error.as_ref()));
                }
            }
        }
        if wrong > 0 {
            bail!("{wrong} of {all} need attention; see above");
        }
        Ok(())
    }

    /// Checks manifest and components, and returns the result with the chain id of the contract set.
    fn components(&self) -> anyhow::Result<(String, u64)> {
        let manifest = load::manifest(&self.manifest.manifest, None)?;
        let (contracts, contracts_name) = contracts::read(&self.contracts)?;
        let engine = load::engine()?;
        let mut selection = None;
        for named in load::named(&manifest)? {
            named.check(&engine)?;
            if named.handler.kind == ComponentKind::Translator {
                let translator = Translator::load(&engine, &named.component, &named.wasm, contracts.clone())?;
                let found =
                    translator.filters().with_context(|| format!("{contracts_name} cannot be used"))?;
                selection = Some((translator.id().to_string(), found.chain_id));
            }
        }
        let (translator, chain_id) = selection.context("the manifest was checked to name a translator")?;
        let runtime = EdgeRuntime::new(EdgeLimits::default())?;
        for trigger in &manifest.http {
            let component =
                manifest.components.get(&trigger.component).context("the manifest was checked")?;
            let wasm = load::read_wasm(&component.source)?;
            let nowhere = InProcessApi { authorities: Vec::new(), router: axum::Router::new() };
            runtime.load(&trigger.component, &wasm, Default::default(), Vec::new(), nowhere)?;
        }
        let found = format!(
            "{} handlers and {} HTTP components fit; translator {translator}",
            manifest.handlers.len(),
            manifest.http.len(),
        );
        Ok((found, chain_id))
    }

    async fn follow(&self, chain_id: Option<u64>) -> Finding {
        let chain_id = chain_id
            .context("the chain id comes from the components, which have an error; correct that first")?;
        ensure!(
            !self.chain_rpc_urls.is_empty(),
            "CHAIN_RPC_URLS (--chain-rpc-urls) is not set; give the chain's endpoints"
        );
        let Survey { head, unreachable } = Rpc::new(&self.chain_rpc_urls, chain_id).survey().await?;
        let found = format!("chain id {chain_id}, head {head}");
        if unreachable.is_empty() {
            return Ok(found);
        }
        Ok(format!("{found}; these of CHAIN_RPC_URLS do not answer: {}", unreachable.join("; ")))
    }

    /// Connects to the other side of each effect that the manifest names. No request is sent.
    async fn effects(&self) -> Finding {
        let manifest = load::manifest(&self.manifest.manifest, None)?;
        for (name, effect) in &manifest.effects {
            let (host, port) = (effect.url.host_str(), effect.url.port_or_known_default());
            let (host, port) = host.zip(port).context("the manifest was checked to name a host")?;
            let remedy = || {
                format!(
                    "the other side of the effect `{name}`, {host}:{port}, takes no connection; start it, or correct its address"
                )
            };
            let connected = timeout(effect.timeout, TcpStream::connect((host, port))).await;
            connected.with_context(remedy)?.with_context(remedy)?;
        }
        match manifest.effects.len() {
            0 => Ok("the manifest names none".to_owned()),
            count => Ok(format!("{count} take connections")),
        }
    }

    /// Checks the submitter's variables, keys and contracts.
    fn submitter(&self) -> Finding {
        let (contracts, _) = contracts::read(&self.contracts)?;
        // The interval is not used: the submitter is configured here and never started.
        let chain = ChainAccess {
            rpc_urls: self.chain_rpc_urls.clone(),
            confirmations: 0,
            interval: Duration::from_secs(1),
        };
        let variable = |name: &str| std::env::var(name).ok();
        Ok(match Configured::read(&self.submitter, chain, &contracts, variable)? {
            Some(_) => "its keys and contracts are there".to_owned(),
            None => "none is configured, so nothing is pulled".to_owned(),
        })
    }

    async fn address(&self) -> Finding {
        TcpListener::bind(self.listen).await.with_context(|| {
            format!(
                "LISTEN (--listen) {} cannot be used; stop what listens there, or give another",
                self.listen
            )
        })?;
        Ok(format!("{} is free", self.listen))
    }
}

async fn database(store: Store, url: Option<&str>) -> Finding {
    let url = url.with_context(|| format!("{} is not set; give the database's URL", store.variable()))?;
    let pool = database::connect(store, url, 1).await?;
    database::check_schema(store, &pool).await?;
    if store == Store::Read {
        return Ok("reachable, schema current".to_owned());
    }
    let partitions = EventStore::open(pool).await?.partition_count();
    Ok(format!("reachable, schema current, {partitions} partitions"))
}
