//! Lives of clearings that name no known payment: each is the claim of one payment, and the customer is debited once.

use super::*;
use crate::chain::Weather;

const ODD: &str = "odd-1";

/// Clearing that names its card and its merchant, and no payment.
pub fn odd(minor: u128, changes: &Value) -> Value {
    let mut odd = clearing("clr-1", minor, "final");
    odd["details"] = json!({"card_id": "card-1", "merchant": merchant()});
    for (name, value) in changes.as_object().into_iter().flatten() {
        odd["details"][name] = value.clone();
    }
    odd
}

impl Life {
    /// Begins with a payment that is approved.
    fn authorized(minor: u128) -> Self {
        let mut life = Self::new();
        life.request(minor);
        life
    }

    fn presents(&mut self, minor: u128) {
        self.of_odd("PresentClearing", &odd(minor, &Value::Null));
    }

    fn of_odd(&mut self, kind: &str, payload: &Value) {
        self.accepted("authorization", ODD, kind, payload);
        self.settle();
    }

    fn state(&self, id: &str) -> &clearfold_domain::authorization::State {
        &self.world.payments[id].state
    }

    fn claim_of(&self, id: &str) -> u128 {
        self.world.payment(id).expect("a payment").totals.captured().get()
    }

    /// Claims of the payment and of the unknown one, what is held, and what is available.
    fn claims(&self) -> (u128, u128, u128, String) {
        let pending = self.world.account.state.pending(&asset()).get();
        (self.claim_of("auth-1"), self.claim_of(ODD), pending, self.available())
    }

    fn counted_of(&self, id: &str) -> u128 {
        let clearfold_domain::card::State::Issued(card) = &self.world.cards["card-1"].state else {
            panic!("it was issued")
        };
        let payment = id.parse().expect("our own id");
        card.usage.of_payment(&payment, &asset(), self.world.now()).expect("a small amount").get()
    }

    fn linked(&self) -> Option<String> {
        self.state(ODD).clearing_linked_to().map(ToString::to_string)
    }

    fn candidates(&self) -> Vec<String> {
        let named = self.state(ODD).clearing_links.candidates.iter().flatten();
        named.map(ToString::to_string).collect()
    }
}

fn stands(of_payment: u128, of_odd: u128, held: u128, available: &str) -> (u128, u128, u128, String) {
    (of_payment, of_odd, held, available.to_owned())
}

#[test]
fn a_clearing_is_the_claim_to_the_hold_of_its_card_and_merchant() {
    let mut life = Life::authorized(100);
    life.presents(100);
    assert_eq!(life.linked().as_deref(), Some("auth-1"));
    assert_eq!((life.claims(), life.status()), (stands(100, 0, 0, "900"), Status::Cleared));
    assert_eq!((life.counted_of("auth-1"), life.counted_of(ODD)), (100, 0));
    assert_eq!(life.net(LedgerAccount::Settlement), "100");
    assert_eq!(life.booked(), ["HoldPlaced", "ClearingBooked", "ClearingMoved"]);
    // It comes again, by either name.
    life.presents(100);
    let again = json!({"clearing_id": "clr-1", "amount": amount(100), "part": "final", "reference": "ref-1", "occurred_at": AT});
    life.then("PresentClearing", &again);
    assert_eq!(life.claims(), stands(100, 0, 0, "900"));
}

#[test]
fn of_two_holds_none_is_taken_and_an_operator_links_the_right_one() {
    let mut life = Life::authorized(100);
    life.begin("auth-2", 100);
    life.settle();
    life.presents(100);
    assert_eq!((life.linked(), life.candidates()), (None, vec!["auth-1".to_owned(), "auth-2".to_owned()]));
    assert_eq!(life.claims(), stands(0, 100, 200, "700"));
    life.of_odd("LinkClearing", &json!({"payment_id": "auth-1", "reason": "the receipt says so"}));
    assert_eq!(life.claims(), stands(100, 0, 100, "800"));
    let answer = life.tell("authorization", ODD, "LinkClearing", &json!({"payment_id": "auth-2"}));
    assert_eq!(answer, Err("clearing_linked".to_owned()));
}

#[test]
fn what_fits_nothing_stays_a_payment_of_its_own() {
    for (minor, changes) in [
        (101, Value::Null),
        (60, Value::Null),
        (100, json!({"card_id": "card-2"})),
        (100, json!({"merchant": {"id": "m", "name": "M", "category": "5812", "country": "US"}})),
    ] {
        let mut life = Life::authorized(100);
        life.of_odd("PresentClearing", &odd(minor, &changes));
        assert_eq!(life.linked(), None, "{minor} {changes}");
        assert_eq!((life.claim_of("auth-1"), life.claim_of(ODD)), (0, minor), "{minor} {changes}");
    }
}

