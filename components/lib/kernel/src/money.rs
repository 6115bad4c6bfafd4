//! Money: a whole number of an asset's smallest unit, and the asset with its scale.
//!
//! Arithmetic is checked; amounts are never negative and never floats. 128 bits hold more than 10^20 units of an
//! asset with 18 decimals; a larger amount reported by a chain is refused on entry.

use std::fmt;
use std::str::FromStr;

use serde::ser::SerializeStruct;
use serde::{Deserialize, Serialize, Serializer};

use crate::state::text_or_raw;

/// Reason why an amount could not be read or computed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MoneyError {
    /// The text is not a plain decimal number.
    #[error(
        "`{0}` is not an amount in minor units: expected decimal digits without sign, point or leading zeros"
    )]
    NotDecimal(String),
    /// The text has a minus sign.
    #[error(
        "amount_negative: `{0}` is below zero; give a positive amount, the command says which way it moves"
    )]
    Negative(String),
    /// The text has digits after a decimal point.
    #[error("amount_too_precise: `{0}` is finer than the asset's smallest unit; give whole minor units")]
    TooPrecise(String),
    /// The result does not fit.
    #[error("amount_too_large: the amount exceeds 2^128 - 1 minor units")]
    Overflow,
    /// The result would be negative.
    #[error("the amount would fall below zero")]
    Underflow,
}

/// Whole number of an asset's smallest unit. In JSON it is a string of decimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Minor(u128);

text_or_raw!(Minor, u128, |minor| minor.0, |units| Some(Self(units)));

impl Minor {
    /// Zero units.
    pub const ZERO: Self = Self(0);

    /// Largest amount that one command may move: 2^96 - 1, which is 79 billion of an asset with 18 decimals. Four
    /// billion such amounts still add up in 128 bits, so no sum of them can overflow.
    pub const LARGEST_AMOUNT: Self = Self((1 << 96) - 1);

    /// Creates an amount of that many units.
    #[must_use]
    pub const fn new(units: u128) -> Self {
        Self(units)
    }

    /// Returns true if there are none. Takes a reference, as serde's conditions ask for.
    #[must_use]
    pub const fn is_zero(&self) -> bool {
        self.0 == 0
    }

    /// Returns the number of units.
    #[must_use]
    pub const fn get(self) -> u128 {
        self.0
    }

    /// Returns the sum; fails on overflow.
    pub fn plus(self, other: Self) -> Result<Self, MoneyError> {
        self.0.checked_add(other.0).map(Self).ok_or(MoneyError::Overflow)
    }

    /// Returns the difference; fails if it would be negative.
    pub fn minus(self, other: Self) -> Result<Self, MoneyError> {
        self.0.checked_sub(other.0).map(Self).ok_or(MoneyError::Underflow)
    }

    /// Returns the amount by which this one exceeds another; zero if it does not.
    #[must_use]
    pub fn excess_over(self, other: Self) -> Self {
        self.minus(other).unwrap_or(Self::ZERO)
    }
}

impl fmt::Display for Minor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match u64::try_from(self.0) {
            Ok(number) => fmt::Display::fmt(&number, f),
            Err(_) => fmt::Display::fmt(&self.0, f),
        }
    }
}

impl FromStr for Minor {
    type Err = MoneyError;

    fn from_str(text: &str) -> Result<Self, MoneyError> {
        let plain = !text.is_empty() && text.bytes().all(|digit| digit.is_ascii_digit());
        if !plain || (text.len() > 1 && text.starts_with('0')) {
            return Err(not_plain(text));
        }
        // WebAssembly has no 128-bit division, and few amounts need more than 64 bits.
        if let Ok(number) = text.parse::<u64>() {
            return Ok(Self(number.into()));
        }
        // Only digits are left, so parsing can fail only because the number is too large.
        text.parse().map(Self).map_err(|_| MoneyError::Overflow)
    }
}

/// Returns the error for a text that is not just digits.
fn not_plain(text: &str) -> MoneyError {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|digit| digit.is_ascii_digit());
    match (text.strip_prefix('-'), text.split_once('.')) {
        (Some(number), _) if number.split('.').all(digits) => MoneyError::Negative(text.to_owned()),
        (None, Some((whole, fraction))) if digits(whole) && digits(fraction) => {
            MoneyError::TooPrecise(text.to_owned())
        }
        _ => MoneyError::NotDecimal(text.to_owned()),
    }
}

