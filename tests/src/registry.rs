//! Rows of the registry, as a host that loaded and verified nothing would write them.

use clearfold_base::digest::Digest;
use clearfold_engine::registry::{ActivationCause, Deployment, Handler, NewActivation};

/// Name under which tests act.
const BY: &str = "test";

/// Makes the record of a component that was deployed for a handler.
#[must_use]
pub fn deployment(component: &str, handler: &Handler) -> Deployment {
    Deployment {
        name: component.to_owned(),
        handler: handler.clone(),
        wit_version: None,
        imports: Vec::new(),
        source_revision: None,
        deployed_by: BY.to_owned(),
        signed: None,
    }
}

/// Makes the activation of a decider after the activation `newest`, with a state family of its own.
#[must_use]
pub fn activation(handler: &Handler, digest: Digest, newest: u64) -> NewActivation {
    NewActivation {
        handler: handler.clone(),
        newest,
        digest,
        cause: ActivationCause::Activate,
        why: None,
        by: BY.to_owned(),
        family: Some(digest),
        trial: None,
        shadow: None,
        moved_from: None,
    }
}
