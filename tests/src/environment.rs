//! Programs, components and servers of the tests, as `cargo xtask test` names them.

use std::path::PathBuf;

use anyhow::{Context, Result};

/// Programs, components and servers under test.
#[derive(Debug, Clone)]
pub struct Environment {
    /// Path of the `clearfold` program.
    pub host: PathBuf,
    /// Path of the `xtask` program, which starts a database server for a test that kills it.
    pub xtask: PathBuf,
    /// Folder of built components.
    pub components: PathBuf,
    pub anvil: PathBuf,
    /// Folder of compiled contracts.
    pub artifacts: PathBuf,
    /// Root of the repository.
    pub root: PathBuf,
    /// URL of a PostgreSQL server on which databases may be made.
    pub database_url: String,
}

impl Environment {
    /// Reads the environment variables.
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

    /// Path of a built component.
    #[must_use]
    pub fn component(&self, name: &str) -> PathBuf {
        self.components.join(format!("{name}.wasm"))
    }
}

fn variable(name: &str) -> Result<String> {
    std::env::var(name).with_context(|| format!("{name} is not set; run `cargo xtask test`"))
}
