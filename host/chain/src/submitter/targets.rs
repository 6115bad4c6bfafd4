//! Targets of pulls: what the contract set says about the Spender, the assets, the accounts and the receiver, and the calls
//! that follow. Pure.

use std::collections::BTreeMap;

use alloy::primitives::{Address, B256, Bytes, U256, b256};
use alloy::sol_types::SolCall;
use clearfold_kernel::Amount;
use serde::Deserialize;
use serde_json::Value;

/// keccak256("SPENDING_ROLE"), the key of the role under which Gnosis Pay's cards spend.
pub const SPENDING_ROLE: B256 = b256!("349476e3982666749979c85ce800cd2947a4b8dc9fe20a01a00a1b526072a8a3");

alloy::sol! {
    function spend(address asset, address account, address receiver, uint256 amount, bytes32 roleKey) external;
}

/// Choices that the contract set leaves open.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Choices {
    pub spender: Option<Address>,
    pub receiver: Option<Address>,
    pub role_key: Option<B256>,
}

/// Contracts and accounts that pulls are made with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Targets {
    pub chain_id: u64,
    pub spender: Address,
    receiver: Address,
    role_key: B256,
    /// Address by which cards spend each asset, with the asset's decimals, by its code.
    assets: BTreeMap<String, (Address, u8)>,
    /// Roles module of each account's Safe.
    roles: BTreeMap<Address, Address>,
}

/// The contract set does not say what pulls need.
#[derive(Debug, thiserror::Error)]
pub enum TargetsError {
    #[error("the contract set cannot be read")]
    Unreadable(#[from] serde_json::Error),
    #[error(
        "the contract set names {count} spenders without a last block; set SUBMITTER_SPENDER to the one that pulls are sent to"
    )]
    Spender { count: usize },
    #[error(
        "SUBMITTER_SPENDER {0} is no spender of the contract set, so its pulls would not be seen; add it there"
    )]
    UnknownSpender(Address),
    #[error(
        "the contract set names {count} settlement Safes; set SUBMITTER_RECEIVER to the one that pulls pay"
    )]
    Receiver { count: usize },
    #[error("SUBMITTER_RECEIVER {0} is no settlement Safe of the contract set; add it there")]
    UnknownReceiver(Address),
    #[error(
        "the contract set names the Roles module of no account, so nothing can be pulled; list accounts as {{\"safe\": \"0x…\", \"roles\": \"0x…\"}}"
    )]
    NoRoles,
    #[error("the contract set names two Roles modules for {0}, or one for two accounts; correct `accounts`")]
    Roles(Address),
}

/// A pull cannot be made as it was asked for: nothing was signed.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct NoCall {
    pub code: &'static str,
    pub detail: String,
}

/// The contract set, as far as pulls need it. The translator reads the whole.
#[derive(Deserialize)]
struct Set {
    chain_id: u64,
    assets: Vec<SetAsset>,
    spenders: Vec<SetSpender>,
    settlement: Vec<Address>,
    #[serde(default)]
    accounts: Vec<Value>,
}

#[derive(Deserialize)]
struct SetAsset {
    asset: String,
    decimals: u8,
    canonical: Address,
    mirror: Option<Address>,
}

#[derive(Deserialize)]
struct SetSpender {
    address: Address,
    to_block: Option<u64>,
}

/// Account with its Roles module. One that is listed as its Safe alone cannot be pulled from.
#[derive(Deserialize)]
struct SetAccount {
    safe: Address,
    roles: Address,
}

impl Targets {
    /// Reads them from a contract set.
    pub fn read(contracts: &[u8], choices: &Choices) -> Result<Self, TargetsError> {
        let set: Set = serde_json::from_slice(contracts)?;
        let receiver = receiver(&set, choices)?;
        let (spender, roles) = (spender(&set, choices)?, roles(&set)?);
        // An older address logs the same movements again; the roles of cards are scoped to it.
        let address = |asset: &SetAsset| asset.mirror.unwrap_or(asset.canonical);
        let assets = set.assets.iter().map(|asset| (asset.asset.clone(), (address(asset), asset.decimals)));
        let role_key = choices.role_key.unwrap_or(SPENDING_ROLE);
        Ok(Self { chain_id: set.chain_id, spender, receiver, role_key, assets: assets.collect(), roles })
    }

