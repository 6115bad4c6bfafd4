//! Deposits and withdrawals: the ledger mirrors what the chain says, and takes it back with its block.

use clearfold_kernel::{Amount, ChainSource, Rejection, Timestamp};
use serde::{Deserialize, Serialize};

use super::identity::LogId;
use super::ledger::LedgerAccount::{Customer, Safe};
use super::ledger::transfers;
use super::messages::{
    DepositReorged, Deposited, Event, RecordDeposit, RecordWithdrawal, RevertDeposit, RevertWithdrawal,
    WithdrawalReorged, Withdrawn,
};
use super::rule::Rule;
use super::state::Books;
use crate::checks;

/// What a log moved between the Safe and the rest of the world.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Movement {
    In(Amount),
    Out(Amount),
}

impl Rule for RecordDeposit {
    fn is_seen_on_chain(&self) -> bool {
        true
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
        let Some(Movement::In(amount)) = books.movements.get(&LogId::of(&self.source)) else {
            return Err(not_found("deposit", &self.source));
        };
        Ok(Event::DepositReorged(DepositReorged {
            account: books.address,
            amount: amount.clone(),
            source: self.source.clone(),
            transfers: transfers(&[(Customer, Safe, amount.minor)]),
            at,
        }))
    }
}

impl Rule for RevertWithdrawal {
    fn is_seen_on_chain(&self) -> bool {
        true
    }

    fn event(&self, books: &Books, at: Timestamp) -> Result<Event, Rejection> {
        let Some(Movement::Out(amount)) = books.movements.get(&LogId::of(&self.source)) else {
            return Err(not_found("withdrawal", &self.source));
        };
        Ok(Event::WithdrawalReorged(WithdrawalReorged {
            account: books.address,
            amount: amount.clone(),
            source: self.source.clone(),
            transfers: transfers(&[(Safe, Customer, amount.minor)]),
            at,
        }))
    }
}

impl Books {
    pub(super) fn deposited(&mut self, event: &Deposited) {
        self.movements.insert(LogId::of(&event.source), Movement::In(event.amount.clone()));
    }

    pub(super) fn withdrawn(&mut self, event: &Withdrawn) {
        self.movements.insert(LogId::of(&event.source), Movement::Out(event.amount.clone()));
    }
}

/// A log that something else said it had booked before.
pub(super) fn not_found(what: &str, source: &ChainSource) -> Rejection {
    Rejection::new("source_not_found", format!("no {what} was booked of the log {}", LogId::of(source)))
}
