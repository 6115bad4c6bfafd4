//! Saga as the write path knows it: a decider, whose decisions are the machine's with the component's answers.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use clearfold_base::digest::Digest;
use clearfold_kernel::{Timestamp, decode_state, encode_state};
use clearfold_sandbox::{
    ComponentId, ComponentKind, Decided, Decider, Decides, Entry, Fault, FaultCause, Folded, HandlerEngine,
    Message, Outcome, Rejection, RuntimeError, Saga, Turn, WireCommand,
};

use super::content::Refusal;
use super::event::{SagaEvent, SagaStarted};
use super::input::Input;
use super::instance::{ENGINE, Instance, STATE_VERSION};
use super::logic::{Observation, SagaLogic, SagaVersions, StepCall};
use super::machine::{Machine, Question, Reply};
use super::versions::Versions;

/// Prefix of the aggregate of every saga's instances; their streams are `saga-{name}-{id}`.
pub(crate) const PREFIX: &str = "saga-";

/// Saga that decides its instances. An instance is decided by the version that it began on.
pub struct SagaDecider {
    saga: Arc<dyn SagaLogic>,
    aggregate: String,
    /// Other versions; none where all instances are decided by this one, as in a replay or a shadow run.
    versions: Option<Versions>,
    /// Version of the machine with which instances begin.
    engine: u32,
}

/// Loads a component that decides: a decider, or a saga.
pub fn load_deciding(
    engine: &Arc<HandlerEngine>,
    kind: ComponentKind,
    name: &str,
    wasm: &[u8],
) -> Result<Arc<dyn Decides>, RuntimeError> {
    Ok(match kind {
        ComponentKind::Saga => Arc::new(SagaDecider::load(engine, name, wasm)?),
        _ => Arc::new(Decider::load(engine, name, wasm)?),
    })
}

/// Turn that is being decided.
struct Running {
    machine: Machine,
    inputs: VecDeque<WireCommand>,
    /// True while an input is being decided.
    is_deciding: bool,
    question: Option<Question>,
    outcomes: Vec<Outcome>,
}

/// Answer to one question, or what the component failed with.
type Answered<T> = Result<T, Refusal>;

impl SagaDecider {
    /// Loads a saga's component.
    pub fn load(engine: &Arc<HandlerEngine>, name: &str, wasm: &[u8]) -> Result<Self, RuntimeError> {
        Ok(Self::new(Arc::new(Saga::load(engine, name, wasm)?)))
    }

    pub(crate) fn new(saga: Arc<dyn SagaLogic>) -> Self {
        let aggregate = format!("{PREFIX}{}", saga.name());
        Self { saga, aggregate, versions: None, engine: ENGINE }
    }

    /// Adds the other versions and the moves of instances.
    pub(crate) fn with_versions(
        self,
        source: Arc<dyn SagaVersions>,
        moves: BTreeMap<Digest, Digest>,
    ) -> Self {
        Self { versions: Some(Versions::new(source, moves)), ..self }
    }

    /// Saga whose instances it decides.
    pub(crate) fn saga(&self) -> &Arc<dyn SagaLogic> {
        &self.saga
    }

    fn failed(&self, call: &'static str, why: impl Into<String>) -> Fault {
        Fault { component: self.saga.id().clone(), call, cause: FaultCause::Failed { why: why.into() } }
    }

    fn begin(&self, turn: &Turn) -> Result<Running, Fault> {
        let instance = read(&turn.state).map_err(|why| self.failed("decide", why))?;
        // The sandbox and the writer make no turn without commands.
        let (id, routing_key) = turn
            .commands
            .first()
            .map(|command| (command.id.clone(), command.routing_key.clone()))
            .unwrap_or_default();
        Ok(Running {
            machine: Machine::new(self.version_of(&instance)?, self.engine, id, routing_key, instance),
            inputs: turn.commands.iter().cloned().collect(),
            is_deciding: false,
            question: None,
            outcomes: Vec::with_capacity(turn.commands.len()),
        })
    }

    /// Version that decides an instance.
    fn version_of(&self, instance: &Instance) -> Result<Arc<dyn SagaLogic>, Fault> {
        match self.pinned(instance) {
            Some((versions, digest)) => {
                versions.find(digest).map_err(|why| self.failed("decide", format!("version {digest}: {why}")))
            }
            None => Ok(Arc::clone(&self.saga)),
        }
    }

