//! The shape of a translator: the logs of one transaction in, commands out.

use crate::{Address, Encoded, Hash, Timestamp};

/// Turns transactions into commands, given the operator's contract set.
pub trait Translator {
    /// Which chain, and which logs make a transaction worth translating, or what is wrong with the contract set.
    fn filters(contracts: &[u8]) -> Result<Selection, String>;

    /// One answer for each transaction. Fails only if the contract set cannot be read or is of another chain.
    fn translate(contracts: &[u8], transactions: &[Transaction]) -> Result<Vec<Translated>, String>;
}

/// What a contract set asks of which chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selection {
    /// EIP-155 chain id.
    pub chain_id: u64,
    /// A log that matches any of them is wanted.
    pub filters: Vec<LogFilter>,
}

/// Logs that match in all three ways; an empty list matches everything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogFilter {
    /// Any of these emitters.
    pub addresses: Vec<Address>,
    /// Any of these event signatures.
    pub topics: Vec<Hash>,
    /// Any of these as first indexed argument.
    pub first_arguments: Vec<Hash>,
    /// The first block that counts.
    pub from_block: u64,
    /// The last one, if there is an end.
    pub to_block: Option<u64>,
}

/// One log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Log {
    /// Position in the block.
    pub log_index: u64,
    /// The emitter.
    pub address: Address,
    /// None to four.
    pub topics: Vec<Hash>,
    /// The arguments that are not indexed.
    pub data: Vec<u8>,
}

/// One transaction that succeeded, with all its logs in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transaction {
    /// EIP-155 chain id.
    pub chain_id: u64,
    /// The block that included it.
    pub block_hash: Hash,
    /// Its height.
    pub block_number: u64,
    /// When the block says that it was made.
    pub block_timestamp: Timestamp,
    /// The transaction.
    pub transaction_hash: Hash,
    /// By ascending index.
    pub logs: Vec<Log>,
}

/// A command that a log stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TranslatedCommand {
    /// The log.
    pub log_index: u64,
    /// The kind of stream.
    pub aggregate: &'static str,
    /// Which stream of that kind.
    pub id: String,
    /// The account.
    pub routing_key: String,
    /// The command.
    pub message: Encoded,
}

/// A log that looked like ours and could not be understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The log.
    pub log_index: u64,
    /// A stable code from the documented list.
    pub code: &'static str,
    /// For the person who looks into it.
    pub detail: String,
}

/// What one transaction became.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Translated {
    /// In log order.
    pub commands: Vec<TranslatedCommand>,
    /// In log order.
    pub refusals: Vec<Refusal>,
}
