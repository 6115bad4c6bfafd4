//! Lifetime of a hold without a clearing: a table by network and merchant category.
//!
//! The interval is written into the authorization when it is requested, so a later change of the table does not
//! affect existing holds. The durable timer that ends a hold lives elsewhere.

use crate::network::{MerchantCategory, Network};

const DAY_S: u64 = 24 * 60 * 60;

/// Exception for a range of categories, both ends included.
struct Exception {
    network: Network,
    categories: [u16; 2],
    days: u8,
}

const fn exception(network: Network, first: u16, last: u16, days: u8) -> Exception {
    Exception { network, categories: [first, last], days }
}

/// Lifetime in days where no exception applies.
const fn usual_days(network: Network) -> u8 {
    match network {
        Network::Visa => 7,
        Network::Mastercard => 7,
    }
}

/// Categories in which the goods or the final price come later or sooner than usual. Source: the networks' published
/// validity of authorizations (5 days for goods at the counter up to 31 for lodging, vehicles and cruises).
const EXCEPTIONS: [Exception; 12] = [
    exception(Network::Visa, 3351, 3441, 31),       // car rental companies
    exception(Network::Visa, 3501, 3999, 31),       // hotels by name
    exception(Network::Visa, 4411, 4411, 31),       // cruise lines
    exception(Network::Visa, 7011, 7011, 31),       // lodging
    exception(Network::Visa, 7512, 7512, 31),       // car rental
    exception(Network::Visa, 5411, 5411, 5),        // grocery stores
    exception(Network::Mastercard, 3351, 3441, 30), // car rental companies
    exception(Network::Mastercard, 3501, 3999, 30), // hotels by name
    exception(Network::Mastercard, 4411, 4411, 30), // cruise lines
    exception(Network::Mastercard, 7011, 7011, 30), // lodging
    exception(Network::Mastercard, 7512, 7512, 30), // car rental
    exception(Network::Mastercard, 5411, 5411, 5),  // grocery stores
];

/// Returns the lifetime of a hold for a payment in that category, in seconds.
#[must_use]
pub fn interval_s(network: Network, category: MerchantCategory) -> u64 {
    let special = EXCEPTIONS.iter().find(|exception| {
        let [first, last] = exception.categories;
        exception.network == network && (first..=last).contains(&category.get())
    });
    // 255 days at most, so the product fits.
    u64::from(special.map_or(usual_days(network), |exception| exception.days)) * DAY_S
}

/// Returns the lifetime of the hold of a spend that was seen on chain first, in seconds. Such a spend names neither
/// network nor category, so its hold lives as long as the longest of the table: it never ends before the network's
/// own would.
#[must_use]
pub fn seen_on_chain_interval_s() -> u64 {
    let usual = usual_days(Network::Visa).max(usual_days(Network::Mastercard));
    let longest = EXCEPTIONS.iter().fold(usual, |longest, exception| longest.max(exception.days));
    u64::from(longest) * DAY_S
}

/// Returns true if an approved increment begins the lifetime of the hold anew. Source: Mastercard renews a
/// pre-authorization by each increment; Visa counts from the first approval.
#[must_use]
pub const fn is_renewed_by_increment(network: Network) -> bool {
    match network {
        Network::Visa => false,
        Network::Mastercard => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn days(network: Network, category: u16) -> u64 {
        interval_s(network, MerchantCategory::new(category).unwrap()) / DAY_S
    }

    #[test]
    fn the_interval_depends_on_network_and_category() {
        assert_eq!(days(Network::Visa, 5812), 7);
        assert_eq!(days(Network::Visa, 7011), 31);
        assert_eq!(days(Network::Visa, 3640), 31);
        assert_eq!(days(Network::Mastercard, 7011), 30);
        assert_eq!(days(Network::Mastercard, 5411), 5);
    }

    #[test]
    fn what_names_no_category_lives_as_long_as_the_longest() {
        let days = (0..=9999)
            .flat_map(|category| [Network::Visa, Network::Mastercard].map(|network| days(network, category)));
        assert_eq!(days.max(), Some(seen_on_chain_interval_s() / DAY_S));
    }

    #[test]
    fn every_interval_is_between_5_and_31_days() {
        for network in [Network::Visa, Network::Mastercard] {
            assert!((0..=9999).all(|category| (5..=31).contains(&days(network, category))));
        }
    }
}