    /// Digest of the version that decides an instance, if it is another one.
    fn pinned(&self, instance: &Instance) -> Option<(&Versions, Digest)> {
        let versions = self.versions.as_ref()?;
        let began_on = instance.component.parse().ok().filter(|_| instance.has_begun())?;
        let digest = versions.deciding(began_on);
        (digest != self.saga.id().digest).then_some((versions, digest))
    }

    /// Asks the components everything that turns have to ask, in one call for each version and function. Returns false
    /// if nothing was asked.
    fn ask_for(&self, turns: &mut [Running]) -> Result<bool, Fault> {
        let mut of_versions: BTreeMap<Digest, Questions> = BTreeMap::new();
        for (index, turn) in turns.iter_mut().enumerate() {
            let Some(question) = turn.question.take() else { continue };
            let saga = turn.machine.saga();
            let of_version =
                of_versions.entry(saga.id().digest).or_insert_with(|| Questions::to(Arc::clone(saga)));
            match question {
                Question::Observe(observation) => of_version.observe.push((index, observation)),
                Question::Run(call) => of_version.run.push((index, call)),
                Question::Compensate(call) => of_version.undo.push((index, call)),
            }
        }
        let is_any = !of_versions.is_empty();
        for Questions { saga, observe, run, undo } in of_versions.into_values() {
            let observed = self.ask(&observe, |asked: &[&Observation]| saga.observe(asked))?;
            let ran = self.ask(&run, |asked: &[&StepCall]| saga.run(asked))?;
            let undone = self.ask(&undo, |asked: &[&StepCall]| saga.compensate(asked))?;
            let observed = observed.into_iter().map(|(index, answer)| (index, Reply::Observed(answer)));
            let actions = ran.into_iter().chain(undone).map(|(index, answer)| (index, Reply::Action(answer)));
            for (index, reply) in observed.chain(actions) {
                if let Some(turn) = turns.get_mut(index) {
                    turn.question = turn.machine.go_on(reply);
                }
            }
        }
        Ok(is_any)
    }

    /// Asks questions in one call. If the component fails, each is asked alone, so that only the one at fault gets no
    /// answer. A lack of instances or time is nobody's fault, and the whole is decided again later.
    fn ask<Q, A>(
        &self,
        questions: &[(usize, Q)],
        call: impl Fn(&[&Q]) -> Result<Vec<Result<A, String>>, Fault>,
    ) -> Result<Vec<(usize, Answered<A>)>, Fault> {
        if questions.is_empty() {
            return Ok(Vec::new());
        }
        let all: Vec<&Q> = questions.iter().map(|(_, question)| question).collect();
        let said = |why: String| Refusal { code: "failed".to_owned(), detail: why };
        let answers = match call(&all) {
            Ok(answers) => answers.into_iter().map(|answer| answer.map_err(said)).collect(),
            Err(fault) if is_passing(&fault) => return Err(fault),
            Err(_) => {
                all.iter().map(|question| self.ask_one(*question, &call)).collect::<Result<Vec<_>, _>>()?
            }
        };
        if answers.len() != questions.len() {
            return Err(
                self.failed("decide", format!("{} answers to {} questions", answers.len(), all.len()))
            );
        }
        Ok(questions.iter().map(|(index, _)| *index).zip(answers).collect())
    }

    fn ask_one<Q, A>(
        &self,
        question: &Q,
        call: impl Fn(&[&Q]) -> Result<Vec<Result<A, String>>, Fault>,
    ) -> Result<Answered<A>, Fault> {
        match call(&[question]) {
            Ok(answers) => {
                let answer = answers.into_iter().next();
                let answer = answer.ok_or_else(|| self.failed("decide", "a question without an answer"))?;
                Ok(answer.map_err(|why| Refusal { code: "failed".to_owned(), detail: why }))
            }
            Err(fault) if is_passing(&fault) => Err(fault),
            Err(fault) => {
                tracing::error!(fault = %clearfold_base::telemetry::with_causes(&fault), "a saga failed; its instance is parked");
                // A code and no text: the event must be the same when it is decided again.
                let detail = format!("the component failed in `{}`", fault.call);
                Ok(Err(Refusal { code: fault.cause.code().to_owned(), detail }))
            }
        }
    }
}

fn rejected(Refusal { code, detail }: Refusal) -> Outcome {
    Outcome::Rejected(Rejection { code, detail })
}

/// Questions to one version, each with the place of its turn.
struct Questions {
    saga: Arc<dyn SagaLogic>,
    observe: Vec<(usize, Observation)>,
    run: Vec<(usize, StepCall)>,
    undo: Vec<(usize, StepCall)>,
}

