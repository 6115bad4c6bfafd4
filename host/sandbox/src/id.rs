//! The identity of a loaded component, as faults and events name it.

use std::fmt;
use std::sync::Arc;

use clearfold_base::digest::Digest;

/// Identity of a component: its id in `spin.toml`, and the digest of its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ComponentId {
    pub name: Arc<str>,
    pub digest: Digest,
}

impl fmt::Display for ComponentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.name, &hex::encode(&self.digest.0[..6]))
    }
}
