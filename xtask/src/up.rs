//! `cargo xtask up`: the whole on one machine, from the database to the card swipes, until Ctrl-C.
//!
//! It only starts, watches and stops. It knows the parts by their interfaces: programs, addresses, files.

use std::ffi::OsString;
use std::fs;
use std::io::Read;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::Args;

use crate::build::{self, Programs};
use crate::postgres::{self, Durability, Postgres};
use crate::processes::Processes;
use crate::times::Clock;
use crate::watch::Watch;
use crate::{contracts, dev, http, place, progress, signals, tools};

const DEFAULT_LISTEN: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 9100);
const PORTS_TRIED: u16 = 100;
const CHAIN_PORT: u16 = 8545;
/// Secret that the simulated card network shares with the edge.
const NETWORK_SECRET: &str = "SPIN_VARIABLE_NETWORK_SECRET";
/// Token of the admin API, with which operators' commands ask the host.
const ADMIN_TOKEN: &str = "ADMIN_TOKEN";
/// Variables of the chain submitter, with keys that every anvil has and everybody knows: of an account that sends nothing
/// else, and of the delegate of the development chain's Spender.
const SUBMITTER: [(&str, &str); 3] = [
    ("SUBMITTER_SENDER_KEY", "0x47e179ec197488593b187f80a00eb0da91f1b9d0b13f8733639f19c30a34926a"),
    ("SUBMITTER_DELEGATE_KEY", "0x5de4111afa1a4b94908f83103eb1f1706367c2e68ca870fc3fb9a804cdab365a"),
    ("SUBMITTER_LEASE_MS", "5000"),
];
/// Interval at which processes and edited files are looked at.
const SEEN_WITHIN_MS: u64 = 50;
/// Said where nothing was built yet.
const FIRST_TIME: &str = "The first build compiles some 520 crates, which takes a while. Meanwhile read README.md (what this is) and \
                          docs/ARCHITECTURE.md (how it works); later builds take seconds.";
const READY_WITHIN: Duration = Duration::from_secs(60);
/// Names that `--fresh` removes from a data folder; everything else stays.
const OURS: [&str; 6] = ["postgres", "chain.json", "deployment.json", "contracts.json", "logs", "processes"];

#[derive(Args, Default)]
pub struct Options {
    /// Start anew: forget the database and the chain of the data folder.
    #[arg(long, conflicts_with = "no_demo")]
    fresh: bool,
    /// Only the host, against DATABASE_URL, READ_DATABASE_URL, CHAIN_RPC_URLS and CHAIN_CONTRACTS.
    #[arg(long)]
    no_demo: bool,
    /// The folder for the database, the chain and the logs [default: .clearfold in the repository].
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// The address of the API [default: 127.0.0.1:9100, or the next port that is free].
    #[arg(long, value_name = "ADDR")]
    listen: Option<SocketAddr>,
    /// True for scenes that tell of every change of the chain themselves: the host pulls nothing.
    #[arg(skip)]
    without_pulls: bool,
}

/// Environment of the host, and addresses to show.
struct Surroundings {
    environment: Vec<(&'static str, OsString)>,
    addresses: Vec<(&'static str, String)>,
}

/// Program and environment of a running host, for commands that are sent to it.
pub struct Running<'a> {
    pub host: &'a Path,
    pub environment: &'a [(&'static str, OsString)],
}

impl Options {
    /// A run of its own that forgets what an earlier one left in its folder.
    pub fn apart(data: PathBuf) -> Self {
        Self { fresh: true, data: Some(data), without_pulls: true, ..Self::default() }
    }
}

pub fn run(options: &Options) -> Result<()> {
    let clock = Clock::start();
    let mut payments = None;
    let mut is_first = true;
    run_while(options, |_, api| {
        if payments.get_or_insert_with(|| Watch::new(api)).print_news() && std::mem::take(&mut is_first) {
            clock.record("from the start to the first payment");
        }
        Ok(())
    })
}

/// All that `up` starts, running.
pub struct Begun {
    pub processes: Processes,
    pub programs: Programs,
    surroundings: Surroundings,
    data: PathBuf,
    listen: SocketAddr,
}

impl Begun {
    /// URL of the host's API.
    pub fn api(&self) -> String {
        format!("http://{}", self.listen)
    }

    pub fn running(&self) -> Running<'_> {
        Running { host: &self.programs.host, environment: &self.surroundings.environment }
    }

    pub fn start_host(&mut self) -> Result<()> {
        start_host(&mut self.processes, &self.programs, &self.surroundings, self.listen)
    }

    /// Value of a variable of the host's environment.
    pub fn variable(&self, name: &str) -> Result<String> {
        let found = self.surroundings.environment.iter().find(|(variable, _)| *variable == name);
        Ok(found.with_context(|| format!("the demo sets {name}"))?.1.to_string_lossy().into_owned())
    }

    /// Secret of the simulated network. A host may have two while one is exchanged; the last is the new one.
    pub fn network_secret(&self) -> Result<String> {
        let secrets = self.variable(NETWORK_SECRET)?;
        Ok(secrets.split_whitespace().last().unwrap_or_default().to_owned())
    }

    /// File of the data folder.
    pub fn file(&self, name: &str) -> PathBuf {
        self.data.join(name)
    }
}

