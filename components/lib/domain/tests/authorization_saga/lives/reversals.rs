//! Lives of clearings and refunds that the network takes back: account, payment and card agree, in whatever order they come.

use super::*;
use crate::chain::Weather;

impl Life {
    /// Begins with a payment of 100 whose money is pulled.
    fn with_a_pull() -> Self {
        let mut life = Self::new();
        life.world.offers_pulls = true;
        life.world.chain.weather = Weather::Fair;
        life.request(100);
        life
    }

    /// Available amount, and what is owed to the network and back to the customer.
    fn owes(&self) -> (String, String, u128) {
        let owed_back = self.world.account.state.owed_back(&asset()).get();
        (self.available(), self.net(LedgerAccount::Settlement), owed_back)
    }

    /// Amount of the payment that the card counts.
    fn counts(&self) -> u128 {
        let clearfold_domain::card::State::Issued(card) = &self.world.cards["card-1"].state else {
            panic!("it was issued")
        };
        let payment = "auth-1".parse().expect("our own id");
        card.usage.of_payment(&payment, &asset(), self.world.now()).expect("a small amount").get()
    }
}

fn owes(available: &str, settlement: &str, owed_back: u128) -> (String, String, u128) {
    (available.to_owned(), settlement.to_owned(), owed_back)
}

#[test]
fn a_clearing_that_is_taken_back_is_the_customers_again_and_can_be_presented_anew() {
    let mut life = Life::with_a_pull();
    life.then("PresentClearing", &clearing("clr-1", 100, "final"));
    assert_eq!((life.owes(), life.counts()), (owes("900", "100", 0), 100));
    life.then("ReverseClearing", &taken_back("rvl-1", "clr-1", None));
    assert_eq!((life.owes(), life.counts()), (owes("1000", "0", 100), 0));
    assert_eq!(life.status(), Status::Cleared);
    life.then("ReverseClearing", &taken_back("rvl-1", "clr-1", None));
    // The right amount, and no more is pulled for it.
    life.then("PresentClearing", &clearing("clr-2", 80, "final"));
    assert_eq!((life.owes(), life.counts()), (owes("920", "80", 20), 80));
    assert_eq!(life.net(LedgerAccount::Safe), "900");
}

#[test]
fn a_part_of_a_tip_is_taken_back_and_nothing_is_held_again() {
    let mut life = Life::new();
    life.request(100);
    life.then("PresentClearing", &clearing("clr-1", 120, "final"));
    life.then("ReverseClearing", &taken_back("rvl-1", "clr-1", Some(50)));
    assert_eq!((life.owes(), life.counts()), (owes("930", "70", 0), 70));
    assert_eq!(life.world.account.state.pending(&asset()), Minor::ZERO);
    // No more than is left.
    life.then("ReverseClearing", &taken_back("rvl-2", "clr-1", Some(90)));
    assert_eq!((life.owes(), life.counts()), (owes("1000", "0", 0), 0));
}

#[test]
fn the_hold_of_what_is_to_come_stays_when_a_part_is_taken_back() {
    let mut life = Life::new();
    life.request(100);
    life.then("PresentClearing", &clearing("clr-1", 60, "partial"));
    life.then("ReverseClearing", &taken_back("rvl-1", "clr-1", None));
    assert_eq!((life.owes(), life.counts()), (owes("960", "0", 0), 40));
    life.then("ReverseAuthorization", &full_reversal());
    assert_eq!((life.owes(), life.counts()), (owes("1000", "0", 0), 0));
    assert_eq!(life.status(), Status::Reversed);
}

#[test]
fn a_reversal_that_comes_first_ends_as_one_that_comes_behind() {
    let mut life = Life::with_a_pull();
    life.then("ReverseClearing", &taken_back("rvl-1", "clr-1", Some(30)));
    life.then("PresentClearing", &clearing("clr-1", 100, "final"));
    assert_eq!((life.owes(), life.counts()), (owes("930", "70", 30), 70));

    // A clearing of a payment that nobody knows is posted, and taken back.
    let mut life = Life::new();
    life.then("ReverseClearing", &taken_back("rvl-1", "clr-1", None));
    life.then("PresentClearing", &clearing("clr-1", 100, "final"));
    assert_eq!(life.owes(), owes("1000", "0", 0));
    assert_eq!(life.booked(), ["ClearingBooked", "ClearingReversalBooked"]);
}

