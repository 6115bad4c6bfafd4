//! Vocabulary of the card network: merchant, network, currency conversion, what its messages state besides, and the
//! outcomes of items in suspense.

mod additional;
mod details;
mod fees;
mod forbidden;
mod matching;
mod numbers;

use std::fmt;
use std::str::FromStr;

use clearfold_kernel::{Amount, Asset, Conversion, ExternalId, FxError, Minor, Rate};
use serde::{Deserialize, Serialize};

pub use additional::{Additional, NotKept};
pub use details::{Details, FieldText, InvalidFieldText, Original, StatedAmount, TransactionType};
pub use fees::{FeeAmount, FeeDirection, FeeKind, FeeList, InvalidFees, NetworkFee, NetworkFees};
pub use matching::{ClearingMatch, Confidence, MatchKey};
pub use numbers::Numbers;

use crate::policy::assets::KnownAsset;

/// Returns true if an id is a card's number or a track, which must not be stored (PCI DSS). Between letters, such digits
/// are there by chance.
#[must_use]
pub fn is_card_number(id: &str) -> bool {
    !id.bytes().any(|byte| byte.is_ascii_alphabetic()) && forbidden::in_text(id).is_some()
}

/// Outcome of a suspended clearing, as found by investigation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum SuspenseOutcome {
    /// It is a payment of its own: the customer pays.
    Charged,
    /// It is a duplicate: the network takes it back.
    Returned,
}

/// Outcome of an unlinked refund, as found by investigation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum RefundOutcome {
    /// The network pays the refund; the customer keeps the money.
    Paid,
    /// Nobody pays: the customer was credited in error, and the money is taken back.
    TakenBack,
    /// The money is what was pulled for a payment, sent back: the customer's own, and no credit.
    Returned,
    /// The network told of the same refund, on the stream of its payment: it is credited once.
    Matched,
}

/// Cycle of a dispute: a step of the network in which money may move.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum DisputeCycle {
    /// We charge the payment back, whole or in part: the acquirer pays.
    Chargeback,
    /// The merchant contests the chargeback by a second presentment: we pay again.
    Representment,
    /// One side accepts the other's pre-arbitration.
    PreArbitration,
    /// The network rules.
    Arbitration,
    /// We withdraw: no more is expected of the network, and we bear what its money lacks of the award.
    Withdrawal,
}

impl DisputeCycle {
    /// Returns the direction in which money moves in the cycle; `None` if that depends on the side that gives in.
    #[must_use]
    pub const fn usual_direction(self) -> Option<DisputeDirection> {
        match self {
            Self::Chargeback => Some(DisputeDirection::Received),
            Self::Representment | Self::Withdrawal => Some(DisputeDirection::Paid),
            Self::PreArbitration | Self::Arbitration => None,
        }
    }
}

/// Direction in which a dispute's money moves, as we see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum DisputeDirection {
    /// The acquirer pays us.
    Received,
    /// We pay the acquirer.
    Paid,
}

/// A card network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Network {
    /// Visa.
    Visa,
    /// Mastercard.
    Mastercard,
}

/// Merchant that is paid, as the network describes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Merchant {
    /// Merchant id, assigned by the acquirer.
    pub id: MerchantId,
    /// Name that is shown to the customer.
    pub name: String,
    /// Merchant category code (ISO 18245): what the merchant sells.
    pub category: MerchantCategory,
    /// Country where the merchant sells (ISO 3166-1, two capital letters).
    pub country: Country,
}

/// Error: a text that is not a code of four digits or of two capital letters.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no {1}")]
pub struct InvalidCode(String, &'static str);

/// Error for a text that cannot be a merchant's id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "invalid_id: a merchant's id has 1 to {} printable ASCII characters, not all of them blanks",
    ExternalId::MAX_LENGTH
)]
pub struct InvalidMerchantId;

/// Id of a merchant, as the acquirer writes it: printable ASCII, blanks included, without those that fill the field up
/// (ISO 8583 field 42 has fifteen characters).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct MerchantId(String);

