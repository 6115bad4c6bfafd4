//! Compilation of components, in a process of its own where the program offers one.
//!
//! A compiler uses all cores for seconds and hundreds of MiB, and keeps changing its memory's layout. In the host's
//! own process other threads would wait for that, and a component that was made hard to compile could take the memory
//! that payments need. So the program starts itself again: the new process gets a component and nothing else, runs at
//! the lowest priority (unless an author waits for it), ends with its parent, and is killed if it exceeds its bounds.
//! It never runs the code that it compiles.

use std::ffi::OsString;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, ExitStatus, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::process::{self as unix, Resource, Rlimit};
use wasmtime::Engine;

use super::target::CompileTarget;
use clearfold_base::background;
use clearfold_base::telemetry::with_causes;

/// First argument of a program that is started as a compiler. The target, the bounds and the priority follow.
const ASKED_FOR: &str = "compile-component";
/// Exit codes: the component was refused, with the reason on stderr; the compiler itself failed.
const REFUSED: u8 = 1;
const FAILED: u8 = 2;
/// Maximum number of threads: more would need more memory at once.
const MOST_THREADS: usize = 4;

/// True if an author waits for the code, and this process decides no payments.
static IN_HURRY: AtomicBool = AtomicBool::new(false);
/// The compiler's argument for each of the two.
const HURRIED: &str = "hurried";
const PATIENT: &str = "patient";
/// Program that can be started again as a compiler; none until `main` offers it.
static OFFERED: OnceLock<Compiler> = OnceLock::new();

/// Bounds of compiling one component.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Processor time, over all threads.
    pub seconds: u64,
    pub memory_bytes: u64,
}

impl Default for Bounds {
    /// Ample: the authorization decider takes 1.9 s and 120 MiB, an interpreter of JavaScript 2.3 s and 140 MiB.
    fn default() -> Self {
        Self { seconds: 120, memory_bytes: 4 << 30 }
    }
}

/// Reason why a component was not compiled.
#[derive(Debug, thiserror::Error)]
pub enum CompileError {
    /// The component itself is at fault.
    #[error("{0}")]
    Refused(String),
    #[error(
        "its compiler ended before it was done ({ended}): it may take {} s of processor time and {} MiB of memory; make \
         the component smaller",
        .bounds.seconds,
        .bounds.memory_bytes >> 20
    )]
    Unfinished { bounds: Bounds, ended: ExitStatus },
    #[error("the compiler's process failed")]
    Process(#[from] std::io::Error),
    #[error(
        "a compiler is asked for as `{ASKED_FOR} <handler | edge> <seconds> <bytes> <{PATIENT} | {HURRIED}>`, and gets a \
         component as its input"
    )]
    NotAsked,
}

/// Compiles a component, in a process of its own if the program offers one. It blocks this thread for seconds.
pub(super) fn compile(target: CompileTarget, engine: &Engine, wasm: &[u8]) -> wasmtime::Result<Vec<u8>> {
    let made = || match OFFERED.get() {
        Some(compiler) => match compiler.compile(target, wasm) {
            Err(CompileError::Process(error)) => {
                tracing::warn!(%error, "no process for compiling could be started; compiling in the host's own process");
                engine.precompile_component(wasm)
            }
            made => made.map_err(wasmtime::Error::new),
        },
        None => engine.precompile_component(wasm),
    };
    // A process begins with the priority of the thread that starts it.
    if is_hurried() { made() } else { background::install(made) }
}

/// Runs the compiler if the program was started as one, and returns its exit code. Otherwise this offers the program
/// as a compiler from now on. Must be called first in `main`, before any thread starts.
#[must_use]
pub fn compiler_is_asked_for() -> Option<ExitCode> {
    let asked: Vec<OsString> = std::env::args_os().skip(1).collect();
    if asked.first().is_none_or(|first| first != ASKED_FOR) {
        // The link leads to the program that runs now, even if another file has taken its place since.
        let program =
            if cfg!(target_os = "linux") { Ok("/proc/self/exe".into()) } else { std::env::current_exe() };
        if let Ok(program) = program {
            // Set once, because there is one `main`; a second call would offer the same program.
            let _ = OFFERED.set(Compiler { program, bounds: Bounds::default() });
        }
        return None;
    }
    Some(match be_compiler(&asked[1..]) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprint!("{}", with_causes(&error));
            // A failed process, such as one out of memory, says nothing about the component.
            let is_refused = matches!(error, CompileError::Refused(_) | CompileError::NotAsked);
            ExitCode::from(if is_refused { REFUSED } else { FAILED })
        }
    })
}

/// Makes this process compile on all cores and at the ordinary priority from now on: for an author or a start that waits,
/// never where payments are decided.
pub fn compile_in_a_hurry() {
    IN_HURRY.store(true, Ordering::Relaxed);
}

/// Makes this process compile at the lowest priority again: payments are decided from now on.
pub fn compile_patiently() {
    IN_HURRY.store(false, Ordering::Relaxed);
}

fn is_hurried() -> bool {
    IN_HURRY.load(Ordering::Relaxed)
}

/// Compiler in a process of its own: a program whose `main` begins with [`compiler_is_asked_for`].
pub struct Compiler {
    program: PathBuf,
    bounds: Bounds,
}

