//! 8. Nothing is answered or booked that is not durable before: an approval follows its request in the log, and a
//!    booking on the account follows the event of the payment that asks for it, with the same figures.

use std::collections::{BTreeMap, BTreeSet};

use clearfold_kernel::{Amount, ChainSource, Invariant, Minor};

use super::tally::{Fact, Found, Happened, Watch};
use crate::account::{self, DisputeStep, FundingStep};
use crate::authorization::{self, DisputeOutcome};
use crate::bookings;

const DECIDED_BEFORE_ANSWERED: Invariant = Invariant {
    code: "decided_before_answered",
    statement: "A decision follows a durable request, and what is booked of a payment follows the payment's own event \
                and says the same.",
};

#[derive(Debug, Default)]
pub(super) struct Durable {
    requested: BTreeSet<String>,
    asked: BTreeMap<Booking, Asked>,
}

/// What the account books of a payment, by its id.
type Booking = (&'static str, String);

#[derive(Debug)]
struct Asked {
    stream: String,
    /// Against the hold and beyond it, and released; or one amount.
    figures: [Minor; 3],
    is_booked: bool,
}

impl Watch for Durable {
    const INVARIANTS: &'static [Invariant] = &[DECIDED_BEFORE_ANSWERED];

    fn observe(&mut self, fact: Fact<'_>, found: &mut Found<'_>) {
        match fact.event {
            Happened::Authorization(event) => {
                self.decided(fact, event, found);
                if let Some((booking, figures)) = asked(event) {
                    let asked = Asked { stream: fact.stream.to_owned(), figures, is_booked: false };
                    self.asked.insert(booking, asked);
                }
            }
            Happened::Account(event) => {
                if let Some((booking, figures)) = booked(event) {
                    self.book(&booking, figures, found);
                }
            }
            Happened::Card(_) => {}
        }
    }

    fn settle(&self, found: &mut Found<'_>) {
        for ((what, id), asked) in self.asked.iter().filter(|(_, asked)| !asked.is_booked) {
            let detail = format!("the {what} {id} was never booked");
            found.report_in(DECIDED_BEFORE_ANSWERED, detail, [asked.stream.clone()]);
        }
    }
}

impl Durable {
    fn decided(&mut self, fact: Fact<'_>, event: &authorization::Event, found: &mut Found<'_>) {
        use authorization::Event;
        match event {
            Event::AuthorizationRequested(_) => {
                self.requested.insert(fact.id.to_owned());
            }
            Event::AuthorizationApproved(_)
            | Event::AuthorizationPartiallyApproved(_)
            | Event::AuthorizationDeclined(_)
                if !self.requested.contains(fact.id) =>
            {
                found.report(DECIDED_BEFORE_ANSWERED, "it was decided, but never asked for");
            }
            _ => {}
        }
    }

    fn book(&mut self, booking: &Booking, figures: [Minor; 3], found: &mut Found<'_>) {
        let (what, id) = booking;
        match self.asked.get_mut(booking) {
            None => {
                let detail = format!("the {what} {id} was booked, but no payment asked for it");
                found.report(DECIDED_BEFORE_ANSWERED, detail);
            }
            Some(asked) => {
                asked.is_booked = true;
                if asked.figures != figures {
                    let detail =
                        format!("the {what} {id} was booked as {figures:?}, not {:?}", asked.figures);
                    found.report_in(DECIDED_BEFORE_ANSWERED, detail, [asked.stream.clone()]);
                }
            }
        }
    }
}

fn log(source: &ChainSource) -> String {
    format!("{}/{}/{}", source.chain_id, source.block_hash, source.log_index)
}

fn one(what: &'static str, id: &impl ToString, amount: &Amount) -> Option<(Booking, [Minor; 3])> {
    Some(((what, id.to_string()), [amount.minor, Minor::ZERO, Minor::ZERO]))
}

fn asked(event: &authorization::Event) -> Option<(Booking, [Minor; 3])> {
    use authorization::Event;
    let refund = |origin, amount| one("refund", &bookings::refund_id(origin).ok()?, amount);
    match event {
        Event::SwipeRecorded(event) => one("funding", &log(&event.source), &event.amount),
        Event::FundingIncluded(event) => one("funding", &log(&event.source), &event.amount),
        Event::FundingFinalized(event) => one("final funding", &log(&event.source), &event.amount),
        Event::FundingReorged(event) => one("reorganized funding", &log(&event.source), &event.amount),
        Event::ClearingPosted(event) => {
            let figures = [event.against_hold, event.beyond_hold, event.released];
            Some((("clearing", event.clearing_id.to_string()), figures))
        }
        Event::ForcePosted(event) => {
            let figures = [Minor::ZERO, event.amount.minor, Minor::ZERO];
            Some((("clearing", event.clearing_id.to_string()), figures))
        }
        Event::ClearingSuspended(event) => one("suspended clearing", &event.clearing_id, &event.amount),
        Event::RefundLinked(event) => refund(&event.origin, &event.amount),
        Event::RefundUnlinked(event) => refund(&event.origin, &event.amount),
        Event::ProvisionalCreditGranted(event) => one("provisional credit", &event.dispute_id, &event.amount),
        Event::DisputeResolved(event) => match event.outcome {
            DisputeOutcome::Won => one("won dispute", &event.dispute_id, &event.amount),
            DisputeOutcome::Lost => one("lost dispute", &event.dispute_id, &event.amount),
        },
        _ => None,
    }
}

fn booked(event: &account::Event) -> Option<(Booking, [Minor; 3])> {
    use account::Event;
    match event {
        Event::FundingBooked(event) => {
            let what = match event.step {
                FundingStep::Included => "funding",
                FundingStep::Finalized => "final funding",
                FundingStep::Reorged => "reorganized funding",
            };
            one(what, &log(&event.source), &event.amount)
        }
        Event::ClearingBooked(event) => {
            let figures = [event.against_hold, event.beyond_hold, event.released];
            Some((("clearing", event.clearing_id.to_string()), figures))
        }
        Event::ClearingSuspended(event) => one("suspended clearing", &event.clearing_id, &event.amount),
        Event::RefundBooked(event) => one("refund", &event.refund_id, &event.amount),
        Event::DisputeBooked(event) => {
            let what = match event.step {
                DisputeStep::Provisional => "provisional credit",
                DisputeStep::Won => "won dispute",
                DisputeStep::Lost => "lost dispute",
            };
            one(what, &event.dispute_id, &event.amount)
        }
        _ => None,
    }
}
