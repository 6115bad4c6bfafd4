//! Foreign exchange: the one place where money is rounded.
//!
//! A card is used in one currency and paid from an asset in another. The network's rate is a decimal number, and the
//! charge is rounded half to even to the decimals in which the asset is charged. The difference that rounding makes is
//! stated beside it, so nothing is lost.

use std::fmt;
use std::str::FromStr;

use ruint::aliases::U512;
use serde::{Deserialize, Serialize};

use crate::{Amount, Asset, Minor, MoneyError};

/// Largest number of decimals; no asset or rate has more. It guarantees that every product below fits 512 bits.
const MAX_DECIMALS: u8 = 38;

/// Exchange rate: units of the charged asset for one unit of the amount's asset, as a decimal number such as
/// `1.0837`. A rate of zero can be read, because a network may state one, but converts nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Rate {
    digits: u128,
    decimals: u8,
}

/// Reason why an amount could not be converted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FxError {
    /// The text is not a decimal number.
    #[error("`{0}` is no rate: expected a decimal number like 1.0837, with 38 digits at most")]
    NotARate(String),
    /// The rate is zero.
    #[error("a rate of zero converts nothing; expected a rate above zero, like 1.0837")]
    Zero,
    /// The number of decimals is above the limit.
    #[error("{0} decimals are more than the {MAX_DECIMALS} that can be held exactly")]
    TooManyDecimals(u8),
    /// The asset is coarser than the decimals in which it should be charged.
    #[error("{asset} has {has} decimals and cannot be charged with {wanted}")]
    TooFine {
        /// Code of the asset.
        asset: String,
        /// Number of decimals that it has.
        has: u8,
        /// Number of decimals that was requested.
        wanted: u8,
    },
    /// The result does not fit.
    #[error(transparent)]
    Money(#[from] MoneyError),
}

/// Result of a conversion. `exact = charged + over − under`, in the asset's smallest unit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conversion {
    /// Amount that the account pays: a multiple of the smallest charge.
    pub charged: Amount,
    /// Excess of the exact amount over the charge.
    pub over: Minor,
    /// Excess of the charge over the exact amount.
    pub under: Minor,
}

impl Rate {
    /// Rate of 1.
    pub const PAR: Self = Self { digits: 1, decimals: 0 };

    /// Converts an amount into `asset`, charged with `charge_decimals` decimals.
    pub fn convert(self, amount: &Amount, asset: &Asset, charge_decimals: u8) -> Result<Conversion, FxError> {
        if self.digits == 0 {
            return Err(FxError::Zero);
        }
        let scales = [amount.asset.decimals, asset.decimals, charge_decimals];
        if let Some(decimals) = scales.into_iter().find(|decimals| *decimals > MAX_DECIMALS) {
            return Err(FxError::TooManyDecimals(decimals));
        }
        let Some(coarser) = asset.decimals.checked_sub(charge_decimals) else {
            return Err(FxError::TooFine {
                asset: asset.code.clone(),
                has: asset.decimals,
                wanted: charge_decimals,
            });
        };
        // The exact amount is numerator / denominator. The charge and the exact units are each rounded from it once,
        // so nothing is rounded twice.
        let product = wide(amount.minor.get()) * wide(self.digits);
        let denominator = power_of_ten(amount.asset.decimals) * power_of_ten(self.decimals);
        let units = half_even(product * power_of_ten(charge_decimals), denominator);
        let charged = narrow(units * power_of_ten(coarser))?;
        let exact = narrow(half_even(product * power_of_ten(asset.decimals), denominator))?;
        // One of the two is the difference, and the other is zero.
        Ok(Conversion {
            over: exact.minus(charged).unwrap_or(Minor::ZERO),
            under: charged.minus(exact).unwrap_or(Minor::ZERO),
            charged: Amount { minor: charged, asset: asset.clone() },
        })
    }
}

fn wide(number: u128) -> U512 {
    U512::from(number)
}

fn narrow(number: U512) -> Result<Minor, MoneyError> {
    u128::try_from(number).map(Minor::new).map_err(|_| MoneyError::Overflow)
}

/// Returns 10^exponent; 10^38 is below 2^127.
fn power_of_ten(exponent: u8) -> U512 {
    U512::from(10).pow(U512::from(exponent))
}

/// Returns the quotient, rounded to the nearest whole number, with ties to even.
fn half_even(numerator: U512, denominator: U512) -> U512 {
    let (quotient, remainder) = numerator.div_rem(denominator);
    let up = match remainder.cmp(&(denominator - remainder)) {
        std::cmp::Ordering::Less => false,
        std::cmp::Ordering::Equal => quotient.bit(0),
        std::cmp::Ordering::Greater => true,
    };
    if up { quotient + U512::from(1) } else { quotient }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let decimals = usize::from(self.decimals);
        // One digit more than decimals, so that there is always one before the point.
        let digits = format!("{:0>width$}", self.digits, width = decimals + 1);
        let (whole, fraction) = digits.split_at(digits.len() - decimals);
        if fraction.is_empty() { f.write_str(whole) } else { write!(f, "{whole}.{fraction}") }
    }
}