    /// Returns the call that pulls an amount from an account's Safe, without salt and signature.
    pub(super) fn call(&self, safe: clearfold_kernel::Address, amount: &Amount) -> Result<Bytes, NoCall> {
        let no_call = |code, detail| NoCall { code, detail };
        // First: the saga knows this refusal for the end of a payment that was given back.
        if amount.minor.get() == 0 {
            return Err(no_call("amount_not_positive", "a pull of nothing".to_owned()));
        }
        let Some(&roles) = self.roles.get(&Address::from(safe.0)) else {
            let detail = format!(
                "the contract set names no Roles module of {safe}; list the account as {{\"safe\": …, \"roles\": …}}"
            );
            return Err(no_call("account_without_roles", detail));
        };
        let code = &amount.asset.code;
        let known = self.assets.get(code).filter(|(_, decimals)| *decimals == amount.asset.decimals);
        let Some(&(asset, _)) = known else {
            let decimals = amount.asset.decimals;
            let detail = format!("the contract set has no asset {code} with {decimals} decimals; add it");
            return Err(no_call("unknown_asset", detail));
        };
        let (receiver, amount) = (self.receiver, U256::from(amount.minor.get()));
        let call = spendCall { asset, account: roles, receiver, amount, roleKey: self.role_key };
        Ok(call.abi_encode().into())
    }
}

fn spender(set: &Set, choices: &Choices) -> Result<Address, TargetsError> {
    if let Some(chosen) = choices.spender {
        let is_known = set.spenders.iter().any(|spender| spender.address == chosen);
        return is_known.then_some(chosen).ok_or(TargetsError::UnknownSpender(chosen));
    }
    let open: Vec<Address> =
        set.spenders.iter().filter(|one| one.to_block.is_none()).map(|one| one.address).collect();
    match open[..] {
        [only] => Ok(only),
        _ => Err(TargetsError::Spender { count: open.len() }),
    }
}

fn receiver(set: &Set, choices: &Choices) -> Result<Address, TargetsError> {
    match (choices.receiver, &set.settlement[..]) {
        (Some(chosen), known) if known.contains(&chosen) => Ok(chosen),
        (Some(chosen), _) => Err(TargetsError::UnknownReceiver(chosen)),
        (None, [only]) => Ok(*only),
        (None, known) => Err(TargetsError::Receiver { count: known.len() }),
    }
}

/// Returns the Roles module of each account. A module that two accounts shared would pull from the wrong one.
fn roles(set: &Set) -> Result<BTreeMap<Address, Address>, TargetsError> {
    let (mut roles_of, mut safe_of) = (BTreeMap::new(), BTreeMap::new());
    for account in set.accounts.iter().filter(|account| account.is_object()) {
        let SetAccount { safe, roles } = SetAccount::deserialize(account)?;
        if roles_of.insert(safe, roles).is_some() || safe_of.insert(roles, safe).is_some() {
            return Err(TargetsError::Roles(safe));
        }
    }
    if roles_of.is_empty() { Err(TargetsError::NoRoles) } else { Ok(roles_of) }
}

#[cfg(test)]
mod tests {
    use clearfold_kernel::{Asset, Minor};
    use serde_json::json;

    use super::*;

    const SAFE: &str = "0x1010101010101010101010101010101010101010";

    fn set() -> serde_json::Value {
        json!({
            "chain_id": 100, "first_block": 5,
            "assets": [
                {"asset": "EURe", "decimals": 18, "canonical": "0x420ca0f9b9b604ce0fd9c18ef134c705e5fa3430",
                 "mirror": "0xcb444e90d8198415266c6a2724b7900fb12fc56e"},
                {"asset": "USDC.e", "decimals": 6, "canonical": "0x2a22f9c3b484c3629090feed35f17ff8f88f76f0"}],
            "spenders": [
                {"address": "0x5f07734e2b9c4de6f9c32253d485741800da3f8a", "to_block": 7},
                {"address": "0xcff260bfbc199dc82717494299b1acade25f549b"}],
            "settlement": ["0x4822521e6135cd2599199c83ea35179229a172ee"],
            "accounts": [
                {"safe": SAFE, "roles": "0x9cdc40a10a79b2baa002926e559270c5de9b99e9"},
                "0x2020202020202020202020202020202020202020"],
        })
    }

