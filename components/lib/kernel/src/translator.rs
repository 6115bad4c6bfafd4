//! Translator trait: the logs of one transaction in, commands out.

use crate::{Address, Encoded, Hash, Timestamp};

/// Translates transactions into commands, given the operator's contract set.
pub trait Translator {
    /// Returns the chain and the filters that select the transactions to translate. Fails if the contract set is
    /// invalid.
    fn filters(contracts: &[u8]) -> Result<Selection, String>;

    /// Returns one result for each transaction. Fails only if the contract set cannot be read or belongs to another
    /// chain.
    fn translate(contracts: &[u8], transactions: &[Transaction]) -> Result<Vec<Translated>, String>;
}

/// Logs that a contract set needs from its chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selection {
    /// EIP-155 chain id.
    pub chain_id: u64,
    /// A log is selected if it matches any of these filters.
    pub filters: Vec<LogFilter>,
}

/// Log filter with four conditions, all of which must match; an empty list matches everything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogFilter {
    /// Emitting contracts, any of which matches.
    pub addresses: Vec<Address>,
    /// Event signature hashes, any of which matches.
    pub topics: Vec<Hash>,
    /// First indexed arguments, any of which matches.
    pub first_arguments: Vec<Hash>,
    /// Second indexed arguments, any of which matches.
    pub second_arguments: Vec<Hash>,
    /// First block that counts.
    pub from_block: u64,
    /// Last block that counts; `None` if there is no end.
    pub to_block: Option<u64>,
}

/// Log of a transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Log {
    /// Position in the block, over all its transactions.
    pub log_index: u64,
    /// Address of the emitting contract.
    pub address: Address,
    /// Topics: the event signature and the indexed arguments, 0 to 4.
    pub topics: Vec<Hash>,
    /// Arguments that are not indexed, ABI-encoded.
    pub data: Vec<u8>,
}

/// Execution of a pull that the processor sent for a payment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExecutedPull {
    /// Index of the log by which the contract says that it executed the pull.
    pub log_index: u64,
    /// Id of the payment without the aggregate's name.
    pub payment_id: String,
    /// Number of the leg of the payment's funding, from 1.
    pub leg: u32,
}

/// Successful transaction, with all its logs in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transaction {
    /// EIP-155 chain id.
    pub chain_id: u64,
    /// Hash of the block that included it.
    pub block_hash: Hash,
    /// Height of that block.
    pub block_number: u64,
    /// Timestamp of the block, as the block states it.
    pub block_timestamp: Timestamp,
    /// Hash of the transaction.
    pub transaction_hash: Hash,
    /// Logs by ascending index.
    pub logs: Vec<Log>,
    /// Pulls of the processor that the transaction executed, by ascending log index.
    pub pulls: Vec<ExecutedPull>,
}

/// Command derived from a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TranslatedCommand {
    /// Index of the log in its block.
    pub log_index: u64,
    /// Part of the log's meaning that this command is about, the same number whatever the contract set is; 0 if one
    /// command says all.
    pub part: u32,
    /// Kind of stream.
    pub aggregate: &'static str,
    /// Id of the stream within that kind.
    pub id: String,
    /// Account, which decides the partition.
    pub routing_key: String,
    /// Encoded command.
    pub message: Encoded,
}

/// Log that looked relevant but could not be understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Index of the log in its block.
    pub log_index: u64,
    /// Stable code from the documented list.
    pub code: &'static str,
    /// Explanation for the operator who investigates it.
    pub detail: String,
}

/// Result of translating one transaction.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Translated {
    /// Commands in log order, then by part.
    pub commands: Vec<TranslatedCommand>,
    /// Refusals in log order.
    pub refusals: Vec<Refusal>,
}
