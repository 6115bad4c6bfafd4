//! Options of the submitter in an operator's terms, and the settings that follow from them. Pure.

use std::time::Duration;

use alloy::primitives::{Address, B256, U256};
use clearfold_kernel::Hash;
use url::Url;

use super::executor::ExecutorSettings;
use super::targets::{Choices, Targets, TargetsError};
use super::task::SubmitterSettings;
use super::{MAX_IN_FLIGHT, Policy, PolicyError, Price, PriceLimits};

const WEI_PER_GWEI: u128 = 1_000_000_000;
/// Least price: a fee cap of one gwei, of which a hundredth is the tip. On Gnosis Chain a swipe then costs less than a
/// thousandth of a euro, and a raise by an eighth is more than a few wei.
const FLOOR: Price = Price { fee_cap_wei: WEI_PER_GWEI, tip_cap_wei: WEI_PER_GWEI / 100 };
/// Blocks that may pass a transaction by before its price is raised.
const RAISE_AFTER_BLOCKS: u64 = 3;
/// Most pulls that are under way; further ones wait at the desk.
const MAX_PULLS: usize = 1_000;

/// Options of the submitter.
#[derive(Debug, Clone)]
pub struct SubmitterOptions {
    pub chain_rpc_urls: Vec<Url>,
    /// Number of blocks that must lie on top of a block before it counts as final, beside what the node says.
    pub confirmations: u64,
    pub interval: Duration,
    /// Spender, receiver and role key, where the contract set does not say them.
    pub spender: Option<clearfold_kernel::Address>,
    pub receiver: Option<clearfold_kernel::Address>,
    pub role_key: Option<Hash>,
    /// Gas limit of every transaction.
    pub gas_limit: u64,
    /// Most that a pull may pay for one unit of gas.
    pub max_fee_gwei: u32,
    pub retry_after: Duration,
    pub deadline: Duration,
    pub lease: Duration,
}

/// The options cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SubmitterOptionsError {
    #[error(transparent)]
    Targets(#[from] TargetsError),
    #[error("the submitter cannot work with SUBMITTER_GAS_LIMIT and SUBMITTER_MAX_FEE_GWEI as they are")]
    Policy(#[from] PolicyError),
}

impl SubmitterOptions {
    /// Returns the settings for the chain and the contracts of a contract set.
    pub fn settings(&self, contracts: &[u8]) -> Result<SubmitterSettings, SubmitterOptionsError> {
        let address = |address: clearfold_kernel::Address| Address::from(address.0);
        let choices = Choices {
            spender: self.spender.map(address),
            receiver: self.receiver.map(address),
            role_key: self.role_key.map(|key| B256::from(key.0)),
        };
        let targets = Targets::read(contracts, &choices)?;
        let policy = self.policy(targets.chain_id);
        policy.check()?;
        let executor = ExecutorSettings {
            policy,
            chain_rpc_urls: self.chain_rpc_urls.clone(),
            confirmations: self.confirmations,
            spenders: vec![targets.spender],
            lease: self.lease,
        };
        // A lease must outlast several looks.
        let interval = self.interval.min(self.lease / 4);
        let (retry_after, deadline) = (self.retry_after, self.deadline);
        Ok(SubmitterSettings { executor, targets, interval, retry_after, deadline })
    }

    fn policy(&self, chain_id: u64) -> Policy {
        // A 32-bit number of gwei, doubled, is far below 2^128 wei.
        let ceiling_fee_cap_wei = u128::from(self.max_fee_gwei) * WEI_PER_GWEI;
        let repair_ceiling_fee_cap_wei = 2 * ceiling_fee_cap_wei;
        Policy {
            chain_id,
            gas_limit: self.gas_limit,
            prices: PriceLimits { floor: FLOOR, ceiling_fee_cap_wei, repair_ceiling_fee_cap_wei },
            max_in_flight: MAX_IN_FLIGHT,
            raise_after_blocks: RAISE_AFTER_BLOCKS,
            // One repair at its ceiling can always be paid.
            purse_reserve_wei: U256::from(self.gas_limit) * U256::from(repair_ceiling_fee_cap_wei),
            max_pulls: MAX_PULLS,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn options() -> SubmitterOptions {
        SubmitterOptions {
            chain_rpc_urls: Vec::new(),
            confirmations: 12,
            interval: Duration::from_secs(1),
            spender: None,
            receiver: None,
            role_key: None,
            gas_limit: 500_000,
            max_fee_gwei: 50,
            retry_after: Duration::from_secs(60),
            deadline: Duration::from_secs(86_400),
            lease: Duration::from_secs(60),
        }
    }

    #[test]
    fn settings_follow_from_the_options_and_what_cannot_work_names_them() {
        let contracts = json!({
            "chain_id": 100, "assets": [], "spenders": [{"address": format!("0x{}", "01".repeat(20))}],
            "settlement": [format!("0x{}", "02".repeat(20))],
            "accounts": [{"safe": format!("0x{}", "03".repeat(20)), "roles": format!("0x{}", "04".repeat(20))}],
        });
        let contracts = contracts.to_string().into_bytes();
        let settings = options().settings(&contracts).unwrap();
        let policy = &settings.executor.policy;
        assert_eq!((policy.chain_id, policy.prices.ceiling_fee_cap_wei), (100, 50 * WEI_PER_GWEI));
        assert_eq!(settings.executor.spenders, [Address::repeat_byte(1)]);
        let dear = SubmitterOptions { max_fee_gwei: 0, ..options() };
        assert!(dear.settings(&contracts).unwrap_err().to_string().contains("SUBMITTER_MAX_FEE_GWEI"));
        assert!(options().settings(b"{}").unwrap_err().to_string().contains("cannot be read"));
    }
}
