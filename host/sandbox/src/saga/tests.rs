//! Answers of components that are checked, and what is refused in them.

use super::*;

fn step(name: &str, phase: SagaPhase) -> SagaStep {
    let retry = SagaRetry { first_delay_ms: 100, longest_delay_ms: 60_000, attempts: 10 };
    SagaStep { name: name.to_owned(), phase, retry }
}

fn described() -> SagaDescriptor {
    SagaDescriptor {
        name: "authorization".into(),
        follows: "authorization".into(),
        starts_on: vec!["AuthorizationRequested".into()],
        observes: vec!["AuthorizationExpired".into()],
        steps: vec![
            step("reserve", SagaPhase::Compensatable),
            step("hold", SagaPhase::Pivot),
            step("approve", SagaPhase::Retriable),
        ],
        effects: vec!["risk".into(), "mail".into()],
    }
}

fn flow(steps: &[&str]) -> SagaFlow {
    let planned = |step: &&str| PlannedStep { step: (*step).to_owned(), argument: Vec::new() };
    SagaFlow { name: "authorize".into(), lane: "main".into(), steps: steps.iter().map(planned).collect() }
}

fn call(step: &str) -> StepCall {
    let effects = vec!["risk".to_owned()];
    let subject =
        SagaSubject { id: "p1".into(), routing_key: "0xaa".into(), memory: Vec::new(), now_ms: 1, effects };
    StepCall {
        subject,
        flow: "authorize".into(),
        step: step.to_owned(),
        argument: Vec::new(),
        attempt: 1,
        refusal: None,
        last_refusal: None,
        answer: None,
    }
}

fn command() -> SagaCommand {
    let message = SagaMessage { type_: "ReserveAmount".into(), schema_version: 1, payload: b"{}".to_vec() };
    SagaCommand { aggregate: "card".into(), id: "c-1".into(), seen_on_chain: false, message }
}

