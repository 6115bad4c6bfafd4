//! 1. The hold of a payment is the authorized amount less what was reversed, expired or cleared: H = A − R − E − K.
//!    It is never below zero, and a closed payment holds nothing.

use std::collections::BTreeMap;

use clearfold_kernel::{Invariant, Minor};

use super::sum::Sum;
use super::tally::{Fact, Happened, Violations, Watch};
use crate::authorization::{AdviceHold, Event, RestoredStatus, State};

const HOLD_NEVER_NEGATIVE: Invariant = Invariant {
    code: "hold_never_negative",
    statement: "What a payment holds is what was authorized without what was reversed, expired or cleared, and never \
                below zero.",
};

const CLOSED_HOLDS_NOTHING: Invariant = Invariant {
    code: "closed_holds_nothing",
    statement: "A payment that was declined, reversed, cleared or force posted, or that expired, holds nothing.",
};

#[derive(Debug, Default)]
pub(super) struct Holds(BTreeMap<String, Held>);

#[derive(Debug, Default, Clone, Copy)]
struct Held {
    sum: Sum,
    is_open: bool,
}

impl Watch for Holds {
    const INVARIANTS: &'static [Invariant] = &[HOLD_NEVER_NEGATIVE, CLOSED_HOLDS_NOTHING];

    fn observe(&mut self, fact: Fact<'_>, found: &mut Violations<'_>) {
        let Happened::Authorization(event) = fact.event else { return };
        let held = self.0.entry(fact.id.to_owned()).or_default();
        held.take(event);
        let net = held.sum.net();
        if net.is_negative() {
            found.report(HOLD_NEVER_NEGATIVE, format!("the payment holds {net} minor units"));
        } else if !held.is_open && net.magnitude() != Minor::ZERO {
            found.report(CLOSED_HOLDS_NOTHING, format!("the payment is closed and holds {net} minor units"));
        }
    }

    fn compare_authorization(&self, id: &str, state: &State, found: &mut Violations<'_>) {
        let held = self.0.get(id).copied().unwrap_or_default();
        let (says, is_open) = state
            .payment()
            .map_or((Minor::ZERO, false), |payment| (payment.held(), payment.status.is_open()));
        let net = held.sum.net();
        if net.is_negative() || net.magnitude() != says {
            found.report(HOLD_NEVER_NEGATIVE, format!("the events hold {net}, the payment says {says}"));
        }
        if is_open != held.is_open {
            let detail = format!("by its events the payment is open: {}; it says {is_open}", held.is_open);
            found.report(CLOSED_HOLDS_NOTHING, detail);
        }
    }
}

impl Held {
    fn take(&mut self, event: &Event) {
        match event {
            Event::SwipeRecorded(event) => self.open(event.amount.minor),
            Event::AdviceRecorded(event) if event.hold == AdviceHold::Unchanged => {}
            Event::AdviceRecorded(event) => self.open(event.held()),
            Event::AuthorizationApproved(event) => self.open(event.amount.minor),
            Event::AuthorizationPartiallyApproved(event) => self.open(event.amount.minor),
            Event::HoldIncreased(event) => self.sum.add(event.amount.minor),
            Event::AuthorizationReversed(event) => {
                self.sum.take(event.released.minor);
                self.is_open &= !event.full;
            }
            Event::AuthorizationExpired(event) => {
                self.sum.take(event.released.minor);
                self.is_open = false;
            }
            Event::ClearingPosted(event) => {
                self.sum.take(event.against_hold);
                self.sum.take(event.released);
                self.is_open &= !event.is_final;
            }
            Event::SpendLinked(event) => {
                self.sum.take(event.released);
                self.is_open = false;
            }
            Event::SpendUnlinked(event) if event.held > Minor::ZERO => self.open(event.held),
            Event::ClearingGivenUp(event) => {
                self.sum.add(event.held);
                self.is_open = event.restored.map_or(self.is_open, RestoredStatus::is_open);
            }
            _ => {}
        }
    }

    fn open(&mut self, minor: Minor) {
        self.sum.add(minor);
        self.is_open = true;
    }
}
