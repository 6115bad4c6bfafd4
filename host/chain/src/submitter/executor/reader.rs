//! Reads of the chain: one observation after the other. What ends a pull is read as the listener reads: in linked ranges
//! from one node, with the blooms of the headers checked, so that a log that a node leaves out is found.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use alloy::eips::BlockId;
use alloy::primitives::{Address, B256};
use alloy::rpc::types::Filter;
use alloy::sol_types::{SolCall, SolEvent};
use clearfold_base::telemetry::with_causes;
use clearfold_kernel::Timestamp;
use clearfold_sandbox::Log;
use futures::future::{join_all, try_join_all};

use super::abi::Spender;
use crate::endpoint::{Endpoint, EndpointError};
use crate::fetch::{MAX_CHECKED_BLOCKS, fetch};
use crate::rpc::Rpc;
use crate::submitter::{
    Account, Evidence, Executions, Fate, Market, Observation, PullState, Reach, Sighting, State,
};

/// Most ranges that one observation reads. The next goes on.
const MAX_RANGES: u64 = 32;
/// Time-out of a probe. Meanwhile nothing is sent.
const PROBE_TIMEOUT: Duration = Duration::from_secs(20);
/// Maximum number of simultaneous calls to one endpoint.
const MAX_CALLS: usize = 64;
/// Blocks in which executions are looked for, in ranges that are checked against the headers' blooms. What a restored
/// database has forgotten is found if its backup is not older than fifteen days of Gnosis Chain.
const REACH: Reach = Reach { range: MAX_CHECKED_BLOCKS, margin: 128, unsigned: 1 << 18 };

/// The chain cannot be observed now.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    #[error("no endpoint of CHAIN_RPC_URLS can be used: {0}")]
    NoEndpoint(String),
    #[error(
        "Spender {spender} does not know {delegate} as a delegate; have the Spender Safe enable it, or correct SUBMITTER_DELEGATE_KEY"
    )]
    NotDelegate { spender: Address, delegate: Address },
    #[error(
        "the sender {sender} is a delegate of Spender {spender}: what it sends consumes no hash and could be pulled twice; give another SUBMITTER_SENDER_KEY"
    )]
    SenderIsDelegate { spender: Address, sender: Address },
}

/// Reader of one chain.
pub(super) struct Reader {
    rpc: Rpc,
    /// Number of blocks that must lie on top of a block before it counts as final, beside what the node says.
    confirmations: u64,
    executions: SharedExecutions,
}

/// Executions as far as the executors of this process have read them. Each goes on where the one before ended. Cheap to
/// clone.
#[derive(Debug, Clone)]
pub struct SharedExecutions(Arc<Mutex<Executions>>);

impl Default for SharedExecutions {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(Executions::new(REACH))))
    }
}

impl Reader {
    pub fn new(rpc: Rpc, confirmations: u64, executions: SharedExecutions) -> Self {
        Self { rpc, confirmations, executions }
    }

    /// Checks that the Spender accepts the delegate's signatures, and that it consumes the hashes of what the sender
    /// sends.
    pub async fn check_spender(
        &self,
        spender: Address,
        delegate: Address,
        sender: Address,
    ) -> Result<(), ReadError> {
        let mut reasons = Vec::new();
        for (_, endpoint) in self.rpc.in_turn() {
            let is_enabled = |module: Address| async move {
                endpoint.check_chain(self.rpc.chain_id()).await?;
                let call = Spender::isModuleEnabledCall { module };
                read(endpoint, spender, call, BlockId::latest()).await
            };
            match futures::try_join!(is_enabled(delegate), is_enabled(sender)) {
                Ok((true, false)) => return Ok(()),
                Ok((false, _)) => return Err(ReadError::NotDelegate { spender, delegate }),
                Ok((true, true)) => return Err(ReadError::SenderIsDelegate { spender, sender }),
                Err(error) => reasons.push(format!("{}: {error}", endpoint.host())),
            }
        }
        Err(ReadError::NoEndpoint(reasons.join("; ")))
    }

