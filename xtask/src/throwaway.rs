//! A Postgres for one run of tests or checks: in a temporary folder, gone at the end in all cases. A test that kills
//! its server has one of its own, which keeps what it has committed.

use std::fs;
use std::io::{BufRead, Write};
use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::postgres::{self, Durability, Postgres};
use crate::processes::Processes;
use crate::{place, signals};

/// A running server; dropping it stops it and removes its folder.
pub struct Throwaway {
    pub postgres: Postgres,
    // Dropped in this order: the process before its files.
    processes: Processes,
    folder: Folder,
}

struct Folder {
    path: PathBuf,
    server_home: PathBuf,
}

impl Throwaway {
    /// Starts a server with these databases; `prepare` may fill them before it listens.
    pub fn start(databases: &[&str], prepare: impl FnOnce(&Postgres) -> Result<()>) -> Result<Self> {
        Self::start_with(Durability::ThrownAway, databases, prepare)
    }

    /// The same, with a say in what a crash of the machine may cost: a benchmark wants to pay for that.
    pub fn start_with(
        durability: Durability,
        databases: &[&str],
        prepare: impl FnOnce(&Postgres) -> Result<()>,
    ) -> Result<Self> {
        let shared = std::env::temp_dir().join(format!("clearfold-{}", rustix::process::geteuid().as_raw()));
        place::create(&shared)?;
        sweep(&shared);
        let path = shared.join(format!("postgres-{}", std::process::id()));
        let mut processes = Processes::of(&path)?;
        let folder = Folder { server_home: postgres::home_of(&path)?, path };
        let postgres = Postgres::open(&folder.path, databases, durability)?;
        prepare(&postgres)?;
        postgres.start(&mut processes)?;
        Ok(Self { postgres, processes, folder })
    }

    /// A folder on the disk of the server's files, for whoever wants to know that disk.
    pub fn folder(&self) -> &Path {
        &self.folder.path
    }

    /// Starts it again after it was killed.
    fn restart(&mut self) -> Result<()> {
        const ATTEMPTS: u32 = 50;
        self.processes.stop();
        let mut attempt = 1;
        // What is left of the killed server keeps the new one out, for a moment.
        while let Err(error) = self.postgres.start(&mut self.processes) {
            if attempt == ATTEMPTS {
                return Err(error);
            }
            attempt += 1;
            self.processes.stop();
            signals::pause(100)?;
        }
        Ok(())
    }
}

/// `cargo xtask killable-postgres`: says the number of its process and where it listens, and again after each line that
/// it reads, by which it is started anew. It ends with its input.
pub fn killable() -> Result<()> {
    let mut server = Throwaway::start_with(Durability::Kept, &[], |_| Ok(()))?;
    let mut lines = std::io::stdin().lock().lines();
    loop {
        let mut out = std::io::stdout().lock();
        writeln!(out, "{} {}", server.postgres.pid()?, server.postgres.url("postgres"))?;
        out.flush()?;
        if lines.next().transpose()?.is_none() {
            return Ok(());
        }
        server.restart()?;
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        remove(&self.path, &self.server_home);
    }
}

/// Removes what runs that were killed have left; one that still runs holds its folder's lock.
fn sweep(shared: &Path) {
    for entry in fs::read_dir(shared).into_iter().flatten().flatten() {
        let path = entry.path();
        let (Ok(server_home), Ok(survivors)) = (postgres::home_of(&path), Processes::of(&path)) else {
            continue;
        };
        drop(survivors);
        remove(&path, &server_home);
    }
}

fn remove(folder: &Path, server_home: &Path) {
    // What cannot be removed is tried again by the next run's sweep.
    fs::remove_dir_all(server_home).ok();
    fs::remove_dir_all(folder).ok();
}
