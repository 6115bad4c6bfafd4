//! Increments: decided like a request, by card and account, and undone if anything refuses.

use clearfold_domain::authorization::IncrementFate;
use clearfold_domain::policy::DeclineReason;

use super::*;

fn increment(id: &str, minor: u128) -> Value {
    json!({"message_id": id, "amount": amount(minor), "occurred_at": AT})
}

fn fate(life: &Life, id: &str) -> IncrementFate {
    life.world.payments["auth-1"].state.increments[&id.parse().expect("our own id")].fate
}

/// Returns the reason for which the increment was declined.
fn reason(life: &Life, id: &str) -> String {
    match fate(life, id) {
        IncrementFate::Declined(reason) => reason.to_string(),
        fate => panic!("{id} is {fate:?}"),
    }
}

#[test]
fn an_increment_is_reserved_held_and_approved_and_counts_once() {
    let mut life = Life::new();
    life.request(100);
    for _ in 0..2 {
        life.then("IncrementAuthorization", &increment("inc-1", 50));
        assert_eq!((life.status(), life.available().as_str()), (Status::Authorized, "850"));
    }
    assert_eq!(fate(&life, "inc-1"), IncrementFate::Approved);
    assert_eq!(life.booked(), ["HoldPlaced", "HoldRaised"]);
    assert_eq!(life.counted(), ["SpendReserved", "SpendReserved"]);
    assert_eq!(life.ended(), [("authorize", Outcome::Done), ("increment", Outcome::Done)]);
    assert_eq!(
        life.tell("authorization", "auth-1", "IncrementAuthorization", &increment("inc-1", 51)),
        Err("duplicate_mismatch".to_owned())
    );
    life.then("PresentClearing", &clearing("clr-1", 150, "final"));
    assert_eq!((life.status(), life.net(LedgerAccount::Settlement)), (Status::Cleared, "150".to_owned()));
}

#[test]
fn a_new_total_holds_what_is_missing_to_it() {
    let mut life = Life::new();
    life.request(100);
    let mut total = increment("inc-1", 130);
    total["basis"] = json!("total");
    life.then("IncrementAuthorization", &total);
    assert_eq!((life.status(), life.available().as_str()), (Status::Authorized, "870"));
}

#[test]
fn a_further_request_of_the_same_payment_is_decided_as_an_increment() {
    let mut life = Life::new();
    life.request(100);
    let further = json!({
        "message_id": "msg-7", "account": ACCOUNT, "card_id": "card-1", "amount": amount(50), "network": "visa",
        "merchant": merchant(), "partial_allowed": true, "occurred_at": AT,
    });
    life.then("RequestAuthorization", &further);
    assert_eq!((fate(&life, "msg-7"), life.available().as_str()), (IncrementFate::Approved, "850"));
}

#[test]
fn an_increment_is_declined_for_the_reason_of_the_account_or_the_card_and_the_rest_stays() {
    let mut life = Life::new();
    life.request(100);
    life.then("IncrementAuthorization", &increment("inc-1", 901));
    assert_eq!(reason(&life, "inc-1"), "insufficient_funds");
    assert_eq!((life.status(), life.available().as_str()), (Status::Authorized, "900"));
    assert_eq!(life.booked(), ["HoldPlaced"]);
    assert_eq!(life.counted(), ["SpendReserved", "SpendReserved", "SpendReleased"]);

    let limit = rules(&json!({"limits": [{"per": "transaction", "amount": amount(149)}]}));
    life.accepted("card", "card-1", "SetRules", &json!({"rules": limit}));
    life.then("IncrementAuthorization", &increment("inc-2", 50));
    assert_eq!(reason(&life, "inc-2"), "per_transaction_limit");
    life.then("IncrementAuthorization", &increment("inc-3", 49));
    assert_eq!((fate(&life, "inc-3"), life.available().as_str()), (IncrementFate::Approved, "851"));
    let outcomes: Vec<Outcome> = life.ended().iter().skip(1).map(|(_, outcome)| *outcome).collect();
    assert_eq!(outcomes, [Outcome::Compensated, Outcome::Compensated, Outcome::Done]);
}

#[test]
fn an_increment_of_a_payment_that_is_over_is_declined_and_asks_nobody() {
    let ends: [fn(&mut Life); 4] = [
        |life| life.then("ReverseAuthorization", &full_reversal()),
        |life| life.then("PresentClearing", &clearing("clr-1", 100, "final")),
        |life| life.wait(7 * DAY_MS),
        |life| life.accepted("card", "card-1", "FreezeCard", &json!({"reason": "holder"})),
    ];
    for (number, end) in ends.into_iter().enumerate() {
        let mut life = Life::new();
        if number < 3 {
            life.request(100);
        }
        end(&mut life);
        if number == 3 {
            life.request(100);
        }
        let (before, booked, counted) = (life.available(), life.booked(), life.counted());
        life.then("IncrementAuthorization", &increment("inc-1", 50));
        assert_eq!(reason(&life, "inc-1"), "not_open", "{:?}", life.status());
        assert_eq!((life.available(), life.booked(), life.counted()), (before, booked, counted));
    }
}

