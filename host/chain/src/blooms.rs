//! Did the node leave a log out? A block's header says in its bloom which logs the block may hold; where it may
//! hold one that was asked for and none came, the block's receipts decide.
//!
//! The receipts are believed only if they make up the header's bloom. A bloom never denies a log that is there,
//! but it may suspect one that is not: that costs a request, and nothing else.

use alloy::primitives::logs_bloom;
use alloy::rpc::types::{Filter, Header, TransactionReceipt};

use super::endpoint::{Endpoint, EndpointError};
use super::fetch::{Answer, Headers, inconsistent};

/// Fails if a block of `headers` holds a log that one of the answers should have had and none of it came.
pub(super) async fn nothing_omitted(
    endpoint: &Endpoint,
    headers: &Headers,
    answers: &[Answer],
) -> Result<(), EndpointError> {
    for header in headers.values() {
        let suspicious = |answer: &&Answer| {
            !answer.blocks.contains(&header.number)
                && answer.filter.matches_block_range(header.number)
                && answer.filter.matches_bloom(header.logs_bloom)
        };
        let filters: Vec<&Filter> = answers.iter().filter(suspicious).map(|answer| &answer.filter).collect();
        if !filters.is_empty() {
            let receipts = endpoint.block_receipts(header.number).await?.unwrap_or_default();
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
        return Err(inconsistent(format!("the receipts of block {number} are not those of its header")));
    }
    match logs().find(|log| filters.iter().any(|filter| filter.matches(&log.inner))) {
        Some(log) => Err(inconsistent(format!(
            "block {number} holds log {} of {}, which was asked for and left out",
            log.log_index.unwrap_or_default(),
            log.address()
        ))),
        None => Ok(()),
    }
}
