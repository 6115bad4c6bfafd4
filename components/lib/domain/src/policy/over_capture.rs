//! Tolerance for over-capture: how far clearings may exceed the authorized amount before a flag is raised, by network,
//! region and merchant category.
//!
//! A clearing always posts, whatever its amount, because the merchant was paid. The tolerance only determines whether
//! the operator should review it, and perhaps dispute the excess.

use clearfold_kernel::{Amount, Minor};
use ruint::aliases::U256;

use super::region::Region::{self, Eea, Elsewhere, UnitedKingdom, UnitedStates};
use crate::network::{Merchant, MerchantCategory, Network};

/// Circumstances of a payment that its tolerance depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Circumstances {
    /// Card network of the payment.
    pub network: Network,
    /// Category of the merchant.
    pub category: MerchantCategory,
    /// Region of the merchant.
    pub region: Region,
}

impl Circumstances {
    /// Returns the circumstances of a payment to a merchant.
    #[must_use]
    pub fn of(network: Network, merchant: &Merchant) -> Self {
        Self { network, category: merchant.category, region: Region::of(merchant.country) }
    }
}

/// Ranges of categories, both ends included.
type Categories = &'static [[u16; 2]];

/// Tolerance of a network for some categories in some regions.
struct Tolerance {
    network: Network,
    regions: &'static [Region],
    categories: Categories,
    percent: u8,
    /// Excess that is tolerated in any case, in whole units of the account's asset.
    least_units: u8,
}

const BOTH: &[Network] = &[Network::Visa, Network::Mastercard];
const EVERYWHERE: &[Region] = &[Eea, UnitedKingdom, UnitedStates, Elsewhere];
const OUTSIDE_EUROPE: &[Region] = &[UnitedStates, Elsewhere];

/// Restaurants, bars and fast food; taxis; beauty salons, spas: the tip.
const TIPS: Categories = &[[5812, 5814], [4121, 4121], [7230, 7230], [7298, 7298]];
/// Hotels by name, lodging, cruise lines: the minibar.
const LODGING: Categories = &[[3501, 3999], [7011, 7011], [4411, 4411]];
/// Car rental companies and car rental: fuel and tolls.
const RENTAL: Categories = &[[3351, 3441], [7512, 7512]];

/// Sources: Airwallex Issuing for Visa outside the European Economic Area; Elavon and Checkout.com for Visa inside it,
/// which tolerates nothing since 2021; Elavon for the 15 % of the United Kingdom; a notice of Vantiv for Mastercard, which
/// since 2016 tolerates gratuities only and names no figure, so Visa's is taken. The least amount of vehicle rental is
/// in US dollars, and taken as units of the account's asset. What Visa tolerates of other sales without a card, 15 %, is
/// not told by any field that is kept.
const TOLERANCES: [Tolerance; 7] = [
    tolerance(Network::Visa, OUTSIDE_EUROPE, TIPS, 20, 0),
    tolerance(Network::Visa, OUTSIDE_EUROPE, LODGING, 15, 0),
    tolerance(Network::Visa, OUTSIDE_EUROPE, RENTAL, 15, 75),
    tolerance(Network::Visa, &[UnitedKingdom], TIPS, 15, 0),
    tolerance(Network::Visa, &[UnitedKingdom], LODGING, 15, 0),
    tolerance(Network::Visa, &[UnitedKingdom], RENTAL, 15, 0),
    tolerance(Network::Mastercard, EVERYWHERE, TIPS, 20, 0),
];

const fn tolerance(
    network: Network,
    regions: &'static [Region],
    categories: Categories,
    percent: u8,
    least_units: u8,
) -> Tolerance {
    Tolerance { network, regions, categories, percent, least_units }
}

/// Category of automated fuel dispensers.
const FUEL: u16 = 5542;

/// Largest sale of a fuel pump, in whole units of the account's asset: up to it, a claim is no excess, whatever was
/// authorized before the pump ran.
struct PumpLimit {
    networks: &'static [Network],
    regions: &'static [Region],
    /// Limit if one unit was asked for, as a sign that the amount is not known yet.
    of_one_unit: u8,
    /// Limit if the most that may be pumped was asked for.
    of_most: u8,
}

/// Sources: Galileo for Visa's limit in the United States, 100 to 175 US dollars by terminal; Thredd for 100 as the usual
/// most outside of them. Of Mastercard no other figures were found.
const PUMP_LIMITS: [PumpLimit; 2] = [
    PumpLimit { networks: BOTH, regions: &[UnitedStates], of_one_unit: 175, of_most: 175 },
    PumpLimit { networks: BOTH, regions: &[Eea, UnitedKingdom, Elsewhere], of_one_unit: 100, of_most: 100 },
];

/// Returns true if clearings may exceed the amount that was authorized and not reversed by `excess` without a flag.
/// Exact: nothing is rounded. Nothing is tolerated if the circumstances are not known.
#[must_use]
pub fn tolerates(circumstances: Option<Circumstances>, authorized: &Amount, excess: Minor) -> bool {
    let Some(circumstances) = circumstances else { return excess == Minor::ZERO };
    if circumstances.category.get() == FUEL {
        return is_one_sale(circumstances, authorized, excess);
    }
    let Some(Tolerance { percent, least_units, .. }) = find(circumstances) else {
        return excess == Minor::ZERO;
    };
    let by_percent = times(excess, 100) <= times(authorized.minor, u64::from(*percent));
    by_percent || U256::from(excess.get()) <= units(*least_units, authorized)
}

