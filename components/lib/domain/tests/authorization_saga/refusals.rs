//! What each step does after a refusal: which codes mean that nothing is left to do, and which are repeated.

use clearfold_domain::authorization::{Authorization, Event};
use clearfold_domain::authorization_saga::AuthorizationSaga;
use clearfold_domain::card::AGGREGATE as CARD;
use clearfold_kernel::{
    Action, Decider, EffectAnswer, Message, Rejection, Saga, StepCall, Subject, Timestamp, encode_state,
};
use serde_json::{Value, json};

use crate::world::ACCOUNT;

pub const AT: &str = "2026-11-22T10:00:00.000Z";

pub fn event(kind: &str, payload: &Value) -> Event {
    let version = Event::TYPES.iter().find(|known| known.name == kind).expect("an event").schema_version;
    Event::decode(kind, version, payload.to_string().as_bytes()).expect("a sound event")
}

pub fn amount() -> Value {
    json!({"minor": "100", "asset": "EURe", "decimals": 18})
}

pub fn request() -> Event {
    event(
        "AuthorizationRequested",
        &json!({
            "message_id": "msg-1", "account": ACCOUNT, "card_id": "card-1", "amount": amount(),
            "merchant": {"id": "m", "name": "M", "category": "5812", "country": "DE"}, "network": "visa",
            "partial_allowed": true, "hold_interval_s": 60, "occurred_at": AT, "at": AT,
        }),
    )
}

pub fn approval() -> Event {
    let expires_at = "2026-11-29T10:00:00.000Z";
    event(
        "AuthorizationApproved",
        &json!({"account": ACCOUNT, "amount": amount(), "expires_at": expires_at, "at": AT}),
    )
}

/// Instance that has observed these events.
fn subject(events: &[Event], now: &str) -> Subject {
    let now: Timestamp = now.parse().expect("a time");
    let (id, routing_key) = ("auth-1".to_owned(), ACCOUNT.to_owned());
    let mut subject = Subject { id, routing_key, memory: Vec::new(), now, effects: Vec::new() };
    for event in events {
        let observed = AuthorizationSaga::observe(&subject, event).expect("an event is observed");
        subject.memory = observed.memory.unwrap_or(subject.memory);
    }
    subject
}

fn refusal(code: &str) -> Rejection {
    Rejection::new(code, "")
}

pub fn call(subject: Subject, step: &str, argument: Vec<u8>) -> StepCall {
    StepCall {
        subject,
        flow: "a flow".to_owned(),
        step: step.to_owned(),
        argument,
        attempt: 1,
        refusal: None,
        last_refusal: None,
        answer: None,
    }
}

/// Name of the command that an action sends, or the action.
fn shown(action: &Action) -> String {
    match action {
        Action::Command { message, .. } => message.kind.clone(),
        action => format!("{action:?}"),
    }
}

/// Compensates a step of a request that was refused with a code; `last` is the refusal of the compensation before.
fn compensated(events: &[Event], step: &str, code: &str, last: Option<&str>) -> Action {
    let mut call = call(subject(events, AT), step, Vec::new());
    (call.refusal, call.last_refusal) = (Some(refusal(code)), last.map(refusal));
    AuthorizationSaga::compensate(&call).expect("an action")
}

#[test]
fn a_decline_names_the_reason_of_the_refusal_or_a_system_error() {
    for (code, reason) in [
        ("insufficient_funds", "insufficient_funds"),
        ("duplicate_mismatch", "duplicate_mismatch"),
        ("card_not_issued", "card_not_issued"),
        ("account_mismatch", "card_not_issued"),
        ("account_not_opened", "account_not_opened"),
        ("asset_not_held", "asset_not_held"),
        ("component_failed", "system_error"),
    ] {
        let action = compensated(&[request()], "answer", code, None);
        let Action::Command { aggregate, id, message, .. } = action else { panic!("{code}: {action:?}") };
        assert_eq!(
            (aggregate, id.as_str(), message.kind.as_str()),
            ("authorization", "auth-1", "DeclineAuthorization")
        );
        let payload: Value = serde_json::from_slice(&message.payload).expect("JSON");
        assert_eq!(payload["reason"], reason, "{code}");
    }
}

#[test]
fn a_compensation_ends_where_nothing_is_left_to_undo_and_is_repeated_otherwise() {
    let undecided = [request()];
    let done = shown(&Action::Done);
    for (step, ends, command) in [
        ("answer", &["already_decided"][..], "DeclineAuthorization"),
        ("reserve", &["card_not_issued", "account_mismatch"], "ReleaseSpend"),
        ("hold", &["account_not_opened"], "VoidHold"),
    ] {
        let after = |last| shown(&compensated(&undecided, step, "insufficient_funds", last));
        assert_eq!(after(None), command);
        for code in ends {
            assert_eq!(after(Some(code)), done, "{step} after {code}");
        }
        for code in ["component_failed", "clock_backwards", "duplicate_mismatch", "hold_not_found"] {
            assert_eq!(after(Some(code)), command, "{step} after {code}");
        }
    }
    assert_eq!(shown(&compensated(&undecided, "answer", "already_decided", None)), done);
}

