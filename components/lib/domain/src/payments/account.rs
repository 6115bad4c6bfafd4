//! Totals of an account by asset: spent, cleared and refunded.
//!
//! *Spent* is what left the account on chain: a swipe counts at once, a payment that the network requested counts
//! when its money was pulled. A reorganization subtracts it until the money moves again. *Cleared* is what the
//! network claimed, whether the money has moved or not. The difference between the two is in transit.

use clearfold_kernel::{Address, Asset, Minor, RowKey};

use super::tables::AccountAsset;
use crate::authorization::Event;
use crate::network::RefundOutcome;
use crate::projecting::{Misfit, Number, Rows, Seen};

/// Returns the key of the row that an event changes.
pub(super) fn key(event: &Event) -> Option<RowKey> {
    concerned(event).map(|(account, asset)| AccountAsset::key(account, &asset.code))
}

/// Returns the account and asset whose totals an event changes.
fn concerned(event: &Event) -> Option<(&Address, &Asset)> {
    match event {
        Event::SwipeRecorded(event) => Some((&event.account, &event.amount.asset)),
        Event::AuthorizationRequested(event) => Some((&event.account, &event.amount.asset)),
        Event::AdviceRecorded(event) => Some((&event.account, &event.amount.asset)),
        Event::ClearingPosted(event) => Some((&event.parties.account, &event.asset)),
        Event::ForcePosted(event) => Some((&event.parties.account, &event.amount.asset)),
        Event::ClearingReversed(event) => Some((&event.parties.account, &event.amount.asset)),
        Event::RefundReversed(event) => Some((&event.parties.account, &event.amount.asset)),
        Event::RefundLinked(event) => Some((&event.parties.account, &event.amount.asset)),
        Event::RefundUnlinked(event) => Some((&event.parties.account, &event.amount.asset)),
        Event::RefundResolved(event) => Some((&event.parties.account, &event.amount.asset)),
        Event::FundingIncluded(event) => Some((&event.parties.account, &event.amount.asset)),
        Event::FundingReorged(event) => Some((&event.parties.account, &event.amount.asset)),
        Event::SpendLinked(event) => Some((&event.parties.account, &event.amount.asset)),
        Event::SpendUnlinked(event) => Some((&event.parties.account, &event.amount.asset)),
        Event::ClearingLinked(event) => Some((&event.parties.account, &event.amount.asset)),
        Event::ClearingUnlinked(event) => Some((&event.parties.account, &event.amount.asset)),
        Event::ClearingGivenUp(event) => Some((&event.parties.account, &event.amount.asset)),
        _ => None,
    }
}

/// Applies an event to its account's row. `begins` is true if the event began a payment.
pub(super) fn add(rows: &mut Rows, seen: &Seen<'_, Event>, begins: bool) -> Result<(), Misfit> {
    let Some((account, asset)) = concerned(&seen.event) else { return Ok(()) };
    let at = seen.recorded.recorded_at;
    let known = rows.find(&AccountAsset::key(account, &asset.code))?;
    let mut total = known.unwrap_or_else(|| AccountAsset {
        account: *account,
        asset: asset.code.clone(),
        decimals: asset.decimals,
        payment_count: Number::default(),
        spent_minor: Minor::ZERO,
        cleared_minor: Minor::ZERO,
        refund_count: Number::default(),
        refunded_minor: Minor::ZERO,
        first_seen_at: at,
        updated_at: at,
    });
    if begins {
        total.payment_count = total.payment_count.next()?;
    }
    change(&mut total, &seen.event)?;
    total.updated_at = at;
    rows.put(&total);
    Ok(())
}

fn change(total: &mut AccountAsset, event: &Event) -> Result<(), Misfit> {
    match event {
        Event::SwipeRecorded(event) => total.spent_minor = total.spent_minor.plus(event.amount.minor)?,
        Event::FundingIncluded(event) => total.spent_minor = total.spent_minor.plus(event.amount.minor)?,
        Event::FundingReorged(event) => total.spent_minor = total.spent_minor.minus(event.amount.minor)?,
        Event::ClearingPosted(event) => total.cleared_minor = total.cleared_minor.plus(event.claimed()?)?,
        Event::ForcePosted(event) => total.cleared_minor = total.cleared_minor.plus(event.amount.minor)?,
        Event::ClearingReversed(event) => {
            total.cleared_minor = total.cleared_minor.minus(event.amount.minor)?;
        }
        Event::RefundReversed(event) => {
            total.refunded_minor = total.refunded_minor.minus(event.amount.minor)?;
        }
        // It is the money of a payment that is counted already.
        Event::SpendLinked(_) => total.payment_count = total.payment_count.previous()?,
        Event::SpendUnlinked(_) => total.payment_count = total.payment_count.next()?,
        Event::ClearingLinked(event) => {
            total.payment_count = total.payment_count.previous()?;
            total.cleared_minor = total.cleared_minor.minus(event.amount.minor)?;
        }
        Event::ClearingUnlinked(event) => {
            total.payment_count = total.payment_count.next()?;
            total.cleared_minor = total.cleared_minor.plus(event.amount.minor)?;
        }
        Event::ClearingGivenUp(event) => {
            total.cleared_minor = total.cleared_minor.minus(event.amount.minor)?;
        }
        Event::RefundLinked(event) => refund(total, event.amount.minor)?,
        Event::RefundUnlinked(event) => refund(total, event.amount.minor)?,
        Event::RefundResolved(event) if event.outcome != RefundOutcome::Paid => {
            total.refunded_minor = total.refunded_minor.minus(event.amount.minor)?;
            // The network's report of the same refund counts.
            if event.outcome == RefundOutcome::Matched {
                total.refund_count = total.refund_count.previous()?;
            }
        }
        _ => {}
    }
    Ok(())
}

fn refund(total: &mut AccountAsset, minor: Minor) -> Result<(), Misfit> {
    total.refund_count = total.refund_count.next()?;
    total.refunded_minor = total.refunded_minor.plus(minor)?;
    Ok(())
}
