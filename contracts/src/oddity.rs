//! Irregular logs, for tests of a listener. Each oddity is wrong in one thing only, so that a test sees the refusal
//! of that thing and not of another.

use alloy::primitives::{Address, B256, Bytes, U256};
use alloy::sol_types::{SolEvent, SolValue};
use anyhow::Result;

use crate::abi::Oddities::Log;
use crate::abi::{Safe, Spender};
use crate::client::eure;
use crate::deployment::Deployment;

/// Irregularity of a `Spend`. Unless stated otherwise, the transaction also has the `ExecutionFromModuleSuccess` of
/// account 0's Roles module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Oddity {
    /// No log of the transaction names the Safe that paid.
    SpendWithoutAccount,
    /// The data ends after three of the four words.
    SpendTooShort,
    /// The account's word is wider than an address.
    SpendOfWideAddress,
    /// The asset is a token that the contract set does not list.
    SpendOfUnknownAsset,
    /// The receiver is not the settlement Safe.
    SpendToStranger,
    /// The amount is zero.
    SpendOfNothing,
    /// The signature is the same, but the asset is an indexed argument.
    SpendWithIndexedAsset,
    /// A log without topics, which is no `Spend`.
    LogWithoutTopics,
}

impl Oddity {
    pub const ALL: [Self; 8] = [
        Self::SpendWithoutAccount,
        Self::SpendTooShort,
        Self::SpendOfWideAddress,
        Self::SpendOfUnknownAsset,
        Self::SpendToStranger,
        Self::SpendOfNothing,
        Self::SpendWithIndexedAsset,
        Self::LogWithoutTopics,
    ];

    pub(crate) fn logs(self, on: &Deployment) -> Result<Vec<Log>> {
        let roles = on.account(0)?.roles;
        let paid = Log {
            topics: vec![Safe::ExecutionFromModuleSuccess::SIGNATURE_HASH, roles.into_word()],
            data: Bytes::new(),
        };
        let stranger = Address::repeat_byte(0x5a);
        let amount = eure(1);
        let good = spend_data(on.eure_v1, roles, on.settlement, amount);
        let spend = |data: Vec<u8>| spend(Vec::new(), data);
        Ok(match self {
            Self::SpendWithoutAccount => vec![spend(good)],
            Self::SpendTooShort => vec![paid, spend(good[..96].to_vec())],
            Self::SpendOfWideAddress => {
                let mut wide = good;
                wide[32] = 1;
                vec![paid, spend(wide)]
            }
            Self::SpendOfUnknownAsset => {
                vec![paid, spend(spend_data(stranger, roles, on.settlement, amount))]
            }
            Self::SpendToStranger => vec![paid, spend(spend_data(on.eure_v1, roles, stranger, amount))],
            Self::SpendOfNothing => {
                vec![paid, spend(spend_data(on.eure_v1, roles, on.settlement, U256::ZERO))]
            }
            Self::SpendWithIndexedAsset => {
                vec![paid, self::spend(vec![on.eure_v1.into_word()], good[32..].to_vec())]
            }
            Self::LogWithoutTopics => vec![Log { topics: Vec::new(), data: good.into() }],
        })
    }
}

fn spend_data(asset: Address, account: Address, receiver: Address, amount: U256) -> Vec<u8> {
    (asset, account, receiver, amount).abi_encode_params()
}

fn spend(indexed: Vec<B256>, data: Vec<u8>) -> Log {
    let topics = [vec![Spender::Spend::SIGNATURE_HASH], indexed].concat();
    Log { topics, data: data.into() }
}
