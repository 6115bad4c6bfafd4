//! Beginning of a payment: seen on chain, requested, approved by a stand-in, or claimed without any of these.

use clearfold_kernel::{Address, Amount, ChainSource, ExternalId, Minor, Timestamp};

use super::status::{Funding, Status};
use super::tables::Payment;
use crate::authorization::{
    AdviceHold, AdviceRecorded, AuthorizationRequested, Event, FIRST_LEG, ForcePosted, SwipeRecorded,
};
use crate::network::{Merchant, Network};
use crate::projecting::{Misfit, Record, Seen};

/// Returns the payment that an event is about; a new one if it begins with this event.
pub(super) fn payment(known: Option<Payment>, seen: &Seen<'_, Event>) -> Result<Payment, Misfit> {
    match (&seen.event, known) {
        (Event::SwipeRecorded(event), _) => swiped(seen, event),
        (Event::AuthorizationRequested(event), _) => Ok(requested(seen, event)),
        (Event::AdviceRecorded(event), None) => Ok(advised(seen, event)),
        (Event::AdviceRecorded(event), Some(known)) => match event.hold {
            AdviceHold::Placed => promised(&known, advised(seen, event)),
            AdviceHold::Raised(by) => raised(known, event, by),
            AdviceHold::Unchanged => Ok(known),
        },
        (Event::ForcePosted(event), None) => Ok(forced(seen, event)),
        (_, Some(payment)) => Ok(payment),
        (_, None) => Err(Misfit::Missing(Payment::TABLE)),
    }
}

fn swiped(seen: &Seen<'_, Event>, event: &SwipeRecorded) -> Result<Payment, Misfit> {
    let ChainSource { chain_id, block_hash, block_number, transaction_hash, log_index } = event.source;
    Ok(Payment {
        authorized_minor: event.amount.minor,
        chain_id: Some(chain_id.try_into()?),
        block_hash: Some(block_hash),
        block_number: Some(block_number.try_into()?),
        transaction_hash: Some(transaction_hash),
        log_index: Some(log_index.try_into()?),
        funding: Funding::Included,
        funding_transaction_hash: Some(transaction_hash),
        expires_at: event.expires_at,
        ..new(seen, Status::Recorded, event.account, &event.amount, event.occurred_at)
    })
}

fn requested(seen: &Seen<'_, Event>, event: &AuthorizationRequested) -> Payment {
    let new = new(seen, Status::Requested, event.account, &event.amount, event.occurred_at);
    let requested = Payment { requested_minor: event.amount.minor, ..new };
    by_card(requested, &event.card_id, &event.merchant, event.network)
}

fn advised(seen: &Seen<'_, Event>, event: &AdviceRecorded) -> Payment {
    let advised = Payment {
        authorized_minor: event.amount.minor,
        funding: Funding::Unsubmitted,
        expires_at: Some(event.expires_at),
        ..new(seen, Status::Advised, event.account, &event.amount, event.occurred_at)
    };
    by_card(advised, &event.card_id, &event.merchant, event.network)
}

/// Replaces our own decision with the stand-in's approval, in the same payment. Funding that was already seen on
/// chain is kept.
fn promised(known: &Payment, advised: Payment) -> Result<Payment, Misfit> {
    let (funding, funding_transaction_hash) = match known.funding {
        Funding::None => (advised.funding, None),
        seen => (seen, known.funding_transaction_hash),
    };
    Ok(Payment {
        requested_minor: known.requested_minor,
        authorized_minor: known.authorized_minor.plus(advised.authorized_minor)?,
        reversed_minor: known.reversed_minor,
        against_hold_minor: known.against_hold_minor,
        beyond_hold_minor: known.beyond_hold_minor,
        cleared_minor: known.cleared_minor,
        taken_back_minor: known.taken_back_minor,
        refunded_minor: known.refunded_minor,
        owed_back_minor: known.owed_back_minor,
        funding,
        funding_leg: known.funding_leg,
        funding_transaction_hash,
        occurred_at: known.occurred_at,
        ..advised
    })
}

/// Raises the hold of an existing payment. A closed payment is reopened; a payment that was first seen on chain gets
/// its card and its merchant.
fn raised(known: Payment, event: &AdviceRecorded, by: Minor) -> Result<Payment, Misfit> {
    let payment = Payment {
        status: if known.status.is_open() { known.status } else { Status::Advised },
        authorized_minor: known.authorized_minor.plus(by)?,
        expires_at: known.expires_at.map(|expires_at| expires_at.max(event.expires_at)),
        ..known
    };
    match payment.card_id {
        Some(_) => Ok(payment),
        None => Ok(by_card(payment, &event.card_id, &event.merchant, event.network)),
    }
}

fn forced(seen: &Seen<'_, Event>, event: &ForcePosted) -> Payment {
    let parties = &event.parties;
    let forced = Payment {
        card_id: parties.card_id.clone(),
        merchant_id: parties.merchant_id.clone(),
        ..new(seen, Status::ForcePosted, parties.account, &event.amount, event.occurred_at)
    };
    match &event.merchant {
        Some(merchant) => at_merchant(forced, merchant),
        None => forced,
    }
}

fn by_card(payment: Payment, card_id: &ExternalId, merchant: &Merchant, network: Network) -> Payment {
    let (card_id, network) = (Some(card_id.clone()), Some(network));
    Payment { card_id, network, ..at_merchant(payment, merchant) }
}

fn at_merchant(payment: Payment, merchant: &Merchant) -> Payment {
    Payment {
        merchant_id: Some(merchant.id.clone()),
        merchant_name: Some(merchant.name.clone()),
        merchant_category: Some(merchant.category),
        merchant_country: Some(merchant.country),
        ..payment
    }
}

/// Creates a payment of which only the account, the amount and the time are known.
fn new(
    seen: &Seen<'_, Event>,
    status: Status,
    account: Address,
    amount: &Amount,
    occurred_at: Timestamp,
) -> Payment {
    Payment {
        id: seen.id.to_owned(),
        account,
        card_id: None,
        merchant_id: None,
        merchant_name: None,
        merchant_category: None,
        merchant_country: None,
        network: None,
        status,
        amount_minor: amount.minor,
        requested_minor: Minor::ZERO,
        authorized_minor: Minor::ZERO,
        reversed_minor: Minor::ZERO,
        expired_minor: Minor::ZERO,
        against_hold_minor: Minor::ZERO,
        beyond_hold_minor: Minor::ZERO,
        refunded_minor: Minor::ZERO,
        held_minor: Minor::ZERO,
        cleared_minor: Minor::ZERO,
        taken_back_minor: Minor::ZERO,
        asset: amount.asset.code.clone(),
        decimals: amount.asset.decimals,
        chain_id: None,
        block_hash: None,
        block_number: None,
        transaction_hash: None,
        log_index: None,
        owed_back_minor: Minor::ZERO,
        funding: Funding::None,
        funding_leg: FIRST_LEG.into(),
        funding_transaction_hash: None,
        expires_at: None,
        decline_reason: None,
        flags: Vec::new(),
        flagged: false,
        over_captured: false,
        late: false,
        dispute: None,
        linked_to: None,
        occurred_at,
        updated_at: seen.recorded.recorded_at,
    }
}
