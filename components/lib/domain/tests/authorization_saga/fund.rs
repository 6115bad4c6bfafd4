//! Money on chain: which events have it pulled, what is asked for, and when the funding is reported as final.

use clearfold_domain::authorization::{Event, Legs, Links, State};
use clearfold_domain::authorization_saga::AuthorizationSaga;
use std::collections::BTreeMap;

use clearfold_kernel::{
    Action, EffectAnswer, ExternalId, Flow, Hash, Minor, Rejection, Saga, StepCall, Subject, decode_state,
    encode_state,
};
use serde_json::{Value, json};

use crate::refusals::{AT, amount, approval, call, event, request};
use crate::world::ACCOUNT;

/// Instance that was offered these effects and has observed these events, with the flows of the last of them.
fn observed(events: &[Event], effects: &[&str]) -> (Subject, Vec<Flow>) {
    let effects = effects.iter().map(|effect| (*effect).to_owned()).collect();
    let (id, routing_key) = ("auth-1".to_owned(), ACCOUNT.to_owned());
    let now = AT.parse().expect("a time");
    let mut subject = Subject { id, routing_key, memory: Vec::new(), now, effects };
    let mut flows = Vec::new();
    for event in events {
        let observed = AuthorizationSaga::observe(&subject, event).expect("an event is observed");
        subject.memory = observed.memory.unwrap_or(subject.memory);
        flows = observed.flows;
    }
    (subject, flows)
}

/// Names of the flows in the lane of the funding that follow from the last of these events, without the search for a
/// `Spend`, which is before each leg.
fn funding(events: &[Event], effects: &[&str]) -> Vec<&'static str> {
    let flows = observed(events, effects).1;
    flows.iter().filter(|flow| flow.lane == "funding" && flow.name != "match").map(|flow| flow.name).collect()
}

fn run(events: &[Event], step: &str, change: impl FnOnce(&mut StepCall)) -> Action {
    let mut call = call(observed(events, &["pull", "pull-leg"]).0, step, Vec::new());
    change(&mut call);
    AuthorizationSaga::run(&call).expect("an action")
}

/// Amount and number of the pull that is requested.
fn requested(action: &Action) -> (Value, Value) {
    let Action::Request { effect, request } = action else { panic!("{action:?}") };
    let request: Value = serde_json::from_slice(request).expect("JSON");
    assert_eq!((&request["authorization_id"], &request["account"]), (&json!("auth-1"), &json!(ACCOUNT)));
    // A host that offers only `pull` does not know these members.
    let is_known_to_all = request.get("leg").is_none() && request.get("withdraw").is_none();
    assert_eq!(*effect, if is_known_to_all { "pull" } else { "pull-leg" });
    (request["amount"].clone(), request["number"].clone())
}

/// Kind and payload of the command to the payment.
fn told(action: &Action) -> (&str, Value) {
    let Action::Command { aggregate: "authorization", id, seen_on_chain: false, message } = action else {
        panic!("{action:?}")
    };
    assert_eq!(id, "auth-1");
    (&message.kind, serde_json::from_slice(&message.payload).expect("JSON"))
}

fn source() -> Value {
    let hash = |byte: &str| format!("0x{}", byte.repeat(32));
    json!({"chain_id": 100, "block_hash": hash("0a"), "block_number": 10, "transaction_hash": hash("ee"),
           "log_index": 3})
}

fn included() -> Event {
    let happened = json!({"account": ACCOUNT, "amount": amount(), "source": source(), "occurred_at": AT});
    event("FundingIncluded", &happened)
}

fn finalized() -> Event {
    let happened = json!({"account": ACCOUNT, "amount": amount(), "source": source(), "occurred_at": AT});
    event("FundingFinalized", &happened)
}