fn find(Circumstances { network, category, region }: Circumstances) -> Option<&'static Tolerance> {
    TOLERANCES.iter().find(|known| {
        let covers = |[first, last]: &[u16; 2]| (*first..=*last).contains(&category.get());
        known.network == network && known.regions.contains(&region) && known.categories.iter().any(covers)
    })
}

/// Returns true if what was claimed in all is no more than a fuel pump sells at once.
fn is_one_sale(at: Circumstances, authorized: &Amount, excess: Minor) -> bool {
    let applies =
        |limit: &&PumpLimit| limit.networks.contains(&at.network) && limit.regions.contains(&at.region);
    let known = PUMP_LIMITS.iter().find(applies);
    let limit = known.map_or(0, |limit| {
        let is_one_unit = U256::from(authorized.minor.get()) == units(1, authorized);
        if is_one_unit { limit.of_one_unit } else { limit.of_most }
    });
    let is_within = |claimed: Minor| U256::from(claimed.get()) <= units(limit, authorized);
    authorized.minor.plus(excess).is_ok_and(is_within)
}

/// Returns that many whole units of the amount's asset, in minor units. No known asset has so many decimals that it
/// would not fit; of one that had, it would be nothing.
fn units(number: u8, of: &Amount) -> U256 {
    let unit = U256::from(10).checked_pow(U256::from(of.asset.decimals));
    unit.and_then(|unit| unit.checked_mul(U256::from(number))).unwrap_or(U256::ZERO)
}

/// Multiplies an amount, which is below 2^128, by a factor, which is below 2^64, so the product fits.
fn times(amount: Minor, factor: u64) -> Option<U256> {
    U256::from(amount.get()).checked_mul(U256::from(factor))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::policy::assets;

    fn at(network: Network, category: u16, region: Region) -> Option<Circumstances> {
        let category = MerchantCategory::new(category).unwrap();
        Some(Circumstances { network, category, region })
    }

    fn tolerates_at(circumstances: Option<Circumstances>, authorized: u128, excess: u128) -> bool {
        let asset = assets::find("EURe").unwrap().into();
        tolerates(circumstances, &Amount { minor: Minor::new(authorized), asset }, Minor::new(excess))
    }

    /// Returns the tolerated percentage.
    fn percent(circumstances: Option<Circumstances>) -> u8 {
        circumstances.and_then(find).map_or(0, |known| known.percent)
    }

    proptest! {
        #[test]
        fn every_amount_is_tolerated_up_to_its_percentage_rounded_down(
            authorized in any::<u128>(), excess in any::<u128>(), category in 0_u16..10_000,
        ) {
            let at = at(Network::Visa, category, Elsewhere);
            prop_assume!(category != FUEL && at.and_then(find).is_none_or(|known| known.least_units == 0));
            let percent = u128::from(percent(at));
            let most = authorized / 100 * percent + authorized % 100 * percent / 100;
            prop_assert_eq!(tolerates_at(at, authorized, excess), excess <= most);
            prop_assert!(tolerates_at(at, authorized, most));
            prop_assert!(!tolerates_at(at, authorized, most + 1));
        }
    }

    #[test]
    fn a_tip_is_tolerated_by_network_and_region() {
        assert_eq!(percent(at(Network::Visa, 5812, UnitedStates)), 20);
        assert_eq!(percent(at(Network::Visa, 5812, UnitedKingdom)), 15);
        assert_eq!(percent(at(Network::Visa, 5812, Eea)), 0);
        assert_eq!(percent(at(Network::Mastercard, 5812, Eea)), 20);
        assert_eq!(percent(at(Network::Visa, 7011, Elsewhere)), 15);
        assert_eq!(percent(at(Network::Mastercard, 7011, Elsewhere)), 0);
        assert_eq!(percent(at(Network::Visa, 5411, Elsewhere)), 0);
    }

    #[test]
    fn a_tolerance_is_never_rounded_up_and_never_overflows() {
        let tip = at(Network::Visa, 5812, Elsewhere);
        assert!(!tolerates_at(tip, 4, 1));
        assert!(tolerates_at(tip, 5, 1));
        assert!(tolerates_at(tip, u128::MAX, u128::MAX / 5));
        assert!(!tolerates_at(tip, u128::MAX, u128::MAX / 5 + 1));
        assert!(!tolerates_at(None, u128::MAX, 1));
    }

    #[test]
    fn a_rental_car_may_cost_75_more_or_15_percent() {
        const UNIT: u128 = 10_u128.pow(18);
        let rental = at(Network::Visa, 7512, UnitedStates);
        assert!(tolerates_at(rental, 100 * UNIT, 75 * UNIT));
        assert!(!tolerates_at(rental, 100 * UNIT, 75 * UNIT + 1));
        assert!(tolerates_at(rental, 1_000 * UNIT, 150 * UNIT));
        assert!(!tolerates_at(rental, 1_000 * UNIT, 150 * UNIT + 1));
    }

    #[test]
    fn a_pump_sells_up_to_its_limit_whatever_was_asked_for() {
        const UNIT: u128 = 10_u128.pow(18);
        for network in [Network::Visa, Network::Mastercard] {
            let [italian, american] = [Eea, UnitedStates].map(|region| at(network, FUEL, region));
            for authorized in [UNIT, 50 * UNIT] {
                assert!(tolerates_at(italian, authorized, 100 * UNIT - authorized));
                assert!(!tolerates_at(italian, authorized, 100 * UNIT - authorized + 1));
                assert!(tolerates_at(american, authorized, 175 * UNIT - authorized));
            }
            assert!(!tolerates_at(italian, 120 * UNIT, 1));
        }
    }
}
