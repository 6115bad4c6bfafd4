//! Fetches the transactions of a range of blocks that the translator asks for, each with all its logs.
//!
//! A swipe is only understood from several logs, so matching logs only point at transactions, and whole receipts are
//! translated. All answers for one range come from one node. If answers contradict each other, that is an error, and
//! the range is read again: nothing is put together from several chains or several nodes.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use alloy::primitives::{Address, B256};
use alloy::rpc::types::{Filter, Header, TransactionReceipt};
use clearfold_kernel::LogFilter;
use futures::future::try_join_all;

use super::blooms::{self, FilterAnswer, Headers};
use super::endpoint::{Endpoint, EndpointError};
use clearfold_sandbox::{Log, Transaction};

/// Longest range whose logs are checked against the headers' blooms. Such ranges lie near the head, where a node may
/// not have indexed all logs yet.
pub(super) const MAX_CHECKED_BLOCKS: u64 = 16;

/// A range's transactions in chain order, and the header of its last block.
pub(super) struct Fetched {
    pub last: Header,
    pub transactions: Vec<Transaction>,
    /// Indexes of the logs that were asked for, for each transaction.
    pub log_indexes: Vec<BTreeSet<u64>>,
}

/// Converts the translator's filters for a node.
pub(super) fn filters(filters: &[LogFilter]) -> Vec<Filter> {
    let words =
        |words: &[clearfold_kernel::Hash]| words.iter().map(|hash| B256::from(hash.0)).collect::<Vec<_>>();
    let addresses = |filter: &LogFilter| -> Vec<Address> {
        filter.addresses.iter().map(|address| Address::from(address.0)).collect()
    };
    let filter = |filter: &LogFilter| {
        Filter::new()
            .address(addresses(filter))
            .event_signature(words(&filter.topics))
            .topic1(words(&filter.first_arguments))
            .topic2(words(&filter.second_arguments))
            .from_block(filter.from_block)
            // A filter without an end holds for all later blocks.
            .to_block(filter.to_block.unwrap_or(u64::MAX))
    };
    filters.iter().map(filter).collect()
}

/// Fetches the blocks from `from` to `to`, both included; the planner gives no empty range.
pub(super) async fn fetch(
    endpoint: &Endpoint,
    chain_id: u64,
    filters: &[Filter],
    from: u64,
    to: u64,
) -> Result<Fetched, EndpointError> {
    let checked = to - from < MAX_CHECKED_BLOCKS;
    let mut headers = linked(endpoint, if checked { from } else { to }, to).await?;
    let mut found: BTreeMap<(u64, B256, B256), BTreeSet<u64>> = BTreeMap::new();
    let mut answers = Vec::with_capacity(filters.len());
    for filter in filters.iter().filter_map(|filter| within(filter, from, to)) {
        let mut blocks = BTreeSet::new();
        for log in endpoint.logs(&filter).await? {
            let (number, block_hash, transaction_hash, log_index) = place(&filter, &log)?;
            blocks.insert(number);
            found.entry((number, block_hash, transaction_hash)).or_default().insert(log_index);
        }
        answers.push(FilterAnswer { filter, blocks });
    }
    if checked {
        blooms::nothing_omitted(endpoint, &headers, &answers).await?;
    }
    let mut transactions = Vec::with_capacity(found.len());
    for ((number, block_hash, hash), log_indexes) in found {
        let header = match headers.entry(number) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(empty) => empty.insert(known(endpoint, number).await?),
        };
        if header.hash != block_hash {
            return Err(changed(number));
        }
        let (index, transaction) = transaction(endpoint, chain_id, header, hash).await?;
        transactions.push((number, index, transaction, log_indexes));
    }
    // The chain may have been reorganized during the reading: then the answers belong to different chains.
    let last = known(endpoint, to).await?;
    if headers.get(&to).is_none_or(|header| header.hash != last.hash) {
        return Err(changed(to));
    }
    transactions.sort_by_key(|(number, index, ..)| (*number, *index));
    let (transactions, log_indexes) =
        transactions.into_iter().map(|(_, _, transaction, log_indexes)| (transaction, log_indexes)).unzip();
    Ok(Fetched { last, transactions, log_indexes })
}

/// Requests headers, and checks that each follows the one before.
async fn linked(endpoint: &Endpoint, from: u64, to: u64) -> Result<Headers, EndpointError> {
    let headers = try_join_all((from..=to).map(|number| known(endpoint, number))).await?;
    for (parent, child) in headers.iter().zip(headers.iter().skip(1)) {
        if child.parent_hash != parent.hash {
            return Err(changed(child.number));
        }
    }
    Ok(headers.into_iter().map(|header| (header.number, header)).collect())
}

async fn known(endpoint: &Endpoint, number: u64) -> Result<Header, EndpointError> {
    let header = endpoint.header(number).await?.filter(|header| header.number == number);
    header.ok_or_else(|| inconsistent(format!("block {number} is below its head but not known")))
}

fn changed(number: u64) -> EndpointError {
    inconsistent(format!("block {number} changed while it was read"))
}

fn inconsistent(why: String) -> EndpointError {
    EndpointError::Inconsistent(why)
}

