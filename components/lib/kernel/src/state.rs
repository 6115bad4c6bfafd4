//! Binary form of states: postcard, which writes neither names nor types.
//!
//! Only a decider of the same family and state version reads a state, so the bytes need not describe themselves.
//! Entries, messages and answers stay JSON (ADR 0018).

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::StateFault;

/// Initial capacity in bytes, enough for a typical state.
const USUAL: usize = 256;

/// Writes a state.
///
/// A type in a state must not leave fields out (`skip_serializing_if`), merge them (`flatten`) or be told apart by its
/// content (`untagged`, `tag`). Every change of such a type, even a new order of its fields, needs a new state version:
/// otherwise bytes of the old form could be read as something else.
pub fn encode_state<S: Serialize>(state: &S) -> Result<Vec<u8>, StateFault> {
    postcard::to_extend(state, Vec::with_capacity(USUAL)).map_err(StateFault::unreadable)
}

/// Reads a state. Fails if the bytes end too early or too late.
pub fn decode_state<S: DeserializeOwned>(bytes: &[u8]) -> Result<S, StateFault> {
    match postcard::take_from_bytes(bytes).map_err(StateFault::unreadable)? {
        (state, []) => Ok(state),
        (_, rest) => Err(StateFault::unreadable(format!("{} bytes follow the state", rest.len()))),
    }
}

/// Implements serde for a value type that is a text in messages, as `Display` and `FromStr` have it, and its raw value
/// in the binary form of a state.
macro_rules! text_or_raw {
    ($name:ident, $raw:ty, $to_raw:expr, $from_raw:expr) => {
        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                if serializer.is_human_readable() {
                    return String::from(*self).serialize(serializer);
                }
                let to_raw: fn(Self) -> $raw = $to_raw;
                to_raw(*self).serialize(serializer)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                if deserializer.is_human_readable() {
                    let text = String::deserialize(deserializer)?;
                    return Self::try_from(text).map_err(serde::de::Error::custom);
                }
                let from_raw: fn($raw) -> Option<Self> = $from_raw;
                let unreadable = || serde::de::Error::custom(concat!("no ", stringify!($name)));
                from_raw(<$raw>::deserialize(deserializer)?).ok_or_else(unreadable)
            }
        }
    };
}

pub(crate) use text_or_raw;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Address, Amount, Asset, Hash, Minor, Timestamp};

    fn reads_back<T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug>(value: &T, bytes: &[u8]) {
        assert_eq!(encode_state(value).unwrap(), bytes);
        assert_eq!(decode_state::<T>(bytes).unwrap(), *value);
    }

    #[test]
    fn value_types_are_short_in_a_state_and_text_in_json() {
        reads_back(&Minor::new(300), &[0xac, 2]);
        reads_back(&Timestamp::from_ms(300).unwrap(), &[0xac, 2]);
        reads_back(&Address([7; 20]), &[7; 20]);
        reads_back(&Hash([9; 32]), &[9; 32]);
        let amount = Amount { minor: Minor::new(5), asset: Asset { code: "EURe".into(), decimals: 18 } };
        assert_eq!(serde_json::to_string(&amount).unwrap(), r#"{"minor":"5","asset":"EURe","decimals":18}"#);
        reads_back(&amount, b"\x05\x04EURe\x12");
    }

    #[test]
    fn what_is_no_state_is_a_fault() {
        let far = encode_state(&u64::MAX).unwrap();
        assert_eq!(
            decode_state::<Timestamp>(&far).unwrap_err().to_string(),
            "the state cannot be read or written: \
            Serde Deserialization Error"
        );
        for bytes in [&b""[..], &[0x80], &[1, 1]] {
            assert!(decode_state::<Minor>(bytes).is_err(), "{bytes:?}");
        }
        let fault = decode_state::<Minor>(&[1, 1]).unwrap_err();
        assert!(fault.to_string().ends_with("1 bytes follow the state"), "{fault}");
    }
}
