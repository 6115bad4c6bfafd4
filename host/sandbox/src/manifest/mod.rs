//! `spin.toml`: the one description of what runs, as plain values.
//!
//! Apart from opening the file, reading is pure: the environment is an argument, and components are not opened. The
//! result is complete and consistent (every trigger has its component, every variable a value), so its readers need
//! not check it again. [`Manifest::read`] reads the file as a person writes it; [`Locked::read`] reads the form that
//! Spin hands to a trigger program.

mod effect;
mod error;
mod locked;
mod outbound;
mod raw;
mod resolve;
mod route;
#[cfg(test)]
mod tests;
mod variables;

pub use effect::ManifestEffect;
pub use error::{EntryError, ManifestError};
pub use locked::{LOCKED_URL, Locked};
pub use outbound::OutboundHost;
pub use route::Route;

use crate::ComponentKind;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Application. It has no `Debug`, because its variables may be secrets.
pub struct Manifest {
    pub name: String,
    pub version: String,
    pub http: Vec<HttpTrigger>,
    pub handlers: Vec<HandlerTrigger>,
    /// Effects of sagas that this application offers, by name.
    pub effects: BTreeMap<String, ManifestEffect>,
    /// Components by id.
    pub components: BTreeMap<String, ManifestComponent>,
}

/// HTTP trigger: the route of a component that answers requests.
#[derive(Debug)]
pub struct HttpTrigger {
    pub route: Route,
    /// Id of its component.
    pub component: String,
}

/// Trigger of the type `clearfold`: the handler that a component is for.
#[derive(Debug)]
pub struct HandlerTrigger {
    /// Kind of the handler; never one for which [`ComponentKind::is_handler`] is false.
    pub kind: ComponentKind,
    /// The translator's, saga's or auditor's name, the decider's aggregate, or the projector's projection.
    pub name: String,
    /// Id of its component.
    pub component: String,
}

/// Component as the manifest describes it.
pub struct ManifestComponent {
    /// Absolute path of its file, which need not exist yet.
    pub source: PathBuf,
    pub variables: BTreeMap<String, String>,
    pub allowed_outbound_hosts: Vec<OutboundHost>,
}

impl Manifest {
    /// Reads the file at `path`. `environment` returns the value of an environment variable:
    /// `SPIN_VARIABLE_HOST_URL` overrides the variable `host_url`.
    pub fn read(path: &Path, environment: impl Fn(&str) -> Option<String>) -> Result<Self, ManifestError> {
        let unreadable = |source| ManifestError::Unreadable { path: path.to_owned(), source };
        let path = std::path::absolute(path).map_err(unreadable)?;
        let text = std::fs::read_to_string(&path).map_err(unreadable)?;
        resolve::manifest(&path, &text, environment)
    }

    /// Finds the trigger that answers requests for `path`: the exact route, else the longest wildcard.
    pub fn http_trigger(&self, path: &str) -> Option<&HttpTrigger> {
        let matching = self.http.iter().filter(|trigger| trigger.route.matches(path));
        matching.max_by_key(|trigger| trigger.route.precedence())
    }
}
