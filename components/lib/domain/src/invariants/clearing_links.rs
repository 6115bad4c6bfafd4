//! 16. A linked clearing is the claim of one payment: no payment takes one that is not linked to it, none has it twice, and
//!     its own payment has it again only after the other gave it up, or never took it.

use std::collections::BTreeMap;

use clearfold_kernel::{Amount, Invariant, Timestamp};

use super::tally::{Fact, Happened, IsDue, Violations, Watch};
use crate::authorization::Event;

const CLEARING_HAS_ONE_PAYMENT: Invariant = Invariant {
    code: "clearing_has_one_payment",
    statement: "A clearing that is linked to a payment is claimed of that payment alone, with its whole amount; it is a \
                payment of its own again once that payment gave it up.",
};

#[derive(Debug, Default)]
pub(super) struct ClearingLinks(BTreeMap<(String, u32), Link>);

/// Link of a clearing, by its own payment and its number.
#[derive(Debug)]
struct Link {
    payment_id: String,
    amount: Amount,
    linked_at: Timestamp,
    is_taken: bool,
    /// True if the payment gave it up, or the link ended.
    is_over: bool,
}

impl Watch for ClearingLinks {
    const INVARIANTS: &'static [Invariant] = &[CLEARING_HAS_ONE_PAYMENT];

    fn observe(&mut self, fact: Fact<'_>, found: &mut Violations<'_>) {
        let Happened::Authorization(event) = fact.event else { return };
        let broken = match event {
            Event::ClearingLinked(event) => {
                let is_over = |(of, _): &(String, u32), link: &Link| of != fact.id || link.is_over;
                let is_free = self.0.iter().all(|(key, link)| is_over(key, link));
                let link = Link {
                    payment_id: event.payment_id.to_string(),
                    amount: event.amount.clone(),
                    linked_at: fact.recorded_at,
                    is_taken: false,
                    is_over: false,
                };
                let is_new = self.0.insert((fact.id.to_owned(), event.link), link).is_none();
                (!is_free || !is_new).then(|| format!("link {} was made beside another one", event.link))
            }
            Event::ClearingPosted(event) => event.origin.as_ref().and_then(|origin| {
                let claimed = event.claimed().ok();
                let link = self.0.get_mut(&(origin.posted_on.to_string(), origin.link));
                let link = link.filter(|link| link.payment_id == fact.id && !link.is_taken && !link.is_over);
                let link = link
                    .filter(|link| Some(link.amount.minor) == claimed && link.amount.asset == event.asset);
                match link {
                    Some(link) => {
                        link.is_taken = true;
                        None
                    }
                    None => Some(format!("{} was taken, and is not linked so", event.clearing_id)),
                }
            }),
            Event::ClearingGivenUp(event) => {
                let link = self.0.get_mut(&(event.posted_on.to_string(), event.link));
                match link.filter(|link| link.payment_id == fact.id && link.is_taken && !link.is_over) {
                    Some(link) => {
                        link.is_over = true;
                        None
                    }
                    None => Some(format!("{} was given up, and was not there", event.clearing_id)),
                }
            }
            Event::ClearingUnlinked(event) => {
                let link = self.0.get_mut(&(fact.id.to_owned(), event.link));
                match link.filter(|link| link.is_over || !link.is_taken) {
                    Some(link) => {
                        link.is_over = true;
                        None
                    }
                    None => {
                        Some(format!("{} was unlinked while {} has it", event.clearing_id, event.payment_id))
                    }
                }
            }
            _ => None,
        };
        broken.into_iter().for_each(|detail| found.report(CLEARING_HAS_ONE_PAYMENT, detail));
    }

    fn settle(&self, is_due: IsDue<'_>, found: &mut Violations<'_>) {
        let is_missing = |link: &Link| !link.is_taken && !link.is_over && is_due(link.linked_at);
        for ((id, link), _) in self.0.iter().filter(|(_, link)| is_missing(link)) {
            let detail = format!("link {link} of {id} was made, and no payment took the clearing");
            found.report_in(CLEARING_HAS_ONE_PAYMENT, detail, [format!("authorization-{id}")]);
        }
    }
}