    /// Looks at the chain, through the first endpoint that can be used.
    pub async fn observe(
        &self,
        state: &State,
        accounts: &[Address],
        now: Timestamp,
    ) -> Result<Observation, ReadError> {
        let mut reasons = Vec::new();
        for place in self.rpc.in_turn().map(|(place, _)| place).collect::<Vec<_>>() {
            match self.observe_at(place, state, accounts, now).await {
                Ok(observation) => {
                    self.rpc.prefer(place);
                    return Ok(observation);
                }
                Err((host, error)) => reasons.push(format!("{host}: {error}")),
            }
        }
        Err(ReadError::NoEndpoint(reasons.join("; ")))
    }

    /// Reads the block of a transaction, and returns whether it executed the pull in a final block.
    pub async fn evidence(&self, known: &PullState, transaction: B256, finalized: u64) -> Evidence {
        let spenders: BTreeSet<Address> = [known.pull.spender].into();
        let mut evidence = Evidence::Unknown;
        for (_, endpoint) in self.rpc.in_turn() {
            let Ok(Some(receipt)) = endpoint.receipt(transaction).await else { continue };
            let Some(block) = receipt.block_number.filter(|block| *block <= finalized) else { continue };
            match executions(endpoint, self.rpc.chain_id(), &spenders, &(block..=block)).await {
                Ok(found) if found.contains(&(known.hash, (transaction, block))) => {
                    return Evidence::Executed { block };
                }
                Ok(_) => evidence = Evidence::Other,
                Err(error) => tracing::warn!(
                    host = endpoint.host(),
                    error = with_causes(&error),
                    %transaction,
                    "a transaction that an operator named could not be read"
                ),
            }
        }
        evidence
    }

    /// Offers bytes to every endpoint. The answers say nothing that can be relied on, so nobody hears them.
    pub async fn send(&self, raw: &[u8]) {
        let sent = self.rpc.in_turn().map(|(_, endpoint)| async {
            if let Err(error) = endpoint.send_raw(raw).await {
                tracing::debug!(host = endpoint.host(), %error, "an endpoint did not take a transaction, or says so");
            }
        });
        join_all(sent).await;
    }

    async fn observe_at(
        &self,
        place: usize,
        state: &State,
        accounts: &[Address],
        now: Timestamp,
    ) -> Result<Observation, (String, EndpointError)> {
        let rpc = &self.rpc;
        let Some(endpoint) = rpc.at(place) else {
            return Err((String::new(), EndpointError::Unanswered("there is no such endpoint".to_owned())));
        };
        let host = |error| (endpoint.host().to_owned(), error);
        endpoint.check_chain(rpc.chain_id()).await.map_err(host)?;
        let head = endpoint.newest().await.map_err(host)?;
        let finalized = endpoint.finalized().await.map_err(host)?;
        let finalized = finalized.min(head.number.saturating_sub(self.confirmations));
        let undecided: Vec<&PullState> = state.pulls.values().filter(|known| known.is_undecided()).collect();
        let fates = self.fates(endpoint, &undecided, finalized).await.map_err(host)?;
        let asked = accounts.iter().map(|address| account(endpoint, *address, finalized));
        let accounts = accounts.iter().copied().zip(try_join_all(asked).await.map_err(host)?).collect();
        let sightings = sightings(rpc, endpoint, state).await.map_err(host)?;
        let tip_wei = endpoint.tip().await.map_err(host)?;
        // Before EIP-1559 there is no base fee, and the tip is all there is.
        let base_fee_wei = u128::from(head.base_fee_per_gas.unwrap_or_default());
        let market = Market { base_fee_wei, tip_wei };
        Ok(Observation { now, head: head.number, finalized, market, accounts, sightings, fates })
    }

    /// Returns the fate of each hash in the final block. State is asked for in that block alone, and in older ones only by a
    /// probe: a node need not keep them.
    async fn fates(
        &self,
        endpoint: &Endpoint,
        undecided: &[&PullState],
        finalized: u64,
    ) -> Result<BTreeMap<B256, Fate>, EndpointError> {
        let consumed = consumed(endpoint, undecided, finalized).await?;
        self.executions().prepare(undecided, &consumed, finalized);
        self.probe(undecided, &consumed, finalized).await;
        self.read_executions(undecided, &consumed, finalized).await;
        let executions = self.executions();
        let fate = |known: &&PullState| {
            (known.hash, executions.fate(known, consumed.contains(&known.hash), finalized))
        };
        Ok(undecided.iter().map(fate).collect())
    }

