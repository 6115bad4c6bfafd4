//! 12. A refund that the network tells of and that is seen on chain is credited once.

use std::collections::BTreeMap;

use clearfold_kernel::{Amount, Invariant, Minor};

use super::tally::{Fact, Happened, Violations, Watch};
use crate::account::{Event, LedgerAccount, RefundBooked, RefundLink, RefundOutcome};

const REFUND_CREDITED_ONCE: Invariant = Invariant {
    code: "refund_credited_once",
    statement: "Of two reports of one refund the later one credits nothing. One is the network's and one is on chain, both \
                are of the same amount, or the one on chain of what the network did not take back, and each belongs to \
                one match.",
};

#[derive(Debug, Default)]
pub(super) struct Reports(BTreeMap<String, Report>);

#[derive(Debug)]
struct Report {
    amount: Amount,
    /// Amount less what the network took back, in minor units.
    left: Minor,
    is_on_chain: bool,
    matched: Option<String>,
}

impl Watch for Reports {
    const INVARIANTS: &'static [Invariant] = &[REFUND_CREDITED_ONCE];

    fn observe(&mut self, fact: Fact<'_>, found: &mut Violations<'_>) {
        match fact.event {
            Happened::Account(Event::RefundBooked(event)) => self.booked(event, found),
            Happened::Account(Event::RefundReversalBooked(event)) => {
                let told = self.0.get_mut(event.refund_id.as_str());
                told.into_iter().for_each(|told| told.left = told.left.excess_over(event.amount.minor));
            }
            // A refund that turns out to be a return was no report.
            Happened::Account(Event::RefundResolved(event)) if event.outcome == RefundOutcome::Returned => {
                let other = self.0.remove(event.refund_id.as_str()).and_then(|report| report.matched);
                let other = other.and_then(|other| self.0.get_mut(&other));
                other.into_iter().for_each(|other| other.matched = None);
            }
            _ => {}
        }
    }
}

impl Report {
    fn fits(&self, amount: &Amount) -> bool {
        self.amount.asset == amount.asset && [self.amount.minor, self.left].contains(&amount.minor)
    }
}

impl Reports {
    fn booked(&mut self, event: &RefundBooked, found: &mut Violations<'_>) {
        let is_on_chain = event.source.is_some();
        let (id, amount) = (event.refund_id.to_string(), event.amount.clone());
        let matched = event.matched.as_ref().map(|before| before.refund_id.to_string());
        if let Some(before) = &matched {
            let other = self.0.get_mut(before).filter(|other| {
                other.matched.is_none() && other.is_on_chain != is_on_chain && other.fits(&amount)
            });
            let credits = event.transfers.iter().any(|transfer| {
                transfer.credit == LedgerAccount::Customer || transfer.debit == LedgerAccount::Customer
            });
            match other {
                Some(other) if !credits && event.withheld == Minor::ZERO => other.matched = Some(id.clone()),
                _ => found.report(REFUND_CREDITED_ONCE, format!("{id} of {amount} is no report of {before}")),
            }
        }
        let is_report = (event.link == RefundLink::Unlinked) == is_on_chain;
        if is_report {
            let left = amount.minor;
            self.0.insert(id, Report { amount, left, is_on_chain, matched });
        } else if let Some(before) = matched {
            found.report(
                REFUND_CREDITED_ONCE,
                format!("{id} is matched with {before}, and is no report of it"),
            );
        }
    }
}
