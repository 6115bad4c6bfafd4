//! Regions by which the networks' rules differ, and the countries of each.

use crate::network::Country;

/// Region whose rules of a network apply to a merchant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Region {
    /// European Economic Area.
    Eea,
    /// United Kingdom.
    UnitedKingdom,
    /// United States.
    UnitedStates,
    /// All other countries.
    Elsewhere,
}

/// Members of the European Economic Area: the European Union (2020-02), Iceland, Liechtenstein and Norway.
const EEA: [&[u8; 2]; 30] = [
    b"AT", b"BE", b"BG", b"CY", b"CZ", b"DE", b"DK", b"EE", b"ES", b"FI", b"FR", b"GR", b"HR", b"HU", b"IE",
    b"IS", b"IT", b"LI", b"LT", b"LU", b"LV", b"MT", b"NL", b"NO", b"PL", b"PT", b"RO", b"SE", b"SI", b"SK",
];

impl Region {
    /// Returns the region of a country.
    #[must_use]
    pub fn of(country: Country) -> Self {
        match &country.letters() {
            b"GB" => Self::UnitedKingdom,
            b"US" => Self::UnitedStates,
            letters if EEA.contains(&letters) => Self::Eea,
            _ => Self::Elsewhere,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_country_is_in_one_region() {
        let of = |country: &str| Region::of(country.to_owned().try_into().unwrap());
        let regions = ["IT", "NO", "GB", "US", "CH", "BR"].map(of);
        let [it, no, gb, us, ch, br] = regions;
        assert_eq!([it, no], [Region::Eea; 2]);
        assert_eq!([gb, us], [Region::UnitedKingdom, Region::UnitedStates]);
        assert_eq!([ch, br], [Region::Elsewhere; 2]);
        assert!(EEA.is_sorted());
    }
}
