//! Linked clearings that two payments have, or none.

use super::*;

fn of_odd(kind: &str, payload: Value) -> RecordedEvent {
    recorded("authorization-odd", kind, 1, payload)
}

fn linked() -> RecordedEvent {
    let payload = json!({
        "payment_id": "a", "link": 1, "clearing_id": "clr-9", "amount": amount(60), "part": "final", "actor": "saga",
        "residue": {"over": "0", "under": "0"},
    });
    of_odd("ClearingLinked", payload)
}

fn taken(minor: u32) -> RecordedEvent {
    let payload = json!({
        "clearing_id": "linked/odd", "against_hold": minor.to_string(), "beyond_hold": "0", "released": "0",
        "asset": "EURe", "decimals": 18, "residue": {"over": "0", "under": "0"}, "part": "final", "final": true,
        "origin": {"posted_on": "odd", "clearing_id": "clr-9", "link": 1},
    });
    payment("ClearingPosted", payload)
}

fn given_up() -> RecordedEvent {
    let payload = json!({
        "posted_on": "odd", "clearing_id": "linked/odd", "link": 1, "amount": amount(60), "against_hold": "60",
        "held": "60", "restored": "authorized", "actor": "api",
    });
    payment("ClearingGivenUp", payload)
}

fn unlinked() -> RecordedEvent {
    let payload = json!({"payment_id": "a", "link": 1, "clearing_id": "clr-9", "amount": amount(60)});
    of_odd("ClearingUnlinked", payload)
}

#[test]
fn a_linked_clearing_that_two_payments_have_or_none_is_found() {
    let found = |events: Vec<RecordedEvent>| {
        let all: Vec<RecordedEvent> = [requested(60), approved(60)].into_iter().chain(events).collect();
        broken(&all).contains(&"clearing_has_one_payment")
    };
    assert!(!found(vec![linked(), taken(60)]));
    assert!(!found(vec![linked(), taken(60), given_up(), unlinked()]));
    assert!(!found(vec![linked(), unlinked()]), "the payment could not have it");
    assert!(found(vec![taken(60)]), "it is not linked");
    assert!(found(vec![linked(), taken(50)]), "a part is missing");
    assert!(found(vec![linked(), taken(60), unlinked()]), "both have it");
    assert!(found(vec![linked(), unlinked(), taken(60)]), "the link has ended");
    assert!(found(vec![linked(), given_up()]), "it was not there");
}
