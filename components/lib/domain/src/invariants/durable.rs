//! 8. Everything that is answered or booked is durable before: an approval follows its request in the log, and a
//!    booking on the account follows the payment's event that asks for it, with the same figures.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use clearfold_kernel::{Amount, Asset, ChainSource, ExternalId, Invariant, Minor, Timestamp};

use super::tally::{Fact, Happened, IsDue, Violations, Watch};
use crate::account::{self, ClaimedOn, DisputeStep, FundingStep};
use crate::authorization::{self, DisputeOutcome};
use crate::bookings;
use crate::network::{DisputeDirection, RefundOutcome, SuspenseOutcome};

const DECIDED_BEFORE_ANSWERED: Invariant = Invariant {
    code: "decided_before_answered",
    statement: "A decision follows a durable request, and what is booked of a payment follows the payment's own event, \
                within an hour if the account is open, and says the same.",
};

/// Kind of the bookings of a receivable that a payment asks for.
const EXPOSURE: &str = "exposure";

/// Kind of the bookings of what moved in a cycle of a dispute.
const MONEY: &str = "money of a dispute";

#[derive(Debug, Default)]
pub(super) struct Durable {
    opened_at: Option<Timestamp>,
    requested: BTreeSet<String>,
    asked: BTreeMap<Booking, Asked>,
}

/// Booking of a payment on the account: its kind and its id.
type Booking = (&'static str, String);

#[derive(Debug)]
struct Asked {
    stream: String,
    /// Payment for which it is booked.
    hold_id: String,
    said: Said,
    recorded_at: Timestamp,
    is_booked: bool,
}

/// Content of a booking, as either side states it.
#[derive(Debug, PartialEq, Eq)]
struct Said {
    asset: Asset,
    /// Three figures: against the hold, beyond it and released; or disputed and awarded; or received and paid in a
    /// dispute; or a single amount. The rest
    /// are 0.
    figures: [Minor; 3],
}

impl Watch for Durable {
    const INVARIANTS: &'static [Invariant] = &[DECIDED_BEFORE_ANSWERED];

    fn observe(&mut self, fact: Fact<'_>, found: &mut Violations<'_>) {
        match fact.event {
            Happened::Authorization(event) => {
                self.decided(fact, event, found);
                self.asked(fact, event);
            }
            Happened::Account(account::Event::AccountOpened(_)) => self.opened_at = Some(fact.recorded_at),
            Happened::Account(event) => {
                if let Some((booking, said)) = booked(event) {
                    self.book(&booking, hold_of(event), &said, found);
                }
            }
            Happened::Card(_) => {}
        }
    }

    fn settle(&self, is_due: IsDue<'_>, found: &mut Violations<'_>) {
        if !self.opened_at.is_some_and(is_due) {
            return;
        }
        let is_missing = |asked: &Asked| !asked.is_booked && is_due(asked.recorded_at);
        for ((what, id), asked) in self.asked.iter().filter(|(_, asked)| is_missing(asked)) {
            let detail = format!("the {what} {id} was never booked");
            found.report_in(DECIDED_BEFORE_ANSWERED, detail, [asked.stream.clone()]);
        }
    }
}

impl Durable {
    fn asked(&mut self, fact: Fact<'_>, event: &authorization::Event) {
        let Some((booking, said)) = asked(fact.id, event) else { return };
        let asked = |hold_id: &str| Asked {
            stream: fact.stream.to_owned(),
            hold_id: hold_id.to_owned(),
            said,
            recorded_at: fact.recorded_at,
            is_booked: false,
        };
        match event {
            // The payment that had the `Spend` asks for the same.
            authorization::Event::SpendUnlinked(event) => {
                self.asked.entry(booking).or_insert_with(|| asked(event.payment_id.as_str()));
            }
            _ => {
                self.asked.insert(booking, asked(fact.id));
            }
        }
    }

    fn decided(&mut self, fact: Fact<'_>, event: &authorization::Event, found: &mut Violations<'_>) {
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

    /// Matches a booking with the payment's request for it. `hold_id` is only given for a clearing and its reversal, for funding
    /// and for a return, whose events name the payment.
    fn book(
        &mut self,
        booking: &Booking,
        hold_id: Option<&ExternalId>,
        said: &Said,
        found: &mut Violations<'_>,
    ) {
        let (what, id) = booking;
        let is_known = self.asked.contains_key(booking) || !is_suspense(what);
        // An item that an earlier version booked in suspense has the clearing's id alone.
        let mut of_any = self.asked.keys().filter(|(of, scoped)| of == what && ends_with(scoped, id));
        let known = if is_known { None } else { of_any.next().cloned() };
        match self.asked.get_mut(known.as_ref().unwrap_or(booking)) {
            // An operator may book a receivable for another reason.
            None if *what == EXPOSURE => {}
            None => {
                let detail = format!("the {what} {id} was booked, but no payment asked for it");
                found.report(DECIDED_BEFORE_ANSWERED, detail);
            }
            Some(asked) => {
                asked.is_booked = true;
                if asked.said != *said {
                    let detail = format!("the {what} {id} was booked as {said}, not {}", asked.said);
                    found.report_in(DECIDED_BEFORE_ANSWERED, detail, [asked.stream.clone()]);
                }
                if let Some(hold_id) = hold_id
                    && asked.hold_id != hold_id.as_str()
                {
                    let detail = format!("the {what} {id} was booked on {hold_id}");
                    found.report_in(DECIDED_BEFORE_ANSWERED, detail, [asked.stream.clone()]);
                }
            }
        }
    }
}

impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [first, beyond, released] = self.figures;
        write!(f, "{first}, {beyond} and {released} {}", self.asset.code)
    }
}

