//! Prices of transactions: the first, the raised, and the ceilings. Whole wei, checked, never a float.

use serde::{Deserialize, Serialize};

/// Both caps of a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Price {
    /// Most that is paid for one unit of gas.
    pub fee_cap_wei: u128,
    /// Most of it that goes to the builder of the block.
    pub tip_cap_wei: u128,
}

/// Bounds of prices.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PriceLimits {
    /// Least of both caps. A builder may ignore less, and of a few wei a percentage is nothing.
    pub floor: Price,
    /// Most for a pull.
    pub ceiling_fee_cap_wei: u128,
    /// Most for what repairs a lane or invalidates a pull. It must be able to replace a pull at its ceiling.
    pub repair_ceiling_fee_cap_wei: u128,
}

/// Price limits with which a lane could not work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PriceLimitsError {
    #[error(
        "the least tip {tip_cap_wei} wei must be at least 1 and at most the least fee cap, {fee_cap_wei} wei"
    )]
    Floor { fee_cap_wei: u128, tip_cap_wei: u128 },
    #[error("the ceiling {ceiling_wei} wei is below the floor {floor_wei} wei; raise the ceiling")]
    Ceiling { ceiling_wei: u128, floor_wei: u128 },
    #[error(
        "the repair ceiling {repair_wei} wei cannot replace a pull at its ceiling; give at least {least_wei} wei"
    )]
    RepairCeiling { repair_wei: u128, least_wei: u128 },
}

/// Price of a block that is not built yet, as a node estimates it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Market {
    pub base_fee_wei: u128,
    pub tip_wei: u128,
}

impl PriceLimits {
    /// Checks that a pull can be sent and replaced within the limits.
    pub fn check(&self) -> Result<(), PriceLimitsError> {
        let Price { fee_cap_wei, tip_cap_wei } = self.floor;
        if tip_cap_wei == 0 || tip_cap_wei > fee_cap_wei {
            return Err(PriceLimitsError::Floor { fee_cap_wei, tip_cap_wei });
        }
        let (ceiling_wei, repair_wei) = (self.ceiling_fee_cap_wei, self.repair_ceiling_fee_cap_wei);
        if ceiling_wei < fee_cap_wei {
            return Err(PriceLimitsError::Ceiling { ceiling_wei, floor_wei: fee_cap_wei });
        }
        let least_wei = raised(ceiling_wei).unwrap_or(u128::MAX);
        if repair_wei < least_wei {
            return Err(PriceLimitsError::RepairCeiling { repair_wei, least_wei });
        }
        Ok(())
    }

    /// Returns the price at which a transaction is first sent: room for the base fee to double, up to the ceiling.
    /// `None` if not even the next block is affordable.
    #[must_use]
    pub fn first(&self, market: Market, ceiling_wei: u128) -> Option<Price> {
        let tip_cap_wei = market.tip_wei.max(self.floor.tip_cap_wei);
        let next_block_wei = market.base_fee_wei.checked_add(tip_cap_wei)?;
        let doubled_wei = market.base_fee_wei.checked_add(next_block_wei)?;
        let fee_cap_wei = doubled_wei.max(self.floor.fee_cap_wei).min(ceiling_wei);
        (next_block_wei <= fee_cap_wei).then_some(Price { fee_cap_wei, tip_cap_wei })
    }

    /// Returns the price at which a transaction replaces one of the price `old`: both caps raised by an eighth, or the
    /// market's if that is more. `None` if the raise exceeds the ceiling; then the old one stays.
    #[must_use]
    pub fn raise(&self, old: Price, market: Market, ceiling_wei: u128) -> Option<Price> {
        let fee_cap_wei = raised(old.fee_cap_wei)?;
        let tip_cap_wei = raised(old.tip_cap_wei)?;
        if fee_cap_wei > ceiling_wei {
            return None;
        }
        let first = self.first(market, ceiling_wei).unwrap_or(self.floor);
        let fee_cap_wei = fee_cap_wei.max(first.fee_cap_wei).min(ceiling_wei);
        Some(Price { fee_cap_wei, tip_cap_wei: tip_cap_wei.max(first.tip_cap_wei).min(fee_cap_wei) })
    }
}

