//! `cargo xtask sqlx`: the caches of checked queries that let the host compile without a database, one in each crate.
//!
//! A throw-away Postgres gets all migrations, the host is compiled against it, and sqlx's macros write one file per
//! query. The caches are committed; `--check` fails if they differ from what the sources need.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::SystemTime;

use anyhow::{Context, Result, bail};
use clap::Args;

use crate::postgres::Postgres;
use crate::throwaway::Throwaway;
use crate::{cargo, place, progress};

const DATABASE: &str = "queries";
/// Set for a compiler that runs under this program: the folder with one folder of queries per crate.
const QUERIES: &str = "CLEARFOLD_QUERIES";
/// Set beside it: the repository, below which the crates lie.
const ROOT: &str = "CLEARFOLD_QUERIES_ROOT";

#[derive(Args)]
pub struct Options {
    /// Write nothing; fail if a cache is not up to date.
    #[arg(long)]
    pub check: bool,
}

/// File contents by path in the repository: `host/store/.sqlx/query-….json`.
type Queries = BTreeMap<PathBuf, Vec<u8>>;

pub fn run(options: &Options) -> Result<()> {
    let (needed, present) = (needed()?, present());
    let (missing, outdated) = (difference(&needed, &present), difference(&present, &needed));
    if missing.is_empty() && outdated.is_empty() {
        eprintln!("The caches of checked queries are up to date: {} queries.", needed.len());
        return Ok(());
    }
    if options.check {
        let list = missing.iter().map(|path| format!("\n  needed:   {}", path.display()));
        let list: String =
            list.chain(outdated.iter().map(|path| format!("\n  outdated: {}", path.display()))).collect();
        bail!(
            "the caches of checked queries do not fit the sources and migrations; run `cargo xtask sqlx` and commit \
             what it writes{list}"
        );
    }
    for path in &outdated {
        fs::remove_file(place::root().join(path))?;
    }
    for path in &missing {
        let file = place::root().join(path);
        place::create(file.parent().context("a file lies in a folder")?)?;
        fs::write(file, &needed[path])?;
    }
    eprintln!("{} queries, {} written, {} removed.", needed.len(), missing.len(), outdated.len());
    Ok(())
}

/// Runs the compiler in this program's place, if cargo started this program as its wrapper: sqlx's macros know only one
/// folder to write to, and each crate has one of its own.
pub fn compile_if_asked() -> Result<()> {
    let Some(folder) = std::env::var_os(QUERIES) else { return Ok(()) };
    let mut arguments = std::env::args_os().skip(1);
    let compiler = arguments.next().context("cargo names the compiler first")?;
    let mut command = Command::new(compiler);
    // Cargo asks the compiler for its version too, in no crate's name.
    if let (Some(crate_folder), Some(root)) = (std::env::var_os("CARGO_MANIFEST_DIR"), std::env::var_os(ROOT))
    {
        let inside = Path::new(&crate_folder).strip_prefix(root).context("a crate of this workspace")?;
        let queries = Path::new(&folder).join(inside);
        place::create(&queries)?;
        command.env("SQLX_OFFLINE_DIR", queries);
    }
    Err(command.args(arguments).exec().into())
}

/// Paths of `these` that `those` lacks or has with other contents.
fn difference(these: &Queries, those: &Queries) -> Vec<PathBuf> {
    let differs = |(path, bytes): &(&PathBuf, &Vec<u8>)| those.get(*path) != Some(*bytes);
    these.iter().filter(differs).map(|(path, _)| path.clone()).collect()
}

/// Compiles the host against a fresh database.
fn needed() -> Result<Queries> {
    let server = Throwaway::start(&[DATABASE], migrate)?;
    let folder = place::work_folder()?.join("sqlx");
    fs::remove_dir_all(&folder).ok();
    place::create(&folder)?;
    let mut command = cargo::cargo();
    command.arg("check").args(cargo::native(&cargo::members()?)).args(["--lib", "--bins"]);
    let wrapper = std::env::current_exe().context("this program does not know its own path")?;
    command
        .env("SQLX_OFFLINE", "false")
        .env("RUSTC_WORKSPACE_WRAPPER", wrapper)
        .env(QUERIES, &folder)
        .env(ROOT, place::root())
        .env("DATABASE_URL", server.postgres.url(DATABASE));
    let _touched = Touched::new(&host_crates())?;
    progress::run("compiling the host against the migrations", &mut command)?;
    Ok(read_queries(&folder))
}

/// The caches as they are in the repository.
fn present() -> Queries {
    let root = place::root();
    let mut found = Queries::new();
    for folder in host_crates() {
        for file in place::files_below(&folder.join(".sqlx")) {
            let inside = file.strip_prefix(&root).unwrap_or(&file).to_path_buf();
            found.extend(fs::read(&file).ok().map(|bytes| (inside, bytes)));
        }
    }
    found
}

/// The folders of the host's crates.
fn host_crates() -> Vec<PathBuf> {
    let folders = fs::read_dir(place::root().join("host")).into_iter().flatten().flatten();
    folders.map(|entry| entry.path()).filter(|path| path.join("Cargo.toml").exists()).collect()
}

/// Applies the migrations and after them the definitions: `functions/` sorts behind the numbers.
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

/// The queries that sqlx's macros wrote, each under the path that it has in the repository.
fn read_queries(folder: &Path) -> Queries {
    let mut found = Queries::new();
    for file in place::files_below(folder) {
        let inside = file.strip_prefix(folder).unwrap_or(&file);
        let (Some(name), Some(crate_folder)) = (inside.file_name(), inside.parent()) else { continue };
        found.extend(fs::read(&file).ok().map(|bytes| (crate_folder.join(".sqlx").join(name), bytes)));
    }
    found
}

/// The roots of the host's crates, given a new time so that cargo compiles them again: the macros' queries are written
/// by compiling, and cargo knows nothing of the database. Dropping it gives back the old times, so that other builds of
/// the host stay fresh.
struct Touched(Vec<(PathBuf, SystemTime)>);

impl Touched {
    fn new(crates: &[PathBuf]) -> Result<Self> {
        let mut touched = Self(Vec::new());
        let roots =
            crates.iter().flat_map(|folder| ["src/lib.rs", "src/main.rs"].map(|root| folder.join(root)));
        for path in roots.filter(|path| path.exists()) {
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
