//! The order in which every command is judged.
//!
//! All rules have one shape: an event that acts once under its ids and books its transfers. A rule only defines what
//! its event says and what speaks against it.

use clearfold_kernel::{Asset, CommandContext, Rejection, Timestamp};

use super::messages::{Command, Event};
use super::opening;
use super::state::{Books, State};
use crate::checks;

/// Meaning of one command for an account's books.
pub(super) trait Rule {
    /// Returns true if only the chain reader may send the command.
    fn is_seen_on_chain(&self) -> bool {
        false
    }

    /// Returns true if the command asks for money to be set aside. Only a request is judged by the host's clock: every
    /// other command states what has happened already.
    fn is_request(&self) -> bool {
        false
    }

    /// Returns the asset with which the command opens an account whose books are not open; `None` if it does not.
    fn opens_with(&self) -> Option<&Asset> {
        None
    }

    /// Returns true if there is nothing left to do, whatever else the command says.
    fn is_moot(&self, _books: &Books) -> bool {
        false
    }

    /// Builds the event that happens unless [`check`](Self::check) refuses. A repeat must build the same event again.
    fn event(&self, books: &Books, at: Timestamp) -> Result<Event, Rejection>;

    /// Refuses the command if the current state speaks against it. Not called for a repeat.
    fn check(&self, _books: &Books) -> Result<(), Rejection> {
        Ok(())
    }
}

pub(super) fn decide(
    state: &State,
    command: &Command,
    context: &CommandContext,
) -> Result<Vec<Event>, Rejection> {
    let rule: &dyn Rule = match command {
        Command::OpenAccount(open) => return opening::decide(state, open, context),
        Command::ObserveDelayQueue(rule) => rule,
        Command::RecordDeposit(rule) => rule,
        Command::RevertDeposit(rule) => rule,
        Command::RecordWithdrawal(rule) => rule,
        Command::RevertWithdrawal(rule) => rule,
        Command::PlaceHold(rule) => rule,
        Command::RaiseHold(rule) => rule,
        Command::LowerHold(rule) => rule,
        Command::VoidHold(rule) => rule,
        Command::BookClearing(rule) => rule,
        Command::SuspendClearing(rule) => rule,
        Command::ResolveSuspense(rule) => rule,
        Command::BookFunding(rule) => rule,
        Command::RecordReturn(rule) => rule,
        Command::BookRefund(rule) => rule,
        Command::ResolveRefund(rule) => rule,
        Command::BookDispute(rule) => rule,
        Command::BookReceivable(rule) => rule,
        Command::RecoverReceivable(rule) => rule,
        Command::RecordSettlement(rule) => rule,
        Command::ChargeFee(rule) => rule,
        Command::MatchSpend(rule) => rule,
        Command::FindSpend(rule) => rule,
        Command::ReadMatch(rule) => rule,
        Command::MoveFunding(rule) => rule,
        Command::AssignReturn(rule) => rule,
        Command::ReadRefund(rule) => rule,
        Command::BookClearingReversal(rule) => rule,
        Command::BookRefundReversal(rule) => rule,
        Command::BookDisputeMoney(rule) => rule,
        Command::FindHold(rule) => rule,
        Command::MatchClearing(rule) => rule,
        Command::MoveClearing(rule) => rule,
    };
    match state {
        State::New(entries) => {
            let Some(asset) = rule.opens_with() else {
                let detail = format!("no account {} was opened; open it first", context.id);
                return Err(Rejection::new("account_not_opened", detail));
            };
            let opened = opening::by_fact(asset, context)?;
            let booked = judge(&Books::new(&opened, entries.clone()), rule, context)?;
            Ok([vec![Event::AccountOpened(opened)], booked].concat())
        }
        State::Open(books) => judge(books, rule, context),
    }
}

fn judge(books: &Books, rule: &dyn Rule, context: &CommandContext) -> Result<Vec<Event>, Rejection> {
    checks::routed_to(books.address, context)?;
    if rule.is_seen_on_chain() {
        checks::from_chain(context)?;
    }
    if rule.is_moot(books) {
        return Ok(Vec::new());
    }
    let event = rule.event(books, context.accepted_at)?;
    if books.has_done(&event.identities(), &event.said(books.opened_at)?)? {
        return Ok(Vec::new());
    }
    if rule.is_request() {
        checks::in_time(Some(books.latest_at), context)?;
    }
    rule.check(books)?;
    if let Some((asset, transfers)) = event.booked() {
        checks::fits(books.ledger.after(asset, transfers))?;
    }
    Ok(vec![event])
}
