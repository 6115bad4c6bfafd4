//! Saga `sample`: carries an order from its beginning to its confirmation, or lets it expire. Its answers depend on the
//! arguments only. The host owns the order of steps, their repetition, their compensation and the timers.

use clearfold_kernel::{
    Action, Encoded, Flow, Minor, Observed, Phase, PlannedStep, Retry, Saga, Step, StepCall, Subject,
    Timestamp, messages,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

clearfold_guest::export_saga!(SampleSaga);

/// An order was placed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderPlaced {
    pub item: String,
    pub amount: Minor,
    pub expires_at: Timestamp,
}

/// An order was confirmed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderConfirmed {}

messages! {
    /// Events of the followed streams, as their decider writes them.
    pub enum Event {
        /// An order was placed.
        OrderPlaced = 1,
        /// An order was confirmed.
        OrderConfirmed = 1,
    }
}

const RETRY: Retry = Retry { first_delay_ms: 1_000, longest_delay_ms: 60_000, attempts: 20 };

/// Saga of orders.
pub struct SampleSaga;

impl Saga for SampleSaga {
    const NAME: &'static str = "sample";
    const FOLLOWS: &'static str = "order";
    const STARTS_ON: &'static [&'static str] = &["OrderPlaced"];
    const STEPS: &'static [Step] = &[
        Step { name: "reserve", phase: Phase::Compensatable, retry: RETRY },
        // The last step that may be refused. If it is, the item is released.
        Step { name: "charge", phase: Phase::Pivot, retry: RETRY },
        Step { name: "confirm", phase: Phase::Retriable, retry: RETRY },
        Step { name: "expire", phase: Phase::Retriable, retry: RETRY },
    ];

    type Event = Event;

    fn observe(_subject: &Subject, event: &Event) -> Result<Observed, String> {
        match event {
            Event::OrderPlaced(order) => {
                let argument = serde_json::to_vec(order).map_err(|error| error.to_string())?;
                let planned = |step: &&'static str| PlannedStep { step, argument: argument.clone() };
                let flow = |name, lane: &'static str, steps: &[&'static str]| Flow {
                    name,
                    lane: lane.into(),
                    steps: steps.iter().map(planned).collect(),
                };
                let flows = vec![
                    flow("fulfil", "main", &["reserve", "charge", "confirm"]),
                    // In a lane of its own, because it waits beside the other flow and not behind it.
                    flow("expire", "expiry", &["expire"]),
                ];
                Ok(Observed { flows, ..Observed::default() })
            }
            Event::OrderConfirmed(_) => Ok(Observed { cancel: vec!["expiry"], ..Observed::default() }),
        }
    }

    fn run(call: &StepCall) -> Result<Action, String> {
        let (id, order) = (&call.subject.id, read(call)?);
        match call.step.as_str() {
            "reserve" => Ok(command("stock", &order.item, "ReserveItem", &json!({ "order_id": id }))),
            "charge" => {
                let payload = json!({ "order_id": id, "amount": order.amount });
                Ok(command("balance", &call.subject.routing_key, "ChargeOrder", &payload))
            }
            "confirm" => Ok(command("order", id, "ConfirmOrder", &json!({}))),
            "expire" if call.subject.now < order.expires_at => Ok(Action::WaitUntil(order.expires_at)),
            "expire" => Ok(command("order", id, "ExpireOrder", &json!({}))),
            other => Err(format!("`{other}` is no step of this saga")),
        }
    }

    fn compensate(call: &StepCall) -> Result<Action, String> {
        match call.step.as_str() {
            // The stock must take this as done if nothing is reserved for the order: it may come twice.
            "reserve" => {
                let order_id = &call.subject.id;
                Ok(command("stock", &read(call)?.item, "ReleaseItem", &json!({ "order_id": order_id })))
            }
            other => Err(format!("nothing undoes the step `{other}`")),
        }
    }
}

/// Reads the order that `observe` has put into the step's argument.
fn read(call: &StepCall) -> Result<OrderPlaced, String> {
    serde_json::from_slice(&call.argument).map_err(|error| format!("the argument is no order: {error}"))
}

fn command(aggregate: &'static str, id: &str, kind: &str, payload: &Value) -> Action {
    let payload = payload.to_string().into_bytes();
    let message = Encoded { kind: kind.to_owned(), schema_version: 1, payload };
    Action::Command { aggregate, id: id.to_owned(), seen_on_chain: false, message }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_is_reserved_charged_and_confirmed_or_released_and_expired() {
        let subject = Subject {
            id: "o-1".to_owned(),
            routing_key: "0xaa".to_owned(),
            memory: Vec::new(),
            now: Timestamp::default(),
            effects: Vec::new(),
        };
        let expires_at = Timestamp::default().after_s(60);
        let order = OrderPlaced { item: "tea".to_owned(), amount: Minor::new(250), expires_at };
        let planned = SampleSaga::observe(&subject, &Event::OrderPlaced(order)).unwrap_or_default();
        let argument = &planned.flows[0].steps[0].argument;
        let call = |step: &str, now: Timestamp| StepCall {
            subject: Subject { now, ..subject.clone() },
            flow: String::new(),
            step: step.to_owned(),
            argument: argument.clone(),
            attempt: 1,
            refusal: None,
            last_refusal: None,
            answer: None,
        };
        let sent = |action: Result<Action, String>| match action {
            Ok(Action::Command { aggregate, id, message, .. }) => format!("{} to {aggregate}-{id}", message.kind),
            other => format!("{other:?}"),
        };
        let steps = planned.flows.iter().flat_map(|flow| &flow.steps);
        let ran: Vec<String> = steps.map(|step| sent(SampleSaga::run(&call(step.step, expires_at)))).collect();
        let expected = [
            "ReserveItem to stock-tea",
            "ChargeOrder to balance-0xaa",
            "ConfirmOrder to order-o-1",
            "ExpireOrder to order-o-1",
        ];
        assert_eq!(ran, expected);
        let early = call("expire", subject.now);
        assert_eq!(SampleSaga::run(&early), Ok(Action::WaitUntil(expires_at)));
        assert_eq!(sent(SampleSaga::compensate(&call("reserve", expires_at))), "ReleaseItem to stock-tea");
    }
}
