//! Fetches the transactions of a range that the translator wants to see, each with all its logs.
//!
//! A swipe is only understood from several logs, so matching logs only point at transactions; what is translated
//! are receipts. Whatever does not fit together is an error, and the range is read again.

use std::collections::{BTreeMap, BTreeSet};

use alloy::primitives::{Address, B256};
use alloy::rpc::types::{Filter, Header};

use super::rpc::{Rpc, RpcError};
use crate::runtime::{Log, LogFilter, Transaction};

/// A range's transactions in chain order, and the header that the range ends with.
pub(super) struct Fetched {
    pub last: Header,
    pub transactions: Vec<Transaction>,
}

pub(super) async fn fetch(
    rpc: &Rpc,
    chain_id: u64,
    filters: &[LogFilter],
    from: u64,
    to: u64,
) -> Result<Fetched, RpcError> {
    let last = known(rpc, to).await?;
    let mut found: BTreeSet<(u64, B256, B256)> = BTreeSet::new();
    for filter in filters {
        let Some(filter) = within(filter, from, to)? else { continue };
        for log in rpc.logs(&filter).await? {
            found.insert(place(&log)?);
        }
    }
    let mut headers = BTreeMap::from([(last.number, last.clone())]);
    let mut transactions = Vec::with_capacity(found.len());
    for (number, block_hash, hash) in found {
        let header = match headers.entry(number) {
            std::collections::btree_map::Entry::Occupied(known) => known.into_mut(),
            std::collections::btree_map::Entry::Vacant(empty) => empty.insert(known(rpc, number).await?),
        };
        if header.hash != block_hash {
            return Err(RpcError::Inconsistent(format!("block {number} changed while it was read")));
        }
        transactions.push((number, transaction(rpc, chain_id, header, hash).await?));
    }
    // The chain may have been reorganized while we read it: then the answers belong to different chains.
    if known(rpc, to).await?.hash != last.hash {
        return Err(RpcError::Inconsistent(format!("block {to} changed while it was read")));
    }
    transactions.sort_by_key(|(number, (index, _))| (*number, *index));
    Ok(Fetched {
        last,
        transactions: transactions.into_iter().map(|(_, (_, transaction))| transaction).collect(),
    })
}

/// A filter over the part of the range in which it counts.
fn within(filter: &LogFilter, from: u64, to: u64) -> Result<Option<Filter>, RpcError> {
    let (from, to) = (from.max(filter.from_block), filter.to_block.map_or(to, |last| to.min(last)));
    if from > to {
        return Ok(None);
    }
    let addresses: Vec<Address> =
        filter.addresses.iter().map(|bytes| word(bytes)).collect::<Result<_, _>>()?;
    let topics: Vec<B256> = filter.topics.iter().map(|bytes| word(bytes)).collect::<Result<_, _>>()?;
    let first: Vec<B256> =
        filter.first_arguments.iter().map(|bytes| word(bytes)).collect::<Result<_, _>>()?;
    Ok(Some(
        Filter::new().from_block(from).to_block(to).address(addresses).event_signature(topics).topic1(first),
    ))
}

fn word<'a, T: TryFrom<&'a [u8]>>(bytes: &'a [u8]) -> Result<T, RpcError> {
    let wrong =
        || RpcError::Inconsistent(format!("the translator's filter has a word of {} bytes", bytes.len()));
    T::try_from(bytes).map_err(|_| wrong())
}

fn place(log: &alloy::rpc::types::Log) -> Result<(u64, B256, B256), RpcError> {
    if log.removed {
        return Err(RpcError::Inconsistent("a log of the canonical chain is marked as removed".to_owned()));
    }
    match (log.block_number, log.block_hash, log.transaction_hash) {
        (Some(number), Some(block), Some(transaction)) => Ok((number, block, transaction)),
        _ => Err(RpcError::Inconsistent("a log without a block in a range of blocks".to_owned())),
    }
}

async fn known(rpc: &Rpc, number: u64) -> Result<Header, RpcError> {
    let header = rpc.header(number).await?;
    header.ok_or_else(|| RpcError::Inconsistent(format!("block {number} is below the head but not known")))
}

/// The whole transaction, and its place in the block.
async fn transaction(
    rpc: &Rpc,
    chain_id: u64,
    header: &Header,
    hash: B256,
) -> Result<(u64, Transaction), RpcError> {
    let receipt = rpc.receipt(hash).await?;
    let receipt = receipt.filter(|receipt| receipt.block_hash == Some(header.hash)).ok_or_else(|| {
        RpcError::Inconsistent(format!(
            "transaction {hash} has a log in block {} but no receipt there",
            header.number
        ))
    })?;
    let logs = receipt.inner.logs().iter().map(wire_log).collect::<Result<Vec<_>, _>>()?;
    let transaction = Transaction {
        chain_id,
        block_hash: header.hash.to_vec(),
        block_number: header.number,
        block_timestamp_s: header.timestamp,
        transaction_hash: hash.to_vec(),
        logs,
    };
    Ok((receipt.transaction_index.unwrap_or(0), transaction))
}

/// A receipt's log as the translator sees it.
pub(crate) fn wire_log(log: &alloy::rpc::types::Log) -> Result<Log, RpcError> {
    let log_index =
        log.log_index.ok_or_else(|| RpcError::Inconsistent("a receipt's log without an index".to_owned()))?;
    Ok(Log {
        log_index,
        address: log.address().to_vec(),
        topics: log.topics().iter().map(|topic| topic.to_vec()).collect(),
        data: log.data().data.to_vec(),
    })
}
