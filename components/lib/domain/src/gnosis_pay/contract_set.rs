//! Contract set: the contracts of Gnosis Pay. It is configuration, with block ranges, because contracts get replaced.

use std::collections::BTreeSet;

use clearfold_kernel::{Address, Asset, Hash, LogFilter};
use serde::Deserialize;

use super::events;

/// Reason why a contract set cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidContractSet {
    /// It is not JSON of the right shape.
    #[error("the contract set cannot be read: {0}")]
    Unreadable(String),
    /// A list that must not be empty is empty. Holds its name.
    #[error("the contract set names no `{0}`; without one nothing can be translated")]
    Empty(&'static str),
    /// An address or an asset's code appears twice.
    #[error("the contract set names {0} twice; each contract and each asset has one entry")]
    Duplicate(String),
    /// A range ends before it begins.
    #[error("the spender {0} ends at a block before the one it begins with")]
    EmptyRange(Address),
    /// The asset has more decimals than 128 bits can represent.
    #[error("the asset {0} has {1} decimals; at most 38 can be held exactly")]
    TooManyDecimals(String, u8),
}

/// Contracts of one chain.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ContractSet {
    /// EIP-155 chain id.
    pub chain_id: u64,
    /// First block that is relevant; anything before it is ignored.
    #[serde(default)]
    pub first_block: u64,
    /// Assets that cards are paid with.
    pub assets: Vec<AssetContracts>,
    /// Modules that emit `Spend`.
    pub spenders: Vec<Spender>,
    /// Safes that receive spent money and pay refunds.
    pub settlement: Vec<Address>,
}

/// Addresses of an asset.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct AssetContracts {
    /// Code and decimals.
    #[serde(flatten)]
    pub asset: Asset,
    /// Address at which movements are counted.
    pub canonical: Address,
    /// Older address that logs the same movements again.
    #[serde(default)]
    pub mirror: Option<Address>,
}

/// Spender module, and the block range in which it counts.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spender {
    /// Address of the module.
    pub address: Address,
    /// First block of the range.
    #[serde(default)]
    pub from_block: u64,
    /// Last block of the range; `None` if there is no end.
    #[serde(default)]
    pub to_block: Option<u64>,
}

impl ContractSet {
    /// Reads a set and validates it.
    pub fn read(json: &[u8]) -> Result<Self, InvalidContractSet> {
        let set: Self = serde_json::from_slice(json)
            .map_err(|error| InvalidContractSet::Unreadable(error.to_string()))?;
        set.check()?;
        Ok(set)
    }

    /// Returns the asset with that address, canonical or mirror.
    pub(super) fn asset_at(&self, address: Address) -> Option<&AssetContracts> {
        self.assets.iter().find(|asset| asset.canonical == address || asset.mirror == Some(address))
    }

    pub(super) fn is_spender(&self, address: Address, block: u64) -> bool {
        self.spenders.iter().any(|spender| {
            spender.address == address
                && block >= spender.from_block
                && spender.to_block.is_none_or(|last| block <= last)
        })
    }

    pub(super) fn is_settlement(&self, address: Address) -> bool {
        self.settlement.contains(&address)
    }

    pub(super) fn filters(&self) -> Vec<LogFilter> {
        let spends = self.spenders.iter().map(|spender| LogFilter {
            addresses: vec![spender.address],
            topics: vec![events::spend_signature()],
            first_arguments: Vec::new(),
            from_block: spender.from_block.max(self.first_block),
            to_block: spender.to_block,
        });
        let refunds = LogFilter {
            addresses: self.assets.iter().map(|asset| asset.canonical).collect(),
            topics: vec![events::transfer_signature()],
            first_arguments: self.settlement.iter().map(|address| padded(*address)).collect(),
            from_block: self.first_block,
            to_block: None,
        };
        spends.chain([refunds]).collect()
    }

    fn check(&self) -> Result<(), InvalidContractSet> {
        let lists = [
            ("assets", self.assets.is_empty()),
            ("spenders", self.spenders.is_empty()),
            ("settlement", self.settlement.is_empty()),
        ];
        if let Some((name, _)) = lists.into_iter().find(|(_, empty)| *empty) {
            return Err(InvalidContractSet::Empty(name));
        }
        if let Some(asset) = self.assets.iter().find(|asset| asset.asset.decimals > 38) {
            return Err(InvalidContractSet::TooManyDecimals(asset.asset.code.clone(), asset.asset.decimals));
        }
        let backwards = |spender: &&Spender| spender.to_block.is_some_and(|last| last < spender.from_block);
        if let Some(spender) = self.spenders.iter().find(backwards) {
            return Err(InvalidContractSet::EmptyRange(spender.address));
        }
        let addresses = self.assets.iter().flat_map(|asset| [Some(asset.canonical), asset.mirror]);
        let names = addresses.flatten().map(|address| address.to_string());
        let codes = self.assets.iter().map(|asset| asset.asset.code.clone());
        let mut seen = BTreeSet::new();
        match names.chain(codes).find(|name| !seen.insert(name.clone())) {
            Some(name) => Err(InvalidContractSet::Duplicate(name)),
            None => Ok(()),
        }
    }
}

fn padded(address: Address) -> Hash {
    let mut word = [0; 32];
    word[12..].copy_from_slice(&address.0);
    Hash(word)
}