impl Questions {
    fn to(saga: Arc<dyn SagaLogic>) -> Self {
        Self { saga, observe: Vec::new(), run: Vec::new(), undo: Vec::new() }
    }
}

/// Reads the state of an instance. One that has not begun has no bytes.
fn read(state: &[u8]) -> Result<Instance, String> {
    match state {
        [] => Ok(Instance::default()),
        state => decode_state(state).map_err(|fault| fault.to_string()),
    }
}

/// Returns true if the same call may succeed later.
fn is_passing(fault: &Fault) -> bool {
    matches!(fault.cause, FaultCause::NoInstance | FaultCause::DeadlinePassed { .. })
}

impl Running {
    /// Decides inputs until a question comes up or none is left.
    fn go_on(&mut self, decider: &SagaDecider) -> Result<(), Fault> {
        while self.question.is_none() {
            if std::mem::take(&mut self.is_deciding) {
                let events = self.machine.write_events();
                let events = events.map_err(|error| decider.failed("decide", error.to_string()))?;
                self.outcomes.push(Outcome::Accepted(events));
            }
            let Some(command) = self.inputs.pop_front() else { return Ok(()) };
            let Message { type_, schema_version, payload } = &command.message;
            match Input::read(type_, *schema_version, payload) {
                Ok(input) => {
                    let now = Timestamp::from_ms(command.accepted_at_ms);
                    let now = now.ok_or_else(|| decider.failed("decide", "a time after the year 9999"))?;
                    match self.machine.begin(input, now) {
                        Ok(question) => (self.question, self.is_deciding) = (question, true),
                        Err(refusal) => self.outcomes.push(rejected(refusal)),
                    }
                }
                Err(refusal) => self.outcomes.push(rejected(refusal)),
            }
        }
        Ok(())
    }
}

impl Decides for SagaDecider {
    fn id(&self) -> &ComponentId {
        self.saga.id()
    }

    fn aggregate(&self) -> &str {
        &self.aggregate
    }

    fn state_version(&self) -> u32 {
        STATE_VERSION
    }

    fn has_entries(&self) -> bool {
        false
    }

    fn events(&self) -> BTreeMap<String, u32> {
        SagaEvent::TYPES.iter().map(|kind| ((*kind).to_owned(), SagaEvent::VERSION)).collect()
    }

    fn decided_by(&self, state: &[u8]) -> Digest {
        let instance = read(state).ok();
        let pinned = instance.and_then(|instance| Some(self.pinned(&instance)?.1));
        pinned.unwrap_or(self.saga.id().digest)
    }

    fn as_it_began(&self, first: &Message) -> Option<Arc<dyn Decides>> {
        let read = SagaEvent::read(first).ok()?;
        let Some(SagaEvent::SagaStarted(SagaStarted { engine, .. })) = read.first() else { return None };
        if *engine == self.engine {
            return None;
        }
        let (saga, aggregate) = (Arc::clone(&self.saga), self.aggregate.clone());
        Some(Arc::new(Self { saga, aggregate, versions: None, engine: *engine }))
    }

    fn initial(&self) -> &[u8] {
        // An instance that has not begun has no bytes.
        &[]
    }

    fn keys(&self, messages: &[Message]) -> Result<Vec<Vec<String>>, Fault> {
        Ok(vec![Vec::new(); messages.len()])
    }

    fn decide(&self, turns: &[Turn]) -> Result<Vec<Decided>, Fault> {
        let mut running = turns.iter().map(|turn| self.begin(turn)).collect::<Result<Vec<_>, _>>()?;
        loop {
            for turn in &mut running {
                turn.go_on(self)?;
            }
            if !self.ask_for(&mut running)? {
                break;
            }
        }
        let decided = running.into_iter().map(|turn| {
            let state = encode_state(&turn.machine.into_instance());
            let state = state.map_err(|fault| self.failed("decide", fault.to_string()))?;
            Ok(Decided { state, entries: Vec::new(), outcomes: turn.outcomes })
        });
        decided.collect()
    }

    fn evolve(&self, state: &[u8], _: &[Entry], events: &[Message]) -> Result<Folded, Fault> {
        let mut instance = read(state).map_err(|why| self.failed("evolve", why))?;
        for event in events {
            for event in SagaEvent::read(event).map_err(|why| self.failed("evolve", why))? {
                instance.apply(event);
            }
        }
        let state = encode_state(&instance).map_err(|fault| self.failed("evolve", fault.to_string()))?;
        Ok(Folded { state, entries: Vec::new() })
    }
}
