//! Tests of the commands that each event of a payment causes for its account and its card.

use clearfold_kernel::{ExternalId, Message, Minor};
use serde_json::{Value, json};

use super::*;
use crate::account::Command;
use crate::authorization::{Authorization, Event, State};

const ACCOUNT: &str = "0xaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
const AT: &str = "2026-11-22T10:00:00.000Z";

fn amount(minor: &str) -> Value {
    json!({"minor": minor, "asset": "EURe", "decimals": 18})
}

fn event(kind: &str, mut payload: Value) -> Event {
    let version = Event::TYPES.iter().find(|known| known.name == kind).unwrap().schema_version;
    payload["account"] = json!(ACCOUNT);
    payload["card_id"] = json!("card-1");
    payload["at"] = json!(AT);
    payload["occurred_at"] = json!(AT);
    Event::decode(kind, version, payload.to_string().as_bytes()).unwrap()
}

fn request() -> Event {
    let merchant = json!({"id": "m", "name": "M", "category": "5812", "country": "DE"});
    event(
        "AuthorizationRequested",
        json!({
            "message_id": "msg-1", "amount": amount("100"), "merchant": merchant, "network": "visa",
            "partial_allowed": true, "hold_interval_s": 60,
        }),
    )
}

fn approval(minor: &str) -> Event {
    event("AuthorizationApproved", json!({"amount": amount(minor), "expires_at": AT}))
}

fn increase() -> Event {
    event("HoldIncreased", json!({"message_id": "msg-2", "amount": amount("20")}))
}

fn reversal(minor: &str, full: bool) -> Event {
    event(
        "AuthorizationReversed",
        json!({
            "message_id": "msg-3", "extent": "full", "released": amount(minor), "full": full, "cause": "merchant",
        }),
    )
}

fn advice(hold: &serde_json::Value) -> Event {
    let merchant = json!({"id": "m", "name": "M", "category": "5812", "country": "DE"});
    event(
        "AdviceRecorded",
        json!({
            "message_id": "msg-9", "amount": amount("70"), "hold": hold, "merchant": merchant, "network": "visa",
            "expires_at": AT,
        }),
    )
}

fn after(events: &[Event]) -> State {
    events.iter().fold(State::default(), <Authorization as clearfold_kernel::Decider>::evolve)
}

/// Names of the commands, with the fields that tell them apart.
fn account(event: &Event) -> Vec<String> {
    let commands = of_account(&"auth-1".parse().unwrap(), &State::default(), event).unwrap();
    commands
        .iter()
        .map(|command| match command {
            Command::LowerHold(lower) => format!("LowerHold {} {}", lower.change_id, lower.amount),
            Command::RaiseHold(raise) => format!("RaiseHold {} {}", raise.change_id, raise.amount.minor),
            command => command.encode().unwrap().kind,
        })
        .collect()
}

fn card(before: &[Event], event: &Event) -> Vec<String> {
    let commands = of_card(&"auth-1".parse().unwrap(), &after(before), event).unwrap();
    commands
        .iter()
        .map(|(card_id, command)| {
            let encoded = command.encode().unwrap();
            let payload: Value = serde_json::from_slice(&encoded.payload).unwrap();
            let of = payload.get("reservations").unwrap_or(&payload["reservation_id"]);
            format!("{card_id} {} {of} {}", encoded.kind, payload["amount"])
        })
        .collect()
}

#[test]
fn what_was_asked_before_asks_nothing_again() {
    assert!(account(&request()).is_empty() && account(&approval("100")).is_empty());
    assert!(account(&increase()).is_empty());
}

#[test]
fn a_reversal_lowers_the_hold_and_before_the_decision_voids_it() {
    assert_eq!(account(&reversal("30", false)), ["LowerHold msg-3 30"]);
    assert_eq!(account(&reversal("0", true)), ["VoidHold"]);
}

#[test]
fn a_claim_to_what_was_not_decided_voids_its_hold() {
    let forced = |reason: &str| {
        event(
            "ForcePosted",
            json!({
                "clearing_id": "c", "amount": amount("5"), "residue": {"over": "0", "under": "0"},
                "reason": reason, "part": "final",
            }),
        )
    };
    assert_eq!(account(&forced("undecided")), ["VoidHold", "BookClearing"]);
    assert_eq!(account(&forced("declined")), ["BookClearing"]);
}

