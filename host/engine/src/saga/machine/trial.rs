//! Trial of another version on an instance: lists the questions that come up next, and checks that the version knows the
//! planned steps. It decides no input.

use std::sync::Arc;

use clearfold_kernel::Timestamp;

use super::{Machine, Question};
use crate::saga::instance::Instance;
use crate::saga::logic::{Observation, SagaLogic};

impl Machine {
    /// Questions that come up next in every open flow, and about the first event that waits. The error names the
    /// planned step that the other version lacks.
    pub(crate) fn trial(
        before: Option<&dyn SagaLogic>,
        other: &Arc<dyn SagaLogic>,
        (id, routing_key): (&str, &str),
        instance: Instance,
        now: Timestamp,
    ) -> Result<Vec<Question>, String> {
        let (id, routing_key, engine) = (id.to_owned(), routing_key.to_owned(), instance.engine);
        let machine = Self { now, ..Self::new(Arc::clone(other), engine, id, routing_key, instance) };
        machine.knows_what_is_planned(before)?;
        let steps = machine.instance.running().filter_map(|flow| Some((flow, flow.step()?.clone())));
        let mut questions: Vec<Question> =
            steps.map(|(flow, step)| machine.question_of(flow, step)).collect();
        if let Some(waiting) = machine.instance.unobserved.front() {
            let event = waiting.event.clone();
            questions.push(Question::Observe(Observation { subject: machine.subject(), event }));
        }
        Ok(questions)
    }

    /// Checks that each planned step is one of the version's, in the same phase: a step that was past the pivot would
    /// otherwise become one that is undone.
    fn knows_what_is_planned(&self, before: Option<&dyn SagaLogic>) -> Result<(), String> {
        for flow in self.instance.lanes.values().flatten() {
            for planned in &flow.steps {
                let (known, was) =
                    (self.saga.step(&planned.step), before.and_then(|before| before.step(&planned.step)));
                let known = known.ok_or_else(|| {
                    format!(
                        "flow {} has the step `{}`, which the version does not know",
                        flow.number, planned.step
                    )
                })?;
                if was.is_some_and(|was| was.phase != known.phase) {
                    return Err(format!(
                        "flow {} has the step `{}`, whose phase is another one in the version",
                        flow.number, planned.step
                    ));
                }
            }
        }
        Ok(())
    }
}
