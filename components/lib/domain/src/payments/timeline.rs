//! Timeline: every event of an authorization's stream, in order.

use clearfold_kernel::{Message, Timestamp, Undecodable};

use super::tables::PaymentEvent;
use crate::authorization::{self as events, Event};
use crate::projecting::{Document, Misfit, Seen};

/// Builds the row of an event. The row holds the newest schema version, whichever was recorded, so a reader of the
/// timeline need not know the old ones.
pub(super) fn entry(seen: &Seen<'_, Event>) -> Result<PaymentEvent, Misfit> {
    let recorded = seen.recorded;
    let newest = seen.event.encode()?;
    let data = String::from_utf8(newest.payload).map_err(|error| {
        Undecodable::Malformed(newest.kind.clone(), newest.schema_version, error.to_string())
    })?;
    Ok(PaymentEvent {
        payment_id: seen.id.to_owned(),
        stream_version: recorded.stream_version.try_into()?,
        event_id: recorded.event_id.clone(),
        correlation_id: recorded.correlation_id.clone(),
        r#type: newest.kind,
        schema_version: newest.schema_version.into(),
        occurred_at: occurred_at(&seen.event).unwrap_or(recorded.recorded_at),
        recorded_at: recorded.recorded_at,
        data: Document(data),
    })
}

/// Returns the time of the event: from the block or the network if they state it, else the time of the decision.
/// `None` for an event that happened together with the one before it.
fn occurred_at(event: &Event) -> Option<Timestamp> {
    match event {
        Event::SwipeRecorded(events::SwipeRecorded { occurred_at: at, .. })
        | Event::AuthorizationRequested(events::AuthorizationRequested { occurred_at: at, .. })
        | Event::PartialApprovalProposed(events::PartialApprovalProposed { at, .. })
        | Event::AuthorizationApproved(events::AuthorizationApproved { at, .. })
        | Event::AuthorizationPartiallyApproved(events::AuthorizationPartiallyApproved { at, .. })
        | Event::AuthorizationDeclined(events::AuthorizationDeclined { at, .. })
        | Event::IncrementRequested(events::IncrementRequested { occurred_at: at, .. })
        | Event::IncrementDeclined(events::IncrementDeclined { at, .. })
        | Event::HoldIncreased(events::HoldIncreased { occurred_at: at, .. })
        | Event::AuthorizationReversed(events::AuthorizationReversed { occurred_at: at, .. })
        | Event::ReversalRefused(events::ReversalRefused { occurred_at: at, .. })
        | Event::AuthorizationExpired(events::AuthorizationExpired { at, .. })
        | Event::AdviceRecorded(events::AdviceRecorded { occurred_at: at, .. })
        | Event::ClearingPosted(events::ClearingPosted { occurred_at: at, .. })
        | Event::ClearingSuspended(events::ClearingSuspended { occurred_at: at, .. })
        | Event::ClearingResolved(events::ClearingResolved { at, .. })
        | Event::ClearingRefused(events::ClearingRefused { occurred_at: at, .. })
        | Event::ForcePosted(events::ForcePosted { occurred_at: at, .. })
        | Event::RefundLinked(events::RefundLinked { occurred_at: at, .. })
        | Event::RefundUnlinked(events::RefundUnlinked { occurred_at: at, .. })
        | Event::RefundResolved(events::RefundResolved { at, .. })
        | Event::FundingSubmitted(events::FundingSubmitted { occurred_at: at, .. })
        | Event::FundingIncluded(events::FundingIncluded { occurred_at: at, .. })
        | Event::FundingFinalized(events::FundingFinalized { occurred_at: at, .. })
        | Event::FundingReverted(events::FundingReverted { occurred_at: at, .. })
        | Event::FundingDropped(events::FundingDropped { occurred_at: at, .. })
        | Event::FundingReorged(events::FundingReorged { occurred_at: at, .. })
        | Event::FundingAbandoned(events::FundingAbandoned { at, .. })
        | Event::PaymentFlagged(events::PaymentFlagged { at, .. })
        | Event::DisputeOpened(events::DisputeOpened { at, .. })
        | Event::DisputeAdvanced(events::DisputeAdvanced { at, .. })
        | Event::ProvisionalCreditGranted(events::ProvisionalCreditGranted { at, .. })
        | Event::DisputeResolved(events::DisputeResolved { at, .. })
        | Event::DisputeMoneyMoved(events::DisputeMoneyMoved { occurred_at: at, .. })
        | Event::SpendExpected(events::SpendExpected { at, .. })
        | Event::SpendLinked(events::SpendLinked { at, .. })
        | Event::SpendUnlinked(events::SpendUnlinked { at, .. })
        | Event::SpendTaken(events::SpendTaken { at, .. })
        | Event::SpendGivenUp(events::SpendGivenUp { at, .. })
        | Event::ReturnTaken(events::ReturnTaken { at, .. })
        | Event::ClearingLinked(events::ClearingLinked { at, .. })
        | Event::ClearingUnlinked(events::ClearingUnlinked { at, .. })
        | Event::ClearingGivenUp(events::ClearingGivenUp { at, .. })
        | Event::CandidatesNamed(events::CandidatesNamed { at, .. })
        | Event::RefundReversed(events::RefundReversed { occurred_at: at, .. })
        | Event::ClearingReversed(events::ClearingReversed { occurred_at: at, .. })
        | Event::RecordReversalKept(events::RecordReversalKept { occurred_at: at, .. })
        | Event::RecordReversalEnded(events::RecordReversalEnded { at, .. })
        | Event::SpendObserved(events::SpendObserved { occurred_at: at, .. }) => Some(*at),
        Event::OverCaptured(_)
        | Event::ConversionDeviates(_)
        | Event::LatePresented(_)
        | Event::ExposureCleared(_)
        | Event::ReturnOwed(_) => None,
    }
}
