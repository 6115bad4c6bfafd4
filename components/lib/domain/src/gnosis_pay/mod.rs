//! Translator for Gnosis Pay: logs become commands for swipes and refunds.
//!
//! Points that are easy to get wrong:
//!
//! - `Spend.account` is not the account but its Roles module. The account's Safe is the emitter of the
//!   `ExecutionFromModuleSuccess` in the same transaction that names the module.
//! - EURe and GBPe each have two addresses, and every movement is logged at both. Only movements at the address that
//!   the contract set calls canonical are counted.
//! - One transaction may hold many payments. A payment's id is derived from the transaction and the payment's
//!   position among those of its kind in it, so it stays the same when the transaction is mined again in another
//!   block.
//! - A `Spend` counts only together with the transfer that it claims. One without a transfer is refused and kept for
//!   inspection; nothing is guessed.

mod contract_set;
mod events;
mod refund;
mod swipe;

pub use contract_set::{ContractSet, InvalidContractSet};

use clearfold_kernel::{
    Asset, ChainSource, Encoded, Message, Refusal, Selection, Transaction, Translated, TranslatedCommand,
    Translator,
};
use sha2::{Digest, Sha256};

use crate::authorization::{AGGREGATE, Command};

/// Translator for Gnosis Pay.
pub struct GnosisPay;

impl Translator for GnosisPay {
    fn filters(contracts: &[u8]) -> Result<Selection, String> {
        let contracts = ContractSet::read(contracts).map_err(|error| error.to_string())?;
        Ok(Selection { chain_id: contracts.chain_id, filters: contracts.filters() })
    }

    fn translate(contracts: &[u8], transactions: &[Transaction]) -> Result<Vec<Translated>, String> {
        let contracts = ContractSet::read(contracts).map_err(|error| error.to_string())?;
        transactions.iter().map(|transaction| translate_one(&contracts, transaction)).collect()
    }
}

fn translate_one(contracts: &ContractSet, transaction: &Transaction) -> Result<Translated, String> {
    if transaction.chain_id != contracts.chain_id {
        return Err(format!(
            "the contract set is for chain {}, the transaction {} is of chain {}; give the set of that chain",
            contracts.chain_id, transaction.transaction_hash, transaction.chain_id
        ));
    }
    let mut translated = Translated::default();
    let found = swipe::swipes(contracts, transaction).chain(refund::refunds(contracts, transaction));
    for payment in found {
        match payment {
            Ok(payment) => translated.commands.push(payment.into_command(transaction)?),
            Err(refusal) => translated.refusals.push(refusal),
        }
    }
    translated.commands.sort_by_key(|command| command.log_index);
    translated.refusals.sort_by_key(|refusal| refusal.log_index);
    Ok(translated)
}

/// Payment found in a transaction, before it becomes a command.
struct FoundPayment {
    log_index: u64,
    /// `swipe` or `refund`; `ordinal` is the position among the payments of that kind in the transaction.
    kind: &'static str,
    ordinal: usize,
    account: clearfold_kernel::Address,
    command: Command,
}

impl FoundPayment {
    fn into_command(self, transaction: &Transaction) -> Result<TranslatedCommand, String> {
        let message: Encoded = self.command.encode().map_err(|error| error.to_string())?;
        Ok(TranslatedCommand {
            log_index: self.log_index,
            aggregate: AGGREGATE,
            id: payment_id(transaction, self.kind, self.ordinal),
            routing_key: self.account.to_string(),
            message,
        })
    }
}

/// Derives a payment id of 32 hexadecimal digits from what does not change when the transaction is mined again.
fn payment_id(transaction: &Transaction, kind: &str, ordinal: usize) -> String {
    let name = format!("{}/{}/{kind}/{ordinal}", transaction.chain_id, transaction.transaction_hash);
    hex::encode(&Sha256::digest(name)[..16])
}

fn source(transaction: &Transaction, log_index: u64) -> ChainSource {
    ChainSource {
        chain_id: transaction.chain_id,
        block_hash: transaction.block_hash,
        block_number: transaction.block_number,
        transaction_hash: transaction.transaction_hash,
        log_index,
    }
}

fn amount_of(asset: &Asset, minor: u128) -> clearfold_kernel::Amount {
    clearfold_kernel::Amount { minor: clearfold_kernel::Minor::new(minor), asset: asset.clone() }
}

fn refusal(log_index: u64, code: &'static str, detail: impl Into<String>) -> Refusal {
    Refusal { log_index, code, detail: detail.into() }
}

#[cfg(test)]
mod specification;
