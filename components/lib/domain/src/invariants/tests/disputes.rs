//! Disputes: what the network moved is booked once, and waits under its name.

use super::*;

fn moved(record: &str, cycle: &str, direction: &str, minor: u32) -> RecordedEvent {
    let money = json!({
        "record_id": record, "dispute_id": "d", "network": "visa", "cycle": cycle, "direction": direction,
        "amount": amount(minor),
    });
    payment("DisputeMoneyMoved", money)
}

fn money_booked(
    record: &str,
    (cycle, direction): (&str, &str),
    minor: u32,
    transfers: &Value,
) -> RecordedEvent {
    let money = json!({
        "record_id": record, "hold_id": "a", "dispute_id": "d", "cycle": cycle, "direction": direction,
        "amount": amount(minor), "transfers": transfers,
    });
    books("DisputeMoneyBooked", money)
}

fn received(transfers: &Value) -> [RecordedEvent; 2] {
    let booked = money_booked("r1", ("chargeback", "received"), 60, transfers);
    [moved("r1", "chargeback", "received", 60), booked]
}

fn lost(transfers: &Value) -> [RecordedEvent; 2] {
    let dispute =
        json!({"dispute_id": "d", "outcome": "lost", "amount": amount(60), "provisional_credit": false});
    let booked = json!({
        "hold_id": "a", "dispute_id": "d", "step": "lost", "amount": amount(60), "transfers": transfers,
    });
    [payment("DisputeResolved", dispute), books("DisputeBooked", booked)]
}

/// Codes that these events break, behind the opening of the account.
fn of_dispute(events: &[&[RecordedEvent]]) -> Vec<&'static str> {
    broken(&[vec![opened()], events.concat()].concat())
}

#[test]
fn money_of_a_dispute_that_is_booked_otherwise_is_found() {
    let nothing = json!([]);
    let right = transfer("settlement", "suspense", 60);
    assert_eq!(of_dispute(&[&received(&right), &lost(&nothing)]), [""; 0]);
    let both = ["dispute_money_booked_once", "suspense_is_open_items"];
    assert_eq!(of_dispute(&[&received(&nothing)]), both);
    assert_eq!(of_dispute(&[&received(&transfer("settlement", "suspense", 59))]), both);
    assert_eq!(of_dispute(&[&received(&transfer("settlement", "loss", 60))]), both);
}

#[test]
fn a_loss_before_a_withdrawal_is_found() {
    let right = transfer("settlement", "suspense", 60);
    let kept = transfer("suspense", "loss", 60);
    let withdrawn =
        [moved("r2", "withdrawal", "paid", 0), money_booked("r2", ("withdrawal", "paid"), 0, &kept)];
    assert_eq!(of_dispute(&[&received(&right), &withdrawn]), [""; 0]);
    let both = ["dispute_money_booked_once", "suspense_is_open_items"];
    assert_eq!(of_dispute(&[&received(&right), &lost(&kept)]), both);
}

#[test]
fn money_of_a_dispute_that_is_never_booked_or_twice_is_found() {
    let right = transfer("settlement", "suspense", 60);
    let [told, booked] = received(&right);
    assert!(of_dispute(&[std::slice::from_ref(&booked)]).contains(&"decided_before_answered"));
    assert!(of_dispute(&[&[told, booked.clone(), booked]]).contains(&"one_effect_per_identity"));
}