#[test]
fn two_clearings_share_no_hold() {
    let mut life = Life::authorized(100);
    for id in [ODD, "odd-2"] {
        life.accepted("authorization", id, "PresentClearing", &odd(100, &Value::Null));
    }
    life.settle();
    let links = [ODD, "odd-2"].map(|id| life.state(id).clearing_linked_to().is_some());
    assert_eq!(links.iter().filter(|is_linked| **is_linked).count(), 1);
    assert_eq!((life.claim_of("auth-1"), life.available().as_str()), (100, "800"));
}

#[test]
fn a_clearing_below_the_hold_is_linked_by_hand_and_releases_the_rest() {
    let mut life = Life::authorized(100);
    life.presents(60);
    assert_eq!(life.candidates(), ["auth-1"]);
    life.of_odd("LinkClearing", &json!({"payment_id": "auth-1"}));
    assert_eq!(life.claims(), stands(60, 0, 0, "940"));
    assert_eq!((life.counted_of("auth-1"), life.counted_of(ODD)), (60, 0));
}

#[test]
fn a_clearing_that_is_given_up_leaves_both_as_they_were() {
    let mut life = Life::authorized(100);
    life.presents(60);
    let before = (life.claims(), life.status(), life.counted_of("auth-1"), life.counted_of(ODD));
    life.of_odd("LinkClearing", &json!({"payment_id": "auth-1"}));
    for _ in 0..2 {
        life.then("GiveUpClearing", &json!({"posted_on": ODD, "reason": "another purchase"}));
        let after = (life.claims(), life.status(), life.counted_of("auth-1"), life.counted_of(ODD));
        assert_eq!(after, before);
    }
    // The link can be made again, and undone again; what is held then expires.
    life.of_odd("LinkClearing", &json!({"payment_id": "auth-1"}));
    assert_eq!((life.claims(), life.counted_of(ODD)), (stands(60, 0, 0, "940"), 0));
    life.then("GiveUpClearing", &json!({"posted_on": ODD}));
    life.world.expire_all(&mut life.dice).expect("nothing is parked");
    assert_eq!((life.claims(), life.status()), (stands(0, 60, 0, "940"), Status::Expired));
    assert_eq!((life.counted_of("auth-1"), life.counted_of(ODD)), (0, 60));
}

#[test]
fn the_right_claim_after_a_wrong_link_is_claimed_once() {
    let mut life = Life::authorized(100);
    life.presents(100);
    let mut right = clearing("clr-2", 100, "final");
    right["reference"] = json!("ref-2");
    life.then("PresentClearing", &right);
    assert_eq!(life.claims(), stands(200, 0, 0, "800"));
    life.then("GiveUpClearing", &json!({"posted_on": ODD}));
    assert_eq!(life.claims(), stands(100, 100, 0, "800"));
    assert_eq!((life.counted_of("auth-1"), life.counted_of(ODD)), (100, 100));
}

#[test]
fn a_reversal_takes_the_clearing_back_whichever_payment_it_names() {
    for (id, clearing_id) in [(ODD, "clr-1"), ("auth-1", "clr-1"), ("auth-1", "linked/odd-1")] {
        let mut life = Life::authorized(100);
        life.presents(100);
        life.accepted("authorization", id, "ReverseClearing", &taken_back("rvl-1", clearing_id, Some(30)));
        life.settle();
        assert_eq!(life.claims(), stands(70, 0, 0, "930"), "{id} {clearing_id}");
        // The same reversal by the other name takes nothing more.
        life.of_odd("ReverseClearing", &taken_back("rvl-1", "clr-1", Some(30)));
        assert_eq!(life.claims(), stands(70, 0, 0, "930"), "{id} {clearing_id}");
        let answer = life.tell("authorization", "auth-1", "GiveUpClearing", &json!({"posted_on": ODD}));
        assert_eq!(answer, Err("clearing_not_linkable".to_owned()));
    }
}

