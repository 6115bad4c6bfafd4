//! Lives of single messages: what is approved is claimed in the same turn, and a reversal takes the claim back.

use super::*;
use crate::chain::Weather;

/// Request of a single message: the amount that leaves a cash machine, with its surcharge.
pub(super) fn single(minor: u128) -> Value {
    json!({
        "message_id": "auth-1/request", "account": ACCOUNT, "card_id": "card-1", "amount": amount(minor),
        "network": "visa", "merchant": merchant(), "partial_allowed": true, "occurred_at": AT,
        "single_message": true,
    })
}

/// Time-out of the network, under the id of the message that it reverses.
pub(super) fn timeout() -> Value {
    json!({"message_id": "auth-1/request", "extent": "full", "cause": "timeout", "occurred_at": AT})
}

impl Life {
    fn with_pulls() -> Self {
        let mut life = Self::new();
        life.world.offers_pulls = true;
        life.world.chain.weather = Weather::Fair;
        life
    }

    /// Available amount, what is held, what is owed to the network, and what the card counts.
    fn stands(&self) -> (String, u128, String, u128) {
        let clearfold_domain::card::State::Issued(card) = &self.world.cards["card-1"].state else {
            panic!("it was issued")
        };
        let payment = "auth-1".parse().expect("our own id");
        let counted = card.usage.of_payment(&payment, &asset(), self.world.now()).expect("a small amount");
        let held = self.world.account.state.pending(&asset()).get();
        (self.available(), held, self.net(LedgerAccount::Settlement), counted.get())
    }
}

fn stands(available: &str, settlement: &str, counted: u128) -> (String, u128, String, u128) {
    (available.to_owned(), 0, settlement.to_owned(), counted)
}

#[test]
fn an_approval_is_booked_as_hold_and_claim_in_one_turn() {
    let mut life = Life::with_pulls();
    life.then("RequestAuthorization", &single(103));
    assert_eq!(life.stands(), stands("897", "103", 103));
    assert_eq!(life.status(), Status::Cleared);
    let booked = life.booked();
    assert_eq!(booked[..2], ["HoldPlaced", "ClearingBooked"]);
    // The pull is of what was claimed.
    assert_eq!(life.net(LedgerAccount::Safe), "897");
    // Again, nothing is done twice; and the wait for an expiry has ended.
    life.then("RequestAuthorization", &single(103));
    life.wait(40 * DAY_MS);
    assert_eq!((life.stands(), life.booked()), (stands("897", "103", 103), booked));
}

#[test]
fn what_is_declined_is_neither_held_nor_claimed() {
    let mut life = Life::new();
    let request = json!({"partial_allowed": false});
    let mut single = single(1_001);
    single.as_object_mut().expect("an object").extend(request.as_object().expect("an object").clone());
    life.then("RequestAuthorization", &single);
    assert_eq!((life.status(), life.reason()), (Status::Declined, "insufficient_funds".to_owned()));
    assert_eq!(life.stands(), stands("1000", "0", 0));
}

#[test]
fn a_time_out_gives_the_claim_back_and_owes_back_what_was_pulled() {
    let mut life = Life::with_pulls();
    life.then("RequestAuthorization", &single(103));
    life.then("ReverseAuthorization", &timeout());
    assert_eq!(life.stands(), stands("1000", "0", 0));
    assert_eq!(life.world.account.state.owed_back(&asset()), Minor::new(103));
    life.then("ReverseAuthorization", &timeout());
    assert_eq!(life.stands(), stands("1000", "0", 0));
}

#[test]
fn a_machine_that_paid_out_less_gives_the_rest_back() {
    let mut life = Life::new();
    life.then("RequestAuthorization", &single(100));
    life.then("ReverseAuthorization", &reversal("rev-1", 60));
    assert_eq!(life.stands(), stands("960", "40", 40));
    life.then("ReverseAuthorization", &reversal("rev-2", 60));
    assert_eq!(life.stands(), stands("1000", "0", 0));
}

