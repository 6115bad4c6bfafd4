//! Deciders by account: the one in force, or for a share of the accounts the canary.
//!
//! A set of deciders never changes. Another activation makes another set, and each partition takes it over between two
//! batches.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::Serialize;
use sha2::{Digest as _, Sha256};
use tokio::sync::watch;

use super::CommandError;
use crate::saga::{PREFIX, SagaDecider, SagaLogic};
use clearfold_base::digest::Digest;
use clearfold_sandbox::{Decides, Fault, FaultCause};

/// Newest set of deciders, which partitions take over.
pub type LiveDeciders = watch::Receiver<Arc<Deciders>>;

/// Deciders in force, by aggregate.
#[derive(Default)]
pub struct Deciders {
    /// Newest activation that the set follows from; 0 if it follows from none.
    pub through: u64,
    in_force: BTreeMap<String, AggregateDeciders>,
    /// Sagas in force, by the aggregate that they follow.
    followers: BTreeMap<String, Vec<Follower>>,
    /// Aggregates of the instances of paused sagas.
    paused: BTreeSet<String>,
}

/// Saga that follows streams.
#[derive(Clone)]
pub(crate) struct Follower {
    saga: Arc<dyn SagaLogic>,
    /// True if instances may run on other versions, which may observe other events.
    has_other_versions: bool,
}

impl Follower {
    pub(crate) fn name(&self) -> &str {
        self.saga.name()
    }

    /// Returns true if an instance may observe events of this type.
    pub(crate) fn may_observe(&self, kind: &str) -> bool {
        self.has_other_versions || self.saga.observes(kind)
    }

    /// Effects that an instance which begins with this event may request: those of its saga that the host offers.
    pub(crate) fn may_request(&self, kind: &str, offered: &[String]) -> Vec<String> {
        if !self.saga.starts_on(kind) {
            return Vec::new();
        }
        let wanted = self.saga.effects();
        offered.iter().filter(|effect| wanted.contains(effect)).cloned().collect()
    }
}

/// Deciders of one aggregate.
pub struct AggregateDeciders {
    pub stable: Arc<ActiveDecider>,
    pub canary: Option<Canary>,
}

/// Decider that is tried on some accounts.
pub struct Canary {
    /// Activation that put it there.
    pub since: u64,
    pub trial: Trial,
    pub running: Arc<ActiveDecider>,
}

/// Conditions of a canary.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Trial {
    /// Share of the accounts, in thousandths.
    pub permille: u16,
    /// Number of faults; one more ends the trial.
    pub max_faults: u64,
    /// Number of divergences; one more ends the trial.
    pub max_differences: u64,
}

/// Decider that decides in this host.
pub struct ActiveDecider {
    pub decider: Arc<dyn Decides>,
    /// Family of its states: the component that first made states like them. States of another family are not used.
    pub family: Digest,
    /// The saga, if it decides the instances of one.
    saga: Option<Follower>,
    faults: AtomicU64,
}

impl ActiveDecider {
    #[must_use]
    pub fn new(decider: Arc<dyn Decides>, family: Digest) -> Self {
        Self { decider, family, saga: None, faults: AtomicU64::new(0) }
    }

    #[must_use]
    pub fn of_saga(saga: &Arc<SagaDecider>, family: Digest, has_other_versions: bool) -> Self {
        let follower = Follower { saga: Arc::clone(saga.saga()), has_other_versions };
        Self { saga: Some(follower), ..Self::new(Arc::clone(saga) as Arc<dyn Decides>, family) }
    }

    #[must_use]
    pub fn digest(&self) -> Digest {
        self.decider.id().digest
    }

    /// Number of commands on which it failed in this host.
    #[must_use]
    pub fn faults(&self) -> u64 {
        self.faults.load(Ordering::Relaxed)
    }

