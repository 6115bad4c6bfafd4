//! Trial of a migration: asks the target version the next questions of each open instance. It writes nothing.

use std::sync::Arc;

use clearfold_kernel::Timestamp;
use clearfold_sandbox::Fault;
use serde::Serialize;

use super::content::{Bytes, Content};
use super::instance::Instance;
use super::logic::{Action, Observation, Phase, SagaLogic, Subject};
use super::machine::{Machine, Question};
use super::recorded::folded;
use clearfold_base::telemetry::with_causes;
use clearfold_sandbox::Message;
use clearfold_store::StoredEvent;

/// Maximum number of instances that are shown; all are counted.
const SHOWN: usize = 10;

/// Version that decides instances now, and the one that would.
pub(crate) struct Trial {
    /// None if it cannot be loaded.
    pub before: Option<Arc<dyn SagaLogic>>,
    pub other: Arc<dyn SagaLogic>,
    pub now: Timestamp,
}

/// Instance that is open, with the account in whose partition it is.
pub(crate) struct OpenInstance {
    pub stream: String,
    pub id: String,
    pub routing_key: String,
    instance: Instance,
}

/// Instance as it is asked about an event.
pub(crate) struct FollowedInstance(Subject);

impl FollowedInstance {
    /// Folds an instance; without events, one that has not begun.
    pub(crate) fn fold(id: &str, routing_key: &str, events: &[StoredEvent]) -> Result<Self, String> {
        let Instance { memory, effects, .. } = folded(events)?;
        let (id, routing_key) = (id.to_owned(), routing_key.to_owned());
        Ok(Self(Subject { id, routing_key, memory, now: Timestamp::default(), effects }))
    }

    /// Asks a version to observe an event. The error says why it cannot.
    pub(crate) fn observe(
        &self,
        version: &dyn SagaLogic,
        event: &Message,
        now: Timestamp,
    ) -> Result<(), String> {
        let Message { type_, schema_version, payload } = event.clone();
        let event = Content { kind: type_, schema_version, payload: Bytes(payload) };
        let observation = Observation { subject: Subject { now, ..self.0.clone() }, event };
        first(version.observe(&[&observation])).map(drop)
    }
}

/// Findings of a trial.
#[derive(Debug, Clone, Default, Serialize)]
pub struct TrialReport {
    /// Number of instances that would be moved.
    pub instances: u64,
    /// Number of those that are open.
    pub open: u64,
    /// Number of questions that the other version was asked about them.
    pub questions: u64,
    /// Number of instances that could not go on.
    pub stuck: u64,
    /// The first of them.
    pub first_stuck: Vec<StuckInstance>,
}

/// Instance that could not go on under the other version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StuckInstance {
    pub instance: String,
    pub why: String,
}

impl OpenInstance {
    /// Folds an instance; none if it is not open. The routing key is not in its events.
    pub(crate) fn fold(stream: &str, id: &str, events: &[StoredEvent]) -> Result<Option<Self>, String> {
        let instance = folded(events)?;
        let is_open = !instance.lanes.is_empty() || !instance.unobserved.is_empty();
        let (stream, id) = (stream.to_owned(), id.to_owned());
        Ok(is_open.then_some(Self { stream, id, routing_key: String::new(), instance }))
    }
}

impl Trial {
    /// Tries open instances, and adds what was found.
    pub(crate) fn run(&self, instances: Vec<OpenInstance>, report: &mut TrialReport) {
        for OpenInstance { stream, id, routing_key, instance } in instances {
            report.open += 1;
            let effects = instance.effects.clone();
            let asked =
                Machine::trial(self.before.as_deref(), &self.other, (&id, &routing_key), instance, self.now);
            let answered = asked.and_then(|questions| {
                report.questions += questions.len() as u64;
                questions.iter().try_for_each(|question| self.ask(question, &effects))
            });
            if let Err(why) = answered {
                report.stuck += 1;
                if report.first_stuck.len() < SHOWN {
                    report.first_stuck.push(StuckInstance { instance: stream, why });
                }
            }
        }
    }

