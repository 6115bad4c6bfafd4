//! Saga of the machine's tests.

use super::*;

/// Saga whose flows the observed event spells out: `lane:steps`, where each letter is a step: `c` compensatable, `p`
/// pivot, `r` retriable, `w` one that waits a second first, `n` one that has nothing to do, `x` one whose answer fails, `e`
/// and `f` a compensatable and a retriable one that request the effect `mail`, `u` one that requests another, `g` a retriable one that
/// requests `mail` until it is answered. After an event `!stop` no effect is wanted any more.
pub(crate) struct Spelled {
    id: ComponentId,
    effects: Vec<String>,
    /// Letters that are no steps of it.
    unknown: &'static str,
    /// Steps that were asked, in order: letter, and whether it is undone.
    asked: Mutex<Vec<(char, bool)>>,
}

impl Spelled {
    pub(super) fn decider() -> SagaDecider {
        SagaDecider::new(Self::version(b"spelled"))
    }

    /// Version of the saga with this code.
    pub(crate) fn version(code: &[u8]) -> Arc<Self> {
        Self::without(code, "")
    }

    /// Version of the saga that does not know some steps.
    pub(in crate::saga) fn without(code: &[u8], unknown: &'static str) -> Arc<Self> {
        let id = ComponentId { name: "spelled".into(), digest: Digest::of(code) };
        Arc::new(Self { id, effects: vec!["mail".to_owned()], unknown, asked: Mutex::default() })
    }

    /// Number of steps that it was asked about.
    pub(in crate::saga) fn count(&self) -> usize {
        self.asked.lock().unwrap().len()
    }

    fn action(&self, call: &StepCall, is_undo: bool) -> Result<Action, String> {
        let letter = call.step.step.chars().next().unwrap_or('?');
        self.asked.lock().unwrap().push((letter, is_undo));
        match letter {
            'x' => return Err("it does not know".to_owned()),
            'n' => return Ok(Action::Done),
            'e' | 'f' | 'g' | 'u' if !is_undo => {
                let effect = if letter == 'u' { "unknown" } else { "mail" }.to_owned();
                let request = Bytes(format!("{{\"attempt\":{}}}", call.attempt).into_bytes());
                let is_wanted = !call.subject.memory.0.starts_with(b"!stop");
                return Ok(match &call.answer {
                    None if !is_wanted => Action::Done,
                    None => Action::Request(EffectRequest { effect, request }),
                    Some(EffectAnswer::Unanswered(_)) if letter == 'g' => {
                        Action::Request(EffectRequest { effect, request })
                    }
                    Some(EffectAnswer::Unanswered(_)) if letter == 'e' => {
                        Action::Refuse(refusal("unanswered"))
                    }
                    Some(_) => Action::Done,
                });
            }
            'w' if call.attempt == 1 && call.subject.now < Timestamp::from_s(50).unwrap() => {
                return Ok(Action::WaitUntil(Timestamp::from_s(50).unwrap()));
            }
            _ => {}
        }
        let message = Content { kind: "Do".into(), schema_version: 1, payload: Bytes(b"{}".to_vec()) };
        let id = String::from_utf8_lossy(&call.step.argument.0).into_owned();
        Ok(Action::Command(ChildCommand { aggregate: "thing".into(), id, seen_on_chain: false, message }))
    }
}

impl SagaLogic for Spelled {
    fn id(&self) -> &ComponentId {
        &self.id
    }

    fn name(&self) -> &'static str {
        "spelled"
    }

    fn follows(&self) -> &'static str {
        "thing"
    }

    fn starts_on(&self, kind: &str) -> bool {
        kind == "Began"
    }

    fn observes(&self, _: &str) -> bool {
        true
    }

    fn step(&self, name: &str) -> Option<StepFacts> {
        let phase = match name.chars().next().filter(|letter| !self.unknown.contains(*letter))? {
            'c' | 'n' | 'x' | 'e' | 'u' => Phase::Compensatable,
            'p' => Phase::Pivot,
            _ => Phase::Retriable,
        };
        let retry = RetryFacts { first_delay_ms: 100, longest_delay_ms: 1_000, attempts: 3 };
        Some(StepFacts { phase, retry })
    }

    fn effects(&self) -> &[String] {
        &self.effects
    }

    fn observe(&self, questions: &[&Observation]) -> Result<Vec<Result<Observed, String>>, Fault> {
        let fault = || Fault {
            component: self.id.clone(),
            call: "observe",
            cause: FaultCause::FuelExhausted { limit: 1 },
        };
        let one = |question: &&Observation| {
            let spelled = String::from_utf8_lossy(&question.event.payload.0).into_owned();
            if spelled == "trap" {
                return Err(fault());
            }
            let mut observed =
                Observed { memory: Some(Bytes(spelled.clone().into_bytes())), ..Observed::default() };
            for (number, flow) in spelled.split_whitespace().enumerate() {
                if let Some(lane) = flow.strip_prefix('!') {
                    observed.cancel.push(lane.to_owned());
                    continue;
                }
                let (lane, letters) = flow.split_once(':').unwrap_or(("a", flow));
                let step = |(place, letter): (usize, char)| PlannedStep {
                    step: letter.to_string(),
                    argument: Bytes(format!("{number}-{place}").into_bytes()),
                };
                observed.flows.push(NewFlow {
                    name: letters.to_owned(),
                    lane: lane.to_owned(),
                    steps: letters.chars().enumerate().map(step).collect(),
                });
            }
            Ok(Ok(observed))
        };
        questions.iter().map(one).collect()
    }

    fn run(&self, questions: &[&StepCall]) -> Result<Vec<Result<Action, String>>, Fault> {
        Ok(questions.iter().map(|call| self.action(call, false)).collect())
    }

    fn compensate(&self, questions: &[&StepCall]) -> Result<Vec<Result<Action, String>>, Fault> {
        Ok(questions.iter().map(|call| self.action(call, true)).collect())
    }
}
