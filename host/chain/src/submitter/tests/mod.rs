//! Tests of the core against a pure model of a chain with its pool, of a process that crashes, and of a saga.

mod cases;
mod chain;
mod driver;
mod properties;
mod refusals;
mod restores;
mod words;

use alloy::primitives::{Address, B256, U256};
use clearfold_kernel::Timestamp;

use super::{Policy, Price, PriceLimits, Pull, PullId};

const CHAIN_ID: u64 = 100;
const GAS_LIMIT: u64 = 500_000;
const SENDER: Address = Address::repeat_byte(0x5e);
const DELEGATE: Address = Address::repeat_byte(0xde);
/// Price of the model's quiet chain.
const BASE_FEE_WEI: u128 = 1000;

fn policy() -> Policy {
    Policy {
        chain_id: CHAIN_ID,
        gas_limit: GAS_LIMIT,
        prices: PriceLimits {
            floor: Price { fee_cap_wei: 10, tip_cap_wei: 2 },
            ceiling_fee_cap_wei: 20_000,
            repair_ceiling_fee_cap_wei: 100_000,
        },
        max_in_flight: 4,
        raise_after_blocks: 3,
        purse_reserve_wei: U256::from(1_000_000),
        max_pulls: 100,
    }
}

fn id(number: u8) -> PullId {
    PullId::new(&format!("pull-{number}")).unwrap()
}

fn pull(number: u8) -> Pull {
    Pull {
        id: id(number),
        chain_id: CHAIN_ID,
        spender: Address::repeat_byte(0x59),
        delegate: DELEGATE,
        sender: SENDER,
        calldata: vec![number; 164].into(),
        salt: B256::repeat_byte(number),
        not_after: Timestamp::from_s(1_000_000).unwrap(),
    }
}
