//! Effect of the network's money on the rows of a dispute, which may not be known yet.

use clearfold_kernel::{Minor, MoneyError, RowKey};

use super::tables::{Dispute, DisputeMoney, UnknownDispute};
use crate::account::Net;
use crate::authorization::{DisputeMoneyMoved, DisputeOpened, Event};
use crate::network::{DisputeCycle, DisputeDirection};
use crate::projecting::{Misfit, Rows, Seen};

/// Returns the keys of the rows that money changes, or that the opening of its dispute does.
pub(super) fn keys(seen: &Seen<'_, Event>) -> Vec<RowKey> {
    let payment_id = seen.id.to_owned();
    match &seen.event {
        Event::DisputeOpened(event) => vec![UnknownDispute::key(&payment_id, &event.dispute_id)],
        Event::DisputeMoneyMoved(event) => vec![
            Dispute::key(&payment_id, &event.dispute_id),
            UnknownDispute::key(&payment_id, &event.dispute_id),
        ],
        _ => Vec::new(),
    }
}

/// Applies money, or gives a dispute that is opened the money that came before it.
pub(super) fn follow(rows: &mut Rows, seen: &Seen<'_, Event>) -> Result<(), Misfit> {
    match &seen.event {
        Event::DisputeOpened(event) => opened(rows, seen.id, event),
        Event::DisputeMoneyMoved(event) => moved(rows, seen, event),
        _ => Ok(()),
    }
}

fn opened(rows: &mut Rows, payment_id: &str, event: &DisputeOpened) -> Result<(), Misfit> {
    let unknown_key = UnknownDispute::key(&payment_id.to_owned(), &event.dispute_id);
    let Some(UnknownDispute { received_minor, paid_minor, net_minor, withdrawn, .. }) =
        rows.find(&unknown_key)?
    else {
        return Ok(());
    };
    rows.remove(unknown_key);
    let opened: Dispute = rows.existing(&Dispute::key(&payment_id.to_owned(), &event.dispute_id))?;
    rows.put(&Dispute { received_minor, paid_minor, net_minor, withdrawn, ..opened });
    Ok(())
}

fn moved(rows: &mut Rows, seen: &Seen<'_, Event>, event: &DisputeMoneyMoved) -> Result<(), Misfit> {
    rows.put(&record(seen, event)?);
    let payment_id = seen.id.to_owned();
    let known: Option<Dispute> = rows.find(&Dispute::key(&payment_id, &event.dispute_id))?;
    if let Some(mut dispute) = known {
        [dispute.received_minor, dispute.paid_minor] =
            with(event, [dispute.received_minor, dispute.paid_minor])?;
        dispute.net_minor = Net::of(dispute.received_minor, dispute.paid_minor);
        dispute.withdrawn |= event.cycle == DisputeCycle::Withdrawal;
        dispute.updated_at = dispute.updated_at.max(event.occurred_at);
        rows.put(&dispute);
        return Ok(());
    }
    let known: Option<UnknownDispute> = rows.find(&UnknownDispute::key(&payment_id, &event.dispute_id))?;
    let mut unknown = known.unwrap_or_else(|| UnknownDispute {
        payment_id,
        id: event.dispute_id.clone(),
        account: event.parties.account,
        asset: event.amount.asset.code.clone(),
        decimals: event.amount.asset.decimals,
        received_minor: Minor::ZERO,
        paid_minor: Minor::ZERO,
        net_minor: Net::default(),
        withdrawn: false,
        since: event.occurred_at,
    });
    [unknown.received_minor, unknown.paid_minor] = with(event, [unknown.received_minor, unknown.paid_minor])?;
    unknown.net_minor = Net::of(unknown.received_minor, unknown.paid_minor);
    unknown.withdrawn |= event.cycle == DisputeCycle::Withdrawal;
    rows.put(&unknown);
    Ok(())
}

/// Returns received and paid with the event's money.
fn with(event: &DisputeMoneyMoved, [received, paid]: [Minor; 2]) -> Result<[Minor; 2], MoneyError> {
    Ok(match event.direction {
        DisputeDirection::Received => [received.plus(event.amount.minor)?, paid],
        DisputeDirection::Paid => [received, paid.plus(event.amount.minor)?],
    })
}

fn record(seen: &Seen<'_, Event>, event: &DisputeMoneyMoved) -> Result<DisputeMoney, Misfit> {
    Ok(DisputeMoney {
        payment_id: seen.id.to_owned(),
        record_id: event.record_id.clone(),
        stream_version: seen.recorded.stream_version.try_into()?,
        dispute_id: event.dispute_id.clone(),
        account: event.parties.account,
        cycle: event.cycle,
        direction: event.direction,
        amount_minor: event.amount.minor,
        asset: event.amount.asset.code.clone(),
        decimals: event.amount.asset.decimals,
        flags: event.flags.clone(),
        event_id: seen.recorded.event_id.clone(),
        occurred_at: event.occurred_at,
    })
}
