//! Tests that every invariant detects its violation. The tests with random histories only show that nothing is
//! broken.

mod clearing_links;
mod disputes;
mod refunds;
mod single_messages;

use clearfold_kernel::{Auditor, RecordedEvent, Timestamp, Violation};
use serde_json::{Value, json};

use super::Invariants;

const ACCOUNT: &str = "0xaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
const HOUR_MS: u64 = 60 * 60 * 1_000;
const AT: &str = "2026-11-22T10:00:00.000Z";

fn recorded(stream: &str, kind: &str, schema_version: u32, mut payload: Value) -> RecordedEvent {
    let common =
        json!({"account": ACCOUNT, "at": AT, "occurred_at": AT, "expires_at": AT, "cause": "merchant"});
    for (name, value) in common.as_object().unwrap() {
        payload.as_object_mut().unwrap().entry(name).or_insert_with(|| value.clone());
    }
    RecordedEvent {
        partition: 0,
        position: 1,
        stream: stream.into(),
        stream_version: 1,
        event_id: String::new(),
        correlation_id: String::new(),
        kind: kind.into(),
        schema_version,
        recorded_at: Timestamp::from_ms(0).unwrap(),
        payload: payload.to_string().into_bytes(),
    }
}

fn payment(kind: &str, payload: Value) -> RecordedEvent {
    let version = if kind == "ClearingPosted" { 3 } else { 1 };
    recorded("authorization-a", kind, version, payload)
}

fn books(kind: &str, payload: Value) -> RecordedEvent {
    let version = match kind {
        "RefundBooked" => 3,
        "RefundResolved" => 2,
        _ => 1,
    };
    recorded(&format!("account-{ACCOUNT}"), kind, version, payload)
}

fn amount(minor: u32) -> Value {
    json!({"minor": minor.to_string(), "asset": "EURe", "decimals": 18})
}

fn requested(minor: u32) -> RecordedEvent {
    let merchant = json!({"id": "m", "name": "M", "category": "5812", "country": "DE"});
    payment(
        "AuthorizationRequested",
        json!({
            "message_id": "msg-1", "card_id": "c", "amount": amount(minor), "merchant": merchant, "network": "visa",
            "partial_allowed": false, "hold_interval_s": 60,
        }),
    )
}

fn approved(minor: u32) -> RecordedEvent {
    payment("AuthorizationApproved", json!({"amount": amount(minor)}))
}

fn cleared(against_hold: u32, beyond_hold: u32, released: u32) -> RecordedEvent {
    payment(
        "ClearingPosted",
        json!({
            "clearing_id": "clr-1", "against_hold": against_hold.to_string(), "beyond_hold": beyond_hold.to_string(),
            "released": released.to_string(), "asset": "EURe", "decimals": 18, "part": "final", "final": true,
            "residue": {"over": "0", "under": "0"},
        }),
    )
}

fn opened() -> RecordedEvent {
    let assets = ["EURe", "GBPe"].map(|code| json!({"asset": code, "decimals": 18}));
    books("AccountOpened", json!({"assets": assets}))
}

fn transfer(debit: &str, credit: &str, minor: u32) -> Value {
    json!([{"debit": debit, "credit": credit, "minor": minor.to_string()}])
}

fn log(index: u64) -> Value {
    let hash = format!("0x{}", "01".repeat(32));
    json!({"chain_id": 100, "block_hash": hash, "block_number": 1, "transaction_hash": hash, "log_index": index})
}

fn deposited(minor: u32, log_index: u64) -> RecordedEvent {
    let transfers = transfer("safe", "customer", minor);
    books("Deposited", json!({"amount": amount(minor), "source": log(log_index), "transfers": transfers}))
}

fn placed(minor: u32, forced: bool) -> RecordedEvent {
    books("HoldPlaced", json!({"hold_id": "a", "amount": amount(minor), "forced": forced}))
}

fn booked(against_hold: u32, beyond_hold: u32, released: u32) -> RecordedEvent {
    books(
        "ClearingBooked",
        json!({
            "clearing_id": "clr-1", "hold_id": "a", "against_hold": against_hold.to_string(),
            "beyond_hold": beyond_hold.to_string(), "released": released.to_string(), "asset": "EURe", "decimals": 18,
            "residue": {"over": "0", "under": "0"},
            "transfers": transfer("customer", "settlement", against_hold + beyond_hold),
        }),
    )
}

