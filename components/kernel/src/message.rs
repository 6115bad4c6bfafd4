//! Commands and events as data: a type, a schema version and JSON.
//!
//! A message's name and version are its contract with the log, so they are written down once, in the enum's
//! definition, and checked wherever bytes come in.

use serde::{Deserialize, Serialize};

/// A message in the form that crosses borders and is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Encoded {
    /// The message's name.
    pub kind: String,
    /// The version of the payload's schema.
    pub schema_version: u32,
    /// JSON.
    pub payload: Vec<u8>,
}

/// A name and the newest schema version that is understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct MessageType {
    /// The message's name.
    pub name: &'static str,
    /// The newest version that is read, and the one that is written.
    pub schema_version: u32,
}

/// Why bytes are not a message that we know.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Undecodable {
    /// No message has that name.
    #[error("`{0}` is not a known type; known are {1}")]
    UnknownType(String, String),
    /// The message is known, that version of it is not.
    #[error("`{0}` has no schema version {1}; the newest is {2}")]
    UnknownVersion(String, u32, u32),
    /// The payload does not fit its schema.
    #[error("the payload is not a `{0}` of version {1}: {2}")]
    Malformed(String, u32, String),
}

impl Undecodable {
    /// The stable code under which a caller is told.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::UnknownType(..) => "unknown_type",
            Self::UnknownVersion(..) => "unknown_schema_version",
            Self::Malformed(..) => "malformed_payload",
        }
    }
}

/// A closed set of messages: the commands of a decider, or its events. Made by [`messages!`](crate::messages).
pub trait Message: Sized {
    /// All of them.
    const TYPES: &'static [MessageType];

    /// Reads a message.
    fn decode(kind: &str, schema_version: u32, payload: &[u8]) -> Result<Self, Undecodable>;

    /// Writes a message.
    fn encode(&self) -> Result<Encoded, Undecodable>;
}

/// Defines an enum of messages, each the name of its payload's type and its schema version.
#[macro_export]
macro_rules! messages {
    ($(#[$doc:meta])* $vis:vis enum $set:ident { $($(#[$variant_doc:meta])* $name:ident = $version:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq)]
        $vis enum $set { $($(#[$variant_doc])* $name($name)),+ }

        impl $crate::Message for $set {
            const TYPES: &'static [$crate::MessageType] =
                &[$($crate::MessageType { name: stringify!($name), schema_version: $version }),+];

            fn decode(kind: &str, schema_version: u32, payload: &[u8]) -> Result<Self, $crate::Undecodable> {
                match kind {
                    $(stringify!($name) => {
                        $crate::message_internals::read(kind, schema_version, $version, payload).map(Self::$name)
                    })+
                    _ => Err($crate::message_internals::unknown::<Self>(kind)),
                }
            }

            fn encode(&self) -> Result<$crate::Encoded, $crate::Undecodable> {
                match self {
                    $(Self::$name(payload) => {
                        $crate::message_internals::write(stringify!($name), $version, payload)
                    })+
                }
            }
        }
    };
}

/// What the macro's code calls; not for use by hand.
#[doc(hidden)]
pub mod internals {
    use serde::Serialize;
    use serde::de::DeserializeOwned;

    use super::{Encoded, Message, Undecodable};

    pub fn unknown<M: Message>(kind: &str) -> Undecodable {
        let known: Vec<&str> = M::TYPES.iter().map(|known| known.name).collect();
        Undecodable::UnknownType(kind.to_owned(), known.join(", "))
    }

    pub fn read<T: DeserializeOwned>(
        kind: &str,
        version: u32,
        newest: u32,
        payload: &[u8],
    ) -> Result<T, Undecodable> {
        if version != newest {
            return Err(Undecodable::UnknownVersion(kind.to_owned(), version, newest));
        }
        serde_json::from_slice(payload)
            .map_err(|error| Undecodable::Malformed(kind.to_owned(), version, error.to_string()))
    }

    pub fn write<T: Serialize>(kind: &str, version: u32, payload: &T) -> Result<Encoded, Undecodable> {
        let payload = serde_json::to_vec(payload)
            .map_err(|error| Undecodable::Malformed(kind.to_owned(), version, error.to_string()))?;
        Ok(Encoded { kind: kind.to_owned(), schema_version: version, payload })
    }
}

#[cfg(test)]
mod tests {
    use serde::{Deserialize, Serialize};

    use super::*;

    #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
    struct Opened {
        by: String,
    }

    messages! {
        /// For the test.
        enum Event {
            /// It was opened.
            Opened = 2,
        }
    }

    #[test]
    fn a_message_survives_its_encoding() {
        let event = Event::Opened(Opened { by: "me".into() });
        let encoded = event.encode().unwrap();
        assert_eq!((encoded.kind.as_str(), encoded.schema_version), ("Opened", 2));
        assert_eq!(Event::decode(&encoded.kind, encoded.schema_version, &encoded.payload), Ok(event));
    }

    #[test]
    fn what_is_not_understood_says_what_would_be() {
        let codes = [("Closed", 1, "{}"), ("Opened", 3, "{}"), ("Opened", 2, "{}")].map(
            |(kind, version, payload)| Event::decode(kind, version, payload.as_bytes()).unwrap_err().code(),
        );
        assert_eq!(codes, ["unknown_type", "unknown_schema_version", "malformed_payload"]);
    }
}
