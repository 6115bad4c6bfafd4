//! Movements of the listed accounts: what comes to a Safe is a deposit, what leaves it is a withdrawal.
//!
//! Money that the processor itself moves is neither: a refund comes from a settlement Safe, and a pull is claimed by a
//! `Spend` or goes to a settlement Safe. A pull without a `Spend` is refused, because the books would miss it. An issue
//! by the issuer comes from the zero address and a redemption goes there; both are movements like all others. A
//! transfer between two listed accounts is a deposit and a withdrawal.

use std::collections::BTreeSet;

use clearfold_kernel::{Refusal, Transaction};

use super::contract_set::ContractSet;
use super::transfer::Transfer;
use super::{Found, Meaning, amount_of, refusal, source};
use crate::account::{Command, RecordDeposit, RecordWithdrawal};

/// Returns the deposit that a transfer is, if it is one.
pub(super) fn deposit(
    contracts: &ContractSet,
    transaction: &Transaction,
    transfer: &Transfer<'_>,
) -> Option<Found> {
    let (from, to) = (transfer.moved.from, transfer.moved.to);
    if !contracts.is_account(to) || contracts.is_settlement(from) {
        return None;
    }
    let deposit = RecordDeposit {
        amount: amount_of(&transfer.asset.asset, transfer.moved.minor),
        source: source(transaction, transfer.log_index),
        occurred_at: transaction.block_timestamp,
    };
    let meaning = Meaning::Deposit(Command::RecordDeposit(deposit));
    Some(Found { log_index: transfer.log_index, account: to, meaning })
}

/// Returns the withdrawal that a transfer is, if it is one, or a refusal for a pull that no `Spend` claims.
pub(super) fn withdrawal(
    contracts: &ContractSet,
    transaction: &Transaction,
    transfer: &Transfer<'_>,
    claimed: &BTreeSet<u64>,
) -> Option<Result<Found, Refusal>> {
    let (from, to) = (transfer.moved.from, transfer.moved.to);
    if !contracts.is_account(from) || claimed.contains(&transfer.log_index) {
        return None;
    }
    if contracts.is_settlement(to) {
        let detail = format!(
            "the account {from} paid the settlement Safe {to} without a Spend of the contract set's spenders; add the \
             spender, or book the amount by hand"
        );
        return Some(Err(refusal(transfer.log_index, "pull_without_spend", detail)));
    }
    let withdrawal = RecordWithdrawal {
        amount: amount_of(&transfer.asset.asset, transfer.moved.minor),
        source: source(transaction, transfer.log_index),
        occurred_at: transaction.block_timestamp,
    };
    let meaning = Meaning::Withdrawal(Command::RecordWithdrawal(withdrawal));
    Some(Ok(Found { log_index: transfer.log_index, account: from, meaning }))
}
