//! Translator for Gnosis Pay: logs become commands for swipes and refunds, and for the deposits and withdrawals of the
//! accounts that the contract set lists.
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
//!   inspection; nothing is guessed. The claimed transfer is no withdrawal.
//! - A `Spend` of a call that the processor itself signed for a payment is that payment's funding, and no swipe: one
//!   movement, one payment. Whose calls they are, the host says.
//! - One transfer may be a deposit and a withdrawal. Each has a part number of its own, the same whichever of the two
//!   accounts is listed, so an account that is listed later changes no key of a command.

mod contract_set;
mod events;
mod movement;
mod refund;
mod swipe;
mod transfer;

pub use contract_set::{ContractSet, InvalidContractSet};

use clearfold_kernel::{
    Address, Asset, ChainSource, Message, Refusal, Selection, Transaction, Translated, TranslatedCommand,
    Translator,
};
use sha2::{Digest, Sha256};

use self::refund::Refunds;
use crate::{account, authorization};

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
    let (mut found, claimed) = swipe::swipes(contracts, transaction);
    let mut refunds = Refunds::default();
    for transfer in transfer::transfers(contracts, transaction) {
        match transfer {
            Ok(transfer) => {
                found.extend(refunds.refund(contracts, transaction, &transfer).map(Ok));
                found.extend(movement::deposit(contracts, transaction, &transfer).map(Ok));
                found.extend(movement::withdrawal(contracts, transaction, &transfer, &claimed));
            }
            Err(refusal) => found.push(Err(refusal)),
        }
    }
    let mut translated = Translated::default();
    for found in found {
        match found {
            Ok(found) => translated.commands.push(found.into_command(transaction)?),
            Err(refusal) => translated.refusals.push(refusal),
        }
    }
    translated.commands.sort_by_key(|command| (command.log_index, command.part));
    translated.refusals.sort_by_key(|refusal| refusal.log_index);
    Ok(translated)
}

/// Payment or movement found in a transaction, before it becomes a command.
struct Found {
    log_index: u64,
    account: Address,
    meaning: Meaning,
}

/// Meaning of a log, or of a part of it.
enum Meaning {
    /// A swipe or a refund; `ordinal` is the position among the payments of that kind in the transaction.
    Payment { kind: &'static str, ordinal: usize, command: authorization::Command },
    /// The money of a payment that the processor knows.
    Funding { payment_id: String, command: authorization::Command },
    /// Money that came to the account.
    Deposit(account::Command),
    /// Money that left the account. The same log may be a deposit of another one.
    Withdrawal(account::Command),
}

impl Found {
    fn into_command(self, transaction: &Transaction) -> Result<TranslatedCommand, String> {
        let account = self.account.to_string();
        let (part, aggregate, id, message) = match self.meaning {
            Meaning::Payment { kind, ordinal, command } => {
                (0, authorization::AGGREGATE, payment_id(transaction, kind, ordinal), command.encode())
            }
            Meaning::Funding { payment_id, command } => {
                (0, authorization::AGGREGATE, payment_id, command.encode())
            }
            Meaning::Deposit(command) => (0, account::AGGREGATE, account.clone(), command.encode()),
            Meaning::Withdrawal(command) => (1, account::AGGREGATE, account.clone(), command.encode()),
        };
        let message = message.map_err(|error| error.to_string())?;
        Ok(TranslatedCommand {
            log_index: self.log_index,
            part,
            aggregate,
            id,
            routing_key: account,
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
