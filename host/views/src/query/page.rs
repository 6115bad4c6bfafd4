//! Cursor of a page: the time and id of its last row, so that pages neither repeat nor skip rows while rows are added.

use std::fmt;
use std::str::FromStr;

use clearfold_kernel::Timestamp;

/// A place between two rows. Its text is opaque to callers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageCursor {
    pub occurred_at: Timestamp,
    pub id: String,
}

/// A text is no cursor that this API gave out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the cursor is not one that this API gave out; leave it out to begin with the first page")]
pub struct InvalidCursor;

impl fmt::Display for PageCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(format!("{}/{}", self.occurred_at.as_ms(), self.id)))
    }
}

impl FromStr for PageCursor {
    type Err = InvalidCursor;

    fn from_str(text: &str) -> Result<Self, InvalidCursor> {
        let bytes = hex::decode(text).map_err(|_| InvalidCursor)?;
        let text = String::from_utf8(bytes).map_err(|_| InvalidCursor)?;
        let (ms, id) = text.split_once('/').ok_or(InvalidCursor)?;
        let occurred_at = ms.parse().ok().and_then(Timestamp::from_ms).ok_or(InvalidCursor)?;
        if id.is_empty() || id.contains('\0') {
            return Err(InvalidCursor);
        }
        Ok(Self { occurred_at, id: id.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_survives_its_text() {
        let cursor = PageCursor { occurred_at: Timestamp::from_ms(1_500).unwrap(), id: "ab/cd".into() };
        assert_eq!(cursor.to_string().parse(), Ok(cursor));
    }

    #[test]
    fn what_was_not_given_out_is_refused() {
        for text in [
            "",
            "zz",
            "ff",
            &hex::encode("12"),
            &hex::encode("x/id"),
            &hex::encode("12/"),
            &hex::encode("1/\0"),
        ] {
            assert_eq!(text.parse::<PageCursor>(), Err(InvalidCursor), "{text}");
        }
    }
}
