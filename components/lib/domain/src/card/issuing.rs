//! Issuing a card with its rules, and replacing its rules.

use clearfold_kernel::{CommandContext, Rejection};

use super::messages::{CardIssued, CardRulesSet, Event, IssueCard, SetRules};
use super::state::Issued;
use crate::checks;
use crate::network::is_card_number;

pub(super) fn issue(issue: &IssueCard, context: &CommandContext) -> Result<Vec<Event>, Rejection> {
    checks::routed_to(issue.account, context)?;
    if is_card_number(&context.id) {
        let detail = "the card's id is its number, which must not be stored (PCI DSS); choose another id";
        return Err(Rejection::new("card_number_as_id", detail));
    }
    issue.rules.check()?;
    let IssueCard { account, rules, expires } = issue.clone();
    if let Some(expires) = expires.filter(|expires| expires.is_over(context.accepted_at)) {
        let detail = format!("{expires} is over; a card is issued until a later month");
        return Err(Rejection::new("invalid_expiry", detail));
    }
    Ok(vec![Event::CardIssued(CardIssued { account, rules, at: context.accepted_at, expires })])
}

/// Accepts a repeat with the rules and the expiry that the card was issued with, whatever has happened to the card since.
pub(super) fn issue_again(
    card: &Issued,
    issue: &IssueCard,
    context: &CommandContext,
) -> Result<Vec<Event>, Rejection> {
    checks::routed_to(issue.account, context)?;
    let is_same = card.issued_with == issue.rules && card.issued_until == issue.expires;
    if is_same { Ok(Vec::new()) } else { Err(checks::identity_conflict(context)) }
}

pub(super) fn set_rules(
    card: &Issued,
    set: &SetRules,
    context: &CommandContext,
) -> Result<Vec<Event>, Rejection> {
    card.frozen_for()?;
    set.rules.check()?;
    if set.rules == card.rules {
        return Ok(Vec::new());
    }
    let (account, rules, at) = (card.account, set.rules.clone(), context.accepted_at);
    Ok(vec![Event::CardRulesSet(CardRulesSet { account, rules, at })])
}