impl MerchantId {
    /// Returns the id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for MerchantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for MerchantId {
    type Error = InvalidMerchantId;

    fn try_from(mut text: String) -> Result<Self, InvalidMerchantId> {
        text.truncate(text.trim_end_matches(' ').len());
        let fits = (1..=ExternalId::MAX_LENGTH).contains(&text.len());
        let is_printable = text.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic());
        if fits && is_printable { Ok(Self(text)) } else { Err(InvalidMerchantId) }
    }
}

impl FromStr for MerchantId {
    type Err = InvalidMerchantId;

    fn from_str(text: &str) -> Result<Self, InvalidMerchantId> {
        text.to_owned().try_into()
    }
}

impl From<MerchantId> for String {
    fn from(id: MerchantId) -> String {
        id.0
    }
}

/// A merchant category code (ISO 18245). In JSON four digits: `"5812"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct MerchantCategory(u16);

impl MerchantCategory {
    /// Returns the category of that number, or None if it has more than four digits.
    #[must_use]
    pub const fn new(number: u16) -> Option<Self> {
        if number <= 9999 { Some(Self(number)) } else { None }
    }

    /// Returns the category as a number, from 0 to 9999.
    #[must_use]
    pub const fn get(self) -> u16 {
        self.0
    }
}

impl fmt::Display for MerchantCategory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}", self.0)
    }
}

impl TryFrom<String> for MerchantCategory {
    type Error = InvalidCode;

    fn try_from(text: String) -> Result<Self, InvalidCode> {
        let plain = text.len() == 4 && text.bytes().all(|digit| digit.is_ascii_digit());
        let number = if plain { text.parse().ok().and_then(Self::new) } else { None };
        number.ok_or(InvalidCode(text, "merchant category: expected four digits, like 5812"))
    }
}

impl From<MerchantCategory> for String {
    fn from(category: MerchantCategory) -> String {
        category.to_string()
    }
}

/// A country (ISO 3166-1). In JSON two capital letters: `"DE"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Country([u8; 2]);

impl Country {
    /// Returns the two letters.
    #[must_use]
    pub const fn letters(self) -> [u8; 2] {
        self.0
    }
}

impl fmt::Display for Country {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|letter| write!(f, "{}", char::from(*letter)))
    }
}

impl TryFrom<String> for Country {
    type Error = InvalidCode;

    fn try_from(text: String) -> Result<Self, InvalidCode> {
        match text.as_bytes() {
            &[first, second] if first.is_ascii_uppercase() && second.is_ascii_uppercase() => {
                Ok(Self([first, second]))
            }
            _ => Err(InvalidCode(text, "country: expected two capital letters, like DE")),
        }
    }
}

impl From<Country> for String {
    fn from(country: Country) -> String {
        country.to_string()
    }
}

/// Amount in the merchant's currency, and the network's exchange rate into the account's asset.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Presented {
    /// Amount in the merchant's currency: `{"minor":"1250","asset":"USD","decimals":2}`.
    pub amount: Amount,
    /// Exchange rate: units of the account's asset for one unit of the merchant's currency.
    pub rate: Rate,
}

impl Presented {
    /// Converts the amount to an asset, rounded once, half to even, to the cents in which the asset is charged.
    pub fn charge(&self, asset: KnownAsset) -> Result<Conversion, FxError> {
        self.rate.convert(&self.amount, &Asset::from(asset), asset.charge_decimals)
    }

    /// Converts the amount to an asset without rounding it to cents.
    pub fn exactly(&self, asset: KnownAsset) -> Result<Minor, FxError> {
        let Conversion { charged, over, under } = self.charge(asset)?;
        Ok(charged.minor.plus(over)?.minus(under)?)
    }
}

/// Difference of the network's amount from our own exact conversion, in minor units of the charged asset: rounding, a
/// fee, another rate. At most one field is above zero; both are zero without a conversion, and if what was presented
/// cannot be converted. Information only: what the network states is what is charged and settled.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Residue {
    /// Amount by which our exact conversion exceeds the network's amount.
    pub over: Minor,
    /// Amount by which the network's amount exceeds our exact conversion.
    pub under: Minor,
}