fn clearing(against_hold: &str, beyond_hold: &str) -> Event {
    event(
        "ClearingPosted",
        json!({
            "clearing_id": "c", "against_hold": against_hold, "beyond_hold": beyond_hold, "released": "0",
            "asset": "EURe", "decimals": 18, "residue": {"over": "0", "under": "0"}, "part": "final", "final": true,
        }),
    )
}

#[test]
fn a_claim_beyond_the_hold_counts_on_the_card_with_its_merchant() {
    let before = [request(), approval("100")];
    assert!(card(&before, &clearing("100", "0")).is_empty());
    let expected = [format!("card-1 RecordSpend \"auth-1/c\" {}", amount("20"))];
    assert_eq!(card(&before, &clearing("100", "20")), expected);
    let forced = event(
        "ForcePosted",
        json!({
            "clearing_id": "c", "amount": amount("20"), "residue": {"over": "0", "under": "0"}, "part": "final",
            "reason": "forced", "merchant": {"id": "n", "name": "N", "category": "5812", "country": "DE"},
        }),
    );
    assert_eq!(card(&before, &forced), expected);
    for (event, paid) in [(clearing("100", "20"), "m"), (forced, "n")] {
        let commands = of_card(&"auth-1".parse().unwrap(), &after(&before), &event).unwrap();
        let crate::card::Command::RecordSpend(spend) = &commands[0].1 else { panic!("{commands:?}") };
        assert_eq!(spend.merchant.as_ref().unwrap().id.as_str(), paid);
    }
}

#[test]
fn a_claim_beyond_what_was_seen_on_chain_names_no_card() {
    let source = json!({
        "chain_id": 100, "block_hash": format!("0x{}", "01".repeat(32)), "block_number": 1,
        "transaction_hash": format!("0x{}", "02".repeat(32)), "log_index": 1,
    });
    let swipe = event("SwipeRecorded", json!({"amount": amount("100"), "source": source}));
    let mut claim = clearing("100", "20");
    if let Event::ClearingPosted(claim) = &mut claim {
        claim.parties.card_id = None;
    }
    assert!(card(&[swipe], &claim).is_empty());
}

#[test]
fn a_clearing_that_was_refused_is_in_no_suspense_that_it_leaves() {
    for outcome in ["charged", "returned"] {
        let resolved =
            json!({"clearing_id": "c", "outcome": outcome, "amount": amount("5"), "was_refused": true});
        assert!(account(&event("ClearingResolved", resolved)).is_empty());
    }
}

#[test]
fn what_leaves_suspense_is_booked_by_its_own_id() {
    let clearing =
        event("ClearingResolved", json!({"clearing_id": "c", "outcome": "charged", "amount": amount("5")}));
    assert_eq!(account(&clearing), ["ResolveSuspense"]);
    let origin = json!({"network": "r"});
    let resolved =
        json!({"outcome": "paid", "amount": amount("5"), "origin": origin, "payment_id": "auth-2"});
    let refund = event("RefundResolved", resolved);
    let commands = of_account(&"auth-1".parse().unwrap(), &State::default(), &refund).unwrap();
    let Command::ResolveRefund(resolve) = &commands[0] else { panic!("{refund:?}") };
    assert_eq!(resolve.refund_id.as_str(), "r");
    assert_eq!(resolve.payment_id.as_ref().map(ExternalId::as_str), Some("auth-2"));
}

#[test]
fn what_a_stand_in_approved_takes_the_place_of_the_request() {
    let advice = advice(&json!("placed"));
    assert_eq!(account(&advice), ["VoidHold", "PlaceHold"]);
    assert_eq!(card(&[], &advice).len(), 1);
    assert_eq!(card(&[request()], &advice)[0], "card-1 ReleaseSpend \"auth-1/msg-1\" \"everything\"");
}

