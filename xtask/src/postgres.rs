//! A private Postgres: its own folder, its own password, a free port on the loopback interface, no socket.
//!
//! No client program is needed: databases and schemas are made by the server's single-user mode, before it
//! listens, and the file of its process says when it is ready. An installed server is taken, else npm's.

use std::ffi::OsStr;
use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use sha2::{Digest, Sha256};

use crate::processes::Processes;
use crate::{place, progress, tools};

const SUPERUSER: &str = "clearfold";
const OLDEST_MAJOR: u32 = 14;

/// Durability of committed data if the machine crashes.
#[derive(Clone, Copy, PartialEq)]
pub enum Durability {
    /// Durable: the data outlives this run.
    Kept,
    /// Not durable: the data lives for one test run.
    ThrownAway,
}

/// The server of one folder.
pub struct Postgres {
    programs: PathBuf,
    home: PathBuf,
    owner: Option<Owner>,
    password: String,
    port: u16,
    durability: Durability,
}

/// The user that the server runs as when root starts it, which it refuses to run as.
#[derive(Clone, Copy)]
struct Owner {
    uid: u32,
    gid: u32,
}

impl Postgres {
    /// Opens the server of a folder, or makes it with these databases. It does not run yet.
    pub fn open(folder: &Path, databases: &[&str], durability: Durability) -> Result<Self> {
        let owner = if place::is_root() { Some(owner()?) } else { None };
        let home = home(folder, owner)?;
        let programs = programs(&home)?;
        place::create(&home)?;
        let mut server = Self { programs, home, owner, password: String::new(), port: 0, durability };
        server.give(&server.home)?;
        if !server.reaches(&server.programs.join("postgres")) {
            bail!(
                "the database's user cannot run {}; set CLEARFOLD_CACHE to a readable folder",
                server.programs.display()
            );
        }
        let password = server.home.join("password");
        if !server.data().is_dir() {
            fs::write(&password, place::random_hex()?)?;
            fs::set_permissions(&password, fs::Permissions::from_mode(0o600))?;
            server.give(&password)?;
            server.make(&password, databases)?;
        }
        server.password = String::from_utf8(place::read(&password)?)?;
        server.port =
            free_port(fs::read_to_string(server.home.join("port")).ok().and_then(|port| port.parse().ok()))?;
        fs::write(server.home.join("port"), server.port.to_string())?;
        Ok(server)
    }

    /// Starts the server and waits until it answers.
    pub fn start(&self, processes: &mut Processes) -> Result<()> {
        let mut command = self.program("postgres");
        command.arg("-D").arg(self.data()).args([
            "-c",
            "listen_addresses=127.0.0.1",
            "-c",
            "unix_socket_directories=",
        ]);
        command.args(["-c", &format!("port={}", self.port), "-c", "max_connections=200"]);
        if self.durability == Durability::ThrownAway {
            command.args(["-c", "fsync=off", "-c", "synchronous_commit=off", "-c", "full_page_writes=off"]);
        }
        let pid = processes.start("postgres", &mut command)?.to_string();
        let status = self.status();
        processes.wait("starting Postgres", Duration::from_secs(60), || {
            let text = fs::read_to_string(&status).unwrap_or_default();
            let lines: Vec<&str> = text.lines().map(str::trim).collect();
            lines.first() == Some(&pid.as_str()) && lines.get(7) == Some(&"ready")
        })
    }

    /// The number of the running server's process.
    pub fn pid(&self) -> Result<u32> {
        let text = String::from_utf8(place::read(&self.status())?)?;
        text.lines().next().and_then(|pid| pid.trim().parse().ok()).context("the server does not run")
    }

    /// Runs SQL while the server is down. One failing statement fails it all.
    pub fn execute(&self, database: &str, label: &str, sql: &str) -> Result<()> {
        self.execute_in(&self.data(), database, label, sql)
    }

    /// The superuser's URL of a database.
    pub fn url(&self, database: &str) -> String {
        format!("postgres://{SUPERUSER}:{}@127.0.0.1:{}/{database}", self.password, self.port)
    }

    /// Makes the data folder under another name first, so that a half-made one is never taken for whole.
    fn make(&self, password: &Path, databases: &[&str]) -> Result<()> {
        let unfinished = self.home.join("data.new");
        fs::remove_dir_all(&unfinished).ok();
        let mut initdb = self.program("initdb");
        initdb.arg("-D").arg(&unfinished).args([
            "-U",
            SUPERUSER,
            "--auth=scram-sha-256",
            "--encoding=UTF8",
            "--locale=C",
        ]);
        initdb.arg("--pwfile").arg(password).args(["--no-instructions", "--no-sync"]);
        progress::run("creating the database server's files", &mut initdb)?;
        for database in databases {
            self.execute_in(
                &unfinished,
                "template1",
                "creating a database",
                &format!("CREATE DATABASE {database}"),
            )?;
        }
        fs::rename(&unfinished, self.data()).context("cannot finish the database server's files")
    }

