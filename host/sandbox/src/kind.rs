//! The kinds of component that there are, as the manifest, the registry and the command line call them.

use std::fmt;
use std::str::FromStr;

/// What a component is for: its world.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ComponentKind {
    Translator,
    Decider,
    Projector,
    Auditor,
    /// Answers HTTP requests, at the edge.
    Http,
}

impl ComponentKind {
    pub const ALL: [Self; 5] = [Self::Translator, Self::Decider, Self::Projector, Self::Auditor, Self::Http];

    /// As it is written everywhere.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Translator => "translator",
            Self::Decider => "decider",
            Self::Projector => "projector",
            Self::Auditor => "auditor",
            Self::Http => "http",
        }
    }
}

impl fmt::Display for ComponentKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A word that is no kind.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is no kind of component; kinds are translator, decider, projector, auditor, http")]
pub struct UnknownKind(String);

impl FromStr for ComponentKind {
    type Err = UnknownKind;

    fn from_str(word: &str) -> Result<Self, UnknownKind> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == word).ok_or_else(|| UnknownKind(word.to_owned()))
    }
}