/// Starts all of it and calls `meanwhile` a few times a second, until somebody asks to stop; fails if a part stops by
/// itself.
pub fn run_while(
    options: &Options,
    mut meanwhile: impl FnMut(&Running<'_>, &str) -> Result<()>,
) -> Result<()> {
    let mut begun = begin(options)?;
    dev::give_way(&begun.running())?;
    if !options.no_demo {
        start_swipes(&mut begun)?;
    }
    let api = begun.api();
    announce(&api, &begun.surroundings, &begun.data);
    let Begun { mut processes, programs, surroundings, .. } = begun;
    let running = Running { host: &programs.host, environment: &surroundings.environment };
    let ended = watch(&mut processes, || meanwhile(&running, &api));
    let step = progress::Step::begin("stopping");
    processes.stop();
    step.end(true);
    ended
}

/// Starts all of it but the swipes.
pub fn begin(options: &Options) -> Result<Begun> {
    let given = if options.no_demo { Some(given_surroundings()?) } else { None };
    let data = options.data.clone().unwrap_or_else(|| place::root().join(".clearfold"));
    place::create(&data)?;
    let data = fs::canonicalize(&data)?;
    let mut processes = Processes::of(&data)?;
    if options.fresh {
        forget(&data)?;
    }
    let listen = listen_address(options.listen)?;
    if !place::root().join("target/debug/clearfold").exists() {
        eprintln!("{FIRST_TIME}");
    }
    let programs = build::programs(false)?;
    build::components(None)?;
    let surroundings = match given {
        Some(surroundings) => surroundings,
        None => {
            let mut surroundings = demo_surroundings(&data, &mut processes, &programs)?;
            if !options.without_pulls {
                surroundings
                    .environment
                    .extend(SUBMITTER.map(|(name, value)| (name, unless_set(name, value))));
            }
            surroundings
        }
    };
    let mut begun = Begun { processes, programs, surroundings, data, listen };
    begun.start_host()?;
    Ok(begun)
}

/// Postgres and the chain, with databases and contracts.
fn demo_surroundings(data: &Path, processes: &mut Processes, programs: &Programs) -> Result<Surroundings> {
    let anvil = tools::anvil()?;
    let artifacts = contracts::artifacts()?;
    let file = |name: &str| data.join(name);
    if file("deployment.json").exists() && !file("chain.json").exists() {
        bail!("{} has lost its chain, which its database follows; start anew with --fresh", data.display());
    }
    let postgres = Postgres::open(data, &["clearfold", "clearfold_read"], Durability::Kept)?;
    postgres.start(processes)?;
    let rpc = start_chain(processes, &anvil, &file("chain.json"))?;
    let mut deploy = Command::new(&programs.devchain);
    deploy.args(["deploy", "--rpc", &rpc, "--accounts", "5"]).arg("--artifacts").arg(&artifacts);
    deploy.arg("--deployment").arg(file("deployment.json")).arg("--contract-set").arg(file("contracts.json"));
    progress::run("deploying the contracts", &mut deploy)?;
    let (write, read) = (postgres.url("clearfold"), postgres.url("clearfold_read"));
    Ok(Surroundings {
        environment: vec![
            ("DATABASE_URL", write.clone().into()),
            ("READ_DATABASE_URL", read.clone().into()),
            ("CHAIN_RPC_URLS", rpc.clone().into()),
            ("CHAIN_CONTRACTS", file("contracts.json").into()),
            ("CHAIN_CONFIRMATIONS", unless_set("CHAIN_CONFIRMATIONS", "2")),
            ("CHAIN_POLL_INTERVAL_MS", unless_set("CHAIN_POLL_INTERVAL_MS", "500")),
            (NETWORK_SECRET, unless_set(NETWORK_SECRET, &secret()?)),
            (ADMIN_TOKEN, unless_set(ADMIN_TOKEN, &secret()?)),
        ],
        addresses: vec![("chain", rpc), ("events", write), ("read store", read)],
    })
}

/// Surroundings named by the operator, for a run without the demo.
fn given_surroundings() -> Result<Surroundings> {
    let names = ["DATABASE_URL", "READ_DATABASE_URL", "CHAIN_RPC_URLS", "CHAIN_CONTRACTS"];
    let set = |name: &&str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    let missing: Vec<&str> = names.into_iter().filter(|name| !set(name)).collect();
    if !missing.is_empty() {
        bail!("--no-demo runs against your own database and chain: please set {}", missing.join(", "));
    }
    Ok(Surroundings { environment: Vec::new(), addresses: Vec::new() })
}

/// Secret of one run, which nobody can guess.
fn secret() -> Result<String> {
    let mut bytes = [0; 16];
    fs::File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(hex::encode(bytes))
}

/// Our value for a demo, unless the person has set another.
fn unless_set(name: &str, value: &str) -> OsString {
    std::env::var_os(name).unwrap_or_else(|| value.into())
}

fn start_chain(processes: &mut Processes, anvil: &Path, state: &Path) -> Result<String> {
    let port = postgres::free_port(Some(CHAIN_PORT))?;
    let mut command = Command::new(anvil);
    command.args([
        "--port",
        &port.to_string(),
        "--chain-id",
        "100",
        "--slots-in-an-epoch",
        "16",
        "--block-time",
        "1",
    ]);
    // Written regularly too, so that not even a power cut takes the chain from under the database.
    command.arg("--state").arg(state).args(["--state-interval", "5"]);
    processes.start("chain", &mut command)?;
    let rpc = format!("http://127.0.0.1:{port}");
    let question = r#"{"jsonrpc":"2.0","id":1,"method":"eth_chainId","params":[]}"#;
    processes.wait("starting the chain", READY_WITHIN, || http::post_json(&rpc, question).is_some())?;
    Ok(rpc)
}

fn start_host(
    processes: &mut Processes,
    programs: &Programs,
    surroundings: &Surroundings,
    listen: SocketAddr,
) -> Result<()> {
    let host = |job: &str| {
        let mut command = Command::new(&programs.host);
        command.arg(job).current_dir(place::root()).envs(surroundings.environment.iter().cloned());
        command.env("LISTEN", listen.to_string()).env("MANIFEST", place::root().join("spin.toml"));
        command.env("LOG_FORMAT", unless_set("LOG_FORMAT", "text"));
        command
            .env("SPIN_VARIABLE_HOST_URL", unless_set("SPIN_VARIABLE_HOST_URL", &format!("http://{listen}")));
        command
    };
    progress::run("bringing the databases up to date", &mut host("migrate"))?;
    processes.start("host", &mut host("up"))?;
    let health = format!("http://{listen}/healthz");
    processes.wait("starting the host", READY_WITHIN, || http::get(&health).is_some())
}

fn start_swipes(begun: &mut Begun) -> Result<()> {
    let mut command = Command::new(&begun.programs.devchain);
    command.args(["swipes", "--rpc", &begun.variable("CHAIN_RPC_URLS")?, "--api", &begun.api()]);
    command.args(["--every-ms", "2000", "--clear-after-ms", "6000"]);
    command.arg("--deployment").arg(begun.file("deployment.json"));
    command.env("NETWORK_SECRET", begun.network_secret()?);
    begun.processes.start("swipes", &mut command).map(drop)
}

fn announce(api: &str, surroundings: &Surroundings, data: &Path) {
    println!("\n  {:<12}{api}/v1/payments", "payments");
    println!("  {:<12}{api}/edge/payments/{{id}}", "edge");
    for (name, address) in &surroundings.addresses {
        println!("  {name:<12}{address}");
    }
    if let Some((_, token)) = surroundings.environment.iter().find(|(name, _)| *name == ADMIN_TOKEN) {
        let token = token.to_string_lossy();
        println!("  {:<12}ADMIN_URL={api} ADMIN_TOKEN={token} target/debug/clearfold saga list", "operators");
    }
    println!("  {:<12}{}\n\nCtrl-C stops all of it.\n", "logs", data.join("logs").display());
}

fn watch(processes: &mut Processes, mut meanwhile: impl FnMut() -> Result<()>) -> Result<()> {
    while !signals::stop_requested() {
        processes.check()?;
        meanwhile()?;
        signals::pause(SEEN_WITHIN_MS).ok();
    }
    Ok(())
}

/// The address asked for, which must be free, or the first free one from the default on.
fn listen_address(asked: Option<SocketAddr>) -> Result<SocketAddr> {
    if let Some(address) = asked {
        TcpListener::bind(address)
            .with_context(|| format!("cannot listen on {address}; choose another with --listen"))?;
        return Ok(address);
    }
    let ports = DEFAULT_LISTEN.port()..DEFAULT_LISTEN.port() + PORTS_TRIED;
    let mut addresses = ports.map(|port| SocketAddr::new(DEFAULT_LISTEN.ip(), port));
    let free = addresses.find(|address| TcpListener::bind(address).is_ok());
    let free = free.with_context(|| {
        format!("no port from {} on is free; name one with --listen", DEFAULT_LISTEN.port())
    })?;
    if free != DEFAULT_LISTEN {
        eprintln!("{DEFAULT_LISTEN} is in use; the API listens on {free} instead.");
    }
    Ok(free)
}

fn forget(data: &Path) -> Result<()> {
    let server_home = postgres::home_of(data)?;
    for path in OURS.iter().map(|name| data.join(name)).chain([server_home]) {
        let removed = if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
        match removed {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(error).with_context(|| format!("cannot remove {}", path.display()));
            }
            _ => {}
        }
    }
    place::create(&data.join("logs"))
}
