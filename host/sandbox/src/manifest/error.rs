//! The errors of a manifest. Every message names the file, the entry in it, and the remedy.

use super::LOCKED_URL;
use crate::ComponentKind;
use std::path::PathBuf;

/// Reason why a manifest cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    #[error("{}: the manifest cannot be read; give the path of a spin.toml", path.display())]
    Unreadable { path: PathBuf, source: std::io::Error },
    #[error("{}: this is not a Spin manifest; correct the place that is shown", path.display())]
    Malformed { path: PathBuf, source: Box<toml::de::Error> },
    #[error(
        "{LOCKED_URL} is not set; Spin sets it when it starts this program as the trigger of `spin up`, \
         alone it is `clearfold up`"
    )]
    NotLocked,
    #[error(
        "{LOCKED_URL} is {url:?}, which is no file URL; it must be as Spin writes it, file:///…/spin.lock"
    )]
    LockedUrl { url: String },
    #[error("{}: the application that {LOCKED_URL} names cannot be read; start it with `spin up`", path.display())]
    LockedUnreadable { path: PathBuf, source: std::io::Error },
    #[error("{}: {LOCKED_URL} names no locked application; start it with `spin up`", path.display())]
    LockedMalformed { path: PathBuf, source: serde_json::Error },
    #[error("{}: {entry}: {error}", path.display())]
    Entry { path: PathBuf, entry: String, error: EntryError },
}

/// Error in one entry of a manifest.
#[derive(Debug, PartialEq, thiserror::Error)]
pub enum EntryError {
    #[error("the version is {0}, and only version 2 is understood; write spin_manifest_version = 2")]
    Version(i64),
    #[error(
        "the version is {0}, and only 0 and 1 are understood; use a Spin that writes one of them, as 4.1 does"
    )]
    LockVersion(i64),
    #[error(
        "this host does not know it, and the application cannot do without; take out of spin.toml what needs it"
    )]
    NotUnderstood,
    #[error("it is not as Spin writes it ({0}); correct it in spin.toml")]
    Shape(String),
    #[error("it has no file; a handler needs one: build it, and give its path as the source in spin.toml")]
    NoFile,
    #[error("{0:?} is no address to listen at; write IP:PORT, like 127.0.0.1:9100")]
    Address(String),
    #[error("no such kind of trigger is served here; use trigger.http or trigger.clearfold")]
    TriggerType,
    #[error("the kind {0:?} is unknown; use {kinds}", kinds = handler_kinds())]
    Kind(String),
    #[error("the key {key:?} with the {kind}'s name is missing or not text; add it")]
    NameMissing { kind: &'static str, key: &'static str },
    #[error("the key {0:?} is not known here; remove it or correct its spelling")]
    UnknownKey(String),
    #[error("there is no [component.{0}]; add it, or correct the trigger's component")]
    ComponentMissing(String),
    #[error("another trigger has the same route; give each its own")]
    DuplicateRoute,
    #[error("another trigger has the same kind and name; keep one of them")]
    DuplicateHandler,
    #[error("{0:?} is not a route; write a path such as /edge/payments, or /edge/... for all below /edge")]
    Route(String),
    #[error("it has neither a default nor required = true; add one of them")]
    Undecided,
    #[error("it is required and has no value; set {0} in the environment")]
    ValueMissing(String),
    #[error("the template {0:?} has no end; close it with }}}}")]
    OpenTemplate(String),
    #[error("the variable {0:?} is not declared; add it under [variables]")]
    Undeclared(String),
    #[error("it is no name of an effect; use a-z, 0-9 and -, beginning with a letter, 63 at most")]
    EffectName,
    #[error(
        "its url is no http:// or https:// address; correct it, or leave it empty to offer no such effect"
    )]
    EffectUrl,
    #[error("its stand_in is no JSON ({0}); write the document that answers for the other side")]
    StandIn(String),
    #[error("{key} is {value}; it is from 1 to {most}")]
    OutOfRange { key: &'static str, value: u32, most: u32 },
    #[error("{host:?} is not an outbound host ({reason}); write scheme://host:port, * for any")]
    OutboundHost { host: String, reason: &'static str },
}

/// Names the kinds of handler, such as "translator, decider or auditor".
fn handler_kinds() -> String {
    let mut text = String::new();
    let mut kinds = ComponentKind::ALL.into_iter().filter(|kind| kind.is_handler()).peekable();
    while let Some(kind) = kinds.next() {
        let separator = match (text.is_empty(), kinds.peek()) {
            (true, _) => "",
            (false, Some(_)) => ", ",
            (false, None) => " or ",
        };
        text = text + separator + kind.as_str();
    }
    text
}
