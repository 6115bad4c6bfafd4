//! Fields of the network's messages that we do not know: kept as they came, within bounds, and never what must not be
//! stored.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::forbidden;

/// Error for fields that cannot be kept. It never repeats a value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotKept {
    /// More fields than are kept.
    #[error("more than {} additional fields", Additional::MOST)]
    TooMany,
    /// More text than is kept.
    #[error("the additional fields have more than {} bytes", Additional::MOST_BYTES)]
    TooLong,
    /// A name that is empty, or has more levels or bytes than are kept.
    #[error(
        "the name of an additional field has 1 to {} bytes and at most {} levels",
        Additional::LONGEST_NAME,
        Additional::MOST_LEVELS
    )]
    Name,
    /// A name that is there already, perhaps since numbers of cards in both are truncated.
    #[error("{path:?} is the name of two additional fields")]
    Twice {
        /// Name of the field.
        path: String,
    },
    /// A private field as one text, in which data may stand that must not be stored.
    #[error("{path:?} as one text may hide a printed code; send its subfields as members")]
    Private {
        /// Name of the field.
        path: String,
    },
    /// Data that must not be stored after the authorization.
    #[error(
        "{path:?} holds {what}, which must not be stored (PCI DSS); send a token, or the result of its check"
    )]
    Forbidden {
        /// Name of the field.
        path: String,
        /// Kind of the data.
        what: &'static str,
    },
}

/// Additional fields of a message, by name: `loyalty.tiers[0]` is an element of a list, numbered from 0, that is a member
/// of an object. A value is the text of a string, or the JSON of anything else.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "BTreeMap<String, String>", try_from = "BTreeMap<String, String>")]
pub struct Additional(BTreeMap<String, String>);

impl Additional {
    /// Maximum number of fields.
    pub const MOST: usize = 64;
    /// Maximum length of all names and values together, in bytes.
    pub const MOST_BYTES: usize = 4_096;
    /// Maximum length of a name, in bytes.
    pub const LONGEST_NAME: usize = 128;
    /// Maximum number of levels of a name.
    pub const MOST_LEVELS: usize = 4;

    /// Returns true if there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the fields, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(path, text)| (path.as_str(), text.as_str()))
    }

    /// Returns a text as an answer may repeat it: no card's number in full, and no digit of a text with a track.
    #[must_use]
    pub fn shown(text: &str) -> String {
        forbidden::shown(text)
    }

    /// Adds a field. A card's number in it, or in its name, is kept with its first six and last four digits only.
    pub fn keep(&mut self, path: &str, text: &str) -> Result<(), NotKept> {
        Self::check(path, text)?;
        let (path, text) = (forbidden::truncated(path), forbidden::truncated(text));
        if self.0.contains_key(&path) {
            return Err(NotKept::Twice { path });
        }
        if self.0.len() >= Self::MOST {
            return Err(NotKept::TooMany);
        }
        let bytes = self
            .iter()
            .chain([(path.as_str(), text.as_str())])
            .flat_map(|(path, text)| [path.len(), text.len()]);
        if bytes.sum::<usize>() > Self::MOST_BYTES {
            return Err(NotKept::TooLong);
        }
        self.0.insert(path, text);
        Ok(())
    }

    fn check(path: &str, text: &str) -> Result<(), NotKept> {
        if let Some(what) = forbidden::what(path, text) {
            return Err(NotKept::Forbidden { path: forbidden::shown(path), what });
        }
        if forbidden::may_hide_a_code(path) {
            return Err(NotKept::Private { path: forbidden::shown(path) });
        }
        let fits = (1..=Self::LONGEST_NAME).contains(&path.len());
        if fits && path.split('.').count() <= Self::MOST_LEVELS { Ok(()) } else { Err(NotKept::Name) }
    }
}

impl TryFrom<BTreeMap<String, String>> for Additional {
    type Error = NotKept;

    fn try_from(fields: BTreeMap<String, String>) -> Result<Self, NotKept> {
        let mut kept = Self::default();
        fields.iter().try_for_each(|(path, text)| kept.keep(path, text))?;
        Ok(kept)
    }
}

impl From<Additional> for BTreeMap<String, String> {
    fn from(additional: Additional) -> Self {
        additional.0
    }
}

#[cfg(feature = "schema")]
impl schemars::JsonSchema for Additional {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Additional".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let description = "Fields of the message that we do not know, by name; a member of an object has the names of \
                           both, with a dot between them. No data of the card that must not be stored.";
        schemars::json_schema!({
            "description": description,
            "type": "object",
            "maxProperties": Self::MOST,
            "additionalProperties": {"type": "string"},
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_bounded() {
        let mut kept = Additional::default();
        for number in 0..Additional::MOST {
            kept.keep(&format!("extra_{number}"), "x").unwrap();
        }
        assert_eq!(kept.keep("one_more", "x"), Err(NotKept::TooMany));
        let mut kept = Additional::default();
        assert_eq!(kept.keep("long", &"x".repeat(Additional::MOST_BYTES)), Err(NotKept::TooLong));
        assert_eq!(kept.keep("a.b.c.d", "1"), Ok(()));
        for odd in ["", "a.b.c.d.e", &"n".repeat(129)] {
            assert_eq!(kept.keep(odd, "1"), Err(NotKept::Name), "{odd}");
        }
    }

    #[test]
    fn what_must_not_be_stored_is_named_and_never_repeated() {
        let refused = Additional::default().keep("card_data.track2", "9876543210").unwrap_err().to_string();
        assert!(refused.contains("card_data.track2") && refused.contains("track"), "{refused}");
        assert!(!refused.contains("9876"), "{refused}");
        assert!(serde_json::from_str::<Additional>(r#"{"pin_block":"0"}"#).is_err());
    }

    #[test]
    fn a_cards_number_is_truncated_wherever_it_stands() {
        let name = "limits.4111111111111111.day";
        let mut kept = Additional::default();
        kept.keep(name, "1").unwrap();
        let twice = kept.keep(name, "2").unwrap_err().to_string();
        assert_eq!(kept.iter().collect::<Vec<_>>(), [("limits.411111******1111.day", "1")]);
        let refused = kept.keep(&format!("{name}.pin"), "3").unwrap_err().to_string();
        assert!([twice, refused].iter().all(|error| error.contains("411111******1111")));
        let kept: Additional = serde_json::from_str(r#"{"note":"paid with 4111 1111 1111 1111"}"#).unwrap();
        assert_eq!(kept.iter().collect::<Vec<_>>(), [("note", "paid with 4111 11** **** 1111")]);
    }
}
