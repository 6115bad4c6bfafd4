//! 7. The balance of the hold account is the finalized funding less what was returned, refunded on chain or settled;
//!    funding that is not final is in transit.

use std::collections::BTreeMap;

use clearfold_kernel::{Asset, Invariant, Minor};

use super::sum::Sum;
use super::tally::{Fact, Happened, Violations, Watch};
use crate::account::{Event, FundingStep, LedgerAccount, SettlementDirection, State};

const HOLD_ACCOUNT_MATCHES_CHAIN: Invariant = Invariant {
    code: "hold_account_matches_chain",
    statement: "What was pulled for good, without what was returned, refunded on chain and settled, is the balance of \
                the hold account; what was pulled and is not final is in transit. Of an account that was never opened \
                nothing is said.",
};

/// Expected balances of the two ledger accounts, by asset, computed from what happened on chain.
#[derive(Debug, Default)]
pub(super) struct OnChain(BTreeMap<Asset, Pulled>);

#[derive(Debug, Default)]
struct Pulled {
    in_transit: Sum,
    hold: Sum,
}

impl Watch for OnChain {
    const INVARIANTS: &'static [Invariant] = &[HOLD_ACCOUNT_MATCHES_CHAIN];

    fn observe(&mut self, fact: Fact<'_>, _found: &mut Violations<'_>) {
        let Happened::Account(event) = fact.event else { return };
        let Some((asset, _)) = event.booked() else { return };
        let pulled = self.0.entry(asset.clone()).or_default();
        pulled.take(event);
    }

    fn compare_account(&self, state: &State, found: &mut Violations<'_>) {
        let Some(ledger) = state.ledger() else { return };
        for (asset, pulled) in &self.0 {
            let both = [(LedgerAccount::InTransit, pulled.in_transit), (LedgerAccount::Hold, pulled.hold)];
            for (account, chain) in both {
                let (chain, says) = (chain.net(), ledger.net(asset, account));
                if chain != says {
                    let detail = format!("{} {account:?}: by the chain {chain}, it says {says}", asset.code);
                    found.report(HOLD_ACCOUNT_MATCHES_CHAIN, detail);
                }
            }
            if pulled.in_transit.net().is_negative() {
                let detail = format!("{} in transit: {}", asset.code, pulled.in_transit.net());
                found.report(HOLD_ACCOUNT_MATCHES_CHAIN, detail);
            }
        }
    }
}

impl Pulled {
    fn take(&mut self, event: &Event) {
        match event {
            Event::FundingBooked(event) => self.leg(event.step, event.amount.minor),
            Event::Returned(event) => self.hold.take(event.amount.minor),
            Event::RefundBooked(event) if event.source.is_some() => self.hold.take(event.amount.minor),
            Event::SettlementBooked(event) => match event.direction {
                SettlementDirection::Paid => self.hold.take(event.amount.minor),
                SettlementDirection::Received => self.hold.add(event.amount.minor),
            },
            _ => {}
        }
    }

    fn leg(&mut self, step: FundingStep, minor: Minor) {
        match step {
            FundingStep::Included => self.in_transit.add(minor),
            FundingStep::Finalized => {
                self.in_transit.take(minor);
                self.hold.add(minor);
            }
            FundingStep::Reorged => self.in_transit.take(minor),
        }
    }
}
