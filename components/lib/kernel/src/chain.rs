//! Identifiers on an EVM chain: addresses, hashes, and the source log of a payment.
//!
//! Each is always written the same way: lower-case hexadecimal after `0x`. Any case is read, so that a pasted
//! checksummed address finds its account.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::state::text_or_raw;

/// Error for a text that is not `0x` followed by the right number of hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no {what}: expected 0x and {digits} hexadecimal digits")]
pub struct InvalidHex {
    text: String,
    what: &'static str,
    digits: usize,
}

macro_rules! fixed_bytes {
    ($(#[$doc:meta])* $name:ident, $len:literal, $what:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub [u8; $len]);

        text_or_raw!($name, [u8; $len], |value| value.0, |bytes| Some(Self(bytes)));

        impl $name {
            /// Converts the bytes; `None` if the length is wrong.
            #[must_use]
            pub fn from_slice(bytes: &[u8]) -> Option<Self> {
                bytes.try_into().ok().map(Self)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&String::from(*self))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = InvalidHex;

            fn from_str(text: &str) -> Result<Self, InvalidHex> {
                let invalid = || InvalidHex { text: text.to_owned(), what: $what, digits: 2 * $len };
                let digits = text.strip_prefix("0x").ok_or_else(invalid)?;
                // `decode_to_slice` would skip a second `0x`.
                if digits.len() != 2 * $len {
                    return Err(invalid());
                }
                let mut bytes = [0; $len];
                hex::decode_to_slice(digits, &mut bytes).map_err(|_| invalid())?;
                Ok(Self(bytes))
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidHex;

            fn try_from(text: String) -> Result<Self, InvalidHex> {
                text.parse()
            }
        }

        impl From<$name> for String {
            // Every message and every state writes many of these. Through the formatter they would take a third of a
            // decision's time.
            fn from(value: $name) -> String {
                hex::encode_prefixed(value.0)
            }
        }
    };
}

fixed_bytes!(
    /// Address of a contract or an account, 20 bytes.
    Address,
    20,
    "address"
);
fixed_bytes!(
    /// Hash of a block, a transaction or an event signature, 32 bytes.
    Hash,
    32,
    "hash"
);

/// Log that a payment was seen in. Chain id, block hash and log index identify it; the other fields help to find it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ChainSource {
    /// EIP-155 chain id.
    pub chain_id: u64,
    /// Hash of the block that included the transaction.
    pub block_hash: Hash,
    /// Height of that block.
    pub block_number: u64,
    /// Hash of the transaction. One transaction may hold many payments.
    pub transaction_hash: Hash,
    /// Position of the log in the block, over all its transactions.
    pub log_index: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checksummed_address_reads_and_writes_in_lower_case() {
        let text = "0x4822521E6135CD2599199c83Ea35179229A172EE";
        let address: Address = text.parse().unwrap();
        assert_eq!(address.to_string(), text.to_lowercase());
    }

    #[test]
    fn what_is_no_address_is_refused_with_its_text() {
        for text in [
            "",
            "0x",
            "4822521E6135CD2599199c83Ea35179229A172EE",
            "0x4822",
            "0x+822521E6135CD2599199c83Ea35179229A172EE",
            "0x0x22521E6135CD2599199c83Ea35179229A172EE",
            "0x0x4822521E6135CD2599199c83Ea35179229A172EE",
        ] {
            let error = text.parse::<Address>().unwrap_err();
            assert!(error.to_string().contains("40 hexadecimal digits"), "{error}");
        }
    }
}
