//! Description of messages for people and for programs in any language: JSON Schema 2020-12, and an example.
//!
//! Generated from the types that read and write the messages, so that the two cannot diverge. Only behind the feature
//! `schema`: none of it is ever compiled into a component.

use std::borrow::Cow;

use schemars::generate::{Contract, SchemaSettings};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::{Value, json};

use crate::{
    Address, Amount, Asset, Decider, Encoded, ExternalId, Hash, Message, Minor, Rate, Timestamp, Undecodable,
};

/// Example of a message type. Written by hand, so that it also tests the type.
pub trait Example {
    /// Returns one message of this type as JSON.
    fn example() -> Value;
}

/// Role of a message. The schema of a command describes what is accepted, that of an event what is written: an
/// address is accepted in upper and lower case, but always written in lower case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Request that something happen.
    Command,
    /// Record of something that happened.
    Event,
}

/// Schema of one version of one message.
#[derive(Debug, Clone)]
pub struct MessageSchema {
    /// Name of the message.
    pub name: &'static str,
    /// Version, from 1.
    pub version: u32,
    /// True if it is the newest version, the one that is written.
    pub is_newest: bool,
    /// Command or event.
    pub role: Role,
    /// JSON Schema with `title`, `description` and `examples`.
    pub document: Value,
    rewrite: fn(&str, u32, &[u8]) -> Result<Encoded, Undecodable>,
}

impl MessageSchema {
    /// Reads a payload of this version and encodes it in the newest.
    pub fn rewrite(&self, payload: &[u8]) -> Result<Encoded, Undecodable> {
        (self.rewrite)(self.name, self.version, payload)
    }
}

/// Set of messages that has schemas. Implemented by [`messages!`](crate::messages).
pub trait Described: Message {
    /// Returns the schemas of all versions of all messages.
    fn describe(role: Role) -> Vec<MessageSchema>;
}

/// Returns the schemas of all messages of a decider.
#[must_use]
pub fn of_decider<D: Decider>() -> Vec<MessageSchema>
where
    D::Command: Described,
    D::Event: Described,
{
    let mut all = D::Command::describe(Role::Command);
    all.extend(D::Event::describe(Role::Event));
    all
}

#[doc(hidden)]
pub type Describe = fn(Role) -> Schema;

#[doc(hidden)]
#[must_use]
pub fn describe<T: JsonSchema + Example>(role: Role) -> Schema {
    let settings = SchemaSettings::draft2020_12();
    let settings = match role {
        Role::Command => settings.for_deserialize(),
        Role::Event => settings.for_serialize(),
    };
    let mut schema = settings.into_generator().into_root_schema_for::<T>();
    schema.insert("examples".into(), json!([T::example()]));
    schema
}

#[doc(hidden)]
#[must_use]
pub fn describe_all<M: Message>(role: Role, types: &[(&'static str, &[Describe])]) -> Vec<MessageSchema> {
    let versions = |(name, versions): &(&'static str, &[Describe])| {
        let (name, count) = (*name, versions.len());
        let of_version = move |(version, describe): (u32, &Describe)| {
            let mut schema = describe(role);
            schema.insert("title".into(), format!("{name} v{version}").into());
            let is_newest = version as usize == count;
            MessageSchema {
                name,
                version,
                is_newest,
                role,
                document: schema.to_value(),
                rewrite: rewrite::<M>,
            }
        };
        (1..).zip(*versions).map(of_version).collect::<Vec<_>>()
    };
    types.iter().flat_map(versions).collect()
}

fn rewrite<M: Message>(kind: &str, version: u32, payload: &[u8]) -> Result<Encoded, Undecodable> {
    M::decode(kind, version, payload)?.encode()
}

/// Implements `JsonSchema` for a value type whose rules a derive cannot see. The domain's tests of its messages check
/// that this schema matches what the type accepts and writes.
macro_rules! value_type {
    ($name:ident, |$generator:ident| $schema:expr) => {
        impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema($generator: &mut SchemaGenerator) -> Schema {
                $schema
            }
        }
    };
}

value_type!(Minor, |_generator| json_schema!({
    "description": "A whole number of an asset's smallest unit, in decimal digits. At most 2^128 - 1.",
    "type": "string",
    "pattern": "^(0|[1-9][0-9]{0,38})$",
}));

value_type!(Asset, |generator| json_schema!({
    "description": "What an amount is of.",
    "type": "object",
    "properties": {
        "asset": {"description": "The code that people know: `EURe`, `GBPe`, `USDC.e`.", "type": "string"},
        "decimals": described::<u8>(generator, "Digits behind the point: one EURe is 10^18 minor units."),
    },
    "required": ["asset", "decimals"],
}));

value_type!(Amount, |generator| {
    let mut schema = Asset::json_schema(generator);
    schema.insert("description".into(), "An amount of an asset.".into());
    let minor = described::<Minor>(generator, "How many of the smallest unit.");
    if let Some(properties) = schema.get_mut("properties").and_then(Value::as_object_mut) {
        properties.insert("minor".into(), minor.to_value());
    }
    schema.insert("required".into(), json!(["minor", "asset", "decimals"]));
    schema
});

value_type!(ExternalId, |_generator| json_schema!({
    "description": "An id as its maker writes it: printable ASCII without a space.",
    "type": "string",
    "pattern": "^[!-~]{1,128}$",
}));

value_type!(Rate, |_generator| json_schema!({
    "description": "A decimal number, exact: units of one currency for one unit of another.",
    "type": "string",
    "pattern": "^(0|[1-9][0-9]*)(\\.[0-9]+)?$",
}));

value_type!(Address, |generator| hexadecimal(generator, "The address of a contract or an account.", 40));
value_type!(Hash, |generator| hexadecimal(generator, "The hash of a block or a transaction.", 64));

value_type!(Timestamp, |generator| match generator.contract() {
    Contract::Serialize => json_schema!({
        "description": "A point in time: RFC 3339 in UTC, to the millisecond.",
        "type": "string",
        "format": "date-time",
        "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\\.[0-9]{3}Z$",
    }),
    _ => json_schema!({
        "description": "A point in time in RFC 3339 form; what is finer than a millisecond is cut off.",
        "type": "string",
        "format": "date-time",
    }),
});

fn hexadecimal(generator: &SchemaGenerator, description: &str, digits: usize) -> Schema {
    let digit = if *generator.contract() == Contract::Serialize { "[0-9a-f]" } else { "[0-9a-fA-F]" };
    let pattern = format!("^0x{digit}{{{digits}}}$");
    json_schema!({"description": description, "type": "string", "pattern": pattern})
}

fn described<T: JsonSchema>(generator: &mut SchemaGenerator, description: &str) -> Schema {
    let mut schema = generator.subschema_for::<T>();
    schema.insert("description".into(), description.into());
    schema
}
