//! Funding: the transfers ("legs") that move an authorization's money from the Safe to the hold account.
//!
//! A leg is one log. It is in transit until its block is final. If the block is reorganized away, the money goes back
//! to the Safe, and the payment's next attempt is a leg of its own; if the chain returns to the same block, it is the
//! same leg again. None of this changes the hold on the available balance. The legs that are in a block are what was
//! pulled for the payment ([`held`](super::held)).

use clearfold_kernel::{Amount, ChainSource, ExternalId, Rejection, Timestamp};
use serde::{Deserialize, Serialize};

use super::deposit::not_found;
use super::identity::{Fact, Identity, Kind, LogId};
use super::ledger::LedgerAccount::{Hold, InTransit, Safe};
use super::ledger::transfers;
use super::messages::{BookFunding, Event, FundingBooked, FundingMoved, FundingStep};
use super::rule::Rule;
use super::state::Books;
use crate::checks;

/// Funding leg: the authorization that it funds, and its amount.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Leg {
    pub hold_id: ExternalId,
    pub amount: Amount,
    /// Other side of the link, if the money was moved.
    pub moved_from: Option<ExternalId>,
}

impl Rule for BookFunding {
    fn is_seen_on_chain(&self) -> bool {
        true
    }

    /// The money moves only as its log is at that time, so what the side before still books of the log cancels out.
    fn is_moot(&self, books: &Books) -> bool {
        self.step != FundingStep::Finalized && self.moved_to(books).is_some()
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
        match books.in_transit(&self.source) {
            // The finality of a log is that of the side before, too.
            Some(_) if self.step == FundingStep::Finalized && self.moved_to(books).is_some() => Ok(()),
            Some(leg) => {
                let (known, said) = ((&leg.hold_id, &leg.amount), (&self.hold_id, &self.amount));
                checks::repeated(&log.to_string(), &known, &said)
            }
            None if books.has(&Identity::finality(&self.source)) => {
                Err(Rejection::new("funding_final", format!("the log {log} is final; nothing takes it back")))
            }
            None if books.has(&Identity::new(Kind::Reorg, &log)) => {
                let detail = format!("the log {log} was reorganized away, and has not come back");
                Err(Rejection::new("funding_reorged", detail))
            }
            None => Err(not_found("funding", &self.source)),
        }
    }
}

impl BookFunding {
    /// Returns the payment to which this one's money was moved.
    fn moved_to(&self, books: &Books) -> Option<ExternalId> {
        let leg = books.leg_of(&self.source)?;
        (leg.moved_from.as_ref() == Some(&self.hold_id)).then_some(leg.hold_id)
    }
}

impl Books {
    /// Returns the leg of a log that is in its block and not final yet.
    fn in_transit(&self, source: &ChainSource) -> Option<Leg> {
        let log = Identity::log(source);
        match self.fact(&log) {
            Some(Fact::Included(leg)) if self.has(&log) && !self.has(&Identity::finality(source)) => {
                Some(leg)
            }
            _ => None,
        }
    }

    /// Returns the leg of a log, also if its block was reorganized away.
    pub(super) fn leg_of(&self, source: &ChainSource) -> Option<Leg> {
        match self.fact(&Identity::log(source)) {
            Some(Fact::Included(leg)) => Some(leg),
            _ => None,
        }
    }

    /// Makes the log a leg of another payment: as if it had been booked for that one.
    pub(super) fn become_leg_of(
        &mut self,
        hold_id: &ExternalId,
        from: &ExternalId,
        moved: &FundingMoved,
    ) -> Option<()> {
        let booked = Event::FundingBooked(FundingBooked {
            account: self.address,
            hold_id: hold_id.clone(),
            step: FundingStep::Included,
            amount: moved.amount.clone(),
            source: moved.source.clone(),
            transfers: transfers(&[(InTransit, Safe, moved.amount.minor)]),
            at: self.opened_at,
        });
        let leg =
            Leg { hold_id: hold_id.clone(), amount: moved.amount.clone(), moved_from: Some(from.clone()) };
        let said = booked.said(self.opened_at).ok()?;
        self.rewrite(&Identity::log(&moved.source), &said, Some(Fact::Included(leg)));
        Some(())
    }

    pub(super) fn funding_booked(&mut self, event: &FundingBooked) -> Option<()> {
        let Amount { minor, asset } = &event.amount;
        if event.step != FundingStep::Included {
            self.in_transit(&event.source)?;
        }
        let mut held = self.held(&event.hold_id);
        match event.step {
            FundingStep::Included => held.pulled(asset, *minor)?,
            FundingStep::Finalized => return Some(()),
            FundingStep::Reorged => held.reorged(asset, *minor)?,
        }
        self.become_held(&event.hold_id, &held)?;
        if event.step == FundingStep::Included {
            self.pulled_unmatched(&event.hold_id, &event.amount);
        }
        Some(())
    }
}
