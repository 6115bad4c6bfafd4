//! Bytes and messages as they stand in a saga's events: JSON where it is JSON, so that people can read it.

use std::fmt;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

/// Bytes that the host does not look into. In JSON they stand as `{"json": …}`, byte for byte, if they are JSON
/// without space around it, and as `{"hex": "…"}` otherwise.
#[derive(Clone, Default, PartialEq, Eq)]
pub(crate) struct Bytes(pub Vec<u8>);

/// Readable form of bytes.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Readable {
    Json(Box<RawValue>),
    Hex(String),
}

impl Readable {
    fn of(bytes: &[u8]) -> Self {
        let text = std::str::from_utf8(bytes).ok();
        let json = text.and_then(|text| RawValue::from_string(text.to_owned()).ok());
        match json {
            Some(json) if json.get().as_bytes() == bytes => Self::Json(json),
            _ => Self::Hex(hex::encode(bytes)),
        }
    }
}

impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            return Readable::of(&self.0).serialize(serializer);
        }
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if !deserializer.is_human_readable() {
            return Vec::deserialize(deserializer).map(Self);
        }
        match Readable::deserialize(deserializer)? {
            Readable::Json(json) => Ok(Self(json.get().as_bytes().to_vec())),
            Readable::Hex(digits) => hex::decode(digits).map(Self).map_err(D::Error::custom),
        }
    }
}

impl fmt::Debug for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.0))
    }
}

/// Content of a command or of an event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Content {
    #[serde(rename = "type")]
    pub kind: String,
    pub schema_version: u32,
    pub payload: Bytes,
}

/// Command of a step to a stream of the same account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ChildCommand {
    pub aggregate: String,
    /// Id of the stream within that kind.
    pub id: String,
    /// True if it reports what was seen on chain.
    pub seen_on_chain: bool,
    pub message: Content,
}

/// Request of a step to something outside the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct EffectRequest {
    /// Name in the host's manifest.
    pub effect: String,
    /// JSON document.
    pub request: Bytes,
}

/// Message of a step: a command, or the request of an effect.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Sending {
    Command(ChildCommand),
    Effect(EffectRequest),
}

/// Answer to an effect that came.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum EffectAnswer {
    /// Answer of the other side.
    Answered(Bytes),
    /// Answer of the configured stand-in, and the reason why the other side gave none.
    StoodIn { answer: Bytes, why: String },
    /// Reason why no answer came in time, or why it is not known whether the request was carried out.
    Unanswered(String),
}

/// Reason why a command or a step was refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Refusal {
    /// Stable code.
    pub code: String,
    pub detail: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_stays_json_and_everything_comes_back_byte_for_byte() {
        let forms = [
            (&br#"{"b":1,"a":"x"}"#[..], r#"{"json":{"b":1,"a":"x"}}"#),
            (b" {} ", r#"{"hex":"207b7d20"}"#),
            (b"\xff\x00", r#"{"hex":"ff00"}"#),
            (b"", r#"{"hex":""}"#),
        ];
        for (bytes, form) in forms {
            let bytes = Bytes(bytes.to_vec());
            assert_eq!(serde_json::to_string(&bytes).unwrap(), form);
            assert_eq!(serde_json::from_str::<Bytes>(form).unwrap(), bytes);
            let state = clearfold_kernel::encode_state(&bytes).unwrap();
            assert_eq!(clearfold_kernel::decode_state::<Bytes>(&state).unwrap(), bytes);
        }
    }
}