    fn read(set: &serde_json::Value, choices: &Choices) -> Result<Targets, TargetsError> {
        Targets::read(set.to_string().as_bytes(), choices)
    }

    fn amount(code: &str, decimals: u8, minor: u128) -> Amount {
        Amount { minor: Minor::new(minor), asset: Asset { code: code.to_owned(), decimals } }
    }

    #[test]
    fn a_call_is_the_one_that_gnosis_pay_made() {
        let targets = read(&set(), &Choices::default()).unwrap();
        let call = targets.call(SAFE.parse().unwrap(), &amount("EURe", 18, 0x75f6_10f7_0ed2_0000)).unwrap();
        // The calldata of the transaction in `pull.rs`, without salt and signature.
        let expected = "8a320255\
            000000000000000000000000cb444e90d8198415266c6a2724b7900fb12fc56e\
            0000000000000000000000009cdc40a10a79b2baa002926e559270c5de9b99e9\
            0000000000000000000000004822521e6135cd2599199c83ea35179229a172ee\
            00000000000000000000000000000000000000000000000075f610f70ed20000\
            349476e3982666749979c85ce800cd2947a4b8dc9fe20a01a00a1b526072a8a3";
        assert_eq!(hex::encode(&call), expected);
        assert_eq!(targets.spender.to_string().to_lowercase(), "0xcff260bfbc199dc82717494299b1acade25f549b");
    }

    #[test]
    fn what_cannot_be_called_is_refused_with_the_reason() {
        let targets = read(&set(), &Choices::default()).unwrap();
        let code =
            |safe: &str, amount: &Amount| targets.call(safe.parse().unwrap(), amount).unwrap_err().code;
        let plain = "0x2020202020202020202020202020202020202020";
        assert_eq!(code(plain, &amount("EURe", 18, 1)), "account_without_roles");
        assert_eq!(code(SAFE, &amount("EURe", 6, 1)), "unknown_asset");
        assert_eq!(code(SAFE, &amount("GBPe", 18, 1)), "unknown_asset");
        assert_eq!(code(SAFE, &amount("USDC.e", 6, 0)), "amount_not_positive");
        assert_eq!(code(plain, &amount("GBPe", 18, 0)), "amount_not_positive");
    }

    #[test]
    fn what_a_set_leaves_open_must_be_chosen_from_it() {
        let why = |change: fn(&mut serde_json::Value), choices: &Choices| {
            let mut set = set();
            change(&mut set);
            read(&set, choices).unwrap_err().to_string()
        };
        let none = Choices::default();
        let both = why(|set| _ = set["spenders"][0].as_object_mut().unwrap().remove("to_block"), &none);
        assert!(both.contains("2 spenders") && both.contains("SUBMITTER_SPENDER"), "{both}");
        let elsewhere = Choices { spender: Some(Address::repeat_byte(9)), ..none.clone() };
        assert!(why(|_| {}, &elsewhere).contains("is no spender"));
        assert!(why(|set| set["settlement"] = json!([]), &none).contains("SUBMITTER_RECEIVER"));
        let elsewhere = Choices { receiver: Some(Address::repeat_byte(9)), ..none.clone() };
        assert!(why(|_| {}, &elsewhere).contains("is no settlement Safe"));
        assert!(why(|set| set["accounts"] = json!([SAFE]), &none).contains("Roles module of no account"));
        let shared = why(
            |set| {
                set["accounts"][1] = json!({"safe": "0x2020202020202020202020202020202020202020",
                                            "roles": "0x9cdc40a10a79b2baa002926e559270c5de9b99e9"});
            },
            &none,
        );
        assert!(shared.contains("one for two accounts"), "{shared}");
        assert!(why(|set| set["chain_id"] = json!("x"), &none).contains("cannot be read"));
    }
}
