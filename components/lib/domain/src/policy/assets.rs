//! The assets that accounts hold. The scale lives with the asset: an amount that claims another one is refused.

use clearfold_kernel::Asset;

/// An asset, and how finely accounts are charged in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KnownAsset {
    /// The code that people know.
    pub code: &'static str,
    /// Digits behind the point on the chain.
    pub decimals: u8,
    /// Digits behind the point of what a currency conversion charges: cents.
    pub charge_decimals: u8,
}

/// All of them. Source: Gnosis Pay's tokens on Gnosis Chain.
pub const KNOWN: [KnownAsset; 3] = [
    KnownAsset { code: "EURe", decimals: 18, charge_decimals: 2 },
    KnownAsset { code: "GBPe", decimals: 18, charge_decimals: 2 },
    KnownAsset { code: "USDC.e", decimals: 6, charge_decimals: 2 },
];

/// The asset of that code.
#[must_use]
pub fn find(code: &str) -> Option<KnownAsset> {
    KNOWN.into_iter().find(|known| known.code == code)
}

/// The codes, for a sentence.
#[must_use]
pub fn codes() -> String {
    KNOWN.map(|known| known.code).join(", ")
}

impl From<KnownAsset> for Asset {
    fn from(known: KnownAsset) -> Self {
        Self { code: known.code.to_owned(), decimals: known.decimals }
    }
}
