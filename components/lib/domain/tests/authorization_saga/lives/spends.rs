//! Lives of payments whose money somebody else pulled: the network's payment and the `Spend` are one.

use super::*;
use crate::chain::Weather;

const SPEND: &str = "spend-1";

impl Life {
    /// The chain shows a `Spend` of which no pull of ours is the cause.
    fn spends(&mut self, id: &str, minor: u128, number: u8) {
        let spent =
            json!({"account": ACCOUNT, "amount": amount(minor), "source": source(number), "occurred_at": AT});
        self.seen("authorization", id, "RecordSwipe", &spent);
    }

    fn observed(&mut self, id: &str, observation: &Value) {
        self.seen(
            "authorization",
            id,
            "ObserveFunding",
            &json!({"observation": observation, "occurred_at": AT}),
        );
        self.world.deliver_all(&mut self.dice).expect("nothing is parked");
    }

    fn spend(&self, id: &str) -> &clearfold_domain::authorization::State {
        &self.world.payments[id].state
    }

    fn linked_to(&self, id: &str) -> Option<String> {
        self.spend(id).linked_to().map(ToString::to_string)
    }

    fn owes_back(&self) -> Minor {
        self.world.account.state.owed_back(&asset())
    }

    fn held(&self) -> Vec<String> {
        self.world.account.state.holds().into_keys().collect()
    }

    fn purchased(&self) -> (String, String, Minor) {
        (self.available(), self.net(LedgerAccount::InTransit), self.owes_back())
    }
}

fn once(available: &str) -> (String, String, Minor) {
    (available.to_owned(), "500".to_owned(), Minor::ZERO)
}

#[test]
fn what_the_network_asked_for_is_held_and_pulled_once_if_the_chain_is_last() {
    let mut life = Life::new();
    life.request(500);
    life.spends(SPEND, 500, 1);
    life.settle();
    assert_eq!(life.linked_to(SPEND).as_deref(), Some("auth-1"));
    assert_eq!((life.purchased(), life.held()), (once("500"), vec!["auth-1".to_owned()]));
    life.then("PresentClearing", &clearing("clr-1", 500, "final"));
    assert_eq!((life.purchased(), life.held()), (once("500"), vec![]));
    assert_eq!((life.spend("auth-1").kept(), life.spend(SPEND).kept()), (Minor::new(500), Minor::ZERO));
    life.world.expire_all(&mut life.dice).expect("nothing is parked");
    assert_eq!(life.purchased(), once("500"), "nothing expires, and nothing is owed back");
}

#[test]
fn what_is_claimed_already_is_funded_by_the_spend_that_comes_behind() {
    let mut life = Life::new();
    life.request(500);
    life.then("PresentClearing", &clearing("clr-1", 500, "final"));
    life.spends(SPEND, 500, 1);
    life.settle();
    assert_eq!((life.purchased(), life.held()), (once("500"), vec![]));
}

#[test]
fn what_was_seen_first_is_held_for_the_network_and_never_declines_it() {
    let mut life = Life::new();
    life.spends(SPEND, 500, 1);
    life.settle();
    assert_eq!((life.purchased(), life.held()), (once("500"), vec![SPEND.to_owned()]));
    life.spends("spend-2", 450, 2);
    life.settle();
    life.request(500);
    assert_eq!((life.status(), life.linked_to(SPEND).as_deref()), (Status::Authorized, Some("auth-1")));
    assert_eq!((life.available().as_str(), life.held().len()), ("50", 2));
    life.then("PresentClearing", &clearing("clr-1", 500, "final"));
    assert_eq!((life.available().as_str(), life.owes_back()), ("50", Minor::ZERO));
}

#[test]
fn a_request_looks_for_a_spend_only_if_the_account_named_one() {
    let flows = |life: &Life| -> Vec<&'static str> {
        life.world.instances["auth-1"].ended.iter().map(|(name, _)| *name).collect()
    };
    let mut life = Life::new();
    life.begin("auth-1", 500);
    life.settle();
    assert_eq!(flows(&life), ["authorize"]);

    let mut life = Life::new();
    life.spends(SPEND, 500, 1);
    life.settle();
    life.request(500);
    life.settle();
    assert_eq!(flows(&life), ["authorize", "authorize-spent", "match"]);
    assert_eq!(life.counted(), ["SpendReserved"]);
}

