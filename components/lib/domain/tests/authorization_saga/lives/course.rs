//! After the answer, or without a request: claims, reversals, expiries, advices, funding, refunds and disputes.

use clearfold_domain::authorization::Event;

use super::*;

#[test]
fn reversals_give_back_and_the_last_one_ends_the_wait_for_the_expiry() {
    let mut life = Life::new();
    life.request(100);
    life.then("ReverseAuthorization", &reversal("rev-1", 40));
    assert_eq!(life.available(), "940");
    assert!(life.world.instances["auth-1"].lanes.contains_key("expiry"));
    life.then("ReverseAuthorization", &reversal("rev-2", 60));
    assert_eq!((life.status(), life.available().as_str()), (Status::Reversed, "1000"));
    assert!(life.world.instances["auth-1"].lanes.is_empty());
    assert!(life.ended().contains(&("expire", Outcome::Cancelled)));
}

#[test]
fn a_hold_expires_at_its_time_and_a_late_claim_posts_all_the_same() {
    let mut life = Life::new();
    life.request(100);
    life.wait(7 * DAY_MS - 1);
    assert_eq!(life.status(), Status::Authorized);
    life.wait(1);
    assert_eq!((life.status(), life.available().as_str()), (Status::Expired, "1000"));
    assert_eq!(life.counted(), ["SpendReserved", "SpendReleased"]);
    life.then("PresentClearing", &clearing("clr-1", 100, "final"));
    assert_eq!((life.status(), life.available().as_str()), (Status::ClearedLate, "900"));
    assert_eq!(life.counted(), ["SpendReserved", "SpendReleased", "SpendRecorded"]);
}

#[test]
fn an_advice_puts_off_the_expiry_of_the_hold_that_it_raises() {
    let mut life = Life::new();
    life.request(100);
    life.wait(5 * DAY_MS);
    life.then("RecordAdvice", &advice(150));
    assert_eq!(life.available(), "850");
    life.wait(4 * DAY_MS);
    assert_eq!((life.status(), life.available().as_str()), (Status::Authorized, "850"));
    life.wait(3 * DAY_MS);
    assert_eq!((life.status(), life.available().as_str()), (Status::Expired, "1000"));
}

#[test]
fn parts_clear_the_hold_and_the_final_one_releases_the_rest() {
    let mut life = Life::new();
    life.request(100);
    life.then("PresentClearing", &clearing("clr-1", 30, "partial"));
    assert_eq!((life.status(), life.available().as_str()), (Status::Authorized, "900"));
    life.then("PresentClearing", &clearing("clr-2", 50, "final"));
    assert_eq!((life.status(), life.available().as_str()), (Status::Cleared, "920"));
    assert_eq!(life.net(LedgerAccount::Settlement), "80");
    assert!(life.ended().contains(&("expire", Outcome::Cancelled)));
}

#[test]
fn a_claim_above_the_hold_counts_on_the_card_as_well() {
    let mut life = Life::new();
    life.request(100);
    life.then("PresentClearing", &clearing("clr-1", 120, "final"));
    assert_eq!(
        (life.available().as_str(), life.counted()),
        ("880", vec!["SpendReserved".to_owned(), "SpendRecorded".to_owned()])
    );
}

#[test]
fn a_swipe_of_an_unknown_safe_opens_its_account_and_is_booked() {
    let mut life = Life::unknown();
    life.seen("authorization", "auth-1", "RecordSwipe", &swipe(100));
    life.settle();
    assert_eq!((life.status(), life.available().as_str()), (Status::Recorded, "-100"));
    assert_eq!(life.booked(), ["HoldPlaced", "FundingBooked"]);
    life.then("PresentClearing", &clearing("clr-1", 100, "final"));
    assert_eq!((life.status(), life.net(LedgerAccount::InTransit).as_str()), (Status::Cleared, "100"));
}

#[test]
fn the_hold_of_a_swipe_ends_in_time_and_its_money_is_the_customers_until_it_is_claimed_late() {
    let mut life = Life::new();
    life.seen("authorization", "auth-1", "RecordSwipe", &swipe(100));
    life.settle();
    life.wait(31 * DAY_MS - 1);
    assert_eq!((life.status(), life.available().as_str()), (Status::Recorded, "900"));
    life.wait(1);
    // An expiry makes no transfer: the pulled money stays with the issuer, as a debt to the customer.
    assert_eq!((life.status(), life.available().as_str()), (Status::Expired, "1000"));
    assert_eq!(
        (life.net(LedgerAccount::InTransit), life.net(LedgerAccount::Safe)),
        ("100".into(), "900".into())
    );
    let events = &life.world.payments["auth-1"].events;
    let [.., Event::AuthorizationExpired(expired), Event::ReturnOwed(_)] = &events[..] else {
        panic!("{events:?}")
    };
    assert_eq!(expired.owed.as_ref().map(|owed| owed.minor.to_string()), Some("100".to_owned()));
    life.then("PresentClearing", &clearing("clr-1", 100, "final"));
    assert_eq!((life.status(), life.available().as_str()), (Status::ClearedLate, "900"));
}

