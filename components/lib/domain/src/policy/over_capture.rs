//! Tolerance for over-capture: how far clearings may exceed the authorized amount before a flag is raised, by
//! merchant category.
//!
//! A clearing always posts, whatever its amount, because the merchant was paid. The tolerance only determines whether
//! the operator should review it.

use clearfold_kernel::Minor;
use ruint::aliases::U256;

use crate::network::MerchantCategory;

/// Range of categories, both ends included, and its tolerance in percent.
struct Tolerance {
    categories: [u16; 2],
    percent: u8,
}

const fn tolerance(first: u16, last: u16, percent: u8) -> Tolerance {
    Tolerance { categories: [first, last], percent }
}

const TOLERANCES: [Tolerance; 6] = [
    tolerance(5812, 5814, 20), // restaurants, bars, fast food: the tip
    tolerance(4121, 4121, 20), // taxis: the tip
    tolerance(3501, 3999, 15), // hotels by name
    tolerance(7011, 7011, 15), // lodging: the minibar
    tolerance(3351, 3441, 15), // car rental companies: fuel
    tolerance(7512, 7512, 15), // car rental
];

/// Returns the tolerance in percent of the authorized amount; 0 if the category is unknown or not listed.
#[must_use]
pub fn percent(category: Option<MerchantCategory>) -> u8 {
    let Some(category) = category else { return 0 };
    let known = TOLERANCES.iter().find(|tolerance| {
        let [first, last] = tolerance.categories;
        (first..=last).contains(&category.get())
    });
    known.map_or(0, |tolerance| tolerance.percent)
}

/// Returns true if clearings may exceed the amount that was authorized and not reversed by `excess` without a flag.
/// Exact: nothing is rounded.
#[must_use]
pub fn tolerates(category: Option<MerchantCategory>, authorized: Minor, excess: Minor) -> bool {
    // Amounts are below 2^128 and the factors at most 255, so neither product overflows 256 bits.
    let times = |amount: Minor, factor: u64| U256::from(amount.get()).checked_mul(U256::from(factor));
    times(excess, 100) <= times(authorized, u64::from(percent(category)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_amount_is_tolerated_up_to_its_percentage_rounded_down(
            authorized in any::<u128>(), excess in any::<u128>(), category in 0_u16..10_000,
        ) {
            let percent = u128::from(percent(MerchantCategory::new(category)));
            let most = authorized / 100 * percent + authorized % 100 * percent / 100;
            prop_assert_eq!(tolerates_at(category, authorized, excess), excess <= most);
            prop_assert!(tolerates_at(category, authorized, most));
            prop_assert!(!tolerates_at(category, authorized, most + 1));
        }
    }

    fn tolerates_at(category: u16, authorized: u128, excess: u128) -> bool {
        tolerates(MerchantCategory::new(category), Minor::new(authorized), Minor::new(excess))
    }

    #[test]
    fn a_restaurant_may_add_a_fifth_and_not_a_unit_more() {
        assert!(tolerates_at(5812, 1000, 200));
        assert!(!tolerates_at(5812, 1000, 201));
        assert!(tolerates_at(7011, 1000, 150));
        assert!(!tolerates_at(7011, 1000, 151));
        assert!(!tolerates_at(5411, 1000, 1));
    }

    #[test]
    fn a_tolerance_is_never_rounded_up_and_never_overflows() {
        assert!(!tolerates_at(5812, 4, 1));
        assert!(tolerates_at(5812, 5, 1));
        assert!(tolerates_at(5812, u128::MAX, u128::MAX / 5));
        assert!(!tolerates_at(5812, u128::MAX, u128::MAX / 5 + 1));
    }
}