#[test]
fn what_was_seen_first_is_linked_to_an_advice_and_to_a_force_post() {
    for (kind, payload) in [("RecordAdvice", advice(500)), ("ForcePost", force_post(500))] {
        let mut life = Life::new();
        life.spends(SPEND, 500, 1);
        life.settle();
        life.then(kind, &payload);
        assert_eq!(life.linked_to(SPEND).as_deref(), Some("auth-1"), "{kind}");
        assert_eq!(life.purchased(), once("500"), "{kind}");
    }
}

#[test]
fn our_own_pull_is_not_asked_for_again() {
    for first in [true, false] {
        let mut life = Life::new();
        life.world.offers_pulls = true;
        life.world.chain.weather = Weather::Fair;
        if first {
            life.spends(SPEND, 500, 201);
            life.settle();
        }
        life.begin("auth-1", 500);
        if !first {
            life.until_asked("ApproveAuthorization");
            life.spends(SPEND, 500, 201);
        }
        life.settle();
        assert_eq!(life.linked_to(SPEND).as_deref(), Some("auth-1"));
        assert_eq!((life.world.chain.pulled("auth-1"), life.owes_back()), (vec![], Minor::ZERO), "{first}");
        assert_eq!(life.available(), "500");
    }
}

#[test]
fn two_spends_of_one_amount_are_two_payments_money() {
    let mut life = Life::new();
    life.begin("auth-1", 300);
    life.begin("auth-2", 300);
    life.settle();
    for (id, number) in [(SPEND, 1), ("spend-2", 2), ("spend-3", 3)] {
        life.spends(id, 300, number);
    }
    life.settle();
    let mut linked: Vec<_> =
        [SPEND, "spend-2", "spend-3"].into_iter().filter_map(|id| life.linked_to(id)).collect();
    linked.sort();
    assert_eq!(linked, ["auth-1", "auth-2"]);
    assert_eq!(
        (life.available().as_str(), life.held().len()),
        ("100", 3),
        "the third is a payment of its own"
    );
}

#[test]
fn two_requests_share_no_spend() {
    let mut life = Life::new();
    life.spends(SPEND, 600, 1);
    life.settle();
    life.begin("auth-1", 600);
    life.begin("auth-2", 600);
    life.settle();
    let statuses = ["auth-1", "auth-2"].map(|id| life.world.payment(id).expect("a payment").status);
    assert!(statuses.contains(&Status::Authorized), "{statuses:?}");
    assert!(statuses.iter().any(|status| [Status::PartiallyAuthorized, Status::Declined].contains(status)));
    assert!(life.linked_to(SPEND).is_some());
}

#[test]
fn what_was_reversed_before_its_spend_came_owes_it_back() {
    let mut life = Life::new();
    life.request(500);
    life.then("ReverseAuthorization", &full_reversal());
    life.spends(SPEND, 500, 1);
    life.settle();
    assert_eq!(life.linked_to(SPEND).as_deref(), Some("auth-1"));
    assert_eq!((life.available().as_str(), life.owes_back()), ("1000", Minor::new(500)));
}

#[test]
fn a_spend_that_is_seen_again_or_fits_nothing_changes_nothing() {
    let mut life = Life::new();
    life.request(500);
    life.spends(SPEND, 500, 1);
    life.settle();
    life.spends(SPEND, 500, 1);
    life.settle();
    assert_eq!(life.purchased(), once("500"));
    life.spends("spend-2", 499, 2);
    life.settle();
    assert_eq!((life.linked_to("spend-2"), life.available().as_str()), (None, "1"));
    life.world.expire_all(&mut life.dice).expect("nothing is parked");
    assert_eq!((life.available().as_str(), life.owes_back()), ("1000", Minor::new(999)));
}

#[test]
fn an_operator_links_and_unlinks() {
    let mut life = Life::new();
    life.request(500);
    life.spends(SPEND, 480, 1);
    life.settle();
    assert_eq!((life.linked_to(SPEND), life.available().as_str()), (None, "20"));
    let link = json!({"payment_id": "auth-1", "reason": "with a tip less"});
    life.accepted("authorization", SPEND, "LinkSpend", &link);
    life.settle();
    assert_eq!((life.available().as_str(), life.spend("auth-1").kept()), ("500", Minor::new(480)));
    let answer = life.tell("authorization", SPEND, "LinkSpend", &json!({"payment_id": "auth-2"}));
    assert_eq!(answer, Err("spend_linked".to_owned()));
    life.accepted("authorization", SPEND, "UnlinkSpend", &json!({"reason": "another purchase"}));
    life.settle();
    assert_eq!((life.linked_to(SPEND), life.available().as_str()), (None, "20"));
    assert_eq!((life.spend("auth-1").kept(), life.spend(SPEND).kept()), (Minor::ZERO, Minor::new(480)));
}

