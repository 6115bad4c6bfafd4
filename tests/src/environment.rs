//! What the tests use, as `cargo xtask test` names it.

use std::path::PathBuf;

use anyhow::{Context, Result};

/// The programs, components and servers under test.
#[derive(Debug, Clone)]
pub struct Environment {
    /// The `clearfold` program.
    pub host: PathBuf,
    /// The `xtask` program, which starts a database server for a test that kills it.
    pub xtask: PathBuf,
    /// The folder of built components.
    pub components: PathBuf,
    pub anvil: PathBuf,
    /// The folder of compiled contracts.
    pub artifacts: PathBuf,
    /// The repository.
    pub root: PathBuf,
    /// A PostgreSQL server on which databases may be made.
    pub database_url: String,
}

impl Environment {
    /// Reads it from the environment.
    pub fn read() -> Result<Self> {
        let path = |name| variable(name).map(PathBuf::from);
        Ok(Self {
            host: path("CLEARFOLD_BIN")?,
            xtask: path("CLEARFOLD_XTASK")?,
            components: path("CLEARFOLD_COMPONENTS")?,
            anvil: path("ANVIL_BIN")?,
            artifacts: path("CLEARFOLD_ARTIFACTS")?,
            root: path("CLEARFOLD_ROOT")?,
            database_url: variable("CLEARFOLD_TEST_DATABASE_URL")?,
        })
    }

    /// A component, built.
    #[must_use]
    pub fn component(&self, name: &str) -> PathBuf {
        self.components.join(format!("{name}.wasm"))
    }
}

fn variable(name: &str) -> Result<String> {
    std::env::var(name).with_context(|| format!("{name} is not set; run `cargo xtask test`"))
}
