//! 10. What is withheld of refunds on chain is no more than what is owed back to the customer for pulled money.
//!
//! A withheld refund is probably a return of pulled money. It counts against what is owed back until it is resolved. A
//! return counts for good, as far as it is not taken off a named payment.

use std::collections::BTreeMap;

use clearfold_kernel::{Amount, Asset, ExternalId, Invariant, Minor};

use super::sum::{Sum, plus};
use super::tally::{Fact, Happened, Violations, Watch};
use crate::account::{
    ClaimedOn, ClearingMoved, Event, FundedBy, FundingMoved, FundingStep, Net, RefundBooked, RefundLink,
    RefundOutcome, RefundResolved, State,
};

const WITHHELD_IS_OWED_BACK: Invariant = Invariant {
    code: "withheld_is_owed_back",
    statement: "What is withheld of refunds on chain was owed back: pulled for a payment, neither held nor claimed, and \
                not come back yet.",
};

#[derive(Debug, Default)]
pub(super) struct Returns {
    payments: BTreeMap<(String, String), Moved>,
    figures: BTreeMap<Asset, Figures>,
    /// Withheld parts of the refunds that are not resolved, by refund id.
    withheld: BTreeMap<String, Minor>,
}

/// Sums over all payments in one asset.
#[derive(Debug, Default)]
struct Figures {
    owed_back: Sum,
    unassigned: Sum,
}

/// Money of one payment in one asset.
#[derive(Debug, Default)]
struct Moved {
    pulled: Sum,
    returned: Minor,
    held: Sum,
    captured: Minor,
}

impl Moved {
    fn kept(&self) -> Minor {
        let mut kept = self.pulled;
        kept.take(self.returned);
        above_zero(kept)
    }

    fn owed_back(&self) -> Minor {
        let mut owed = self.held;
        owed.add(self.captured);
        let mut owed_back = Sum::default();
        owed_back.add(self.kept());
        owed_back.take(above_zero(owed));
        above_zero(owed_back)
    }
}

impl Watch for Returns {
    const INVARIANTS: &'static [Invariant] = &[WITHHELD_IS_OWED_BACK];

    fn observe(&mut self, fact: Fact<'_>, found: &mut Violations<'_>) {
        let Happened::Account(event) = fact.event else { return };
        match event {
            Event::HoldPlaced(event) => self.moves(&event.hold_id, &event.amount, |of, by| of.held.add(by)),
            Event::HoldRaised(event) => self.moves(&event.hold_id, &event.amount, |of, by| of.held.add(by)),
            Event::HoldLowered(event) => self.moves(&event.hold_id, &event.amount, |of, by| of.held.take(by)),
            Event::HoldVoided(event) => {
                if let Some(released) = &event.released {
                    self.moves(&event.hold_id, released, |of, by| of.held.take(by));
                }
            }
            Event::ClearingBooked(event) => {
                let minor = plus(event.against_hold, event.beyond_hold);
                let claimed = Amount { minor, asset: event.asset.clone() };
                let taken = plus(event.against_hold, event.released);
                self.moves(&event.hold_id, &claimed, |of, by| {
                    of.captured = plus(of.captured, by);
                    of.held.take(taken);
                });
            }
            Event::ClearingReversalBooked(event) => {
                self.moves(&event.hold_id, &event.amount, |of, by| {
                    of.captured = of.captured.excess_over(by);
                });
            }
            Event::FundingBooked(event) => match event.step {
                FundingStep::Included => {
                    self.moves(&event.hold_id, &event.amount, |of, by| of.pulled.add(by));
                }
                FundingStep::Finalized => {}
                FundingStep::Reorged => {
                    self.moves(&event.hold_id, &event.amount, |of, by| of.pulled.take(by));
                }
            },
            Event::ClearingMoved(event) => self.claim_moved(event),
            Event::FundingMoved(event) => self.moved(event),
            Event::Returned(event) => self.came_back(&event.amount),
            Event::RefundBooked(event) => self.refunded(event, found),
            Event::RefundResolved(event) => self.resolved(event, found),
            Event::ReturnAssigned(event) => {
                self.moves(&event.hold_id, &event.amount, |of, by| of.returned = plus(of.returned, by));
                self.figures(&event.amount.asset).unassigned.take(event.amount.minor);
            }
            _ => {}
        }
    }

    fn compare_account(&self, state: &State, found: &mut Violations<'_>) {
        for (asset, figures) in &self.figures {
            let is = (figures.owed_back.net(), figures.unassigned.net());
            let of = |minor| Net::of(minor, Minor::ZERO);
            let says = (of(state.owed_back(asset)), of(state.unassigned(asset)));
            if is != says {
                let [is, says] = [is, says].map(|(owed, unassigned)| format!("{owed} and {unassigned}"));
                let detail = format!(
                    "{}: owed back and come back by the events {is}; the account says {says}",
                    asset.code
                );
                found.report(WITHHELD_IS_OWED_BACK, detail);
            }
        }
    }
}

