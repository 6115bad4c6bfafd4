//! Lives of refunds that have two reports, the network's and one on chain: each is credited once.

use clearfold_domain::authorization::{Resolution, Subject};
use clearfold_domain::network::RefundOutcome;

use super::*;

impl Life {
    /// Begins with a payment of 200 that was claimed.
    fn claimed() -> Self {
        let mut life = Self::new();
        life.request(200);
        life.then("PresentClearing", &clearing("clr-1", 200, "final"));
        life
    }

    fn told(&mut self, id: &str, minor: u128) {
        let origin = json!({"network": id});
        let refund =
            json!({"account": ACCOUNT, "amount": amount(minor), "origin": origin, "occurred_at": AT});
        self.then("RecordRefund", &refund);
    }

    fn paid_out(&mut self, id: &str, minor: u128, number: u8) {
        let origin = json!({"chain": source(number)});
        let refund =
            json!({"account": ACCOUNT, "amount": amount(minor), "origin": origin, "occurred_at": AT});
        self.seen("authorization", id, "RecordRefund", &refund);
        self.settle();
    }

    /// Outcome of a refund on chain, and the payment.
    fn outcome(&self, id: &str) -> Option<(RefundOutcome, Option<String>)> {
        match &self.world.payments[id].state.subject {
            Subject::Refund(refund) => match &refund.resolution {
                Resolution::Open => None,
                Resolution::Resolved { outcome, payment_id } => {
                    Some((*outcome, payment_id.as_ref().map(ToString::to_string)))
                }
            },
            _ => None,
        }
    }

    /// Available amount, the Safe, and what is owed by the network and in suspense.
    fn sums(&self) -> [String; 4] {
        let net = |account| self.net(account);
        [
            self.available(),
            net(LedgerAccount::Safe),
            net(LedgerAccount::Settlement),
            net(LedgerAccount::Suspense),
        ]
    }
}

fn matched() -> Option<(RefundOutcome, Option<String>)> {
    Some((RefundOutcome::Matched, Some("auth-1".to_owned())))
}

fn sums(of: [&str; 4]) -> [String; 4] {
    of.map(str::to_owned)
}

#[test]
fn a_refund_that_the_network_tells_of_and_that_is_paid_out_on_chain_is_credited_once() {
    let mut life = Life::claimed();
    life.told("rfd-1", 150);
    life.paid_out("back-1", 150, 3);
    let network_first = life.sums();
    assert_eq!(life.available(), "950");
    assert_eq!(life.outcome("back-1"), matched());

    let mut life = Life::claimed();
    life.paid_out("back-1", 150, 3);
    life.told("rfd-1", 150);
    assert_eq!((life.sums(), life.outcome("back-1")), (network_first, matched()));
    assert_eq!(life.net(LedgerAccount::Suspense), "0");
}

#[test]
fn two_refunds_of_one_amount_have_two_reports_each() {
    let mut life = Life::claimed();
    life.told("rfd-1", 50);
    life.told("rfd-2", 50);
    life.paid_out("back-1", 50, 3);
    life.paid_out("back-2", 50, 4);
    assert_eq!((life.available().as_str(), life.outcome("back-2")), ("900", matched()));
    life.paid_out("back-3", 50, 5);
    assert_eq!((life.available().as_str(), life.outcome("back-3")), ("950", None));
}

#[test]
fn another_amount_and_what_comes_too_late_are_no_reports_of_a_refund() {
    let mut life = Life::claimed();
    life.told("rfd-1", 50);
    life.paid_out("back-1", 49, 3);
    life.wait(14 * DAY_MS + 1000);
    life.paid_out("back-2", 50, 4);
    assert_eq!((life.outcome("back-1"), life.outcome("back-2")), (None, None));
    assert_eq!(life.available(), "949");
    life.accepted(
        "authorization",
        "back-2",
        "ResolveRefund",
        &json!({"outcome": "matched", "payment_id": "auth-1"}),
    );
    life.settle();
    assert_eq!(life.available(), "899", "an operator matches by hand");
}

/// An outcome that an operator states before the network tells of the refund stays.
#[test]
fn what_an_operator_resolved_before_is_credited_once() {
    for (outcome, available) in [("paid", "950"), ("returned", "950")] {
        let mut life = Life::claimed();
        life.paid_out("back-1", 150, 3);
        life.accepted("authorization", "back-1", "ResolveRefund", &json!({"outcome": outcome}));
        life.settle();
        life.told("rfd-1", 150);
        assert_eq!((life.available().as_str(), life.net(LedgerAccount::Suspense).as_str()), (available, "0"));
        assert_eq!(life.net(LedgerAccount::Settlement), "50", "{outcome}");
    }
}

