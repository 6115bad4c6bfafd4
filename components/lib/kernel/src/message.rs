//! Commands and events as data: a type, a schema version and JSON.
//!
//! A message's name and version are its contract with the log, so they are written down once, in the enum's
//! definition, and checked wherever bytes come in. There, too, old versions become new ones: what the log holds
//! is never rewritten, so every version that was ever written is read for ever, but nobody sees an old one.

use serde::de::DeserializeOwned;
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
    pub fn code(&self) -> &'static str {
        match self {
            Self::UnknownType(..) => "unknown_type",
            Self::UnknownVersion(..) => "unknown_schema_version",
            Self::Malformed(_, _, detail) => code_of(detail),
        }
    }
}

/// The code of a payload that does not fit. A value type that knows better what is wrong puts its own code in front
/// of its error: serde hands on nothing but the text.
fn code_of(detail: &str) -> &'static str {
    const OF_VALUES: [&str; 4] = ["amount_negative", "amount_too_precise", "amount_too_large", "invalid_id"];
    let told = detail.split(':').next().unwrap_or_default();
    OF_VALUES.into_iter().find(|code| *code == told).unwrap_or("malformed_payload")
}

/// A closed set of messages: the commands of a decider, or its events. Made by [`messages!`](crate::messages).
pub trait Message: Sized {
    /// All of them.
    const TYPES: &'static [MessageType];

    /// Reads a message of any version up to the newest.
    fn decode(kind: &str, schema_version: u32, payload: &[u8]) -> Result<Self, Undecodable>;

    /// Writes a message.
    fn encode(&self) -> Result<Encoded, Undecodable>;
}

/// A version of a message that is read but no longer written.
pub trait Superseded: DeserializeOwned {
    /// The version after it.
    type Next;

    /// What this says, in the words of the next version. Pure: it sees no state, no other event and no clock, and
    /// it cannot refuse, since what has happened has happened.
    fn upcast(self) -> Self::Next;
}

