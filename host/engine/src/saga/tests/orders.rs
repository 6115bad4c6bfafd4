//! Orders of operators, in each state of a flow.

use super::*;
use crate::saga::input::{Resolution, Resolve};

/// Cancel by the rule of before, which also ends flows that begin with a retriable step.
fn cancel(flow: Option<u32>) -> Input {
    Input::Cancel(Cancel { flow, spares_retriable: false, order: order() })
}

fn cancel_of_today(flow: Option<u32>) -> Input {
    Input::Cancel(Cancel { flow, spares_retriable: true, order: order() })
}

fn resolve(flow: u32, outcome: Resolution) -> Input {
    Input::Resolve(Resolve { flow, outcome, code: None, order: order() })
}

/// All orders to a flow.
fn every_order(flow: u32) -> [Input; 5] {
    let resolved = [Resolution::Done, Resolution::Refused, Resolution::Compensated];
    let [done, refused, compensated] = resolved.map(|outcome| resolve(flow, outcome));
    [retry(Some(flow)), cancel(Some(flow)), done, refused, compensated]
}

fn rejections(driven: &mut Driven, orders: &[Input]) -> Vec<String> {
    orders.iter().map(|order| driven.decide(order).expect_err("it is refused")).collect()
}

fn outcomes(events: &[SagaEvent]) -> Vec<FlowOutcome> {
    let ended = events.iter().filter_map(|event| match event {
        SagaEvent::FlowEnded(event) => Some(event.outcome),
        _ => None,
    });
    ended.collect()
}

/// Instance whose only flow is parked at a step that uses up its attempts, after `before` steps that are done.
fn parked_at_a_retriable(before: &str) -> (Driven, StepKey) {
    let mut driven = Driven::new();
    let mut key = started(&driven.observe("Began", &format!("{before}r"))).remove(0);
    for _ in before.chars() {
        key = started(&driven.answer(&key, StepAnswer::Accepted)).remove(0);
    }
    for _ in 0..2 {
        let timer = timers(&driven.answer(&key, refused())).remove(0);
        key = started(&driven.input(&Input::FireTimer(timer))).remove(0);
    }
    assert_eq!(Driven::names(&driven.answer(&key, refused())), ["StepRefused", "FlowParked"]);
    (driven, key)
}

/// Instance whose only flow, `ccp`, is parked while it compensates its second step.
fn parked_compensation() -> (Driven, StepKey) {
    let mut driven = Driven::new();
    let mut key = started(&driven.observe("Began", "ccp")).remove(0);
    key = started(&driven.answer(&key, StepAnswer::Accepted)).remove(0);
    key = started(&driven.answer(&key, StepAnswer::Accepted)).remove(0);
    key = started(&driven.answer(&key, refused())).remove(0);
    for _ in 0..2 {
        let timer = timers(&driven.answer(&key, refused())).remove(0);
        key = started(&driven.input(&Input::FireTimer(timer))).remove(0);
    }
    assert_eq!(Driven::names(&driven.answer(&key, refused())), ["StepRefused", "FlowParked"]);
    (driven, key)
}

#[test]
fn an_instance_that_has_not_begun_takes_no_order() {
    let mut driven = Driven::new();
    assert_eq!(rejections(&mut driven, &every_order(1)), ["not_begun"; 5]);
    assert_eq!(rejections(&mut driven, &[retry(None), cancel(None)]), ["not_begun"; 2]);
}

#[test]
fn a_flow_that_ended_or_never_was_takes_no_order() {
    let mut driven = Driven::new();
    let key = started(&driven.observe("Began", "c")).remove(0);
    driven.answer(&key, StepAnswer::Accepted);
    assert_eq!(rejections(&mut driven, &every_order(1)), ["flow_ended"; 5]);
    assert_eq!(rejections(&mut driven, &every_order(2)), ["flow_not_found"; 5]);
    assert_eq!(rejections(&mut driven, &every_order(0)), ["flow_not_found"; 5]);
    assert_eq!(
        rejections(&mut driven, &[retry(None), cancel(None)]),
        ["nothing_parked", "nothing_to_cancel"]
    );
}

