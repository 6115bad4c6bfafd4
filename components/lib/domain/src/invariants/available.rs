//! 3. The available balance is the posted balance less the holds and the open receivables, and only holds that can be refused are limited by
//!    it.

use std::collections::{BTreeMap, BTreeSet};

use clearfold_kernel::{Amount, Asset, ExternalId, Invariant, Minor};

use super::sum::{Sum, plus};
use super::tally::{Fact, Happened, Violations, Watch};
use crate::account::{
    DisputeStep, Event, FundedBy, HoldPlaced, LedgerAccount, RefundBooked, RefundOutcome, RefundResolved,
    State,
};

const AVAILABLE: Invariant = Invariant {
    code: "available_is_posted_minus_holds",
    statement: "Available is what was credited to the customer without what was debited, what is held and what is owed as a receivable; a hold that \
                could be refused was never more than that, or than the Spend of the same payment holds already.",
};

/// Balances by asset, computed from the events' amounts alone: no transfer is read for its amount.
#[derive(Debug, Default)]
pub(super) struct Available {
    balances: BTreeMap<Asset, Figures>,
    /// Disputes with a provisional credit.
    credited: BTreeSet<String>,
    /// Credited and withheld amounts of the refunds that are not resolved, by refund id.
    refunds: BTreeMap<String, [Minor; 2]>,
    /// Refunds on chain that the network told of later.
    told_later: BTreeSet<String>,
    /// Amounts that `Spend`s hold for whichever payment they are, by the `Spend`'s id.
    spends: BTreeMap<String, Minor>,
}

#[derive(Debug, Default)]
struct Figures {
    posted: Sum,
    held: Sum,
    receivable: Sum,
}

impl Figures {
    fn available(&self) -> crate::account::Net {
        let mut all = self.posted;
        all.take(self.held.net().magnitude());
        all.take(self.receivable.net().magnitude());
        all.net()
    }
}

impl Watch for Available {
    const INVARIANTS: &'static [Invariant] = &[AVAILABLE];

    fn observe(&mut self, fact: Fact<'_>, found: &mut Violations<'_>) {
        let Happened::Account(event) = fact.event else { return };
        match event {
            Event::HoldPlaced(event) => self.placed(event, found),
            Event::HoldRaised(event) => {
                let is_spent = self.is_spent(event.spend_id.as_ref(), event.amount.minor);
                self.hold(&event.amount, event.forced || is_spent, found);
            }
            Event::HoldLowered(event) => self.held(&event.amount.asset).take(event.amount.minor),
            Event::HoldVoided(event) => {
                if let Some(released) = &event.released {
                    self.held(&released.asset).take(released.minor);
                }
            }
            Event::FundingMoved(event) => {
                let held = self.held(&event.amount.asset);
                match event.to {
                    FundedBy::Payment => held.take(event.held),
                    FundedBy::Spend => held.add(event.held),
                }
                self.spends.remove(event.spend_id.as_str());
            }
            // The customer was debited when it posted.
            Event::ClearingMoved(event) => {
                let held = self.held(&event.amount.asset);
                held.take(plus(event.against_hold, event.released));
                held.add(event.held);
            }
            event => self.post(event),
        }
        if let Some((asset, figures)) =
            self.balances.iter().find(|(_, figures)| figures.held.net().is_negative())
        {
            found.report(AVAILABLE, format!("{}: {} is held", asset.code, figures.held.net()));
        }
    }

    fn compare_account(&self, state: &State, found: &mut Violations<'_>) {
        for (asset, figures) in &self.balances {
            let says = (state.posted(asset), state.pending(asset), state.available(asset));
            let is = (figures.posted.net(), figures.held.net().magnitude(), figures.available());
            if says != is {
                let [says, is] = [says, is].map(|(posted, held, available)| {
                    format!("posted {posted}, held {held}, available {available}")
                });
                found.report(
                    AVAILABLE,
                    format!("{}: by the events {is}; the account says {says}", asset.code),
                );
            }
        }
    }
}

impl Available {
    fn figures(&mut self, asset: &Asset) -> &mut Figures {
        self.balances.entry(asset.clone()).or_default()
    }

    fn held(&mut self, asset: &Asset) -> &mut Sum {
        &mut self.figures(asset).held
    }

    fn posted(&mut self, asset: &Asset) -> &mut Sum {
        &mut self.figures(asset).posted
    }

    fn credit(&mut self, amount: &Amount) {
        self.posted(&amount.asset).add(amount.minor);
    }

    fn debit(&mut self, amount: &Amount) {
        self.posted(&amount.asset).take(amount.minor);
    }

