//! Frame of every test here: a shared engine, a payment that it must still decide afterwards, and limits on memory.

use std::fs;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::{Context, Result};
use clearfold_sandbox::{
    Auditor, ComponentKind, Decider, Decides, Fault, FaultCause, HandlerEngine, Limits, Message, Observation,
    Projector, RuntimeError, Saga, SagaMessage, SagaSubject, StepCall, Translator, Turn, WireCommand,
};
use clearfold_tests::{Environment, Handler};
use serde_json::json;

static ALONE: Mutex<()> = Mutex::new(());

/// Limits of the tests: those of production with less fuel and memory, so that a runaway ends in a moment.
pub fn tight(kind: ComponentKind) -> Limits {
    Limits { fuel: 200_000_000, memory_bytes: 32 << 20, output_bytes: 8 << 20, ..Limits::of(kind) }
}
/// Memory that a test may add to the process at its peak: a component's memory, an answer, and the allocator's
/// overhead.
const PEAK_BYTES: usize = 96 << 20;
/// Memory that may remain afterwards, kept by the allocator. Less than one component's memory, so that a
/// leaked one shows, as do leaked answers.
const LEFT_BYTES: usize = 24 << 20;

/// Environment for one hostile component.
pub struct Room {
    pub engine: Arc<HandlerEngine>,
    pub environment: Environment,
}

/// Runs a test twice. The engine is checked before and after both, the memory of the process before and after the
/// second: so the memory of the compiler is not counted, since hostile components are compiled in the first run and
/// cached.
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
    // From here on the peak is counted anew.
    fs::write("/proc/self/clear_refs", "5")?;
    test(&room)?;
    assert_eq!(decided(&good)?, before, "the payment is decided as before");
    let (peak, left) = (memory("VmHWM")?, memory("VmRSS")?);
    assert!(peak.saturating_sub(resident) <= PEAK_BYTES, "{} MiB at the worst", (peak - resident) >> 20);
    assert!(left.saturating_sub(resident) <= LEFT_BYTES, "{} MiB are left", (left - resident) >> 20);
    Ok(())
}

/// Lets the good decider decide a payment, and returns its answer and the fuel that it took.
fn decided(decider: &Decider) -> Result<String> {
    let (decided, fuel) = decider.decide_counted(&[turn(decider.initial())])?;
    Ok(format!("{decided:?} for {fuel}"))
}

/// Makes the command that asks for a payment.
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

/// Makes the event that begins an instance of a saga.
pub fn observation() -> Observation {
    let event = SagaMessage { type_: "Begun".into(), schema_version: 1, payload: b"{}".to_vec() };
    Observation { subject: subject(), event }
}

fn step_call() -> StepCall {
    StepCall {
        subject: subject(),
        flow: "a".into(),
        step: "nothing".into(),
        argument: Vec::new(),
        attempt: 1,
        refusal: None,
        last_refusal: None,
        answer: None,
    }
}

fn subject() -> SagaSubject {
    let (id, routing_key, now_ms) = ("1".into(), "0xaa".into(), 1_795_341_600_000);
    SagaSubject { id, routing_key, memory: Vec::new(), now_ms, effects: Vec::new() }
}

/// Reads a memory figure of this process, in bytes.
fn memory(name: &str) -> Result<usize> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find(|line| line.starts_with(name)).context("a figure of the process")?;
    let kilobytes: String = line.chars().filter(char::is_ascii_digit).collect();
    Ok(kilobytes.parse::<usize>()? << 10)
}

impl Room {
    /// Loads a handler of any world, or returns why it is refused.
    pub fn load(&self, world: &str, wasm: &[u8]) -> Result<Loaded, RuntimeError> {
        Ok(match world {
            "decider" => Loaded::Decider(Decider::load(&self.engine, "hostile", wasm)?),
            "saga" => Loaded::Saga(Saga::load(&self.engine, "hostile", wasm)?),
            "projector" => Loaded::Projector(Projector::load(&self.engine, "hostile", wasm)?),
            "auditor" => Loaded::Auditor(Auditor::load(&self.engine, "hostile", wasm)?),
            _ => Loaded::Translator(Translator::load(&self.engine, "hostile", wasm, Vec::new())?),
        })
    }

    /// Returns the cause with which one of a handler's functions fails, wherever it is called.
    pub fn cause(&self, handler: &Handler, function: &str) -> Result<FaultCause> {
        let fault = match self.load(handler.world, &handler.build(&self.environment)?) {
            Ok(loaded) => loaded.call(function).err().context("the call was answered")?,
            Err(RuntimeError::Fault(fault)) => fault,
            Err(other) => return Err(other.into()),
        };
        assert_eq!((fault.call, &*fault.component.name), (function, "hostile"));
        Ok(fault.cause)
    }

    /// Returns the error, with all its causes, with which a handler is refused.
    pub fn refusal(&self, world: &str, wasm: &[u8]) -> String {
        let refused = self.load(world, wasm).err();
        refused.map(|error| clearfold_base::telemetry::with_causes(&error)).unwrap_or_default()
    }
}

/// Loaded handler.
pub enum Loaded {
    Translator(Translator),
    Decider(Decider),
    Saga(Saga),
    Projector(Projector),
    Auditor(Auditor),
}

impl Loaded {
    /// Calls a function with valid arguments.
    fn call(&self, function: &str) -> Result<(), Fault> {
        let message = Message { type_: "DoNothing".into(), schema_version: 1, payload: Vec::new() };
        match (self, function) {
            (Self::Decider(decider), "keys") => decider.keys(&[message]).map(drop),
            (Self::Decider(decider), "evolve") => decider.evolve(&[], &[], &[message]).map(drop),
            (Self::Decider(decider), _) => decider.decide(&[turn(b"{}")]).map(drop),
            (Self::Saga(saga), "observe") => saga.observe(&[observation()]).map(drop),
            (Self::Saga(saga), "run") => saga.run(&[step_call()]).map(drop),
            (Self::Saga(saga), _) => saga.compensate(&[step_call()]).map(drop),
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