impl Compiler {
    #[must_use]
    pub fn new(program: &Path, bounds: Bounds) -> Self {
        Self { program: program.to_owned(), bounds }
    }

    /// Compiles a component. It blocks this thread for seconds.
    pub fn compile(&self, target: CompileTarget, wasm: &[u8]) -> Result<Vec<u8>, CompileError> {
        let Bounds { seconds, memory_bytes } = self.bounds;
        let mut child = Command::new(&self.program)
            .args([ASKED_FOR, target.name(), &seconds.to_string(), &memory_bytes.to_string()])
            .arg(if is_hurried() { HURRIED } else { PATIENT })
            // The host's variables hold secrets.
            .env_clear()
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        // It reads its whole input before it writes. If it ended earlier, its exit code says why, so that comes first.
        let given = child.stdin.take().map_or(Ok(()), |mut input| input.write_all(wasm));
        let ended = child.wait_with_output()?;
        match ended.status.code() {
            Some(0) => given.map(|()| ended.stdout).map_err(CompileError::Process),
            Some(code) if code == i32::from(REFUSED) => {
                Err(CompileError::Refused(String::from_utf8_lossy(&ended.stderr).into_owned()))
            }
            _ => Err(CompileError::Unfinished { bounds: self.bounds, ended: ended.status }),
        }
    }
}

fn be_compiler(asked: &[OsString]) -> Result<(), CompileError> {
    let asked: Vec<&str> = asked.iter().filter_map(|argument| argument.to_str()).collect();
    let [target, seconds, memory_bytes, priority] = asked[..] else { return Err(CompileError::NotAsked) };
    let number = |text: &str| text.parse::<u64>().map_err(|_| CompileError::NotAsked);
    let known = CompileTarget::ALL.into_iter().find(|known| known.name() == target);
    let target = known.ok_or(CompileError::NotAsked)?;
    keep_within(Bounds { seconds: number(seconds)?, memory_bytes: number(memory_bytes)? })?;
    let spared = match priority {
        HURRIED => 0,
        PATIENT => {
            come_last();
            1
        }
        _ => return Err(CompileError::NotAsked),
    };
    // Threads inherit the priority that this one has now.
    let threads = background::threads(spared).min(MOST_THREADS);
    // If it fails, wasmtime makes its own threads.
    let _ = rayon::ThreadPoolBuilder::new().num_threads(threads).build_global();
    let mut wasm = Vec::new();
    std::io::stdin().read_to_end(&mut wasm)?;
    let refused = |error: wasmtime::Error| CompileError::Refused(format!("{error:#}"));
    let engine = Engine::new(&target.settings()).map_err(refused)?;
    let code = engine.precompile_component(&wasm).map_err(refused)?;
    std::io::stdout().write_all(&code)?;
    Ok(())
}

/// Makes the operating system end this process when it exceeds the bounds, or when its parent ends.
fn keep_within(bounds: Bounds) -> std::io::Result<()> {
    let limits = [
        (Resource::Cpu, bounds.seconds),
        // Writable memory; a limit of the address space would also count what is only reserved.
        (Resource::Data, bounds.memory_bytes),
        (Resource::Core, 0),
    ];
    for (resource, most) in limits {
        // A process cannot raise a limit that it was started with.
        let most = unix::getrlimit(resource).maximum.map_or(most, |given| given.min(most));
        unix::setrlimit(resource, Rlimit { current: Some(most), maximum: Some(most) })?;
    }
    #[cfg(target_os = "linux")]
    unix::set_parent_process_death_signal(Some(unix::Signal::KILL))?;
    Ok(())
}

/// Gives this process the lowest priority for processors and memory. Each step may fail, and compiling goes on without.
fn come_last() {
    let _ = unix::nice(background::LOWEST);
    // With autogroups Linux first shares the processors between sessions, and then between the threads of each.
    let _ = unix::setsid();
    #[cfg(target_os = "linux")]
    let _ = std::fs::write("/proc/self/autogroup", background::LOWEST.to_string());
    // If memory runs out, the kernel ends this process first.
    #[cfg(target_os = "linux")]
    let _ = std::fs::write("/proc/self/oom_score_adj", "1000");
}

#[cfg(test)]
mod tests {
    use std::hash::{DefaultHasher, Hash, Hasher};

    use super::*;
    use crate::edge::{EdgeLimits, EdgeRuntime};
    use crate::{HandlerEngine, Limits};

    /// Hash of the settings that code must share with the engine it runs in.
    fn compatibility(engine: &Engine) -> u64 {
        let mut hasher = DefaultHasher::new();
        engine.precompile_compatibility_hash().hash(&mut hasher);
        hasher.finish()
    }

    /// The compiler's engine has no pool of instances; its code must run in engines that have one.
    #[test]
    fn code_is_for_the_engine_that_asked_for_it() {
        let compilers = |target: CompileTarget| compatibility(&Engine::new(&target.settings()).unwrap());
        let handlers = HandlerEngine::new(Limits::of).unwrap();
        assert_eq!(compilers(CompileTarget::Handler), compatibility(handlers.engine()));
        let edges = EdgeRuntime::new(EdgeLimits::default()).unwrap();
        assert_eq!(compilers(CompileTarget::Edge), compatibility(edges.engine()));
        assert_ne!(compilers(CompileTarget::Handler), compilers(CompileTarget::Edge));
    }
}
