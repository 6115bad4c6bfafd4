//! The harness: a real chain, real databases and a real host for each test.
//!
//! `cargo xtask test` installs and names what it needs. Nothing is mocked; only faults are injected.

mod application;
mod broken;
mod databases;
mod environment;
mod handler;
mod host;
mod load;
mod proxy;
mod registry;
mod rpc;
mod server;
mod variants;
mod world;

pub use application::Application;
pub use broken::{broken_component, deaf_translator};
pub use databases::Databases;
pub use environment::Environment;
pub use handler::{Described, Handler};
pub use host::{Answer, Host, Output};
pub use load::{Heard, Load};
pub use proxy::{Cut, Proxy, Silence};
pub use registry::{activation, deployment};
pub use rpc::{Faults, FaultyRpc};
pub use server::Server;
pub use variants::{Noting, reworded, variant};
pub use world::{World, cents};

use std::future::Future;
use std::time::Duration;

use anyhow::{Result, bail};
use ring::signature::Ed25519KeyPair;

/// An HTTP client. None can be built before a cryptography is installed, even for plain HTTP.
pub fn http_client() -> reqwest::Client {
    clearfold_base::tls::install();
    reqwest::Client::new()
}

/// A key that signs components; each seed gives another.
pub fn signing_key(seed: u8) -> Result<Ed25519KeyPair> {
    Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).map_err(|why| anyhow::anyhow!("no key: {why}"))
}

/// Asks repeatedly until there is an answer; fails after half a minute.
pub async fn eventually<T, F: Future<Output = Result<Option<T>>>>(
    what: &str,
    ask: impl Fn() -> F,
) -> Result<T> {
    const PATIENCE_MS: u64 = 30_000;
    const PAUSE_MS: u64 = 50;
    for _ in 0..PATIENCE_MS / PAUSE_MS {
        if let Some(answer) = ask().await? {
            return Ok(answer);
        }
        tokio::time::sleep(Duration::from_millis(PAUSE_MS)).await;
    }
    bail!("{what}: not within {PATIENCE_MS} ms")
}
