//! The machine against random workflows: whatever is refused, fails or comes twice, every flow ends done, or undone in
//! reverse order; and the state folded from the events is the state that the machine holds.

mod effects;
mod orders;
mod pause;
mod spelled;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use clearfold_base::digest::Digest;
use clearfold_kernel::Timestamp;
use clearfold_sandbox::{
    ComponentId, Decided, Decides, Fault, FaultCause, Message, Outcome, Turn, WireCommand,
};
use proptest::prelude::*;
use uuid::Uuid;

pub(crate) use self::spelled::Spelled;

use super::SagaDecider;
use super::content::{Bytes, ChildCommand, Content, EffectAnswer, EffectRequest, Refusal};
use super::event::{FlowOutcome, PlannedStep, SagaEvent, SagaStarted, never};
use super::input::{
    AnswerEffect, AnswerStep, Cancel, EffectOutcome, FireTimer, Input, Observe, Order, Retry, StepAnswer,
    StepKey, VERSION,
};
use super::instance::ENGINE;
use super::logic::{
    Action, NewFlow, Observation, Observed, Phase, Retry as RetryFacts, SagaLogic, StepCall, StepFacts,
};

/// One instance, as the write path would drive it.
struct Driven {
    decider: SagaDecider,
    state: Vec<u8>,
    events: Vec<SagaEvent>,
    now_s: u64,
    version: u64,
    /// True while the saga is paused.
    is_paused: bool,
}

impl Driven {
    fn new() -> Self {
        let decider = Spelled::decider();
        let state = decider.initial().to_vec();
        Self { decider, state, events: Vec::new(), now_s: 1, version: 0, is_paused: false }
    }

    /// Decides an input that is accepted, and checks that the events fold to the same state.
    fn input(&mut self, input: &Input) -> Vec<SagaEvent> {
        self.decide(input).unwrap_or_else(|code| panic!("{code}"))
    }

    /// Decides an input. The error is the code with which it was rejected, when nothing changed.
    fn decide(&mut self, input: &Input) -> Result<Vec<SagaEvent>, String> {
        let message = Message {
            type_: input.kind().to_owned(),
            schema_version: VERSION,
            payload: input.payload().unwrap(),
        };
        let command = WireCommand {
            id: "i".into(),
            routing_key: "0xaa".into(),
            actor: "test".into(),
            accepted_at_ms: self.now_s * 1_000,
            message,
        };
        let turn = Turn { state: self.state.clone(), entries: Vec::new(), commands: vec![command] };
        let Decided { state, outcomes, .. } = self.decider.decide(&[turn]).unwrap().remove(0);
        let messages = match &outcomes[..] {
            [Outcome::Accepted(messages)] => messages,
            [Outcome::Rejected(rejection)] => {
                assert_eq!(self.state.is_empty(), is_unbegun(&state), "{rejection:?}");
                assert!(self.state.is_empty() || state == self.state, "a rejection changes nothing");
                return Err(rejection.code.clone());
            }
            _ => panic!("{outcomes:?}"),
        };
        let folded = self.decider.evolve(&self.state, &[], messages).unwrap().state;
        assert_eq!(folded, state, "the events fold to what the machine holds");
        self.state = state;
        let events: Vec<SagaEvent> =
            messages.iter().flat_map(|message| SagaEvent::read(message).unwrap()).collect();
        self.events.extend(events.clone());
        Ok(events)
    }

    fn observe(&mut self, kind: &str, spelled: &str) -> Vec<SagaEvent> {
        self.version += 1;
        self.observe_as(self.version, kind, spelled, 1)
    }

    fn observe_as(&mut self, version: u64, kind: &str, spelled: &str, round: u32) -> Vec<SagaEvent> {
        let event =
            Content { kind: kind.into(), schema_version: 1, payload: Bytes(spelled.as_bytes().to_vec()) };
        self.input(&Input::Observe(Observe {
            version,
            event,
            correlation_id: Uuid::nil(),
            round,
            held: self.is_paused,
            effects: vec!["mail".to_owned()],
        }))
    }

