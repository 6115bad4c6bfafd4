//! Lives whose money is pulled on chain, leg by leg: what is due is pulled, once, and what cannot be is named.

use clearfold_domain::authorization::Event;
use clearfold_domain::card;

use super::*;
use crate::chain::Weather;

fn pulling(weather: Weather) -> Life {
    let mut life = Life::new();
    life.world.offers_pulls = true;
    life.world.chain.weather = weather;
    life
}

impl Life {
    /// Has a payment approved, up to the request for its pull.
    fn approve(&mut self, minor: u128) {
        self.begin("auth-1", minor);
        self.ask();
    }

    /// Goes on up to the request for a pull.
    fn ask(&mut self) {
        while self.world.instances["auth-1"].requested().is_empty() {
            self.world.deliver(&mut self.dice).expect("the invariants hold");
        }
    }

    fn pulled(&self) -> Vec<u128> {
        self.world.chain.pulled("auth-1")
    }

    fn events_of_funding(&self) -> Vec<String> {
        let kinds = kinds(&self.world.payments["auth-1"]);
        kinds.into_iter().filter(|kind| kind.contains("Funding") || kind.contains("Owed")).collect()
    }

    fn owed_back(&self) -> u128 {
        self.world.payments["auth-1"].state.legs.owed_back.get()
    }

    fn is_frozen(&self) -> bool {
        let card::State::Issued(card) = &self.world.cards["card-1"].state else { return false };
        card.status != card::Status::ACTIVE
    }
}

fn increment(minor: u128) -> Value {
    json!({"message_id": "increment-1", "amount": amount(minor), "basis": "addition", "occurred_at": AT})
}

#[test]
fn every_amount_that_falls_due_is_pulled_once_by_a_leg_of_its_own() {
    let mut life = pulling(Weather::Fair);
    life.request(100);
    assert_eq!(life.pulled(), [100]);
    life.then("IncrementAuthorization", &increment(30));
    assert_eq!(life.pulled(), [100, 30]);
    life.then("PresentClearing", &clearing("clr-1", 135, "final"));
    assert_eq!(life.pulled(), [100, 30, 5], "what is claimed beyond the hold");
    life.then("ForcePost", &force_post(7));
    assert_eq!(life.pulled(), [100, 30, 5, 7]);
    assert_eq!(life.events_of_funding(), ["FundingIncluded", "FundingFinalized"].repeat(4));
    assert_eq!((life.net(LedgerAccount::Hold), life.available()), ("142".into(), "858".into()));
    assert_eq!(life.net(LedgerAccount::InTransit), "0");
}

#[test]
fn what_nobody_authorized_and_what_a_swipe_lacks_is_pulled() {
    let mut life = pulling(Weather::Fair);
    life.then("ForcePost", &force_post(70));
    assert_eq!(life.pulled(), [70]);

    let mut life = pulling(Weather::Fair);
    life.seen("authorization", "auth-1", "RecordSwipe", &swipe(100));
    life.then("PresentClearing", &clearing("clr-1", 120, "final"));
    assert_eq!(life.pulled(), [20], "the first leg came from the listener");
}

#[test]
fn what_falls_due_while_a_leg_is_on_its_way_waits_for_it() {
    let mut life = pulling(Weather::Fair);
    life.approve(100);
    assert!(!life.world.carry_out(&mut life.dice), "the pull is accepted, and its outcome is not known");
    life.accepted("authorization", "auth-1", "ForcePost", &force_post(50));
    life.settle();
    assert_eq!(life.pulled(), [100, 50]);
}

#[test]
fn a_reversal_before_the_pull_is_mined_withdraws_it_and_a_later_claim_has_another_leg() {
    let mut life = pulling(Weather::Fair);
    life.approve(100);
    assert!(!life.world.carry_out(&mut life.dice), "the pull is accepted, and its outcome is not known");
    life.then("ReverseAuthorization", &full_reversal());
    assert_eq!((life.pulled(), life.events_of_funding()), (vec![], vec!["FundingAbandoned".to_owned()]));
    assert_eq!((life.available().as_str(), life.is_frozen()), ("1000", false), "nothing is exposed");
    life.then("RecordAdvice", &advice(80));
    assert_eq!(life.pulled(), [80]);
}

#[test]
fn a_reversal_behind_the_pull_states_what_is_owed_back_until_it_is_returned() {
    let mut life = pulling(Weather::Fair);
    life.request(100);
    life.then("ReverseAuthorization", &full_reversal());
    assert_eq!((life.pulled(), life.owed_back()), (vec![100], 100));
    let back =
        json!({"account": ACCOUNT, "amount": amount(100), "origin": {"chain": source(3)}, "occurred_at": AT});
    life.seen("authorization", "refund-1", "RecordRefund", &back);
    life.settle();
    assert_eq!((life.owed_back(), life.available().as_str()), (100, "1000"), "it is withheld");
    assert_eq!((life.net(LedgerAccount::Safe), life.net(LedgerAccount::Hold)), ("1000".into(), "0".into()));
    let returned = json!({"outcome": "returned", "payment_id": "auth-1"});
    life.accepted("authorization", "refund-1", "ResolveRefund", &returned);
    life.settle();
    assert_eq!((life.owed_back(), life.available().as_str()), (0, "1000"));
    assert_eq!(life.world.account.state.owed_back(&asset()), Minor::ZERO);
    assert_eq!(life.world.account.state.unassigned(&asset()), Minor::ZERO);
    let owed: Vec<String> =
        life.events_of_funding().into_iter().filter(|kind| kind == "ReturnOwed").collect();
    assert_eq!(owed.len(), 2, "owed, and then nothing more");
}

