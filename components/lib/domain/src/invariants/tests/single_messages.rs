//! Single messages that are approved and not claimed.

use super::*;

#[test]
fn a_single_message_that_is_approved_and_not_claimed_is_found() {
    let single = || {
        let event = requested(60);
        let payload = String::from_utf8(event.payload).unwrap();
        let payload = payload.replacen('{', "{\"single_message\":true,", 1).into_bytes();
        RecordedEvent { payload, ..event }
    };
    let found = |events: &[RecordedEvent]| broken(events).contains(&"single_message_claimed");
    assert!(!found(&[single(), approved(60), cleared(60, 0, 0)]));
    assert!(found(&[single(), approved(60)]), "nothing is claimed");
    assert!(found(&[single(), approved(60), cleared(50, 0, 10)]), "less is claimed");
    let reversed = payment(
        "ClearingReversed",
        json!({"reversal_id": "r", "clearing_id": "clr-1", "network": "visa", "amount": amount(60)}),
    );
    assert!(found(&[single(), approved(60), reversed, cleared(60, 0, 0)]), "something comes in between");
    assert!(!found(&[requested(60), approved(60)]), "it is none");
}
