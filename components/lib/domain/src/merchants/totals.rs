//! Effect of each event on its merchant's totals.

use clearfold_kernel::{Asset, Minor, RowKey, Timestamp};

use super::tables::Merchant;
use crate::authorization::{ClearingGivenUp, ClearingLinked, ClearingReversed, Event};
use crate::network;
use crate::network::MerchantId;
use crate::projecting::{Misfit, Number, Rows, Seen};

/// Returns the key of the row that an event changes.
pub(super) fn key(event: &Event) -> Option<RowKey> {
    concerned(event).map(|(merchant_id, asset)| Merchant::key(merchant_id, &asset.code))
}

/// Returns the merchant and asset whose totals an event changes.
fn concerned(event: &Event) -> Option<(&MerchantId, &Asset)> {
    let (parties, asset) = match event {
        Event::AuthorizationRequested(event) => return Some((&event.merchant.id, &event.amount.asset)),
        Event::AdviceRecorded(event) => return Some((&event.merchant.id, &event.amount.asset)),
        Event::AuthorizationApproved(event) => (&event.parties, &event.amount.asset),
        Event::AuthorizationPartiallyApproved(event) => (&event.parties, &event.amount.asset),
        Event::AuthorizationDeclined(event) => (&event.parties, &event.amount.asset),
        Event::HoldIncreased(event) => (&event.parties, &event.amount.asset),
        Event::ClearingPosted(event) => (&event.parties, &event.asset),
        Event::ForcePosted(event) => (&event.parties, &event.amount.asset),
        Event::ClearingReversed(event) => (&event.parties, &event.amount.asset),
        Event::ClearingLinked(event) => (&event.parties, &event.amount.asset),
        Event::ClearingUnlinked(event) => (&event.parties, &event.amount.asset),
        Event::ClearingGivenUp(event) => (&event.parties, &event.amount.asset),
        Event::RefundReversed(event) => (&event.parties, &event.amount.asset),
        Event::RefundLinked(event) => (&event.parties, &event.amount.asset),
        Event::DisputeOpened(event) => (&event.parties, &event.amount.asset),
        _ => return None,
    };
    parties.merchant_id.as_ref().map(|merchant_id| (merchant_id, asset))
}

/// Applies an event to its merchant's row.
pub(super) fn add(rows: &mut Rows, seen: &Seen<'_, Event>) -> Result<(), Misfit> {
    let Some((merchant_id, asset)) = concerned(&seen.event) else { return Ok(()) };
    let at = seen.recorded.recorded_at;
    let known = rows.find(&Merchant::key(merchant_id, &asset.code))?;
    let mut merchant = known.unwrap_or_else(|| new(merchant_id, asset, at));
    change(&mut merchant, &seen.event, at)?;
    merchant.last_seen_at = merchant.last_seen_at.max(at);
    rows.put(&merchant);
    Ok(())
}

fn new(merchant_id: &MerchantId, asset: &Asset, at: Timestamp) -> Merchant {
    Merchant {
        id: merchant_id.clone(),
        asset: asset.code.clone(),
        decimals: asset.decimals,
        name: None,
        category: None,
        country: None,
        described_at: None,
        requested_count: Number::default(),
        approved_count: Number::default(),
        declined_count: Number::default(),
        advised_count: Number::default(),
        authorized_minor: Minor::ZERO,
        cleared_minor: Minor::ZERO,
        refunded_minor: Minor::ZERO,
        disputed_minor: Minor::ZERO,
        last_seen_at: at,
    }
}

fn change(merchant: &mut Merchant, event: &Event, at: Timestamp) -> Result<(), Misfit> {
    match event {
        Event::AuthorizationRequested(event) => {
            describe(merchant, &event.merchant, at);
            merchant.requested_count = merchant.requested_count.next()?;
        }
        Event::AdviceRecorded(event) => {
            describe(merchant, &event.merchant, at);
            merchant.advised_count = merchant.advised_count.next()?;
            authorize(merchant, event.held())?;
        }
        Event::AuthorizationApproved(event) => {
            merchant.approved_count = merchant.approved_count.next()?;
            authorize(merchant, event.amount.minor)?;
        }
        Event::AuthorizationPartiallyApproved(event) => {
            merchant.approved_count = merchant.approved_count.next()?;
            authorize(merchant, event.amount.minor)?;
        }
        Event::AuthorizationDeclined(_) => merchant.declined_count = merchant.declined_count.next()?,
        Event::HoldIncreased(event) => authorize(merchant, event.amount.minor)?,
        Event::ClearingPosted(event) => {
            merchant.cleared_minor = merchant.cleared_minor.plus(event.claimed()?)?;
        }
        Event::ForcePosted(event) => {
            if let Some(said) = &event.merchant {
                describe(merchant, said, at);
            }
            merchant.cleared_minor = merchant.cleared_minor.plus(event.amount.minor)?;
        }
        Event::ClearingReversed(ClearingReversed { amount, .. })
        | Event::ClearingLinked(ClearingLinked { amount, .. })
        | Event::ClearingGivenUp(ClearingGivenUp { amount, .. }) => {
            merchant.cleared_minor = merchant.cleared_minor.minus(amount.minor)?;
        }
        Event::ClearingUnlinked(event) => {
            merchant.cleared_minor = merchant.cleared_minor.plus(event.amount.minor)?;
        }
        Event::RefundReversed(event) => {
            merchant.refunded_minor = merchant.refunded_minor.minus(event.amount.minor)?;
        }
        Event::RefundLinked(event) => {
            merchant.refunded_minor = merchant.refunded_minor.plus(event.amount.minor)?;
        }
        Event::DisputeOpened(event) => {
            merchant.disputed_minor = merchant.disputed_minor.plus(event.amount.minor)?;
        }
        _ => {}
    }
    Ok(())
}

fn authorize(merchant: &mut Merchant, minor: Minor) -> Result<(), Misfit> {
    merchant.authorized_minor = merchant.authorized_minor.plus(minor)?;
    Ok(())
}

/// Applies a description; the latest one counts. Of two with the same time, the one that sorts last counts: which of
/// them is projected first is chance, and the row must not depend on it.
fn describe(merchant: &mut Merchant, said: &network::Merchant, at: Timestamp) {
    let known = (merchant.described_at, merchant.name.as_ref(), merchant.category, merchant.country);
    let given = (Some(at), Some(&said.name), Some(said.category), Some(said.country));
    if given > known {
        merchant.name = Some(said.name.clone());
        merchant.category = Some(said.category);
        merchant.country = Some(said.country);
        merchant.described_at = Some(at);
    }
}
