//! Finds logs that a node left out. A block's header says in its bloom filter which logs the block may hold. Where it
//! may hold one that was asked for and none came, the block's receipts decide.
//!
//! The receipts are believed only if they make up the header's bloom. A bloom never denies a log that is there, but it
//! may suspect one that is not: that costs a request, and nothing else.

use std::collections::{BTreeMap, BTreeSet};

use alloy::primitives::logs_bloom;
use alloy::rpc::types::{Filter, Header, TransactionReceipt};

use super::endpoint::{Endpoint, EndpointError};

/// Headers by block number.
pub(super) type Headers = BTreeMap<u64, Header>;

/// A node's answer to one filter.
pub(super) struct FilterAnswer {
    pub filter: Filter,
    /// Numbers of the blocks that hold its logs.
    pub blocks: BTreeSet<u64>,
}

/// Fails if a block of `headers` holds a log that belongs into an answer that has no log of that block.
pub(super) async fn nothing_omitted(
    endpoint: &Endpoint,
    headers: &Headers,
    answers: &[FilterAnswer],
) -> Result<(), EndpointError> {
    for header in headers.values() {
        let suspicious = |answer: &&FilterAnswer| {
            !answer.blocks.contains(&header.number)
                && answer.filter.matches_block_range(header.number)
                && answer.filter.matches_bloom(header.logs_bloom)
        };
        let filters: Vec<&Filter> = answers.iter().filter(suspicious).map(|answer| &answer.filter).collect();
        if !filters.is_empty() {
            let receipts = endpoint.block_receipts(header.number).await?.ok_or_else(|| {
                EndpointError::Inconsistent(format!("it has block {} without its receipts", header.number))
            })?;
            no_match(header, &filters, &receipts)?;
        }
    }
    Ok(())
}

fn no_match(
    header: &Header,
    filters: &[&Filter],
    receipts: &[TransactionReceipt],
) -> Result<(), EndpointError> {
    let number = header.number;
    let logs = || receipts.iter().flat_map(|receipt| receipt.inner.logs());
    let elsewhere = receipts.iter().any(|receipt| receipt.block_hash != Some(header.hash));
    if elsewhere || logs_bloom(logs().map(|log| &log.inner)) != header.logs_bloom {
        let why = format!("the receipts of block {number} are not those of its header");
        return Err(EndpointError::Inconsistent(why));
    }
    match logs().find(|log| filters.iter().any(|filter| filter.matches(&log.inner))) {
        Some(log) => {
            let index =
                log.log_index.map_or_else(|| "without an index".to_owned(), |index| index.to_string());
            Err(EndpointError::Inconsistent(format!(
                "block {number} holds log {index} of {}, which was asked for and left out",
                log.address()
            )))
        }
        None => Ok(()),
    }
}
