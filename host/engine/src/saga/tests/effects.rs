//! Effects of an instance: requested in an event, answered once, refused like a command.

use super::*;
use crate::saga::input::{Resolution, Resolve};
use crate::saga::instance::Instance;

fn requested(events: &[SagaEvent]) -> Option<u64> {
    events.iter().find_map(|event| match event {
        SagaEvent::EffectRequested(event) => Some(event.number),
        _ => None,
    })
}

fn outcome(number: u64, outcome: EffectOutcome) -> Input {
    Input::AnswerEffect(AnswerEffect { number, outcome, held: false })
}

fn answered(number: u64) -> Input {
    outcome(number, EffectOutcome::Came(EffectAnswer::Answered(Bytes(br#"{"ok":true}"#.to_vec()))))
}

fn unanswered(number: u64) -> Input {
    outcome(number, EffectOutcome::Came(EffectAnswer::Unanswered("late".to_owned())))
}

#[test]
fn an_effect_is_requested_and_its_step_goes_on_with_the_answer() {
    let mut driven = Driven::new();
    let events = driven.observe("Began", "ec");
    assert_eq!(Driven::names(&events), ["SagaStarted", "EventObserved", "FlowAdded", "EffectRequested"]);
    let events = driven.input(&answered(1));
    assert_eq!(Driven::names(&events), ["EffectAnswered", "StepDone", "StepStarted"]);
    assert!(driven.input(&answered(1)).is_empty(), "a second answer changes nothing");
    assert!(driven.input(&answered(2)).is_empty(), "and so does that of an effect that nobody requested");
}

#[test]
fn a_missing_answer_is_the_components_to_judge_and_a_refusal_is_one_of_the_step() {
    let mut driven = Driven::new();
    driven.observe("Began", "ce");
    let key = started(&driven.events).remove(0);
    driven.answer(&key, StepAnswer::Accepted);
    let events = driven.input(&unanswered(1));
    let expected = ["EffectAnswered", "StepRefused", "CompensationStarted", "StepStarted"];
    assert_eq!(Driven::names(&events), expected);

    let mut driven = Driven::new();
    driven.observe("Began", "f");
    let events = driven.input(&outcome(1, EffectOutcome::Refused(refusal("no"))));
    assert_eq!(Driven::names(&events), ["StepRefused", "StepDeferred"], "a retriable one comes again, later");
    assert_eq!(requested(&events), None);
    let events = driven.input(&Input::FireTimer(timers(&events)[0]));
    assert_eq!(requested(&events), Some(2), "under another number");
    assert!(driven.input(&answered(1)).is_empty(), "the first was refused");
    assert_eq!(Driven::names(&driven.input(&unanswered(2))), ["EffectAnswered", "StepDone", "FlowEnded"]);
}

#[test]
fn what_is_requested_until_it_is_answered_waits_between_two_requests() {
    let mut driven = Driven::new();
    driven.observe("Began", "g");
    for number in 1..=3 {
        let events = driven.input(&unanswered(number));
        assert_eq!(Driven::names(&events), ["EffectAnswered", "StepDeferred"]);
        let timer = timers(&events).remove(0);
        assert!(timer.due > Timestamp::from_s(driven.now_s).unwrap());
        assert_eq!(requested(&driven.input(&Input::FireTimer(timer))), Some(number + 1));
    }
    let answered = driven.input(&answered(4));
    assert_eq!(Driven::names(&answered), ["EffectAnswered", "StepDone", "FlowEnded"]);
}

#[test]
fn an_effect_that_the_host_did_not_offer_parks_the_flow_with_the_reason() {
    let mut driven = Driven::new();
    let events = driven.observe("Began", "u b:c");
    let parked = events.iter().find_map(|event| match event {
        SagaEvent::FlowParked(event) => Some(event.reason.code.as_str()),
        _ => None,
    });
    assert_eq!(parked, Some("effect_not_offered"), "{events:?}");
    assert_eq!(started(&events).len(), 1, "the other lane goes on");
}

#[test]
fn a_cancelled_flow_is_undone_when_the_outcome_is_there() {
    let mut driven = Driven::new();
    driven.observe("Began", "e");
    let events =
        driven.input(&Input::Cancel(Cancel { flow: Some(1), spares_retriable: true, order: order() }));
    assert_eq!(Driven::names(&events), ["CancelOrdered"]);
    let events = driven.input(&answered(1));
    assert_eq!(Driven::names(&events), ["EffectAnswered", "StepDone", "CompensationStarted", "StepStarted"]);
}

#[test]
fn the_first_machine_took_a_missing_answer_for_an_answer() {
    let mut driven = Driven::new();
    driven.observe("Began", "e");
    let resolve =
        Resolve { flow: 1, outcome: Resolution::Refused, code: Some("lost".to_owned()), order: order() };
    driven.input(&Input::Resolve(resolve));
    let mut instance: Instance = clearfold_kernel::decode_state(&driven.state).unwrap();
    instance.engine = 1;
    driven.state = clearfold_kernel::encode_state(&instance).unwrap();
    // So does a replay of what that machine decided.
    assert_eq!(Driven::names(&driven.input(&unanswered(1))), ["ResolutionContradicted"]);
}

#[test]
fn an_outcome_that_contradicts_an_operator_is_recorded() {
    let mut driven = Driven::new();
    driven.observe("Began", "e");
    let resolve =
        Resolve { flow: 1, outcome: Resolution::Refused, code: Some("lost".to_owned()), order: order() };
    let events = driven.input(&Input::Resolve(resolve));
    assert_eq!(Driven::names(&events), ["ResolveOrdered", "StepRefused", "CompensationStarted", "FlowEnded"]);
    assert!(driven.input(&unanswered(1)).is_empty(), "a missing answer contradicts nothing");
    assert_eq!(Driven::names(&driven.input(&answered(1))), ["ResolutionContradicted"]);
    assert!(driven.input(&answered(1)).is_empty(), "once");
}

#[test]
fn an_answer_that_comes_while_the_saga_is_paused_waits_for_the_resume() {
    let mut driven = Driven::new();
    driven.observe("Began", "ec");
    let mut answer = answered(1);
    answer.hold(true);
    let events = driven.input(&answer);
    assert_eq!(Driven::names(&events), ["EffectAnswered", "SagaHeld"]);
    let resume = FireTimer { timer: 1, due: never(), held: false };
    let events = driven.input(&Input::FireTimer(resume));
    assert_eq!(Driven::names(&events), ["SagaResumed", "StepDone", "StepStarted"]);
}

#[test]
fn a_request_that_was_put_off_is_asked_for_again_when_it_is_due() {
    for (event, expected) in [("!other", vec!["EffectRequested"]), ("!stop", vec!["StepDone", "FlowEnded"])] {
        let mut driven = Driven::new();
        driven.observe("Began", "f");
        let put_off = driven.input(&outcome(1, EffectOutcome::Refused(refusal("no"))));
        driven.observe("Later", event);
        let events = driven.input(&Input::FireTimer(timers(&put_off)[0]));
        assert_eq!(Driven::names(&events), expected, "{event}");
    }
}

#[test]
fn a_request_that_was_put_off_and_held_is_asked_for_again_at_the_resume() {
    let mut driven = Driven::new();
    driven.observe("Began", "f");
    let put_off = driven.input(&outcome(1, EffectOutcome::Refused(refusal("no"))));
    let mut fire = Input::FireTimer(timers(&put_off)[0]);
    fire.hold(true);
    assert_eq!(Driven::names(&driven.input(&fire)), ["TimerHeld", "SagaHeld"]);
    driven.observe("Later", "!stop");
    let resume = FireTimer { timer: 2, due: never(), held: false };
    let events = driven.input(&Input::FireTimer(resume));
    assert!(requested(&events).is_none(), "{events:?}");
}
