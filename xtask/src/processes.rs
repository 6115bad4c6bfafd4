//! Children that live as long as a job: started in their own process group, watched, stopped in order.
//!
//! Each is also written to a ledger in the data folder. If xtask itself is killed, the next run of
//! this folder finds the survivors there and stops them, and only them: a process counts as ours if its
//! number *and* the time of its start agree.

use std::fs::{self, File, TryLockError};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};

use crate::{place, progress, signals};

/// Long enough for Postgres to write its checkpoint and for the chain to write its state.
const PATIENCE: Duration = Duration::from_secs(20);
/// Every program here understands Ctrl-C; for Postgres it is the fast shutdown, and the chain saves itself.
const STOP_WITH: Signal = Signal::INT;

/// The processes of one data folder. Dropping it stops them, the last started first.
pub struct Processes {
    ledger: PathBuf,
    logs: PathBuf,
    running: Vec<Running>,
    /// Held as long as this lives; the kernel lets go of it however the process ends.
    _lock: File,
}

struct Running {
    name: &'static str,
    child: Child,
    started: String,
}

impl Processes {
    /// Takes possession of a data folder, and stops what an earlier run left behind there.
    pub fn of(data: &Path) -> Result<Self> {
        let logs = data.join("logs");
        place::create(&logs)?;
        let path = data.join("lock");
        let lock = File::create(&path).with_context(|| format!("cannot write {}", path.display()))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                bail!("{} is in use by another run; stop that one, or give another folder", data.display())
            }
            Err(TryLockError::Error(error)) => {
                return Err(error).with_context(|| format!("cannot lock {}", path.display()));
            }
        }
        let ledger = data.join("processes");
        stop_survivors(&ledger);
        Ok(Self { ledger, logs, running: Vec::new(), _lock: lock })
    }

    /// Starts a program whose output goes to `logs/NAME.log`; the log before it is kept as `NAME.old.log`.
    pub fn start(&mut self, name: &'static str, command: &mut Command) -> Result<u32> {
        let path = self.log(name);
        if path.exists() {
            fs::rename(&path, self.logs.join(format!("{name}.old.log")))?;
        }
        let log = File::create(&path).with_context(|| format!("cannot write {}", path.display()))?;
        // A group of its own: the terminal's Ctrl-C must reach us alone, since the order of stopping matters.
        command.process_group(0).stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        let child = progress::spawn(command)?;
        let pid = child.id();
        let started = start_of(pid).unwrap_or_default();
        self.running.push(Running { name, child, started });
        self.write_ledger()?;
        Ok(pid)
    }

    /// Kills one of them, as `kill -9` does.
    pub fn kill(&mut self, name: &str) -> Result<()> {
        let place = self.running.iter().position(|running| running.name == name);
        let mut running = self.running.remove(place.with_context(|| format!("no process `{name}` runs"))?);
        running.child.kill()?;
        running.child.wait()?;
        self.write_ledger()
    }

    /// Fails if one of them has ended, with the end of its log.
    pub fn check(&mut self) -> Result<()> {
        let mut died: Option<(&'static str, ExitStatus)> = None;
        for running in &mut self.running {
            if let Some(status) = running.child.try_wait()? {
                died.get_or_insert((running.name, status));
            }
        }
        let Some((name, status)) = died else { return Ok(()) };
        let log = self.log(name);
        eprintln!("The end of {}:\n{}", log.display(), progress::tail(&log, 25));
        bail!("{name} has stopped by itself ({status}); the end of its log is above")
    }

    /// Waits, as a step, until `ready` says so, as long as all processes are alive.
    pub fn wait(&mut self, label: &str, limit: Duration, mut ready: impl FnMut() -> bool) -> Result<()> {
        let mut step = progress::Step::begin(label);
        let began = Instant::now();
        let result = loop {
            if ready() {
                break Ok(());
            }
            if let Err(error) = self.check().and_then(|()| signals::pause(50)) {
                break Err(error);
            }
            if began.elapsed() > limit {
                break Err(anyhow::anyhow!(
                    "{label}: not ready after {}; the logs are in {}",
                    progress::seconds(limit),
                    self.logs.display()
                ));
            }
            step.tick("");
        };
        step.end(result.is_ok());
        result
    }

    pub fn log(&self, name: &str) -> PathBuf {
        self.logs.join(format!("{name}.log"))
    }

    /// Stops all, the last started first.
    pub fn stop(&mut self) {
        while let Some(mut running) = self.running.pop() {
            signal(running.child.id(), STOP_WITH);
            let gone = wait_until(|| !matches!(running.child.try_wait(), Ok(None)));
            if !gone {
                eprintln!("{} does not stop within {}: killed", running.name, progress::seconds(PATIENCE));
                running.child.kill().ok();
                running.child.wait().ok();
            }
            self.write_ledger().ok();
        }
    }

    fn write_ledger(&self) -> Result<()> {
        let line = |running: &Running| format!("{} {}\n", running.child.id(), running.started);
        let text: String = self.running.iter().map(line).collect();
        fs::write(&self.ledger, text).with_context(|| format!("cannot write {}", self.ledger.display()))
    }
}

impl Drop for Processes {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Sends a signal. That the process is already gone is what was wanted.
pub fn signal(pid: u32, signal: Signal) {
    if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
        kill_process(pid, signal).ok();
    }
}

fn stop_survivors(ledger: &Path) {
    let text = fs::read_to_string(ledger).unwrap_or_default();
    for line in text.lines().rev() {
        let Some((pid, started)) = line.split_once(' ') else { continue };
        let Ok(pid) = pid.parse() else { continue };
        let alive = || start_of(pid).is_some_and(|now| now == started);
        if started.is_empty() || !alive() {
            continue;
        }
        eprintln!("Stopping process {pid}, left behind by an earlier run.");
        signal(pid, STOP_WITH);
        if !wait_until(|| !alive()) {
            signal(pid, Signal::KILL);
            wait_until(|| !alive());
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "xtask has no async runtime whose threads could be blocked")]
fn wait_until(mut met: impl FnMut() -> bool) -> bool {
    let began = Instant::now();
    while !met() {
        if began.elapsed() > PATIENCE {
            return false;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    true
}

/// Start time of a living process, in the system's own form; None if there is no such process.
fn start_of(pid: u32) -> Option<String> {
    if let Ok(line) = fs::read_to_string(format!("/proc/{pid}/stat")) {
        // The program's name is in parentheses and may hold spaces; state and start time follow it.
        let fields: Vec<&str> = line.rsplit_once(')')?.1.split_whitespace().collect();
        let dead = matches!(*fields.first()?, "Z" | "X");
        return (!dead).then(|| fields.get(19).map(|ticks| (*ticks).to_owned())).flatten();
    }
    if Path::new("/proc/self/stat").exists() {
        return None;
    }
    let output = Command::new("ps").args(["-o", "lstart=", "-p", &pid.to_string()]).output().ok()?;
    Some(String::from_utf8_lossy(&output.stdout).trim().to_owned()).filter(|text| !text.is_empty())
}
