//! Refunds: what is withheld, what waits in suspense, and what is reported twice.

use super::*;

/// Refund on chain that is credited but for what is withheld.
fn came_back(id: &str, log_index: u64, minor: u32, withheld: u32) -> RecordedEvent {
    let credit = json!({"debit": "suspense", "credit": "customer", "minor": (minor - withheld).to_string()});
    let back = json!({"debit": "safe", "credit": "hold", "minor": minor.to_string()});
    let transfers = if minor == withheld { vec![back] } else { vec![credit, back] };
    books(
        "RefundBooked",
        json!({
            "refund_id": id, "amount": amount(minor), "link": "unlinked", "source": log(log_index),
            "withheld": withheld.to_string(), "transfers": transfers,
        }),
    )
}

fn resolved(outcome: &str, minor: u32, withheld: u32, transfers: &Value) -> RecordedEvent {
    books(
        "RefundResolved",
        json!({
            "refund_id": "r", "outcome": outcome, "amount": amount(minor), "withheld": withheld.to_string(),
            "payment_id": "a", "transfers": transfers,
        }),
    )
}

/// Codes of the two invariants about refunds that these events break, behind a payment of 60 that was pulled and
/// given back.
fn broken_by_refunds(events: &[RecordedEvent]) -> Vec<&'static str> {
    let pulled = books(
        "FundingBooked",
        json!({
            "hold_id": "a", "step": "included", "amount": amount(60), "source": log(2),
            "transfers": transfer("in_transit", "safe", 60),
        }),
    );
    let lowered = json!({"hold_id": "a", "change_id": "msg-3", "amount": amount(60), "cause": "reversed"});
    let before = [opened(), deposited(100, 1), placed(60, false), pulled, books("HoldLowered", lowered)];
    let found = broken(&[&before[..], events].concat());
    let about_refunds = ["suspense_is_open_items", "withheld_is_owed_back"];
    found.into_iter().filter(|code| about_refunds.contains(code)).collect()
}

#[test]
fn a_refund_that_is_withheld_although_less_is_owed_back_is_found() {
    let only = |code| vec![code];
    assert_eq!(broken_by_refunds(&[came_back("r", 3, 60, 60)]), [""; 0]);
    assert_eq!(broken_by_refunds(&[came_back("r", 3, 70, 61)]), only("withheld_is_owed_back"));
    let twice = [came_back("r", 3, 60, 60), came_back("r2", 4, 60, 1)];
    assert_eq!(broken_by_refunds(&twice), only("withheld_is_owed_back"));
    let of_the_network = books(
        "RefundBooked",
        json!({"refund_id": "r", "amount": amount(60), "link": "unlinked", "withheld": "60", "transfers": []}),
    );
    assert_eq!(broken_by_refunds(&[of_the_network]), only("withheld_is_owed_back"));
    let returned = resolved("returned", 60, 60, &json!([]));
    let again = [came_back("r", 3, 60, 60), returned, came_back("r2", 4, 60, 1)];
    assert_eq!(broken_by_refunds(&again), only("withheld_is_owed_back"), "it came back");
    let paid = resolved("paid", 60, 60, &transfer("settlement", "customer", 60));
    let again = [came_back("r", 3, 60, 60), paid, came_back("r2", 4, 60, 60)];
    assert_eq!(broken_by_refunds(&again), [""; 0], "it was none of what is owed back");
    let other = resolved("returned", 60, 59, &json!([]));
    assert_eq!(broken_by_refunds(&[came_back("r", 3, 60, 60), other]), only("withheld_is_owed_back"));
}

#[test]
fn suspense_that_is_not_the_sum_of_what_waits_is_found() {
    let credited = || came_back("r", 3, 70, 60);
    let back = |minor| resolved("returned", 70, 60, &transfer("customer", "suspense", minor));
    assert_eq!(broken_by_refunds(&[credited()]), [""; 0]);
    assert_eq!(broken_by_refunds(&[credited(), back(10)]), [""; 0]);
    assert_eq!(broken_by_refunds(&[credited(), back(70)]), ["suspense_is_open_items"]);
    let claim = json!({"clearing_id": "clr-2", "amount": amount(5), "transfers": transfer("suspense", "settlement", 4)});
    assert_eq!(broken_by_refunds(&[books("ClearingSuspended", claim)]), ["suspense_is_open_items"]);
}

