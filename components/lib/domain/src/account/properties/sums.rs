//! Totals of an account's events, computed independently of the state.

use std::collections::BTreeMap;

use clearfold_kernel::{Asset, ExternalId, Minor};
use proptest::prelude::*;
use proptest::test_runner::TestCaseResult;

use crate::account::LedgerAccount::{self, Customer, Hold};
use crate::account::{
    ClaimedOn, Event, FundedBy, FundingStep, RefundOutcome, SettlementDirection, State, Transfer,
};

/// Totals that the state is compared with.
#[derive(Default)]
pub(super) struct Sums {
    ledger: BTreeMap<(String, LedgerAccount), (u128, u128)>,
    holds: BTreeMap<String, (String, u128)>,
    /// Funding that is final, less what was sent back and settled, by asset code.
    pulled: BTreeMap<String, i128>,
    /// Money that moved for each hold and asset code: pulled, come back, captured.
    moved: BTreeMap<(String, String), [i128; 3]>,
    /// Refunds with an amount that is not credited, by id, and returns without a payment, with asset codes.
    unassigned: BTreeMap<String, (String, u128)>,
}

impl Sums {
    pub(super) fn add(&mut self, event: &Event) {
        if let Some((asset, transfers)) = event.booked() {
            for Transfer { debit, credit, minor } in transfers {
                assert_ne!(*minor, Minor::ZERO, "{event:?}");
                self.ledger.entry((asset.code.clone(), *debit)).or_default().0 += minor.get();
                self.ledger.entry((asset.code.clone(), *credit)).or_default().1 += minor.get();
            }
        }
        match event {
            Event::HoldPlaced(event) => {
                *self.hold(&event.hold_id) = (event.amount.asset.code.clone(), event.amount.minor.get());
            }
            Event::HoldRaised(event) => self.hold(&event.hold_id).1 += event.amount.minor.get(),
            Event::HoldLowered(event) => self.hold(&event.hold_id).1 -= event.amount.minor.get(),
            Event::ClearingBooked(event) => {
                self.hold(&event.hold_id).1 -= event.against_hold.get() + event.released.get();
            }
            Event::ClearingMoved(event) => {
                let hold = self.hold(&event.payment_id);
                hold.1 = hold.1 + event.held.get() - event.against_hold.get() - event.released.get();
            }
            Event::HoldVoided(event) => {
                let released = event.released.as_ref().map_or(0, |amount| amount.minor.get());
                let before = std::mem::take(self.hold(&event.hold_id));
                assert_eq!(before.1, released, "a void releases all that is held");
            }
            Event::FundingMoved(event) if event.held > Minor::ZERO => {
                let held = event.held.get();
                let hold = self.hold(&event.spend_id);
                match event.to {
                    FundedBy::Payment => hold.1 -= held,
                    FundedBy::Spend => *hold = (event.amount.asset.code.clone(), hold.1 + held),
                }
            }
            _ => {}
        }
        self.move_for_a_payment(event);
        let pulled = match event {
            Event::FundingBooked(event) if event.step == FundingStep::Finalized => {
                Some((&event.amount, true))
            }
            Event::Returned(event) => Some((&event.amount, false)),
            Event::RefundBooked(event) if event.source.is_some() => Some((&event.amount, false)),
            Event::SettlementBooked(event) => {
                Some((&event.amount, event.direction == SettlementDirection::Received))
            }
            _ => None,
        };
        if let Some((amount, is_more)) = pulled {
            let minor = i128::try_from(amount.minor.get()).unwrap();
            *self.pulled.entry(amount.asset.code.clone()).or_default() +=
                if is_more { minor } else { -minor };
        }
    }