    fn answer(&mut self, key: &StepKey, answer: StepAnswer) -> Vec<SagaEvent> {
        self.input(&Input::AnswerStep(AnswerStep {
            key: key.clone(),
            answer,
            round: 2,
            held: self.is_paused,
        }))
    }

    fn names(events: &[SagaEvent]) -> Vec<String> {
        let one = |event: &SagaEvent| SagaEvent::write_all(std::slice::from_ref(event), ENGINE).unwrap();
        events.iter().flat_map(one).map(|message| message.type_).collect()
    }
}

/// Returns true if a state is that of an instance that has not begun.
fn is_unbegun(state: &[u8]) -> bool {
    let state = clearfold_kernel::decode_state::<super::instance::Instance>(state);
    state.is_ok_and(|instance| !instance.has_begun())
}

fn order() -> Order {
    Order { by: "anna".into(), why: None }
}

fn retry(flow: Option<u32>) -> Input {
    Input::Retry(Retry { flow, order: order() })
}

fn refusal(code: &str) -> Refusal {
    Refusal { code: code.to_owned(), detail: "never".to_owned() }
}

fn refused() -> StepAnswer {
    StepAnswer::Refused(refusal("no"))
}

fn started(events: &[SagaEvent]) -> Vec<StepKey> {
    let keys = events.iter().filter_map(|event| match event {
        SagaEvent::StepStarted(event) => Some(event.key.clone()),
        _ => None,
    });
    keys.collect()
}

fn timers(events: &[SagaEvent]) -> Vec<FireTimer> {
    let timers = events.iter().filter_map(|event| match event {
        SagaEvent::StepWaiting(event) => {
            Some(FireTimer { timer: event.timer, due: event.until, held: false })
        }
        SagaEvent::StepDeferred(event) => {
            Some(FireTimer { timer: event.timer, due: event.until, held: false })
        }
        _ => None,
    });
    timers.collect()
}

/// Returns the messages of the first input, decided by a decider.
fn begun(decider: &dyn Decides) -> Vec<Message> {
    let event = Content { kind: "Began".into(), schema_version: 1, payload: Bytes(b"c".to_vec()) };
    let (version, correlation_id, round, held, effects) = (1, Uuid::nil(), 1, false, Vec::new());
    let input = Input::Observe(Observe { version, event, correlation_id, round, held, effects });
    let payload = input.payload().unwrap();
    let message = Message { type_: input.kind().to_owned(), schema_version: VERSION, payload };
    let (id, routing_key, actor) = ("i".to_owned(), "0xaa".to_owned(), "test".to_owned());
    let command = WireCommand { id, routing_key, actor, accepted_at_ms: 1_000, message };
    let turn = Turn { state: Vec::new(), entries: Vec::new(), commands: vec![command] };
    match decider.decide(&[turn]).unwrap().remove(0).outcomes.remove(0) {
        Outcome::Accepted(messages) => messages,
        Outcome::Rejected(rejection) => panic!("{rejection:?}"),
    }
}

#[test]
fn what_an_earlier_machine_began_is_decided_again_as_it_was() {
    let decider = Spelled::decider();
    let types = |messages: &[Message]| -> Vec<String> {
        messages.iter().map(|message| message.type_.clone()).collect()
    };
    let now = begun(&decider);
    assert_eq!(types(&now), ["SagaAdvanced"]);
    assert!(decider.as_it_began(&now[0]).is_none());
    let SagaEvent::SagaStarted(started) = SagaEvent::read(&now[0]).unwrap().remove(0) else { panic!() };
    let before = SagaEvent::from(SagaStarted { engine: 2, ..started });
    let before = SagaEvent::write_all(&[before], 2).unwrap().remove(0);
    let earlier = decider.as_it_began(&before).expect("another machine");
    let again = begun(&*earlier);
    assert_eq!(types(&again), ["SagaStarted", "EventObserved", "FlowAdded", "StepStarted"]);
    assert_eq!(again[0].payload, before.payload);
}