    pub(super) fn count(&self, fault: &Fault) {
        // A lack of instances is not the component's fault.
        if fault.cause != FaultCause::NoInstance {
            self.faults.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Deciders {
    #[must_use]
    pub fn new(through: u64, in_force: BTreeMap<String, AggregateDeciders>) -> Self {
        let mut followers: BTreeMap<String, Vec<Follower>> = BTreeMap::new();
        for follower in in_force.values().filter_map(|in_force| in_force.stable.saga.as_ref()) {
            followers.entry(follower.saga.follows().to_owned()).or_default().push(follower.clone());
        }
        Self { through, in_force, followers, paused: BTreeSet::new() }
    }

    /// The same deciders, with these sagas paused: aggregates of their instances.
    #[must_use]
    pub fn pausing(self, paused: BTreeSet<String>) -> Self {
        Self { paused, ..self }
    }

    /// Returns true if an aggregate is that of the instances of a paused saga.
    #[must_use]
    pub fn is_paused(&self, aggregate: &str) -> bool {
        self.paused.contains(aggregate)
    }

    /// Aggregates of the instances of sagas that are not paused.
    pub(super) fn running_sagas(&self) -> impl Iterator<Item = &String> {
        self.in_force.keys().filter(|aggregate| aggregate.starts_with(PREFIX) && !self.is_paused(aggregate))
    }

    /// Sagas that follow the streams of an aggregate.
    pub(super) fn followers(&self, aggregate: &str) -> impl Iterator<Item = &Follower> {
        self.followers.get(aggregate).into_iter().flatten()
    }

    /// Deciders that are never replaced, each for all accounts.
    pub fn always<D: Decides + 'static>(deciders: impl IntoIterator<Item = Arc<D>>) -> LiveDeciders {
        let in_force = deciders.into_iter().map(|decider| {
            let decider: Arc<dyn Decides> = decider;
            let (aggregate, digest) = (decider.aggregate().to_owned(), decider.id().digest);
            (
                aggregate,
                AggregateDeciders { stable: Arc::new(ActiveDecider::new(decider, digest)), canary: None },
            )
        });
        watch::Sender::new(Arc::new(Self::new(0, in_force.collect()))).subscribe()
    }

    /// Decider of an account.
    #[must_use]
    pub fn of(&self, aggregate: &str, routing_key: &str) -> Option<&Arc<ActiveDecider>> {
        let in_force = self.in_force.get(aggregate)?;
        let canary = in_force.canary.as_ref().filter(|canary| place_of(routing_key) < canary.trial.permille);
        Some(canary.map_or(&in_force.stable, |canary| &canary.running))
    }

    /// Deciders by aggregate.
    #[must_use]
    pub fn in_force(&self) -> &BTreeMap<String, AggregateDeciders> {
        &self.in_force
    }

    #[must_use]
    pub fn know(&self, aggregate: &str) -> bool {
        self.in_force.contains_key(aggregate)
    }

    /// Answer to a command for an aggregate that has no decider.
    pub(super) fn unknown(&self, aggregate: &str) -> CommandError {
        let open = self.in_force.keys().filter(|aggregate| !aggregate.starts_with(PREFIX));
        let known = open.cloned().collect::<Vec<_>>().join(", ");
        CommandError::UnknownAggregate { aggregate: aggregate.to_owned(), known }
    }
}

/// Place of an account among a thousand: the same for all components, so that a share that grows keeps its accounts.
fn place_of(routing_key: &str) -> u16 {
    let digest = Sha256::new().chain_update("canary ").chain_update(routing_key).finalize();
    let mut head = [0; 8];
    head.copy_from_slice(&digest[..8]);
    // A remainder below 1,000 fits, so the 0 is never used.
    u16::try_from(u64::from_be_bytes(head) % 1_000).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::place_of;

    #[test]
    fn accounts_spread_evenly_and_keep_their_place() {
        let places = (0..10_000).map(|number| place_of(&format!("0x{number:040x}")));
        let below_a_tenth = places.filter(|place| *place < 100).count();
        assert!((900..1_100).contains(&below_a_tenth), "{below_a_tenth}");
        assert_eq!(place_of("0xaa"), place_of("0xaa"));
    }
}