#[test]
fn a_refusal_with_what_is_available_proposes_a_part_and_keeps_the_reservation() {
    let refused = |step: &str, available: &str, last: Option<&str>| {
        let mut call = call(subject(&[request()], AT), step, Vec::new());
        call.refusal = Some(Rejection::new("only_part_available", available));
        call.last_refusal = last.map(refusal);
        AuthorizationSaga::compensate(&call).expect("an action")
    };
    let cents = "5019999999999999999";
    assert_eq!(refused("reserve", cents, None), Action::Done);
    let Action::Command { id, message, .. } = refused("answer", cents, None) else { panic!("no command") };
    let payload: Value = serde_json::from_slice(&message.payload).expect("JSON");
    assert_eq!((id.as_str(), message.kind.as_str()), ("auth-1", "ProposePartialApproval"));
    assert_eq!(payload["amount"]["minor"], "5010000000000000000");
    // Decided meanwhile: what was kept is released.
    assert_eq!(shown(&refused("answer", cents, Some("already_decided"))), "ReleaseSpend");
    assert_eq!(refused("answer", cents, Some("card_not_issued")), Action::Done);
    assert_eq!(shown(&refused("answer", cents, Some("component_failed"))), "ProposePartialApproval");
    // Less than a cent, or a detail that is no amount, is no part.
    for available in ["9999999999999999", "some"] {
        assert_eq!(shown(&refused("reserve", available, None)), "ReleaseSpend");
        assert_eq!(shown(&refused("answer", available, None)), "DeclineAuthorization");
    }
}

#[test]
fn what_another_hand_approved_is_not_undone() {
    let approved = [request(), approval()];
    for step in ["reserve", "hold"] {
        assert_eq!(compensated(&approved, step, "already_decided", None), Action::Done);
    }
}

#[test]
fn the_release_has_the_same_id_as_that_of_the_bookings() {
    let action = compensated(&[request()], "reserve", "insufficient_funds", None);
    let Action::Command { aggregate, id, message, .. } = action else { panic!("{action:?}") };
    assert_eq!((aggregate, id.as_str()), (CARD, "card-1"));
    let payload: Value = serde_json::from_slice(&message.payload).expect("JSON");
    let expected =
        json!({"reservation_id": "auth-1/msg-1", "release_id": "declined/auth-1", "amount": "everything"});
    assert_eq!(payload, expected);
}

#[test]
fn an_expiry_waits_for_its_time_and_ends_where_nothing_expires() {
    let run = |events: &[Event], now: &str, last: Option<&str>| {
        let mut call = call(subject(events, now), "expire", Vec::new());
        call.last_refusal = last.map(refusal);
        AuthorizationSaga::run(&call).expect("an action")
    };
    let approved = [request(), approval()];
    let (before, due) = ("2026-11-29T09:59:59.999Z", "2026-11-29T10:00:00.000Z");
    assert_eq!(run(&approved, before, None), Action::WaitUntil(due.parse().expect("a time")));
    assert_eq!(
        run(&approved, before, Some("not_yet_expired")),
        Action::WaitUntil(due.parse().expect("a time"))
    );
    assert_eq!(shown(&run(&approved, due, None)), "ExpireAuthorization");
    // Not a wait: the time has come by what is known here, and a wait for it would end at once.
    assert_eq!(shown(&run(&approved, due, Some("not_yet_expired"))), "ExpireAuthorization");
    for code in ["not_open", "hold_does_not_expire"] {
        assert_eq!(run(&approved, due, Some(code)), Action::Done);
    }
    assert_eq!(run(&[request()], due, None), Action::Done);
}

/// Arguments of the steps `open` and `book` that follow from an event.
fn bookings(before: &[Event], event: &Event) -> Vec<(&'static str, Vec<u8>)> {
    let observed = AuthorizationSaga::observe(&subject(before, AT), event).expect("an event is observed");
    let steps = observed.flows.into_iter().filter(|flow| flow.name == "book").flat_map(|flow| flow.steps);
    steps.map(|step| (step.step, step.argument)).collect()
}

fn booked(step: &str, argument: &[u8], last: Option<&str>) -> Action {
    let mut call = call(subject(&[request()], AT), step, argument.to_vec());
    call.last_refusal = last.map(refusal);
    AuthorizationSaga::run(&call).expect("an action")
}