#[test]
fn what_is_released_by_the_last_clearing_is_owed_back() {
    let mut life = pulling(Weather::Fair);
    life.request(100);
    life.then("PresentClearing", &clearing("clr-1", 80, "final"));
    assert_eq!(life.owed_back(), 20);
    life.then("ForcePost", &force_post(15));
    assert_eq!((life.owed_back(), life.pulled()), (5, vec![100]), "what is there is not pulled again");
}

#[test]
fn three_dead_pulls_book_the_exposure_freeze_the_card_and_call_an_operator() {
    let mut life = pulling(Weather::Foul);
    life.request(100);
    assert_eq!(life.net(LedgerAccount::Receivable), "100");
    assert!(life.is_frozen());
    assert_eq!(life.world.instances["auth-1"].parked("recover").len(), 1);
    let state = &life.world.payments["auth-1"].state;
    assert_eq!((state.due().get(), state.exposed().get()), (0, 100));

    assert_eq!(life.available(), "900", "what is owed cannot be spent by another card");

    // The next leg dies as well: what is recovered is booked again, and the operator is called again.
    life.world.order(true);
    life.settle();
    assert_eq!((life.net(LedgerAccount::Receivable), life.pulled()), ("100".into(), vec![]));
    assert_eq!(life.events_of_funding(), ["FundingAbandoned", "FundingAbandoned"]);
    assert_eq!((life.world.instances["auth-1"].parked("recover").len(), life.available()), (1, "900".into()));

    life.world.chain.weather = Weather::Fair;
    life.world.order(true);
    life.settle();
    assert_eq!((life.net(LedgerAccount::Receivable), life.pulled()), ("0".into(), vec![100]));
    assert!(life.world.instances["auth-1"].parked("recover").is_empty());
    assert_eq!(life.world.payments["auth-1"].state.exposed(), Minor::ZERO);
    assert_eq!(life.net(LedgerAccount::Hold), "100", "its finality is reported behind the pull");
    assert!(life.is_frozen(), "an operator lifts that");
}

/// Life of a payment whose exposure an operator has made due again: the pull of the next leg is accepted, and its outcome
/// is not known.
fn pulled_again() -> Life {
    let mut life = pulling(Weather::Foul);
    life.request(100);
    life.world.chain.weather = Weather::Fair;
    life.world.order(true);
    life.ask();
    assert!(!life.world.carry_out(&mut life.dice));
    life
}

#[test]
fn what_falls_due_beside_what_is_pulled_again_waits_for_it() {
    let mut life = pulled_again();
    life.then("PresentClearing", &clearing("clr-1", 110, "partial"));
    assert_eq!(life.pulled(), [100, 10]);
    life.world.whole().expect("no leg asks beside another");
}

#[test]
fn an_operator_decides_about_each_exposure_by_itself() {
    let mut life = pulling(Weather::Foul);
    life.request(100);
    life.then("PresentClearing", &clearing("clr-1", 110, "partial"));
    assert_eq!(life.world.instances["auth-1"].parked("recover").len(), 2, "neither waits for the other");
    assert_eq!(life.net(LedgerAccount::Receivable), "110");
    life.world.chain.weather = Weather::Fair;
    life.world.order(true);
    life.settle();
    assert_eq!((life.pulled().iter().sum::<u128>(), life.net(LedgerAccount::Receivable)), (110, "0".into()));
    life.world.whole().expect("no leg asks beside another");
}

#[test]
fn an_exposure_does_not_stop_the_legs_behind_it_and_ends_with_what_is_owed() {
    let mut life = pulling(Weather::Foul);
    life.request(100);
    life.world.chain.weather = Weather::Fair;
    life.then("PresentClearing", &clearing("clr-1", 110, "partial"));
    assert_eq!(life.pulled(), [10], "only what is due besides");

    let mut life = pulling(Weather::Foul);
    life.request(100);
    life.then("ReverseAuthorization", &full_reversal());
    assert_eq!((life.net(LedgerAccount::Receivable), life.available()), ("0".into(), "1000".into()));
    let last = life.world.payments["auth-1"].events.last().expect("an event");
    assert!(matches!(last, Event::ExposureCleared(_)), "{last:?}");
    // The retry finds that nothing is exposed any more.
    life.world.order(true);
    life.settle();
    assert!(life.world.instances["auth-1"].parked("recover").is_empty());
}

#[test]
fn what_is_given_back_while_it_is_pulled_again_is_withdrawn() {
    let mut life = pulled_again();
    life.then("ReverseAuthorization", &full_reversal());
    assert_eq!((life.pulled(), life.owed_back()), (vec![], 0));
    assert_eq!((life.net(LedgerAccount::Receivable), life.available()), ("0".into(), "1000".into()));
    assert!(life.world.instances["auth-1"].parked("recover").is_empty());
}
