//! Checks of card and holder: what the network states reaches the card, and a wrong PIN counts before the card decides.

use clearfold_domain::authorization::IncrementFate;

use super::*;

fn reason(life: &Life, id: &str) -> Vec<String> {
    let payment = life.world.payment(id).expect("a payment");
    payment.flags.iter().map(ToString::to_string).collect()
}

#[test]
fn after_three_wrong_pins_the_right_one_is_declined_too_until_the_tries_are_reset() {
    let mut life = Life::new();
    let (wrong, right) = (json!({"pin": "not_matched"}), json!({"pin": "matched"}));
    for (id, checks, reasons) in [
        ("auth-1", &wrong, vec!["pin_incorrect"]),
        ("auth-2", &wrong, vec!["pin_incorrect"]),
        ("auth-3", &wrong, vec!["pin_incorrect"]),
        ("auth-4", &right, vec!["pin_tries_exceeded"]),
        ("auth-5", &wrong, vec!["pin_tries_exceeded"]),
    ] {
        life.begin_checked(id, 100, checks);
        life.settle();
        assert_eq!(reason(&life, id), reasons, "{id}");
    }
    assert_eq!(life.counted(), ["PinFailed"; 4]);
    assert_eq!(life.ended(), [("authorize", Outcome::Compensated)]);
    life.accepted("card", "card-1", "ResetPinTries", &json!({}));
    life.begin_checked("auth-6", 100, &right);
    life.settle();
    assert_eq!(life.world.payment("auth-6").expect("a payment").status, Status::Authorized);
    assert_eq!(life.available(), "900");
}

#[test]
fn a_wrong_pin_is_counted_before_the_card_decides_whatever_it_is_declined_for() {
    let mut life = Life::new();
    life.accepted("card", "card-1", "FreezeCard", &json!({"reason": "risk"}));
    life.begin_checked("auth-1", 100, &json!({"pin": "not_matched"}));
    life.until_asked("ReserveSpend");
    assert_eq!(life.counted(), ["CardFrozen", "PinFailed"]);
    life.settle();
    assert_eq!(reason(&life, "auth-1"), ["card_frozen"]);
}

#[test]
fn a_wrong_pin_of_an_unknown_card_is_declined_for_the_card() {
    let mut life = Life::unknown();
    life.begin_checked("auth-1", 100, &json!({"pin": "not_matched"}));
    life.settle();
    assert_eq!(reason(&life, "auth-1"), ["card_not_issued"]);
}

#[test]
fn a_payment_whose_holder_was_authenticated_is_incremented_without_another_check() {
    let mut life = Life::new();
    let checks = json!({"checks": {"decline_if_wrong": [], "require": ["three_ds"]}});
    life.accepted("card", "card-1", "SetRules", &json!({"rules": rules(&checks)}));
    life.begin_checked("auth-1", 100, &json!({"three_ds": "authenticated", "entry": "ecommerce"}));
    life.settle();
    let increment = json!({"message_id": "inc-1", "amount": amount(50), "occurred_at": AT});
    life.then("IncrementAuthorization", &increment);
    let fate = life.world.payments["auth-1"].state.increments[&"inc-1".parse().expect("our own id")].fate;
    assert_eq!((fate, life.available().as_str()), (IncrementFate::Approved, "850"));
}
