//! 6. Money returned for a payment, as linked refunds, disputes won and clearings taken back, never exceeds what was
//!    claimed, but for the excess that a refund or a reversal states. No reversal takes back more than is left of its
//!    clearing or refund.

use std::collections::{BTreeMap, BTreeSet};

use clearfold_kernel::{ExternalId, Invariant, Minor};

use super::sum::plus;
use super::tally::{Fact, Happened, Violations, Watch};
use crate::authorization::{Event, RefundOrigin, State};

const REFUNDS_WITHIN_CAPTURED: Invariant = Invariant {
    code: "refunds_within_captured",
    statement: "Linked refunds and reversals of clearings, without the excess that they state, and disputes that were won \
                are together never more than what was captured; no more of a clearing or a refund is taken back than it was.",
};

#[derive(Debug, Default)]
pub(super) struct Refunds {
    payments: BTreeMap<String, Captured>,
    /// Amount that stands of each clearing, by payment and clearing.
    clearings: BTreeMap<(String, String), Minor>,
    /// Amount that stands of each refund of the network, by stream and refund.
    refunds: BTreeMap<(String, String), Minor>,
    /// Refunds without a payment, by stream and refund. A payment may have begun beside one.
    unlinked: BTreeSet<(String, String)>,
}

#[derive(Debug, Default, Clone, Copy)]
struct Captured {
    captured: Minor,
    refunded: Minor,
    excess: Minor,
    won: Minor,
}

impl Watch for Refunds {
    const INVARIANTS: &'static [Invariant] = &[REFUNDS_WITHIN_CAPTURED];

    fn observe(&mut self, fact: Fact<'_>, found: &mut Violations<'_>) {
        let Happened::Authorization(event) = fact.event else { return };
        let payment = self.payments.entry(fact.id.to_owned()).or_default();
        let of = |id: &ExternalId| (fact.id.to_owned(), id.to_string());
        match event {
            Event::ClearingPosted(event) => {
                let claimed = plus(event.against_hold, event.beyond_hold);
                payment.captured = plus(payment.captured, claimed);
                self.clearings.insert(of(&event.clearing_id), claimed);
            }
            Event::ForcePosted(event) => {
                payment.captured = plus(payment.captured, event.amount.minor);
                self.clearings.insert(of(&event.clearing_id), event.amount.minor);
            }
            Event::ClearingReversed(event) => {
                let left = self.clearings.entry(of(&event.clearing_id)).or_default();
                if event.amount.minor > *left {
                    let detail =
                        format!("{} is taken back of a clearing of which {left} is left", event.amount);
                    found.report(REFUNDS_WITHIN_CAPTURED, detail);
                }
                *left = left.excess_over(event.amount.minor);
                payment.captured = payment.captured.excess_over(event.amount.minor);
                payment.excess = plus(payment.excess, event.excess.unwrap_or_default());
            }
            Event::ClearingLinked(event) => {
                self.clearings.insert(of(&event.clearing_id), Minor::ZERO);
                payment.captured = payment.captured.excess_over(event.amount.minor);
            }
            Event::ClearingUnlinked(event) => {
                self.clearings.insert(of(&event.clearing_id), event.amount.minor);
                payment.captured = plus(payment.captured, event.amount.minor);
            }
            Event::ClearingGivenUp(event) => {
                self.clearings.insert(of(&event.clearing_id), Minor::ZERO);
                payment.captured = payment.captured.excess_over(event.amount.minor);
            }
            Event::RefundUnlinked(event) => {
                self.unlinked.insert(of_refund(fact.id, &event.origin));
                self.refunds.insert(of_refund(fact.id, &event.origin), event.amount.minor);
            }
            Event::RefundReversed(event) => {
                let key = of_refund(fact.id, &RefundOrigin::Network(event.refund_id.clone()));
                let is_unlinked = self.unlinked.contains(&key);
                let left = self.refunds.entry(key).or_default();
                if event.amount.minor > *left {
                    let detail =
                        format!("{} is taken back of a refund of which {left} is left", event.amount);
                    found.report(REFUNDS_WITHIN_CAPTURED, detail);
                }
                *left = left.excess_over(event.amount.minor);
                if !is_unlinked {
                    payment.refunded = payment.refunded.excess_over(event.amount.minor);
                }
            }
            Event::RefundLinked(event) => {
                self.refunds.insert(of_refund(fact.id, &event.origin), event.amount.minor);
                payment.refunded = plus(payment.refunded, event.amount.minor);
                let excess = event.excess.map_or(Minor::ZERO, |excess| excess.minor);
                payment.excess = plus(payment.excess, excess);
                if excess > event.amount.minor {
                    let detail = format!("of {} an excess of {excess} is stated", event.amount);
                    found.report(REFUNDS_WITHIN_CAPTURED, detail);
                }
            }
            Event::DisputeResolved(event) => {
                payment.won = plus(payment.won, event.awarded());
                // A stated excess covers refunds alone: what is won was captured, and not refunded.
                if event.awarded() > Minor::ZERO
                    && payment.won > payment.captured.excess_over(payment.refunded)
                {
                    let Captured { captured, refunded, won, .. } = payment;
                    let detail = format!("captured {captured}, refunded {refunded}, won in disputes {won}");
                    found.report(REFUNDS_WITHIN_CAPTURED, detail);
                }
            }
            _ => return,
        }
        if plus(payment.refunded, payment.won) > plus(payment.captured, payment.excess) {
            let Captured { captured, refunded, excess, won } = payment;
            let detail = format!(
                "captured {captured}, refunded {refunded} with an excess of {excess}, won in disputes {won}"
            );
            found.report(REFUNDS_WITHIN_CAPTURED, detail);
        }
    }

    fn compare_authorization(&self, id: &str, state: &State, found: &mut Violations<'_>) {
        let Captured { captured, refunded, .. } = self.payments.get(id).copied().unwrap_or_default();
        let Some(payment) = state.payment() else { return };
        let says = (payment.totals.captured(), payment.totals.refunded);
        if says != (captured, refunded) {
            let detail = format!("captured {captured}, refunded {refunded}; the payment says {says:?}");
            found.report(REFUNDS_WITHIN_CAPTURED, detail);
        }
    }
}

fn of_refund(id: &str, origin: &RefundOrigin) -> (String, String) {
    (id.to_owned(), origin.identity())
}
