//! The registry: every component that was deployed, and every activation of one for a handler.
//!
//! A component is identified by its digest and never changes. A *handler* is a kind and a name; its component in
//! force is the fold of the recorded activations, so it can be told for every moment of the past. [`Operations`] are
//! the actions of operators and programs: deploy, verify, activate, start a canary, roll back. [`Follower`] makes a
//! running host follow the record. Nothing here decides a command, and nothing is ever removed.

mod canary;
mod fold;
mod follower;
mod followers;
mod migration;
mod operations;
mod records;
mod shelf;
mod start;
mod view;

pub use canary::watch_canaries;
pub use fold::{ActiveCanary, ActiveComponent, fold};
pub use follower::{Follower, InForceNow, Live};
pub use followers::FollowerReport;
pub use migration::{MigrationReport, MigrationRequest};
pub use operations::{
    ActivationRequest, ComponentSelector, DeployRequest, Deployed, Operations, Verified, Window,
};
pub use records::{Activation, ActivationCause, ComponentRecord, Deployment, NewActivation, Point, Registry};
pub use shelf::Shelf;
pub use start::{ComponentFile, Start, StartContext};
pub use view::{
    ActivationView, CanaryView, ComponentView, DeployedView, HandlerView, Overview, PointView, VerifiedView,
    differing,
};

use std::fmt;

use crate::integrity::{IntegrityError, ShadowReport};
use crate::saga::PREFIX;
use clearfold_base::blocking::Panicked;
use clearfold_base::database::DatabaseError;
use clearfold_base::digest::Digest;
use clearfold_base::signature::SignatureError;
use clearfold_sandbox::{ComponentKind, RuntimeError};
use clearfold_store::StoreError;

/// Kind and name of what runs: a decider is named by its aggregate, a projector by its projection.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Handler {
    pub kind: ComponentKind,
    pub name: String,
}

impl Handler {
    /// Aggregate of the streams that it decides. That of a saga's instances begins with its kind.
    #[must_use]
    pub fn aggregate(&self) -> String {
        match self.kind {
            ComponentKind::Saga => format!("{PREFIX}{}", self.name),
            _ => self.name.clone(),
        }
    }

    /// Handler that decides the streams of an aggregate.
    #[must_use]
    pub fn deciding(aggregate: &str) -> Self {
        match aggregate.strip_prefix(PREFIX) {
            Some(name) => Self { kind: ComponentKind::Saga, name: name.to_owned() },
            None => Self { kind: ComponentKind::Decider, name: aggregate.to_owned() },
        }
    }
}

impl fmt::Display for Handler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind, self.name)
    }
}