#[test]
fn a_claim_ends_the_wait_for_the_expiry_of_a_swipe() {
    let mut life = Life::new();
    life.seen("authorization", "auth-1", "RecordSwipe", &swipe(100));
    life.then("PresentClearing", &clearing("clr-1", 100, "final"));
    assert!(life.ended().contains(&("expire", Outcome::Cancelled)));
    assert!(life.world.instances["auth-1"].lanes.is_empty());
}

/// Money that was pulled and comes back is no credit (case S2a), and ends the hold that it was pulled for.
#[test]
fn a_return_of_pulled_money_ends_its_hold_and_gives_the_customer_nothing_more() {
    type End = fn(&mut Life);
    let back =
        json!({"account": ACCOUNT, "amount": amount(100), "origin": {"chain": source(3)}, "occurred_at": AT});
    let returned = json!({"outcome": "returned", "payment_id": "auth-1"});
    let ends: [(End, Status); 3] = [
        (|_| {}, Status::Reversed),
        (|life| life.then("ReverseAuthorization", &full_reversal()), Status::Reversed),
        (|life| life.wait(31 * DAY_MS), Status::Expired),
    ];
    for (end, status) in ends {
        let mut life = Life::new();
        life.seen("authorization", "auth-1", "RecordSwipe", &swipe(100));
        life.settle();
        end(&mut life);
        life.seen("authorization", "refund-1", "RecordRefund", &back);
        life.settle();
        assert_eq!(life.available(), "1000", "whether it is a return is not known yet");
        life.accepted("authorization", "refund-1", "ResolveRefund", &returned);
        life.settle();
        assert_eq!((life.status(), life.available().as_str()), (status, "1000"));
        assert_eq!(
            (life.net(LedgerAccount::Safe), life.net(LedgerAccount::Suspense)),
            ("1000".into(), "0".into())
        );
    }
}

#[test]
fn a_swipe_of_an_account_with_other_assets_is_booked() {
    let mut life = Life::unknown();
    let assets = json!({"assets": [{"asset": "USDC.e", "decimals": 6}]});
    life.accepted("account", ACCOUNT, "OpenAccount", &assets);
    life.seen("authorization", "auth-1", "RecordSwipe", &swipe(100));
    life.settle();
    assert_eq!(
        (life.available().as_str(), life.booked()),
        ("-100", vec!["HoldPlaced".to_owned(), "FundingBooked".to_owned()])
    );
}

#[test]
fn funding_is_booked_up_to_its_final_block() {
    let mut life = Life::new();
    life.request(100);
    let observed = |observation: Value| json!({"observation": observation, "occurred_at": AT});
    let included = observed(json!({"included": {"amount": amount(100), "source": source(1)}}));
    let reorged = observed(json!({"reorged": {"source": source(1)}}));
    let finalized = observed(json!({"finalized": {"source": source(1)}}));
    for observation in [&included, &reorged, &included, &finalized] {
        life.seen("authorization", "auth-1", "ObserveFunding", observation);
    }
    life.settle();
    assert_eq!(
        life.booked(),
        ["HoldPlaced", "FundingBooked", "FundingBooked", "FundingBooked", "FundingBooked"]
    );
    assert_eq!((life.net(LedgerAccount::Hold), life.available()), ("100".into(), "900".into()));
}

#[test]
fn an_advice_of_an_unknown_safe_posts_and_expires() {
    let mut life = Life::unknown();
    life.then("RecordAdvice", &advice(100));
    // There is no card that could count it.
    assert_eq!((life.status(), life.available().as_str()), (Status::Advised, "-100"));
    life.wait(7 * DAY_MS);
    assert_eq!((life.status(), life.available().as_str()), (Status::Expired, "0"));
}

