//! Checks of the card and its holder: for which results a payment is declined, and the count of wrong PINs.
//!
//! A wrong PIN is known only when the request is declined for it, and a refusal changes nothing. So the payment's saga
//! reports it afterwards, in the same commit (`RecordPinFailure`). The right PIN in a payment begins the count anew, and
//! so does an operator; after too many wrong ones also the right one is declined.

use clearfold_kernel::{CommandContext, ExternalId, Timestamp};

use super::broken_rules::{Broken, broken};
use super::messages::{Event, PinFailed, PinTriesReset, RecordPinFailure};
use super::spend::Spend;
use super::state::Issued;
use crate::policy::{DeclineReason, pin_tries};
use crate::verification::{Check, CheckRules, Outcome, PosEntry, TokenState};

/// Entry key of a message that had a wrong PIN.
pub(super) fn pin_key(message_id: &ExternalId) -> String {
    format!("pin/{message_id}")
}

pub(super) fn expired(card: &Issued, _: &Spend<'_>, now: Timestamp) -> Option<Broken> {
    let expires = card.expires.filter(|expires| expires.is_over(now))?;
    broken(DeclineReason::CardExpired, format!("the card was valid until {expires}; renew it"))
}

pub(super) fn token(_: &Issued, spend: &Spend<'_>, _: Timestamp) -> Option<Broken> {
    let state = spend.checks?.token.filter(|state| *state != TokenState::Active)?;
    broken(DeclineReason::TokenNotActive, format!("the wallet's token is {state:?}, not active"))
}

pub(super) fn cryptogram(_: &Issued, spend: &Spend<'_>, _: Timestamp) -> Option<Broken> {
    spend.checks?.cryptogram.filter(|outcome| *outcome == Outcome::NotMatched)?;
    broken(DeclineReason::CryptogramMismatch, "the cryptogram is not the card's")
}

pub(super) fn pin(card: &Issued, spend: &Spend<'_>, _: Timestamp) -> Option<Broken> {
    match spend.checks?.outcome(Check::Pin) {
        Outcome::NotChecked => None,
        _ if card.pin_failures >= pin_tries::MOST => {
            let most = pin_tries::MOST;
            broken(DeclineReason::PinTriesExceeded, format!("{most} wrong PINs in a row; reset the tries"))
        }
        Outcome::Matched => None,
        Outcome::NotMatched => broken(DeclineReason::PinIncorrect, "the PIN is wrong"),
        Outcome::Unavailable => broken(DeclineReason::PinUnverifiable, "the PIN could not be checked"),
    }
}

/// Checks what the card's rules name: first what is wrong, then what is missing.
pub(super) fn named(card: &Issued, spend: &Spend<'_>, _: Timestamp) -> Option<Broken> {
    let usual = CheckRules::default();
    let CheckRules { decline_if_wrong, require } = card.rules.checks.as_ref().unwrap_or(&usual);
    let outcome = |check| spend.checks.map_or(Outcome::NotChecked, |checks| checks.outcome(check));
    if let Some(wrong) = decline_if_wrong.iter().find(|check| outcome(**check) == Outcome::NotMatched) {
        let (reason, what) = match wrong {
            // A wrong PIN declines whatever the rules say.
            Check::Pin => return None,
            Check::Cvv => (DeclineReason::CvvMismatch, "the security code is wrong"),
            Check::ExpiryDate => (DeclineReason::ExpiryMismatch, "the expiry date is not the card's"),
            Check::Address => (DeclineReason::AddressMismatch, "the address is not the holder's"),
            Check::ThreeDs => (DeclineReason::AuthenticationFailed, "the holder was not authenticated"),
        };
        return broken(reason, what);
    }
    let is_without_holder = spend.checks.is_some_and(|checks| checks.entry == Some(PosEntry::Recurring));
    // What was done already cannot be asked for any more.
    if is_without_holder || spend.is_fact {
        return None;
    }
    let missing = require.iter().find(|check| outcome(**check) != Outcome::Matched)?;
    let reason = match missing {
        Check::ThreeDs => DeclineReason::AuthenticationRequired,
        Check::Pin | Check::Cvv | Check::ExpiryDate | Check::Address => DeclineReason::CheckMissing,
    };
    broken(reason, format!("the card's rules require the check {missing:?}"))
}

/// Counts a wrong PIN, once for each message. Whatever became of the card, it is no error.
pub(super) fn record_failure(
    card: &Issued,
    failure: &RecordPinFailure,
    context: &CommandContext,
) -> Vec<Event> {
    let message_id = failure.message_id.clone();
    if card.knows_pin_failure(&message_id) {
        return Vec::new();
    }
    let (account, at) = (card.account, context.accepted_at);
    let failures = card.pin_failures.saturating_add(1).min(pin_tries::MOST);
    vec![Event::PinFailed(PinFailed { account, message_id, failures, at })]
}

pub(super) fn reset_tries(card: &Issued, context: &CommandContext) -> Vec<Event> {
    if card.pin_failures == 0 {
        return Vec::new();
    }
    vec![Event::PinTriesReset(PinTriesReset { account: card.account, at: context.accepted_at })]
}
