//! A write store and a read store for one test.

use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, Result};
use reqwest::Url;
use sqlx::{AssertSqlSafe, Connection, PgConnection, PgPool};

use crate::Environment;

/// Two databases, empty and not migrated. They exist until the throw-away server ends.
#[derive(Debug, Clone)]
pub struct Databases {
    pub write_url: String,
    pub read_url: String,
}

impl Databases {
    /// Creates both.
    pub async fn create(environment: &Environment) -> Result<Self> {
        // Test programs that run at the same time may share the server, so the names contain the process id.
        static MADE: AtomicU32 = AtomicU32::new(0);
        let name = format!("t{}_{}", std::process::id(), MADE.fetch_add(1, Ordering::Relaxed));
        Ok(Self {
            write_url: create(environment, &format!("{name}_write")).await?,
            read_url: create(environment, &format!("{name}_read")).await?,
        })
    }

    /// Creates both and migrates them.
    pub async fn migrated(environment: &Environment) -> Result<Self> {
        let databases = Self::create(environment).await?;
        clearfold_base::database::migrate(&databases.write().await?, &databases.read().await?, None).await?;
        Ok(databases)
    }

    /// Opens a pool on the write store.
    pub async fn write(&self) -> Result<PgPool> {
        Ok(PgPool::connect(&self.write_url).await?)
    }

    /// Opens a pool on the read store.
    pub async fn read(&self) -> Result<PgPool> {
        Ok(PgPool::connect(&self.read_url).await?)
    }
}

async fn create(environment: &Environment, name: &str) -> Result<String> {
    let server = &environment.database_url;
    let mut connection = PgConnection::connect(server).await.context("the test server cannot be reached")?;
    sqlx::query(AssertSqlSafe(format!("CREATE DATABASE {name}"))).execute(&mut connection).await?;
    let mut url: Url = server.parse()?;
    url.set_path(name);
    Ok(url.to_string())
}
