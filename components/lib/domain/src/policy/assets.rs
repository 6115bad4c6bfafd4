//! Assets that accounts hold. The scale belongs to the asset: an amount that claims another scale is rejected.

use clearfold_kernel::Asset;

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
