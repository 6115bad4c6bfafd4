//! Pause of a saga: what comes is recorded and waits, and goes on at the resume.

use super::*;

/// Timer that the resume fires, if something waits for it.
fn marker(events: &[SagaEvent]) -> Option<FireTimer> {
    events.iter().find_map(|event| match event {
        SagaEvent::SagaHeld(event) => Some(FireTimer { timer: event.timer, due: never(), held: false }),
        _ => None,
    })
}

fn paused() -> Driven {
    let mut driven = Driven::new();
    driven.is_paused = true;
    driven
}

#[test]
fn events_wait_in_their_order_and_are_observed_at_the_resume() {
    let mut driven = paused();
    let events = driven.observe("Began", "a:c");
    assert_eq!(Driven::names(&events), ["SagaStarted", "ObservationQueued", "SagaHeld"]);
    let marker = marker(&events).unwrap();
    assert_eq!(Driven::names(&driven.observe("Later", "b:c")), ["ObservationQueued"], "one mark is enough");
    driven.is_paused = false;
    let events = driven.input(&Input::FireTimer(marker));
    let expected = [
        "SagaResumed",
        "EventObserved",
        "FlowAdded",
        "EventObserved",
        "FlowAdded",
        "StepStarted",
        "StepStarted",
    ];
    assert_eq!(Driven::names(&events), expected);
    assert!(driven.input(&Input::FireTimer(marker)).is_empty(), "a resume fires once");
}

#[test]
fn an_event_that_comes_between_the_resume_and_its_timer_waits_behind_the_others() {
    let mut driven = paused();
    let marker = marker(&driven.observe("Began", "a:c")).unwrap();
    driven.is_paused = false;
    assert_eq!(Driven::names(&driven.observe("Later", "b:c")), ["ObservationQueued"]);
    let observed = Driven::names(&driven.input(&Input::FireTimer(marker)));
    assert_eq!(observed.iter().filter(|name| *name == "EventObserved").count(), 2);
}

#[test]
fn an_answer_is_taken_and_the_next_step_waits() {
    let mut driven = Driven::new();
    let key = started(&driven.observe("Began", "cc")).remove(0);
    driven.is_paused = true;
    let events = driven.answer(&key, StepAnswer::Accepted);
    assert_eq!(Driven::names(&events), ["StepDone", "SagaHeld"]);
    let marker = marker(&events).unwrap();
    driven.is_paused = false;
    assert_eq!(Driven::names(&driven.input(&Input::FireTimer(marker))), ["SagaResumed", "StepStarted"]);
}

#[test]
fn a_refusal_is_taken_and_its_compensation_waits() {
    let mut driven = Driven::new();
    let key = started(&driven.observe("Began", "cp")).remove(0);
    let key = started(&driven.answer(&key, StepAnswer::Accepted)).remove(0);
    driven.is_paused = true;
    let events = driven.answer(&key, refused());
    assert_eq!(Driven::names(&events), ["StepRefused", "CompensationStarted", "SagaHeld"]);
    let marker = marker(&events).unwrap();
    driven.is_paused = false;
    let undo = started(&driven.input(&Input::FireTimer(marker))).remove(0);
    assert_eq!((undo.step, undo.undo), (0, true));
}

#[test]
fn timers_run_on_and_what_they_fire_waits() {
    let mut driven = Driven::new();
    let waiting = timers(&driven.observe("Began", "a:w b:r")).remove(0);
    let key = started(&driven.events).remove(0);
    let deferred = timers(&driven.answer(&key, refused())).remove(0);
    driven.now_s = 60;
    let held = |timer: FireTimer| Input::FireTimer(FireTimer { held: true, ..timer });
    let events = driven.input(&held(waiting));
    assert_eq!(Driven::names(&events), ["TimerHeld", "SagaHeld"]);
    let marker = marker(&events).unwrap();
    assert_eq!(Driven::names(&driven.input(&held(deferred))), ["TimerHeld"]);
    assert!(driven.input(&held(deferred)).is_empty(), "it fired");
    let events = driven.input(&Input::FireTimer(marker));
    assert_eq!(Driven::names(&events), ["SagaResumed", "StepStarted", "StepStarted"]);
    let attempts: Vec<u32> = started(&events).iter().map(|key| key.attempt).collect();
    assert_eq!(attempts, [1, 2], "the second attempt is the one that was put off");
}

#[test]
fn what_is_paused_again_before_it_went_on_waits_for_the_next_resume() {
    let mut driven = paused();
    let first = marker(&driven.observe("Began", "c")).unwrap();
    let events = driven.input(&Input::FireTimer(FireTimer { held: true, ..first }));
    assert_eq!(Driven::names(&events), ["SagaResumed", "SagaHeld"]);
    let second = marker(&events).unwrap();
    assert!(driven.input(&Input::FireTimer(first)).is_empty());
    let events = driven.input(&Input::FireTimer(second));
    assert_eq!(Driven::names(&events), ["SagaResumed", "EventObserved", "FlowAdded", "StepStarted"]);
}

#[test]
fn an_instance_for_which_nothing_happens_is_not_held() {
    let mut driven = paused();
    assert!(driven.observe("Later", "c").is_empty(), "it has not begun");
    let mut driven = Driven::new();
    let key = started(&driven.observe("Began", "c")).remove(0);
    driven.is_paused = true;
    assert_eq!(Driven::names(&driven.answer(&key, StepAnswer::Accepted)), ["StepDone", "SagaHeld"]);
    assert!(driven.answer(&key, StepAnswer::Accepted).is_empty());
}