impl TryFrom<String> for Minor {
    type Error = MoneyError;

    fn try_from(text: String) -> Result<Self, MoneyError> {
        text.parse()
    }
}

impl From<Minor> for String {
    fn from(minor: Minor) -> String {
        u64::try_from(minor.0).map_or_else(|_| minor.0.to_string(), |number| number.to_string())
    }
}

/// Asset of an amount: its commonly known code and the number of its decimals.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Asset {
    /// Code, such as `EURe`, `GBPe` or `USDC.e`.
    #[serde(rename = "asset")]
    pub code: String,
    /// Digits after the decimal point: with 18, one EURe is 10^18 minor units.
    pub decimals: u8,
}

/// Amount of an asset, as it appears in commands, events and answers.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(from = "AmountFields")]
pub struct Amount {
    /// Number of the asset's smallest units.
    pub minor: Minor,
    /// Asset that the units belong to.
    pub asset: Asset,
}

/// Fields of an amount side by side. `flatten` would buffer them, and states could not be written.
#[derive(Deserialize)]
#[serde(expecting = "struct Amount")]
struct AmountFields {
    minor: Minor,
    asset: String,
    decimals: u8,
}

impl From<AmountFields> for Amount {
    fn from(AmountFields { minor, asset: code, decimals }: AmountFields) -> Self {
        Self { minor, asset: Asset { code, decimals } }
    }
}

impl Serialize for Amount {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_struct("Amount", 3)?;
        fields.serialize_field("minor", &self.minor)?;
        fields.serialize_field("asset", &self.asset.code)?;
        fields.serialize_field("decimals", &self.asset.decimals)?;
        fields.end()
    }
}

impl fmt::Display for Amount {
    /// Formats for people: at least two digits after the decimal point, more if the amount needs them, never
    /// truncated.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let decimals = usize::from(self.asset.decimals);
        // With one digit more than decimals there is always a digit before the point.
        let digits = format!("{:0>width$}", self.minor.get(), width = decimals + 1);
        let (whole, fraction) = digits.split_at(digits.len() - decimals);
        let shown = fraction.trim_end_matches('0').len().max(2).min(decimals);
        match fraction.get(..shown) {
            Some(fraction) if shown > 0 => write!(f, "{whole}.{fraction} {}", self.asset.code),
            _ => write!(f, "{whole} {}", self.asset.code),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(minor: u128, decimals: u8) -> String {
        Amount { minor: Minor::new(minor), asset: Asset { code: "EURe".into(), decimals } }.to_string()
    }

    #[test]
    fn amounts_are_shown_whole() {
        assert_eq!(shown(8_500_000_000_000_000_000, 18), "8.50 EURe");
        assert_eq!(shown(1, 18), "0.000000000000000001 EURe");
        assert_eq!(shown(0, 6), "0.00 EURe");
        assert_eq!(shown(12_345_678, 6), "12.345678 EURe");
        assert_eq!(shown(42, 0), "42 EURe");
        assert_eq!(shown(425, 1), "42.5 EURe");
    }

    #[test]
    fn json_carries_digits_in_a_string_and_nothing_else_is_read() {
        let amount: Amount =
            serde_json::from_str(r#"{"minor":"8500","asset":"USDC.e","decimals":6}"#).unwrap();
        assert_eq!(
            serde_json::to_string(&amount).unwrap(),
            r#"{"minor":"8500","asset":"USDC.e","decimals":6}"#
        );
        for minor in
            ["8500", "\"\"", "\"-1\"", "\"+1\"", "\"1.0\"", "\"01\"", "\"1e3\"", "\"0x10\"", "\" 1\""]
        {
            assert!(serde_json::from_str::<Minor>(minor).is_err(), "{minor}");
        }
    }

    #[test]
    fn arithmetic_stops_at_both_ends() {
        let largest: Minor = u128::MAX.to_string().parse().unwrap();
        assert_eq!(largest.plus(Minor::new(1)), Err(MoneyError::Overflow));
        assert_eq!(Minor::ZERO.minus(Minor::new(1)), Err(MoneyError::Underflow));
        assert_eq!(Minor::ZERO.excess_over(Minor::new(1)), Minor::ZERO);
        assert_eq!(Minor::new(3).excess_over(Minor::new(1)), Minor::new(2));
        assert_eq!("340282366920938463463374607431768211456".parse::<Minor>(), Err(MoneyError::Overflow));
    }
}