    /// Adds what moved for a payment, and what came back for none that is known.
    fn move_for_a_payment(&mut self, event: &Event) {
        let signed = |minor: Minor| i128::try_from(minor.get()).unwrap();
        match event {
            Event::FundingBooked(event) => {
                let pulled = match event.step {
                    FundingStep::Included => signed(event.amount.minor),
                    FundingStep::Finalized => 0,
                    FundingStep::Reorged => -signed(event.amount.minor),
                };
                self.moved(&event.hold_id, &event.amount.asset)[0] += pulled;
            }
            Event::FundingMoved(event) => {
                let moved = match event.to {
                    FundedBy::Payment => signed(event.moved),
                    FundedBy::Spend => -signed(event.moved),
                };
                self.moved(&event.spend_id, &event.amount.asset)[0] -= moved;
                self.moved(&event.payment_id, &event.amount.asset)[0] += moved;
            }
            Event::ClearingBooked(event) => {
                let captured = signed(event.against_hold) + signed(event.beyond_hold);
                self.moved(&event.hold_id, &event.asset)[2] += captured;
            }
            Event::ClearingMoved(event) => {
                let (from, to) = match event.to {
                    ClaimedOn::Payment => (&event.posted_on, &event.payment_id),
                    ClaimedOn::Origin => (&event.payment_id, &event.posted_on),
                };
                self.moved(from, &event.amount.asset)[2] -= signed(event.amount.minor);
                self.moved(to, &event.amount.asset)[2] += signed(event.amount.minor);
            }
            Event::ClearingReversalBooked(event) => {
                self.moved(&event.hold_id, &event.amount.asset)[2] -= signed(event.amount.minor);
            }
            Event::RefundBooked(event) => {
                let (left, unassigned) =
                    (self.owed_back(&event.amount.asset), self.unassigned(&event.amount.asset));
                assert!(event.withheld.get() <= left.saturating_sub(unassigned), "{left}: {event:?}");
                let withheld = (event.amount.asset.code.clone(), event.withheld.get());
                self.unassigned.insert(event.refund_id.to_string(), withheld);
            }
            Event::RefundResolved(event) => {
                let withheld = self.unassigned.remove(event.refund_id.as_str());
                assert_eq!(withheld.map(|(_, minor)| minor), Some(event.withheld.get()), "{event:?}");
                let amount = &event.amount;
                match (event.outcome, &event.payment_id) {
                    (RefundOutcome::Returned, Some(payment_id)) => {
                        let [pulled, returned, _] = self.moved(payment_id, &amount.asset);
                        let counted = signed(amount.minor).min((*pulled - *returned).max(0));
                        *returned += counted;
                        let rest = u128::try_from(signed(amount.minor) - counted).unwrap();
                        self.came_back(event.refund_id.as_str(), &amount.asset, rest);
                    }
                    (RefundOutcome::Returned, None) => {
                        self.came_back(event.refund_id.as_str(), &amount.asset, amount.minor.get());
                    }
                    _ => {}
                }
            }
            Event::ReturnAssigned(event) => {
                let (minor, asset) = (event.amount.minor, &event.amount.asset);
                self.moved(&event.hold_id, asset)[1] += signed(minor);
                let left = self.unassigned.get_mut(&format!("return {}", event.refund_id)).unwrap();
                left.1 -= minor.get();
            }
            Event::Returned(event) => {
                let log = format!("{:?}", event.source);
                self.came_back(&log, &event.amount.asset, event.amount.minor.get());
            }
            _ => {}
        }
    }

    /// Counts what came back and was taken off no payment.
    fn came_back(&mut self, what: &str, asset: &Asset, minor: u128) {
        self.unassigned.insert(format!("return {what}"), (asset.code.clone(), minor));
    }

    fn moved(&mut self, id: &ExternalId, asset: &Asset) -> &mut [i128; 3] {
        self.moved.entry((id.to_string(), asset.code.clone())).or_default()
    }

    fn owed_back(&self, asset: &Asset) -> u128 {
        let of = self.moved.iter().filter(|((_, code), _)| *code == asset.code);
        let owed = of.map(|((id, code), [pulled, returned, captured])| {
            let held = self.holds.get(id).filter(|(of, _)| of == code).map_or(0, |(_, held)| *held);
            let kept = (pulled - returned).max(0);
            u128::try_from(kept - captured - i128::try_from(held).unwrap()).unwrap_or(0)
        });
        owed.sum()
    }

    fn unassigned(&self, asset: &Asset) -> u128 {
        self.unassigned.values().filter(|(code, _)| *code == asset.code).map(|(_, minor)| minor).sum()
    }

    fn hold(&mut self, id: &ExternalId) -> &mut (String, u128) {
        self.holds.entry(id.to_string()).or_default()
    }

    fn side(&self, asset: &Asset, account: LedgerAccount) -> (u128, u128) {
        self.ledger.get(&(asset.code.clone(), account)).copied().unwrap_or_default()
    }

    /// Asserts that the state agrees with the totals and that the invariants hold.
    pub(super) fn hold_for(&self, state: &State, asset: &Asset) -> TestCaseResult {
        let signed = |number: u128| i128::try_from(number).unwrap();
        let (mut debits, mut credits) = (0, 0);
        for account in LedgerAccount::ALL {
            let side = self.side(asset, account);
            let balance = state.ledger().map(|ledger| ledger.balance(asset, account)).unwrap_or_default();
            prop_assert_eq!((balance.debits.get(), balance.credits.get()), side, "{:?}", account);
            debits += side.0;
            credits += side.1;
        }
        prop_assert_eq!(debits, credits);

        let held: u128 =
            self.holds.values().filter(|(code, _)| *code == asset.code).map(|(_, held)| held).sum();
        let (debits, credits) = self.side(asset, Customer);
        prop_assert_eq!(state.pending(asset).get(), held);
        prop_assert_eq!(state.posted(asset).to_string(), (signed(credits) - signed(debits)).to_string());
        let (lent, recovered) = self.side(asset, LedgerAccount::Receivable);
        let owed = signed(lent) - signed(recovered);
        let available = signed(credits) - signed(debits) - signed(held) - owed;
        prop_assert_eq!(state.available(asset).to_string(), available.to_string());

        let (debits, credits) = self.side(asset, Hold);
        let pulled = self.pulled.get(&asset.code).copied().unwrap_or_default();
        prop_assert_eq!(signed(debits) - signed(credits), pulled);
        prop_assert_eq!(state.owed_back(asset).get(), self.owed_back(asset));
        prop_assert_eq!(state.unassigned(asset).get(), self.unassigned(asset));
        Ok(())
    }
}