/// Failure of an operation of the registry. Nothing changed.
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
    #[error(
        "the component is the {own}, and says so itself; it cannot be activated as `{asked}`: leave the name out"
    )]
    AnothersName { own: Handler, asked: String },
    #[error("{what} is empty or has control characters; give a text without them")]
    NoText { what: &'static str },
    #[error("another activation of the {handler} came first ({why}); look at what is in force and try again")]
    ChangedMeanwhile { handler: Handler, why: String },
    #[error("only a decider can be tried on some accounts, and the {0} is none; activate it for all")]
    OnlyDeciders(Handler),
    #[error("nothing was in force for the {0} before, so there is nothing to go back to")]
    NothingBefore(Handler),
    #[error("the {0} has no canary")]
    NoCanary(Handler),
    #[error("{}", follower_fails(.handler, .follower))]
    FollowerFails { handler: Handler, follower: Box<FollowerReport> },
    #[error("the {0} has a canary; end it or activate it first, so that one version begins instances")]
    HasCanary(Handler),
    #[error(
        "{digest} decides no instance of the {handler}; `clearfold saga versions` shows which version decides how many"
    )]
    NoInstances { handler: Handler, digest: Digest },
    #[error("{}", cannot_move(.handler, .report))]
    CannotMove { handler: Handler, report: Box<MigrationReport> },
    #[error(
        "instances of the {handler} were moved away from {digest}, so it decides none and can begin none; deploy another \
         build, which has a digest of its own"
    )]
    MovedAway { handler: Handler, digest: Digest },
    #[error("{0}; run `clearfold verify`")]
    Unreadable(String),
    #[error("the {0} is paused already; `clearfold component history` says since when")]
    PausedAlready(Handler),
    #[error("the {0} is not paused, so there is nothing to resume")]
    NotPaused(Handler),
    #[error(
        "the component decides otherwise than the {handler} in force{}; if this is intended, give the reason: --expect-divergence \"why\"",
        differences(.shadow)
    )]
    Diverges { handler: Handler, shadow: Box<ShadowReport> },
    #[error(
        "none of the {0}'s commands was decided in that time, so the shadow run compared nothing; go further back"
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
    #[error(
        "what the registry knows cannot be written as JSON; this is a bug of Clearfold, please report it"
    )]
    Json(#[from] serde_json::Error),
    #[error(transparent)]
    Panicked(#[from] Panicked),
    #[error("the recorded commands could not be decided again")]
    Comparison(#[source] IntegrityError),
}

impl RegistryError {
    /// Returns true if a retry cannot help: the component does not run here, or must not.
    fn is_of_the_component(&self) -> bool {
        matches!(self, Self::Component(_) | Self::Signature(_) | Self::Unknown(_))
    }
}

impl From<IntegrityError> for RegistryError {
    fn from(error: IntegrityError) -> Self {
        match error {
            IntegrityError::Store(error) => Self::Log(error),
            IntegrityError::Unreadable(why) => Self::Unreadable(why),
            error @ (IntegrityError::Panicked(_) | IntegrityError::Abandoned(_)) => Self::Comparison(error),
        }
    }
}

impl From<sqlx::Error> for RegistryError {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error.into())
    }
}

/// Describes how many commands differ, and the first of them in full.
fn differences(shadow: &ShadowReport) -> String {
    let (different, commands) = (shadow.different, shadow.commands);
    let first = shadow.divergences.first().map(|first| format!(". The first: {first}")).unwrap_or_default();
    format!(" on {different} of {commands} commands{first}")
}

/// Describes what a version of a saga with open instances cannot take in.
fn follower_fails(handler: &Handler, follower: &FollowerReport) -> String {
    let FollowerReport { saga, version, open, failed, first_failed, unseen, .. } = follower;
    let mut remedy =
        "first activate a version of the saga that does, and move the instances to it (`clearfold saga \
                      migrate`)"
            .to_owned();
    let mut text = format!(
        "the saga {saga} follows the {handler}, and its version {version}, with {open} open instances, "
    );
    match first_failed {
        Some(first) => {
            text.push_str(&format!("cannot observe {failed} events of the component; the first: {first}"));
        }
        None => {
            text.push_str(&format!("does not observe {}, as the version in force does", unseen.join(", ")));
            remedy.push_str(", or say why it does not matter: --expect-divergence \"why\"");
        }
    }
    text.push_str(&format!("; {remedy}"));
    text
}

/// Describes how many instances could not go on, and the first of them.
fn cannot_move(handler: &Handler, report: &MigrationReport) -> String {
    let (stuck, open, faults) = (report.trial.stuck, report.trial.open, report.shadow.faults);
    let mut text = format!(
        "the version in force of the {handler} cannot go on with {stuck} of {open} open instances, and failed on {faults} \
         recorded inputs; nothing was moved"
    );
    if let Some(first) = report.trial.first_stuck.first() {
        text.push_str(&format!(". The first: {}: {}", first.instance, first.why));
    }
    if let Some(first) = report.shadow.divergences.first().filter(|_| faults > 0) {
        text.push_str(&format!(
            ". The first input that is decided otherwise, if not the first failure: {first}"
        ));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handler_and_the_aggregate_that_it_decides_are_found_from_each_other() {
        for (kind, name, aggregate) in [
            (ComponentKind::Decider, "authorization", "authorization"),
            (ComponentKind::Saga, "authorization", "saga-authorization"),
        ] {
            let handler = Handler { kind, name: name.to_owned() };
            assert_eq!((handler.aggregate().as_str(), Handler::deciding(aggregate)), (aggregate, handler));
        }
    }
}