/// The same event of payment `b`, or on its hold.
fn of_b(event: RecordedEvent) -> RecordedEvent {
    let payload = String::from_utf8(event.payload).unwrap();
    let payload = payload.replace("\"hold_id\":\"a\"", "\"hold_id\":\"b\"").replace("msg-1", "msg-2");
    let stream = event.stream.replace("authorization-a", "authorization-b");
    RecordedEvent { stream, payload: payload.into_bytes(), ..event }
}

/// The same event in another asset.
fn in_pounds(event: RecordedEvent) -> RecordedEvent {
    let payload = String::from_utf8(event.payload).unwrap().replace("EURe", "GBPe");
    RecordedEvent { payload: payload.into_bytes(), ..event }
}

/// The same event, recorded at a given time.
fn recorded_ms(ms: u64, event: RecordedEvent) -> RecordedEvent {
    RecordedEvent { recorded_at: Timestamp::from_ms(ms).unwrap(), ..event }
}

fn violations_ms(checked_ms: u64, events: &[RecordedEvent]) -> Vec<Violation> {
    Invariants::audit(ACCOUNT, Timestamp::from_ms(checked_ms).unwrap(), events).unwrap()
}

/// Violations found by an audit at the time of the events.
fn violations(events: &[RecordedEvent]) -> Vec<Violation> {
    violations_ms(0, events)
}

/// Codes of the broken invariants, each once.
fn broken(events: &[RecordedEvent]) -> Vec<&'static str> {
    let mut codes: Vec<&str> = violations(events).iter().map(|violation| violation.invariant).collect();
    codes.sort_unstable();
    codes.dedup();
    codes
}

/// A payment of 60 of which 50 were claimed, with its books.
fn claimed() -> [RecordedEvent; 7] {
    [
        opened(),
        deposited(100, 1),
        requested(60),
        placed(60, false),
        approved(60),
        cleared(50, 0, 10),
        booked(50, 0, 10),
    ]
}

#[test]
fn a_payment_from_its_request_to_its_clearing_breaks_nothing() {
    let events = claimed();
    assert_eq!(violations(&events), []);
    assert_eq!(violations_ms(2 * HOUR_MS, &events), []);
}

#[test]
fn what_is_not_booked_yet_is_on_its_way() {
    let events =
        [opened(), deposited(100, 1), requested(60), placed(60, false), approved(60), cleared(50, 0, 10)];
    assert_eq!(violations(&events), []);
    assert_eq!(violations(&[opened(), deposited(100, 1), requested(60), placed(60, false)]), []);
}

#[test]
fn what_is_on_its_way_for_more_than_an_hour_is_found() {
    let held = [opened(), deposited(100, 1), requested(60), placed(60, false), approved(60)];
    assert_eq!(violations_ms(2 * HOUR_MS, &held), []);
    let expired = recorded_ms(5, payment("AuthorizationExpired", json!({"released": amount(60)})));
    let expired = [&held[..], &[expired]].concat();
    assert_eq!(violations_ms(HOUR_MS + 5, &expired), []);
    let streams = vec![format!("account-{ACCOUNT}"), "authorization-a".to_owned()];
    let found = violations_ms(HOUR_MS + 6, &expired);
    assert!(
        matches!(&found[..], [only] if only.invariant == "holds_match_authorizations" && only.streams == streams),
        "{found:?}"
    );
    let claimed = [&held[..], &[recorded_ms(5, cleared(0, 50, 60))]].concat();
    assert_eq!(violations_ms(HOUR_MS + 5, &claimed), []);
    let found = violations_ms(HOUR_MS + 6, &claimed);
    let codes: Vec<&str> = found.iter().map(|violation| violation.invariant).collect();
    assert_eq!(codes, ["holds_match_authorizations", "decided_before_answered"]);
}

#[test]
fn what_an_account_must_book_it_has_an_hour_for_since_it_was_opened() {
    let source = log(1);
    let swiped = payment("SwipeRecorded", json!({"amount": amount(60), "source": source}));
    assert_eq!(violations_ms(9 * HOUR_MS, std::slice::from_ref(&swiped)), []);
    let late = [swiped, recorded_ms(HOUR_MS, opened())];
    assert_eq!(violations_ms(2 * HOUR_MS, &late), []);
    assert_eq!(violations_ms(2 * HOUR_MS + 1, &late).len(), 2);
}

