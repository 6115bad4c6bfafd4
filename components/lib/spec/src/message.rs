//! Command or event as a specification writes it: `RecordSwipe: {…}`, with further members beside it.
//!
//! The type is the member's name and the payload its value, so that a line reads like a sentence. A schema version
//! beyond the first follows the type: `ClearingPosted v2`.

use std::collections::BTreeMap;

use clearfold_kernel::Encoded;
use serde::Deserialize;
use serde_json::Value;

use crate::difference::{differences, readable};

/// Members that are allowed beside a message's type and payload.
pub(crate) trait Beside {
    /// Names of the members, for the error about a misspelt one.
    const MEMBERS: &'static str;
}

/// No members beside the message.
#[derive(Debug, Deserialize)]
pub(crate) struct Alone {}

impl Beside for Alone {
    const MEMBERS: &'static str = "nothing";
}

/// Message of a specification.
#[derive(Debug, Deserialize)]
#[serde(try_from = "Written<B>", bound = "B: Beside + Deserialize<'de>")]
pub(crate) struct Message<B> {
    pub beside: B,
    pub kind: String,
    schema_version: u32,
    payload: Value,
}

#[derive(Deserialize)]
struct Written<B> {
    #[serde(flatten)]
    beside: B,
    // Members that no field of `beside` took.
    #[serde(flatten)]
    rest: BTreeMap<String, Value>,
}

impl<B: Beside> TryFrom<Written<B>> for Message<B> {
    type Error = String;

    fn try_from(written: Written<B>) -> Result<Self, String> {
        let names: Vec<String> = written.rest.keys().map(|name| format!("`{name}`")).collect();
        let mut members = written.rest.into_iter();
        let (Some((name, payload)), None) = (members.next(), members.next()) else {
            let found = if names.is_empty() { "none".to_owned() } else { names.join(" and ") };
            return Err(format!(
                "a message has one member that names its type, like `RecordSwipe: {{…}}`, but this one has {found}; \
                 beside it may stand {}",
                B::MEMBERS
            ));
        };
        exact(&payload)?;
        let (kind, schema_version) = versioned(&name).ok_or_else(|| {
            format!("`{name}` is no type, nor a type with its version like `ClearingPosted v2`")
        })?;
        Ok(Self { beside: written.beside, kind, schema_version, payload })
    }
}

/// Splits a name into the type and the schema version, which is 1 if absent.
fn versioned(name: &str) -> Option<(String, u32)> {
    let (kind, version) = match name.split_once(' ') {
        None => (name, 1),
        Some((kind, version)) => {
            (kind, version.strip_prefix('v')?.parse().ok().filter(|version| *version > 1)?)
        }
    };
    (!kind.is_empty()).then(|| (kind.to_owned(), version))
}

impl<B> Message<B> {
    /// Encodes the message in the form that crosses the sandbox boundary.
    pub(crate) fn encoded(&self) -> Result<Encoded, String> {
        let payload = serde_json::to_vec(&self.payload).map_err(|error| error.to_string())?;
        Ok(Encoded { kind: self.kind.clone(), schema_version: self.schema_version, payload })
    }

    /// Returns the name as a specification writes it: the type, with its version if that is not 1.
    pub(crate) fn name(&self) -> String {
        written_name(&self.kind, self.schema_version)
    }

    /// Returns the differences between this expected message and the one received.
    pub(crate) fn differences(&self, place: &str, got: &Encoded) -> Vec<String> {
        let (name, got_name) = (self.name(), written_name(&got.kind, got.schema_version));
        if name != got_name {
            return vec![format!("{place}: expected {name}, got {got_name} {}", readable(&got.payload))];
        }
        match serde_json::from_slice(&got.payload) {
            Ok(payload) => differences(&format!("{place}, {name}"), &self.payload, &payload),
            Err(error) => vec![format!("{place}: the payload of the {name} is no JSON: {error}")],
        }
    }
}

/// Returns the name that a specification would give to a message.
pub(crate) fn written_name(kind: &str, schema_version: u32) -> String {
    if schema_version == 1 { kind.to_owned() } else { format!("{kind} v{schema_version}") }
}

/// Refuses numbers that would lose digits: YAML reads `1.5`, and whole numbers beyond 64 bits, as floats.
pub(crate) fn exact(value: &Value) -> Result<(), String> {
    match value {
        Value::Number(number) if number.is_f64() => {
            Err(format!("{number} is no whole number of 64 bits; write its digits in quotes"))
        }
        Value::Array(items) => items.iter().try_for_each(exact),
        Value::Object(members) => members.values().try_for_each(exact),
        _ => Ok(()),
    }
}