    fn execute_in(&self, data: &Path, database: &str, label: &str, sql: &str) -> Result<()> {
        // A blank line would end a command; without any, the whole text is one, and one transaction.
        let lines = sql.lines().filter(|line| !line.trim().is_empty());
        let text: String = lines.map(|line| format!("{line}\n")).collect();
        let file = self.home.join("single.sql");
        fs::write(&file, text)?;
        let mut command = self.program("postgres");
        command.args(["--single", "-j", "-D"]).arg(data).args([
            "-c",
            "exit_on_error=true",
            "-c",
            "fsync=off",
            database,
        ]);
        progress::feed(label, &mut command, &file)?;
        fs::remove_file(&file).context("cannot remove a temporary file")
    }

    fn data(&self) -> PathBuf {
        self.home.join("data")
    }

    /// Written by the server: its process, where it listens, and whether it is ready.
    fn status(&self) -> PathBuf {
        self.data().join("postmaster.pid")
    }

    fn program(&self, name: &str) -> Command {
        command_as(self.owner, self.programs.join(name))
    }

    fn give(&self, path: &Path) -> Result<()> {
        let Some(owner) = self.owner else { return Ok(()) };
        chown(path, Some(owner.uid), Some(owner.gid))
            .with_context(|| format!("cannot change the owner of {}", path.display()))
    }

    fn reaches(&self, program: &Path) -> bool {
        reaches(self.owner, program)
    }
}

/// A port that nobody listens on: the preferred one if it is free.
pub fn free_port(preferred: Option<u16>) -> Result<u16> {
    let listener = preferred.and_then(|port| TcpListener::bind(("127.0.0.1", port)).ok());
    let listener =
        listener.map_or_else(|| TcpListener::bind(("127.0.0.1", 0)), Ok).context("there is no free port")?;
    Ok(listener.local_addr()?.port())
}

/// Folder of a data folder's server: `postgres` inside, or, if the server's user has no access there, a folder of the
/// system with a name made from the path.
pub fn home_of(folder: &Path) -> Result<PathBuf> {
    let owner = if place::is_root() { Some(owner()?) } else { None };
    home(folder, owner)
}

fn home(folder: &Path, owner: Option<Owner>) -> Result<PathBuf> {
    place::create(folder)?;
    let folder = fs::canonicalize(folder)?;
    if reaches(owner, &folder) {
        return Ok(folder.join("postgres"));
    }
    let name = hex::encode(Sha256::digest(folder.as_os_str().as_encoded_bytes()));
    Ok(Path::new("/var/lib/clearfold").join(&name[..16]))
}

fn command_as(owner: Option<Owner>, program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    // Our own folder may be one that the server's user cannot enter.
    command.current_dir("/");
    if let Some(owner) = owner {
        command.uid(owner.uid).gid(owner.gid);
    }
    command
}

fn reaches(owner: Option<Owner>, path: &Path) -> bool {
    owner.is_none()
        || command_as(owner, "test").arg("-x").arg(path).status().is_ok_and(|status| status.success())
}

fn owner() -> Result<Owner> {
    let users = fs::read_to_string("/etc/passwd").context("cannot read /etc/passwd")?;
    let find = |name: &str| {
        let fields: Vec<&str> = users
            .lines()
            .map(|line| line.split(':').collect())
            .find(|fields: &Vec<&str>| fields[0] == name)?;
        Some(Owner { uid: fields.get(2)?.parse().ok()?, gid: fields.get(3)?.parse().ok()? })
    };
    find("postgres").or_else(|| find("nobody")).context(
        "Postgres refuses to run as root, and there is neither a user postgres nor nobody; run this as an ordinary user",
    )
}

/// The folder of server programs: one that fits the data that is there, else the newest installed, else npm's.
fn programs(home: &Path) -> Result<PathBuf> {
    let wanted: Option<u32> =
        fs::read_to_string(home.join("data/PG_VERSION")).ok().and_then(|text| text.trim().parse().ok());
    let fits = |major: u32| wanted.map_or(major >= OLDEST_MAJOR, |wanted| major == wanted);
    let mut installed: Vec<(u32, PathBuf)> =
        candidates().into_iter().filter_map(|folder| Some((major_of(&folder)?, folder))).collect();
    installed.retain(|(major, _)| fits(*major));
    if let Some((_, folder)) = installed.into_iter().max() {
        return Ok(folder);
    }
    let folder = tools::postgres()?;
    match (wanted, major_of(&folder)) {
        (_, Some(major)) if fits(major) => Ok(folder),
        (Some(wanted), Some(_)) => {
            bail!(
                "the data in {} is of PostgreSQL {wanted}, which is not installed; install it, or start anew with --fresh",
                home.display()
            )
        }
        _ => bail!(
            "the PostgreSQL from npm in {} does not run here; install PostgreSQL {OLDEST_MAJOR} or newer",
            folder.display()
        ),
    }
}

fn candidates() -> Vec<PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path().join("bin"));
    let configured = Command::new("pg_config").arg("--bindir").output().ok();
    let configured = configured.map(|output| PathBuf::from(String::from_utf8_lossy(&output.stdout).trim()));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = versions.chain(configured).chain(std::env::split_paths(&path));
    folders.filter(|folder| folder.join("postgres").exists() && folder.join("initdb").exists()).collect()
}

/// `postgres (PostgreSQL) 15.18 (Debian …)` is 15.
fn major_of(folder: &Path) -> Option<u32> {
    let output = Command::new(folder.join("postgres")).arg("--version").output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let version = text.split_whitespace().nth(2)?;
    version.split(|letter: char| !letter.is_ascii_digit()).next()?.parse().ok()
}
