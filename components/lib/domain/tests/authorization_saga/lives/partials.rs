//! Partial approvals: the account has less than was asked for, and the merchant accepts a part.

use clearfold_kernel::Minor;

use super::*;

const CENT: u128 = 10_000_000_000_000_000;

/// Begins with an account that has 12.50 EURe and half a cent, and a card without limits.
fn life() -> Life {
    let mut life = Life::new();
    let deposit =
        json!({"amount": amount(1_250 * CENT + CENT / 2), "source": source(201), "occurred_at": AT});
    life.seen("account", ACCOUNT, "RecordDeposit", &deposit);
    life
}

fn request(life: &mut Life, cents: u128, partial_allowed: bool) {
    let request = json!({
        "message_id": "msg-1", "account": ACCOUNT, "card_id": "card-1", "amount": amount(cents * CENT),
        "network": "visa", "merchant": merchant(), "partial_allowed": partial_allowed, "occurred_at": AT,
    });
    life.accepted("authorization", "auth-1", "RequestAuthorization", &request);
}

fn held(life: &Life) -> Minor {
    life.world.payment("auth-1").expect("a payment").held()
}

#[test]
fn what_the_account_has_is_approved_in_whole_cents_and_the_card_counts_no_more() {
    let mut life = life();
    request(&mut life, 2_000, true);
    life.settle();
    assert_eq!((life.status(), held(&life)), (Status::PartiallyAuthorized, Minor::new(1_250 * CENT)));
    assert_eq!(life.booked(), ["HoldPlaced"]);
    assert_eq!(life.counted(), ["SpendReserved", "SpendReleased"]);
    let ended =
        [("authorize", Outcome::Compensated), ("authorize-part", Outcome::Done), ("book", Outcome::Done)];
    assert_eq!(life.ended(), ended);
    life.then("PresentClearing", &clearing("clr-1", 1_250 * CENT, "final"));
    assert_eq!(life.status(), Status::Cleared);
}

#[test]
fn the_whole_is_approved_where_there_is_enough_and_declined_where_a_part_would_not_do() {
    for (cents, partial_allowed, status) in [
        (1_250, true, Status::Authorized),
        (1_251, true, Status::PartiallyAuthorized),
        (1_251, false, Status::Declined),
    ] {
        let mut life = life();
        request(&mut life, cents, partial_allowed);
        life.settle();
        assert_eq!(life.status(), status, "{cents} {partial_allowed}");
    }
}

#[test]
fn less_than_a_cent_is_no_part() {
    let mut life = Life::new();
    request(&mut life, 1, true);
    life.settle();
    assert_eq!((life.status(), life.reason().as_str()), (Status::Declined, "insufficient_funds"));
    assert_eq!(life.counted(), ["SpendReserved", "SpendReleased"]);
}

#[test]
fn a_part_that_is_gone_meanwhile_is_declined_and_nothing_of_it_stays() {
    let mut life = life();
    request(&mut life, 2_000, true);
    life.until_asked("ProposePartialApproval");
    let withdrawal = json!({"amount": amount(CENT), "source": source(202), "occurred_at": AT});
    life.seen("account", ACCOUNT, "RecordWithdrawal", &withdrawal);
    life.settle();
    assert_eq!((life.status(), life.reason().as_str()), (Status::Declined, "insufficient_funds"));
    let payment_id = "auth-1".parse().expect("our own id");
    let clearfold_domain::card::State::Issued(card) = &life.world.cards["card-1"].state else {
        panic!("no card")
    };
    let counts = card.usage.of_payment(&payment_id, &asset(), card.latest).expect("small amounts");
    assert_eq!(counts, Minor::ZERO);
}

#[test]
fn whatever_decides_the_request_meanwhile_leaves_nothing_of_the_part() {
    let ends = [
        ("DeclineAuthorization", json!({"reason": "timeout"}), Status::Declined),
        ("ReverseAuthorization", full_reversal(), Status::Reversed),
        ("RecordAdvice", advice(CENT), Status::Advised),
        ("ForcePost", force_post(CENT), Status::ForcePosted),
    ];
    for (end, payload, status) in ends {
        for (asked, which) in [
            ("ReserveSpend", 1),
            ("PlaceHold", 1),
            ("ProposePartialApproval", 1),
            ("PlaceHold", 2),
            ("ApproveAuthorization", 1),
        ] {
            let mut life = life();
            request(&mut life, 2_000, true);
            if which == 2 {
                life.until_asked("ProposePartialApproval");
            }
            life.until_asked(asked);
            life.then(end, &payload);
            assert_eq!(life.status(), status, "{end} at {asked} {which}");
            let taken = if status == Status::Advised || status == Status::ForcePosted { CENT } else { 0 };
            let left = 1_250 * CENT + CENT / 2 + 1_000 - taken;
            assert_eq!(life.available(), left.to_string(), "{end} at {asked} {which}");
        }
    }
}

#[test]
fn a_step_that_fails_declines_the_part() {
    for asked in ["ApproveAuthorization", "ProposePartialApproval"] {
        let mut life = life();
        request(&mut life, 2_000, true);
        life.until_asked(asked);
        life.world.fail("auth-1");
        life.settle();
        // A proposal that could not be recorded is sent again.
        let status =
            if asked == "ApproveAuthorization" { Status::Declined } else { Status::PartiallyAuthorized };
        assert_eq!(life.status(), status, "{asked}");
    }
}
