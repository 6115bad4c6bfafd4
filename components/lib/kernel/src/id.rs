//! Ids assigned by other systems: a network's message, a card, a merchant.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Error for a text that cannot be an id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid_id: an id has 1 to {} printable ASCII characters and no space", ExternalId::MAX_LENGTH)]
pub struct InvalidId;

/// Id as its issuer writes it: 1 to 128 printable ASCII characters, so that it can appear in tables, logs and URLs.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct ExternalId(String);

impl ExternalId {
    /// Maximum length in characters.
    pub const MAX_LENGTH: usize = 128;

    /// Returns the id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ExternalId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for ExternalId {
    type Error = InvalidId;

    fn try_from(text: String) -> Result<Self, InvalidId> {
        let fits = (1..=Self::MAX_LENGTH).contains(&text.len());
        if fits && text.bytes().all(|byte| byte.is_ascii_graphic()) { Ok(Self(text)) } else { Err(InvalidId) }
    }
}

impl FromStr for ExternalId {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        text.to_owned().try_into()
    }
}

impl From<ExternalId> for String {
    fn from(id: ExternalId) -> String {
        id.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_printable_and_of_bounded_length() {
        for good in ["a", "clr-1", "0x9a8b", &"x".repeat(128)] {
            assert_eq!(good.parse::<ExternalId>().unwrap().as_str(), good);
        }
        for bad in ["", " ", "a b", "caf\u{e9}", "a\n", &"x".repeat(129)] {
            assert_eq!(bad.parse::<ExternalId>(), Err(InvalidId), "{bad:?}");
        }
    }
}