impl Returns {
    fn figures(&mut self, asset: &Asset) -> &mut Figures {
        self.figures.entry(asset.clone()).or_default()
    }

    /// Applies a change to a payment's money, and to the sum of what is owed back.
    fn moves(&mut self, hold_id: &ExternalId, amount: &Amount, change: impl FnOnce(&mut Moved, Minor)) {
        let Amount { minor, asset } = amount;
        let payment = self.payments.entry((hold_id.to_string(), asset.code.clone())).or_default();
        let before = payment.owed_back();
        change(payment, *minor);
        let after = payment.owed_back();
        let owed_back = &mut self.figures(asset).owed_back;
        owed_back.take(before);
        owed_back.add(after);
    }

    /// Moves the money of a `Spend` between the payments that it can belong to.
    fn moved(&mut self, event: &FundingMoved) {
        let asset = &event.amount.asset;
        let (moved, held) =
            [event.moved, event.held].map(|minor| Amount { minor, asset: asset.clone() }).into();
        let (from, to) = match event.to {
            FundedBy::Payment => (&event.spend_id, &event.payment_id),
            FundedBy::Spend => (&event.payment_id, &event.spend_id),
        };
        self.moves(from, &moved, |of, by| of.pulled.take(by));
        self.moves(to, &moved, |of, by| of.pulled.add(by));
        self.moves(&event.spend_id, &held, |of, by| match event.to {
            FundedBy::Payment => of.held.take(by),
            FundedBy::Spend => of.held.add(by),
        });
    }

    /// Moves a claim between the payment that it was posted for and the one that it is linked to.
    fn claim_moved(&mut self, event: &ClearingMoved) {
        let (from, to) = match event.to {
            ClaimedOn::Payment => (&event.posted_on, &event.payment_id),
            ClaimedOn::Origin => (&event.payment_id, &event.posted_on),
        };
        self.moves(from, &event.amount, |of, by| of.captured = of.captured.excess_over(by));
        self.moves(to, &event.amount, |of, by| of.captured = plus(of.captured, by));
        self.moves(&event.payment_id, &event.amount, |of, _| {
            of.held.take(plus(event.against_hold, event.released));
            of.held.add(event.held);
        });
    }

    /// Counts a return that names no payment.
    fn came_back(&mut self, amount: &Amount) {
        self.figures(&amount.asset).unassigned.add(amount.minor);
    }

    fn refunded(&mut self, event: &RefundBooked, found: &mut Violations<'_>) {
        let withheld = event.withheld;
        let figures = self.figures(&event.amount.asset);
        figures.unassigned.add(withheld);
        let mut left = figures.owed_back;
        left.take(above_zero(figures.unassigned));
        let is_unlinked = event.link == RefundLink::Unlinked && event.source.is_some();
        let is_sound = is_unlinked && withheld <= event.amount.minor && !left.net().is_negative();
        if withheld > Minor::ZERO && !is_sound {
            let detail = format!(
                "of {} of {} {withheld} minor units are withheld, and {} are owed back",
                event.refund_id,
                event.amount,
                figures.owed_back.net()
            );
            found.report(WITHHELD_IS_OWED_BACK, detail);
        }
        self.withheld.insert(event.refund_id.to_string(), withheld);
    }

    fn resolved(&mut self, event: &RefundResolved, found: &mut Violations<'_>) {
        let withheld = self.withheld.remove(event.refund_id.as_str()).unwrap_or_default();
        if withheld != event.withheld {
            let detail = format!("of {} {withheld} was withheld, not {}", event.refund_id, event.withheld);
            found.report(WITHHELD_IS_OWED_BACK, detail);
        }
        self.figures(&event.amount.asset).unassigned.take(withheld);
        match (event.outcome, &event.payment_id) {
            (RefundOutcome::Returned, Some(payment_id)) => {
                let mut rest = Sum::default();
                self.moves(payment_id, &event.amount, |of, by| {
                    let counted = by.min(of.kept());
                    of.returned = plus(of.returned, counted);
                    rest.add(by);
                    rest.take(counted);
                });
                self.figures(&event.amount.asset).unassigned.add(above_zero(rest));
            }
            (RefundOutcome::Returned, None) => self.came_back(&event.amount),
            (RefundOutcome::Paid | RefundOutcome::TakenBack | RefundOutcome::Matched, _) => {}
        }
    }
}

/// Returns the difference; zero if it is below.
fn above_zero(sum: Sum) -> Minor {
    let net = sum.net();
    if net.is_negative() { Minor::ZERO } else { net.magnitude() }
}
