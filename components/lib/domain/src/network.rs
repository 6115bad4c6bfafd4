//! The card network's words: who was paid, through which network, in which currency, and who pays in the end.

use std::fmt;

use clearfold_kernel::{Amount, Asset, Conversion, ExternalId, FxError, Minor, Rate};
use serde::{Deserialize, Serialize};

use crate::policy::assets::KnownAsset;

/// What a suspended clearing turned out to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum SuspenseOutcome {
    /// A payment of its own: the customer pays.
    Charged,
    /// A duplicate: the network takes it back.
    Returned,
}

/// Who turned out to pay for an unlinked refund.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum RefundOutcome {
    /// The network does.
    Paid,
    /// Nobody: the customer was credited in error.
    TakenBack,
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

/// Who was paid, as the network says it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Merchant {
    /// The acquirer's id of the merchant.
    pub id: ExternalId,
    /// The name that the customer reads.
    pub name: String,
    /// What the merchant sells.
    pub category: MerchantCategory,
    /// Where it sells.
    pub country: Country,
}

/// A text that is no code of four digits or two letters.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no {1}")]
pub struct InvalidCode(String, &'static str);

/// A merchant category code (ISO 18245). In JSON four digits: `"5812"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct MerchantCategory(u16);

impl MerchantCategory {
    /// The category of that number, if it has at most four digits.
    #[must_use]
    pub const fn new(number: u16) -> Option<Self> {
        if number <= 9999 { Some(Self(number)) } else { None }
    }

    /// The number.
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

/// What the merchant was paid in its own currency, and the network's rate into the account's asset.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Presented {
    /// In the merchant's currency: `{"minor":"1250","asset":"USD","decimals":2}`.
    pub amount: Amount,
    /// Units of the account's asset for one unit of that currency.
    pub rate: Rate,
}

impl Presented {
    /// What it comes to in an asset, rounded once, half to even, to the cents in which the asset is charged.
    pub fn charge(&self, asset: KnownAsset) -> Result<Conversion, FxError> {
        self.rate.convert(&self.amount, &Asset::from(asset), asset.charge_decimals)
    }
}

/// What a conversion's rounding took from the exact amount or gave to it: at most one of them is above zero. The
/// rounding account settles it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Residue {
    /// What the exact amount was more than the charge.
    pub over: Minor,
    /// What the exact amount was less than the charge.
    pub under: Minor,
}

#[cfg(feature = "schema")]
mod schema {
    use std::borrow::Cow;

    use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

    use super::{Country, MerchantCategory};

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

#[cfg(test)]
mod tests {
    use super::*;

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
