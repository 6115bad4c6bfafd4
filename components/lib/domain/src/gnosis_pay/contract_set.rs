//! Contract set: the contracts of Gnosis Pay, and the accounts whose movements are booked. It is configuration, with
//! block ranges, because contracts get replaced.

use std::collections::BTreeSet;

use clearfold_kernel::{Address, Asset, Hash, LogFilter};
use serde::de::Error;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::events::{self, NOBODY};

/// Number of accounts in one filter: nodes refuse filters with more than a thousand arguments.
const ACCOUNTS_IN_A_FILTER: usize = 500;

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
    /// An account cannot be a customer's: it is the zero address, or one of the set's contracts.
    #[error("the contract set lists {0} as an account, which is {1}; take it off `accounts`")]
    NoAccount(Address, &'static str),
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
    /// Safes whose deposits and withdrawals are booked.
    #[serde(default, deserialize_with = "each_once")]
    pub accounts: BTreeSet<Address>,
}

/// Addresses of an asset.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(from = "AssetMembers")]
pub struct AssetContracts {
    /// Code and decimals.
    pub asset: Asset,
    /// Address at which movements are counted.
    pub canonical: Address,
    /// Older address that logs the same movements again.
    pub mirror: Option<Address>,
}

/// Members of an asset's entry. A flattened asset would let a misspelt one pass.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AssetMembers {
    asset: String,
    decimals: u8,
    canonical: Address,
    #[serde(default)]
    mirror: Option<Address>,
}

impl From<AssetMembers> for AssetContracts {
    fn from(members: AssetMembers) -> Self {
        let AssetMembers { asset: code, decimals, canonical, mirror } = members;
        Self { asset: Asset { code, decimals }, canonical, mirror }
    }
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

    pub(super) fn is_account(&self, address: Address) -> bool {
        self.accounts.contains(&address)
    }

    pub(super) fn filters(&self) -> Vec<LogFilter> {
        let spends = self.spenders.iter().map(|spender| LogFilter {
            addresses: vec![spender.address],
            topics: vec![events::spend_signature()],
            first_arguments: Vec::new(),
            second_arguments: Vec::new(),
            from_block: spender.from_block.max(self.first_block),
            to_block: spender.to_block,
        });
        let refunds =
            self.transfers(self.settlement.iter().map(|address| padded(*address)).collect(), Vec::new());
        let accounts: Vec<Hash> = self.accounts.iter().map(|address| padded(*address)).collect();
        let movements = accounts.chunks(ACCOUNTS_IN_A_FILTER).flat_map(|accounts| {
            let to_accounts = self.transfers(Vec::new(), accounts.to_vec());
            [to_accounts, self.transfers(accounts.to_vec(), Vec::new())]
        });
        spends.chain([refunds]).chain(movements).collect()
    }

    /// Filter for the transfers of all assets from one of `senders` to one of `receivers`; an empty list is everybody.
    fn transfers(&self, senders: Vec<Hash>, receivers: Vec<Hash>) -> LogFilter {
        LogFilter {
            addresses: self.assets.iter().map(|asset| asset.canonical).collect(),
            topics: vec![events::transfer_signature()],
            first_arguments: senders,
            second_arguments: receivers,
            from_block: self.first_block,
            to_block: None,
        }
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
        self.check_accounts()?;
        let addresses = self.assets.iter().flat_map(|asset| [Some(asset.canonical), asset.mirror]);
        let names = addresses.flatten().map(|address| address.to_string());
        let codes = self.assets.iter().map(|asset| asset.asset.code.clone());
        let mut seen = BTreeSet::new();
        match names.chain(codes).find(|name| !seen.insert(name.clone())) {
            Some(name) => Err(InvalidContractSet::Duplicate(name)),
            None => Ok(()),
        }
    }

    /// Checks that no account is the zero address or one of the set's contracts: their movements are not a customer's.
    fn check_accounts(&self) -> Result<(), InvalidContractSet> {
        let settlement = self.settlement.iter().map(|address| (*address, "a settlement Safe"));
        let assets = self.assets.iter().flat_map(|asset| [Some(asset.canonical), asset.mirror]);
        let assets = assets.flatten().map(|address| (address, "the contract of an asset"));
        let spenders = self.spenders.iter().map(|spender| (spender.address, "a spender"));
        let none = [(NOBODY, "the zero address")].into_iter();
        match none
            .chain(settlement)
            .chain(assets)
            .chain(spenders)
            .find(|(address, _)| self.is_account(*address))
        {
            Some((address, what)) => Err(InvalidContractSet::NoAccount(address, what)),
            None => Ok(()),
        }
    }
}

/// Account with the Roles module by which its card spends. The submitter needs the module; the movements are the Safe's.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WithRoles {
    safe: Address,
    #[serde(rename = "roles")]
    _roles: Address,
}

/// Reads a list of accounts, each of which is listed once: as its Safe, or as the Safe with its Roles module.
fn each_once<'de, D: Deserializer<'de>>(list: D) -> Result<BTreeSet<Address>, D::Error> {
    let mut accounts = BTreeSet::new();
    for listed in Vec::<Value>::deserialize(list)? {
        let account = match listed {
            Value::Object(_) => serde_json::from_value(listed).map(|WithRoles { safe, .. }| safe),
            listed => serde_json::from_value(listed),
        };
        let account: Address = account.map_err(D::Error::custom)?;
        if !accounts.insert(account) {
            let why = format!("the account {account} is listed twice; list each account once");
            return Err(D::Error::custom(why));
        }
    }
    Ok(accounts)
}

fn padded(address: Address) -> Hash {
    let mut word = [0; 32];
    word[12..].copy_from_slice(&address.0);
    Hash(word)
}