#[cfg(feature = "schema")]
mod schema {
    use std::borrow::Cow;

    use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

    use super::{Country, MerchantCategory, MerchantId};

    impl JsonSchema for MerchantId {
        fn schema_name() -> Cow<'static, str> {
            "MerchantId".into()
        }

        fn json_schema(_: &mut SchemaGenerator) -> Schema {
            let description = "Id of a merchant, as the acquirer writes it: printable ASCII. Blanks at the end are dropped.";
            json_schema!({"description": description, "type": "string", "pattern": "^[ -~]{1,128}$"})
        }
    }

    impl JsonSchema for MerchantCategory {
        fn schema_name() -> Cow<'static, str> {
            "MerchantCategory".into()
        }

        fn json_schema(_: &mut SchemaGenerator) -> Schema {
            let description = "A merchant category code (ISO 18245): four digits.";
            json_schema!({"description": description, "type": "string", "pattern": "^[0-9]{4}$"})
        }
    }

    impl JsonSchema for Country {
        fn schema_name() -> Cow<'static, str> {
            "Country".into()
        }

        fn json_schema(_: &mut SchemaGenerator) -> Schema {
            let description = "A country (ISO 3166-1): two capital letters.";
            json_schema!({"description": description, "type": "string", "pattern": "^[A-Z]{2}$"})
        }
    }
}

/// Reason for which a `Spend` that somebody else submitted is a payment's money.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum MatchBasis {
    /// Account, asset and exact amount agree, and nothing else of the time does. High confidence.
    OnlyOne,
    /// Several agree, and this is the oldest. Which of them it is changes no sum.
    OldestOfSeveral,
    /// The payment was given back before its money moved, and no other agrees. Low confidence.
    GivenBack,
    /// An operator linked them.
    Operator,
}

impl MatchBasis {
    /// Words of the reasons that a match is found for, each as the detail of a refusal has it.
    const FOUND: [(Self, &'static str); 3] = [
        (Self::OnlyOne, "only_one"),
        (Self::OldestOfSeveral, "oldest_of_several"),
        (Self::GivenBack, "given_back"),
    ];

    /// Returns the word of the reason.
    #[must_use]
    pub fn word(self) -> &'static str {
        Self::FOUND.iter().find(|(basis, _)| *basis == self).map_or("operator", |(_, word)| word)
    }

    /// Reads the word of a reason that a match is found for.
    #[must_use]
    pub fn of_word(word: &str) -> Option<Self> {
        Self::FOUND.iter().find(|(_, known)| *known == word).map(|(basis, _)| *basis)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_merchants_id_keeps_its_blanks_but_not_the_filling_of_its_field() {
        for (given, kept) in [("SHOP 00 123", "SHOP 00 123"), ("5265           ", "5265"), (" 1", " 1")] {
            assert_eq!(given.parse::<MerchantId>().unwrap().as_str(), kept);
        }
        for bad in ["", "   ", "a\n", "caf\u{e9}", &"x".repeat(129)] {
            assert_eq!(bad.parse::<MerchantId>(), Err(InvalidMerchantId), "{bad:?}");
        }
    }

    #[test]
    fn codes_read_as_they_are_written() {
        for (json, number) in [("\"0742\"", 742), ("\"5812\"", 5812)] {
            let category: MerchantCategory = serde_json::from_str(json).unwrap();
            assert_eq!((category.get(), serde_json::to_string(&category).unwrap().as_str()), (number, json));
        }
        assert_eq!(serde_json::from_str::<Country>("\"DE\"").unwrap().to_string(), "DE");
        for bad in ["\"581\"", "\"+581\"", "\"58120\"", "5812"] {
            assert!(serde_json::from_str::<MerchantCategory>(bad).is_err(), "{bad}");
        }
        for bad in ["\"de\"", "\"D\"", "\"DEU\"", "\"\u{e9}\""] {
            assert!(serde_json::from_str::<Country>(bad).is_err(), "{bad}");
        }
    }
}