#[test]
fn a_retry_keeps_the_steps_that_are_done() {
    let (mut driven, _) = parked_at_a_retriable("cp");
    let events = driven.input(&retry(None));
    assert_eq!(Driven::names(&events), ["RetryOrdered", "StepStarted"]);
    let key = started(&events).remove(0);
    assert_eq!((key.step, key.undo), (2, false));
    assert_eq!(driven.decide(&retry(Some(1))), Err("not_parked".into()), "it runs already");
    assert_eq!(Driven::names(&driven.answer(&key, StepAnswer::Accepted)), ["StepDone", "FlowEnded"]);
    assert_eq!(driven.decide(&retry(Some(1))), Err("flow_ended".into()));
}

#[test]
fn a_retry_can_fail_again_and_be_ordered_again() {
    let (mut driven, _) = parked_at_a_retriable("");
    for _ in 0..2 {
        let mut key = started(&driven.input(&retry(Some(1)))).remove(0);
        loop {
            let events = driven.answer(&key, refused());
            let Some(timer) = timers(&events).pop() else { break };
            assert_eq!(
                driven.decide(&retry(Some(1))),
                Err("not_parked".into()),
                "it waits for its next attempt"
            );
            key = started(&driven.input(&Input::FireTimer(timer))).remove(0);
        }
        assert!(matches!(driven.events.last(), Some(SagaEvent::FlowParked(_))));
    }
}

#[test]
fn a_cancel_undoes_what_is_done_in_reverse_order() {
    let mut driven = Driven::new();
    let key = started(&driven.observe("Began", "ccx")).remove(0);
    let key = started(&driven.answer(&key, StepAnswer::Accepted)).remove(0);
    assert_eq!(Driven::names(&driven.answer(&key, StepAnswer::Accepted)), ["StepDone", "FlowParked"]);
    let events = driven.input(&cancel(Some(1)));
    assert_eq!(Driven::names(&events), ["CancelOrdered", "CompensationStarted", "StepStarted"]);
    let SagaEvent::CompensationStarted(compensation) = &events[1] else { panic!("{events:?}") };
    assert_eq!(compensation.reason.code, "cancelled");
    let second = started(&events).remove(0);
    assert_eq!((second.step, second.undo), (1, true));
    assert_eq!(driven.decide(&cancel(Some(1))), Err("compensating".into()), "no compensation is cancelled");
    assert_eq!(driven.decide(&cancel(None)), Err("compensating".into()));
    let first = started(&driven.answer(&second, StepAnswer::Accepted)).remove(0);
    let events = driven.answer(&first, StepAnswer::Accepted);
    assert_eq!(outcomes(&events), [FlowOutcome::Compensated]);
    assert_eq!(driven.decide(&cancel(Some(1))), Err("flow_ended".into()));
}

#[test]
fn a_flow_that_has_done_nothing_ends_with_its_timer_and_so_do_those_behind_it() {
    let mut driven = Driven::new();
    let timer = timers(&driven.observe("Began", "wr c")).remove(0);
    let events = driven.input(&cancel(None));
    assert_eq!(Driven::names(&events), ["CancelOrdered", "FlowEnded", "CancelOrdered", "FlowEnded"]);
    assert_eq!(outcomes(&events), [FlowOutcome::Cancelled; 2]);
    let ended = events.iter().filter_map(|event| match event {
        SagaEvent::CancelOrdered(event) => event.timer,
        _ => None,
    });
    assert_eq!(ended.map(|timer| timer.timer).collect::<Vec<_>>(), [timer.timer]);
    driven.now_s = 50;
    assert!(driven.input(&Input::FireTimer(timer)).is_empty(), "it is not waited for any more");
}

