//! The harness: a chain, databases and the host, all real, each test its own.
//!
//! What it needs is installed and named by `cargo xtask test`; nothing here is faked but faults.

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

/// Asks again and again until there is an answer; gives up after half a minute.
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