#[test]
fn an_advice_takes_the_place_of_a_request_at_any_point() {
    for asked in ["ReserveSpend", "PlaceHold", "ApproveAuthorization"] {
        let mut life = Life::new();
        life.begin("auth-1", 100);
        life.until_asked(asked);
        life.then("RecordAdvice", &advice(70));
        assert_eq!((life.status(), life.available().as_str()), (Status::Advised, "930"), "{asked}");
        assert_eq!(life.counted(), ["SpendReserved", "SpendReleased", "SpendRecorded"], "{asked}");
    }
    let mut life = Life::new();
    life.accepted("card", "card-1", "FreezeCard", &json!({"reason": "holder"}));
    life.request(100);
    assert_eq!(life.status(), Status::Declined);
    life.then("RecordAdvice", &advice(100));
    assert_eq!((life.status(), life.available().as_str()), (Status::Advised, "900"));
}

#[test]
fn an_advice_opens_a_reversed_payment_again_and_it_expires_again() {
    let mut life = Life::new();
    life.request(100);
    life.then("ReverseAuthorization", &full_reversal());
    life.then("RecordAdvice", &advice(80));
    assert_eq!((life.status(), life.available().as_str()), (Status::Advised, "920"));
    life.wait(8 * DAY_MS);
    assert_eq!((life.status(), life.available().as_str()), (Status::Expired, "1000"));
}

#[test]
fn a_force_post_posts_whatever_there_was_before() {
    let mut life = Life::unknown();
    life.then("ForcePost", &force_post(100));
    assert_eq!((life.status(), life.available().as_str()), (Status::ForcePosted, "-100"));
    for asked in ["ReserveSpend", "PlaceHold", "ApproveAuthorization"] {
        let mut life = Life::new();
        life.begin("auth-1", 100);
        life.until_asked(asked);
        life.then("ForcePost", &force_post(70));
        assert_eq!((life.status(), life.available().as_str()), (Status::ForcePosted, "930"), "{asked}");
        assert_eq!(life.counted(), ["SpendReserved", "SpendReleased", "SpendRecorded"], "{asked}");
    }
    let mut life = Life::new();
    life.request(1001);
    life.then("PresentClearing", &clearing("clr-1", 1001, "final"));
    assert_eq!((life.status(), life.available().as_str()), (Status::ForcePosted, "-1"));
}

#[test]
fn refunds_are_credited_linked_or_not() {
    let mut life = Life::new();
    life.request(100);
    life.then("PresentClearing", &clearing("clr-1", 100, "final"));
    let refund = |origin: Value| json!({"account": ACCOUNT, "amount": amount(40), "origin": origin, "occurred_at": AT});
    life.then("RecordRefund", &refund(json!({"network": "rfd-1"})));
    life.seen("authorization", "auth-1", "RecordRefund", &refund(json!({"chain": source(3)})));
    life.settle();
    assert_eq!(life.available(), "980");

    let mut life = Life::unknown();
    life.seen("authorization", "auth-1", "RecordRefund", &refund(json!({"chain": source(3)})));
    life.settle();
    assert_eq!((life.available().as_str(), life.booked()), ("40", vec!["RefundBooked".to_owned()]));
    life.then("ResolveRefund", &json!({"outcome": "paid"}));
    assert_eq!(life.net(LedgerAccount::Suspense), "0");
}

#[test]
fn a_dispute_is_credited_and_won_in_part() {
    let mut life = Life::new();
    life.request(100);
    life.then("PresentClearing", &clearing("clr-1", 100, "final"));
    let dispute = json!({"dispute_id": "dsp-1"});
    let with = |changes: Value| {
        let mut payload = dispute.clone();
        for (name, value) in changes.as_object().expect("an object") {
            payload[name] = value.clone();
        }
        payload
    };
    life.then("OpenDispute", &with(json!({"amount": amount(100), "reason": "fraud"})));
    life.then("AdvanceDispute", &with(json!({"stage": "submitted"})));
    life.accepted("authorization", "auth-1", "GrantProvisionalCredit", &dispute);
    life.then("ResolveDispute", &with(json!({"outcome": "won", "awarded": amount(60)})));
    assert_eq!((life.available().as_str(), life.net(LedgerAccount::Suspense)), ("960", "0".into()));
}

#[test]
fn a_suspended_claim_is_charged_or_returned() {
    for (outcome, available) in [("charged", "900"), ("returned", "950")] {
        let mut life = Life::new();
        life.request(100);
        life.then("PresentClearing", &clearing("clr-1", 50, "partial"));
        life.then("PresentClearing", &clearing("clr-2", 50, "partial"));
        assert_eq!(life.net(LedgerAccount::Suspense), "50");
        life.then("ResolveClearing", &json!({"clearing_id": "clr-2", "outcome": outcome}));
        life.wait(8 * DAY_MS);
        assert_eq!((life.available().as_str(), life.net(LedgerAccount::Suspense)), (available, "0".into()));
    }
}
