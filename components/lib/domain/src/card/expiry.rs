//! Expiry of a card: the last month in which it pays, and its renewal.
//!
//! A card is valid to the end of the month, in UTC. A card without an expiry date was issued before cards had one, and
//! pays until it is closed.

use std::fmt;

use clearfold_kernel::{CommandContext, Rejection, Timestamp};
use serde::{Deserialize, Serialize};

use super::messages::{CardRenewed, Event, RenewCard};
use super::period::year_and_month;
use super::state::Issued;

/// Month in which a card expires. In JSON year and month: `"2029-11"`. It is the date that is printed on the card, and
/// that ISO 8583 field 14 carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct ExpiryMonth {
    year: u16,
    month: u8,
}

/// Error for a text that is no month.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no month: expected year and month, like 2029-11")]
pub struct InvalidMonth(String);

impl ExpiryMonth {
    /// Returns true if the month is over.
    #[must_use]
    pub fn is_over(self, now: Timestamp) -> bool {
        year_and_month(now) > (self.year.into(), self.month.into())
    }
}

impl fmt::Display for ExpiryMonth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}", self.year, self.month)
    }
}

impl From<ExpiryMonth> for String {
    fn from(month: ExpiryMonth) -> String {
        month.to_string()
    }
}

impl TryFrom<String> for ExpiryMonth {
    type Error = InvalidMonth;

    fn try_from(text: String) -> Result<Self, InvalidMonth> {
        let read = || {
            let (year, month) =
                text.split_once('-').filter(|(year, month)| (year.len(), month.len()) == (4, 2))?;
            let is_plain = |digits: &str| digits.bytes().all(|digit| digit.is_ascii_digit());
            let read = is_plain(year)
                .then_some(year)?
                .parse()
                .ok()
                .zip(is_plain(month).then_some(month)?.parse().ok());
            read.filter(|(_, month)| (1..=12).contains(month))
        };
        match read() {
            Some((year, month)) => Ok(Self { year, month }),
            None => Err(InvalidMonth(text)),
        }
    }
}

#[cfg(feature = "schema")]
impl schemars::JsonSchema for ExpiryMonth {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "ExpiryMonth".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let description = "Month in which a card expires: year and month. It pays to the month's end in UTC.";
        schemars::json_schema!(
            {"description": description, "type": "string", "pattern": "^[0-9]{4}-(0[1-9]|1[0-2])$"}
        )
    }
}

pub(super) fn renew(
    card: &Issued,
    renew: &RenewCard,
    context: &CommandContext,
) -> Result<Vec<Event>, Rejection> {
    card.frozen_for()?;
    if card.expires == Some(renew.expires) {
        return Ok(Vec::new());
    }
    if card.expires.is_some_and(|expires| renew.expires < expires)
        || renew.expires.is_over(context.accepted_at)
    {
        let until =
            card.expires.map_or_else(|| "without an end".to_owned(), |expires| format!("until {expires}"));
        let detail = format!("{} is no later month; the card is valid {until}", renew.expires);
        return Err(Rejection::new("invalid_expiry", detail));
    }
    let (account, expires, at) = (card.account, renew.expires, context.accepted_at);
    Ok(vec![Event::CardRenewed(CardRenewed { account, expires, at })])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_card_is_valid_to_the_end_of_its_month() {
        let month: ExpiryMonth = serde_json::from_str("\"2028-02\"").unwrap();
        assert_eq!(serde_json::to_string(&month).unwrap(), "\"2028-02\"");
        assert!(!month.is_over("2028-02-29T23:59:59.999Z".parse().unwrap()));
        assert!(month.is_over("2028-03-01T00:00:00.000Z".parse().unwrap()));
        for bad in ["2028-13", "2028-00", "28-02", "2028-2", "+028-02", "2028/02", "2028-02-01"] {
            assert!(ExpiryMonth::try_from(bad.to_owned()).is_err(), "{bad}");
        }
    }
}