#[test]
fn a_link_to_nothing_is_undone() {
    let mut life = Life::new();
    life.spends(SPEND, 480, 1);
    life.settle();
    life.accepted("authorization", SPEND, "LinkSpend", &json!({"payment_id": "nobody"}));
    life.settle();
    assert_eq!((life.linked_to(SPEND), life.available().as_str()), (None, "520"));
    assert_eq!(life.held(), [SPEND]);
}

#[test]
fn a_link_to_nothing_is_undone_also_if_the_block_is_lost_meanwhile() {
    let mut life = Life::new();
    life.spends(SPEND, 480, 1);
    life.settle();
    life.accepted("authorization", SPEND, "LinkSpend", &json!({"payment_id": "nobody"}));
    life.observed(SPEND, &json!({"reorged": {"source": source(1)}}));
    life.settle();
    assert_eq!((life.linked_to(SPEND), life.net(LedgerAccount::InTransit).as_str()), (None, "0"));
    life.observed(SPEND, &json!({"included": {"amount": amount(480), "source": source(2)}}));
    life.settle();
    assert_eq!(life.available(), "520");
    assert_eq!(life.held(), [SPEND]);
}

#[test]
fn what_others_pulled_is_not_final_because_it_is_mined_again() {
    for is_asked in [true, false] {
        let mut life = Life::new();
        life.world.offers_pulls = true;
        life.world.chain.weather = Weather::Fair;
        life.spends(SPEND, 500, 201);
        if is_asked {
            life.request(500);
        }
        for (was, is) in [(201, 202), (202, 201)] {
            life.observed(SPEND, &json!({"reorged": {"source": source(was)}}));
            assert_eq!(life.net(LedgerAccount::InTransit), "0");
            life.observed(SPEND, &json!({"included": {"amount": amount(500), "source": source(is)}}));
            life.settle();
            assert_eq!(life.purchased(), once("500"), "{is_asked}");
        }
        life.observed(SPEND, &json!({"finalized": {"source": source(201)}}));
        assert_eq!((life.available().as_str(), life.net(LedgerAccount::InTransit).as_str()), ("500", "0"));
    }
}

#[test]
fn a_spend_whose_money_came_back_funds_nothing() {
    let mut life = Life::new();
    life.spends(SPEND, 500, 1);
    life.world.expire_all(&mut life.dice).expect("nothing is parked");
    let refund =
        json!({"account": ACCOUNT, "amount": amount(500), "origin": {"chain": source(9)}, "occurred_at": AT});
    life.seen("authorization", "ref-1", "RecordRefund", &refund);
    life.settle();
    let returned = json!({"outcome": "returned", "payment_id": SPEND});
    life.accepted("authorization", "ref-1", "ResolveRefund", &returned);
    life.settle();
    life.request(500);
    let answer = life.tell("authorization", SPEND, "LinkSpend", &json!({"payment_id": "auth-1"}));
    assert_eq!(answer, Err("spend_not_linkable".to_owned()));
}

#[test]
fn what_was_spent_already_is_not_declined_for_what_is_left_in_the_safe() {
    for waits in [true, false] {
        let mut life = Life::new();
        life.spends(SPEND, 1000, 1);
        life.settle();
        if waits {
            let waiting = json!({"state": "waiting", "source": source(77)});
            life.seen("account", ACCOUNT, "ObserveDelayQueue", &waiting);
        }
        life.accepted("authorization", "auth-2", "ForcePost", &force_post(1));
        life.settle();
        life.request(1000);
        assert_eq!((life.status(), life.available().as_str()), (Status::Authorized, "-1"));
        assert_eq!(life.linked_to(SPEND).as_deref(), Some("auth-1"));
    }
}

#[test]
fn what_was_given_back_and_claimed_late_has_one_spend() {
    let mut life = Life::new();
    life.request(300);
    life.then("ReverseAuthorization", &full_reversal());
    life.then("PresentClearing", &clearing("clr-1", 300, "final"));
    life.spends(SPEND, 300, 1);
    life.spends("spend-2", 300, 2);
    life.settle();
    let linked = [SPEND, "spend-2"].map(|id| life.linked_to(id));
    assert_eq!(linked.iter().flatten().count(), 1, "{linked:?}");
    assert_eq!((life.available().as_str(), life.owes_back()), ("400", Minor::ZERO));
}

