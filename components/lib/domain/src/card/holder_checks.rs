//! Checks of the card and its holder: for which results a payment is declined, and the count of wrong PINs.
//!
//! A wrong PIN is a fact, and a refusal changes nothing. So the payment's saga has it counted (`RecordPinFailure`) before
//! it asks the card for the payment: of requests that come together, each is judged with the wrong PINs before it. The
//! right PIN in a payment begins the count anew, and so does an operator; after too many wrong ones the right one gets
//! the same answer as a wrong one, which so tells nobody that it is right.

use clearfold_kernel::{CommandContext, ExternalId, Timestamp};

use super::broken_rules::{Broken, broken};
use super::messages::{Event, PinFailed, PinTriesReset, RecordPinFailure};
use super::spend::Spend;
use super::state::Issued;
use crate::policy::{DeclineReason, pin_tries};
use crate::verification::{Check, CheckRules, Outcome, TokenState};

/// Entry key of a payment that was asked for with a wrong PIN.
pub(super) fn pin_key(authorization_id: &ExternalId) -> String {
    format!("pin/{authorization_id}")
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
    let (outcome, most) = (spend.checks?.outcome(Check::Pin), pin_tries::MOST);
    let is_over = match outcome {
        Outcome::NotChecked => false,
        // It is counted already.
        Outcome::NotMatched => card.pin_failures > most,
        Outcome::Matched | Outcome::Unavailable => card.pin_failures >= most,
    };
    if is_over {
        return broken(
            DeclineReason::PinTriesExceeded,
            format!("{most} wrong PINs in a row; reset the tries"),
        );
    }
    match outcome {
        Outcome::NotChecked | Outcome::Matched => None,
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
    // A check that was made already is not asked for again, and an increment has no checks of its own.
    if spend.is_fact || card.usage.counts(spend.authorization_id) {
        return None;
    }
    let entry = spend.checks.and_then(|checks| checks.entry);
    let is_missing = |check: &&Check| check.can_be_made(entry) && outcome(**check) != Outcome::Matched;
    let missing = require.iter().find(is_missing)?;
    let reason = match missing {
        Check::ThreeDs => DeclineReason::AuthenticationRequired,
        Check::Pin | Check::Cvv | Check::ExpiryDate | Check::Address => DeclineReason::CheckMissing,
    };
    broken(reason, format!("the card's rules require the check {missing:?}"))
}

/// Counts a wrong PIN, once for each payment. Whatever became of the card, it is no error.
pub(super) fn record_failure(
    card: &Issued,
    failure: &RecordPinFailure,
    context: &CommandContext,
) -> Vec<Event> {
    let authorization_id = failure.authorization_id.clone();
    if card.knows_pin_failure(&authorization_id) {
        return Vec::new();
    }
    let (account, at) = (card.account, context.accepted_at);
    // More than the type holds are far beyond the tries all the same.
    let failures = card.pin_failures.saturating_add(1);
    vec![Event::PinFailed(PinFailed { account, authorization_id, failures, at })]
}

pub(super) fn reset_tries(card: &Issued, context: &CommandContext) -> Vec<Event> {
    if card.pin_failures == 0 {
        return Vec::new();
    }
    vec![Event::PinTriesReset(PinTriesReset { account: card.account, at: context.accepted_at })]
}