fn advice() -> Event {
    event(
        "AdviceRecorded",
        &json!({
            "message_id": "msg-9", "account": ACCOUNT, "card_id": "card-1", "amount": amount(), "hold": "placed",
            "merchant": {"id": "m", "name": "M", "category": "5812", "country": "DE"}, "network": "visa",
            "expires_at": AT, "occurred_at": AT, "at": AT,
        }),
    )
}

#[test]
fn a_booking_ends_where_nothing_is_left_to_book_and_is_repeated_otherwise() {
    let steps = bookings(&[request()], &advice());
    let done = shown(&Action::Done);
    let ends: [&[&str]; 5] = [
        &["duplicate_mismatch"],
        &["account_not_opened"],
        &[],
        &["card_not_issued", "account_mismatch", "reservation_not_found"],
        &["card_not_issued", "account_mismatch", "duplicate_mismatch"],
    ];
    let commands = ["OpenAccount", "VoidHold", "PlaceHold", "ReleaseSpend", "RecordSpend"];
    let sent: Vec<String> =
        steps.iter().map(|(step, argument)| shown(&booked(step, argument, None))).collect();
    assert_eq!(sent, commands);
    let codes = [
        "duplicate_mismatch",
        "account_not_opened",
        "card_not_issued",
        "account_mismatch",
        "reservation_not_found",
        "hold_not_found",
        "clock_backwards",
        "component_failed",
    ];
    for ((step, argument), (ends, command)) in steps.iter().zip(ends.iter().zip(commands)) {
        for code in codes {
            let expected = if ends.contains(&code) { &done } else { command };
            assert_eq!(&shown(&booked(step, argument, Some(code))), expected, "{command} after {code}");
        }
    }
}

#[test]
fn only_what_the_chain_reported_is_sent_as_seen_on_chain() {
    let hash = format!("0x{}", "01".repeat(32));
    let source = json!({
        "chain_id": 100, "block_hash": hash, "block_number": 1, "transaction_hash": hash, "log_index": 1,
    });
    let swipe = json!({"account": ACCOUNT, "amount": amount(), "source": source, "occurred_at": AT});
    let seen: Vec<(String, bool)> = bookings(&[], &event("SwipeRecorded", &swipe))
        .iter()
        .map(|(step, argument)| match booked(step, argument, None) {
            Action::Command { seen_on_chain, message, .. } => (message.kind, seen_on_chain),
            action => panic!("{action:?}"),
        })
        .collect();
    let expected = [("OpenAccount", false), ("MatchSpend", true), ("BookFunding", true)];
    assert_eq!(seen, expected.map(|(kind, seen)| (kind.to_owned(), seen)));
}

