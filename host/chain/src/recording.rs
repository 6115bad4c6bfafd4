//! Recorded transactions: a node's raw answers in a file, read without a node.

use std::collections::BTreeMap;

use alloy::primitives::{B256, U64};
use alloy::rpc::types::TransactionReceipt;
use clearfold_sandbox::Transaction;
use serde::Deserialize;

use crate::fetch::wire_log;

/// Recorded answers of a node: `chainId`, and `blocks` and `receipts` by hash.
#[derive(Deserialize)]
pub struct Recording {
    #[serde(rename = "chainId")]
    chain_id: u64,
    blocks: BTreeMap<B256, Block>,
    receipts: BTreeMap<B256, TransactionReceipt>,
}

#[derive(Deserialize)]
struct Block {
    timestamp: U64,
}

/// A recording that contradicts itself or lacks a part.
#[derive(Debug, thiserror::Error)]
pub enum RecordingError {
    #[error("the receipt of {hash} names no block")]
    NoBlock { hash: B256 },
    #[error("the receipt of {hash} names no place in its block")]
    NoPlace { hash: B256 },
    #[error("the block {block} of {hash} is not in the file")]
    UnknownBlock { hash: B256, block: B256 },
    #[error("the receipt under {hash} is of {receipt}")]
    OtherTransaction { hash: B256, receipt: B256 },
    #[error("a log of {hash} cannot be read: {why}")]
    Log { hash: B256, why: String },
}

impl Recording {
    /// Returns the transactions that succeeded, in chain order.
    pub fn transactions(self) -> Result<Vec<Transaction>, RecordingError> {
        let mut transactions = Vec::new();
        for (hash, receipt) in self.receipts {
            let block_hash = receipt.block_hash.ok_or(RecordingError::NoBlock { hash })?;
            let block = self.blocks.get(&block_hash);
            let block = block.ok_or(RecordingError::UnknownBlock { hash, block: block_hash })?;
            if receipt.transaction_hash != hash {
                return Err(RecordingError::OtherTransaction { hash, receipt: receipt.transaction_hash });
            }
            if !receipt.status() {
                continue;
            }
            let place = receipt.block_number.zip(receipt.transaction_index);
            let place = place.ok_or(RecordingError::NoPlace { hash })?;
            let logs = receipt.inner.logs().iter().map(wire_log).collect::<Result<_, _>>();
            let transaction = Transaction {
                chain_id: self.chain_id,
                block_hash: block_hash.to_vec(),
                block_number: place.0,
                block_timestamp_s: block.timestamp.to(),
                transaction_hash: hash.to_vec(),
                logs: logs.map_err(|error| RecordingError::Log { hash, why: error.to_string() })?,
                // A recording has no pulls of this host.
                pulls: Vec::new(),
            };
            transactions.push((place, transaction));
        }
        transactions.sort_by_key(|(place, _)| *place);
        Ok(transactions.into_iter().map(|(_, transaction)| transaction).collect())
    }
}
