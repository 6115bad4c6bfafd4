//! Steps: what is being done and for how long, on a terminal as a bar, elsewhere as plain lines.
//!
//! Everything goes to standard error; standard output belongs to a job's results.

use std::fs::{self, File};
use std::io::{IsTerminal, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use indicatif::{ProgressBar, ProgressStyle};

use crate::times::Clock;
use crate::{place, signals};

/// A step that is done within this time gets one plain line, a longer one is announced.
const ANNOUNCE_AFTER: Duration = Duration::from_secs(1);
const REMIND_EVERY: Duration = Duration::from_secs(30);
/// A build is asked for the number of its crates only if it takes this long, because the answer takes half a second.
const COUNT_AFTER: Duration = Duration::from_secs(2);
/// Number of lines of a failed step's output that are shown; the rest is in its log.
const SHOWN_LINES: usize = 60;

/// One thing being done.
pub struct Step {
    label: String,
    clock: Clock,
    last_line: Option<Instant>,
    bar: Option<ProgressBar>,
}

impl Step {
    pub fn begin(label: &str) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let style =
                ProgressStyle::with_template("{spinner:.cyan} {prefix} {elapsed:.dim}  {wide_msg:.dim}");
            let bar = ProgressBar::new_spinner().with_prefix(label.to_owned());
            style.map_or_else(|_| bar.clone(), |style| bar.clone().with_style(style))
        });
        let mut step = Self { label: label.to_owned(), clock: Clock::start(), last_line: None, bar };
        step.tick("");
        step
    }

    /// Shows that the step goes on; called ten times a second or so.
    pub fn tick(&mut self, detail: &str) {
        if let Some(bar) = &self.bar {
            bar.set_message(detail.to_owned());
            bar.tick();
            return;
        }
        let elapsed = self.clock.elapsed();
        if elapsed > ANNOUNCE_AFTER && self.last_line.is_none_or(|at| at.elapsed() > REMIND_EVERY) {
            let since =
                if self.last_line.is_some() { format!(" ({}s)", elapsed.as_secs()) } else { String::new() };
            eprintln!("… {}{since}{}{detail}", self.label, if detail.is_empty() { "" } else { ": " });
            self.last_line = Some(Instant::now());
        }
    }

    /// Leaves one line that says how it went and how long it took.
    pub fn end(self, success: bool) {
        let (mark, colour) = if success { ("✓", "32") } else { ("✗", "31") };
        let elapsed = seconds(self.clock.elapsed());
        match &self.bar {
            Some(bar) => {
                bar.finish_and_clear();
                eprintln!("\x1b[{colour}m{mark}\x1b[0m {} \x1b[2m{elapsed}\x1b[0m", self.label);
            }
            None => eprintln!("{mark} {} ({elapsed})", self.label),
        }
        self.clock.record(&self.label);
    }
}

/// Runs a program as a step and returns its standard output. Its standard error is kept in a log and shown
/// if it fails.
pub fn run(label: &str, command: &mut Command) -> Result<String> {
    finish(label, command.stdin(Stdio::null()), None)
}

/// The same for a build by cargo that answers in JSON; `count` says how many crates it is made of.
pub fn build(label: &str, command: &mut Command, count: &mut dyn FnMut() -> Option<u64>) -> Result<String> {
    finish(label, command.stdin(Stdio::null()), Some(count))
}

/// The same for a program that reads a file.
pub fn feed(label: &str, command: &mut Command, input: &Path) -> Result<String> {
    let input = File::open(input).with_context(|| format!("cannot read {}", input.display()))?;
    finish(label, command.stdin(input), None)
}

/// Asks for the number of crates of a build.
type Count<'a> = Option<&'a mut dyn FnMut() -> Option<u64>>;

fn finish(label: &str, command: &mut Command, count: Count<'_>) -> Result<String> {
    let (status, output, log) = run_quietly(label, command, count)?;
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
    run_quietly(label, command.stdin(Stdio::null()), None).is_ok_and(|(status, ..)| status.success())
}

fn run_quietly(
    label: &str,
    command: &mut Command,
    mut count: Count<'_>,
) -> Result<(ExitStatus, PathBuf, PathBuf)> {
    let (output, log) = files_of(label)?;
    let mut child = spawn(command.stdout(file(&output)?).stderr(file(&log)?))?;
    let mut step = Step::begin(label);
    let mut crates = None;
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        if let Err(interrupted) = signals::pause(100) {
            end(&mut child);
            step.end(false);
            return Err(interrupted);
        }
        if step.clock.elapsed() > COUNT_AFTER
            && let Some(count) = count.take()
        {
            crates = count().map(|total| Crates { output: output.clone(), read: 0, done: 0, total });
        }
        let so_far = crates.as_mut().map(Crates::look).unwrap_or_default();
        step.tick(&format!("{so_far}{}", tail(&log, 1).trim()));
    };
    step.end(status.success());
    Ok((status, output, log))
}

/// Number of crates that a build has finished, by its messages.
struct Crates {
    output: PathBuf,
    /// Bytes of the output that were read, up to the end of a line.
    read: usize,
    done: u64,
    total: u64,
}

impl Crates {
    /// `210 of 621 crates; `
    fn look(&mut self) -> String {
        let read = || -> std::io::Result<Vec<u8>> {
            let mut file = File::open(&self.output)?;
            file.seek(SeekFrom::Start(self.read as u64))?;
            let mut bytes = Vec::new();
            file.read_to_end(&mut bytes)?;
            Ok(bytes)
        };
        let news = read().unwrap_or_default();
        let whole = news.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        self.read += whole;
        self.done += finished(&String::from_utf8_lossy(&news[..whole]));
        format!("{} of {} crates; ", self.done.min(self.total), self.total)
    }
}

/// Number of messages that say that a crate was compiled, or that its build script ran.
fn finished(messages: &str) -> u64 {
    let says = |line: &&str| {
        ["compiler-artifact", "build-script-executed"]
            .iter()
            .any(|reason| line.starts_with(&format!("{{\"reason\":\"{reason}\"")))
    };
    messages.lines().filter(says).count() as u64
}

/// Runs a program whose output people want to see as it comes.
pub fn show(label: &str, command: &mut Command) -> Result<()> {
    let clock = Clock::start();
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
    clock.record(label);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_build_is_as_far_as_its_complete_messages_say() {
        let output = std::env::temp_dir().join(format!("xtask-progress-{}", std::process::id()));
        let artifact = "{\"reason\":\"compiler-artifact\",\"x\":1}\n";
        fs::write(&output, format!("{artifact}{{\"reason\":\"compiler-message\"}}\n{{\"reason\":\"comp"))
            .unwrap();
        let mut crates = Crates { output: output.clone(), read: 0, done: 0, total: 3 };
        assert_eq!(crates.look(), "1 of 3 crates; ");
        fs::write(&output, format!("{artifact}{{\"reason\":\"compiler-message\"}}\n{artifact}{artifact}"))
            .unwrap();
        assert_eq!(crates.look(), "3 of 3 crates; ");
        assert_eq!(crates.look(), "3 of 3 crates; ");
        fs::remove_file(output).unwrap();
    }
}