fn reversed(minor: &str, full: bool) -> Event {
    let amount = |minor: &str| json!({"minor": minor, "asset": "EURe", "decimals": 18});
    event(
        "AuthorizationReversed",
        &json!({
            "account": ACCOUNT, "message_id": format!("reversal-{minor}"), "extent": "full", "cause": "merchant", "full": full,
            "released": amount(minor), "occurred_at": AT, "at": AT,
        }),
    )
}

#[test]
fn an_approved_payment_is_pulled_where_the_host_offers_pulls() {
    let approved = [request(), approval()];
    assert_eq!(funding(&approved, &["risk", "pull"]), ["fund"]);
    assert_eq!(funding(&approved, &["risk"]), [""; 0]);
    assert_eq!(funding(&approved[..1], &["pull"]), [""; 0], "nothing is approved");
    let (asked, number) = requested(&run(&approved, "pull", |_| {}));
    assert_eq!((asked, number), (amount(), json!(1)));
}

#[test]
fn a_swipe_that_was_seen_on_chain_is_not_pulled_again() {
    let swiped = json!({"account": ACCOUNT, "amount": amount(), "source": source(), "occurred_at": AT});
    let swiped = event("SwipeRecorded", &swiped);
    assert_eq!(funding(&[swiped], &["pull"]), [""; 0]);
}

#[test]
fn a_refused_pull_is_asked_for_with_the_next_number_and_an_unknown_one_with_the_same() {
    let approved = [request(), approval()];
    assert_eq!(requested(&run(&approved, "pull", |call| call.attempt = 2)).1, json!(2));
    let unknown = EffectAnswer::Unanswered("the host failed".to_owned());
    assert_eq!(requested(&run(&approved, "pull", |call| call.answer = Some(unknown))).1, json!(1));
    let answered = EffectAnswer::Answered(b"{}".to_vec());
    assert_eq!(run(&approved, "pull", |call| call.answer = Some(answered)), Action::Done);
}

#[test]
fn what_was_given_back_before_the_pull_began_is_not_pulled() {
    let in_part = [request(), approval(), reversed("40", false)];
    let (asked, _) = requested(&run(&in_part, "pull", |_| {}));
    assert_eq!(asked["minor"], "60");
    let whole = [request(), approval(), reversed("40", false), reversed("60", true)];
    let (asked, _) = requested(&run(&whole, "pull", |_| {}));
    assert_eq!(asked["minor"], "0", "the other side says whether a pull may be executed");
    let none = run(&whole, "pull", |call| {
        (call.attempt, call.last_refusal) = (2, Some(Rejection::new("amount_not_positive", "a refusal")));
    });
    assert_eq!(told(&none), ("AbandonFunding", json!({"cause": "withdrawn"})));
}

#[test]
fn what_was_given_back_while_its_pull_may_live_ends_with_the_pull() {
    let reversed = [request(), approval(), reversed("100", true)];
    let refused = |code: &str| {
        run(&reversed, "pull", |call| {
            (call.attempt, call.last_refusal) = (2, Some(Rejection::new(code, "a refusal")));
        })
    };
    for code in ["effect_not_offered", "component_failed"] {
        let (asked, number) = requested(&refused(code));
        assert_eq!((&asked["minor"], number), (&json!("0"), json!(2)), "{code} does not say that it is dead");
    }
    for code in ["pull_dead", "account_without_roles", "pull_withdrawn", "amount_not_positive"] {
        assert_eq!(told(&refused(code)), ("AbandonFunding", json!({"cause": "withdrawn"})), "{code}");
    }
    let unknown = EffectAnswer::Unanswered("the host failed".to_owned());
    let (asked, _) = requested(&run(&reversed, "pull", |call| call.answer = Some(unknown)));
    assert_eq!(asked["minor"], "0");
}