/// While something is owed back, a refund on chain is withheld until the network tells of it.
#[test]
fn what_is_withheld_is_credited_when_the_network_tells_of_it() {
    let mut life = Life::claimed();
    life.seen("authorization", "spend-1", "RecordSwipe", &swipe(150));
    life.wait(31 * DAY_MS);
    life.paid_out("back-1", 150, 3);
    assert_eq!(life.available(), "800", "it is withheld");
    life.told("rfd-1", 150);
    assert_eq!((life.sums()[0].as_str(), life.outcome("back-1")), ("950", matched()));
    life.paid_out("back-2", 150, 4);
    assert_eq!(life.sums()[0], "950", "this may be what is owed back");
    assert_eq!(life.sums()[3], "0");
}

#[test]
fn a_return_ends_a_match_that_is_not_resolved_yet() {
    let mut life = Life::claimed();
    life.paid_out("back-1", 150, 3);
    life.accepted("authorization", "auth-1", "RecordRefund", &network(150));
    life.until_asked("ResolveRefund");
    life.accepted("authorization", "back-1", "ResolveRefund", &json!({"outcome": "returned"}));
    life.settle();
    assert_eq!(life.sums(), sums(["950", "1150", "50", "0"]), "what the network told of is credited");
    life.paid_out("back-2", 150, 4);
    assert_eq!((life.sums()[0].as_str(), life.outcome("back-2")), ("950", matched()));
}

fn network(minor: u128) -> Value {
    json!({"account": ACCOUNT, "amount": amount(minor), "origin": {"network": "rfd-1"}, "occurred_at": AT})
}

/// The payout of what is left may be seen before the network tells of the refund, or before it takes the rest back.
#[test]
fn a_refund_that_is_taken_back_in_part_is_credited_once_in_whatever_order_its_reports_come() {
    let back = json!({
        "reversal_id": "rvr-1", "refund_id": "rfd-1", "network": "visa", "amount": amount(90), "occurred_at": AT,
    });
    for order in [
        ["told", "back", "paid"],
        ["told", "paid", "back"],
        ["paid", "told", "back"],
        ["paid", "back", "told"],
    ] {
        let mut life = Life::claimed();
        for what in order {
            match what {
                "told" => life.told("rfd-1", 150),
                "paid" => life.paid_out("back-1", 60, 3),
                _ => life.then("ReverseRefund", &back),
            }
        }
        assert_eq!((life.available().as_str(), life.outcome("back-1")), ("860", matched()), "{order:?}");
        assert_eq!(life.net(LedgerAccount::Suspense), "0", "{order:?}");
        life.paid_out("back-2", 60, 4);
        assert_eq!((life.available().as_str(), life.outcome("back-2")), ("920", None), "{order:?}");
    }
}

/// A wrong refund is taken back whole, and the right one has the same amount: the next payout is that of the right one.
#[test]
fn a_refund_that_corrects_one_that_was_taken_back_whole_has_its_payout() {
    let back = json!({"reversal_id": "rvr-1", "refund_id": "rfd-1", "network": "visa", "occurred_at": AT});
    let mut life = Life::claimed();
    life.told("rfd-1", 150);
    life.then("ReverseRefund", &back);
    life.told("rfd-2", 150);
    life.paid_out("back-1", 150, 3);
    assert_eq!((life.available().as_str(), life.outcome("back-1")), ("950", matched()));
}

/// Earlier versions recorded a refund of an unknown payment under the payment's id.
#[test]
fn a_payment_that_begins_behind_a_refund_without_one_is_booked_pulled_and_refunded_like_any_other() {
    let mut life = Life::new();
    life.told("rfd-1", 150);
    assert_eq!(life.available(), "1150");
    life.then("PresentClearing", &clearing("clr-1", 200, "final"));
    assert_eq!((life.available().as_str(), life.net(LedgerAccount::Suspense).as_str()), ("950", "150"));
    life.told("rfd-2", 50);
    life.then("ResolveRefund", &json!({"outcome": "paid"}));
    assert_eq!((life.available().as_str(), life.net(LedgerAccount::Suspense).as_str()), ("1000", "0"));
    let back = json!({"reversal_id": "rvr-1", "refund_id": "rfd-1", "network": "visa", "occurred_at": AT});
    life.then("ReverseRefund", &back);
    assert_eq!(life.available(), "850");
    assert_eq!(life.world.payment("auth-1").expect("a payment").totals.refunded, Minor::new(50));
    life.then("RecordAdvice", &advice(20));
    assert_eq!(life.status(), Status::ForcePosted);
}
