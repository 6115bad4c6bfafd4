//! 2. Debits equal credits, and the stored balances equal the sums of the events.

use std::collections::BTreeMap;

use clearfold_kernel::{Invariant, Minor};

use super::sum::plus;
use super::tally::{Fact, Happened, Violations, Watch};
use crate::account::{Balance, LedgerAccount, State};

const DEBITS_EQUAL_CREDITS: Invariant = Invariant {
    code: "debits_equal_credits",
    statement: "In each asset all debits equal all credits, and each balance is what the events add up to.",
};

#[derive(Debug, Default)]
pub(super) struct DoubleEntry(BTreeMap<(String, LedgerAccount), Balance>);

impl Watch for DoubleEntry {
    const INVARIANTS: &'static [Invariant] = &[DEBITS_EQUAL_CREDITS];

    fn observe(&mut self, fact: Fact<'_>, found: &mut Violations<'_>) {
        let Happened::Account(event) = fact.event else { return };
        let Some((asset, transfers)) = event.booked() else { return };
        for transfer in transfers {
            if transfer.minor == Minor::ZERO || transfer.debit == transfer.credit {
                found.report(DEBITS_EQUAL_CREDITS, format!("a transfer that moves nothing: {transfer:?}"));
            }
            let debited = self.0.entry((asset.code.clone(), transfer.debit)).or_default();
            debited.debits = plus(debited.debits, transfer.minor);
            let credited = self.0.entry((asset.code.clone(), transfer.credit)).or_default();
            credited.credits = plus(credited.credits, transfer.minor);
        }
    }

    fn compare_account(&self, state: &State, found: &mut Violations<'_>) {
        let Some(ledger) = state.ledger() else { return };
        for (code, book) in ledger.books() {
            let sum = |of: fn(&Balance) -> Minor| book.values().map(of).fold(Minor::ZERO, plus);
            let (debits, credits) = (sum(|balance| balance.debits), sum(|balance| balance.credits));
            if debits != credits {
                found.report(DEBITS_EQUAL_CREDITS, format!("{code}: debits {debits}, credits {credits}"));
            }
            for (account, says) in book {
                let adds_up = self.0.get(&(code.to_owned(), *account)).copied().unwrap_or_default();
                if adds_up != *says {
                    let detail =
                        format!("{code} {account:?}: the events add up to {adds_up:?}, it says {says:?}");
                    found.report(DEBITS_EQUAL_CREDITS, detail);
                }
            }
        }
        let seen: usize = ledger.books().map(|(_, book)| book.len()).sum();
        if seen != self.0.len() {
            let detail = format!("{} balances moved, {seen} are there", self.0.len());
            found.report(DEBITS_EQUAL_CREDITS, detail);
        }
    }
}
