//! Number of wrong PINs in a row after which a card takes none any more.

/// Wrong PINs in a row that a card bears. Source: customary with chip cards and issuers, whose counters begin at three;
/// the networks leave the number to the issuer.
pub const MOST: u8 = 3;
