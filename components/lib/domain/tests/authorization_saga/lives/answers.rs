//! From the request to its answer: approved, declined for each reason, given up before the decision, or decided by
//! another hand.

use clearfold_kernel::Minor;

use super::*;
use crate::engine::Doing;

#[test]
fn a_request_is_reserved_held_and_approved() {
    let mut life = Life::new();
    life.request(100);
    assert_eq!((life.status(), life.available().as_str()), (Status::Authorized, "900"));
    assert_eq!((life.booked(), life.counted()), (vec!["HoldPlaced".into()], vec!["SpendReserved".into()]));
    assert_eq!(life.ended(), [("authorize", Outcome::Done)]);
}

/// Has a request of 100 declined after a preparation, and returns the reason.
fn declined(prepare: impl FnOnce(&mut Life)) -> String {
    let mut life = Life::new();
    prepare(&mut life);
    let before = life.available();
    life.request(100);
    assert_eq!((life.status(), life.available()), (Status::Declined, before));
    assert_eq!(life.ended(), [("authorize", Outcome::Compensated)]);
    if let Some(card) = life.world.cards.get("card-1") {
        let payment_id = "auth-1".parse().expect("our own id");
        if let clearfold_domain::card::State::Issued(card) = &card.state {
            let counts = card.usage.of_payment(&payment_id, &asset(), card.latest).expect("small amounts");
            assert_eq!(counts, Minor::ZERO, "a declined payment counts for nothing");
        }
    }
    life.reason()
}

#[test]
fn a_request_is_declined_for_the_reason_of_the_card() {
    let limited = |changes: Value| {
        declined(|life| life.accepted("card", "card-1", "SetRules", &json!({"rules": rules(&changes)})))
    };
    let limit = |per: &str| json!({"limits": [{"per": per, "amount": amount(99)}]});
    assert_eq!(limited(limit("transaction")), "per_transaction_limit");
    assert_eq!(limited(limit("day")), "daily_limit");
    assert_eq!(limited(json!({"categories": {"all_but": ["5812"]}})), "merchant_category_blocked");
    assert_eq!(limited(json!({"countries": {"only": ["FR"]}})), "country_blocked");
    let frozen = |life: &mut Life| life.accepted("card", "card-1", "FreezeCard", &json!({"reason": "lost"}));
    assert_eq!(declined(frozen), "card_frozen");
    assert_eq!(declined(|life| life.accepted("card", "card-1", "CloseCard", &json!({}))), "card_closed");
    let often = declined(|life| {
        let velocity = rules(&json!({"velocity": [{"max_count": 1, "window_s": 3600}]}));
        life.accepted("card", "card-1", "SetRules", &json!({"rules": velocity}));
        life.begin("auth-0", 1);
        life.settle();
    });
    assert_eq!(often, "velocity");
}

#[test]
fn a_request_is_declined_for_the_reason_of_the_account_and_the_card_counts_it_no_more() {
    assert_eq!(
        declined(|life| {
            life.begin("auth-0", 901);
            life.settle();
        }),
        "insufficient_funds"
    );
    let waiting = json!({"state": "waiting", "source": source(2)});
    assert_eq!(
        declined(|life| life.seen("account", ACCOUNT, "ObserveDelayQueue", &waiting)),
        "delay_queue_not_empty"
    );
}

#[test]
fn a_request_that_the_network_has_reversed_already_is_declined() {
    let reversed = |life: &mut Life| {
        life.accepted("authorization", "auth-1", "ReverseAuthorization", &full_reversal());
    };
    assert_eq!(declined(reversed), "reversed");
}

#[test]
fn a_request_of_an_unknown_card_or_safe_is_declined_for_that_reason() {
    let mut life = Life::unknown();
    life.request(100);
    assert_eq!((life.status(), life.reason().as_str()), (Status::Declined, "card_not_issued"));
    let mut life = Life::unknown();
    life.accepted("card", "card-1", "IssueCard", &json!({"account": ACCOUNT, "rules": rules(&Value::Null)}));
    life.request(100);
    assert_eq!((life.status(), life.reason().as_str()), (Status::Declined, "account_not_opened"));
    assert_eq!(life.counted(), ["SpendReserved", "SpendReleased"]);
    assert!(!life.world.account.state.is_open(), "a request opens no account");
}

#[test]
fn an_operator_declines_before_the_answer_and_everything_is_undone() {
    let mut life = Life::new();
    life.begin("auth-1", 100);
    life.until_asked("ApproveAuthorization");
    assert_eq!(life.available(), "900");
    life.then("DeclineAuthorization", &json!({"reason": "risk_declined"}));
    assert_eq!((life.status(), life.reason().as_str()), (Status::Declined, "risk_declined"));
    assert_eq!(
        (life.available().as_str(), life.booked()),
        ("1000", vec!["HoldPlaced".to_owned(), "HoldVoided".to_owned()])
    );
    assert_eq!(life.counted(), ["SpendReserved", "SpendReleased"]);
}