#[test]
fn a_description_of_what_cannot_run_is_refused() {
    type Lie = (&'static str, fn(&mut SagaDescriptor));
    assert_eq!(check(&described()), Ok(()));
    let lies: [Lie; 16] = [
        ("`a-b` is no name of a saga", |saga| saga.name = "a-b".into()),
        ("is no name of a saga", |saga| saga.name = "a".repeat(64)),
        ("`` is no name of an aggregate", |saga| saga.follows.clear()),
        ("`saga` is reserved", |saga| saga.follows = "saga".into()),
        ("no event starts an instance", |saga| saga.starts_on.clear()),
        ("an event with \"\\n\" for a name", |saga| saga.observes.push("\n".into())),
        ("the event `AuthorizationExpired` stands twice", |saga| {
            saga.starts_on.push("AuthorizationExpired".into());
        }),
        ("it has no step", |saga| saga.steps.clear()),
        ("the step `hold` stands twice", |saga| saga.steps.push(step("hold", SagaPhase::Retriable))),
        ("`Hold` is no name for a step", |saga| saga.steps[1].name = "Hold".into()),
        ("`1-hold` is no name for a step", |saga| saga.steps[1].name = "1-hold".into()),
        ("both are at least 1", |saga| saga.steps[0].retry.first_delay_ms = 0),
        ("both are at least 1", |saga| saga.steps[0].retry.attempts = 0),
        ("less than its first, 100 ms", |saga| saga.steps[0].retry.longest_delay_ms = 99),
        ("the effect `risk` stands twice", |saga| saga.effects.push("risk".into())),
        ("`Risk` is no name for an effect", |saga| saga.effects[0] = "Risk".into()),
    ];
    for (said, lie) in lies {
        let mut descriptor = described();
        lie(&mut descriptor);
        let why = check(&descriptor).unwrap_err();
        assert!(why.contains(said), "{said}: {why}");
    }
}

#[test]
fn a_flow_keeps_the_order_of_phases_or_is_no_flow() {
    let check = |steps: &[&str]| check_flow(&described(), &flow(steps));
    for steps in [
        ["reserve", "hold", "approve"].as_slice(),
        &["reserve", "reserve", "hold", "approve", "approve"],
        &["reserve", "approve"],
        &["hold"],
        &["approve"],
    ] {
        assert_eq!(check(steps), Ok(()), "{steps:?}");
    }
    for (steps, said) in [
        (["hold", "reserve"].as_slice(), "the compensatable step `reserve` after a pivot one"),
        (&["approve", "reserve"], "the compensatable step `reserve` after a retriable one"),
        (&["approve", "hold"], "the pivot step `hold` after a retriable one"),
        (&["hold", "hold"], "a second pivot, `hold`"),
        (&["hold", "approve", "hold"], "the pivot step `hold` after a retriable one"),
        (&["guess"], "the step `guess`, which it does not describe"),
        (&[], "has no step"),
    ] {
        let why = check(steps).unwrap_err();
        assert!(why.contains(said), "{steps:?}: {why}");
    }
}

#[test]
fn names_that_are_none_are_noticed_in_an_observation() {
    let observed = |cancel: &str, name: &str, lane: &str| {
        let flow = SagaFlow { name: name.to_owned(), lane: lane.to_owned(), ..flow(&["hold"]) };
        check_observed(
            &described(),
            &Observed { memory: None, cancel: vec![cancel.to_owned()], flows: vec![flow] },
        )
    };
    assert_eq!(observed("expiry", "authorize", "main"), Ok(()));
    for (cancel, name, lane) in [("", "a", "b"), ("a", "A", "b"), ("a", "b", "c/d"), ("a\0", "b", "c")] {
        let why = observed(cancel, name, lane).unwrap_err();
        assert!(why.contains("is no name for a"), "{why}");
    }
}

#[test]
fn a_command_that_no_stream_could_take_is_noticed() {
    type Lie = (&'static str, fn(&mut SagaCommand));
    let checked = |command| checked_action(&described(), &call("hold"), SagaAction::Command(command));
    assert_eq!(checked(command()), Ok(SagaAction::Command(command())));
    let lies: [Lie; 6] = [
        ("`a-b` is no name of an aggregate", |command| command.aggregate = "a-b".into()),
        ("`saga` is reserved", |command| command.aggregate = "saga".into()),
        ("\"\" is no id of a stream", |command| command.id.clear()),
        ("is no name of a command", |command| command.message.type_ = "a\0".into()),
        ("v0; versions begin with 1", |command| command.message.schema_version = 0),
        ("v4294967295; versions", |command| command.message.schema_version = u32::MAX),
    ];
    for (said, lie) in lies {
        let mut command = command();
        lie(&mut command);
        let why = checked(command).unwrap_err();
        assert!(why.contains(said) && why.contains("a command of the step `hold`"), "{said}: {why}");
    }
}

#[test]
fn a_step_waits_for_a_time_and_is_refused_before_it_is_retriable() {
    let answered = |step: &str, action| checked_action(&described(), &call(step), action);
    let refuse = |code: &str, detail: &str| {
        SagaAction::Refuse(SagaRefusal { code: code.to_owned(), detail: detail.to_owned() })
    };
    for action in [SagaAction::Done, SagaAction::WaitUntilMs(1_795_341_600_000)] {
        assert_eq!(answered("approve", action.clone()), Ok(action));
    }
    assert!(answered("hold", SagaAction::WaitUntilMs(u64::MAX)).unwrap_err().contains("the year 9999"));
    assert_eq!(answered("hold", refuse("no_funds", "a\0b")), Ok(refuse("no_funds", "a\u{fffd}b")));
    assert_eq!(answered("planned-earlier", refuse("no", "")), Ok(refuse("no", "")));
    assert!(answered("hold", refuse("", "a")).unwrap_err().contains("refused with the code ``"));
    let why = answered("approve", refuse("no_funds", "")).unwrap_err();
    assert!(why.contains("the retriable step `approve` is refused"), "{why}");
}

#[test]
fn a_step_requests_only_what_is_described() {
    let requested = |effect: &str, request: &[u8]| {
        let effect = SagaEffect { name: effect.to_owned(), request: request.to_vec() };
        checked_action(&described(), &call("hold"), SagaAction::Request(effect))
    };
    assert!(requested("risk", br#"{"amount":"1"}"#).is_ok());
    let why = requested("post", b"{}").unwrap_err();
    assert!(why.contains("the step `hold` requests the effect `post`, which it does not describe"), "{why}");
    assert!(requested("risk", b"{").unwrap_err().contains("a request that is no JSON"));
}
