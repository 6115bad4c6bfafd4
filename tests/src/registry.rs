//! Rows of the registry, as a host would write them that loaded and verified nothing.

use clearfold_base::digest::Digest;
use clearfold_engine::registry::{ActivationCause, Deployment, Handler, NewActivation};

/// Who does everything in tests.
const BY: &str = "test";

/// That a component was deployed for a handler, by nobody in particular.
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

/// That a decider is put in force after the activation `newest`, with states of its own.
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
    }
}
