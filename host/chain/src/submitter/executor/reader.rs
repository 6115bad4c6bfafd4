//! Reads of the chain: one observation after the other. What ends a pull is read as the listener reads: in linked ranges
//! from one node, with the blooms of the headers checked, so that a log that a node leaves out is found.

use std::collections::{BTreeMap, BTreeSet};

use alloy::eips::BlockId;
use alloy::primitives::{Address, B256};
use alloy::rpc::types::Filter;
use alloy::sol_types::{SolCall, SolEvent};
use clearfold_kernel::Timestamp;
use futures::future::{join_all, try_join_all};

use super::abi::Spender;
use crate::endpoint::{Endpoint, EndpointError};
use crate::fetch::{MAX_CHECKED_BLOCKS, fetch};
use crate::rpc::Rpc;
use crate::submitter::{Account, Fate, Market, Observation, PullState, Sighting, State};

/// Number of blocks before the one at which a call was signed from which its execution is looked for: a reorganization
/// can put it before that block, but not before one that was final.
const REORG_BLOCKS: u64 = 128;
/// Most ranges that one observation reads. The next goes on.
const MAX_RANGES: u64 = 64;

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
    /// Executions by the Spenders in final blocks: transaction and block by hash.
    executed: BTreeMap<B256, (B256, u64)>,
    /// Last block up to which executions were read, and the Spenders of which.
    read_to: Option<u64>,
    spenders: BTreeSet<Address>,
}

impl Reader {
    pub fn new(rpc: Rpc, confirmations: u64) -> Self {
        let (executed, spenders) = (BTreeMap::new(), BTreeSet::new());
        Self { rpc, confirmations, executed, read_to: None, spenders }
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
        &mut self,
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
        &mut self,
        place: usize,
        state: &State,
        accounts: &[Address],
        now: Timestamp,
    ) -> Result<Observation, (String, EndpointError)> {
        let Self { rpc, confirmations, executed, read_to, spenders } = self;
        let Some(endpoint) = rpc.at(place) else {
            return Err((String::new(), EndpointError::Unanswered("there is no such endpoint".to_owned())));
        };
        let host = |error| (endpoint.host().to_owned(), error);
        endpoint.check_chain(rpc.chain_id()).await.map_err(host)?;
        let head = endpoint.newest().await.map_err(host)?;
        let finalized = endpoint.finalized().await.map_err(host)?;
        let finalized = finalized.min(head.number.saturating_sub(*confirmations));
        let undecided: Vec<&PullState> = state.pulls.values().filter(|known| known.is_undecided()).collect();
        let mut executions = Executions { executed, read_to, spenders };
        let finalized =
            executions.read(endpoint, rpc.chain_id(), &undecided, finalized).await.map_err(host)?;
        let fates = fates(endpoint, &undecided, executions.executed, finalized).await.map_err(host)?;
        let asked = accounts.iter().map(|address| account(endpoint, *address, finalized));
        let accounts = accounts.iter().copied().zip(try_join_all(asked).await.map_err(host)?).collect();
        let sightings = sightings(rpc, endpoint, state).await.map_err(host)?;
        let tip_wei = endpoint.tip().await.map_err(host)?;
        // Before EIP-1559 there is no base fee, and the tip is all there is.
        let base_fee_wei = u128::from(head.base_fee_per_gas.unwrap_or_default());
        let market = Market { base_fee_wei, tip_wei };
        Ok(Observation { now, head: head.number, finalized, market, accounts, sightings, fates })
    }
}

/// Executions read so far.
struct Executions<'a> {
    executed: &'a mut BTreeMap<B256, (B256, u64)>,
    read_to: &'a mut Option<u64>,
    spenders: &'a mut BTreeSet<Address>,
}

impl Executions<'_> {
    /// Reads on to the final block; returns how far it came.
    async fn read(
        &mut self,
        endpoint: &Endpoint,
        chain_id: u64,
        undecided: &[&PullState],
        finalized: u64,
    ) -> Result<u64, EndpointError> {
        let exposed = undecided.iter().filter_map(|known| Some((known, known.exposed_at_block?)));
        let first = exposed.clone().map(|(_, block)| block.saturating_sub(REORG_BLOCKS)).min();
        let Some(first) = first else {
            // No call data has left this host, so no execution of an undecided pull can be on chain.
            (*self.executed, *self.read_to) = (BTreeMap::new(), None);
            return Ok(finalized);
        };
        let wanted: BTreeSet<B256> = undecided.iter().map(|known| known.hash).collect();
        self.executed.retain(|hash, _| wanted.contains(hash));
        let spenders: BTreeSet<Address> = exposed.map(|(known, _)| known.pull.spender).collect();
        if !spenders.is_subset(self.spenders) {
            // The blocks read so far were not searched for the new Spender's logs, so they are read again.
            (*self.read_to, *self.spenders) = (None, spenders);
        }
        let filter = Filter::new()
            .address(self.spenders.iter().copied().collect::<Vec<_>>())
            .event_signature(Spender::HashExecuted::SIGNATURE_HASH);
        for _ in 0..MAX_RANGES {
            let from = self.read_to.map_or(first, |last| last + 1);
            if from > finalized {
                return Ok(finalized);
            }
            // Within this length, the blooms are checked.
            let to = finalized.min(from + MAX_CHECKED_BLOCKS - 1);
            let fetched = fetch(endpoint, chain_id, std::slice::from_ref(&filter), from, to).await?;
            for transaction in &fetched.transactions {
                let hash = B256::try_from(&transaction.transaction_hash[..]).unwrap_or_default();
                let is_execution = |log: &&clearfold_sandbox::Log| {
                    log.topics
                        .first()
                        .is_some_and(|topic| topic[..] == Spender::HashExecuted::SIGNATURE_HASH[..])
                        && self.spenders.contains(&Address::from_slice(&log.address))
                };
                for log in transaction.logs.iter().filter(is_execution) {
                    let pull_hash = B256::try_from(&log.data[..]).ok().filter(|hash| wanted.contains(hash));
                    if let Some(pull_hash) = pull_hash {
                        self.executed.insert(pull_hash, (hash, transaction.block_number));
                    }
                }
            }
            *self.read_to = Some(to);
        }
        Ok(self.read_to.unwrap_or(first).min(finalized))
    }
}

/// Asks the Spenders in the final block. A hash that is consumed and was not executed was invalidated by its delegate:
/// all logs since its exposure were read, and none is missing.
async fn fates(
    endpoint: &Endpoint,
    undecided: &[&PullState],
    executed: &BTreeMap<B256, (B256, u64)>,
    finalized: u64,
) -> Result<BTreeMap<B256, Fate>, EndpointError> {
    let asked = undecided.iter().map(|known| async move {
        if let Some(&(transaction, block)) =
            executed.get(&known.hash).filter(|(_, block)| *block <= finalized)
        {
            return Ok(Some((known.hash, Fate::Executed { transaction, block })));
        }
        let call = Spender::consumedCall { delegate: known.pull.delegate, hash: known.hash };
        let is_consumed = read(endpoint, known.pull.spender, call, BlockId::number(finalized)).await?;
        let fate = if is_consumed { Fate::Invalidated } else { Fate::Fresh };
        // A call that we did not expose and that is consumed was executed or invalidated in another life of this
        // database: nobody can tell from here.
        Ok((!is_consumed || known.is_exposed()).then_some((known.hash, fate)))
    });
    Ok(try_join_all(asked).await?.into_iter().flatten().collect())
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