fn log(source: &ChainSource) -> String {
    format!("{}/{}/{}", source.chain_id, source.block_hash, source.log_index)
}

fn within(payment_id: &str, id: &ExternalId) -> String {
    format!("{payment_id} {id}")
}

/// Id of a clearing in suspense; earlier versions did not state the payment.
fn in_scope(payment_id: Option<&ExternalId>, id: &ExternalId) -> String {
    payment_id.map_or_else(|| id.to_string(), |payment_id| within(payment_id.as_str(), id))
}

fn one(what: &'static str, id: &impl ToString, amount: &Amount) -> Option<(Booking, Said)> {
    figures(what, id, &amount.asset, [amount.minor, Minor::ZERO, Minor::ZERO])
}

fn figures(
    what: &'static str,
    id: &impl ToString,
    asset: &Asset,
    figures: [Minor; 3],
) -> Option<(Booking, Said)> {
    Some(((what, id.to_string()), Said { asset: asset.clone(), figures }))
}

const fn moved(direction: DisputeDirection, minor: Minor) -> [Minor; 3] {
    match direction {
        DisputeDirection::Received => [minor, Minor::ZERO, Minor::ZERO],
        DisputeDirection::Paid => [Minor::ZERO, minor, Minor::ZERO],
    }
}

fn hold_of(event: &account::Event) -> Option<&ExternalId> {
    match event {
        account::Event::FundingBooked(event) => Some(&event.hold_id),
        account::Event::ClearingBooked(event) => Some(&event.hold_id),
        account::Event::ClearingReversalBooked(event) => Some(&event.hold_id),
        account::Event::ReturnAssigned(event) => Some(&event.hold_id),
        account::Event::ClearingMoved(event) => Some(&event.payment_id),
        _ => None,
    }
}

const GIVEN_UP: &str = "end of a linked clearing";
const SUSPENDED: &str = "suspended clearing";

fn is_suspense(what: &str) -> bool {
    let outcomes = [SuspenseOutcome::Charged, SuspenseOutcome::Returned];
    what == SUSPENDED || outcomes.into_iter().any(|outcome| what == resolution(outcome))
}

/// Returns true if an id within a payment is that id.
fn ends_with(scoped: &str, id: &str) -> bool {
    scoped.split_once(' ').is_some_and(|(_, of_payment)| of_payment == id)
}

const fn resolution(outcome: SuspenseOutcome) -> &'static str {
    match outcome {
        SuspenseOutcome::Charged => "charge of the suspended clearing",
        SuspenseOutcome::Returned => "return of the suspended clearing",
    }
}

const fn payer(outcome: RefundOutcome) -> &'static str {
    match outcome {
        RefundOutcome::Paid => "payment of the unlinked refund",
        RefundOutcome::TakenBack => "taking back of the unlinked refund",
        RefundOutcome::Returned => "return as the unlinked refund",
        RefundOutcome::Matched => "match of the unlinked refund",
    }
}

