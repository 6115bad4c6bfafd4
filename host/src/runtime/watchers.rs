//! The handlers that only look at what happened.

use std::sync::Arc;

use tokio::sync::watch;

use super::{Auditor, Projector};

/// Projectors and auditors that are in force together.
#[derive(Clone, Default)]
pub struct Watchers {
    pub projectors: Vec<Arc<Projector>>,
    pub auditors: Vec<Arc<Auditor>>,
}

impl Watchers {
    /// Watchers that nobody replaces.
    #[must_use]
    pub fn always(self) -> watch::Receiver<Arc<Self>> {
        watch::Sender::new(Arc::new(self)).subscribe()
    }
}
