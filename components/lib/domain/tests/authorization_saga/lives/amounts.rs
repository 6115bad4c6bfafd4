//! Amounts that the network states: completions of fuel pumps, and refunds beyond what was captured.

use super::*;

fn refund(minor: u128) -> Value {
    json!({"account": ACCOUNT, "amount": amount(minor), "origin": {"network": "rfd-1"}, "occurred_at": AT})
}

#[test]
fn a_completion_lowers_the_hold_and_a_reversal_under_its_id_ends_it() {
    let mut life = Life::new();
    life.request(100);
    life.then("RecordAdvice", &advice(45));
    assert_eq!((life.status(), life.available().as_str()), (Status::Authorized, "955"));
    life.then(
        "ReverseAuthorization",
        &json!({ "message_id": "adv-1", "extent": "full", "cause": "merchant", "occurred_at": AT }),
    );
    assert_eq!((life.status(), life.available().as_str()), (Status::Reversed, "1000"));
    assert_eq!(life.booked(), ["HoldPlaced", "HoldLowered", "HoldLowered"]);
}

#[test]
fn a_pump_that_sold_nothing_ends_the_hold_and_the_wait_for_its_expiry() {
    let mut life = Life::new();
    life.request(100);
    life.then("RecordAdvice", &advice(0));
    assert_eq!((life.status(), life.available().as_str()), (Status::Reversed, "1000"));
    assert!(life.ended().contains(&("expire", Outcome::Cancelled)));
    assert_eq!(life.counted(), ["SpendReserved", "SpendReleased"]);
}

#[test]
fn a_refund_of_more_than_was_captured_is_credited_whole() {
    let mut life = Life::new();
    life.request(100);
    life.then("PresentClearing", &clearing("clr-1", 100, "final"));
    life.then("RecordRefund", &refund(120));
    assert_eq!((life.available(), life.net(LedgerAccount::Settlement)), ("1020".into(), "-20".into()));
}

#[test]
fn a_refund_of_a_declined_payment_of_an_unknown_safe_opens_its_account() {
    let mut life = Life::unknown();
    life.request(100);
    assert_eq!((life.status(), life.reason().as_str()), (Status::Declined, "card_not_issued"));
    life.then("RecordRefund", &refund(100));
    assert_eq!((life.available().as_str(), life.booked()), ("100", vec!["RefundBooked".to_owned()]));
}

#[test]
fn settlement_is_zero_once_the_network_got_what_it_claimed() {
    let mut life = Life::new();
    life.request(100);
    // Our own conversion is 999 minor units.
    let presented =
        json!({"amount": {"minor": "300", "asset": "USD", "decimals": 2}, "rate": "0.000000000000000333"});
    let mut claim = clearing("clr-1", 100, "final");
    claim["presented"] = presented;
    life.then("PresentClearing", &claim);
    assert_eq!((life.net(LedgerAccount::Settlement), life.available()), ("100".into(), "900".into()));
    let paid = json!({"settlement_id": "set-1", "direction": "paid", "amount": amount(100)});
    life.accepted("account", ACCOUNT, "RecordSettlement", &paid);
    assert_eq!(
        (life.net(LedgerAccount::Settlement), life.net(LedgerAccount::Rounding)),
        ("0".into(), "0".into())
    );
}

#[test]
fn a_claim_on_a_verification_opens_the_account_that_nobody_asked() {
    let mut life = Life::with_a_card_alone();
    life.request(0);
    assert_eq!(life.status(), Status::Authorized);
    life.then("PresentClearing", &clearing("clr-1", 100, "final"));
    assert_eq!((life.available().as_str(), life.booked()), ("-100", vec!["ClearingBooked".to_owned()]));
}

#[test]
fn a_pump_that_sold_nothing_before_the_request_was_decided_leaves_no_hold() {
    let mut life = Life::new();
    life.request(100);
    life.then(
        "ReverseAuthorization",
        &json!({
            "message_id": "rev-1", "extent": "full", "cause": "merchant", "occurred_at": AT,
        }),
    );
    life.then("RecordAdvice", &advice(0));
    assert_eq!((life.status(), life.available().as_str()), (Status::Reversed, "1000"));
}