#[test]
fn what_could_not_be_pulled_is_no_receivable_any_more_when_it_is_taken_back() {
    let mut life = Life::new();
    life.world.offers_pulls = true;
    life.world.chain.weather = Weather::Foul;
    life.request(100);
    life.then("PresentClearing", &clearing("clr-1", 100, "final"));
    for _ in 0..8 {
        life.wait(DAY_MS / 2);
    }
    assert_eq!(life.net(LedgerAccount::Receivable), "100");
    life.then("ReverseClearing", &taken_back("rvl-1", "clr-1", None));
    assert_eq!(life.net(LedgerAccount::Receivable), "0");
    assert_eq!(life.owes(), owes("1000", "0", 0));
}

#[test]
fn a_suspected_duplicate_that_is_taken_back_leaves_suspense() {
    let mut life = Life::new();
    life.request(100);
    life.then("PresentClearing", &clearing("clr-1", 50, "partial"));
    life.then("PresentClearing", &clearing("clr-2", 50, "partial"));
    assert_eq!(life.net(LedgerAccount::Suspense), "50");
    life.then("ReverseClearing", &taken_back("rvl-1", "clr-2", None));
    assert_eq!((life.net(LedgerAccount::Suspense), life.owes()), ("0".to_owned(), owes("900", "50", 0)));
}

fn refund_taken_back(id: &str, minor: Option<u128>) -> Value {
    let mut reversal = json!({"reversal_id": id, "refund_id": "rfd-1", "network": "visa", "occurred_at": AT});
    if let Some(minor) = minor {
        reversal["amount"] = amount(minor);
    }
    reversal
}

fn refund(origin: &Value) -> Value {
    json!({"account": ACCOUNT, "amount": amount(40), "origin": origin, "occurred_at": AT})
}

#[test]
fn a_refund_that_is_taken_back_is_owed_to_the_network_again() {
    let told = refund(&json!({"network": "rfd-1"}));
    let mut life = Life::with_a_pull();
    life.then("PresentClearing", &clearing("clr-1", 100, "final"));
    life.then("RecordRefund", &told);
    assert_eq!((life.owes(), life.counts()), (owes("940", "60", 0), 100));
    life.then("ReverseRefund", &refund_taken_back("rvl-1", Some(10)));
    assert_eq!((life.owes(), life.counts()), (owes("930", "70", 0), 100));
    life.then("ReverseRefund", &refund_taken_back("rvl-2", None));
    assert_eq!(life.owes(), owes("900", "100", 0));

    // The reversal comes first.
    let mut life = Life::with_a_pull();
    life.then("PresentClearing", &clearing("clr-1", 100, "final"));
    life.then("ReverseRefund", &refund_taken_back("rvl-1", None));
    life.then("RecordRefund", &told);
    assert_eq!(life.owes(), owes("900", "100", 0));
}

#[test]
fn a_refund_that_was_paid_out_is_taken_back_and_stays_in_the_safe() {
    let (told, on_chain) = (refund(&json!({"network": "rfd-1"})), refund(&json!({"chain": source(9)})));
    let claimed = || {
        let mut life = Life::with_a_pull();
        life.then("PresentClearing", &clearing("clr-1", 100, "final"));
        life
    };
    // Whichever of the three comes last.
    let orders: [[u8; 3]; 3] = [[0, 1, 2], [0, 2, 1], [1, 0, 2]];
    for order in orders {
        let mut life = claimed();
        for step in order {
            match step {
                0 => life.then("RecordRefund", &told),
                1 => life.seen("authorization", "back-1", "RecordRefund", &on_chain),
                _ => life.then("ReverseRefund", &refund_taken_back("rvl-1", None)),
            }
            life.settle();
        }
        assert_eq!(life.owes(), owes("900", "100", 0), "{order:?}");
        assert_eq!(life.net(LedgerAccount::Safe), "940", "{order:?}");
        assert_eq!(life.net(LedgerAccount::Suspense), "0", "{order:?}");
    }
}

#[test]
fn a_refund_in_suspense_that_is_taken_back_leaves_it() {
    let mut life = Life::new();
    life.accepted("authorization", "rfd-1", "RecordRefund", &refund(&json!({"network": "rfd-1"})));
    life.settle();
    assert_eq!((life.available(), life.net(LedgerAccount::Suspense)), ("1040".to_owned(), "40".to_owned()));
    life.accepted("authorization", "rfd-1", "ReverseRefund", &refund_taken_back("rvl-1", None));
    life.settle();
    assert_eq!((life.available(), life.net(LedgerAccount::Suspense)), ("1000".to_owned(), "0".to_owned()));
}
