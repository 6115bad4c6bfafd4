//! Compiles components, in a process of its own where the program offers one.
//!
//! A compiler takes seconds of all cores and hundreds of MiB, and changes its memory's layout all the time. In the
//! host's own memory others would wait for that, and a component that was made to be hard to compile could take what
//! payments need. So the program starts itself again: that process gets a component and no more, comes after all else
//! that the machine does (unless an author waits for it), ends with its parent, and is ended if it takes more than its
//! bounds. It never runs what it compiles.

use std::ffi::OsString;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, ExitStatus, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::process::{self as unix, Resource, Rlimit};
use wasmtime::{Config, Engine};

use super::{edge, engine};
use clearfold_base::background;
use clearfold_base::telemetry::with_causes;

/// The first argument of a program that is to be a compiler; then come the code that is wanted, the bounds, and whether it
/// comes last.
const ASKED_FOR: &str = "compile-component";
/// What it ends with when it said what is wrong with the component, and when it could not go on.
const REFUSED: u8 = 1;
const FAILED: u8 = 2;
/// More threads would need more memory at once.
const MOST_THREADS: usize = 4;

/// Whether somebody waits for the code, and this process decides no payments.
static IN_HURRY: AtomicBool = AtomicBool::new(false);
/// What the compiler's process is told of that.
const HURRIED: &str = "hurried";
const PATIENT: &str = "patient";
/// The program that can be started again as a compiler.
static OFFERED: OnceLock<Compiler> = OnceLock::new();

/// The engine that the code is for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Code {
    /// Handlers: fuel, and nothing that differs between two runs.
    Handler,
    /// HTTP components.
    Edge,
}

impl Code {
    const ALL: [Self; 2] = [Self::Handler, Self::Edge];

    fn name(self) -> &'static str {
        match self {
            Self::Handler => "handler",
            Self::Edge => "edge",
        }
    }

    /// What decides what the code looks like; where instances live is the engine's own matter.
    fn settings(self) -> Config {
        match self {
            Self::Handler => engine::code(),
            Self::Edge => edge::code(),
        }
    }
}

/// What compiling one component may take.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Of processor time, over all threads.
    pub seconds: u64,
    pub memory_bytes: u64,
}

impl Default for Bounds {
    /// The authorization decider takes 1.9 s and 120 MiB, an interpreter of JavaScript 2.3 s and 140 MiB.
    fn default() -> Self {
        Self { seconds: 120, memory_bytes: 4 << 30 }
    }
}

/// Why there is no code.
#[derive(Debug, thiserror::Error)]
pub enum CompileError {
    /// The component's own fault.
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

/// Code of a component, made in a process of its own if the program offers one. It takes seconds of this thread.
pub(super) fn compile(code: Code, engine: &Engine, wasm: &[u8]) -> wasmtime::Result<Vec<u8>> {
    let made = || match OFFERED.get() {
        Some(compiler) => match compiler.compile(code, wasm) {
            Err(CompileError::Process(error)) => {
                tracing::warn!(%error, "no process could be had to compile in; it is done in the host's own");
                engine.precompile_component(wasm)
            }
            made => made.map_err(wasmtime::Error::new),
        },
        None => engine.precompile_component(wasm),
    };
    // A process begins with the priority of the thread that starts it.
    if is_hurried() { made() } else { background::install(made) }
}

/// Must come first in `main`, before any thread: whether the program was started to be a compiler, with the end of its
/// work. If not, it can be from now on.
#[must_use]
pub fn compiler_is_asked_for() -> Option<ExitCode> {
    let asked: Vec<OsString> = std::env::args_os().skip(1).collect();
    if asked.first().is_none_or(|first| first != ASKED_FOR) {
        // What is started is what runs now, whatever was put in its place since.
        let program =
            if cfg!(target_os = "linux") { Ok("/proc/self/exe".into()) } else { std::env::current_exe() };
        if let Ok(program) = program {
            // Only the first one counts; there is only one `main`.
            let _ = OFFERED.set(Compiler { program, bounds: Bounds::default() });
        }
        return None;
    }
    Some(match be_compiler(&asked[1..]) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprint!("{}", with_causes(&error));
            // What it ran out of is not the component's word for it.
            let is_refused = matches!(error, CompileError::Refused(_) | CompileError::NotAsked);
            ExitCode::from(if is_refused { REFUSED } else { FAILED })
        }
    })
}

/// From here on this process compiles on all cores and like any other program: for an author who waits, and never where
/// payments are decided.
pub fn compile_in_a_hurry() {
    IN_HURRY.store(true, Ordering::Relaxed);
}

