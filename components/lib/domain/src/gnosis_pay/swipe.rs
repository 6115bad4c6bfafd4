//! Swipes: a `Spend`, the Safe behind its Roles module, and the transfer that proves it.
//!
//! A `Spend` of a call that this processor signed for a payment is no swipe but the payment's funding. The host says
//! which calls are such pulls.

use std::collections::BTreeSet;

use clearfold_kernel::{Address, ExecutedPull, Log, Refusal, Transaction};

use super::contract_set::{AssetContracts, ContractSet};
use super::events::{self, SpendLog, Unreadable};
use super::{Found, Meaning, amount_of, refusal, source};
use crate::authorization::{Command, Observation, ObserveFunding, RecordSwipe};

/// Returns, for each `Spend` of the contract set's spenders, the swipe or the funding, or a refusal with the reason; and
/// the log indexes of the transfers that they claim.
pub(super) fn swipes(
    contracts: &ContractSet,
    transaction: &Transaction,
) -> (Vec<Result<Found, Refusal>>, BTreeSet<u64>) {
    let signature = events::spend_signature();
    let mut claimed = BTreeSet::new();
    let spends = transaction.logs.iter().filter(|log| {
        events::is_signed(log, signature) && contracts.is_spender(log.address, transaction.block_number)
    });
    let swipes = spends
        .enumerate()
        .map(|(ordinal, log)| swipe(contracts, transaction, log, ordinal, &mut claimed))
        .collect();
    (swipes, claimed)
}

fn swipe(
    contracts: &ContractSet,
    transaction: &Transaction,
    log: &Log,
    ordinal: usize,
    claimed: &mut BTreeSet<u64>,
) -> Result<Found, Refusal> {
    let at = log.log_index;
    let spend = events::spend(log).map_err(|error| match error {
        Unreadable::Malformed(detail) => refusal(at, "spend_malformed", detail),
        Unreadable::TooLarge(detail) => refusal(at, "amount_too_large", detail),
    })?;
    let asset = contracts.asset_at(spend.asset).ok_or_else(|| {
        let detail =
            format!("the contract set knows no asset at {}; add it and translate again", spend.asset);
        refusal(at, "spend_of_unknown_asset", detail)
    })?;
    let safe = safe_behind(spend.roles_module, transaction, at).ok_or_else(|| {
        let detail =
            format!("no Safe in this transaction executed for the Roles module {}", spend.roles_module);
        refusal(at, "spend_without_account", detail)
    })?;
    let transfer = transfer_of(&spend, asset, safe, transaction, at, claimed).ok_or_else(|| {
        let detail = format!("no transfer of {} minor units from {safe} to {}", spend.minor, spend.receiver);
        refusal(at, "spend_without_transfer", detail)
    })?;
    claimed.insert(transfer);
    let (amount, source) = (amount_of(&asset.asset, spend.minor), source(transaction, at));
    let occurred_at = transaction.block_timestamp;
    let meaning = match pull_of(transaction, log) {
        Some(ExecutedPull { payment_id, leg, .. }) => {
            let (leg, observation) = (*leg, Observation::Included { amount, source });
            let command = Command::ObserveFunding(ObserveFunding { leg, observation, occurred_at });
            Meaning::Funding { payment_id: payment_id.clone(), command }
        }
        None => {
            let swipe = RecordSwipe { account: safe, amount, source, occurred_at };
            Meaning::Payment { kind: "swipe", ordinal, command: Command::RecordSwipe(swipe) }
        }
    };
    Ok(Found { log_index: at, account: safe, meaning })
}

/// Returns the pull of the processor whose call made this `Spend`. The call's execution is the last one that the spender
/// logged before, and no other `Spend` of it lies between.
fn pull_of<'a>(transaction: &'a Transaction, spend: &Log) -> Option<&'a ExecutedPull> {
    let (executed, spent) = (events::execution_signature(), events::spend_signature());
    let before = transaction.logs.iter().rev().skip_while(|log| log.log_index >= spend.log_index);
    let mut of_spender = before.filter(|log| log.address == spend.address);
    let execution = of_spender
        .find(|log| events::is_signed(log, executed) || events::is_signed(log, spent))
        .filter(|log| events::is_signed(log, executed))?;
    transaction.pulls.iter().find(|pull| pull.log_index == execution.log_index)
}

/// Returns the Safe that last executed for the module before the `Spend` was logged.
fn safe_behind(roles_module: Address, transaction: &Transaction, before: u64) -> Option<Address> {
    transaction
        .logs
        .iter()
        .rev()
        .skip_while(|log| log.log_index >= before)
        .find(|log| events::executing_module(log) == Some(roles_module))
        .map(|log| log.address)
}

/// Returns the log index of the transfer that the `Spend` claims, unless another `Spend` has claimed it.
fn transfer_of(
    spend: &SpendLog,
    asset: &AssetContracts,
    safe: Address,
    transaction: &Transaction,
    before: u64,
    claimed: &BTreeSet<u64>,
) -> Option<u64> {
    let transfers = transaction.logs.iter().rev().skip_while(|log| log.log_index >= before);
    let matches = |log: &&Log| {
        log.address == asset.canonical
            && !claimed.contains(&log.log_index)
            && events::is_signed(log, events::transfer_signature())
            && events::transfer(log).is_ok_and(|transfer| {
                transfer.from == safe && transfer.to == spend.receiver && transfer.minor == spend.minor
            })
    };
    let found = transfers.into_iter().find(matches);
    found.map(|log| log.log_index)
}
