//! Payments of a card count from the moment of their reservation, and once for each reservation id.
//!
//! A reservation's id is `payment/message`, because two payments of a card may have a message with the same id. Earlier
//! versions reserved under the message's id alone; those are still found by their payment.
//!
//! Every reservation id is remembered forever: as a digest of its content, or as a tombstone. A repeat is thus told
//! from a new payment however late it arrives, and a repeat with other content is rejected.

use clearfold_kernel::{Amount, CommandContext, ExternalId, Hash, Minor, Rejection};
use sha2::{Digest, Sha256};

use super::broken_rules::broken_rules;
use super::messages::{Event, RecordSpend, ReserveSpend, SpendRecorded, SpendReserved};
use super::state::{Issued, Known};
use crate::checks;
use crate::network::{Merchant, TransactionType};
use crate::verification::CardChecks;

/// Payment or a part of it, as a command or an event states it.
#[derive(Clone, Copy)]
pub(super) struct Spend<'a> {
    pub reservation_id: &'a ExternalId,
    pub authorization_id: &'a ExternalId,
    pub amount: &'a Amount,
    pub merchant: Option<&'a Merchant>,
    /// Results of the checks, of a request that states some. They are no part of what tells payments apart.
    pub checks: Option<&'a CardChecks>,
    /// Type of the transaction, if it is known. Neither is that.
    pub transaction_type: Option<TransactionType>,
    /// True if the payment cannot be declined.
    pub is_fact: bool,
}

pub(super) fn reserve(
    card: &Issued,
    reserve: &ReserveSpend,
    context: &CommandContext,
) -> Result<Vec<Event>, Rejection> {
    let spend = card.typed(Spend::from(reserve));
    if reserve.amount.minor == Minor::ZERO {
        return verify(card, &spend, context);
    }
    if card.knows(&spend)? {
        return Ok(Vec::new());
    }
    if let Some(broken) = broken_rules(card, &spend, context.accepted_at).next() {
        return Err(broken.into());
    }
    let transaction_type = spend.transaction_type;
    let ReserveSpend { reservation_id, authorization_id, amount, merchant, checks, .. } = reserve.clone();
    let (account, at) = (card.account, context.accepted_at);
    Ok(vec![Event::SpendReserved(SpendReserved {
        account,
        reservation_id,
        authorization_id,
        amount,
        merchant,
        at,
        checks,
        transaction_type,
    })])
}

/// Verifies the card for a payment of nothing: its state and its rules about the merchant decide, and nothing counts.
fn verify(card: &Issued, spend: &Spend<'_>, context: &CommandContext) -> Result<Vec<Event>, Rejection> {
    checks::known(&spend.amount.asset)?;
    broken_rules(card, spend, context.accepted_at)
        .find(|broken| !broken.is_limit())
        .map_or_else(|| Ok(Vec::new()), |broken| Err(broken.into()))
}

pub(super) fn record(
    card: &Issued,
    record: &RecordSpend,
    context: &CommandContext,
) -> Result<Vec<Event>, Rejection> {
    let spend = card.typed(Spend::from(record));
    if card.knows(&spend)? {
        return Ok(Vec::new());
    }
    let flags = broken_rules(card, &spend, context.accepted_at).map(|broken| broken.reason).collect();
    let transaction_type = spend.transaction_type;
    let RecordSpend { reservation_id, authorization_id, amount, merchant, .. } = record.clone();
    let (account, at) = (card.account, context.accepted_at);
    Ok(vec![Event::SpendRecorded(SpendRecorded {
        account,
        reservation_id,
        authorization_id,
        amount,
        merchant,
        flags,
        at,
        transaction_type,
    })])
}

impl Issued {
    /// Returns the payment with its type: the stated one, or that of what the card counts of the payment already.
    fn typed<'a>(&self, spend: Spend<'a>) -> Spend<'a> {
        let known = || self.usage.type_of(spend.authorization_id);
        Spend { transaction_type: spend.transaction_type.or_else(known), ..spend }
    }

    /// Returns true if the payment was counted before, or was released before it arrived. Rejects an invalid amount
    /// and a repeat with other content.
    fn knows(&self, spend: &Spend<'_>) -> Result<bool, Rejection> {
        checks::sound(spend.amount)?;
        match self.reserved(spend.reservation_id) {
            None => Ok(false),
            Some((_, Known::Voided)) => Ok(true),
            Some((_, Known::Spend { digest, .. })) => {
                checks::repeated(spend.reservation_id.as_str(), &digest, &spend.digest()).map(|()| true)
            }
        }
    }
}

impl Spend<'_> {
    /// Digest of the payment's content. Ids and codes contain no NUL, and the only free text comes last, so the
    /// encoding is unambiguous.
    pub fn digest(&self) -> Hash {
        let Amount { minor, asset } = self.amount;
        let amount = format!("{}\0{minor}\0{}\0{}", self.authorization_id, asset.code, asset.decimals);
        let merchant = self.merchant.map(|merchant| {
            let Merchant { id, category, country, name } = merchant;
            format!("\0{id}\0{category}\0{country}\0{name}")
        });
        Hash(Sha256::digest(amount + &merchant.unwrap_or_default()).into())
    }
}

/// Converts messages to `Spend`: two commands and two events share the same four fields.
macro_rules! spend_from {
    ($message:ident, $merchant:expr, $checks:expr) => {
        impl<'a> From<&'a $message> for Spend<'a> {
            fn from(message: &'a $message) -> Self {
                let $message { reservation_id, authorization_id, amount, merchant, .. } = message;
                let known: fn(&'a _) -> Option<&'a Merchant> = $merchant;
                let stated: fn(&'a $message) -> Option<Option<&'a CardChecks>> = $checks;
                let (checks, is_fact) = (stated(message).flatten(), stated(message).is_none());
                Self {
                    reservation_id,
                    authorization_id,
                    amount,
                    merchant: known(merchant),
                    checks,
                    transaction_type: message.transaction_type,
                    is_fact,
                }
            }
        }
    };
}

spend_from!(ReserveSpend, Some, |message| Some(message.checks.as_ref()));
spend_from!(SpendReserved, Some, |message| Some(message.checks.as_ref()));
spend_from!(RecordSpend, Option::as_ref, |_| None);
spend_from!(SpendRecorded, Option::as_ref, |_| None);
