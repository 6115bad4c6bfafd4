//! `cargo xtask times`: durations of the steps of the last run of each job, wall clock and processor time.
//!
//! Every step records itself. A job writes its steps to `target/xtask/times` when it ends; `ci` also appends them to a
//! file in the cache folder, which outlives the checkout.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::PathBuf;
use std::sync::Mutex;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, Result};
use clap::Args;
use serde_json::{Value, json};

use crate::place;

/// File in the cache folder with one line of JSON for each run of `ci`.
const HISTORY: &str = "times.jsonl";
/// Steps shorter than this are left out of tables.
const SHOWN_FROM: Duration = Duration::from_millis(500);

static STEPS: Mutex<Vec<Taken>> = Mutex::new(Vec::new());

#[derive(Args)]
pub struct Options {
    /// Show the totals of all runs of `cargo xtask ci` on this machine.
    #[arg(long)]
    history: bool,
}

/// A finished step.
#[derive(Debug, Clone, PartialEq)]
struct Taken {
    label: String,
    wall: Duration,
    /// Processor time of the programs that the step ran and that have ended; None: unknown on this system.
    cpu: Option<Duration>,
}

/// A running measurement.
pub struct Clock {
    started: Instant,
    cpu: Option<Duration>,
}

impl Clock {
    pub fn start() -> Self {
        Self { started: Instant::now(), cpu: children() }
    }

    pub fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// Ends the measurement and records it under a label.
    pub fn record(&self, label: &str) {
        let cpu = self.cpu.and_then(|before| Some(children()?.saturating_sub(before)));
        let taken = Taken { label: label.to_owned(), wall: self.elapsed(), cpu };
        if let Ok(mut steps) = STEPS.lock() {
            steps.push(taken);
        }
    }
}

/// Writes what a job recorded. A run that recorded nothing leaves the figures of the one before.
pub fn keep(job: &str, whole: &Clock) -> Result<()> {
    if job == "other" {
        return Ok(());
    }
    whole.record(WHOLE);
    let steps: Vec<Value> =
        STEPS.lock().map(|steps| steps.iter().map(Taken::json).collect()).unwrap_or_default();
    if steps.len() < 2 {
        return Ok(());
    }
    let at = SystemTime::UNIX_EPOCH.elapsed().map_or(0, |since| since.as_secs());
    let run = json!({"job": job, "at": at, "steps": steps});
    place::create(&folder()?)?;
    place::write_if_changed(&folder()?.join(format!("{job}.json")), run.to_string().as_bytes())?;
    if job == "ci" {
        let file = place::cache()?.join(HISTORY);
        let mut file =
            OpenOptions::new().create(true).append(true).open(&file).context("no history is kept")?;
        writeln!(file, "{run}")?;
    }
    Ok(())
}

/// Label of a job as a whole.
const WHOLE: &str = "all of it";

/// Prints the steps recorded so far.
pub fn print() {
    if let Ok(steps) = STEPS.lock() {
        eprint!("{}", table(&steps));
    }
}

pub fn run(options: &Options) -> Result<()> {
    if options.history {
        let text = fs::read_to_string(place::cache()?.join(HISTORY)).unwrap_or_default();
        for run in text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok()) {
            let whole = steps_of(&run).into_iter().rfind(|step| step.label == WHOLE);
            println!("{}  {}", run["at"], whole.map(|whole| whole.line()).unwrap_or_default());
        }
        return Ok(());
    }
    let files = place::files_below(&folder()?);
    if files.is_empty() {
        println!("Nothing was measured yet; run `cargo xtask up` or `cargo xtask test` first.");
    }
    for file in files {
        let run: Value = serde_json::from_slice(&place::read(&file)?).context("the figures are not JSON")?;
        println!("cargo xtask {}\n{}", run["job"].as_str().unwrap_or("?"), table(&steps_of(&run)));
    }
    Ok(())
}

fn steps_of(run: &Value) -> Vec<Taken> {
    run["steps"].as_array().into_iter().flatten().map(Taken::of).collect()
}

fn table(steps: &[Taken]) -> String {
    let shown = steps.iter().filter(|step| step.wall >= SHOWN_FROM);
    let lines: String = shown.map(|step| format!("{}\n", step.line())).collect();
    format!("{:>12}  {:>12}  step\n{lines}", "wall", "processor")
}

impl Taken {
    fn line(&self) -> String {
        let cpu = self.cpu.map_or_else(|| "?".to_owned(), crate::progress::seconds);
        format!("{:>12}  {cpu:>12}  {}", crate::progress::seconds(self.wall), self.label)
    }

    fn json(&self) -> Value {
        let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        json!({"step": self.label, "wall_ms": millis(self.wall), "cpu_ms": self.cpu.map(millis)})
    }

    fn of(value: &Value) -> Self {
        let label = value["step"].as_str().unwrap_or("?").to_owned();
        // A step without a figure is shown with none, not dropped.
        let wall = Duration::from_millis(value["wall_ms"].as_u64().unwrap_or(0));
        Self { label, wall, cpu: value["cpu_ms"].as_u64().map(Duration::from_millis) }
    }
}

/// Processor time of all children that were waited for. Linux only.
fn children() -> Option<Duration> {
    let line = fs::read_to_string("/proc/self/stat").ok()?;
    let ticks = rustix::param::clock_ticks_per_second();
    children_of(&line, ticks)
}

/// Reads cutime and cstime; the program's name, in parentheses before them, may hold spaces.
fn children_of(line: &str, ticks_per_second: u64) -> Option<Duration> {
    let mut fields = line.rsplit_once(')')?.1.split_whitespace().skip(13);
    let (user, system): (u64, u64) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
    Some(Duration::from_millis((user + system).checked_mul(1000)?.checked_div(ticks_per_second)?))
}

fn folder() -> Result<PathBuf> {
    Ok(place::work_folder()?.join("times"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_of_children_is_read_behind_a_name_with_spaces() {
        let line = "7 (a b) c) S 1 7 7 0 -1 4194560 1 2 0 0 10 20 300 50 20 0 1 0 9 1 1";
        assert_eq!(children_of(line, 100), Some(Duration::from_millis(3500)));
        assert_eq!(children_of("7 (x) S 1", 100), None);
    }

    #[test]
    fn a_step_reads_back_as_it_was_written() {
        for cpu in [None, Some(Duration::from_millis(2500))] {
            let step = Taken { label: "building".into(), wall: Duration::from_millis(1200), cpu };
            assert_eq!(Taken::of(&step.json()), step);
        }
    }

    #[test]
    fn a_table_leaves_out_what_took_no_time() {
        let step =
            |label: &str, ms| Taken { label: label.into(), wall: Duration::from_millis(ms), cpu: None };
        let table = table(&[step("long", 61_500), step("short", 10)]);
        assert!(
            table.contains("1 min 01 s") && table.contains("long") && !table.contains("short"),
            "{table}"
        );
    }
}
