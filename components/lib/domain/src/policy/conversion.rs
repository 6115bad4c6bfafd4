//! Tolerances for amounts of which a part is an exchange difference: how far the network's billing amount may be from
//! our own conversion of what was presented, and how far a refund may exceed its payment, before a flag is raised.
//!
//! The billing amount is the fact, because the network debits us for it: the rate beside it is information. So no
//! tolerance ever refuses anything; it only determines whether the operator should review the payment.

use clearfold_kernel::Minor;
use ruint::aliases::U256;

use super::assets::KnownAsset;
use crate::network::Network;

/// Tolerance of one network, in percent of our own conversion.
struct Tolerance {
    network: Network,
    percent: u8,
}

/// A billing amount often contains a foreign-exchange fee of up to 3 %. The rest is for the networks' own assessments of
/// foreign transactions, and for a rate that states fewer digits than the one that was applied. No network publishes a
/// limit, so the figures are the processor's own (2026-11).
const TOLERANCES: [Tolerance; 2] = [
    Tolerance { network: Network::Visa, percent: 5 },
    Tolerance { network: Network::Mastercard, percent: 5 },
];

/// Exchange difference of a refund that needs no review, in percent of what was captured. A refund has its own day's
/// rate and may come half a year after the payment; the figure is what major currencies move in that time at most, and
/// the processor's own (2026-11).
const REFUND_PERCENT: u8 = 20;

/// Returns the tolerance in percent; the largest if the network is unknown.
#[must_use]
pub fn percent(network: Option<Network>) -> u8 {
    let of_network = TOLERANCES.iter().filter(|known| network.is_none_or(|network| known.network == network));
    of_network.map(|known| known.percent).max().unwrap_or_default()
}

/// Returns true if the network's amount may differ from our own conversion by `difference` without a flag. The smallest
/// charge is always tolerated, because of a small amount it is more than any percentage.
#[must_use]
pub fn tolerates(network: Option<Network>, asset: KnownAsset, converted: Minor, difference: Minor) -> bool {
    within(difference.excess_over(asset.smallest_charge()), converted, percent(network))
}

/// Returns true if a refund of a converted payment may exceed what was captured by `excess` without a flag.
#[must_use]
pub fn tolerates_refund(captured: Minor, excess: Minor) -> bool {
    within(excess, captured, REFUND_PERCENT)
}

/// Compares exactly: nothing is rounded.
fn within(part: Minor, whole: Minor, percent: u8) -> bool {
    // Amounts are below 2^128 and the factors at most 255, so neither product overflows 256 bits.
    let times = |amount: Minor, factor: u64| U256::from(amount.get()).checked_mul(U256::from(factor));
    times(part, 100) <= times(whole, u64::from(percent))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::assets;

    const CENT: u128 = 10_u128.pow(16);

    fn tolerates_at(network: Option<Network>, converted: u128, difference: u128) -> bool {
        let asset = assets::find("EURe").unwrap();
        tolerates(network, asset, Minor::new(converted), Minor::new(difference))
    }

    #[test]
    fn a_markup_of_a_few_percent_is_tolerated_and_a_unit_more_is_not() {
        for network in [None, Some(Network::Visa), Some(Network::Mastercard)] {
            assert!(tolerates_at(network, 1_000 * CENT, 51 * CENT));
            assert!(!tolerates_at(network, 1_000 * CENT, 51 * CENT + 1));
        }
    }

    #[test]
    fn a_cent_is_tolerated_of_any_amount() {
        assert!(tolerates_at(Some(Network::Visa), 0, CENT));
        assert!(!tolerates_at(Some(Network::Visa), 0, CENT + 1));
        assert!(tolerates_at(Some(Network::Visa), u128::MAX, CENT));
    }

    #[test]
    fn a_refund_may_gain_a_fifth_by_its_rate() {
        assert!(tolerates_refund(Minor::new(850), Minor::new(170)));
        assert!(!tolerates_refund(Minor::new(850), Minor::new(171)));
    }
}