#[test]
fn whatever_the_order_of_request_and_reversals_the_books_are_the_same() {
    type Message = (&'static str, Value);
    let request: Message = ("RequestAuthorization", single(100));
    let parts: [Message; 2] =
        [("ReverseAuthorization", reversal("rev-1", 30)), ("ReverseAuthorization", reversal("rev-2", 20))];
    for place in 0..=parts.len() {
        let mut life = Life::new();
        let mut messages = parts.to_vec();
        messages.insert(place, request.clone());
        for (kind, message) in &messages {
            life.then(kind, message);
        }
        assert_eq!(life.stands(), stands("950", "50", 50), "the request comes at {place}");
    }
    // A reversal of all of it: before the request, while it is decided, and behind it.
    let mut before = Life::new();
    before.then("ReverseAuthorization", &timeout());
    before.then("RequestAuthorization", &single(100));
    assert_eq!((before.stands(), before.status()), (stands("1000", "0", 0), Status::Declined));
    let mut between = Life::new();
    between.accepted("authorization", "auth-1", "RequestAuthorization", &single(100));
    between.then("ReverseAuthorization", &timeout());
    assert_eq!((between.stands(), between.status()), (stands("1000", "0", 0), Status::Reversed));
}

#[test]
fn a_part_before_the_answer_is_given_back_with_the_claim() {
    let mut life = Life::new();
    life.accepted("authorization", "auth-1", "RequestAuthorization", &single(100));
    life.then("ReverseAuthorization", &reversal("rev-1", 30));
    assert_eq!(life.stands(), stands("930", "70", 70));
}

#[test]
fn of_less_than_was_asked_for_that_is_claimed() {
    let mut life = Life::new();
    let cent = 10_000_000_000_000_000;
    let deposit = json!({"amount": amount(cent), "source": source(201), "occurred_at": AT});
    life.seen("account", ACCOUNT, "RecordDeposit", &deposit);
    life.then("RequestAuthorization", &single(2 * cent));
    let claimed = cent.to_string();
    assert_eq!(life.stands(), stands("1000", &claimed, cent));
    // The network names what it asked for.
    life.then("ReverseAuthorization", &reversal("rev-1", 2 * cent));
    assert_eq!(life.stands(), stands(&(cent + 1_000).to_string(), "0", 0));
}

#[test]
fn what_a_stand_in_approved_is_claimed() {
    let mut life = Life::new();
    life.accepted("authorization", "auth-1", "RequestAuthorization", &single(100));
    life.then("RecordAdvice", &advice(100));
    assert_eq!(life.stands(), stands("900", "100", 100));
    assert_eq!(life.status(), Status::Cleared);
}

#[test]
fn a_spend_of_another_processor_is_the_money_of_what_was_claimed_at_once() {
    let spend = json!({"account": ACCOUNT, "amount": amount(500), "source": source(1), "occurred_at": AT});
    let mut behind = Life::new();
    behind.then("RequestAuthorization", &single(500));
    behind.seen("authorization", "spend-1", "RecordSwipe", &spend);
    behind.settle();
    assert_eq!(behind.stands(), stands("500", "500", 500));
    let mut before = Life::new();
    before.seen("authorization", "spend-1", "RecordSwipe", &spend);
    before.settle();
    before.then("RequestAuthorization", &single(500));
    assert_eq!(before.stands(), stands("500", "500", 500));
    assert_eq!(behind.net(LedgerAccount::InTransit), before.net(LedgerAccount::InTransit));
}

#[test]
fn what_a_pump_sold_is_claimed_by_its_completion() {
    let mut life = Life::new();
    life.request(100);
    let mut completion = advice(42);
    completion["single_message"] = json!(true);
    life.then("RecordAdvice", &completion);
    assert_eq!(life.stands(), stands("958", "42", 42));
    assert_eq!(life.status(), Status::Cleared);
}

#[test]
fn a_refund_and_a_dispute_are_as_of_any_claim() {
    let mut life = Life::new();
    life.then("RequestAuthorization", &single(100));
    let refund =
        json!({"account": ACCOUNT, "amount": amount(40), "origin": {"network": "rfd-1"}, "occurred_at": AT});
    life.then("RecordRefund", &refund);
    let dispute = json!({"dispute_id": "dsp-1", "amount": amount(60), "reason": "fraud"});
    life.then("OpenDispute", &dispute);
    life.then("AdvanceDispute", &json!({"dispute_id": "dsp-1", "stage": "submitted"}));
    life.then("ResolveDispute", &json!({"dispute_id": "dsp-1", "outcome": "won"}));
    assert_eq!(life.stands(), stands("1000", "0", 100));
}