#[test]
fn what_ends_the_payment_or_the_increment_meanwhile_undoes_it_at_every_step() {
    let ends: [(&str, Value, &str); 4] = [
        ("ReverseAuthorization", full_reversal(), "1000"),
        ("PresentClearing", clearing("clr-1", 100, "final"), "900"),
        ("DeclineIncrement", json!({"message_id": "inc-1", "reason": "timeout"}), "900"),
        ("ForcePost", force_post(10), "840"),
    ];
    for (end, payload, available) in ends {
        for asked in ["ReserveSpend", "RaiseHold", "ApproveIncrement"] {
            let mut life = Life::new();
            life.request(100);
            life.accepted("authorization", "auth-1", "IncrementAuthorization", &increment("inc-1", 50));
            life.until_asked(asked);
            life.then(end, &payload);
            assert_eq!(life.available(), available, "{end} at {asked}");
            let expected = match end {
                "ForcePost" => IncrementFate::Approved,
                "DeclineIncrement" => IncrementFate::Declined(DeclineReason::Timeout),
                _ => IncrementFate::Declined(DeclineReason::NotOpen),
            };
            assert_eq!(fate(&life, "inc-1"), expected, "{end} at {asked}");
        }
    }
}

#[test]
fn a_step_that_fails_undoes_the_increment() {
    for asked in ["ReserveSpend", "RaiseHold", "ApproveIncrement"] {
        let mut life = Life::new();
        life.request(100);
        life.accepted("authorization", "auth-1", "IncrementAuthorization", &increment("inc-1", 50));
        life.until_asked(asked);
        life.world.fail("auth-1");
        life.settle();
        assert_eq!((reason(&life, "inc-1").as_str(), life.available().as_str()), ("system_error", "900"));
        life.then("ReverseAuthorization", &full_reversal());
        assert_eq!((life.status(), life.available().as_str()), (Status::Reversed, "1000"), "{asked}");
    }
}

#[test]
fn an_increment_that_was_approved_is_released_with_the_payment() {
    let mut life = Life::new();
    life.request(100);
    life.then("IncrementAuthorization", &increment("inc-1", 50));
    life.then("ReverseAuthorization", &full_reversal());
    assert_eq!((life.status(), life.available().as_str()), (Status::Reversed, "1000"));
    assert_eq!(life.counted(), ["SpendReserved", "SpendReserved", "SpendReleased", "SpendReleased"]);
}

#[test]
fn a_mastercard_hold_lives_on_from_its_increment_and_a_visa_hold_does_not() {
    for (network, status) in [("visa", Status::Expired), ("mastercard", Status::Authorized)] {
        let mut life = Life::new();
        let request = json!({
            "message_id": "msg-1", "account": ACCOUNT, "card_id": "card-1", "amount": amount(100), "network": network,
            "merchant": merchant(), "partial_allowed": false, "occurred_at": AT,
        });
        life.then("RequestAuthorization", &request);
        life.wait(5 * DAY_MS);
        life.then("IncrementAuthorization", &increment("inc-1", 50));
        life.wait(2 * DAY_MS);
        assert_eq!(life.status(), status, "{network}");
        life.wait(5 * DAY_MS);
        assert_eq!((life.status(), life.available().as_str()), (Status::Expired, "1000"), "{network}");
    }
}

#[test]
fn an_advised_payment_and_one_seen_on_chain_are_incremented_by_asking() {
    let mut life = Life::new();
    life.then("RecordAdvice", &advice(100));
    life.then("IncrementAuthorization", &increment("inc-1", 50));
    assert_eq!((fate(&life, "inc-1"), life.available().as_str()), (IncrementFate::Approved, "850"));
    assert_eq!(life.counted(), ["SpendRecorded", "SpendReserved"]);

    let mut life = Life::new();
    life.seen("authorization", "auth-1", "RecordSwipe", &swipe(100));
    life.then("IncrementAuthorization", &increment("inc-1", 50));
    assert_eq!((fate(&life, "inc-1"), life.available().as_str()), (IncrementFate::Approved, "850"));
    assert!(life.counted().is_empty(), "nobody names the card");
    life.then("IncrementAuthorization", &increment("inc-2", 851));
    assert_eq!(reason(&life, "inc-2"), "insufficient_funds");
}
