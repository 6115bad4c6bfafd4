//! Money of a dispute: what the network moved in its cycles, beside what the customer has of it.
//!
//! The books follow from five figures alone: received, paid, credited, awarded, withdrawn.
//! An event books the difference of before and after, so the order of the network's records and of the decision does
//! not matter: the books of a dispute are the same in the end.
//!
//! | ledger account | holds of a dispute |
//! |---|---|
//! | `customer` | the provisional credit; once it is decided, the award |
//! | `settlement` | received − paid. Once it is decided, at least the award: the rest of it is expected of the network |
//! | `loss` | once we have withdrawn, what received − paid lacks of the award, or has beyond it; nothing before |
//! | `suspense` | the rest, so that debits equal credits: what waits for the decision, or is received above the award |

use clearfold_kernel::{Asset, ExternalId, Minor, MoneyError, Rejection, Timestamp};
use serde::{Deserialize, Serialize};

use super::dispute::dispute_key;
use super::ledger::{LedgerAccount, Net, Transfer, transfers};
use super::messages::{BookDisputeMoney, DisputeBooked, DisputeMoneyBooked, DisputeStep, Event};
use super::rule::Rule;
use super::state::Books;
use crate::checks;
use crate::network::{DisputeCycle, DisputeDirection};

/// Figures of a dispute, in minor units.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Disputed {
    /// Asset of the dispute; none before its first event.
    asset: Option<Asset>,
    received: Minor,
    paid: Minor,
    /// Provisional credit; zero if there was none.
    credited: Minor,
    /// Award; none before the decision.
    awarded: Option<Minor>,
    /// True if we have withdrawn, so no more is expected of the network.
    is_withdrawn: bool,
}

impl Rule for BookDisputeMoney {
    fn event(&self, books: &Books, at: Timestamp) -> Result<Event, Rejection> {
        match self.cycle {
            DisputeCycle::Withdrawal => checks::askable(&self.amount)?,
            _ => checks::sound(&self.amount)?,
        };
        let before = books.disputed(&self.hold_id, &self.dispute_id);
        let after = checks::fits(before.clone().moved(self.cycle, self.direction, self.amount.minor))?;
        Ok(Event::DisputeMoneyBooked(DisputeMoneyBooked {
            account: books.address,
            record_id: self.record_id.clone(),
            hold_id: self.hold_id.clone(),
            dispute_id: self.dispute_id.clone(),
            cycle: self.cycle,
            direction: self.direction,
            amount: self.amount.clone(),
            transfers: checks::fits(before.transfers_to(&after))?,
            at,
        }))
    }

    fn check(&self, books: &Books) -> Result<(), Rejection> {
        books.disputed(&self.hold_id, &self.dispute_id).check_asset(&self.amount.asset)
    }
}

impl Disputed {
    pub(super) fn check_asset(&self, asset: &Asset) -> Result<(), Rejection> {
        self.asset.as_ref().map_or(Ok(()), |known| checks::same_asset(known, asset))
    }

    /// Returns the figures after a provisional credit or the decision.
    pub(super) fn decided(mut self, step: DisputeStep, disputed: Minor, awarded: Option<Minor>) -> Self {
        match step {
            DisputeStep::Provisional => self.credited = disputed,
            DisputeStep::Won => self.awarded = Some(awarded.unwrap_or(disputed)),
            DisputeStep::Lost => self.awarded = Some(Minor::ZERO),
        }
        self
    }

    /// Returns the figures after money has moved. Fails if a sum overflows.
    fn moved(
        mut self,
        cycle: DisputeCycle,
        direction: DisputeDirection,
        minor: Minor,
    ) -> Result<Self, MoneyError> {
        let moved = match direction {
            DisputeDirection::Received => &mut self.received,
            DisputeDirection::Paid => &mut self.paid,
        };
        *moved = moved.plus(minor)?;
        self.is_withdrawn |= cycle == DisputeCycle::Withdrawal;
        Ok(self)
    }

