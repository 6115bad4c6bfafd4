//! Tests of the development chain on a real node.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod contracts;
mod pool;
mod spend;

use std::path::{Path, PathBuf};

use alloy::primitives::U256;
use clearfold_devchain::{Anvil, AnvilOptions, DevChain};

const ACCOUNTS: usize = 2;

pub async fn start() -> (Anvil, DevChain) {
    let anvil = Anvil::start(&setting("ANVIL_BIN"), &AnvilOptions::default()).unwrap();
    let chain = DevChain::deploy(&anvil.rpc_url, &setting("CLEARFOLD_ARTIFACTS"), ACCOUNTS).await.unwrap();
    (anvil, chain)
}

pub fn setting(name: &str) -> PathBuf {
    let value = std::env::var_os(name).unwrap_or_else(|| panic!("{name} is not set: run `cargo xtask test`"));
    Path::new(&value).to_owned()
}

pub fn cents(count: u64) -> U256 {
    U256::from(count) * U256::from(10_000_000_000_000_000_u64)
}

pub fn assert_refused<T: std::fmt::Debug>(result: anyhow::Result<T>, reason: &str) {
    let error = format!("{:#}", result.unwrap_err());
    assert!(error.contains(reason), "expected {reason}, got: {error}");
}
