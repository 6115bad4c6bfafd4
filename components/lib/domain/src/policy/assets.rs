//! Assets that accounts hold. The scale belongs to the asset: an amount that claims another scale is rejected.

use clearfold_kernel::{Asset, Minor};

/// Asset that accounts hold, with its scale on the chain and in charges.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KnownAsset {
    /// Asset code that people know, such as EURe.
    pub code: &'static str,
    /// Number of decimals on the chain.
    pub decimals: u8,
    /// Number of decimals that a currency conversion charges: 2 means cents.
    pub charge_decimals: u8,
}

/// All known assets. Source: Gnosis Pay's tokens on Gnosis Chain.
pub const KNOWN: [KnownAsset; 3] = [
    KnownAsset { code: "EURe", decimals: 18, charge_decimals: 2 },
    KnownAsset { code: "GBPe", decimals: 18, charge_decimals: 2 },
    KnownAsset { code: "USDC.e", decimals: 6, charge_decimals: 2 },
];

impl KnownAsset {
    /// Returns the amount without the fraction that a charge cannot have: for 2 decimals in charges, whole cents.
    #[must_use]
    pub fn chargeable(self, minor: Minor) -> Minor {
        // The smallest charge is at least one unit, and no remainder is more than the amount.
        let rest = minor.get().checked_rem(self.smallest_charge().get());
        rest.and_then(|rest| minor.minus(Minor::new(rest)).ok()).unwrap_or(minor)
    }

    /// Returns the smallest amount that can be charged: for 2 decimals in charges, a cent.
    #[must_use]
    pub fn smallest_charge(self) -> Minor {
        let decimals = self.decimals.saturating_sub(self.charge_decimals);
        // No asset has so many decimals that the power does not fit.
        Minor::new(10_u128.checked_pow(u32::from(decimals)).unwrap_or(1))
    }
}

/// Finds the asset by its code.
#[must_use]
pub fn find(code: &str) -> Option<KnownAsset> {
    KNOWN.into_iter().find(|known| known.code == code)
}

/// Returns the asset codes as text, for messages.
#[must_use]
pub fn codes() -> String {
    KNOWN.map(|known| known.code).join(", ")
}

impl From<KnownAsset> for Asset {
    fn from(known: KnownAsset) -> Self {
        Self { code: known.code.to_owned(), decimals: known.decimals }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_chargeable_is_whole_cents() {
        let chargeable =
            |code: &str, minor| find(code).map(|asset| asset.chargeable(Minor::new(minor)).get());
        assert_eq!(chargeable("EURe", 9_999_999_999_999_999), Some(0));
        assert_eq!(chargeable("EURe", 12_345_678_901_234_567_890), Some(12_340_000_000_000_000_000));
        assert_eq!(chargeable("USDC.e", 12_345_678), Some(12_340_000));
    }
}