#[test]
fn only_an_undecided_request_may_lose_its_hold_before_it_is_declined() {
    let voided = || books("HoldVoided", json!({"hold_id": "a", "released": amount(60)}));
    let declined =
        || payment("AuthorizationDeclined", json!({"amount": amount(60), "reason": "system_error"}));
    let held = [opened(), deposited(100, 1), requested(60), placed(60, false)];
    let after = |events: &[RecordedEvent]| violations_ms(9 * HOUR_MS, &[&held[..], events].concat());
    assert_eq!(after(&[voided(), declined()]), []);
    assert_eq!(after(&[declined(), voided()]), []);
    assert_eq!(broken(&[&held[..], &[approved(60), voided()]].concat()), ["holds_match_authorizations"]);
    assert_eq!(broken(&[&held[..], &[voided(), approved(60)]].concat()), ["holds_match_authorizations"]);
}

#[test]
fn an_account_that_was_never_opened_is_not_compared() {
    assert_eq!(violations(&[requested(60), approved(60)]), []);
}

#[test]
fn a_clearing_of_an_old_version_says_less_and_breaks_nothing() {
    let old = recorded(
        "authorization-a",
        "ClearingPosted",
        1,
        json!({"clearing_id": "clr-1", "amount": amount(70), "final": true}),
    );
    assert_eq!(violations(&[requested(60), approved(60), old]), []);
}

#[test]
fn a_hold_below_zero_is_found() {
    assert_eq!(broken(&[requested(60), approved(60), cleared(61, 0, 0)]), ["hold_never_negative"]);
}

#[test]
fn a_closed_payment_that_holds_is_found() {
    let found = broken(&[requested(60), approved(60), cleared(50, 0, 0)]);
    assert!(found.contains(&"closed_holds_nothing"), "{found:?}");
}

#[test]
fn a_balance_that_is_not_what_the_events_add_up_to_is_found() {
    // The transfer moves less than the event says, so the posted balances by event and by ledger differ.
    let transfers = transfer("safe", "customer", 99);
    let deposit =
        books("Deposited", json!({"amount": amount(100), "source": log(1), "transfers": transfers}));
    assert_eq!(broken(&[opened(), deposit]), ["available_is_posted_minus_holds"]);
}

#[test]
fn a_transfer_of_nothing_is_found() {
    let transfers = transfer("customer", "customer", 100);
    let deposit =
        books("Deposited", json!({"amount": amount(100), "source": log(1), "transfers": transfers}));
    assert!(broken(&[opened(), deposit]).contains(&"debits_equal_credits"));
}

#[test]
fn a_hold_above_what_is_available_is_found() {
    let events = [opened(), deposited(59, 1), requested(60), placed(60, false)];
    assert_eq!(broken(&events), ["available_is_posted_minus_holds"]);
}

#[test]
fn a_hold_that_nobody_asked_for_is_found() {
    assert_eq!(broken(&[opened(), deposited(100, 1), placed(60, false)]), ["holds_match_authorizations"]);
    assert_eq!(broken(&[opened(), placed(60, true)]), ["holds_match_authorizations"]);
}

#[test]
fn an_approval_without_its_hold_is_found() {
    assert_eq!(broken(&[opened(), requested(60), approved(60)]), ["holds_match_authorizations"]);
}

#[test]
fn what_is_told_twice_and_acts_twice_is_found() {
    assert!(broken(&[opened(), deposited(100, 1), deposited(100, 1)]).contains(&"one_effect_per_identity"));
}

#[test]
fn a_refund_above_what_was_captured_is_found() {
    let refund = payment("RefundLinked", json!({"amount": amount(51), "origin": {"network": "r"}}));
    let found = broken(&[requested(60), approved(60), cleared(50, 0, 10), refund]);
    assert_eq!(found, ["refunds_within_captured"]);
}

