//! 11. The ledger's suspense is the sum of what waits there for its owner, so it is zero once everything is resolved.

use std::collections::BTreeMap;

use clearfold_kernel::{Amount, ExternalId, Invariant, Minor};

use super::dispute_money::{Dispute, dispute_of};
use super::sum::{Sum, plus};
use super::tally::{Fact, Happened, Violations, Watch};
use crate::account::{Event, LedgerAccount, Net, RefundLink, State};

const SUSPENSE_IS_OPEN_ITEMS: Invariant = Invariant {
    code: "suspense_is_open_items",
    statement: "The balance of suspense is the sum of its open items: suspended clearings, the credited parts of refunds \
                without a payment, and of each dispute its provisional credit and what the network moved before the \
                decision, or above the award. Once all are resolved, it is zero.",
};

#[derive(Debug, Default)]
pub(super) struct Suspense {
    /// Open items with their amounts, by kind and id.
    items: BTreeMap<(&'static str, String), Amount>,
    /// Sum of the open items, by asset code.
    open: BTreeMap<String, Sum>,
    disputes: BTreeMap<String, Dispute>,
}

impl Watch for Suspense {
    const INVARIANTS: &'static [Invariant] = &[SUSPENSE_IS_OPEN_ITEMS];

    fn observe(&mut self, fact: Fact<'_>, _found: &mut Violations<'_>) {
        let Happened::Account(event) = fact.event else { return };
        match event {
            Event::ClearingSuspended(event) => {
                self.opens("clearing", &clearing(event.hold_id.as_ref(), &event.clearing_id), &event.amount);
            }
            Event::SuspenseResolved(event) => {
                self.closes("clearing", &clearing(event.hold_id.as_ref(), &event.clearing_id));
            }
            Event::RefundBooked(event) if event.link == RefundLink::Unlinked => {
                // A withheld part is not credited, so nobody has to pay for it.
                let matched = event.matched.is_some();
                let credited =
                    if matched { Minor::ZERO } else { event.amount.minor.excess_over(event.withheld) };
                let credited = Amount { minor: credited, asset: event.amount.asset.clone() };
                self.opens("refund", &event.refund_id, &credited);
            }
            Event::RefundResolved(event) => self.closes("refund", &event.refund_id),
            event => self.disputed(event),
        }
    }

    fn compare_account(&self, state: &State, found: &mut Violations<'_>) {
        let Some(ledger) = state.ledger() else { return };
        for (code, book) in ledger.books() {
            let open = self.open.get(code).copied().unwrap_or_default().net();
            let says = book.get(&LedgerAccount::Suspense).copied().unwrap_or_default();
            let says = Net::of(says.debits, says.credits);
            if open != says {
                let detail = format!("{code}: {open} waits for its owner, suspense says {says}");
                found.report(SUSPENSE_IS_OPEN_ITEMS, detail);
            }
        }
    }
}

/// Id of a suspended clearing within its payment; earlier versions did not state the payment.
fn clearing(hold_id: Option<&ExternalId>, clearing_id: &ExternalId) -> String {
    hold_id.map_or_else(|| clearing_id.to_string(), |hold_id| format!("{hold_id} {clearing_id}"))
}

impl Suspense {
    /// Replaces what waits of a dispute.
    fn disputed(&mut self, event: &Event) {
        let Some((key, asset)) = dispute_of(event) else { return };
        let open = self.open.entry(asset.code.clone()).or_default();
        let dispute = self.disputes.entry(key).or_default();
        let [debits, credits] = dispute.waits();
        dispute.observe(event);
        let [next_debits, next_credits] = dispute.waits();
        open.add(plus(next_debits, credits));
        open.take(plus(next_credits, debits));
    }

    fn opens(&mut self, kind: &'static str, id: &impl ToString, amount: &Amount) {
        self.open.entry(amount.asset.code.clone()).or_default().add(amount.minor);
        self.items.insert((kind, id.to_string()), amount.clone());
    }

    fn closes(&mut self, kind: &'static str, id: &impl ToString) {
        if let Some(amount) = self.items.remove(&(kind, id.to_string())) {
            self.open.entry(amount.asset.code).or_default().take(amount.minor);
        }
    }
}
