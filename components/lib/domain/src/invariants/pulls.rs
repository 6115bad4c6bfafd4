//! 9. What a payment keeps of its pulls beyond what it holds and claimed is stated as owed back; what is exposed is no
//!    more than what is owed and was not pulled.
//!
//! A payment that stated nothing yet was last decided before such statements were made.

use std::collections::{BTreeMap, BTreeSet};

use clearfold_kernel::Invariant;

use super::sum::Sum;
use super::tally::{Fact, Happened, Violations, Watch};
use crate::authorization::{Event, State};

const PULLED_IS_OWED: Invariant = Invariant {
    code: "pulled_is_owed",
    statement: "What was pulled for a payment and did not come back is held or claimed, or is stated as owed back; what \
                could not be pulled and is exposed is owed, and was not pulled.",
};

#[derive(Debug, Default)]
pub(super) struct Pulls {
    pulled: BTreeMap<String, Sum>,
    stated: BTreeSet<String>,
}

impl Watch for Pulls {
    const INVARIANTS: &'static [Invariant] = &[PULLED_IS_OWED];

    fn observe(&mut self, fact: Fact<'_>, _found: &mut Violations<'_>) {
        let Happened::Authorization(event) = fact.event else { return };
        if let Event::ReturnOwed(_) = event {
            self.stated.insert(fact.id.to_owned());
        }
        let pulled = self.pulled.entry(fact.id.to_owned()).or_default();
        match event {
            Event::SwipeRecorded(event) => pulled.add(event.amount.minor),
            Event::FundingIncluded(event) => pulled.add(event.amount.minor),
            Event::FundingReorged(event) => pulled.take(event.amount.minor),
            // The pull of a linked Spend is the payment's.
            Event::SpendLinked(event) => pulled.take(event.amount.minor),
            Event::SpendUnlinked(event) if !event.is_gone => pulled.add(event.amount.minor),
            Event::SpendTaken(event) => pulled.add(event.amount.minor),
            Event::SpendGivenUp(event) => pulled.take(event.amount.minor),
            _ => {}
        }
    }

    fn compare_authorization(&self, id: &str, state: &State, found: &mut Violations<'_>) {
        let pulled = self.pulled.get(id).copied().unwrap_or_default().net();
        let legs = state.own_legs().map(|(_, funding)| funding.pulled());
        let says = legs.fold(Sum::default(), |mut sum, leg| {
            sum.add(leg);
            sum
        });
        if pulled != says.net() {
            let detail = format!("by the chain {pulled} was pulled, the legs say {}", says.net());
            found.report(PULLED_IS_OWED, detail);
        }
        let (owed_back, stated) = (state.owed_back(), state.legs.owed_back);
        if self.stated.contains(id) && owed_back != stated {
            let detail = format!("{owed_back} is owed back, {stated} is stated");
            found.report(PULLED_IS_OWED, detail);
        }
        let missing = state.owed().excess_over(state.kept());
        if state.exposed() > missing {
            let detail = format!("{missing} is owed and not pulled, {} is exposed", state.exposed());
            found.report(PULLED_IS_OWED, detail);
        }
    }
}
