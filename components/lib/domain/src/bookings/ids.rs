//! The ids of what has none of its own: a release or a change that no message of the network asks for.
//!
//! They are made of the id of what causes them. The prefix keeps them apart from the ids that come from outside and
//! from each other: a payment may well have the id of its own request.

use clearfold_kernel::{ExternalId, InvalidId};
use sha2::{Digest, Sha256};

/// A raise is undone.
pub(crate) fn undone(message_id: &ExternalId) -> Result<ExternalId, InvalidId> {
    derived("undone", message_id)
}

/// A payment that expired gives back what it held.
pub(crate) fn expired(authorization_id: &ExternalId) -> Result<ExternalId, InvalidId> {
    derived("expired", authorization_id)
}

/// A payment that was declined gives back what its request reserved.
pub(super) fn declined(authorization_id: &ExternalId) -> Result<ExternalId, InvalidId> {
    derived("declined", authorization_id)
}

/// A payment that was approved in part gives back the rest of what its request reserved.
pub(super) fn approved(message_id: &ExternalId) -> Result<ExternalId, InvalidId> {
    derived("approved", message_id)
}

/// What would be too long with its prefix is there as its digest: a hold of the longest id ends as well.
fn derived(what: &str, id: &ExternalId) -> Result<ExternalId, InvalidId> {
    let plain = format!("{what}/{id}");
    if plain.len() <= ExternalId::MAX_LENGTH {
        return plain.try_into();
    }
    let digest = hex::encode(Sha256::digest(id.as_str()));
    format!("{what}/{digest}").try_into()
}