#[test]
fn what_was_taken_back_refunded_or_disputed_before_is_not_linked() {
    let refund =
        json!({"account": ACCOUNT, "amount": amount(10), "origin": {"network": "rfd-1"}, "occurred_at": AT});
    let dispute = json!({"dispute_id": "dsp-1", "amount": amount(10), "reason": "fraud"});
    for (kind, payload) in [
        ("ReverseClearing", taken_back("rvl-1", "clr-1", Some(10))),
        ("RecordRefund", refund),
        ("OpenDispute", dispute),
    ] {
        let mut life = Life::authorized(100);
        life.presents(60);
        life.of_odd(kind, &payload);
        let answer = life.tell("authorization", ODD, "LinkClearing", &json!({"payment_id": "auth-1"}));
        assert_eq!(answer, Err("clearing_not_linkable".to_owned()), "{kind}");
    }
}

#[test]
fn a_dispute_and_a_refund_of_a_linked_clearing_are_its_payments() {
    let mut life = Life::authorized(100);
    life.presents(100);
    let dispute = json!({"dispute_id": "dsp-1", "amount": amount(10), "reason": "fraud"});
    let answer = life.tell("authorization", ODD, "OpenDispute", &dispute);
    assert_eq!(answer, Err("clearing_linked".to_owned()));
    life.then("OpenDispute", &dispute);
    let answer = life.tell("authorization", "auth-1", "GiveUpClearing", &json!({"posted_on": ODD}));
    assert_eq!(answer, Err("clearing_not_linkable".to_owned()));
    // The network's credit under the clearing's own payment is the customer's.
    let refund =
        json!({"account": ACCOUNT, "amount": amount(10), "origin": {"network": "rfd-1"}, "occurred_at": AT});
    life.of_odd("RecordRefund", &refund);
    assert_eq!(life.available(), "910");
}

#[test]
fn a_link_to_what_cannot_have_the_clearing_is_undone() {
    let mut life = Life::new();
    life.presents(100);
    for payment_id in ["nobody", "auth-1"] {
        if payment_id == "auth-1" {
            life.request(2_000);
            life.then("ReverseAuthorization", &full_reversal());
        }
        life.of_odd("LinkClearing", &json!({"payment_id": payment_id}));
        assert_eq!(
            (life.linked(), life.claim_of(ODD), life.counted_of(ODD)),
            (None, 100, 100),
            "{payment_id}"
        );
        assert_eq!(life.available(), "900", "{payment_id}");
    }
}

#[test]
fn a_link_that_is_undone_meanwhile_takes_back_what_was_reversed_meanwhile() {
    let mut life = Life::new();
    life.presents(100);
    life.accepted("authorization", ODD, "LinkClearing", &json!({"payment_id": "nobody"}));
    life.accepted("authorization", ODD, "ReverseClearing", &taken_back("rvl-1", "clr-1", None));
    life.settle();
    assert_eq!((life.linked(), life.claim_of(ODD), life.available().as_str()), (None, 0, "1000"));
}

#[test]
fn an_expired_payment_has_what_was_pulled_for_it_claimed() {
    let mut life = Life::new();
    life.world.offers_pulls = true;
    life.world.chain.weather = Weather::Fair;
    life.request(100);
    life.wait(8 * DAY_MS);
    life.settle();
    let owed_back = |life: &Life| life.world.account.state.owed_back(&asset()).get();
    assert_eq!((life.status(), owed_back(&life)), (Status::Expired, 100));
    life.presents(100);
    assert_eq!(life.candidates(), Vec::<String>::new());
    life.of_odd("LinkClearing", &json!({"payment_id": "auth-1"}));
    // The pull for the clearing itself was mined before the operator knew.
    assert_eq!((life.status(), life.claims()), (Status::ClearedLate, stands(100, 0, 0, "900")));
    assert_eq!(owed_back(&life), 100);
}

#[test]
fn a_clearing_that_is_linked_at_once_is_pulled_for_once() {
    let mut life = Life::new();
    life.world.offers_pulls = true;
    life.world.chain.weather = Weather::Fair;
    life.request(100);
    life.presents(100);
    assert_eq!(life.claims(), stands(100, 0, 0, "900"));
    assert_eq!(life.world.account.state.owed_back(&asset()), Minor::ZERO);
    assert_eq!(life.net(LedgerAccount::Safe), "900");
}

#[test]
fn a_question_that_fails_is_asked_again() {
    let mut life = Life::authorized(100);
    life.accepted("authorization", ODD, "PresentClearing", &odd(100, &Value::Null));
    while !life.world.instances[ODD].asked().iter().any(|(_, child)| child.message.kind == "MatchClearing") {
        life.world.deliver(&mut life.dice).expect("the invariants hold");
    }
    life.world.fail(ODD);
    life.settle();
    assert_eq!((life.linked().as_deref(), life.claims()), (Some("auth-1"), stands(100, 0, 0, "900")));
}
