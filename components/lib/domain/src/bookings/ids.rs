//! Derived ids for releases and changes that no message of the network asks for.
//!
//! Each is made of the id of its cause. The prefix keeps derived ids apart from ids that come from outside and from
//! each other: a payment may well have the same id as its own request.

use clearfold_kernel::{ExternalId, InvalidId, Minor};
use sha2::{Digest, Sha256};

use crate::authorization::FIRST_LEG;

/// Id of what a message, or a claim, of the payment reserves on the card: another payment of the card may have a message with
/// the same id. An id of a payment has no slash, so the card reads both from it.
pub fn reservation(authorization_id: &ExternalId, message_id: &ExternalId) -> Result<ExternalId, InvalidId> {
    derived(authorization_id.as_str(), message_id).or_else(|_| {
        let digest = Sha256::digest(format!("{authorization_id} {message_id}"));
        format!("reserved/{}", hex::encode(digest)).try_into()
    })
}

/// Id of the change that undoes a raise of the hold.
pub(crate) fn undone(message_id: &ExternalId) -> Result<ExternalId, InvalidId> {
    derived("undone", message_id)
}

/// Id of the change that gives back the hold of an expired payment.
pub(crate) fn expired(authorization_id: &ExternalId) -> Result<ExternalId, InvalidId> {
    derived("expired", authorization_id)
}

/// Id of the reversal of what is held beyond the amount that an advice states.
pub(crate) fn advised(message_id: &ExternalId) -> Result<ExternalId, InvalidId> {
    derived("advised", message_id)
}

/// Prefix of the ids of single messages' clearings.
const PRESENTED: &str = "single-message";

/// Id of the clearing that a single message is, besides its request.
pub(crate) fn presented(message_id: &ExternalId) -> Result<ExternalId, InvalidId> {
    derived(PRESENTED, message_id)
}

/// Returns true if the id of a clearing is that of a single message.
#[must_use]
pub fn is_presented(clearing_id: &str) -> bool {
    clearing_id.strip_prefix(PRESENTED).is_some_and(|rest| rest.starts_with('/'))
}

/// Id of the reversal of that clearing, by a reversal of the network.
pub(crate) fn reversed(message_id: &ExternalId) -> Result<ExternalId, InvalidId> {
    derived("reversed", message_id)
}

/// Id of the reversal of another such clearing, by the same reversal of the network.
pub(crate) fn reversed_beside(message_id: &ExternalId, number: u32) -> Result<ExternalId, InvalidId> {
    derived(&format!("reversed-{number}"), message_id)
}

/// Id of the reversal of a hold whose pulled money came back as that refund.
pub(crate) fn returned(refund_id: &ExternalId) -> Result<ExternalId, InvalidId> {
    derived("returned", refund_id)
}

/// Id of a clearing on the payment that it is linked to, made of the id of the payment that it was posted for. That of its
/// first link names no number.
pub(crate) fn linked(posted_on: &ExternalId, link: u32) -> Result<ExternalId, InvalidId> {
    derived(&numbered("linked", link), posted_on)
}

/// Id of what the end of that link reserves on the card again.
pub(crate) fn unlinked(posted_on: &ExternalId, link: u32) -> Result<ExternalId, InvalidId> {
    derived(&numbered("unlinked", link), posted_on)
}

fn numbered(what: &str, link: u32) -> String {
    if link == 1 { what.to_owned() } else { format!("{what}-{link}") }
}

/// Id of the receivable for an abandoned leg of a payment. That for the first names no leg.
pub(crate) fn exposed(authorization_id: &ExternalId, leg: u32) -> Result<ExternalId, InvalidId> {
    derived(&of_leg("exposed", leg), authorization_id)
}

/// Id of a recovery of that receivable, made from the amount that it leaves open: each recovery leaves less.
pub(super) fn cleared(authorization_id: &ExternalId, leg: u32, left: Minor) -> Result<ExternalId, InvalidId> {
    derived(&format!("{}/{left}", of_leg("cleared", leg)), authorization_id)
}

fn of_leg(what: &str, leg: u32) -> String {
    if leg == FIRST_LEG { what.to_owned() } else { format!("{what}/{leg}") }
}

/// Id of the release of everything that a declined payment's request reserved.
pub(crate) fn declined(authorization_id: &ExternalId) -> Result<ExternalId, InvalidId> {
    derived("declined", authorization_id)
}

/// Id of the release of the rest that the last clearing leaves of a hold.
pub(super) fn captured(clearing_id: &ExternalId) -> Result<ExternalId, InvalidId> {
    derived("captured", clearing_id)
}

/// Id of the release of the rest that a partially approved payment's request reserved.
pub(super) fn approved(message_id: &ExternalId) -> Result<ExternalId, InvalidId> {
    derived("approved", message_id)
}

/// Id of the release of what the network takes back of a clearing.
pub(super) fn taken_back(reversal_id: &ExternalId) -> Result<ExternalId, InvalidId> {
    derived("taken-back", reversal_id)
}

/// Prefixes the id. If the result would be too long, a digest takes the place of the id, so that a hold with the
/// longest possible id can end as well.
fn derived(what: &str, id: &ExternalId) -> Result<ExternalId, InvalidId> {
    let plain = format!("{what}/{id}");
    if plain.len() <= ExternalId::MAX_LENGTH {
        return plain.try_into();
    }
    let digest = hex::encode(Sha256::digest(id.as_str()));
    format!("{what}/{digest}").try_into()
}