#[test]
fn a_flow_that_begins_behind_its_pivot_is_not_cancelled() {
    let mut driven = Driven::new();
    let timer = timers(&driven.observe("Began", "a:wr b:r c:c")).remove(0);
    assert_eq!(
        driven.decide(&cancel_of_today(Some(1))),
        Err("past_pivot".into()),
        "what it waits for is owed"
    );
    assert_eq!(driven.decide(&cancel_of_today(None)), Err("past_pivot".into()), "all or none");
    assert_eq!(Driven::names(&driven.input(&cancel_of_today(Some(3)))), ["CancelOrdered"]);
    driven.now_s = 50;
    assert_eq!(Driven::names(&driven.input(&Input::FireTimer(timer)))[..1], ["StepStarted"], "it goes on");
}

#[test]
fn a_flow_that_waits_behind_another_is_cancelled_alone() {
    let mut driven = Driven::new();
    let key = started(&driven.observe("Began", "c p")).remove(0);
    assert_eq!(Driven::names(&driven.input(&cancel(Some(2)))), ["CancelOrdered", "FlowEnded"]);
    assert_eq!(driven.decide(&resolve(2, Resolution::Done)), Err("flow_ended".into()));
    assert_eq!(Driven::names(&driven.answer(&key, StepAnswer::Accepted)), ["StepDone", "FlowEnded"]);
}

#[test]
fn past_the_pivot_nothing_is_cancelled() {
    let (mut driven, _) = parked_at_a_retriable("cp");
    assert_eq!(rejections(&mut driven, &[cancel(Some(1)), cancel(None)]), ["past_pivot"; 2]);
    let mut driven = Driven::new();
    driven.observe("Began", "a:p b:w");
    assert_eq!(driven.decide(&cancel(Some(1))), Err("past_pivot".into()), "nobody knows whether it is done");
    assert_eq!(driven.decide(&cancel(None)), Err("past_pivot".into()), "all or none");
    assert_eq!(Driven::names(&driven.input(&cancel(Some(2)))), ["CancelOrdered", "FlowEnded"]);
}

#[test]
fn a_cancel_before_the_pivot_of_a_step_behind_compensatable_ones_undoes_them() {
    let (mut driven, _) = parked_at_a_retriable("c");
    let events = driven.input(&cancel(Some(1)));
    assert_eq!(Driven::names(&events), ["CancelOrdered", "CompensationStarted", "StepStarted"]);
    let undo = started(&events).remove(0);
    assert_eq!(outcomes(&driven.answer(&undo, StepAnswer::Accepted)), [FlowOutcome::Compensated]);
}

#[test]
fn a_cancel_while_a_command_is_under_way_waits_for_its_answer() {
    for (answer, begins) in [(StepAnswer::Accepted, 1), (refused(), 0)] {
        let mut driven = Driven::new();
        let key = started(&driven.observe("Began", "ccp")).remove(0);
        let key = started(&driven.answer(&key, StepAnswer::Accepted)).remove(0);
        assert_eq!(Driven::names(&driven.input(&cancel(Some(1)))), ["CancelOrdered"]);
        assert_eq!(driven.decide(&cancel(Some(1))), Err("cancelled_already".into()));
        let events = driven.answer(&key, answer);
        assert_eq!(Driven::names(&events)[1..], ["CompensationStarted", "StepStarted"]);
        let undo = started(&events).remove(0);
        assert_eq!((undo.step, undo.undo), (begins, true), "what is done is undone");
    }
}

#[test]
fn a_failed_compensation_is_retried_and_resolved_and_holds_the_earlier_ones() {
    let (mut driven, _) = parked_compensation();
    let rejected = [cancel(Some(1)), resolve(1, Resolution::Done), resolve(1, Resolution::Refused)];
    assert_eq!(
        rejections(&mut driven, &rejected),
        ["compensating", "outcome_not_possible", "outcome_not_possible"]
    );
    let key = started(&driven.input(&retry(Some(1)))).remove(0);
    assert_eq!((key.step, key.undo), (1, true), "the first waits");
    let timer = timers(&driven.answer(&key, refused())).remove(0);
    let events = driven.input(&resolve(1, Resolution::Compensated));
    assert_eq!(Driven::names(&events), ["ResolveOrdered", "StepDone", "StepStarted"]);
    let SagaEvent::ResolveOrdered(resolved) = &events[0] else { panic!("{events:?}") };
    assert_eq!(
        resolved.timer.map(|timer| timer.timer),
        Some(timer.timer),
        "its next attempt is not waited for"
    );
    let first = started(&events).remove(0);
    assert_eq!((first.step, first.undo), (0, true));
    assert_eq!(outcomes(&driven.answer(&first, StepAnswer::Accepted)), [FlowOutcome::Compensated]);
}