    /// Probes one hash: asks the endpoints in turn for the last block in which it was fresh.
    async fn probe(&self, undecided: &[&PullState], consumed: &BTreeSet<B256>, finalized: u64) {
        let Some(known) = self.executions().to_probe(undecided, consumed, finalized) else { return };
        let look = async {
            for (_, endpoint) in self.rpc.in_turn() {
                // An endpoint behind the final block may follow another fork.
                let is_usable = endpoint.check_chain(self.rpc.chain_id()).await.is_ok()
                    && endpoint.finalized().await.is_ok_and(|own| own >= finalized);
                if is_usable && let Some(block) = fresh_until(endpoint, known, finalized).await {
                    return Some(block);
                }
            }
            None
        };
        let fresh_until = tokio::time::timeout(PROBE_TIMEOUT, look).await.ok().flatten();
        tracing::info!(pull = %known.pull.id, fresh_until, finalized, "a hash is consumed that nobody signed here");
        self.executions().probed(known.hash, fresh_until, finalized);
    }

    /// Reads executions as far as they are needed, some ranges at once. A failure leaves the rest for the next time, and
    /// keeps only those pulls waiting that need it.
    async fn read_executions(&self, undecided: &[&PullState], consumed: &BTreeSet<B256>, finalized: u64) {
        for _ in 0..MAX_RANGES {
            let next = self.executions().next(undecided, consumed, finalized);
            let Some(range) = next else { return };
            match self.read_range(&range).await {
                Ok(found) => self.executions().extend(&range, found),
                Err(why) => {
                    let (first, last) = (*range.start(), *range.end());
                    if self.executions().fail(why.clone()) {
                        tracing::warn!(
                            first,
                            last,
                            why,
                            "executions of pulls could not be read; trying again"
                        );
                    }
                    return;
                }
            }
        }
    }

    /// Reads a range from the first endpoint that serves it.
    async fn read_range(&self, range: &RangeInclusive<u64>) -> Result<Vec<(B256, (B256, u64))>, String> {
        let spenders = self.executions().spenders().clone();
        let mut reasons = Vec::new();
        for (_, endpoint) in self.rpc.in_turn() {
            match executions(endpoint, self.rpc.chain_id(), &spenders, range).await {
                Ok(found) => return Ok(found),
                Err(error) => reasons.push(format!("{}: {error}", endpoint.host())),
            }
        }
        Err(reasons.join("; "))
    }

