//! Flow `expire`: waits until the hold expires, and ends it.

use clearfold_kernel::{Action, Flow, StepCall, Timestamp};

use super::authorize::send;
use super::observe::planned;
use super::{memory, was_refused};
use crate::authorization::{self, ExpireAuthorization, State};

pub(super) const EXPIRE: &str = "expire";
/// Lane of the wait, apart from the bookings: it lasts for weeks.
pub(super) const LANE: &str = "expiry";

pub(super) fn flow() -> Flow {
    Flow { name: EXPIRE, lane: LANE.into(), steps: vec![planned(EXPIRE)] }
}

/// Returns true if a hold that expires begins: the payment was approved, or a stand-in opened it again.
pub(super) fn begins(before: &State, after: &State) -> bool {
    expires_at(before).is_none() && expires_at(after).is_some()
}

/// Returns true if the payment is closed and has no hold to expire any more.
pub(super) fn ends(before: &State, after: &State) -> bool {
    expires_at(before).is_some() && expires_at(after).is_none()
}

/// The memory says when: an advice may have put the expiry off since the wait began.
pub(super) fn run(call: &StepCall) -> Result<Action, String> {
    let state = memory::read(&call.subject)?;
    let Some(expires_at) = expires_at(&state) else { return Ok(Action::Done) };
    if was_refused(call, &["not_open", "hold_does_not_expire"]) {
        return Ok(Action::Done);
    }
    if call.subject.now < expires_at {
        return Ok(Action::WaitUntil(expires_at));
    }
    // If it is refused as too early, the event that put the expiry off is not observed yet, and the host waits before
    // it asks again.
    let expire = authorization::Command::ExpireAuthorization(ExpireAuthorization {});
    send(authorization::AGGREGATE, &call.subject.id, &expire)
}

/// Returns the time at which the payment's hold expires, if it is open.
fn expires_at(state: &State) -> Option<Timestamp> {
    state.payment().filter(|payment| payment.status.is_open())?.expires_at
}