/// Defines an enum of messages, each the name of its payload's type and its schema version. A message beyond
/// version 1 also names the types of its old versions, the oldest first: `Opened = 3 from [OpenedV1, OpenedV2]`.
///
/// The calling crate has a feature `schema`. Behind it every type is a `JsonSchema` with an `Example`, and the set
/// is `Described`.
#[macro_export]
macro_rules! messages {
    ($(#[$doc:meta])* $vis:vis enum $set:ident {
        $($(#[$variant_doc:meta])* $name:ident = $version:literal $(from [$($old:ty),+ $(,)?])?),+ $(,)?
    }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq)]
        $vis enum $set { $($(#[$variant_doc])* $name($name)),+ }

        impl $crate::Message for $set {
            const TYPES: &'static [$crate::MessageType] =
                &[$($crate::MessageType { name: stringify!($name), schema_version: $version }),+];

            fn decode(kind: &str, schema_version: u32, payload: &[u8]) -> Result<Self, $crate::Undecodable> {
                match kind {
                    $(stringify!($name) => {
                        const READERS: &[$crate::message_internals::Reader<$name>] =
                            $crate::message_readers!([] $($($old,)+)? $name);
                        const _: () = assert!(READERS.len() == $version, "each old version has a type, in order");
                        $crate::message_internals::read(kind, schema_version, READERS, payload).map(Self::$name)
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

        #[cfg(feature = "schema")]
        impl $crate::schema::Described for $set {
            fn describe(role: $crate::schema::Role) -> Vec<$crate::schema::MessageSchema> {
                let types: &[(&str, &[$crate::schema::Describe])] = &[
                    $((stringify!($name), &[
                        $($($crate::schema::describe::<$old>,)+)?
                        $crate::schema::describe::<$name>,
                    ])),+
                ];
                $crate::schema::describe_all::<Self>(role, types)
            }
        }
    };
}

/// A reader for each version of a message, the oldest first: it parses that version and upcasts it step by step.
#[doc(hidden)]
#[macro_export]
macro_rules! message_readers {
    ([$($reader:expr),*]) => { &[$($reader),*] };
    ([$($reader:expr),*] $version:ty $(, $later:ty)*) => {
        $crate::message_readers!([$($reader,)* |payload| {
            let message: $version = $crate::message_internals::from_slice(payload)?;
            $(let message: $later = $crate::Superseded::upcast(message);)*
            Ok(message)
        }] $($later),*)
    };
}

/// What the macros' code calls; not for use by hand.
#[doc(hidden)]
pub mod internals {
    use serde::Serialize;
    use serde::de::DeserializeOwned;

    use super::{Encoded, Message, Undecodable};

    /// Reads one version of a message, and gives it as the newest.
    pub type Reader<T> = fn(&[u8]) -> serde_json::Result<T>;

    /// A function of its own for each message: put into one another where a stream is folded, the readers of all events
    /// became one of 170 KB, and the host's compiler took ten seconds and 1.7 GB for it.
    #[inline(never)]
    pub fn from_slice<T: DeserializeOwned>(payload: &[u8]) -> serde_json::Result<T> {
        serde_json::from_slice(payload)
    }

    pub fn unknown<M: Message>(kind: &str) -> Undecodable {
        let known: Vec<&str> = M::TYPES.iter().map(|known| known.name).collect();
        Undecodable::UnknownType(kind.to_owned(), known.join(", "))
    }

    pub fn read<T>(
        kind: &str,
        version: u32,
        readers: &[Reader<T>],
        payload: &[u8],
    ) -> Result<T, Undecodable> {
        let reader = version.checked_sub(1).and_then(|index| readers.get(index as usize));
        let reader = reader.ok_or_else(|| {
            let newest = u32::try_from(readers.len()).unwrap_or(u32::MAX);
            Undecodable::UnknownVersion(kind.to_owned(), version, newest)
        })?;
        reader(payload).map_err(|error| Undecodable::Malformed(kind.to_owned(), version, error.to_string()))
    }

    #[inline(never)]
    pub fn write<T: Serialize>(kind: &str, version: u32, payload: &T) -> Result<Encoded, Undecodable> {
        let payload = crate::json::to_vec(payload)
            .map_err(|error| Undecodable::Malformed(kind.to_owned(), version, error.to_string()))?;
        Ok(Encoded { kind: kind.to_owned(), schema_version: version, payload })
    }
}

#[cfg(test)]
mod tests {
    use serde::{Deserialize, Serialize};

    use super::*;

    /// For the test.
    #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
    #[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
    struct Opened {
        by: String,
        keys: u8,
    }

    #[derive(Deserialize, Serialize)]
    #[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
    struct OpenedV2 {
        by: String,
    }

    #[derive(Deserialize, Serialize)]
    #[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
    struct OpenedV1 {}

    impl Superseded for OpenedV1 {
        type Next = OpenedV2;

        fn upcast(self) -> OpenedV2 {
            OpenedV2 { by: "somebody".into() }
        }
    }

    impl Superseded for OpenedV2 {
        type Next = Opened;

        fn upcast(self) -> Opened {
            Opened { by: self.by, keys: 1 }
        }
    }

    messages! {
        /// For the test.
        enum Event {
            /// It was opened.
            Opened = 3 from [OpenedV1, OpenedV2],
        }
    }

    fn opened(by: &str, keys: u8) -> Event {
        Event::Opened(Opened { by: by.into(), keys })
    }

    #[test]
    fn a_message_survives_its_encoding() {
        let encoded = opened("me", 2).encode().unwrap();
        assert_eq!((encoded.kind.as_str(), encoded.schema_version), ("Opened", 3));
        let decoded = Event::decode(&encoded.kind, encoded.schema_version, &encoded.payload);
        assert_eq!(decoded, Ok(opened("me", 2)));
    }

    #[test]
    fn every_version_that_was_ever_written_is_read() {
        assert_eq!(Event::decode("Opened", 1, b"{}"), Ok(opened("somebody", 1)));
        assert_eq!(Event::decode("Opened", 2, br#"{"by":"me"}"#), Ok(opened("me", 1)));
        let malformed = Event::decode("Opened", 2, b"{}").unwrap_err();
        assert!(malformed.to_string().contains("`Opened` of version 2: missing field `by`"), "{malformed}");
    }

    #[test]
    fn what_is_not_understood_says_what_would_be() {
        let codes = [("Closed", 1, "{}"), ("Opened", 0, "{}"), ("Opened", 4, "{}"), ("Opened", 3, "{}")].map(
            |(kind, version, payload)| Event::decode(kind, version, payload.as_bytes()).unwrap_err().code(),
        );
        let expected =
            ["unknown_type", "unknown_schema_version", "unknown_schema_version", "malformed_payload"];
        assert_eq!(codes, expected);
    }

    /// Nobody looks at these messages, but behind the feature every message has an example.
    #[cfg(feature = "schema")]
    impl<T: Serialize> crate::schema::Example for T {
        fn example() -> serde_json::Value {
            serde_json::Value::Null
        }
    }
}