#[test]
fn a_refund_may_exceed_what_was_captured_by_the_excess_that_it_states() {
    let refund = |excess: u32| {
        let excess = json!({"minor": excess.to_string(), "cause": "unexplained", "flagged": true});
        let refund = json!({"amount": amount(51), "origin": {"network": "r"}, "excess": excess});
        broken(&[requested(60), approved(60), cleared(50, 0, 10), payment("RefundLinked", refund)])
    };
    assert!(refund(1).is_empty());
    assert_eq!(refund(0), ["refunds_within_captured"]);
    assert_eq!(refund(52), ["refunds_within_captured"]);
}

#[test]
fn only_what_was_awarded_of_a_dispute_counts_as_won() {
    let won = |awarded| {
        let dispute = json!({
            "dispute_id": "d", "outcome": "won", "amount": amount(50), "awarded": amount(awarded),
            "provisional_credit": false,
        });
        payment("DisputeResolved", dispute)
    };
    let refund = || payment("RefundLinked", json!({"amount": amount(30), "origin": {"network": "r"}}));
    assert!(broken(&[requested(60), approved(60), cleared(50, 0, 10), refund(), won(20)]).is_empty());
    let found = broken(&[requested(60), approved(60), cleared(50, 0, 10), refund(), won(21)]);
    assert_eq!(found, ["refunds_within_captured"]);
}

#[test]
fn a_suspended_clearing_that_posts_without_a_charge_or_twice_is_found() {
    let claim =
        json!({"clearing_id": "clr-1", "duplicate_of": "clr-0", "amount": amount(50), "part": "final"});
    let suspended = || payment("ClearingSuspended", claim.clone());
    let charged = json!({"clearing_id": "clr-1", "outcome": "charged", "amount": amount(50)});
    let charged = || payment("ClearingResolved", charged.clone());
    let after = |events: Vec<RecordedEvent>| broken(&[vec![requested(60), approved(60)], events].concat());
    assert!(after(vec![suspended(), charged(), cleared(50, 0, 10)]).is_empty());
    assert_eq!(after(vec![suspended(), cleared(50, 0, 10)]), ["one_effect_per_identity"]);
    assert_eq!(after(vec![charged(), cleared(50, 0, 10)]), ["one_effect_per_identity"]);
    let twice = after(vec![suspended(), charged(), cleared(50, 0, 10), charged(), cleared(0, 50, 0)]);
    assert!(twice.contains(&"one_effect_per_identity"));
}

#[test]
fn an_amount_of_zero_is_found() {
    assert!(broken(&[opened(), placed(0, true)]).contains(&"amounts_positive"));
}

#[test]
fn a_hold_account_that_the_chain_does_not_explain_is_found() {
    let transfers = transfer("hold", "safe", 5);
    let returned = books("Returned", json!({"amount": amount(5), "source": log(1), "transfers": transfers}));
    assert_eq!(broken(&[opened(), returned]), ["hold_account_matches_chain"]);
}

#[test]
fn money_that_was_pulled_and_is_neither_owed_nor_stated_and_an_exposure_of_nothing_are_found() {
    let included = || payment("FundingIncluded", json!({"amount": amount(60), "source": log(1)}));
    let owed_back = |minor| payment("ReturnOwed", json!({"owed": amount(minor), "before": "0"}));
    let exposed = || payment("FundingAbandoned", json!({"cause": "dead", "exposed": amount(60)}));
    let after = |events: Vec<RecordedEvent>| {
        let found = broken(&[vec![requested(60), approved(60)], events].concat());
        found.into_iter().filter(|code| *code == "pulled_is_owed").count()
    };
    assert_eq!(after(vec![included()]), 0);
    assert_eq!(after(vec![included(), owed_back(1)]), 1, "nothing is owed back");
    assert_eq!(after(vec![exposed()]), 0);
    assert_eq!(after(vec![exposed(), included()]), 1, "what is there is not exposed");
    // A log that is another leg's is one movement: the legs hold it once.
    let twice = payment("FundingReorged", json!({"amount": amount(60), "source": log(1)}));
    assert_eq!(after(vec![twice]), 1, "nothing was pulled that a reorganization could take back");
}

#[test]
fn a_decision_without_a_request_and_a_booking_without_an_event_are_found() {
    assert!(broken(&[approved(60)]).contains(&"decided_before_answered"));
    assert_eq!(broken(&[opened(), booked(0, 5, 0)]), ["decided_before_answered"]);
}