fn is_hurried() -> bool {
    IN_HURRY.load(Ordering::Relaxed)
}

/// A program whose `main` begins with [`compiler_is_asked_for`].
pub struct Compiler {
    program: PathBuf,
    bounds: Bounds,
}

impl Compiler {
    #[must_use]
    pub fn new(program: &Path, bounds: Bounds) -> Self {
        Self { program: program.to_owned(), bounds }
    }

    /// The code of a component, or why there is none. It takes seconds of this thread.
    pub fn compile(&self, code: Code, wasm: &[u8]) -> Result<Vec<u8>, CompileError> {
        let Bounds { seconds, memory_bytes } = self.bounds;
        let mut child = Command::new(&self.program)
            .args([ASKED_FOR, code.name(), &seconds.to_string(), &memory_bytes.to_string()])
            .arg(if is_hurried() { HURRIED } else { PATIENT })
            // The host's variables hold secrets.
            .env_clear()
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        // It reads all before it writes anything. One that ended before it read all has said why.
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
    let [code, seconds, memory_bytes, priority] = asked[..] else { return Err(CompileError::NotAsked) };
    let number = |text: &str| text.parse::<u64>().map_err(|_| CompileError::NotAsked);
    let wanted = Code::ALL.into_iter().find(|known| known.name() == code).ok_or(CompileError::NotAsked)?;
    keep_within(Bounds { seconds: number(seconds)?, memory_bytes: number(memory_bytes)? })?;
    let spared = match priority {
        HURRIED => 0,
        PATIENT => {
            come_last();
            1
        }
        _ => return Err(CompileError::NotAsked),
    };
    // They begin with the priority that this one has.
    let threads = background::threads(spared).min(MOST_THREADS);
    // Without them wasmtime makes its own.
    let _ = rayon::ThreadPoolBuilder::new().num_threads(threads).build_global();
    let mut wasm = Vec::new();
    std::io::stdin().read_to_end(&mut wasm)?;
    let refused = |error: wasmtime::Error| CompileError::Refused(format!("{error:#}"));
    let engine = Engine::new(&wanted.settings()).map_err(refused)?;
    let code = engine.precompile_component(&wasm).map_err(refused)?;
    std::io::stdout().write_all(&code)?;
    Ok(())
}

/// From here on the operating system ends this process when it takes more, or when its parent ends.
fn keep_within(bounds: Bounds) -> std::io::Result<()> {
    let limits = [
        (Resource::Cpu, bounds.seconds),
        // What it could write to; a limit of all addresses would count what is only reserved.
        (Resource::Data, bounds.memory_bytes),
        (Resource::Core, 0),
    ];
    for (resource, most) in limits {
        // It may have been given less.
        let most = unix::getrlimit(resource).maximum.map_or(most, |given| given.min(most));
        unix::setrlimit(resource, Rlimit { current: Some(most), maximum: Some(most) })?;
    }
    #[cfg(target_os = "linux")]
    unix::set_parent_process_death_signal(Some(unix::Signal::KILL))?;
    Ok(())
}

/// Everything else on the machine comes before it. What cannot be had of that is no reason to fail.
fn come_last() {
    let _ = unix::nice(background::LOWEST);
    // Linux may share the processors between sessions first, and between the threads of each only then.
    let _ = unix::setsid();
    #[cfg(target_os = "linux")]
    let _ = std::fs::write("/proc/self/autogroup", background::LOWEST.to_string());
    // And where memory runs out, it is what goes first.
    #[cfg(target_os = "linux")]
    let _ = std::fs::write("/proc/self/oom_score_adj", "1000");
}

#[cfg(test)]
mod tests {
    use std::hash::{DefaultHasher, Hash, Hasher};

    use super::super::{HandlerEngine, Limits};
    use super::*;

    fn is_for(engine: &Engine) -> u64 {
        let mut hasher = DefaultHasher::new();
        engine.precompile_compatibility_hash().hash(&mut hasher);
        hasher.finish()
    }

    /// The compiler's engine holds no instances; what it makes must run in one that does.
    #[test]
    fn code_is_for_the_engine_that_asked_for_it() {
        let compilers = |code: Code| is_for(&Engine::new(&code.settings()).unwrap());
        let handlers = HandlerEngine::new(Limits::of).unwrap();
        assert_eq!(compilers(Code::Handler), is_for(handlers.engine()));
        let edges = edge::EdgeRuntime::new(edge::EdgeLimits::default()).unwrap();
        assert_eq!(compilers(Code::Edge), is_for(edges.engine()));
        assert_ne!(compilers(Code::Handler), compilers(Code::Edge));
    }
}
