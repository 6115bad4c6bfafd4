//! The registry: which components there are, and which of them is in force for what.
//!
//! A component is known by its digest and never changes. What runs is a *handler*, a kind and a name; which component it
//! runs is the fold of recorded activations, so every past answer stays answerable. [`Operations`] is what people and
//! programs may do: deploy, verify, activate, try on some accounts, roll back. [`Follower`] makes a running host do what was
//! recorded. Nothing here decides a command, and nothing is ever taken out.

mod canary;
mod fold;
mod follower;
mod operations;
mod records;
mod shelf;
mod start;
mod view;

pub use canary::watch_canaries;
pub use fold::{ActiveCanary, ActiveComponent, fold};
pub use follower::{Follower, InForceNow, Live};
pub use operations::{
    ActivationRequest, ComponentSelector, DeployRequest, Deployed, Operations, Verified, Window,
};
pub use records::{Activation, ActivationCause, ComponentRecord, Deployment, NewActivation, Point, Registry};
pub use shelf::Shelf;
pub use start::{ManifestComponent, Start, StartContext};
pub use view::{
    ActivationView, CanaryView, ComponentView, DeployedView, HandlerView, Overview, PointView, VerifiedView,
    differing,
};

use std::fmt;

use crate::integrity::ShadowReport;
use clearfold_base::database::DatabaseError;
use clearfold_base::digest::Digest;
use clearfold_base::signature::SignatureError;
use clearfold_sandbox::{ComponentKind, RuntimeError};
use clearfold_store::StoreError;

/// What runs: a decider by its aggregate, a projector by its projection, another by its name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Handler {
    pub kind: ComponentKind,
    pub name: String,
}

impl fmt::Display for Handler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind, self.name)
    }
}

/// Why the registry did not do what was asked. Nothing changed.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    #[error("the registry cannot be used")]
    Database(#[from] DatabaseError),
    #[error(
        "no component's digest begins with `{0}`; `clearfold component list` shows them, `deploy` adds one"
    )]
    Unknown(String),
    #[error("`{prefix}` is the beginning of {count} components' digests; give more of it")]
    Ambiguous { prefix: String, count: usize },
    #[error("`{0}` is no digest: give at least 6 of its 64 characters, 0-9 and a-f")]
    NotADigest(String),
    #[error(
        "no manifest ever named the {0}; add it to spin.toml and start the host, or give the name that spin.toml has \
         for it (`clearfold component list`)"
    )]
    NoSuchHandler(Handler),
    #[error("the component is the {own}, and says so itself; it cannot be put in force as `{asked}`")]
    AnothersName { own: Handler, asked: String },
    #[error("{what} is empty or has control characters; give words")]
    NoText { what: &'static str },
    #[error("the {handler} was changed in between ({why}); look at it again")]
    ChangedMeanwhile { handler: Handler, why: String },
    #[error("the {0} decides nothing, so it cannot be tried on some accounts; activate it")]
    OnlyDeciders(Handler),
    #[error("nothing was in force for the {0} before that it could go back to")]
    NothingBefore(Handler),
    #[error("no canary is tried for the {0}")]
    NoCanary(Handler),
    #[error(
        "the component decides otherwise than the {handler} in force{}; if that is meant, say so: --expect-divergence \"why\"",
        differences(.shadow)
    )]
    Diverges { handler: Handler, shadow: Box<ShadowReport> },
    #[error(
        "none of the {0}'s commands was decided in that time, so the component would be in force unseen; look further back"
    )]
    NothingCompared(Handler),
    #[error(transparent)]
    Signature(#[from] SignatureError),
    #[error("{digest} is the {handler} already")]
    InForceAlready { handler: Handler, digest: Digest },
    #[error(transparent)]
    Component(#[from] RuntimeError),
    #[error("the log could not be read")]
    Log(#[from] StoreError),
}

impl RegistryError {
    /// Whether it would be the same tomorrow: the component does not run here, or must not.
    fn is_of_the_component(&self) -> bool {
        matches!(self, Self::Component(_) | Self::Signature(_) | Self::Unknown(_))
    }
}

impl From<sqlx::Error> for RegistryError {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error.into())
    }
}

/// How often, and the first time in full.
fn differences(shadow: &ShadowReport) -> String {
    let (different, commands) = (shadow.different, shadow.commands);
    let first = shadow.divergences.first().map(|first| format!(". The first: {first}")).unwrap_or_default();
    format!(" on {different} of {commands} commands{first}")
}
