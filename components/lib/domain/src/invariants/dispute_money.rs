//! 13. What a dispute has moved in the books follows from what the network moved and what the customer was awarded, in
//!     whatever order these came.

use std::collections::BTreeMap;

use clearfold_kernel::{Asset, Invariant, Minor};

use super::sum::{Sum, plus};
use super::tally::{Fact, Happened, Violations, Watch};
use crate::account::{DisputeStep, Event, LedgerAccount, Net, Transfer};
use crate::network::{DisputeCycle, DisputeDirection};

const DISPUTE_MONEY_IS_BOOKED_ONCE: Invariant = Invariant {
    code: "dispute_money_booked_once",
    statement: "The settlement of a dispute is what the network gave and was not paid again, and once it is decided at least \
                the award; after a withdrawal the difference from the award is a loss, and nothing is before.",
};

#[derive(Debug, Default)]
pub(super) struct DisputeMoney(BTreeMap<String, Watched>);

#[derive(Debug, Default)]
struct Watched {
    dispute: Dispute,
    settlement: Sum,
    loss: Sum,
}

/// Figures of a dispute, from the events of its account.
#[derive(Debug, Default)]
pub(super) struct Dispute {
    received: Minor,
    paid: Minor,
    credited: Minor,
    awarded: Option<Minor>,
    is_withdrawn: bool,
}

/// Returns the key and the asset of the dispute that an event is about.
pub(super) fn dispute_of(event: &Event) -> Option<(String, &Asset)> {
    match event {
        Event::DisputeBooked(event) => Some((event.key(), &event.amount.asset)),
        Event::DisputeMoneyBooked(event) => Some((event.key(), &event.amount.asset)),
        _ => None,
    }
}

impl Dispute {
    pub(super) fn observe(&mut self, event: &Event) {
        match event {
            Event::DisputeBooked(event) => match event.step {
                DisputeStep::Provisional => self.credited = event.amount.minor,
                DisputeStep::Won => self.awarded = Some(event.awarded()),
                DisputeStep::Lost => self.awarded = Some(Minor::ZERO),
            },
            Event::DisputeMoneyBooked(event) => {
                let figure = match event.direction {
                    DisputeDirection::Received => &mut self.received,
                    DisputeDirection::Paid => &mut self.paid,
                };
                *figure = plus(*figure, event.amount.minor);
                self.is_withdrawn |= event.cycle == DisputeCycle::Withdrawal;
            }
            _ => {}
        }
    }

    /// Debits and credits of suspense that wait for their owner.
    pub(super) fn waits(&self) -> [Minor; 2] {
        match (self.awarded, self.is_withdrawn) {
            (None, false) => [plus(self.credited, self.paid), self.received],
            (None, true) => [self.credited, Minor::ZERO],
            (Some(awarded), false) => [Minor::ZERO, self.received.excess_over(plus(self.paid, awarded))],
            (Some(_), true) => [Minor::ZERO; 2],
        }
    }

    fn settlement(&self) -> Net {
        let moved = Net::of(self.received, self.paid);
        let expected = self.awarded.filter(|_| !self.is_withdrawn);
        match expected {
            Some(awarded) if !moved.covers(awarded) => Net::of(awarded, Minor::ZERO),
            _ => moved,
        }
    }

    fn loss(&self) -> Net {
        if !self.is_withdrawn {
            return Net::default();
        }
        Net::of(plus(self.awarded.unwrap_or_default(), self.paid), self.received)
    }
}

impl Watch for DisputeMoney {
    const INVARIANTS: &'static [Invariant] = &[DISPUTE_MONEY_IS_BOOKED_ONCE];

    fn observe(&mut self, fact: Fact<'_>, found: &mut Violations<'_>) {
        let Happened::Account(event) = fact.event else { return };
        let Some((key, _)) = dispute_of(event) else { return };
        let transfers = match event {
            Event::DisputeBooked(event) => &event.transfers,
            Event::DisputeMoneyBooked(event) => &event.transfers,
            _ => return,
        };
        let watched = self.0.entry(key.clone()).or_default();
        watched.dispute.observe(event);
        transfers.iter().for_each(|transfer| watched.book(transfer));
        let is = [watched.settlement.net(), watched.loss.net()];
        let follows = [watched.dispute.settlement(), watched.dispute.loss()];
        if is != follows {
            let detail = format!(
                "dispute {key}: settlement {} and loss {} are booked, {} and {} follow from its money and its award",
                is[0], is[1], follows[0], follows[1]
            );
            found.report(DISPUTE_MONEY_IS_BOOKED_ONCE, detail);
        }
    }
}

impl Watched {
    fn book(&mut self, transfer: &Transfer) {
        for (account, is_debit) in [(transfer.debit, true), (transfer.credit, false)] {
            let sum = match account {
                LedgerAccount::Settlement => &mut self.settlement,
                LedgerAccount::Loss => &mut self.loss,
                _ => continue,
            };
            if is_debit { sum.add(transfer.minor) } else { sum.take(transfer.minor) }
        }
    }
}