fn asked(payment_id: &str, event: &authorization::Event) -> Option<(Booking, Said)> {
    use authorization::Event;
    let disputed = |dispute_id| account::dispute_key(payment_id, dispute_id);
    let refund = |what, origin, amount| one(what, &bookings::refund_id(origin).ok()?, amount);
    match event {
        Event::SwipeRecorded(event) => one("funding", &log(&event.source), &event.amount),
        Event::FundingIncluded(event) => one("funding", &log(&event.source), &event.amount),
        Event::FundingFinalized(event) => one("final funding", &log(&event.source), &event.amount),
        Event::FundingReorged(event) => one("reorganized funding", &log(&event.source), &event.amount),
        // Booked for the payment that it was linked to, which may never have had it.
        Event::SpendUnlinked(event) if event.is_gone => {
            one("reorganized funding", &log(&event.source), &event.amount)
        }
        Event::ClearingPosted(event) => {
            let claimed = [event.against_hold, event.beyond_hold, event.released];
            figures("clearing", &within(payment_id, &event.clearing_id), &event.asset, claimed)
        }
        Event::ForcePosted(event) => {
            let claimed = [Minor::ZERO, event.amount.minor, Minor::ZERO];
            figures("clearing", &within(payment_id, &event.clearing_id), &event.amount.asset, claimed)
        }
        Event::ClearingGivenUp(event) => {
            let id = within(payment_id, &event.clearing_id);
            figures(GIVEN_UP, &id, &event.amount.asset, [event.amount.minor, Minor::ZERO, event.held])
        }
        Event::ClearingReversed(event) => {
            one("reversal of a clearing", &within(payment_id, &event.reversal_id), &event.amount)
        }
        Event::RefundReversed(event) => {
            one("reversal of a refund", &within(payment_id, &event.reversal_id), &event.amount)
        }
        Event::ClearingSuspended(event) => {
            one(SUSPENDED, &within(payment_id, &event.clearing_id), &event.amount)
        }
        // A clearing that was refused was in no suspense, which it would leave.
        Event::ClearingResolved(event) if event.was_refused => None,
        Event::ClearingResolved(event) => {
            one(resolution(event.outcome), &within(payment_id, &event.clearing_id), &event.amount)
        }
        Event::RefundLinked(event) => refund("refund", &event.origin, &event.amount),
        Event::RefundUnlinked(event) => refund("refund", &event.origin, &event.amount),
        Event::RefundResolved(event) => refund(payer(event.outcome), &event.origin, &event.amount),
        Event::ReturnTaken(event) => one("assigned return", &event.refund_id, &event.amount),
        Event::FundingAbandoned(event) if event.exposed.minor > Minor::ZERO => {
            let payment_id = payment_id.parse().ok()?;
            one(EXPOSURE, &bookings::exposed(&payment_id, event.leg).ok()?, &event.exposed)
        }
        Event::ProvisionalCreditGranted(event) => {
            one("provisional credit", &disputed(&event.dispute_id), &event.amount)
        }
        Event::DisputeMoneyMoved(event) => {
            let id = within(payment_id, &event.record_id);
            figures(MONEY, &id, &event.amount.asset, moved(event.direction, event.amount.minor))
        }
        Event::DisputeResolved(event) => match event.outcome {
            DisputeOutcome::Won => {
                let won = [event.amount.minor, event.awarded(), Minor::ZERO];
                figures("won dispute", &disputed(&event.dispute_id), &event.amount.asset, won)
            }
            DisputeOutcome::Lost => one("lost dispute", &disputed(&event.dispute_id), &event.amount),
        },
        _ => None,
    }
}

fn booked(event: &account::Event) -> Option<(Booking, Said)> {
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
            let claimed = [event.against_hold, event.beyond_hold, event.released];
            figures("clearing", &within(event.hold_id.as_str(), &event.clearing_id), &event.asset, claimed)
        }
        Event::ClearingMoved(event) => {
            let id = within(event.payment_id.as_str(), &event.clearing_id);
            let beyond = event.amount.minor.excess_over(event.against_hold);
            let asset = &event.amount.asset;
            match event.to {
                ClaimedOn::Payment => {
                    figures("clearing", &id, asset, [event.against_hold, beyond, event.released])
                }
                ClaimedOn::Origin => figures(GIVEN_UP, &id, asset, [beyond, Minor::ZERO, event.held]),
            }
        }
        Event::ClearingSuspended(event) => {
            one(SUSPENDED, &in_scope(event.hold_id.as_ref(), &event.clearing_id), &event.amount)
        }
        Event::SuspenseResolved(event) => {
            let id = in_scope(event.hold_id.as_ref(), &event.clearing_id);
            one(resolution(event.outcome), &id, &event.amount)
        }
        Event::RefundResolved(event) => one(payer(event.outcome), &event.refund_id, &event.amount),
        Event::RefundBooked(event) => one("refund", &event.refund_id, &event.amount),
        Event::ClearingReversalBooked(event) => {
            let id = within(event.hold_id.as_str(), &event.reversal_id);
            one("reversal of a clearing", &id, &event.amount)
        }
        Event::RefundReversalBooked(event) => {
            let id = within(event.reported_on.as_str(), &event.reversal_id);
            one("reversal of a refund", &id, &event.amount)
        }
        Event::ReturnAssigned(event) => one("assigned return", &event.refund_id, &event.amount),
        Event::ReceivableBooked(event) => one(EXPOSURE, &event.receivable_id, &event.amount),
        Event::DisputeMoneyBooked(event) => {
            let id = within(event.hold_id.as_str(), &event.record_id);
            figures(MONEY, &id, &event.amount.asset, moved(event.direction, event.amount.minor))
        }
        Event::DisputeBooked(event) => match event.step {
            DisputeStep::Provisional => one("provisional credit", &event.key(), &event.amount),
            DisputeStep::Won => {
                let won = [event.amount.minor, event.awarded(), Minor::ZERO];
                figures("won dispute", &event.key(), &event.amount.asset, won)
            }
            DisputeStep::Lost => one("lost dispute", &event.key(), &event.amount),
        },
        _ => None,
    }
}
