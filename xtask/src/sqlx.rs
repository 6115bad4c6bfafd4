//! `cargo xtask sqlx`: the cache of checked queries that lets the host compile without a database.
//!
//! A throw-away Postgres gets all migrations, the host is compiled against it, and sqlx's macros write one
//! file per query. The cache is committed; `--check` says whether it is what the sources need.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::{Context, Result, bail};
use clap::Args;

use crate::postgres::Postgres;
use crate::throwaway::Throwaway;
use crate::{cargo, place, progress};

const DATABASE: &str = "queries";

#[derive(Args)]
pub struct Options {
    /// Write nothing; fail if the cache is not up to date.
    #[arg(long)]
    pub check: bool,
}

/// The queries by the names of their files.
type Queries = BTreeMap<String, Vec<u8>>;

pub fn run(options: &Options) -> Result<()> {
    let cache = place::root().join("host/.sqlx");
    let (needed, present) = (needed()?, read_queries(&cache));
    let (missing, outdated) = (difference(&needed, &present), difference(&present, &needed));
    if missing.is_empty() && outdated.is_empty() {
        eprintln!("host/.sqlx is up to date: {} queries.", needed.len());
        return Ok(());
    }
    if options.check {
        let list = missing.iter().map(|name| format!("\n  needed:   {name}"));
        let list: String = list.chain(outdated.iter().map(|name| format!("\n  outdated: {name}"))).collect();
        bail!(
            "host/.sqlx does not fit the sources and migrations; run `cargo xtask sqlx` and commit it{list}"
        );
    }
    for name in &outdated {
        fs::remove_file(cache.join(name))?;
    }
    place::create(&cache)?;
    for name in &missing {
        fs::write(cache.join(name), &needed[name])?;
    }
    eprintln!("host/.sqlx: {} queries, {} written, {} removed.", needed.len(), missing.len(), outdated.len());
    Ok(())
}

/// The names of those in `these` that `those` lacks or has otherwise.
fn difference(these: &Queries, those: &Queries) -> Vec<String> {
    these
        .iter()
        .filter(|(name, bytes)| those.get(*name) != Some(bytes))
        .map(|(name, _)| name.clone())
        .collect()
}

/// Compiles the host against a fresh database.
fn needed() -> Result<Queries> {
    let server = Throwaway::start(&[DATABASE], migrate)?;
    let folder = place::work_folder()?.join("sqlx");
    fs::remove_dir_all(&folder).ok();
    place::create(&folder)?;
    let mut command = cargo::cargo();
    command.arg("check").args(cargo::native(&cargo::members()?)).args(["--lib", "--bins"]);
    command
        .env("SQLX_OFFLINE", "false")
        .env("SQLX_OFFLINE_DIR", &folder)
        .env("DATABASE_URL", server.postgres.url(DATABASE));
    let _touched = Touched::new(&["lib.rs", "main.rs"])?;
    progress::run("compiling the host against the migrations", &mut command)?;
    Ok(read_queries(&folder))
}

fn migrate(postgres: &Postgres) -> Result<()> {
    for part in ["write", "read"] {
        for file in place::files_below(&place::root().join("migrations").join(part)) {
            let sql = fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
            let name = file.file_name().unwrap_or_default().to_string_lossy();
            postgres.execute(DATABASE, &format!("applying {part}/{name}"), &sql)?;
        }
    }
    Ok(())
}

fn read_queries(folder: &Path) -> Queries {
    let files = place::files_below(folder).into_iter();
    files.filter_map(|file| Some((file.file_name()?.to_str()?.to_owned(), fs::read(&file).ok()?))).collect()
}

/// The host's roots, given a new time so that cargo compiles the host again: the macros' queries are
/// written by compiling, and cargo knows nothing of the database. Dropping it gives back the old times,
/// so that other builds of the host stay fresh.
struct Touched(Vec<(PathBuf, SystemTime)>);

impl Touched {
    fn new(names: &[&str]) -> Result<Self> {
        let mut touched = Self(Vec::new());
        for name in names {
            let path = place::root().join("host/src").join(name);
            let file = File::open(&path).with_context(|| format!("cannot open {}", path.display()))?;
            touched.0.push((path, file.metadata()?.modified()?));
            file.set_modified(now())?;
        }
        Ok(touched)
    }
}

impl Drop for Touched {
    fn drop(&mut self) {
        for (path, time) in &self.0 {
            if let Ok(file) = File::open(path) {
                file.set_modified(*time).ok();
            }
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "the time of a file is the system's")]
fn now() -> SystemTime {
    SystemTime::now()
}