/// Returns 1.125 times the price, rounded up, and at least one wei more: more than the tenth that geth wants and reth
/// wants to see exceeded, and the eighth that others want. `None` beyond the number's range.
fn raised(wei: u128) -> Option<u128> {
    wei.checked_add(wei.div_ceil(8).max(1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const LIMITS: PriceLimits = PriceLimits {
        floor: Price { fee_cap_wei: 10, tip_cap_wei: 2 },
        ceiling_fee_cap_wei: 1000,
        repair_ceiling_fee_cap_wei: 2000,
    };
    const CHEAP: Market = Market { base_fee_wei: 7, tip_wei: 1 };

    fn price(fee_cap_wei: u128, tip_cap_wei: u128) -> Price {
        Price { fee_cap_wei, tip_cap_wei }
    }

    #[test]
    fn the_first_price_lies_between_floor_and_ceiling() {
        assert_eq!(LIMITS.first(CHEAP, 1000), Some(price(16, 2)));
        assert_eq!(LIMITS.first(Market { base_fee_wei: 0, tip_wei: 0 }, 1000), Some(price(10, 2)));
        assert_eq!(LIMITS.first(Market { base_fee_wei: 600, tip_wei: 5 }, 1000), Some(price(1000, 5)));
        assert_eq!(LIMITS.first(Market { base_fee_wei: 999, tip_wei: 5 }, 1000), None);
        assert_eq!(LIMITS.first(Market { base_fee_wei: u128::MAX, tip_wei: 5 }, 1000), None);
    }

    #[test]
    fn a_raise_is_of_both_caps_and_follows_the_market() {
        assert_eq!(LIMITS.raise(price(80, 8), CHEAP, 1000), Some(price(90, 9)));
        assert_eq!(LIMITS.raise(price(81, 1), CHEAP, 1000), Some(price(92, 2)));
        let dear = Market { base_fee_wei: 300, tip_wei: 40 };
        assert_eq!(LIMITS.raise(price(80, 8), dear, 1000), Some(price(640, 40)));
        // A market beyond the ceiling does not keep a pull from being raised up to it.
        let beyond = Market { base_fee_wei: 5000, tip_wei: 40 };
        assert_eq!(LIMITS.raise(price(80, 8), beyond, 1000), Some(price(90, 9)));
    }

    #[test]
    fn a_repair_can_replace_a_pull_at_its_ceiling() {
        assert_eq!(LIMITS.raise(price(1000, 10), CHEAP, LIMITS.ceiling_fee_cap_wei), None);
        let raised = LIMITS.raise(price(1000, 10), CHEAP, LIMITS.repair_ceiling_fee_cap_wei);
        assert_eq!(raised, Some(price(1125, 12)));
    }

    #[test]
    fn limits_that_cannot_work_are_refused_with_a_remedy() {
        LIMITS.check().unwrap();
        let low = PriceLimits { repair_ceiling_fee_cap_wei: 1124, ..LIMITS };
        assert!(low.check().unwrap_err().to_string().ends_with("give at least 1125 wei"));
        assert!(PriceLimits { ceiling_fee_cap_wei: 9, ..LIMITS }.check().is_err());
        assert!(PriceLimits { floor: price(10, 0), ..LIMITS }.check().is_err());
        assert!(PriceLimits { floor: price(10, 11), ..LIMITS }.check().is_err());
    }

    proptest! {
        /// Geth wants a tenth on both caps, reth more than a tenth, and either at least one wei.
        #[test]
        fn a_raise_satisfies_every_pool(
            fee in 1_u128..1 << 100, tip in 1_u128..1 << 100, base in 0_u128..1 << 100, market_tip in 0_u128..1 << 100,
        ) {
            let old = price(fee.max(tip), fee.min(tip));
            let market = Market { base_fee_wei: base, tip_wei: market_tip };
            let new = LIMITS.raise(old, market, u128::MAX).unwrap();
            for (old, new) in [(old.fee_cap_wei, new.fee_cap_wei), (old.tip_cap_wei, new.tip_cap_wei)] {
                prop_assert!(new > old && new * 8 >= old * 9, "{old} {new}");
            }
            prop_assert!(new.tip_cap_wei <= new.fee_cap_wei);
        }
    }
}
