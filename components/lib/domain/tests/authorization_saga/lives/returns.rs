//! Lives of pulled money that comes back on chain: account and payment agree on whose it was.

use super::*;

impl Life {
    /// Money comes back on chain, and an operator finds out that it was pulled for a payment.
    fn returns(&mut self, minor: u128, payment_id: &str) {
        let back = json!({
            "account": ACCOUNT, "amount": amount(minor), "origin": {"chain": source(9)}, "occurred_at": AT,
        });
        self.seen("authorization", "refund-1", "RecordRefund", &back);
        let returned = json!({"outcome": "returned", "payment_id": payment_id});
        self.accepted("authorization", "refund-1", "ResolveRefund", &returned);
    }

    /// Amounts that the account owes back, and that came back for no payment.
    fn back(&self) -> (u128, u128) {
        let books = &self.world.account.state;
        (books.owed_back(&asset()).get(), books.unassigned(&asset()).get())
    }
}

/// Id that the account gives to the refund.
fn refund_id() -> String {
    format!("chain/100/{}/1", source(9)["block_hash"].as_str().expect("a hash"))
}

#[test]
fn a_return_that_is_resolved_while_a_booking_hangs_is_taken_off_its_payment() {
    let mut life = Life::new();
    life.seen("authorization", "auth-1", "RecordSwipe", &swipe(100));
    life.until_asked("BookFunding");
    life.world.fail("auth-1");
    life.returns(100, "auth-1");
    life.settle();
    assert_eq!((life.available().as_str(), life.back()), ("1000", (0, 0)));
}

#[test]
fn what_came_back_beyond_the_payment_is_none_of_its_money() {
    let mut life = Life::new();
    life.seen("authorization", "auth-1", "RecordSwipe", &swipe(100));
    life.settle();
    life.returns(150, "auth-1");
    life.settle();
    assert_eq!((life.available().as_str(), life.back()), ("1000", (0, 50)));
    assert_eq!(life.status(), Status::Reversed);
}

#[test]
fn a_return_of_a_linked_spend_is_taken_off_the_payment_that_has_its_money() {
    let mut life = Life::new();
    life.request(100);
    life.seen("authorization", "spend-1", "RecordSwipe", &swipe(100));
    life.settle();
    life.then("ReverseAuthorization", &full_reversal());
    assert_eq!((life.available().as_str(), life.back()), ("1000", (100, 0)));
    life.returns(100, "spend-1");
    life.settle();
    assert_eq!((life.available().as_str(), life.back()), ("1000", (0, 0)));
    assert!(kinds(&life.world.payments["auth-1"]).contains(&"ReturnTaken".to_owned()));
    assert!(!kinds(&life.world.payments["spend-1"]).contains(&"ReversalRefused".to_owned()));
}

#[test]
fn a_return_that_names_no_payment_of_the_account_counts_for_none() {
    let mut life = Life::new();
    life.seen("authorization", "auth-1", "RecordSwipe", &swipe(100));
    life.wait(31 * DAY_MS);
    life.returns(100, "nobody");
    life.settle();
    assert_eq!((life.available().as_str(), life.back()), ("1000", (100, 100)));
    // An operator finds the payment after all.
    let back = json!({"refund_id": refund_id(), "amount": amount(100), "occurred_at": AT});
    life.then("TakeReturn", &back);
    assert_eq!((life.available().as_str(), life.back()), ("1000", (0, 0)));
}