#[test]
fn a_funding_that_was_seen_is_reported_as_final_behind_the_pull() {
    let seen = [request(), approval(), included()];
    assert_eq!(funding(&seen, &["pull"]), ["finalize"], "in the lane of the pull, so it waits for its end");
    let action = run(&seen, "finalize", |_| {});
    let Action::Command { aggregate, id, seen_on_chain, message } = action else { panic!("{action:?}") };
    assert_eq!((aggregate, id.as_str(), seen_on_chain), ("authorization", "auth-1", true));
    let payload: Value = serde_json::from_slice(&message.payload).expect("JSON");
    assert_eq!(message.kind, "ObserveFunding");
    assert_eq!(payload["observation"], json!({"finalized": {"source": source()}}));

    let done = [request(), approval(), included(), finalized()];
    assert_eq!(run(&done, "finalize", |_| {}), Action::Done, "it is final already");
    assert_eq!(funding(&done, &["pull"]), [""; 0]);
}

/// Memory of the version before there were legs: its state is the head of one that has none.
fn without_legs(subject: &Subject) -> Subject {
    let no_links = (Links::default(), BTreeMap::<String, Hash>::new(), None::<ExternalId>);
    let state: State = decode_state(&subject.memory[1..]).expect("a state");
    let newest = (state.beside, state.fees, state.clearing_links, state.terminal);
    let newest = (state.single_message, state.dispute_money, state.asked_by, newest);
    let rest = (Legs::default(), Minor::ZERO, no_links, state.record_reversals, newest);
    let none = encode_state(&rest).expect("bytes");
    let state = subject.memory[1..].strip_suffix(&none[..]).expect("no legs, no links, and nothing released");
    Subject { memory: [&[9], state].concat(), ..subject.clone() }
}