    fn hold(&mut self, amount: &Amount, forced: bool, found: &mut Violations<'_>) {
        let figures = self.figures(&amount.asset);
        let available = figures.available();
        if !forced && !available.covers(amount.minor) {
            found.report(AVAILABLE, format!("{} minor units held of {available} available", amount.minor));
        }
        figures.held.add(amount.minor);
    }

    /// Checks a hold. What the payment's own `Spend` holds is available to it, also where less than nothing is.
    fn placed(&mut self, event: &HoldPlaced, found: &mut Violations<'_>) {
        if event.spent_at.is_some() {
            self.spends.insert(event.hold_id.to_string(), event.amount.minor);
        }
        let is_spent = self.is_spent(event.spend_id.as_ref(), event.amount.minor);
        self.hold(&event.amount, event.forced || is_spent, found);
    }

    /// Returns true if the `Spend` holds that amount already.
    fn is_spent(&self, spend_id: Option<&ExternalId>, minor: Minor) -> bool {
        let spent = spend_id.and_then(|spend_id| self.spends.get(spend_id.as_str()));
        spent.is_some_and(|spent| *spent >= minor)
    }

    /// Credits what was withheld if the network pays; otherwise takes back what was credited. What the network told of
    /// later was not credited, because the refund on chain was.
    fn resolved(&mut self, event: &RefundResolved) {
        let id = event.refund_id.as_str();
        let [credited, withheld] = self.refunds.remove(id).unwrap_or_default();
        let is_told_later = self.told_later.remove(id);
        let posted = &mut self.figures(&event.amount.asset).posted;
        match event.outcome {
            RefundOutcome::Paid => posted.add(withheld),
            RefundOutcome::Matched if is_told_later => posted.add(withheld),
            RefundOutcome::Matched => posted.take(credited),
            RefundOutcome::TakenBack | RefundOutcome::Returned => {
                posted.take(credited);
                if is_told_later {
                    posted.add(event.amount.minor);
                }
            }
        }
    }

    /// Credits a refund, but for what is withheld, and for what was reported before.
    fn refunded(&mut self, event: &RefundBooked) {
        let mut credited = event.amount.minor.excess_over(event.withheld);
        if let Some(before) = &event.matched {
            credited = Minor::ZERO;
            if event.source.is_none() {
                self.told_later.insert(before.refund_id.to_string());
            }
        }
        self.posted(&event.amount.asset).add(credited);
        self.refunds.insert(event.refund_id.to_string(), [credited, event.withheld]);
    }

    fn post(&mut self, event: &Event) {
        match event {
            Event::Deposited(event) => self.credit(&event.amount),
            Event::DepositReorged(event) => self.debit(&event.amount),
            Event::Withdrawn(event) => self.debit(&event.amount),
            Event::WithdrawalReorged(event) => self.credit(&event.amount),
            Event::ClearingBooked(event) => {
                let figures = self.figures(&event.asset);
                figures.posted.take(plus(event.against_hold, event.beyond_hold));
                figures.held.take(plus(event.against_hold, event.released));
            }
            Event::ClearingReversalBooked(event) => self.credit(&event.amount),
            Event::RefundReversalBooked(event) => self.debit(&event.amount),
            // A charge is booked as a clearing of its own. In old events its resolution debited the customer instead,
            // which only the transfers show.
            Event::SuspenseResolved(event)
                if event.transfers.iter().any(|transfer| transfer.debit == LedgerAccount::Customer) =>
            {
                self.debit(&event.amount);
            }
            Event::RefundResolved(event) => self.resolved(event),
            Event::RefundBooked(event) => self.refunded(event),
            Event::DisputeBooked(event) => match (event.step, self.credited.contains(&event.key())) {
                (DisputeStep::Provisional, _) => {
                    self.credited.insert(event.key());
                    self.credit(&event.amount);
                }
                (DisputeStep::Won, false) => self.posted(&event.amount.asset).add(event.awarded()),
                // The customer keeps the provisional credit, less what was not awarded.
                (DisputeStep::Won, true) => {
                    let posted = self.posted(&event.amount.asset);
                    posted.add(event.awarded());
                    posted.take(event.amount.minor);
                }
                (DisputeStep::Lost, true) => self.debit(&event.amount),
                (DisputeStep::Lost, false) => {}
            },
            Event::ReceivableBooked(event) => {
                self.credit(&event.amount);
                self.figures(&event.amount.asset).receivable.add(event.amount.minor);
            }
            Event::ReceivableRecovered(event) => {
                self.debit(&event.amount);
                self.figures(&event.amount.asset).receivable.take(event.amount.minor);
            }
            Event::FeeCharged(event) => self.debit(&event.amount),
            _ => {}
        }
    }
}