#[test]
fn a_step_that_is_resolved_as_done_is_followed_by_the_next() {
    let mut driven = Driven::new();
    driven.observe("Began", "xc");
    let events = driven.input(&resolve(1, Resolution::Done));
    assert_eq!(Driven::names(&events), ["ResolveOrdered", "StepDone", "StepStarted"]);
    let key = started(&events).remove(0);
    assert_eq!(Driven::names(&driven.answer(&key, StepAnswer::Accepted)), ["StepDone", "FlowEnded"]);
}

#[test]
fn a_step_that_is_resolved_as_refused_has_the_earlier_ones_undone() {
    let mut driven = Driven::new();
    let key = started(&driven.observe("Began", "cx")).remove(0);
    driven.answer(&key, StepAnswer::Accepted);
    let code = Some("insufficient_funds".to_owned());
    let refused = Resolve { flow: 1, outcome: Resolution::Refused, code, order: order() };
    let events = driven.input(&Input::Resolve(refused));
    assert_eq!(
        Driven::names(&events),
        ["ResolveOrdered", "StepRefused", "CompensationStarted", "StepStarted"]
    );
    let SagaEvent::CompensationStarted(compensation) = &events[2] else { panic!("{events:?}") };
    assert_eq!(compensation.reason.code, "insufficient_funds");
}

#[test]
fn only_an_outcome_that_the_step_can_have_is_taken() {
    let (mut driven, _) = parked_at_a_retriable("p");
    let code = Some("no".to_owned());
    let done_with_code = Resolve { flow: 1, outcome: Resolution::Done, code, order: order() };
    let orders = [
        resolve(1, Resolution::Refused),
        resolve(1, Resolution::Compensated),
        Input::Resolve(done_with_code),
    ];
    assert_eq!(rejections(&mut driven, &orders), ["outcome_not_possible"; 3]);
    assert_eq!(outcomes(&driven.input(&resolve(1, Resolution::Done))), [FlowOutcome::Done]);
    let mut driven = Driven::new();
    driven.observe("Began", "w c");
    for flow in [1, 2] {
        let wanted = driven.decide(&resolve(flow, Resolution::Done));
        assert_eq!(wanted, Err("not_resolvable".into()), "nothing of it is under way");
    }
}

#[test]
fn an_answer_that_contradicts_a_resolution_is_recorded_once() {
    let contradicted = |spelled: &str, outcome, answer: &StepAnswer| {
        let mut driven = Driven::new();
        let key = started(&driven.observe("Began", spelled)).remove(0);
        driven.input(&resolve(1, outcome));
        let names = Driven::names(&driven.answer(&key, answer.clone()));
        assert!(driven.answer(&key, answer.clone()).is_empty(), "once");
        names
    };
    let contradiction = ["ResolutionContradicted"];
    assert_eq!(contradicted("p", Resolution::Done, &refused()), contradiction);
    assert_eq!(contradicted("p", Resolution::Refused, &StepAnswer::Accepted), contradiction);
    assert_eq!(
        contradicted("pr", Resolution::Done, &refused()),
        contradiction,
        "also while the flow goes on"
    );
    assert!(contradicted("p", Resolution::Done, &StepAnswer::Accepted).is_empty());
    assert!(contradicted("p", Resolution::Refused, &refused()).is_empty());
}

#[test]
fn the_refusal_of_an_earlier_attempt_contradicts_nothing() {
    let (mut driven, refused_attempt) = parked_at_a_retriable("");
    driven.input(&resolve(1, Resolution::Done));
    assert!(driven.answer(&refused_attempt, refused()).is_empty());
}
