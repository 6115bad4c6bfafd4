//! What surrounds every test here: an engine that all share, a payment that it must still decide, and the memory.

use std::fs;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::{Context, Result};
use clearfold_sandbox::{
    Auditor, ComponentKind, Decider, Fault, FaultCause, HandlerEngine, Limits, Message, Projector,
    RuntimeError, Translator, Turn, WireCommand,
};
use clearfold_tests::{Environment, Handler};
use serde_json::json;

static ALONE: Mutex<()> = Mutex::new(());

/// The limits of the tests: those of life, but less fuel and memory, so that a runaway ends in a moment.
pub fn tight(kind: ComponentKind) -> Limits {
    Limits { fuel: 200_000_000, memory_bytes: 32 << 20, output_bytes: 8 << 20, ..Limits::of(kind) }
}
/// What a test may add to the process at its worst moment: a memory, an answer, and what an allocator makes of it.
const PEAK_BYTES: usize = 96 << 20;
/// What may be left of it afterwards: what an allocator keeps. Less than one memory, or one answer after another.
const LEFT_BYTES: usize = 24 << 20;

/// A room for one hostile component.
pub struct Room {
    pub engine: Arc<HandlerEngine>,
    pub environment: Environment,
}

/// Runs a test twice, and looks at the engine before and after, and at the process before and after the second time. So
/// the compiler's memory is not counted: what is hostile is compiled the first time, and cached.
pub fn contained(test: impl Fn(&Room) -> Result<()>) -> Result<()> {
    let _alone: MutexGuard<'_, ()> = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let environment = Environment::read()?;
    let room = Room { engine: Arc::new(HandlerEngine::new(tight)?), environment };
    let wasm = fs::read(room.environment.component("decider-authorization"))?;
    let good = Decider::load(&room.engine, "decider-authorization", &wasm)?;
    let before = decided(&good)?;
    assert!(before.contains("AuthorizationRequested"), "{before}");
    test(&room)?;
    let resident = memory("VmRSS")?;
    // From here on the peak counts anew.
    fs::write("/proc/self/clear_refs", "5")?;
    test(&room)?;
    assert_eq!(decided(&good)?, before, "the payment is decided as before");
    let (peak, left) = (memory("VmHWM")?, memory("VmRSS")?);
    assert!(peak.saturating_sub(resident) <= PEAK_BYTES, "{} MiB at the worst", (peak - resident) >> 20);
    assert!(left.saturating_sub(resident) <= LEFT_BYTES, "{} MiB are left", (left - resident) >> 20);
    Ok(())
}

/// What the good decider says to a payment, and how much fuel it takes.
fn decided(decider: &Decider) -> Result<String> {
    let (decided, fuel) = decider.decide_counted(&[turn(decider.initial())])?;
    Ok(format!("{decided:?} for {fuel}"))
}

/// Asks for a payment.
pub fn turn(state: &[u8]) -> Turn {
    let account = format!("0x{:040x}", 7);
    let payload = json!({
        "message_id": "msg-1", "account": account, "card_id": "card-1",
        "amount": {"minor": "8500000000000000000", "asset": "EURe", "decimals": 18},
        "merchant": {"id": "m1", "name": "Trattoria da Bruno", "category": "5812", "country": "IT"},
        "network": "visa", "partial_allowed": false, "occurred_at": "2026-11-22T10:00:00.000Z",
    });
    let message = Message {
        type_: "RequestAuthorization".into(),
        schema_version: 1,
        payload: payload.to_string().into_bytes(),
    };
    let command = WireCommand {
        id: format!("{:032x}", 1),
        routing_key: account,
        actor: "api".into(),
        accepted_at_ms: 1_795_341_600_000,
        message,
    };
    Turn { state: state.to_vec(), entries: Vec::new(), commands: vec![command] }
}

/// A figure of this process, in bytes.
fn memory(name: &str) -> Result<usize> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find(|line| line.starts_with(name)).context("a figure of the process")?;
    let kilobytes: String = line.chars().filter(char::is_ascii_digit).collect();
    Ok(kilobytes.parse::<usize>()? << 10)
}

impl Room {
    /// A handler of any world, loaded; or why it is not.
    pub fn load(&self, world: &str, wasm: &[u8]) -> Result<Loaded, RuntimeError> {
        Ok(match world {
            "decider" => Loaded::Decider(Decider::load(&self.engine, "hostile", wasm)?),
            "projector" => Loaded::Projector(Projector::load(&self.engine, "hostile", wasm)?),
            "auditor" => Loaded::Auditor(Auditor::load(&self.engine, "hostile", wasm)?),
            _ => Loaded::Translator(Translator::load(&self.engine, "hostile", wasm, Vec::new())?),
        })
    }

    /// The cause for which one of a handler's functions comes to nothing, wherever it is called.
    pub fn cause(&self, handler: &Handler, function: &str) -> Result<FaultCause> {
        let fault = match self.load(handler.world, &handler.build(&self.environment)?) {
            Ok(loaded) => loaded.call(function).err().context("the call was answered")?,
            Err(RuntimeError::Fault(fault)) => fault,
            Err(other) => return Err(other.into()),
        };
        assert_eq!((fault.call, &*fault.component.name), (function, "hostile"));
        Ok(fault.cause)
    }

    /// The error, with all its causes, with which a handler is not let in.
    pub fn refusal(&self, world: &str, wasm: &[u8]) -> String {
        let refused = self.load(world, wasm).err();
        refused.map(|error| clearfold_base::telemetry::with_causes(&error)).unwrap_or_default()
    }
}

/// A handler that was let in.
pub enum Loaded {
    Translator(Translator),
    Decider(Decider),
    Projector(Projector),
    Auditor(Auditor),
}

impl Loaded {
    /// Calls a function with what makes it work.
    fn call(&self, function: &str) -> Result<(), Fault> {
        let message = Message { type_: "DoNothing".into(), schema_version: 1, payload: Vec::new() };
        match (self, function) {
            (Self::Decider(decider), "keys") => decider.keys(&[message]).map(drop),
            (Self::Decider(decider), "evolve") => decider.evolve(&[], &[], &[message]).map(drop),
            (Self::Decider(decider), _) => decider.decide(&[turn(b"{}")]).map(drop),
            (Self::Projector(projector), "keys") => projector.keys(&[]).map(drop),
            (Self::Projector(projector), _) => projector.project(&[], &[]).map(drop),
            (Self::Auditor(auditor), _) => {
                let at = clearfold_kernel::Timestamp::from_s(1).unwrap();
                auditor.audit("0xaa", at, &[]).map(drop)
            }
            (Self::Translator(translator), "filters") => translator.filters().map(drop),
            (Self::Translator(translator), _) => translator.translate(&[]).map(drop),
        }
    }
}
