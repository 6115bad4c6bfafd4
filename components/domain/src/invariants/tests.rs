//! Every invariant finds what breaks it. The histories only show that nothing is broken.

use clearfold_kernel::{Auditor, RecordedEvent, Timestamp, Violation};
use serde_json::{Value, json};

use super::Invariants;

const ACCOUNT: &str = "0xaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
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
    recorded(&format!("account-{ACCOUNT}"), kind, 1, payload)
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
    books("AccountOpened", json!({"assets": [{"asset": "EURe", "decimals": 18}]}))
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

fn violations(events: &[RecordedEvent]) -> Vec<Violation> {
    Invariants::audit(ACCOUNT, events).unwrap()
}

/// The codes of what is broken, each once.
fn broken(events: &[RecordedEvent]) -> Vec<&'static str> {
    let mut codes: Vec<&str> = violations(events).iter().map(|violation| violation.invariant).collect();
    codes.sort_unstable();
    codes.dedup();
    codes
}

#[test]
fn a_payment_from_its_request_to_its_clearing_breaks_nothing() {
    let events = [
        opened(),
        deposited(100, 1),
        requested(60),
        placed(60, false),
        approved(60),
        cleared(50, 0, 10),
        booked(50, 0, 10),
    ];
    assert_eq!(violations(&events), []);
}

#[test]
fn what_is_not_booked_yet_is_on_its_way() {
    let events =
        [opened(), deposited(100, 1), requested(60), placed(60, false), approved(60), cleared(50, 0, 10)];
    assert_eq!(violations(&events), []);
    assert_eq!(violations(&[opened(), deposited(100, 1), requested(60), placed(60, false)]), []);
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
    // The transfer says less than the event: posted by the event is not posted by the ledger.
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
fn an_amount_of_zero_is_found() {
    assert!(broken(&[requested(0)]).contains(&"amounts_positive"));
}

#[test]
fn a_hold_account_that_the_chain_does_not_explain_is_found() {
    let transfers = transfer("hold", "safe", 5);
    let returned = books("Returned", json!({"amount": amount(5), "source": log(1), "transfers": transfers}));
    assert_eq!(broken(&[opened(), returned]), ["hold_account_matches_chain"]);
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
fn what_is_none_of_ours_is_passed_over_and_what_cannot_be_read_is_said() {
    let unknown = [recorded("meter-1", "Read", 1, json!({})), payment("SomethingNew", json!({}))];
    assert_eq!(violations(&unknown), []);
    let unreadable = Invariants::audit(ACCOUNT, &[payment("AuthorizationApproved", json!({}))]);
    assert!(unreadable.unwrap_err().contains("authorization-a"));
}

#[test]
fn every_code_is_named_once() {
    let mut codes: Vec<&str> = Invariants::describe().iter().map(|invariant| invariant.code).collect();
    let count = codes.len();
    codes.sort_unstable();
    codes.dedup();
    assert_eq!((codes.len(), count), (10, 10));
}