    /// Asks one question. The error says why the flow would be parked by the answer.
    fn ask(&self, question: &Question, effects: &[String]) -> Result<(), String> {
        let (call, is_undo, action) = match question {
            Question::Observe(observation) => return first(self.other.observe(&[observation])).map(drop),
            Question::Run(call) => (call, false, first(self.other.run(&[call]))),
            Question::Compensate(call) => (call, true, first(self.other.compensate(&[call]))),
        };
        let is_refusable = || {
            !is_undo && self.other.step(&call.step.step).is_some_and(|step| step.phase != Phase::Retriable)
        };
        match action? {
            Action::Request(request) if !effects.contains(&request.effect) => {
                Err(format!("it requests the effect `{}`, which the instance may not have", request.effect))
            }
            Action::Refuse(reason) if !is_refusable() => Err(format!(
                "it refuses the step `{}`, which cannot be refused: {}",
                call.step.step, reason.detail
            )),
            _ => Ok(()),
        }
    }
}

/// Returns the one answer.
fn first<A>(answers: Result<Vec<Result<A, String>>, Fault>) -> Result<A, String> {
    let answers = answers.map_err(|fault| with_causes(&fault))?;
    answers.into_iter().next().unwrap_or_else(|| Err("no answer".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::super::content::Bytes;
    use super::super::event::{FlowAdded, PlannedStep, SagaEvent, StepWaiting};
    use super::super::input::StepKey;
    use super::super::tests::Spelled;
    use super::*;
    use uuid::Uuid;

    /// Instance with one flow of these steps, whose first waits.
    fn open(steps: &str) -> OpenInstance {
        let planned =
            |letter: char| PlannedStep { step: letter.to_string(), argument: Bytes(b"0-0".to_vec()) };
        let mut instance = Instance { effects: vec!["mail".to_owned()], ..Instance::default() };
        instance.apply(SagaEvent::from(FlowAdded {
            flow: 1,
            name: steps.to_owned(),
            lane: "a".to_owned(),
            steps: steps.chars().map(planned).collect(),
            correlation_id: Uuid::nil(),
        }));
        instance.apply(SagaEvent::from(StepWaiting {
            key: StepKey { flow: 1, step: 0, undo: false, attempt: 1 },
            name: steps.chars().take(1).collect(),
            timer: 1,
            until: Timestamp::from_s(50).unwrap(),
        }));
        let (stream, id) = ("saga-spelled-a".to_owned(), "a".to_owned());
        OpenInstance { stream, id, routing_key: "0xaa".to_owned(), instance }
    }

    fn tried(other: Arc<Spelled>, steps: &[&str]) -> TrialReport {
        let before = Spelled::version(b"one");
        let trial = Trial { before: Some(before), other, now: Timestamp::from_s(60).unwrap() };
        let mut report = TrialReport::default();
        trial.run(steps.iter().map(|steps| open(steps)).collect(), &mut report);
        report
    }

    #[test]
    fn a_version_that_knows_every_step_can_go_on() {
        let report = tried(Spelled::version(b"two"), &["wcp", "er"]);
        assert_eq!((report.open, report.questions, report.stuck), (2, 2, 0), "{report:?}");
    }

    #[test]
    fn a_step_that_is_not_known_or_not_answered_holds_up_its_instance_alone() {
        // A later step of a flow counts too: it would park the flow when it comes up.
        let report = tried(Spelled::without(b"two", "p"), &["wcp", "wc", "xc"]);
        assert_eq!((report.open, report.stuck), (3, 2), "{report:?}");
        let why: Vec<&str> = report.first_stuck.iter().map(|stuck| stuck.why.as_str()).collect();
        assert!(why[0].contains("the step `p`, which the version does not know"), "{why:?}");
        assert_eq!(why[1], "it does not know");
        assert_eq!(report.first_stuck[0].instance, "saga-spelled-a");
    }

    #[test]
    fn an_effect_that_the_instance_may_not_have_holds_it_up() {
        let report = tried(Spelled::version(b"two"), &["u"]);
        assert!(report.first_stuck[0].why.contains("the effect `unknown`"), "{report:?}");
    }
}
