//! Results for people and as JSON: figures, and ratios with their targets.

use std::path::{Path, PathBuf};

use anyhow::Result;
use serde::Serialize;

use crate::place::{BATCH_SIZE, Place, QUEUE_LENGTH};

#[derive(Debug, Serialize)]
pub struct Report {
    machine: Machine,
    versions: Versions,
    settings: Settings,
    pub figures: Vec<Figure>,
    pub ratios: Vec<Ratio>,
    /// Lines to plot.
    pub series: Vec<Series>,
}

#[derive(Debug, Serialize)]
struct Machine {
    cores: usize,
    processor: String,
    memory_mib: u64,
    kernel: String,
}

#[derive(Debug, Serialize)]
struct Versions {
    clearfold: &'static str,
    postgres: String,
}

#[derive(Debug, Serialize)]
struct Settings {
    seconds: u64,
    batch_size: usize,
    queue_length: usize,
    projection_pause_ms: u64,
    postgres: Vec<(String, String)>,
}

#[derive(Debug, Serialize)]
pub struct Figure {
    pub name: String,
    pub value: f64,
    pub unit: &'static str,
}

#[derive(Debug, Serialize)]
pub struct Ratio {
    pub name: String,
    pub value: f64,
    pub should: String,
    pub holds: bool,
}

/// Line of a plot.
#[derive(Debug, Clone, Serialize)]
pub struct Series {
    pub plot: &'static str,
    pub name: String,
    pub x: &'static str,
    pub y: &'static str,
    pub points: Vec<(f64, f64)>,
}

impl Report {
    pub async fn begin(place: &Place, seconds: u64) -> Result<Self> {
        let pool = sqlx::PgPool::connect(&place.server).await?;
        let postgres = sqlx::query_scalar("SHOW server_version").fetch_one(&pool).await?;
        let settings = sqlx::query_as(
            "SELECT name, setting FROM pg_settings WHERE name IN ('fsync', 'synchronous_commit', 'full_page_writes',
                 'shared_buffers', 'max_wal_size', 'checkpoint_timeout', 'wal_sync_method') ORDER BY name",
        );
        let postgres_settings = settings.fetch_all(&pool).await?;
        Ok(Self {
            machine: Machine {
                cores: std::thread::available_parallelism()?.get(),
                processor: field("/proc/cpuinfo", "model name").unwrap_or_default(),
                memory_mib: kib("/proc/meminfo", "MemTotal").unwrap_or(0) / 1024,
                kernel: std::fs::read_to_string("/proc/sys/kernel/osrelease")
                    .unwrap_or_default()
                    .trim()
                    .to_owned(),
            },
            versions: Versions { clearfold: env!("CARGO_PKG_VERSION"), postgres },
            settings: Settings {
                seconds,
                batch_size: BATCH_SIZE,
                queue_length: QUEUE_LENGTH,
                projection_pause_ms: place.projection_pause_ms,
                postgres: postgres_settings,
            },
            figures: Vec::new(),
            ratios: Vec::new(),
            series: Vec::new(),
        })
    }

    pub fn figure(&mut self, name: impl Into<String>, value: f64, unit: &'static str) {
        let name = name.into();
        eprintln!("  {name}: {} {unit}", shown(value));
        self.figures.push(Figure { name, value, unit });
    }

    pub fn at_least(&mut self, name: &str, value: f64, bound: f64) {
        let (should, holds) = (format!("at least {bound}"), value >= bound);
        self.ratios.push(Ratio { name: name.to_owned(), value, should, holds });
    }

    pub fn at_most(&mut self, name: &str, value: f64, bound: f64) {
        let (should, holds) = (format!("at most {bound}"), value <= bound);
        self.ratios.push(Ratio { name: name.to_owned(), value, should, holds });
    }

    pub fn print(&self) {
        let width = self.figures.iter().map(|figure| figure.name.len());
        let width = width.chain(self.ratios.iter().map(|ratio| ratio.name.len())).max().unwrap_or(0);
        println!();
        for Figure { name, value, unit } in &self.figures {
            println!("{name:<width$}  {:>12} {unit}", shown(*value));
        }
        for Ratio { name, value, should, holds } in &self.ratios {
            let verdict = if *holds { "reached" } else { "NOT REACHED" };
            println!("{name:<width$}  {:>12} {should}: {verdict}", shown(*value));
        }
    }

    pub fn write(&self, file: &Path) -> Result<()> {
        std::fs::write(file, serde_json::to_string_pretty(self)? + "\n")?;
        Ok(())
    }
}

/// Formats a number with three significant digits.
fn shown(value: f64) -> String {
    match value {
        value if value >= 100.0 => format!("{value:.0}"),
        value if value >= 10.0 => format!("{value:.1}"),
        value => format!("{value:.2}"),
    }
}

/// Memory of this process, in MiB.
pub fn resident_mib() -> f64 {
    kib("/proc/self/status", "VmRSS").unwrap_or(0) as f64 / 1024.0
}

/// Processor time that all processes with a name have used so far, in milliseconds; of this process without a name.
/// It differs less than the clock does when something else runs beside the benchmark.
pub fn processor_ms(name: Option<&str>) -> f64 {
    /// Milliseconds of a tick: the kernel reports in hundredths of a second.
    const TICK_MS: u64 = 10;
    let ticks = |file: PathBuf| {
        let text = std::fs::read_to_string(file).ok()?;
        let (comm, fields) = text.split_once('(')?.1.rsplit_once(')')?;
        // User and system time; those of a child that ended are its parent's.
        let of = |place: usize| fields.split_whitespace().nth(place)?.parse::<u64>().ok();
        (name.is_none_or(|name| name == comm)).then_some(of(11)? + of(12)?)
    };
    let total: u64 = match name {
        None => ticks("/proc/self/stat".into()).unwrap_or(0),
        Some(_) => {
            let processes = std::fs::read_dir("/proc").into_iter().flatten().flatten();
            processes.filter_map(|process| ticks(process.path().join("stat"))).sum()
        }
    };
    (total * TICK_MS) as f64
}

fn kib(file: &str, name: &str) -> Option<u64> {
    field(file, name)?.split_whitespace().next()?.parse().ok()
}

fn field(file: &str, name: &str) -> Option<String> {
    let text = std::fs::read_to_string(file).ok()?;
    let line = text.lines().find(|line| line.starts_with(name))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}