#[test]
fn what_is_funded_by_another_amount_waits_for_no_spend() {
    let mut life = Life::new();
    life.request(300);
    life.then("ReverseAuthorization", &reversal("rev-1", 20));
    life.spends(SPEND, 280, 1);
    life.settle();
    life.accepted("authorization", SPEND, "LinkSpend", &json!({"payment_id": "auth-1"}));
    life.settle();
    life.spends("spend-2", 300, 2);
    life.settle();
    assert_eq!(life.linked_to("spend-2"), None, "it is another purchase's");
    assert_eq!((life.available().as_str(), life.owes_back()), ("420", Minor::ZERO));
}

#[test]
fn what_is_claimed_late_and_was_funded_before_waits_for_no_spend() {
    let mut life = Life::new();
    life.request(300);
    life.spends(SPEND, 300, 1);
    life.settle();
    life.world.expire_all(&mut life.dice).expect("nothing is parked");
    life.then("PresentClearing", &clearing("clr-1", 300, "final"));
    assert_eq!((life.status(), life.owes_back()), (Status::ClearedLate, Minor::ZERO));
    let spent = json!({
        "account": ACCOUNT, "amount": amount(300), "source": source(2), "occurred_at": "2026-11-29T10:00:00.000Z",
    });
    life.seen("authorization", "spend-2", "RecordSwipe", &spent);
    life.settle();
    assert_eq!((life.linked_to("spend-2"), life.available().as_str()), (None, "400"));
}

/// While the payment's first leg is undecided no leg begins for the increment, so its `Spend` is looked for by itself.
#[test]
fn an_increment_whose_spend_was_seen_first_is_approved_and_has_it() {
    let increment = json!({
        "message_id": "inc-1", "amount": amount(200), "basis": "addition", "occurred_at": AT,
    });
    let mut life = Life::new();
    life.request(800);
    life.spends("spend-2", 200, 2);
    life.settle();
    assert_eq!(life.available(), "0");
    life.then("IncrementAuthorization", &increment);
    assert_eq!(
        (life.world.payment("auth-1").expect("a payment").held(), life.linked_to("spend-2")),
        (Minor::new(1000), Some("auth-1".to_owned()))
    );
    life.spends(SPEND, 800, 1);
    life.settle();
    let linked = [SPEND, "spend-2"].map(|id| life.linked_to(id));
    assert_eq!(linked, [Some("auth-1".to_owned()), Some("auth-1".to_owned())]);
    assert_eq!(
        (life.available().as_str(), life.owes_back(), life.held()),
        ("0", Minor::ZERO, vec!["auth-1".to_owned()])
    );
}

#[test]
fn what_was_reversed_before_its_spend_came_does_not_take_that_of_a_later_purchase() {
    let mut life = Life::new();
    life.request(500);
    life.then("ReverseAuthorization", &full_reversal());
    let spent = json!({
        "account": ACCOUNT, "amount": amount(500), "source": source(1), "occurred_at": "2026-11-22T11:30:00.000Z",
    });
    life.seen("authorization", SPEND, "RecordSwipe", &spent);
    life.settle();
    assert_eq!((life.linked_to(SPEND), life.owes_back()), (None, Minor::ZERO));
    life.begin("auth-2", 500);
    life.settle();
    assert_eq!(life.linked_to(SPEND).as_deref(), Some("auth-2"));
    assert_eq!(life.purchased(), once("500"));
}

/// An operator who exchanges one `Spend` for another links the right one first.
#[test]
fn a_payment_whose_spend_is_exchanged_is_not_pulled_and_one_whose_spend_is_unlinked_is() {
    for is_exchanged in [true, false] {
        let mut life = Life::new();
        life.world.offers_pulls = true;
        life.world.chain.weather = Weather::Fair;
        life.spends(SPEND, 400, 201);
        life.spends("spend-2", 390, 202);
        life.settle();
        life.request(400);
        assert_eq!(life.linked_to(SPEND).as_deref(), Some("auth-1"));
        if is_exchanged {
            life.accepted("authorization", "spend-2", "LinkSpend", &json!({"payment_id": "auth-1"}));
            life.settle();
            life.then("PresentClearing", &clearing("clr-1", 390, "final"));
        }
        life.accepted("authorization", SPEND, "UnlinkSpend", &json!({"reason": "another purchase"}));
        life.settle();
        assert_eq!(life.world.chain.pulled("auth-1").is_empty(), is_exchanged);
        assert_eq!(life.owes_back(), Minor::ZERO);
    }
}