/// The hold is raised instead of voided and placed again: a void would also discard other changes in flight.
#[test]
fn what_a_stand_in_approved_beyond_our_hold_raises_it() {
    let raised = advice(&json!({"raised": "30"}));
    let before = [request(), approval("40")];
    assert_eq!(account(&raised), ["RaiseHold msg-9 30"]);
    let counted = card(&before, &raised);
    assert!(
        counted[0].starts_with("card-1 RecordSpend \"auth-1/msg-9\"") && counted.len() == 1,
        "{counted:?}"
    );
    assert!(counted[0].contains("\"30\""), "{counted:?}");
    let released = card(&[&before[..], &[raised]].concat(), &reversal("70", true));
    assert_eq!(released, [r#"card-1 ReleasePayment ["auth-1/msg-9","auth-1/msg-1"] "everything""#]);
    assert!(account(&advice(&json!("unchanged"))).is_empty());
    assert!(card(&before, &advice(&json!("unchanged"))).is_empty());
}

#[test]
fn what_a_payment_gives_back_is_taken_from_its_increments_first() {
    let before = [request(), approval("100"), increase()];
    let released = |event: &Event| card(&before, event);
    let of = |amount: &str| [format!(r#"card-1 ReleasePayment ["auth-1/msg-2","auth-1/msg-1"] {amount}"#)];
    assert_eq!(released(&reversal("30", false)), of(r#"{"part":"30"}"#));
    assert_eq!(released(&reversal("120", true)), of(r#""everything""#));
    let expired = event("AuthorizationExpired", json!({"released": amount("120")}));
    assert_eq!(released(&expired), of(r#""everything""#));
}

#[test]
fn the_last_clearing_gives_back_what_it_leaves_of_the_hold() {
    let before = [request(), approval("100")];
    let mut last = clearing("70", "0");
    if let Event::ClearingPosted(last) = &mut last {
        last.released = Minor::new(30);
    }
    assert_eq!(card(&before, &last), [r#"card-1 ReleasePayment ["auth-1/msg-1"] {"part":"30"}"#]);
    let part = event("AuthorizationExpired", json!({"released": amount("30")}));
    let claimed = [&before[..], &[clearing("70", "0")]].concat();
    assert_eq!(card(&claimed, &part), [r#"card-1 ReleasePayment ["auth-1/msg-1"] {"part":"30"}"#]);
}

#[test]
fn a_stand_ins_hold_has_the_numbers_of_its_request() {
    let (mut request, mut advice) = (request(), advice(&json!("placed")));
    let numbers = |stan: &str| {
        let stated = json!({"acquirer": "40000001", "stan": stan, "retrieval_reference": "632610004711"});
        Some(Box::new(serde_json::from_value(stated).unwrap()))
    };
    if let (Event::AuthorizationRequested(request), Event::AdviceRecorded(advice)) =
        (&mut request, &mut advice)
    {
        (request.details, advice.details) = (numbers("004711"), numbers("004712"));
    }
    let asked_by = |before: &[Event]| {
        let commands = of_account(&"auth-1".parse().unwrap(), &after(before), &advice).unwrap();
        let Some(Command::PlaceHold(hold)) = commands.last() else { panic!("{commands:?}") };
        hold.asked_by.as_ref().map(ToString::to_string)
    };
    let of = |stan: &str| Some(format!("visa-40000001-{stan}-632610004711-1795341600"));
    let declined = event("AuthorizationDeclined", json!({"reason": "timeout", "amount": amount("100")}));
    assert_eq!(asked_by(&[request, declined]), of("004711"));
    assert_eq!(asked_by(&[]), of("004712"));
}

#[test]
fn what_no_message_asks_for_has_an_id_that_no_message_has() {
    let payment_id = "msg-1".parse().unwrap();
    let partly = event(
        "AuthorizationPartiallyApproved",
        json!({"requested": "100", "amount": amount("60"), "expires_at": AT}),
    );
    let declined =
        event("AuthorizationDeclined", json!({"reason": "insufficient_funds", "amount": amount("100")}));
    let expired = event("AuthorizationExpired", json!({"released": amount("60")}));
    let released = |before: &[Event], event: &Event| {
        let commands = of_card(&payment_id, &after(before), event).unwrap();
        let ids = commands.iter().map(|(_, command)| match command {
            crate::card::Command::ReleaseSpend(release) => release.release_id.to_string(),
            crate::card::Command::ReleasePayment(release) => release.release_id.to_string(),
            command => panic!("{command:?}"),
        });
        ids.collect::<Vec<_>>()
    };
    assert_eq!(released(&[request()], &declined), ["declined/msg-1"]);
    assert_eq!(released(&[request()], &partly), ["approved/msg-1"]);
    assert_eq!(released(&[request(), partly], &expired), ["expired/msg-1"]);
    assert_eq!(account(&expired), ["LowerHold expired/auth-1 60"]);
}

#[test]
fn the_longest_payment_id_can_expire_as_well() {
    let payment_id = "x".repeat(128).parse().unwrap();
    let expired = event("AuthorizationExpired", json!({"released": amount("60")}));
    assert_eq!(of_account(&payment_id, &State::default(), &expired).unwrap().len(), 1);
    assert_eq!(of_card(&payment_id, &after(&[request(), approval("60")]), &expired).unwrap().len(), 1);
}
