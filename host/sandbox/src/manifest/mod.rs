//! `spin.toml`: the one description of what runs, as plain values.
//!
//! Reading it is pure but for the file itself: the environment is an argument, and components are not
//! opened. What comes out is complete and consistent (every trigger has its component, every variable a
//! value), so nobody after this has to check again. [`Manifest::read`] reads the file as a person writes it;
//! [`Locked::read`] reads the form that Spin hands to a trigger program.

mod error;
mod locked;
mod outbound;
mod raw;
mod resolve;
mod route;
#[cfg(test)]
mod tests;
mod variables;

pub use error::{Fault, ManifestError};
pub use locked::{LOCKED_URL, Locked};
pub use outbound::OutboundHost;
pub use route::Route;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// An application. Without `Debug`, as its variables may be secrets.
pub struct Manifest {
    pub name: String,
    pub version: String,
    pub http: Vec<HttpTrigger>,
    pub handlers: Vec<HandlerTrigger>,
    /// By id.
    pub components: BTreeMap<String, Component>,
}

/// A component that answers HTTP requests.
#[derive(Debug)]
pub struct HttpTrigger {
    pub route: Route,
    /// Its id among the components.
    pub component: String,
}

/// A component that holds business.
#[derive(Debug)]
pub struct HandlerTrigger {
    pub kind: HandlerKind,
    /// The translator's or auditor's name, the decider's aggregate, or the projector's projection.
    pub name: String,
    /// Its id among the components.
    pub component: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HandlerKind {
    Translator,
    Decider,
    Projector,
    Auditor,
}

pub struct Component {
    /// An absolute path. The file need not exist yet.
    pub source: PathBuf,
    pub variables: BTreeMap<String, String>,
    pub allowed_outbound_hosts: Vec<OutboundHost>,
}

impl Manifest {
    /// Reads the file at `path`. `environment` answers what a variable of the environment holds:
    /// `SPIN_VARIABLE_HOST_URL` overrides the variable `host_url`.
    pub fn read(path: &Path, environment: impl Fn(&str) -> Option<String>) -> Result<Self, ManifestError> {
        let unreadable = |source| ManifestError::Unreadable { path: path.to_owned(), source };
        let path = std::path::absolute(path).map_err(unreadable)?;
        let text = std::fs::read_to_string(&path).map_err(unreadable)?;
        resolve::manifest(&path, &text, environment)
    }

    /// The component that answers requests for `path`, if any: the exact route, else the longest wildcard.
    pub fn http_trigger(&self, path: &str) -> Option<&HttpTrigger> {
        let matching = self.http.iter().filter(|trigger| trigger.route.matches(path));
        matching.max_by_key(|trigger| trigger.route.precedence())
    }
}

impl HandlerKind {
    pub const ALL: [Self; 4] = [Self::Translator, Self::Decider, Self::Projector, Self::Auditor];

    /// As the manifest writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Translator => "translator",
            Self::Decider => "decider",
            Self::Projector => "projector",
            Self::Auditor => "auditor",
        }
    }

    /// The key that holds the name of a handler of this kind.
    fn name_key(self) -> &'static str {
        match self {
            Self::Translator | Self::Auditor => "name",
            Self::Decider => "aggregate",
            Self::Projector => "projection",
        }
    }
}