#[test]
fn an_operator_approves_before_the_answer_and_nothing_is_undone() {
    let mut life = Life::new();
    life.begin("auth-1", 100);
    life.until_asked("ApproveAuthorization");
    life.accepted("authorization", "auth-1", "ApproveAuthorization", &json!({"amount": amount(100)}));
    life.accepted("authorization", "auth-1", "ReverseAuthorization", &reversal("rev-1", 30));
    life.settle();
    assert_eq!((life.status(), life.available().as_str()), (Status::Authorized, "930"));
    life.then("PresentClearing", &clearing("clr-1", 70, "final"));
    assert_eq!((life.status(), life.available().as_str()), (Status::Cleared, "930"));
}

/// The flow's approval comes too late: the payment was approved by hand and ended. Its own bookings lower the hold.
#[test]
fn what_an_operator_approved_and_the_merchant_reversed_is_lowered_and_not_voided() {
    let mut life = Life::new();
    life.begin("auth-1", 100);
    life.until_asked("ApproveAuthorization");
    life.accepted("authorization", "auth-1", "ApproveAuthorization", &json!({"amount": amount(100)}));
    life.accepted("authorization", "auth-1", "ReverseAuthorization", &full_reversal());
    life.settle();
    assert_eq!((life.status(), life.available().as_str()), (Status::Reversed, "1000"));
    assert_eq!(life.booked(), ["HoldPlaced", "HoldLowered"]);
    assert_eq!(life.counted(), ["SpendReserved", "SpendReleased"]);
}

#[test]
fn a_part_that_an_operator_approves_releases_the_rest_on_the_card() {
    let mut life = Life::new();
    // The card declined it, and the operator approves a part of it by hand: reserves, holds and approves.
    life.begin("auth-1", 100);
    life.until_asked("ReserveSpend");
    let hold = json!({"hold_id": "auth-1", "amount": amount(60), "forced": false});
    life.accepted("account", ACCOUNT, "PlaceHold", &hold);
    life.accepted("authorization", "auth-1", "ApproveAuthorization", &json!({"amount": amount(60)}));
    life.settle();
    assert_eq!((life.status(), life.available().as_str()), (Status::PartiallyAuthorized, "940"));
    assert_eq!(life.counted(), ["SpendReserved", "SpendReleased"]);
    assert!(matches!(life.world.instances["auth-1"].lanes["expiry"][0].doing, Doing::Wait(_)));
    life.wait(8 * DAY_MS);
    assert_eq!((life.status(), life.available().as_str()), (Status::Expired, "1000"));
}

#[test]
fn a_reversal_before_the_decision_leaves_nothing_held_or_counted() {
    for asked in ["ReserveSpend", "PlaceHold", "ApproveAuthorization"] {
        let mut life = Life::new();
        life.begin("auth-1", 100);
        life.until_asked(asked);
        life.then("ReverseAuthorization", &full_reversal());
        assert_eq!((life.status(), life.available().as_str()), (Status::Reversed, "1000"));
        assert_eq!(life.counted(), ["SpendReserved", "SpendReleased"], "{asked}");
        assert_eq!(life.ended(), [("authorize", Outcome::Compensated), ("book", Outcome::Done)]);
    }
}

#[test]
fn a_partial_reversal_that_comes_before_its_request_fits_nothing_and_starts_nothing() {
    let mut life = Life::new();
    life.then("ReverseAuthorization", &reversal("rev-1", 30));
    assert!(life.world.instances["auth-1"].memory.is_empty());
    life.request(100);
    assert_eq!((life.status(), life.available().as_str()), (Status::Authorized, "900"));
    let again = json!({"message_id": "rev-2", "extent": "full", "cause": "merchant", "occurred_at": AT});
    life.then("ReverseAuthorization", &again);
    assert_eq!((life.status(), life.available().as_str()), (Status::Reversed, "1000"));
}

/// The host cannot have the approval decided, so the request is declined.
#[test]
fn an_approval_that_fails_declines_the_request_and_undoes_everything() {
    let mut life = Life::new();
    life.begin("auth-1", 100);
    life.until_asked("ApproveAuthorization");
    life.world.fail("auth-1");
    life.settle();
    assert_eq!((life.status(), life.reason().as_str()), (Status::Declined, "system_error"));
    assert_eq!(
        (life.available().as_str(), life.counted()),
        ("1000", vec!["SpendReserved".to_owned(), "SpendReleased".to_owned()])
    );
}