    /// Returns debits and credits of each ledger account. Fails if a sum overflows.
    fn sides(&self) -> Result<[(LedgerAccount, Minor, Minor); 4], MoneyError> {
        let Self { received, paid, credited, awarded, is_withdrawn, .. } = self;
        let (has, gets) = (awarded.unwrap_or(*credited), awarded.unwrap_or_default());
        let settlement = match awarded {
            Some(awarded) if !is_withdrawn && *received < paid.plus(*awarded)? => (*awarded, Minor::ZERO),
            _ => (*received, *paid),
        };
        let loss = if *is_withdrawn { (gets.plus(*paid)?, *received) } else { (Minor::ZERO, Minor::ZERO) };
        // The credits of the others beyond their debits.
        let suspense = (has.plus(settlement.1)?.plus(loss.1)?, settlement.0.plus(loss.0)?);
        Ok([
            (LedgerAccount::Settlement, settlement.0, settlement.1),
            (LedgerAccount::Customer, Minor::ZERO, has),
            (LedgerAccount::Loss, loss.0, loss.1),
            (LedgerAccount::Suspense, suspense.0, suspense.1),
        ])
    }

    /// Returns the transfers that lead from these figures to the next ones. Fails if a sum overflows.
    pub(super) fn transfers_to(&self, after: &Self) -> Result<Vec<Transfer>, MoneyError> {
        let (mut debits, mut credits) = (Vec::new(), Vec::new());
        for ((account, debit, credit), (_, next_debit, next_credit)) in
            self.sides()?.into_iter().zip(after.sides()?)
        {
            let change = Net::of(next_debit.plus(credit)?, next_credit.plus(debit)?);
            let side = if change.is_negative() { &mut credits } else { &mut debits };
            side.push((account, change.magnitude()));
        }
        Ok(paired(debits, credits))
    }
}

/// Pairs debits with credits of the same sum, in their order.
fn paired(
    mut debits: Vec<(LedgerAccount, Minor)>,
    mut credits: Vec<(LedgerAccount, Minor)>,
) -> Vec<Transfer> {
    let mut legs = Vec::new();
    for (debit, left) in &mut debits {
        for (credit, open) in &mut credits {
            let minor = (*left).min(*open);
            (*left, *open) = (left.excess_over(minor), open.excess_over(minor));
            legs.push((*debit, *credit, minor));
        }
    }
    transfers(&legs)
}

impl Books {
    /// Returns what is known of a dispute's money.
    pub(super) fn disputed(&self, hold_id: &ExternalId, dispute_id: &ExternalId) -> Disputed {
        self.disputed_as(&dispute_key(hold_id, dispute_id))
    }

    pub(super) fn dispute_booked(&mut self, event: &DisputeBooked) {
        let known = self.disputed_as(&event.key());
        let known = known.decided(event.step, event.amount.minor, event.awarded);
        self.keep(&event.key(), known, &event.amount.asset);
    }

    pub(super) fn dispute_money_booked(&mut self, event: &DisputeMoneyBooked) -> Option<()> {
        let known = self.disputed_as(&event.key());
        let known = known.moved(event.cycle, event.direction, event.amount.minor).ok()?;
        self.keep(&event.key(), known, &event.amount.asset);
        Some(())
    }

    fn disputed_as(&self, key: &str) -> Disputed {
        self.entries.get(&money_key(key)).unwrap_or_default()
    }

    fn keep(&mut self, key: &str, mut disputed: Disputed, asset: &Asset) {
        disputed.asset = Some(asset.clone());
        self.entries.set(&money_key(key), &disputed);
    }
}

impl DisputeMoneyBooked {
    /// Key of the dispute, unique within the account.
    pub(crate) fn key(&self) -> String {
        dispute_key(&self.hold_id, &self.dispute_id)
    }
}