    fn executions(&self) -> MutexGuard<'_, Executions> {
        // Each change is whole.
        self.executions.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Asks the Spenders in the final block, and returns the hashes that are consumed for their delegates.
async fn consumed(
    endpoint: &Endpoint,
    undecided: &[&PullState],
    finalized: u64,
) -> Result<BTreeSet<B256>, EndpointError> {
    let mut consumed = BTreeSet::new();
    for some in undecided.chunks(MAX_CALLS) {
        let asked = some.iter().map(|known| async move {
            let call = Spender::consumedCall { delegate: known.pull.delegate, hash: known.hash };
            let is_consumed = read(endpoint, known.pull.spender, call, BlockId::number(finalized)).await?;
            Ok(is_consumed.then_some(known.hash))
        });
        consumed.extend(try_join_all(asked).await?.into_iter().flatten());
    }
    Ok(consumed)
}

/// Returns the last block in which the hash was fresh, behind which it is consumed for good. `None` if the endpoint
/// serves no such block. The blocks are, in this order: those that are not served, those in which it is fresh, and those
/// in which it is consumed.
async fn fresh_until(endpoint: &Endpoint, known: &PullState, finalized: u64) -> Option<u64> {
    let (mut before, mut consumed, mut fresh) = (0, finalized, None);
    // No overflow: `consumed` stays above `before`.
    while consumed.checked_sub(before)? > 1 {
        let middle = before + (consumed - before) / 2;
        match was_consumed(endpoint, known, middle).await {
            Some(true) => consumed = middle,
            Some(false) => (before, fresh) = (middle, Some(middle)),
            None => before = middle,
        }
    }
    fresh.filter(|fresh| *fresh == before)
}

/// Returns true if the hash was consumed in the state behind that block. `None` if the endpoint does not serve it.
async fn was_consumed(endpoint: &Endpoint, known: &PullState, block: u64) -> Option<bool> {
    let (spender, delegate, at) = (known.pull.spender, known.pull.delegate, BlockId::number(block));
    let call = Spender::consumedCall { delegate, hash: known.hash };
    if read(endpoint, spender, call, at).await.ok()? {
        return Some(true);
    }
    // A node that answers zeros for pruned state does not know the delegate either.
    let call = Spender::isModuleEnabledCall { module: delegate };
    read(endpoint, spender, call, at).await.ok()?.then_some(false)
}

/// Returns the executions by the Spenders in a range of blocks: transaction and block, by hash.
async fn executions(
    endpoint: &Endpoint,
    chain_id: u64,
    spenders: &BTreeSet<Address>,
    range: &RangeInclusive<u64>,
) -> Result<Vec<(B256, (B256, u64))>, EndpointError> {
    endpoint.check_chain(chain_id).await?;
    // The range may be final on another node's word, and this one on another fork.
    let (last, finalized) = (*range.end(), endpoint.finalized().await?);
    if finalized < last {
        let why = format!("its final block is {finalized}, but block {last} is final elsewhere");
        return Err(EndpointError::Inconsistent(why));
    }
    let filter = Filter::new()
        .address(spenders.iter().copied().collect::<Vec<_>>())
        .event_signature(Spender::HashExecuted::SIGNATURE_HASH);
    let fetched = fetch(endpoint, chain_id, &[filter], *range.start(), last).await?;
    let mut found = Vec::new();
    for transaction in &fetched.transactions {
        let hash = B256::try_from(&transaction.transaction_hash[..]).unwrap_or_default();
        let is_execution = |log: &&Log| {
            let signature = log.topics.first();
            signature.is_some_and(|topic| topic[..] == Spender::HashExecuted::SIGNATURE_HASH[..])
                && spenders.contains(&Address::from_slice(&log.address))
        };
        let executed = transaction.logs.iter().filter(is_execution);
        let executed = executed.filter_map(|log| B256::try_from(&log.data[..]).ok());
        found.extend(executed.map(|executed| (executed, (hash, transaction.block_number))));
    }
    Ok(found)
}

async fn account(endpoint: &Endpoint, address: Address, finalized: u64) -> Result<Account, EndpointError> {
    Ok(Account {
        final_nonce: endpoint.transaction_count(address, BlockId::number(finalized)).await?,
        latest_nonce: endpoint.transaction_count(address, BlockId::latest()).await?,
        pending_nonce: endpoint.transaction_count(address, BlockId::pending()).await?,
        balance_wei: endpoint.balance(address).await?,
    })
}

/// Looks for every transaction that may still be mined: in blocks at the endpoint, in pools at every endpoint.
async fn sightings(
    rpc: &Rpc,
    endpoint: &Endpoint,
    state: &State,
) -> Result<BTreeMap<B256, Sighting>, EndpointError> {
    let slots = state.lanes.values().flat_map(|lane| lane.slots.values());
    let hashes = slots.flat_map(|slot| slot.transactions.iter().map(|transaction| transaction.hash));
    let asked = hashes.map(|hash| async move {
        if let Some(receipt) = endpoint.receipt(hash).await? {
            let block = receipt.block_number.ok_or_else(|| {
                EndpointError::Inconsistent(format!("the receipt of {hash} names no block"))
            })?;
            return Ok((hash, Sighting::Mined { block, succeeded: receipt.status() }));
        }
        let known = join_all(rpc.in_turn().map(|(_, endpoint)| endpoint.knows(hash))).await;
        // An endpoint that does not answer does not say that it is unknown.
        let may_wait = known.iter().any(|known| !matches!(known, Ok(false)));
        Ok((hash, if may_wait { Sighting::Waiting } else { Sighting::Unknown }))
    });
    Ok(try_join_all(asked).await?.into_iter().collect())
}

async fn read<C: SolCall>(
    endpoint: &Endpoint,
    to: Address,
    call: C,
    at: BlockId,
) -> Result<C::Return, EndpointError> {
    let answer = endpoint.call(to, call.abi_encode(), at).await?;
    C::abi_decode_returns(&answer)
        .map_err(|error| EndpointError::Inconsistent(format!("{to} is no Spender: {error}")))
}
