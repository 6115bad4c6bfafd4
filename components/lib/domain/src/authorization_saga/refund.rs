//! Flow `refund`: a refund that the network told of and one on chain are the same, if the account says so. Then the stream
//! of the one on chain is resolved as matched.
//!
//! It follows the booking of either report, and of a reversal: a payout of what is left may have been seen before. The account answers by a refusal that names both streams ([`link`]).

use clearfold_kernel::{Action, ExternalId, Flow, StepCall};

use super::authorize::send;
use super::observe::BOOKS;
use super::{book, was_refused};
use crate::account::{self, ReadRefund};
use crate::authorization::{
    self, Command, Event, RefundLinked, RefundOrigin, RefundReversed, RefundUnlinked, ResolveRefund,
};
use crate::bookings;
use crate::network::RefundOutcome;

pub(super) const RESOLVE: &str = "resolve-refund";
pub(super) const READ: &str = "read-refund";

/// Returns the flow behind the booking of a refund that may have another report.
pub(super) fn flow(event: &Event) -> Result<Option<Flow>, String> {
    let (parties, refund_id) = match event {
        Event::RefundLinked(RefundLinked { parties, origin: origin @ RefundOrigin::Network(_), .. })
        | Event::RefundUnlinked(RefundUnlinked {
            parties, origin: origin @ RefundOrigin::Chain(_), ..
        }) => (parties, bookings::refund_id(origin).map_err(|error| error.to_string())?),
        Event::RefundReversed(RefundReversed { parties, refund_id, .. }) => (parties, refund_id.clone()),
        _ => return Ok(None),
    };
    let account = parties.account.to_string();
    let read = account::Command::ReadRefund(ReadRefund { refund_id });
    let planned = |step| book::step(step, account::AGGREGATE, &account, false, &read);
    Ok(Some(Flow { name: "refund", lane: BOOKS.into(), steps: vec![planned(RESOLVE)?, planned(READ)?] }))
}

/// Resolves the refund on chain. An operator may have done so already.
pub(super) fn resolve(call: &StepCall) -> Result<Action, String> {
    if was_refused(call, &["duplicate_mismatch", "suspense_not_found", "account_mismatch"]) {
        return Ok(Action::Done);
    }
    let Some((on_chain, payment_id)) = named(call) else { return book::command(call) };
    let resolve = ResolveRefund { outcome: RefundOutcome::Matched, payment_id: Some(payment_id) };
    send(authorization::AGGREGATE, on_chain.as_str(), &Command::ResolveRefund(resolve))
}

/// Returns the stream of the refund on chain and the payment, if the account named them.
fn named(call: &StepCall) -> Option<(ExternalId, ExternalId)> {
    let named = call.last_refusal.as_ref().and_then(account::refund_matched);
    named.or_else(|| call.refusal.as_ref().and_then(account::refund_matched))
}
