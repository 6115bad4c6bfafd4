//! A test's world: a chain with contracts, databases, and what is needed to run a host on them.

use std::path::PathBuf;
use std::process::Command;

use alloy::primitives::U256;
use anyhow::Result;
use clearfold_devchain::{Anvil, AnvilOptions, DevChain};
use tempfile::TempDir;

use crate::{Databases, Environment, Host, Output};

/// World of a test. It ends with the test.
pub struct World {
    pub environment: Environment,
    pub databases: Databases,
    pub chain: DevChain,
    pub anvil: Anvil,
    /// File with the contract set; a test may write another one.
    pub contracts: PathBuf,
    folder: TempDir,
}

impl World {
    /// Makes a world with three accounts on a fresh chain, and migrated databases.
    pub async fn new() -> Result<Self> {
        Self::of(Environment::read()?).await
    }

    /// Makes a world with the programs and servers of this environment.
    pub async fn of(environment: Environment) -> Result<Self> {
        let folder = TempDir::new()?;
        let anvil = Anvil::start(&environment.anvil, &AnvilOptions::default())?;
        let chain = DevChain::deploy(&anvil.rpc_url, &environment.artifacts, 3).await?;
        let databases = Databases::migrated(&environment).await?;
        let contracts = folder.path().join("contracts.json");
        std::fs::write(&contracts, chain.contract_set().to_string())?;
        Ok(Self { environment, databases, chain, anvil, contracts, folder })
    }

    /// Takes the accounts off the contract set, so that the money of the deployment is not booked: for a test that
    /// knows every event of its log.
    pub fn unlist_accounts(&self) -> Result<()> {
        let mut contracts = self.chain.contract_set();
        contracts["accounts"] = serde_json::json!([]);
        Ok(std::fs::write(&self.contracts, contracts.to_string())?)
    }

    /// Starts a host on this world.
    pub async fn host(&self) -> Result<Host> {
        self.host_with(|_| {}).await
    }

    /// Starts a host on this world, with changes to its configuration.
    pub async fn host_with(&self, configure: impl FnOnce(&mut Command)) -> Result<Host> {
        let mut command = self.host_command()?;
        configure(&mut command);
        Host::start(command, self.file("host.log")).await
    }

    /// Command that would start the host.
    pub fn host_command(&self) -> Result<Command> {
        Host::command(&self.environment, &self.databases, &self.anvil.rpc_url, &self.contracts)
    }

    /// Runs `clearfold` with the write store's address, until it ends.
    pub fn clearfold(&self, arguments: &[&str]) -> Result<Output> {
        Output::of(&mut self.clearfold_command(arguments))
    }

    /// Command of `clearfold` with the write store's address.
    #[must_use]
    pub fn clearfold_command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.environment.host);
        command.args(arguments).env("DATABASE_URL", &self.databases.write_url);
        command
    }

    /// Path in the test's own folder.
    #[must_use]
    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

/// Converts hundredths of a EURe into minor units.
#[must_use]
pub fn cents(cents: u64) -> U256 {
    U256::from(cents) * U256::from(10_000_000_000_000_000_u64)
}
