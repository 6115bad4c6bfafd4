//! Transfers that move money: each once, at its asset's canonical address.
//!
//! Nobody needs an allowance to have a transfer of nothing logged, in anybody's name, so such a log means nothing. A
//! transfer to its own sender moves nothing either.

use clearfold_kernel::{Log, Refusal, Transaction};

use super::contract_set::{AssetContracts, ContractSet};
use super::events::{self, TransferLog, Unreadable};
use super::refusal;

/// Transfer of an asset of the contract set, of more than nothing, to another address.
pub(super) struct Transfer<'a> {
    pub log_index: u64,
    pub asset: &'a AssetContracts,
    pub moved: TransferLog,
}

/// Returns all transfers of a transaction, and refusals for those that cannot be decoded.
pub(super) fn transfers<'a>(
    contracts: &'a ContractSet,
    transaction: &'a Transaction,
) -> impl Iterator<Item = Result<Transfer<'a>, Refusal>> {
    transaction.logs.iter().filter_map(|log| {
        let asset = canonical_asset(contracts, log)?;
        match events::transfer(log) {
            Ok(moved) if moved.minor == 0 || moved.from == moved.to => None,
            Ok(moved) => Some(Ok(Transfer { log_index: log.log_index, asset, moved })),
            Err(error) => Some(Err(unreadable(log, error))),
        }
    })
}

fn canonical_asset<'a>(contracts: &'a ContractSet, log: &Log) -> Option<&'a AssetContracts> {
    if !events::is_signed(log, events::transfer_signature()) {
        return None;
    }
    contracts.assets.iter().find(|asset| asset.canonical == log.address)
}

fn unreadable(log: &Log, error: Unreadable) -> Refusal {
    match error {
        Unreadable::Malformed(detail) => refusal(log.log_index, "transfer_malformed", detail),
        Unreadable::TooLarge(detail) => refusal(log.log_index, "amount_too_large", detail),
    }
}
