//! 13. A reversal that comes before its request stands: nothing that can be refused is held for the request afterwards.

use std::collections::BTreeMap;

use clearfold_kernel::{ExternalId, Invariant, Minor};

use super::tally::{Fact, Happened, Violations, Watch};
use crate::account::Event;

const REVERSED_REQUEST_HOLDS_NOTHING: Invariant = Invariant {
    code: "reversed_request_holds_nothing",
    statement: "An account places no hold that can be refused for a request of which a reversal of as much came before.",
};

/// Amounts of reversals that came before the hold, by the numbers of the request; without an amount, everything.
#[derive(Debug, Default)]
pub(super) struct Prevented(BTreeMap<ExternalId, Option<Minor>>);

impl Watch for Prevented {
    const INVARIANTS: &'static [Invariant] = &[REVERSED_REQUEST_HOLDS_NOTHING];

    fn observe(&mut self, fact: Fact<'_>, found: &mut Violations<'_>) {
        match fact.event {
            Happened::Account(Event::HoldPrevented(event)) => {
                self.0.insert(event.asked_by.clone(), event.amount);
            }
            Happened::Account(Event::HoldPlaced(event)) => {
                let Some(reversed) = event.asked_by.as_ref().and_then(|asked_by| self.0.remove(asked_by))
                else {
                    return;
                };
                if !event.forced && reversed.is_none_or(|reversed| reversed >= event.amount.minor) {
                    let detail = format!("{} holds what was reversed before", event.hold_id);
                    found.report(REVERSED_REQUEST_HOLDS_NOTHING, detail);
                }
            }
            _ => {}
        }
    }
}
