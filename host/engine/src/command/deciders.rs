//! Which decider decides for which account: the one in force, or for a share of the accounts the one that is tried.
//!
//! A set of deciders never changes. Another activation makes another set, and each partition takes it over between two
//! batches.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::Serialize;
use sha2::{Digest as _, Sha256};
use tokio::sync::watch;

use clearfold_base::digest::Digest;
use clearfold_sandbox::{Decider, Fault, FaultCause};

/// The deciders that shall decide now.
pub type LiveDeciders = watch::Receiver<Arc<Deciders>>;

/// The deciders in force, by the aggregate that each decides for.
#[derive(Default)]
pub struct Deciders {
    /// The newest activation that is in it; 0 if it follows from none.
    pub through: u64,
    in_force: BTreeMap<String, InForce>,
}

/// What decides for one aggregate.
pub struct InForce {
    pub stable: Arc<Running>,
    pub canary: Option<Canary>,
}

/// A decider that is tried on some accounts, and the activation that put it there.
pub struct Canary {
    pub since: u64,
    pub trial: Trial,
    pub running: Arc<Running>,
}

/// How a component is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Trial {
    /// Of a thousand accounts.
    pub permille: u16,
    /// More of these end it.
    pub max_faults: u64,
    pub max_differences: u64,
}

/// A decider at work.
pub struct Running {
    pub decider: Arc<Decider>,
    /// The component that first made states as this one makes them: their *family*. Of another family a state is not used.
    pub family: Digest,
    faults: AtomicU64,
}

impl Running {
    #[must_use]
    pub fn new(decider: Arc<Decider>, family: Digest) -> Self {
        Self { decider, family, faults: AtomicU64::new(0) }
    }

    #[must_use]
    pub fn digest(&self) -> Digest {
        self.decider.id().digest
    }

    /// Commands that it failed on, in this host.
    #[must_use]
    pub fn faults(&self) -> u64 {
        self.faults.load(Ordering::Relaxed)
    }

    pub(super) fn count(&self, fault: &Fault) {
        // What the host lacks is not held against it.
        if fault.cause != FaultCause::NoInstance {
            self.faults.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Deciders {
    #[must_use]
    pub fn new(through: u64, in_force: BTreeMap<String, InForce>) -> Self {
        Self { through, in_force }
    }

    /// Deciders that nobody replaces, each for all accounts.
    pub fn always(deciders: impl IntoIterator<Item = Arc<Decider>>) -> LiveDeciders {
        let in_force = deciders.into_iter().map(|decider| {
            let (aggregate, digest) = (decider.aggregate().to_owned(), decider.id().digest);
            (aggregate, InForce { stable: Arc::new(Running::new(decider, digest)), canary: None })
        });
        watch::Sender::new(Arc::new(Self::new(0, in_force.collect()))).subscribe()
    }

    /// Who decides for an account.
    #[must_use]
    pub fn of(&self, aggregate: &str, routing_key: &str) -> Option<&Arc<Running>> {
        let in_force = self.in_force.get(aggregate)?;
        let canary = in_force.canary.as_ref().filter(|canary| place_of(routing_key) < canary.trial.permille);
        Some(canary.map_or(&in_force.stable, |canary| &canary.running))
    }

    /// By aggregate.
    #[must_use]
    pub fn in_force(&self) -> &BTreeMap<String, InForce> {
        &self.in_force
    }

    #[must_use]
    pub fn know(&self, aggregate: &str) -> bool {
        self.in_force.contains_key(aggregate)
    }

    #[must_use]
    pub fn aggregates(&self) -> String {
        self.in_force.keys().cloned().collect::<Vec<_>>().join(", ")
    }
}

/// An account's place among a thousand: the same for all components, so that a share that grows keeps its accounts.
fn place_of(routing_key: &str) -> u16 {
    let digest = Sha256::new().chain_update("canary ").chain_update(routing_key).finalize();
    let mut head = [0; 8];
    head.copy_from_slice(&digest[..8]);
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
