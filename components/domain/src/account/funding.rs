//! Funding: an authorization's money on its way from the Safe to the hold account, leg by leg.
//!
//! A leg is a log. Until its block is final it is in transit; a leg that was reorganized away goes back to the Safe,
//! and the payment's next attempt is a leg of its own, unless the chain returns to the same block: then it is this leg
//! again. The hold on the balance is not touched by any of it.

use clearfold_kernel::{Amount, ExternalId, Rejection, Timestamp};
use serde::{Deserialize, Serialize};

use super::deposit::not_found;
use super::identity::{Identity, Kind, LogId};
use super::ledger::LedgerAccount::{Hold, InTransit, Safe};
use super::ledger::transfers;
use super::messages::{BookFunding, Event, FundingBooked, FundingStep};
use super::rule::Rule;
use super::state::Books;
use crate::checks;

/// A leg that is in transit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Leg {
    hold_id: ExternalId,
    amount: Amount,
}

impl Rule for BookFunding {
    fn is_seen_on_chain(&self) -> bool {
        true
    }

    fn event(&self, books: &Books, at: Timestamp) -> Result<Event, Rejection> {
        checks::sound(&self.amount)?;
        let (debit, credit) = match self.step {
            FundingStep::Included => (InTransit, Safe),
            FundingStep::Finalized => (Hold, InTransit),
            FundingStep::Reorged => (Safe, InTransit),
        };
        Ok(Event::FundingBooked(FundingBooked {
            account: books.address,
            hold_id: self.hold_id.clone(),
            step: self.step,
            amount: self.amount.clone(),
            source: self.source.clone(),
            transfers: transfers(&[(debit, credit, self.amount.minor)]),
            at,
        }))
    }

    fn check(&self, books: &Books) -> Result<(), Rejection> {
        if self.step == FundingStep::Included {
            return Ok(());
        }
        let log = LogId::of(&self.source);
        let said = Leg { hold_id: self.hold_id.clone(), amount: self.amount.clone() };
        match books.legs.get(&log) {
            Some(leg) => checks::repeated(&log.to_string(), leg, &said),
            None if books.acts.contains(&Identity::new(Kind::Finality, &log)) => {
                Err(Rejection::new("funding_final", format!("the log {log} is final; nothing takes it back")))
            }
            None if books.acts.contains(&Identity::new(Kind::Reorg, &log)) => {
                let detail = format!("the log {log} was reorganized away, and has not come back");
                Err(Rejection::new("funding_reorged", detail))
            }
            None => Err(not_found("funding", &self.source)),
        }
    }
}

impl Books {
    pub(super) fn funding_booked(&mut self, event: &FundingBooked) -> Option<()> {
        let log = LogId::of(&event.source);
        match event.step {
            FundingStep::Included => {
                let leg = Leg { hold_id: event.hold_id.clone(), amount: event.amount.clone() };
                self.legs.insert(log, leg);
            }
            FundingStep::Finalized | FundingStep::Reorged => {
                self.legs.remove(&log)?;
            }
        }
        Some(())
    }
}
