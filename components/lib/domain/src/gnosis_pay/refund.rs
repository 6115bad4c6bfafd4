//! Refunds: transfers out of a settlement Safe, many in one transaction.
//!
//! A transfer from one settlement Safe to another is internal to the processor and not a refund.

use clearfold_kernel::{Log, Refusal, Transaction};

use super::contract_set::{AssetContracts, ContractSet};
use super::events::{self, TransferLog, Unreadable};
use super::{FoundPayment, amount_of, refusal, source};
use crate::authorization::{Command, RecordRefund, RefundOrigin};

/// Returns all refunds of a transaction, each at its asset's canonical address, and refusals for transfers there that
/// cannot be decoded.
pub(super) fn refunds<'a>(
    contracts: &'a ContractSet,
    transaction: &'a Transaction,
) -> impl Iterator<Item = Result<FoundPayment, Refusal>> + 'a {
    let mut ordinal = 0_usize;
    transaction.logs.iter().filter_map(move |log| {
        let asset = canonical_asset(contracts, log)?;
        let transfer = match events::transfer(log) {
            Ok(transfer) => transfer,
            Err(error) => return Some(Err(unreadable(log, error))),
        };
        if !contracts.is_settlement(transfer.from) || contracts.is_settlement(transfer.to) {
            return None;
        }
        let found = refund(asset, &transfer, transaction, log, ordinal);
        // A transaction has fewer logs than a usize counts.
        ordinal = ordinal.saturating_add(1);
        Some(Ok(found))
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

fn refund(
    asset: &AssetContracts,
    transfer: &TransferLog,
    transaction: &Transaction,
    log: &Log,
    ordinal: usize,
) -> FoundPayment {
    let refund = RecordRefund {
        account: transfer.to,
        amount: amount_of(&asset.asset, transfer.minor),
        origin: RefundOrigin::Chain(source(transaction, log.log_index)),
        occurred_at: transaction.block_timestamp,
    };
    FoundPayment {
        log_index: log.log_index,
        kind: "refund",
        ordinal,
        account: transfer.to,
        command: Command::RecordRefund(refund),
    }
}