/// Key of the entry that keeps a dispute's figures.
pub(super) fn money_key(dispute_key: &str) -> String {
    format!("disputed/{dispute_key}")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    /// One of the events of a dispute.
    #[derive(Debug, Clone, Copy)]
    enum Step {
        Moved(DisputeCycle, DisputeDirection, u16),
        Decided(DisputeStep, u16),
    }

    const DISPUTED: u16 = 100;

    fn after(before: Disputed, step: Step) -> Disputed {
        match step {
            Step::Moved(cycle, direction, minor) => {
                before.moved(cycle, direction, Minor::new(minor.into())).unwrap()
            }
            Step::Decided(step, awarded) => {
                let awarded = (step == DisputeStep::Won).then(|| Minor::new(awarded.into()));
                before.decided(step, Minor::new(DISPUTED.into()), awarded)
            }
        }
    }

    /// Balances that the transfers of the steps come to, debits above zero.
    fn booked(steps: &[Step]) -> BTreeMap<LedgerAccount, i128> {
        let (mut disputed, mut balances) = (Disputed::default(), BTreeMap::new());
        for step in steps {
            let next = after(disputed.clone(), *step);
            for Transfer { debit, credit, minor } in disputed.transfers_to(&next).unwrap() {
                let minor = i128::try_from(minor.get()).unwrap();
                *balances.entry(debit).or_default() += minor;
                *balances.entry(credit).or_default() -= minor;
            }
            disputed = next;
        }
        balances.retain(|_, balance| *balance != 0);
        balances
    }

    fn moves() -> impl Strategy<Value = Vec<Step>> {
        use DisputeCycle::{Arbitration, Chargeback, PreArbitration, Representment, Withdrawal};
        use DisputeDirection::{Paid, Received};
        let cycle = prop::sample::select(vec![
            Chargeback,
            Chargeback,
            Representment,
            PreArbitration,
            Arbitration,
            Withdrawal,
        ]);
        let direction = prop::sample::select(vec![Received, Paid]);
        let moved = (cycle, direction, 0..150_u16);
        prop::collection::vec(moved.prop_map(|(cycle, way, minor)| Step::Moved(cycle, way, minor)), 0..6)
    }

    proptest! {
        #[test]
        fn the_order_of_money_and_decision_does_not_matter(
            moves in moves(),
            shuffled in any::<prop::sample::Index>(),
            (credited, won, awarded) in (any::<bool>(), any::<bool>(), 1..=DISPUTED),
            (credit_at, decided_at) in (any::<prop::sample::Index>(), any::<prop::sample::Index>()),
        ) {
            let step = if won { DisputeStep::Won } else { DisputeStep::Lost };
            let decision = Step::Decided(step, awarded);
            let credit = credited.then_some(Step::Decided(DisputeStep::Provisional, 0));
            let first: Vec<Step> = credit.into_iter().chain([decision]).chain(moves.clone()).collect();
            let mut other = moves;
            if !other.is_empty() {
                let by = shuffled.index(other.len());
                other.rotate_left(by);
                other.reverse();
            }
            let at = decided_at.index(other.len() + 1);
            other.insert(at, decision);
            if let Some(credit) = credit {
                // A credit comes before the decision.
                other.insert(credit_at.index(at + 1), credit);
            }
            prop_assert_eq!(booked(&first), booked(&other));
        }
    }

    fn money(cycle: DisputeCycle, direction: DisputeDirection, minor: u16) -> Step {
        Step::Moved(cycle, direction, minor)
    }

    #[test]
    fn a_dispute_without_money_books_what_it_always_did() {
        let credit = Step::Decided(DisputeStep::Provisional, 0);
        let (won, lost) = (Step::Decided(DisputeStep::Won, 60), Step::Decided(DisputeStep::Lost, 0));
        let expected = [(LedgerAccount::Customer, -60), (LedgerAccount::Settlement, 60)];
        assert_eq!(booked(&[credit, won]), BTreeMap::from(expected));
        assert_eq!(booked(&[won]), BTreeMap::from(expected));
        assert_eq!(booked(&[credit, lost]), BTreeMap::new());
        assert_eq!(booked(&[lost]), BTreeMap::new());
    }

    #[test]
    fn what_is_lost_at_the_network_and_borne_is_a_loss() {
        use DisputeCycle::{Chargeback, Representment, Withdrawal};
        use DisputeDirection::{Paid, Received};
        let steps = [
            money(Chargeback, Received, 100),
            money(Representment, Paid, 70),
            Step::Decided(DisputeStep::Won, 100),
            money(Withdrawal, Paid, 0),
        ];
        let expected =
            [(LedgerAccount::Customer, -100), (LedgerAccount::Settlement, 30), (LedgerAccount::Loss, 70)];
        assert_eq!(booked(&steps), BTreeMap::from(expected));
    }
}
