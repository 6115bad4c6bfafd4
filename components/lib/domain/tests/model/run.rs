//! Run of many lives on all cores, and its report.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use crate::Options;
use crate::coverage::{self, Coverage};
use crate::dice::Dice;
use crate::life::Life;
use crate::live::Broken;
use crate::lives::play;

/// Number of lives from which on the coverage must be complete.
const ENOUGH: u64 = 5_000;

pub fn run(options: &Options) -> ExitCode {
    let began = Instant::now();
    let (next, is_over) = (AtomicU64::new(0), AtomicBool::new(false));
    let (failure, coverage) = (Mutex::new(None::<u64>), Mutex::new(Coverage::default()));
    let work = || {
        while !is_over.load(Ordering::Relaxed) {
            let index = next.fetch_add(1, Ordering::Relaxed);
            if index >= options.lives {
                return;
            }
            let seed = options.seed.wrapping_add(index);
            match lived(seed, &steps(seed, options.steps)) {
                Ok(life) => {
                    if options.show {
                        show(&life);
                    }
                    let reached = coverage::reached(&life.facts);
                    coverage.lock().expect("no thread panics").add(reached);
                }
                Err(_) => {
                    is_over.store(true, Ordering::Relaxed);
                    failure.lock().expect("no thread panics").get_or_insert(seed);
                }
            }
        }
    };
    std::thread::scope(|scope| {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        (0..threads).for_each(|_| drop(scope.spawn(work)));
    });
    if let Some(seed) = failure.into_inner().expect("no thread panics") {
        return failed(seed, steps(seed, options.steps));
    }
    let coverage = coverage.into_inner().expect("no thread panics");
    println!(
        "{} lives of {} steps have the model's books, in {:.1?}.",
        options.lives,
        options.steps,
        began.elapsed()
    );
    print!("{}", coverage.shown());
    let missing = coverage.missing();
    if missing.is_empty() || options.lives < ENOUGH {
        return ExitCode::SUCCESS;
    }
    println!("never met: {}. Change the lives, or say why in tests/model/coverage.rs.", missing.join(", "));
    ExitCode::FAILURE
}

fn steps(seed: u64, count: usize) -> Vec<u64> {
    let mut dice = Dice::new(!seed);
    (0..count).map(|_| dice.below(usize::MAX) as u64).collect()
}

/// Plays a life. Fails with the difference, or with the panic.
fn lived(seed: u64, steps: &[u64]) -> Result<Life, Broken> {
    let (life, result) = played(seed, steps)?;
    result.map(|()| life)
}

/// Plays a life. Fails only with a panic.
fn played(seed: u64, steps: &[u64]) -> Result<(Life, Result<(), Broken>), Broken> {
    catch_unwind(AssertUnwindSafe(|| play(seed, steps)))
        .map_err(|panic| panic.downcast_ref::<String>().cloned().unwrap_or_else(|| "a panic".to_owned()))
}

/// Reports a life after everything was left out of it that can be, the longest stretches first.
fn failed(seed: u64, mut steps: Vec<u64>) -> ExitCode {
    let mut size = steps.len().div_ceil(2);
    while size > 0 {
        let (mut start, mut has_shrunk) = (0, false);
        while start < steps.len() {
            let mut fewer = steps.clone();
            fewer.drain(start..(start + size).min(steps.len()));
            if lived(seed, &fewer).is_err() {
                (steps, has_shrunk) = (fewer, true);
            } else {
                start += size;
            }
        }
        size = if size == 1 && has_shrunk { 1 } else { size / 2 };
    }
    let broken = lived(seed, &steps).err().unwrap_or_default();
    println!("the facts of the life of seed {seed}, made as short as it fails:\n");
    if let Ok((life, _)) = played(seed, &steps) {
        show(&life);
    }
    println!("\nbroken: {broken}");
    println!("repeat it with: cargo xtask sim model --seed {seed}");
    ExitCode::FAILURE
}

fn show(life: &Life) {
    for (index, fact) in life.facts.iter().enumerate() {
        println!("{:>4}  {:<8} {:?}", index + 1, fact.payment, fact.what);
    }
}
