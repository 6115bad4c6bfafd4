//! 13. What a single message asks for is claimed by the decision that approves it.

use std::collections::BTreeMap;

use clearfold_kernel::{Invariant, Minor};

use super::tally::{Fact, Happened, Violations, Watch};
use crate::authorization::{AdviceHold, Event, State};

const SINGLE_MESSAGE_CLAIMED: Invariant = Invariant {
    code: "single_message_claimed",
    statement: "What is approved of a single message is claimed against its hold by the next event of the payment.",
};

#[derive(Debug, Default)]
pub(super) struct SingleMessages(BTreeMap<String, Asked>);

#[derive(Debug, Default)]
struct Asked {
    is_single: bool,
    /// Amount that was approved and is claimed by the next event.
    due: Option<Minor>,
}

impl Watch for SingleMessages {
    const INVARIANTS: &'static [Invariant] = &[SINGLE_MESSAGE_CLAIMED];

    fn observe(&mut self, fact: Fact<'_>, found: &mut Violations<'_>) {
        let Happened::Authorization(event) = fact.event else { return };
        if !self.0.contains_key(fact.id) && !is_single(event) {
            return;
        }
        let asked = self.0.entry(fact.id.to_owned()).or_default();
        if let Some(due) = asked.due.take()
            && !is_claim(event, due)
        {
            found.report(SINGLE_MESSAGE_CLAIMED, format!("{due} minor units were approved and not claimed"));
        }
        asked.is_single |= is_single(event);
        asked.due = approved(event).filter(|minor| asked.is_single && *minor > Minor::ZERO);
    }

    fn compare_authorization(&self, id: &str, _: &State, found: &mut Violations<'_>) {
        if let Some(due) = self.0.get(id).and_then(|asked| asked.due) {
            found.report(SINGLE_MESSAGE_CLAIMED, format!("{due} minor units are approved and not claimed"));
        }
    }
}

fn is_single(event: &Event) -> bool {
    match event {
        Event::AuthorizationRequested(event) => event.single_message,
        Event::AdviceRecorded(event) => event.single_message && event.hold == AdviceHold::Placed,
        _ => false,
    }
}

fn approved(event: &Event) -> Option<Minor> {
    match event {
        Event::AuthorizationApproved(event) => Some(event.amount.minor),
        Event::AuthorizationPartiallyApproved(event) => Some(event.amount.minor),
        Event::AdviceRecorded(event) if event.hold == AdviceHold::Placed => Some(event.amount.minor),
        _ => None,
    }
}

fn is_claim(event: &Event, due: Minor) -> bool {
    let Event::ClearingPosted(event) = event else { return false };
    event.is_final && event.against_hold == due && event.beyond_hold == Minor::ZERO
}
