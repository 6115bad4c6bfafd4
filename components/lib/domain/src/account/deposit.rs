//! Deposits and withdrawals: the ledger mirrors the chain, and reverts a booking whose block was reorganized away.
//!
//! Both are facts, so they open an account that is not open. A withdrawal may even come first: the Safe had money
//! before it was an account, and its balance begins below zero.

use clearfold_kernel::{Asset, ChainSource, Rejection, Timestamp};

use super::identity::{Fact, Identity, LogId};
use super::ledger::LedgerAccount::{Customer, Safe};
use super::ledger::transfers;
use super::messages::{
    DepositReorged, Deposited, Event, RecordDeposit, RecordWithdrawal, RevertDeposit, RevertWithdrawal,
    WithdrawalReorged, Withdrawn,
};
use super::rule::Rule;
use super::state::Books;
use crate::checks;

impl Rule for RecordDeposit {
    fn is_seen_on_chain(&self) -> bool {
        true
    }

    fn opens_with(&self) -> Option<&Asset> {
        Some(&self.amount.asset)
    }

    fn event(&self, books: &Books, at: Timestamp) -> Result<Event, Rejection> {
        checks::sound(&self.amount)?;
        Ok(Event::Deposited(Deposited {
            account: books.address,
            amount: self.amount.clone(),
            source: self.source.clone(),
            occurred_at: self.occurred_at,
            transfers: transfers(&[(Safe, Customer, self.amount.minor)]),
            at,
        }))
    }
}

impl Rule for RecordWithdrawal {
    fn is_seen_on_chain(&self) -> bool {
        true
    }

    fn opens_with(&self) -> Option<&Asset> {
        Some(&self.amount.asset)
    }

    fn event(&self, books: &Books, at: Timestamp) -> Result<Event, Rejection> {
        checks::sound(&self.amount)?;
        Ok(Event::Withdrawn(Withdrawn {
            account: books.address,
            amount: self.amount.clone(),
            source: self.source.clone(),
            occurred_at: self.occurred_at,
            transfers: transfers(&[(Customer, Safe, self.amount.minor)]),
            at,
        }))
    }
}

impl Rule for RevertDeposit {
    fn is_seen_on_chain(&self) -> bool {
        true
    }

    fn event(&self, books: &Books, at: Timestamp) -> Result<Event, Rejection> {
        let Some(Fact::Deposited(amount)) = books.fact(&Identity::log(&self.source)) else {
            return Err(not_found("deposit", &self.source));
        };
        Ok(Event::DepositReorged(DepositReorged {
            account: books.address,
            source: self.source.clone(),
            transfers: transfers(&[(Customer, Safe, amount.minor)]),
            amount,
            at,
        }))
    }
}

impl Rule for RevertWithdrawal {
    fn is_seen_on_chain(&self) -> bool {
        true
    }

    fn event(&self, books: &Books, at: Timestamp) -> Result<Event, Rejection> {
        let Some(Fact::Withdrawn(amount)) = books.fact(&Identity::log(&self.source)) else {
            return Err(not_found("withdrawal", &self.source));
        };
        Ok(Event::WithdrawalReorged(WithdrawalReorged {
            account: books.address,
            source: self.source.clone(),
            transfers: transfers(&[(Safe, Customer, amount.minor)]),
            amount,
            at,
        }))
    }
}

/// Rejection for a log that the command refers to as booked, but that was never booked.
pub(super) fn not_found(what: &str, source: &ChainSource) -> Rejection {
    Rejection::new("source_not_found", format!("no {what} was booked of the log {}", LogId::of(source)))
}