#[test]
fn a_memory_of_another_version_and_an_unknown_argument_are_errors() {
    let mut other = subject(&[request()], AT);
    other.memory[0] += 1;
    let why = AuthorizationSaga::observe(&other, &approval()).expect_err("another version");
    assert!(why.contains("this component reads"), "{why}");
    let state = Authorization::evolve(Default::default(), &request());
    assert_eq!(subject(&[request()], AT).memory[1..], encode_state(&state).expect("a state"));
    for argument in
        [&b""[..], b"{}", br#"{"aggregate":"safe","id":"a","type":"A","schema_version":1,"payload":{}}"#]
    {
        let call = call(subject(&[request()], AT), "book", argument.to_vec());
        assert!(AuthorizationSaga::run(&call).is_err());
    }
    let unknown = call(subject(&[request()], AT), "guess", Vec::new());
    assert!(AuthorizationSaga::run(&unknown).is_err() && AuthorizationSaga::compensate(&unknown).is_err());
}

#[test]
fn an_instance_starts_on_events_that_exist() {
    let known = Event::TYPES.iter().map(|known| known.name).collect::<Vec<_>>();
    assert!(AuthorizationSaga::STARTS_ON.iter().all(|name| known.contains(name)));
}

#[test]
fn a_risk_check_is_asked_only_where_the_host_offers_one() {
    let steps = |effects: Vec<String>| -> Vec<&str> {
        let subject = Subject { effects, ..subject(&[], AT) };
        let observed = AuthorizationSaga::observe(&subject, &request()).expect("an event is observed");
        observed.flows.iter().flat_map(|flow| &flow.steps).map(|planned| planned.step).collect()
    };
    assert_eq!(steps(Vec::new()), ["answer", "reserve", "hold", "approve"]);
    assert_eq!(steps(vec!["risk".to_owned()]), ["answer", "reserve", "hold", "assess", "approve"]);
}

#[test]
fn the_advice_of_the_risk_check_decides() {
    let assess = |answer: Option<EffectAnswer>| {
        let mut call = call(subject(&[request()], AT), "assess", Vec::new());
        call.answer = answer;
        AuthorizationSaga::run(&call).expect("an action")
    };
    let Action::Request { effect, request } = assess(None) else { panic!("nothing is asked") };
    let asked: Value = serde_json::from_slice(&request).expect("JSON");
    assert_eq!((effect, &asked["authorization_id"]), ("risk", &json!("auth-1")));
    assert_eq!(asked["amount"], amount());
    let answered = |text: &str| Some(EffectAnswer::Answered(text.as_bytes().to_vec()));
    assert_eq!(assess(answered(r#"{"decision":"approve","score":3}"#)), Action::Done);
    let refused = |action: Action| match action {
        Action::Refuse(refusal) => refusal.code,
        action => panic!("{action:?}"),
    };
    assert_eq!(refused(assess(answered(r#"{"decision":"decline"}"#))), "risk_declined");
    assert_eq!(refused(assess(answered(r#"{"decision":"perhaps"}"#))), "risk_unavailable");
    let unanswered = Some(EffectAnswer::Unanswered("no answer within 300 ms".to_owned()));
    assert_eq!(refused(assess(unanswered)), "risk_unavailable");
    for code in ["risk_declined", "risk_unavailable"] {
        let Action::Command { message, .. } = compensated(&[self::request()], "answer", code, None) else {
            panic!()
        };
        let payload: Value = serde_json::from_slice(&message.payload).expect("JSON");
        assert_eq!(payload["reason"], code);
    }
}

#[test]
fn a_part_and_an_increment_are_assessed_by_their_own_amounts() {
    let euros = |minor: &str| json!({"minor": minor, "asset": "EURe", "decimals": 18});
    let part = event(
        "PartialApprovalProposed",
        &json!({"account": ACCOUNT, "amount": euros("3"), "requested": "9", "at": AT}),
    );
    let increment = event(
        "IncrementRequested",
        &json!({"account": ACCOUNT, "message_id": "m-2", "amount": euros("5"), "basis": "addition",
                "addition": "5", "occurred_at": AT, "at": AT}),
    );
    for (before, event, minor, id) in [
        (vec![request()], part, "3", Value::Null),
        (vec![request(), approval()], increment, "5", json!("m-2")),
    ] {
        let offered = |subject: Subject| Subject { effects: vec!["risk".to_owned()], ..subject };
        let observed = AuthorizationSaga::observe(&offered(subject(&before, AT)), &event).expect("a flow");
        let steps = observed.flows.into_iter().flat_map(|flow| flow.steps);
        let assess = steps.into_iter().find(|planned| planned.step == "assess").expect("a step");
        let after = [before, vec![event]].concat();
        let asked = AuthorizationSaga::run(&call(offered(subject(&after, AT)), "assess", assess.argument));
        let Ok(Action::Request { request, .. }) = asked else { panic!("{asked:?}") };
        let asked: Value = serde_json::from_slice(&request).expect("JSON");
        assert_eq!((&asked["amount"]["minor"], &asked["increment_id"]), (&json!(minor), &id), "{asked}");
    }
}

#[test]
fn the_hold_and_that_of_a_part_are_known_by_the_numbers_of_their_request() {
    let mut asked: Value = serde_json::from_slice(&request().encode().expect("bytes").payload).expect("JSON");
    asked["details"] =
        json!({"acquirer": "40000001", "stan": "004711", "retrieval_reference": "632610004711"});
    let proposed = json!({
        "account": ACCOUNT, "card_id": "card-1", "merchant_id": "m", "at": AT, "requested": "100",
        "amount": {"minor": "50", "asset": "EURe", "decimals": 18},
    });
    let events = [event("AuthorizationRequested", &asked), event("PartialApprovalProposed", &proposed)];
    for (events, step, amount) in [(&events[..1], "hold", "100"), (&events[..], "hold-part", "50")] {
        let action = AuthorizationSaga::run(&call(subject(events, AT), step, Vec::new())).expect("an action");
        let Action::Command { message, .. } = action else { panic!("{action:?}") };
        let payload: Value = serde_json::from_slice(&message.payload).expect("JSON");
        assert_eq!(payload["asked_by"], "visa-40000001-004711-632610004711-1795341600");
        assert_eq!(payload["amount"]["minor"], amount);
    }
    let action =
        AuthorizationSaga::run(&call(subject(&[request()], AT), "hold", Vec::new())).expect("an action");
    let Action::Command { message, .. } = action else { panic!("{action:?}") };
    assert!(!String::from_utf8_lossy(&message.payload).contains("asked_by"));
}