#[test]
fn two_reports_of_a_refund_that_do_not_fit_are_found() {
    let told = |id: &str, minor: u32, matched: Option<&str>, transfers: Value| {
        let mut booked = json!({
            "refund_id": id, "amount": amount(minor), "link": "linked", "reported_on": "a", "transfers": transfers,
        });
        if let Some(before) = matched {
            booked["matched"] = json!({"refund_id": before, "reported_on": "s"});
        }
        books("RefundBooked", booked)
    };
    let found = |events: &[RecordedEvent]| {
        let found = broken(&[&[opened()], events].concat());
        found.into_iter().filter(|code| *code == "refund_credited_once").count()
    };
    let seen = || came_back("r", 3, 60, 0);
    let nothing = || json!([]);
    assert_eq!(found(&[seen(), told("n", 60, Some("r"), nothing())]), 0);
    assert_eq!(found(&[seen(), told("n", 59, Some("r"), nothing())]), 1, "another amount");
    assert_eq!(found(&[told("n", 60, Some("r"), nothing())]), 1, "there is no other");
    let credit = transfer("settlement", "customer", 60);
    assert_eq!(found(&[seen(), told("n", 60, Some("r"), credit)]), 1, "it is credited again");
    let one = told("n", 60, Some("r"), nothing());
    assert_eq!(found(&[seen(), one, told("n2", 60, Some("r"), nothing())]), 1, "it is matched already");

    let credited = |id| told(id, 60, None, transfer("settlement", "customer", 60));
    let taken_back = books(
        "RefundReversalBooked",
        json!({
            "reversal_id": "rvl-1", "refund_id": "n", "reported_on": "a", "amount": amount(20),
            "transfers": transfer("customer", "settlement", 20),
        }),
    );
    let paid_out = |minor: u32| {
        let mut booked = json!({
            "refund_id": "r", "amount": amount(minor), "link": "unlinked", "source": log(3), "reported_on": "s",
            "transfers": transfer("safe", "hold", minor),
        });
        booked["matched"] = json!({"refund_id": "n", "reported_on": "a"});
        books("RefundBooked", booked)
    };
    for (minor, expected) in [(40, 0), (60, 0), (41, 1), (20, 1)] {
        let events = [credited("n"), taken_back.clone(), paid_out(minor)];
        assert_eq!(found(&events), expected, "{minor} of what was 60, and is 40");
    }
    assert_eq!(found(&[credited("n"), paid_out(40)]), 1, "none was taken back");
}

fn taken_back(minor: u32) -> [RecordedEvent; 2] {
    let reversal = json!({"reversal_id": "rvl-1", "clearing_id": "clr-1", "amount": amount(minor)});
    let (mut of_network, mut of_books) = (reversal.clone(), reversal);
    (of_network["network"], of_network["occurred_at"]) = (json!("visa"), json!(AT));
    (of_books["hold_id"], of_books["transfers"]) = (json!("a"), transfer("settlement", "customer", minor));
    [payment("ClearingReversed", of_network), books("ClearingReversalBooked", of_books)]
}

#[test]
fn what_the_network_takes_back_is_found_if_it_was_not_claimed_or_is_booked_otherwise() {
    let claimed = claimed();
    let [reversed, reversal_booked] = taken_back(20);
    let none: [&str; 0] = [];
    let with = |events: &[RecordedEvent]| broken(&[&claimed[..], events].concat());
    assert_eq!(with(&[reversed.clone(), reversal_booked.clone()]), none);
    assert!(with(&taken_back(51)).contains(&"refunds_within_captured"));
    assert!(with(std::slice::from_ref(&reversal_booked)).contains(&"decided_before_answered"));
    let [_, of_another_amount] = taken_back(21);
    assert!(with(&[reversed.clone(), of_another_amount]).contains(&"decided_before_answered"));
    assert!(with(&[reversed.clone(), reversed, reversal_booked]).contains(&"one_effect_per_identity"));
}

#[test]
fn what_was_refunded_and_taken_back_is_no_more_than_was_claimed_but_for_the_stated_excess() {
    let refund = payment("RefundLinked", json!({"amount": amount(40), "origin": {"network": "rfd-1"}}));
    let claimed = [requested(60), approved(60), cleared(50, 0, 10), refund];
    let [mut reversed, _] = taken_back(50);
    let with = |reversed: &RecordedEvent| broken(&[&claimed[..], std::slice::from_ref(reversed)].concat());
    assert!(with(&reversed).contains(&"refunds_within_captured"));
    let mut payload: Value = serde_json::from_slice(&reversed.payload).unwrap();
    payload["excess"] = json!("40");
    reversed.payload = payload.to_string().into_bytes();
    assert!(!with(&reversed).contains(&"refunds_within_captured"));
}
