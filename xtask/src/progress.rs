//! Steps: what is being done and for how long, on a terminal as a spinner, elsewhere as plain lines.
//!
//! Everything goes to standard error, so that standard output belongs to what a job answers.

use std::fs::{self, File};
use std::io::{IsTerminal, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::{place, signals};

const FRAMES: [&str; 10] = ["⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"];
/// A step that is done within this time gets one plain line, a longer one is announced.
const ANNOUNCE_AFTER: Duration = Duration::from_secs(1);
const REMIND_EVERY: Duration = Duration::from_secs(30);
/// How much of a failed step's output is shown; the rest is in its log.
const SHOWN_LINES: usize = 60;

/// One thing being done.
pub struct Step {
    label: String,
    started: Instant,
    last_line: Option<Instant>,
    on_terminal: bool,
    frame: usize,
}

impl Step {
    pub fn begin(label: &str) -> Self {
        let on_terminal = std::io::stderr().is_terminal();
        let mut step =
            Self { label: label.to_owned(), started: Instant::now(), last_line: None, on_terminal, frame: 0 };
        step.tick("");
        step
    }

    /// Shows that the step goes on; called ten times a second or so.
    pub fn tick(&mut self, detail: &str) {
        let elapsed = self.started.elapsed();
        if self.on_terminal {
            self.frame = (self.frame + 1) % FRAMES.len();
            let detail: String = detail.chars().take(50).collect();
            eprint!(
                "\r\x1b[K{} {} \x1b[2m{}s  {detail}\x1b[0m",
                FRAMES[self.frame],
                self.label,
                elapsed.as_secs()
            );
            // The line that matters is printed by `end`; a lost frame is no loss.
            std::io::stderr().flush().ok();
        } else if elapsed > ANNOUNCE_AFTER && self.last_line.is_none_or(|at| at.elapsed() > REMIND_EVERY) {
            let since =
                if self.last_line.is_some() { format!(" ({}s)", elapsed.as_secs()) } else { String::new() };
            eprintln!("… {}{since}{}{detail}", self.label, if detail.is_empty() { "" } else { ": " });
            self.last_line = Some(Instant::now());
        }
    }

    /// Leaves one line that says how it went and how long it took.
    pub fn end(self, success: bool) {
        let (mark, colour) = if success { ("✓", "32") } else { ("✗", "31") };
        let elapsed = seconds(self.started.elapsed());
        if self.on_terminal {
            eprintln!("\r\x1b[K\x1b[{colour}m{mark}\x1b[0m {} \x1b[2m{elapsed}\x1b[0m", self.label);
        } else {
            eprintln!("{mark} {} ({elapsed})", self.label);
        }
    }
}

/// Runs a program as a step and returns its standard output. Its standard error is kept in a log and shown
/// if it fails.
pub fn run(label: &str, command: &mut Command) -> Result<String> {
    finish(label, command.stdin(Stdio::null()))
}

/// The same for a program that reads a file.
pub fn feed(label: &str, command: &mut Command, input: &Path) -> Result<String> {
    let input = File::open(input).with_context(|| format!("cannot read {}", input.display()))?;
    finish(label, command.stdin(input))
}

fn finish(label: &str, command: &mut Command) -> Result<String> {
    let (status, output, log) = run_quietly(label, command)?;
    if !status.success() {
        // Tools differ in where they write their complaint.
        for text in [tail(&output, SHOWN_LINES), tail(&log, SHOWN_LINES)] {
            eprint!("{text}");
        }
        bail!("{label} failed ({status}); its whole output is in {}", log.display());
    }
    String::from_utf8(place::read(&output)?).with_context(|| format!("{label}: its output is not text"))
}

/// Runs a program as a step that may fail, since there is another way. Nothing of its output is shown.
pub fn attempt(label: &str, command: &mut Command) -> bool {
    run_quietly(label, command.stdin(Stdio::null())).is_ok_and(|(status, ..)| status.success())
}

fn run_quietly(label: &str, command: &mut Command) -> Result<(ExitStatus, PathBuf, PathBuf)> {
    let (output, log) = files_of(label)?;
    let mut child = spawn(command.stdout(file(&output)?).stderr(file(&log)?))?;
    let mut step = Step::begin(label);
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        if let Err(interrupted) = signals::pause(100) {
            end(&mut child);
            step.end(false);
            return Err(interrupted);
        }
        step.tick(tail(&log, 1).trim());
    };
    step.end(status.success());
    Ok((status, output, log))
}

/// Runs a program whose output people want to see as it comes.
pub fn show(label: &str, command: &mut Command) -> Result<()> {
    let mut child = spawn(command.stdin(Stdio::null()))?;
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        if let Err(interrupted) = signals::pause(100) {
            end(&mut child);
            return Err(interrupted);
        }
    };
    if !status.success() {
        bail!("{label} failed ({status}); see above");
    }
    Ok(())
}

/// Starts a program, with an error that names it.
pub fn spawn(command: &mut Command) -> Result<Child> {
    command.spawn().with_context(|| format!("cannot start {}", command.get_program().display()))
}

/// The last lines of a file, as far as they can be read.
pub fn tail(file: &Path, lines: usize) -> String {
    let read = || -> std::io::Result<Vec<u8>> {
        let mut file = File::open(file)?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(300 * lines as u64)))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    let text = String::from_utf8_lossy(&read().unwrap_or_default()).into_owned();
    let all: Vec<&str> = text.lines().collect();
    all[all.len().saturating_sub(lines)..].iter().map(|line| format!("{line}\n")).collect()
}

/// `3.2 s`, `4 min 05 s`.
pub fn seconds(time: Duration) -> String {
    match time.as_secs() {
        0..60 => format!("{}.{} s", time.as_secs(), time.subsec_millis() / 100),
        whole => format!("{} min {:02} s", whole / 60, whole % 60),
    }
}

/// A child that shares our terminal has seen Ctrl-C itself, but a SIGTERM was for us alone.
fn end(child: &mut Child) {
    crate::processes::signal(child.id(), rustix::process::Signal::TERM);
    child.wait().ok();
}

fn files_of(label: &str) -> Result<(PathBuf, PathBuf)> {
    let folder = place::work_folder()?.join("logs");
    fs::create_dir_all(&folder)?;
    let name: String =
        label.chars().map(|letter| if letter.is_alphanumeric() { letter } else { '-' }).collect();
    Ok((folder.join(format!("{name}.out")), folder.join(format!("{name}.log"))))
}

fn file(path: &Path) -> Result<File> {
    File::create(path).with_context(|| format!("cannot write {}", path.display()))
}
