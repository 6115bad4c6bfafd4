//! Saga `sample`: when an event asks for it, it sends a command to another stream of the account, and repeats it until
//! it is accepted. It reads no clock and keeps nothing but its memory, which the host records.

use clearfold_kernel::{
    Action, Flow, Observed, Phase, PlannedStep, Retry, Saga, Step, StepCall, Subject, encode_state, messages,
};
use serde::{Deserialize, Serialize};

clearfold_guest::export_saga!(SampleSaga);

messages! {
    /// Events of the followed stream that the saga observes.
    pub enum Event {
        /// Something was ordered.
        Ordered = 1,
    }
}

/// Something was ordered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ordered {
    /// Identifier of the stream that is to deliver it.
    pub delivery_id: String,
}

messages! {
    /// Commands that the saga sends.
    pub enum Command {
        /// Deliver what was ordered.
        Deliver = 1,
    }
}

/// Deliver what was ordered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deliver {
    /// Order that it belongs to.
    pub order_id: String,
}

/// Saga that has every order delivered.
pub struct SampleSaga;

impl Saga for SampleSaga {
    const NAME: &'static str = "sample";
    const FOLLOWS: &'static str = "order";
    const STARTS_ON: &'static [&'static str] = &["Ordered"];
    const STEPS: &'static [Step] = &[Step {
        name: "deliver",
        phase: Phase::Retriable,
        retry: Retry { first_delay_ms: 1_000, longest_delay_ms: 60_000, attempts: 20 },
    }];

    type Event = Event;

    fn observe(_: &Subject, event: &Event) -> Result<Observed, String> {
        let Event::Ordered(ordered) = event;
        let argument = encode_state(&ordered.delivery_id).map_err(|error| error.to_string())?;
        let steps = vec![PlannedStep { step: "deliver", argument }];
        Ok(Observed { flows: vec![Flow { name: "delivery", lane: "main", steps }], ..Observed::default() })
    }

    fn run(call: &StepCall) -> Result<Action, String> {
        use clearfold_kernel::{Message, decode_state};

        // A refusal of an earlier attempt may mean that nothing is left to do.
        if call.last_refusal.as_ref().is_some_and(|refusal| refusal.code == "delivered_already") {
            return Ok(Action::Done);
        }
        let id: String = decode_state(&call.argument).map_err(|error| error.to_string())?;
        let command = Command::Deliver(Deliver { order_id: call.subject.id.clone() });
        let message = command.encode().map_err(|error| error.to_string())?;
        Ok(Action::Command { aggregate: "delivery", id, seen_on_chain: false, message })
    }

    fn compensate(call: &StepCall) -> Result<Action, String> {
        Err(format!("the step `{}` cannot be undone", call.step))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clearfold_kernel::Timestamp;

    #[test]
    fn an_order_is_delivered() {
        let subject = Subject {
            id: "o-1".into(),
            routing_key: "0xaa".into(),
            memory: Vec::new(),
            now: Timestamp::default(),
        };
        let ordered = Event::Ordered(Ordered { delivery_id: "d-1".into() });
        let flow = SampleSaga::observe(&subject, &ordered).unwrap().flows.remove(0);
        let call = StepCall {
            subject,
            flow: flow.name.into(),
            step: flow.steps[0].step.into(),
            argument: flow.steps[0].argument.clone(),
            attempt: 1,
            refusal: None,
            last_refusal: None,
        };
        let Action::Command { aggregate, id, message, .. } = SampleSaga::run(&call).unwrap() else {
            panic!("a command");
        };
        assert_eq!((aggregate, id.as_str(), message.kind.as_str()), ("delivery", "d-1", "Deliver"));
    }
}