impl FromStr for Rate {
    type Err = FxError;

    fn from_str(text: &str) -> Result<Self, FxError> {
        let invalid = || FxError::NotARate(text.to_owned());
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        let plain = |digits: &str| digits.bytes().all(|digit| digit.is_ascii_digit());
        let leading_zero = whole.len() > 1 && whole.starts_with('0');
        if whole.is_empty() || !plain(whole) || !plain(fraction) || leading_zero || text.ends_with('.') {
            return Err(invalid());
        }
        let digits: u128 = format!("{whole}{fraction}").parse().map_err(|_| invalid())?;
        let decimals = u8::try_from(fraction.len()).map_err(|_| invalid())?;
        if decimals > MAX_DECIMALS {
            return Err(invalid());
        }
        Ok(Self { digits, decimals })
    }
}

impl TryFrom<String> for Rate {
    type Error = FxError;

    fn try_from(text: String) -> Result<Self, FxError> {
        text.parse()
    }
}

impl From<Rate> for String {
    fn from(rate: Rate) -> String {
        rate.to_string()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn asset(code: &str, decimals: u8) -> Asset {
        Asset { code: code.into(), decimals }
    }

    fn dollars(cents: u128) -> Amount {
        Amount { minor: Minor::new(cents), asset: asset("USD", 2) }
    }

    fn charged_cents(cents: u128, rate: &str) -> (u128, u128, u128) {
        let rate: Rate = rate.parse().unwrap();
        let conversion = rate.convert(&dollars(cents), &asset("EURe", 18), 2).unwrap();
        let cent = 10_u128.pow(16);
        assert_eq!(conversion.charged.minor.get() % cent, 0, "charged in whole cents");
        (conversion.charged.minor.get() / cent, conversion.over.get(), conversion.under.get())
    }

    #[test]
    fn the_middle_goes_to_the_even_cent_and_the_residue_is_kept() {
        let half_a_cent = 5 * 10_u128.pow(15);
        assert_eq!(charged_cents(50, "0.85"), (42, half_a_cent, 0));
        assert_eq!(charged_cents(50, "0.87"), (44, 0, half_a_cent));
        assert_eq!(charged_cents(1_000, "0.9234"), (923, 4 * 10_u128.pow(15), 0));
        assert_eq!(charged_cents(1_000, "1"), (1_000, 0, 0));
    }

    #[test]
    fn nothing_is_rounded_twice() {
        // 0.0149… is below the middle; rounded to EURe's last digit first, it would become 0.015 and go up.
        let rate: Rate = "0.01499999999999999999999".parse().unwrap();
        let conversion = rate.convert(&dollars(100), &asset("EURe", 18), 2).unwrap();
        assert_eq!(conversion.charged.minor.get(), 10_u128.pow(16));
    }

    #[test]
    fn what_cannot_be_converted_is_said() {
        for text in ["", ".5", "1.", "01.5", "-1", "1e3", "1,5", &"9".repeat(40)] {
            assert_eq!(text.parse::<Rate>(), Err(FxError::NotARate(text.to_owned())));
        }
        for text in ["0", "0.00"] {
            let rate: Rate = text.parse().unwrap();
            assert_eq!(rate.convert(&dollars(1), &asset("EURe", 18), 2), Err(FxError::Zero));
        }
        let too_fine = Rate::PAR.convert(&dollars(1), &asset("JPYx", 0), 2);
        assert!(matches!(too_fine, Err(FxError::TooFine { .. })));
        let too_large = Amount { minor: Minor::new(u128::MAX), ..dollars(0) };
        assert_eq!(
            Rate::PAR.convert(&too_large, &asset("EURe", 18), 2),
            Err(FxError::Money(MoneyError::Overflow))
        );
    }

    proptest! {
        #[test]
        fn the_charge_and_its_residue_are_the_exact_amount(
            minor in 0_u128..10_u128.pow(11), digits in 1_u128..10_u128.pow(9), decimals in 0_u8..=9,
            charge_decimals in 0_u8..=6,
        ) {
            let rate = Rate { digits, decimals };
            let conversion = rate.convert(&dollars(minor), &asset("EURe", 18), charge_decimals).unwrap();
            let smallest_charge = 10_u128.pow(u32::from(18 - charge_decimals));
            let charged = conversion.charged.minor.get();
            prop_assert_eq!(charged % smallest_charge, 0);
            prop_assert!(conversion.over.get() == 0 || conversion.under.get() == 0);
            prop_assert!(conversion.over.get().max(conversion.under.get()) * 2 <= smallest_charge);
            // With these ranges the exact amount is a whole number of the asset's smallest unit.
            let exact = minor * digits * 10_u128.pow(16) / 10_u128.pow(u32::from(decimals));
            prop_assert_eq!(charged + conversion.over.get(), exact + conversion.under.get());
        }

        #[test]
        fn a_rate_survives_its_text(digits in 1_u128..u128::from(u64::MAX), decimals in 0_u8..=18) {
            let rate = Rate { digits, decimals };
            prop_assert_eq!(rate.to_string().parse::<Rate>(), Ok(rate));
        }
    }
}