#[test]
fn an_instance_from_before_there_were_legs_goes_on_with_the_leg_that_was_missing() {
    let (subject, _) = observed(&[request(), approval()], &["pull"]);
    let subject = without_legs(&subject);
    let action = AuthorizationSaga::run(&call(subject.clone(), "pull", Vec::new())).expect("an action");
    assert_eq!(requested(&action).0, amount());
    let claimed = event(
        "ForcePosted",
        &json!({
            "account": ACCOUNT, "clearing_id": "f1", "amount": amount(), "residue": {"over": "0", "under": "0"},
            "reason": "forced", "part": "final", "occurred_at": AT,
        }),
    );
    let (mut subject, _) = observed(&[request(), approval(), included()], &["pull", "pull-leg"]);
    subject.memory = without_legs(&subject).memory;
    let observed = AuthorizationSaga::observe(&subject, &claimed).expect("it is observed");
    let begun = observed.flows.iter().find(|flow| flow.name == "fund").expect("a leg");
    assert_eq!(begun.steps[0].argument, br#"{"leg":2}"#);
}

fn fund_flows(flows: &[Flow]) -> Vec<Vec<u8>> {
    let of_fund = flows.iter().filter(|flow| flow.name == "fund");
    of_fund.map(|flow| flow.steps[0].argument.clone()).collect()
}

fn forced(id: &str) -> Event {
    event(
        "ForcePosted",
        &json!({
            "account": ACCOUNT, "clearing_id": id, "amount": amount(), "residue": {"over": "0", "under": "0"},
            "reason": "forced", "part": "final", "occurred_at": AT,
        }),
    )
}

#[test]
fn a_leg_that_had_no_flow_before_there_were_legs_begins_with_one() {
    let (mut subject, _) = observed(&[forced("f1")], &["pull", "pull-leg"]);
    subject.memory = without_legs(&subject).memory;
    let next = AuthorizationSaga::observe(&subject, &forced("f2")).expect("it is observed");
    assert_eq!(fund_flows(&next.flows), [b""], "the first leg, which takes all that is due");

    // This one has its flow.
    let (mut subject, _) = observed(&[request(), approval()], &["pull", "pull-leg"]);
    subject.memory = without_legs(&subject).memory;
    let next = AuthorizationSaga::observe(&subject, &forced("f2")).expect("it is observed");
    assert!(fund_flows(&next.flows).is_empty());
}

#[test]
fn later_legs_and_withdrawals_are_asked_for_only_where_the_host_knows_them() {
    let later = [request(), approval(), included(), forced("f1")];
    let given_back = [request(), approval(), reversed("100", true)];
    let flows = |events: &[Event], effects: &[&str]| observed(events, effects).1;
    let names = |flows: Vec<Flow>| flows.iter().map(|flow| flow.name).collect::<Vec<_>>();
    assert_eq!(fund_flows(&flows(&later, &["pull", "pull-leg"])), [br#"{"leg":2}"#]);
    assert!(names(flows(&given_back, &["pull", "pull-leg"])).contains(&"withdraw"));
    assert!(fund_flows(&flows(&later, &["pull"])).is_empty());
    assert!(!names(flows(&given_back, &["pull"])).contains(&"withdraw"));
    assert_eq!(fund_flows(&flows(&later[..2], &["pull"])), [b""], "the first leg is pulled as before");
}

#[test]
fn a_leg_whose_pull_died_in_a_lost_block_is_not_done() {
    let seen = [request(), approval(), included()];
    for code in ["pull_dead", "pull_withdrawn", "pull_in_lost_block"] {
        let action = run(&seen, "pull", |call| {
            (call.attempt, call.last_refusal) = (2, Some(Rejection::new(code, "a refusal")));
        });
        assert_eq!(
            told(&action).0,
            "AbandonFunding",
            "{code}: the payment refuses it until the block is gone"
        );
    }
    let reorged = json!({"account": ACCOUNT, "amount": amount(), "source": source(), "occurred_at": AT});
    let gone = [&seen[..], &[event("FundingReorged", &reorged)]].concat();
    let action = run(&gone, "pull", |call| {
        (call.attempt, call.last_refusal) = (2, Some(Rejection::new("pull_in_lost_block", "a refusal")));
    });
    assert_eq!(requested(&action).1, json!(2), "the next pull");
}

#[test]
fn an_abandoned_leg_that_is_seen_in_a_block_is_asked_for_before_it_is_reported_final() {
    let dead = json!({"account": ACCOUNT, "cause": "dead", "exposed": amount(), "at": AT});
    let seen = [request(), approval(), event("FundingAbandoned", &dead), included()];
    assert_eq!(funding(&seen, &["pull", "pull-leg"]), ["fund", "finalize"]);
    let asked = run(&seen, "pull", |_| {});
    requested(&asked);
    let dead = run(&seen, "pull", |call| {
        (call.attempt, call.last_refusal) = (2, Some(Rejection::new("pull_dead", "a refusal")));
    });
    assert_eq!(told(&dead).0, "AbandonFunding", "the payment refuses it until the block is gone");
}

#[test]
fn a_leg_that_can_never_be_pulled_is_abandoned_as_one_that_is_dead() {
    for code in ["pull_dead", "account_without_roles", "unknown_asset", "deadline_out_of_range"] {
        let refused = |attempt| {
            run(&[request(), approval()], "pull", |call| {
                (call.attempt, call.last_refusal) = (attempt, Some(Rejection::new(code, "a refusal")));
            })
        };
        assert_eq!(requested(&refused(3)).1, json!(3));
        assert_eq!(told(&refused(4)), ("AbandonFunding", json!({"cause": "dead"})), "{code}");
    }
}

#[test]
fn a_withdrawal_does_not_depend_on_the_block_that_the_pull_is_in() {
    let given_back = [request(), approval(), reversed("100", true)];
    let (asked, _) = requested(&run(&given_back, "withdraw", |_| {}));
    assert_eq!(asked["minor"], "0");
    let mined = [&given_back[..], &[included()]].concat();
    assert_eq!(requested(&run(&mined, "withdraw", |_| {})).0["minor"], "0", "it may be lost");
    // Given back while it was in a block, which is lost.
    let reorged = json!({"account": ACCOUNT, "amount": amount(), "source": source(), "occurred_at": AT});
    let lost = [request(), approval(), included(), reversed("100", true), event("FundingReorged", &reorged)];
    let flows = observed(&lost, &["pull", "pull-leg"]).1;
    assert!(flows.iter().any(|flow| flow.name == "withdraw"), "nothing is due of what may be pulled again");
}

#[test]
fn an_operators_retry_makes_what_is_exposed_due_again() {
    let dead = json!({"account": ACCOUNT, "cause": "dead", "exposed": amount(), "at": AT});
    let exposed = [request(), approval(), event("FundingAbandoned", &dead)];
    let refused = |effects: &[&str], code: &str| {
        let mut call = call(observed(&exposed, effects).0, "recover", Vec::new());
        (call.attempt, call.last_refusal) = (2, Some(Rejection::new(code, "a refusal")));
        told(&AuthorizationSaga::run(&call).expect("an action")).1.clone()
    };
    assert_eq!(told(&run(&exposed, "recover", |_| {})), ("CloseExposure", json!({})));
    assert_eq!(refused(&["pull", "pull-leg"], "component_failed"), json!({}), "no operator was asked yet");
    assert_eq!(refused(&["pull"], "exposure_open"), json!({}), "no other leg would pull it");
    assert_eq!(refused(&["pull", "pull-leg"], "exposure_open"), json!({"pull_again": true}));
    let cleared = json!({"account": ACCOUNT, "amount": amount(), "left": "0", "at": AT});
    let due = [&exposed[..], &[event("ExposureCleared", &cleared)]].concat();
    assert_eq!(fund_flows(&observed(&due, &["pull", "pull-leg"]).1), [br#"{"leg":2}"#]);
}

#[test]
fn a_leg_asks_only_when_the_one_before_it_is_seen() {
    let claimed = event(
        "ForcePosted",
        &json!({
            "account": ACCOUNT, "clearing_id": "f1", "amount": amount(), "residue": {"over": "0", "under": "0"},
            "reason": "forced", "part": "final", "occurred_at": AT,
        }),
    );
    let reorged = json!({"account": ACCOUNT, "amount": amount(), "source": source(), "occurred_at": AT});
    let reorged = event("FundingReorged", &reorged);
    let seen = [request(), approval(), included(), claimed];
    let second = |events: &[Event]| run(events, "pull", |call| call.argument = br#"{"leg":2}"#.to_vec());
    let action = second(&seen);
    assert_eq!(requested(&action), (amount(), json!(1)));
    let Action::Request { request: document, .. } = action else { panic!("{action:?}") };
    let document: Value = serde_json::from_slice(&document).expect("JSON");
    assert_eq!((&document["leg"], &document["withdraw"]), (&json!(2), &Value::Null));
    assert!(
        matches!(second(&[&seen[..], std::slice::from_ref(&reorged)].concat()), Action::WaitUntil(_)),
        "how much it took is not known"
    );
    let late = |attempt, refusal: Option<&str>| {
        run(&[&seen[..], std::slice::from_ref(&reorged)].concat(), "pull", |call| {
            call.argument = br#"{"leg":2}"#.to_vec();
            call.subject.now = "2026-11-22T11:00:00.000Z".parse().expect("a time");
            let refusal = refusal.map(|code| Rejection::new(code, "a refusal"));
            (call.attempt, call.last_refusal) = (attempt, refusal);
        })
    };
    for (attempt, refusal) in [(1, None), (2, Some("component_failed")), (2, Some("clock_backwards"))] {
        assert_eq!(
            requested(&late(attempt, refusal)).0["minor"],
            "0",
            "{refusal:?} does not say that none lives"
        );
    }
    let late = late(2, Some("amount_not_positive"));
    let expected = json!({"leg": 2, "cause": "withdrawn"});
    assert_eq!(
        told(&late),
        ("AbandonFunding", expected),
        "the payment refuses it, and an operator hears of it"
    );
}
