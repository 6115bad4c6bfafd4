//! Refunds: linked to a payment, or on a stream of their own.

use clearfold_kernel::RowKey;

use super::tables::{Origin, Refund};
use crate::authorization::{Event, RefundLinked, RefundOrigin, RefundUnlinked};
use crate::projecting::{Misfit, Rows, Seen};

/// Returns the key of the row that an event changes, or whose refund it may be of.
pub(super) fn key(seen: &Seen<'_, Event>) -> Option<RowKey> {
    let is_of_refund = matches!(seen.event, Event::RefundResolved(_) | Event::RefundReversed(_));
    is_of_refund.then(|| Refund::key(&seen.id.to_owned()))
}

/// Returns true if the event takes back the unlinked refund of its stream, which is none of the payment beside it.
pub(super) fn is_of_unlinked(rows: &Rows, seen: &Seen<'_, Event>) -> Result<bool, Misfit> {
    let Event::RefundReversed(event) = &seen.event else { return Ok(false) };
    let unlinked: Option<Refund> = rows.find(&Refund::key(&seen.id.to_owned()))?;
    Ok(unlinked.is_some_and(|known| known.network_refund_id.as_ref() == Some(&event.refund_id)))
}

/// Applies an event to the row of its refund.
pub(super) fn follow(rows: &mut Rows, seen: &Seen<'_, Event>) -> Result<(), Misfit> {
    if let Event::RefundResolved(event) = &seen.event {
        let known: Refund = rows.existing(&Refund::key(&seen.id.to_owned()))?;
        let payment_id = event.payment_id.as_ref().map(ToString::to_string);
        rows.put(&Refund { payment_id, outcome: Some(event.outcome), ..known });
    } else if let Some(refund) = row(seen)? {
        rows.put(&refund);
    }
    Ok(())
}

/// Returns the row that an event creates, if it is a refund.
fn row(seen: &Seen<'_, Event>) -> Result<Option<Refund>, Misfit> {
    let (parties, amount, origin, occurred_at, is_linked) = match &seen.event {
        Event::RefundLinked(RefundLinked { parties, amount, origin, occurred_at, .. }) => {
            (parties, amount, origin, occurred_at, true)
        }
        Event::RefundUnlinked(RefundUnlinked { parties, amount, origin, occurred_at, .. }) => {
            (parties, amount, origin, occurred_at, false)
        }
        _ => return Ok(None),
    };
    let stream = seen.id.to_owned();
    // A stream id never contains a slash, so this cannot collide with one.
    let linked_id = || format!("{stream}/{}", seen.recorded.stream_version);
    let mut refund = Refund {
        id: if is_linked { linked_id() } else { stream.clone() },
        payment_id: is_linked.then_some(stream),
        outcome: None,
        account: parties.account,
        card_id: parties.card_id.clone(),
        merchant_id: parties.merchant_id.clone(),
        amount_minor: amount.minor,
        asset: amount.asset.code.clone(),
        decimals: amount.asset.decimals,
        origin: Origin::Network,
        network_refund_id: None,
        chain_id: None,
        block_hash: None,
        block_number: None,
        transaction_hash: None,
        log_index: None,
        occurred_at: *occurred_at,
    };
    match origin {
        RefundOrigin::Network(refund_id) => refund.network_refund_id = Some(refund_id.clone()),
        RefundOrigin::Chain(source) => {
            refund.origin = Origin::Chain;
            refund.chain_id = Some(source.chain_id.try_into()?);
            refund.block_hash = Some(source.block_hash);
            refund.block_number = Some(source.block_number.try_into()?);
            refund.transaction_hash = Some(source.transaction_hash);
            refund.log_index = Some(source.log_index.try_into()?);
        }
    }
    Ok(Some(refund))
}