#[test]
fn what_an_operator_must_see_stands_alone() {
    let event = |payload: &str, kind: &str| {
        let message = Message { type_: kind.into(), schema_version: 1, payload: payload.into() };
        SagaEvent::read(&message).unwrap().remove(0)
    };
    let key = r#"{"flow":1,"step":0,"undo":false,"attempt":1}"#;
    let done = event(&format!(r#"{{"key":{key},"name":"a"}}"#), "StepDone");
    let parked = format!(r#"{{"key":{key},"name":"a","reason":{{"code":"c","detail":"d"}}}}"#);
    let parked = event(&parked, "FlowParked");
    let events = [done.clone(), done.clone(), parked, done];
    let types = |engine| -> Vec<String> {
        let written = SagaEvent::write_all(&events, engine).unwrap();
        written.into_iter().map(|message| message.type_).collect()
    };
    assert_eq!(types(3), ["SagaAdvanced", "FlowParked", "StepDone"]);
    assert_eq!(types(2), ["StepDone", "StepDone", "FlowParked", "StepDone"]);
}

#[test]
fn steps_follow_each_other_until_the_flow_is_done() {
    let mut driven = Driven::new();
    let events = driven.observe("Began", "ccpr");
    assert_eq!(Driven::names(&events), ["SagaStarted", "EventObserved", "FlowAdded", "StepStarted"]);
    let mut key = started(&events).remove(0);
    for place in 1..4 {
        let events = driven.answer(&key, StepAnswer::Accepted);
        assert_eq!(Driven::names(&events), ["StepDone", "StepStarted"]);
        key = started(&events).remove(0);
        assert_eq!((key.step, key.attempt, key.undo), (place, 1, false));
    }
    assert_eq!(Driven::names(&driven.answer(&key, StepAnswer::Accepted)), ["StepDone", "FlowEnded"]);
    assert!(driven.answer(&key, StepAnswer::Accepted).is_empty(), "a second answer changes nothing");
}

#[test]
fn a_refusal_undoes_the_done_steps_in_reverse_order() {
    let mut driven = Driven::new();
    let mut key = started(&driven.observe("Began", "cncp")).remove(0);
    key = started(&driven.answer(&key, StepAnswer::Accepted)).remove(0);
    key = started(&driven.answer(&key, StepAnswer::Accepted)).remove(0);
    let events = driven.answer(&key, refused());
    assert_eq!(Driven::names(&events), ["StepRefused", "CompensationStarted", "StepStarted"]);
    let undo = started(&events).remove(0);
    assert_eq!((undo.step, undo.undo), (2, true), "the refused step itself did nothing");
    let events = driven.answer(&undo, StepAnswer::Accepted);
    assert_eq!(Driven::names(&events), ["StepDone", "StepDone", "StepStarted"], "nothing to undo for `n`");
    let undo = started(&events).remove(0);
    let events = driven.answer(&undo, StepAnswer::Accepted);
    let ended = events.iter().any(
        |event| matches!(event, SagaEvent::FlowEnded(event) if event.outcome == FlowOutcome::Compensated),
    );
    assert!(ended, "{events:?}");
}

#[test]
fn a_retriable_step_is_repeated_with_delays_and_parked_in_the_end() {
    let mut driven = Driven::new();
    let mut key = started(&driven.observe("Began", "r")).remove(0);
    for attempt in 2..=3 {
        let events = driven.answer(&key, refused());
        assert_eq!(Driven::names(&events), ["StepRefused", "StepDeferred"]);
        let timer = timers(&events).remove(0);
        assert!(timer.due > Timestamp::from_s(1).unwrap());
        key = started(&driven.input(&Input::FireTimer(timer))).remove(0);
        assert_eq!(key.attempt, attempt);
        assert!(driven.input(&Input::FireTimer(timer)).is_empty(), "a timer fires once");
    }
    assert_eq!(Driven::names(&driven.answer(&key, refused())), ["StepRefused", "FlowParked"]);
    let events = driven.input(&retry(Some(1)));
    assert_eq!(Driven::names(&events), ["RetryOrdered", "StepStarted"]);
    assert_eq!(
        Driven::names(&driven.answer(&started(&events)[0], StepAnswer::Accepted)),
        ["StepDone", "FlowEnded"]
    );
}

#[test]
fn a_step_that_waits_is_asked_again_at_its_time_and_can_be_cancelled_before() {
    let mut driven = Driven::new();
    let events = driven.observe("Began", "b:w");
    assert_eq!(Driven::names(&events), ["SagaStarted", "EventObserved", "FlowAdded", "StepWaiting"]);
    let first = timers(&events).remove(0);
    let events = driven.observe("Later", "!b b:w");
    assert_eq!(Driven::names(&events), ["EventObserved", "FlowEnded", "FlowAdded", "StepWaiting"]);
    let SagaEvent::FlowEnded(ended) = &events[1] else { panic!("{events:?}") };
    assert_eq!(ended.timer.map(|timer| (timer.timer, timer.due)), Some((first.timer, first.due)));
    assert!(driven.input(&Input::FireTimer(first)).is_empty(), "it is not waited for any more");
    driven.now_s = 50;
    let events = driven.input(&Input::FireTimer(timers(&events)[0]));
    assert_eq!(Driven::names(&events), ["StepStarted"]);
}

#[test]
fn a_component_that_fails_parks_its_flow_and_nothing_else() {
    let mut driven = Driven::new();
    let events = driven.observe("Began", "a:cx b:c");
    let key = started(&events).remove(0);
    assert_eq!(started(&events).len(), 2, "one in each lane");
    let events = driven.answer(&key, StepAnswer::Accepted);
    assert_eq!(Driven::names(&events), ["StepDone", "FlowParked"]);
    let events = driven.observe("Later", "trap");
    assert_eq!(Driven::names(&events), ["ObservationFailed"]);
    let events = driven.observe("Later", "c:c");
    assert_eq!(Driven::names(&events), ["ObservationQueued"], "it waits behind the one that failed");
    let events = driven.input(&retry(None));
    assert_eq!(
        Driven::names(&events),
        ["RetryOrdered", "RetryOrdered", "ObservationFailed", "FlowParked"],
        "the flow that is parked as well"
    );
}

#[test]
fn a_run_that_is_too_long_goes_on_with_a_timer() {
    let mut driven = Driven::new();
    let events = driven.observe_as(1, "Began", "c", 64);
    assert_eq!(Driven::names(&events).last().map(String::as_str), Some("StepDeferred"));
    let timer = timers(&events).remove(0);
    assert_eq!(timer.due, Timestamp::from_s(1).unwrap(), "at once");
    assert_eq!(Driven::names(&driven.input(&Input::FireTimer(timer))), ["StepStarted"]);
}

#[test]
fn what_is_seen_twice_is_observed_once_and_nothing_begins_without_its_event() {
    let mut driven = Driven::new();
    assert!(driven.observe("Later", "c").is_empty());
    assert!(!driven.observe("Began", "c").is_empty());
    assert!(driven.observe_as(2, "Began", "c", 1).is_empty());
}

/// Letters of a flow in an order of phases that admission takes.
fn flows() -> impl Strategy<Value = String> {
    let flow =
        ("[ab]", "[cne]{0,3}", "p?", "[rwf]{0,2}").prop_filter_map("no step", |(lane, one, two, three)| {
            let steps = format!("{one}{two}{three}");
            (!steps.is_empty()).then(|| format!("{lane}:{steps}"))
        });
    prop::collection::vec(flow, 1..4).prop_map(|flows| flows.join(" "))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// Random workflows with random refusals, answers and timers that come twice, pauses, and operators who cancel and
    /// try again.
    #[test]
    fn every_flow_ends_done_or_undone_in_reverse_order(
        spelled in prop::collection::vec(flows(), 1..4),
        refusals in prop::collection::vec(any::<bool>(), 40),
        twice in any::<bool>(),
        pauses in prop::collection::vec(any::<bool>(), 30),
        cancels in prop::collection::vec(prop::bool::weighted(0.1), 30),
    ) {
        let mut driven = Driven::new();
        let (mut refusals, mut pauses, mut cancels) = (refusals.into_iter(), pauses.into_iter(), cancels.into_iter());
        let mut todo: Vec<Input> = Vec::new();
        for (number, flows) in spelled.iter().enumerate() {
            driven.is_paused = pauses.next().unwrap_or(false);
            driven.observe(if number == 0 { "Began" } else { "Later" }, flows);
        }
        let (mut done, mut undone) = (BTreeMap::<u32, Vec<u32>>::new(), BTreeMap::<u32, Vec<u32>>::new());
        let mut seen = 0;
        for _ in 0..2_000 {
            for event in driven.events.clone().drain(seen..) {
                match event {
                    SagaEvent::SagaHeld(event) => {
                        todo.push(Input::FireTimer(FireTimer { timer: event.timer, due: never(), held: false }));
                    }
                    SagaEvent::StepStarted(event) => {
                        // Once the refusals are used up everything is accepted, so every flow ends.
                        let is_refused = refusals.next().unwrap_or(false);
                        let answer = if is_refused { refused() } else { StepAnswer::Accepted };
                        let answer = Input::AnswerStep(AnswerStep { key: event.key.clone(), answer, round: 2, held: false });
                        todo.extend(std::iter::repeat_n(answer, if twice { 2 } else { 1 }));
                        if cancels.next().unwrap_or(false) {
                            todo.push(Input::Cancel(Cancel { flow: Some(event.key.flow), spares_retriable: true, order: order() }));
                        }
                    }
                    SagaEvent::EffectRequested(event) => {
                        let outcome = match (refusals.next(), refusals.next()) {
                            (Some(true), _) => EffectOutcome::Refused(refusal("no")),
                            (_, Some(true)) => EffectOutcome::Came(EffectAnswer::Unanswered("late".to_owned())),
                            _ => EffectOutcome::Came(EffectAnswer::Answered(Bytes(b"{}".to_vec()))),
                        };
                        let answer =
                            Input::AnswerEffect(AnswerEffect { number: event.number, outcome, held: false });
                        todo.extend(std::iter::repeat_n(answer, if twice { 2 } else { 1 }));
                        if cancels.next().unwrap_or(false) {
                            todo.push(Input::Cancel(Cancel { flow: Some(event.key.flow), spares_retriable: true, order: order() }));
                        }
                    }
                    SagaEvent::StepWaiting(event) => {
                        todo.push(Input::FireTimer(FireTimer { timer: event.timer, due: event.until, held: false }));
                    }
                    SagaEvent::StepDeferred(event) => {
                        todo.push(Input::FireTimer(FireTimer { timer: event.timer, due: event.until, held: false }));
                    }
                    SagaEvent::FlowParked(event) => todo.push(retry(Some(event.key.flow))),
                    SagaEvent::StepDone(event) => {
                        let steps = if event.key.undo { &mut undone } else { &mut done };
                        steps.entry(event.key.flow).or_default().push(event.key.step);
                    }
                    _ => {}
                }
            }
            seen = driven.events.len();
            let Some(mut input) = todo.pop() else { break };
            driven.now_s += 60;
            input.hold(pauses.next().unwrap_or(false));
            // An order may come too late.
            let _ = driven.decide(&input);
        }
        let ended: BTreeMap<u32, FlowOutcome> = driven.events.iter().filter_map(|event| match event {
            SagaEvent::FlowEnded(event) => Some((event.flow, event.outcome)),
            _ => None,
        }).collect();
        let added: BTreeSet<u32> = driven.events.iter().filter_map(|event| match event {
            SagaEvent::FlowAdded(event) => Some(event.flow),
            _ => None,
        }).collect();
        prop_assert_eq!(ended.keys().copied().collect::<BTreeSet<_>>(), added, "every flow ends");
        for (flow, outcome) in ended {
            let did = done.remove(&flow).unwrap_or_default();
            let mut undid = undone.remove(&flow).unwrap_or_default();
            prop_assert!(did.is_sorted(), "in order: {:?}", did);
            undid.reverse();
            match outcome {
                FlowOutcome::Done => prop_assert!(undid.is_empty()),
                FlowOutcome::Compensated => prop_assert_eq!(undid, did),
                FlowOutcome::Cancelled => prop_assert!(did.is_empty() && undid.is_empty()),
            }
        }
    }
}
