//! Run of many histories on all cores, and its report.

use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use indicatif::{ProgressBar, ProgressStyle};
use proptest::strategy::Strategy;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner};

use crate::Options;
use crate::coverage::Coverage;
use crate::history::{Histories, Step};
use crate::play::play;

/// Number of histories from which on the coverage must be complete.
const ENOUGH: u64 = 5_000;

pub fn run(options: &Options) -> ExitCode {
    let began = Instant::now();
    let bar = ProgressBar::new(options.histories);
    let style = ProgressStyle::with_template("histories {bar:30} {pos}/{len}, {eta} to go");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    let (next, is_over) = (AtomicU64::new(0), AtomicBool::new(false));
    let (coverage, failure) = (Mutex::new(Coverage::default()), Mutex::new(None::<(u64, Vec<Step>, String)>));
    let work = || {
        while !is_over.load(Ordering::Relaxed) {
            let index = next.fetch_add(1, Ordering::Relaxed);
            if index >= options.histories {
                return;
            }
            let seed = options.seed.wrapping_add(index);
            match one(seed, options.steps, options.show) {
                Ok(reached) => coverage.lock().expect("no thread panics").add(reached),
                Err((steps, broken)) => {
                    is_over.store(true, Ordering::Relaxed);
                    failure.lock().expect("no thread panics").get_or_insert((seed, steps, broken));
                }
            }
            bar.inc(1);
        }
    };
    std::thread::scope(|scope| {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        (0..threads).for_each(|_| drop(scope.spawn(work)));
    });
    bar.finish_and_clear();
    if let Some((seed, steps, broken)) = failure.into_inner().expect("no thread panics") {
        return failed(seed, &steps, &broken);
    }
    let coverage = coverage.into_inner().expect("no thread panics");
    let (histories, steps) = (options.histories, options.steps);
    println!("{histories} histories of {steps} steps hold, in {:.1?}.", began.elapsed());
    print!("{}", coverage.shown());
    let missing = coverage.missing();
    if missing.is_empty() || options.histories < ENOUGH {
        return ExitCode::SUCCESS;
    }
    println!(
        "never reached: {}. Change the generator, or say why in tests/histories/coverage.rs.",
        missing.join(", ")
    );
    ExitCode::FAILURE
}

/// Plays one history. A failing history is shrunk before it is reported.
fn one(seed: u64, length: usize, is_read: bool) -> Result<Coverage, (Vec<Step>, String)> {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let config = Config { failure_persistence: None, max_shrink_iters: 4096, ..Config::default() };
    let mut runner = TestRunner::new_with_rng(config, rng);
    let tree = match Histories(length).new_tree(&mut runner) {
        Ok(tree) => tree,
        Err(reason) => return Err((Vec::new(), format!("no history can be made: {reason}"))),
    };
    let reached = std::cell::RefCell::new(Coverage::default());
    let played = runner.run_one(tree, |steps| {
        let (mut world, result) = play(seed, &steps, is_read);
        for line in world.script.iter().flatten() {
            println!("{line}");
        }
        *reached.borrow_mut() = std::mem::take(&mut world.coverage);
        result.map_err(TestCaseError::fail)
    });
    match played {
        Ok(_) => Ok(reached.into_inner()),
        Err(TestError::Fail(broken, steps)) => Err((steps, broken.to_string())),
        Err(TestError::Abort(reason)) => Err((Vec::new(), reason.to_string())),
    }
}

fn failed(seed: u64, steps: &[Step], broken: &str) -> ExitCode {
    let (world, result) = play(seed, steps, true);
    println!("the history of seed {seed}, made as short as it fails:\n");
    for (index, line) in world.script.iter().flatten().enumerate() {
        println!("{:>4}  {line}", index + 1);
    }
    println!("\nbroken: {}", result.err().unwrap_or_else(|| broken.to_owned()));
    println!("repeat it with: cargo xtask sim domain --seed {seed}");
    ExitCode::FAILURE
}
