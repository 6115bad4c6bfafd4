//! 6. Money returned for a payment, as linked refunds and disputes won, never exceeds what was captured, but for the
//!    excess that a refund states.

use std::collections::BTreeMap;

use clearfold_kernel::{Invariant, Minor};

use super::sum::plus;
use super::tally::{Fact, Happened, Violations, Watch};
use crate::authorization::{Event, State};

const REFUNDS_WITHIN_CAPTURED: Invariant = Invariant {
    code: "refunds_within_captured",
    statement: "Linked refunds, without the excess that they state, and disputes that were won are together never more \
                than what was captured.",
};

#[derive(Debug, Default)]
pub(super) struct Refunds(BTreeMap<String, Captured>);

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
        let payment = self.0.entry(fact.id.to_owned()).or_default();
        match event {
            Event::ClearingPosted(event) => {
                payment.captured = plus(payment.captured, plus(event.against_hold, event.beyond_hold));
            }
            Event::ForcePosted(event) => payment.captured = plus(payment.captured, event.amount.minor),
            Event::RefundLinked(event) => {
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
        let Captured { captured, refunded, .. } = self.0.get(id).copied().unwrap_or_default();
        let Some(payment) = state.payment() else { return };
        let says = (payment.totals.captured(), payment.totals.refunded);
        if says != (captured, refunded) {
            let detail = format!("captured {captured}, refunded {refunded}; the payment says {says:?}");
            found.report(REFUNDS_WITHIN_CAPTURED, detail);
        }
    }
}