/// Limits a filter to the part of the range in which it holds. `None` if it holds nowhere in the range.
fn within(filter: &Filter, from: u64, to: u64) -> Option<Filter> {
    // A filter without a first or last block holds over the whole range.
    let from = filter.get_from_block().map_or(from, |first| from.max(first));
    let to = filter.get_to_block().map_or(to, |last| to.min(last));
    (from <= to).then(|| filter.clone().from_block(from).to_block(to))
}

/// Place of a log: number and hash of its block, transaction and index.
fn place(filter: &Filter, log: &alloy::rpc::types::Log) -> Result<(u64, B256, B256, u64), EndpointError> {
    if log.removed {
        return Err(inconsistent("a log of the canonical chain is marked as removed".to_owned()));
    }
    match (log.block_number, log.block_hash, log.transaction_hash, log.log_index) {
        (Some(number), Some(block), Some(transaction), Some(index)) if filter.rpc_matches(log) => {
            Ok((number, block, transaction, index))
        }
        _ => Err(inconsistent("a log that is in no block, or that nobody asked for".to_owned())),
    }
}

/// Requests a whole transaction, with its index in the block.
async fn transaction(
    endpoint: &Endpoint,
    chain_id: u64,
    header: &Header,
    hash: B256,
) -> Result<(u64, Transaction), EndpointError> {
    whole(chain_id, header, hash, endpoint.receipt(hash).await?)
}

/// Makes a whole transaction of its receipt, with its index in the block.
fn whole(
    chain_id: u64,
    header: &Header,
    hash: B256,
    receipt: Option<TransactionReceipt>,
) -> Result<(u64, Transaction), EndpointError> {
    let receipt = receipt.filter(|receipt| receipt.block_hash == Some(header.hash)).ok_or_else(|| {
        inconsistent(format!("transaction {hash} has a log in block {} but no receipt there", header.number))
    })?;
    // Without it the order of the block's commands would be a guess.
    let index = receipt.transaction_index.ok_or_else(|| {
        inconsistent(format!("the receipt of {hash} in block {} names no place in it", header.number))
    })?;
    let logs = receipt.inner.logs().iter().map(wire_log).collect::<Result<Vec<_>, _>>()?;
    let transaction = Transaction {
        chain_id,
        block_hash: header.hash.to_vec(),
        block_number: header.number,
        block_timestamp_s: header.timestamp,
        transaction_hash: hash.to_vec(),
        logs,
        // The node does not know whose pulls they are.
        pulls: Vec::new(),
    };
    Ok((index, transaction))
}

/// Converts a receipt's log for the translator.
pub(crate) fn wire_log(log: &alloy::rpc::types::Log) -> Result<Log, EndpointError> {
    let log_index =
        log.log_index.ok_or_else(|| inconsistent("a receipt's log without an index".to_owned()))?;
    Ok(Log {
        log_index,
        address: log.address().to_vec(),
        topics: log.topics().iter().map(|topic| topic.to_vec()).collect(),
        data: log.data().data.to_vec(),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn receipt(index: &serde_json::Value) -> TransactionReceipt {
        let zeros = |bytes: usize| format!("0x{}", "00".repeat(bytes));
        let receipt = json!({
            "transactionHash": zeros(32), "transactionIndex": index, "blockHash": zeros(32), "blockNumber": "0x7",
            "from": zeros(20), "to": zeros(20), "contractAddress": null, "type": "0x2", "status": "0x1",
            "gasUsed": "0x1", "cumulativeGasUsed": "0x1", "effectiveGasPrice": "0x1", "logs": [],
            "logsBloom": zeros(256),
        });
        serde_json::from_value(receipt).unwrap()
    }

    #[test]
    fn a_filter_by_the_second_argument_matches_no_other_log_and_no_bloom_without_it() {
        let word = |byte: u8| clearfold_kernel::Hash([byte; 32]);
        let asked = LogFilter {
            addresses: vec![clearfold_kernel::Address([1; 20])],
            topics: vec![word(2)],
            first_arguments: Vec::new(),
            second_arguments: vec![word(4), word(5)],
            from_block: 0,
            to_block: None,
        };
        let [filter] = &filters(&[asked])[..] else { panic!("one filter") };
        let log = |second: u8| {
            let topics = vec![B256::repeat_byte(2), B256::repeat_byte(3), B256::repeat_byte(second)];
            alloy::primitives::Log::new_unchecked(Address::repeat_byte(1), topics, Default::default())
        };
        for (second, is_asked) in [(4, true), (5, true), (6, false)] {
            let bloom = alloy::primitives::logs_bloom([&log(second)]);
            assert_eq!((filter.matches(&log(second)), filter.matches_bloom(bloom)), (is_asked, is_asked));
        }
    }

    #[test]
    fn a_receipt_without_its_place_in_the_block_is_a_contradiction() {
        let header = Header::default();
        let (index, _) = whole(100, &header, B256::ZERO, Some(receipt(&json!("0x5")))).unwrap();
        assert_eq!(index, 5);
        let error = whole(100, &header, B256::ZERO, Some(receipt(&json!(null)))).unwrap_err();
        assert!(matches!(error, EndpointError::Inconsistent(_)), "{error}");
        assert!(error.to_string().contains("names no place"), "{error}");
        let error = whole(100, &header, B256::ZERO, None).unwrap_err();
        assert!(error.to_string().contains("no receipt there"), "{error}");
    }
}
