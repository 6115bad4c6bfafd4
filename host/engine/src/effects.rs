//! Effects: requests of sagas to something outside the log, by the names that the manifest gives them (ADR 0023).
//!
//! The request is committed first, with the event of the saga. Then the host that writes the partition carries it out,
//! and the outcome comes back to the saga as a command. After a crash or a takeover it is carried out again, under the
//! same identity.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use clearfold_kernel::Timestamp;
use futures::future::BoxFuture;

pub use crate::saga::Outcome;

/// Request to carry out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EffectCall {
    /// The same for each repetition, and for no other request: `saga-…/effect/N`.
    pub identity: String,
    /// JSON document.
    pub request: Vec<u8>,
    /// Time of the commit, by the log's clock.
    pub requested_at: Timestamp,
}

/// Executor of the effects of one name. A request may come again, under the same identity.
pub trait Effect: Send + Sync {
    /// Number of requests of one partition that are under way at once.
    fn concurrency(&self) -> u32;

    /// Carries out a request. It ends: a request that cannot be answered is unanswered at some time.
    fn carry_out(&self, call: EffectCall) -> BoxFuture<'_, Outcome>;
}

/// Effects that a host offers, by name. Cheap to clone.
#[derive(Clone, Default)]
pub struct Effects(Arc<BTreeMap<String, Arc<dyn Effect>>>);

impl Effects {
    #[must_use]
    pub fn new(effects: BTreeMap<String, Arc<dyn Effect>>) -> Self {
        Self(Arc::new(effects))
    }

    /// Names of all of them.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        self.0.keys().cloned().collect()
    }

    /// Finds what carries out an effect.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Arc<dyn Effect>> {
        self.0.get(name)
    }
}

impl fmt::Debug for Effects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}