#[test]
fn a_booking_that_says_something_else_is_found_with_both_streams() {
    let events = [
        opened(),
        deposited(100, 1),
        requested(60),
        placed(60, false),
        approved(60),
        cleared(50, 0, 10),
        booked(50, 1, 10),
    ];
    let streams = vec![format!("account-{ACCOUNT}"), "authorization-a".to_owned()];
    let found = violations(&events);
    let expected = |violation: &Violation| {
        violation.invariant == "decided_before_answered" && violation.streams == streams
    };
    assert!(found.iter().any(expected), "{found:?}");
}

#[test]
fn a_booking_on_the_hold_of_another_payment_is_found() {
    let held = [requested(60), placed(60, false), approved(60)];
    let held = held.clone().into_iter().chain(held.map(of_b));
    let mut events: Vec<RecordedEvent> = [opened(), deposited(200, 1)].into_iter().chain(held).collect();
    events.extend([cleared(50, 0, 10), of_b(booked(50, 0, 10))]);
    let found = violations(&events);
    // The payment of that hold asked for no clearing; the other one's is still due.
    let streams = vec![format!("account-{ACCOUNT}")];
    assert!(
        matches!(&found[..], [only] if only.invariant == "decided_before_answered" && only.streams == streams),
        "{found:?}"
    );
}

#[test]
fn two_payments_may_have_clearings_with_one_id() {
    let held = [requested(60), placed(60, false), approved(60)];
    let held = held.clone().into_iter().chain(held.map(of_b));
    let mut events: Vec<RecordedEvent> = [opened(), deposited(200, 1)].into_iter().chain(held).collect();
    events.extend([cleared(50, 0, 10), of_b(cleared(60, 0, 0)), of_b(booked(60, 0, 0)), booked(50, 0, 10)]);
    assert_eq!(violations(&events), []);
}

#[test]
fn nothing_is_held_for_a_request_that_was_reversed_before() {
    let placed_for = |asked_by: &str| {
        let hold = json!({"hold_id": "a", "amount": amount(60), "forced": false, "asked_by": asked_by});
        books("HoldPlaced", hold)
    };
    let reversed = books("HoldPrevented", json!({"asked_by": "visa-1-2-3-4", "message_id": "r"}));
    let before = [opened(), deposited(200, 1), reversed, requested(60)];
    let held = |asked_by| broken(&[&before[..], &[placed_for(asked_by), approved(60)]].concat());
    assert_eq!(held("visa-1-2-3-4"), ["reversed_request_holds_nothing"]);
    assert_eq!(held("visa-1-2-3-5"), [""; 0]);
}

#[test]
fn a_booking_in_another_asset_is_found() {
    let asked = [opened(), deposited(100, 1), in_pounds(deposited(100, 2)), requested(60)];
    let in_pounds_held = [&asked[..], &[in_pounds(placed(60, false))]].concat();
    assert_eq!(broken(&in_pounds_held), ["holds_match_authorizations"]);
    let approved_in_pounds = [&asked[..], &[placed(60, false), in_pounds(approved(60))]].concat();
    assert!(broken(&approved_in_pounds).contains(&"holds_match_authorizations"));
    let whole = [placed(60, false), approved(60), cleared(0, 50, 60), in_pounds(booked(0, 50, 60))];
    let found = broken(&[&asked[..], &whole].concat());
    for code in ["decided_before_answered", "holds_match_authorizations"] {
        assert!(found.contains(&code), "{found:?}");
    }
}

#[test]
fn what_is_none_of_ours_is_passed_over_and_what_cannot_be_read_is_said() {
    let unknown = [recorded("meter-1", "Read", 1, json!({})), payment("SomethingNew", json!({}))];
    assert_eq!(violations(&unknown), []);
    let at = Timestamp::from_ms(0).unwrap();
    let unreadable = Invariants::audit(ACCOUNT, at, &[payment("AuthorizationApproved", json!({}))]);
    assert!(unreadable.unwrap_err().contains("authorization-a"));
}

#[test]
fn every_code_is_named_once() {
    let mut codes: Vec<&str> = Invariants::describe().iter().map(|invariant| invariant.code).collect();
    let count = codes.len();
    codes.sort_unstable();
    codes.dedup();
    assert_eq!((codes.len(), count), (18, 18));
}
