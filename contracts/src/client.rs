//! JSON-RPC client that signs for the parties of the development chain and waits for blocks. It knows nothing of
//! cards and payments.

use std::time::Duration;

use alloy::eips::BlockNumberOrTag;
use alloy::network::{EthereumWallet, TransactionBuilder};
use alloy::primitives::{Address, B256, Bytes, U256};
use alloy::providers::{DynProvider, Provider, ProviderBuilder};
use alloy::rpc::types::{Filter, Log, TransactionReceipt, TransactionRequest};
use alloy::signers::local::PrivateKeySigner;
use alloy::sol_types::{SolCall, SolInterface};
use alloy::transports::{RpcError, TransportError};
use anyhow::{Context, Result, anyhow, bail};
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep};

use crate::abi::Refusal::RefusalErrors;

/// Party of the development chain. Each has one of the first keys of the mnemonic that every anvil starts with, which
/// are publicly known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Party {
    /// Deploys and owns everything: the token, the Safes, the settlement.
    Operator,
    /// Sends swipes and pays for them. It is no delegate: a delegate that sends consumes no hash.
    Relayer,
    /// Signs the calls of the Spender.
    Delegate,
    /// Knows what it sees on the chain, and nothing else.
    Stranger,
}

impl Party {
    const ALL: [Self; 4] = [Self::Operator, Self::Relayer, Self::Delegate, Self::Stranger];

    /// Returns the party's private key, in the form of a configuration.
    #[must_use]
    pub fn private_key(self) -> &'static str {
        match self {
            Self::Operator => "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80",
            Self::Relayer => "0x59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d",
            Self::Delegate => "0x5de4111afa1a4b94908f83103eb1f1706367c2e68ca870fc3fb9a804cdab365a",
            Self::Stranger => "0x7c852118294e51e653712a81e05800f419141751be58f605c371e15141b007a6",
        }
    }

    pub fn signer(self) -> Result<PrivateKeySigner> {
        Ok(self.private_key().parse()?)
    }

    pub fn address(self) -> Result<Address> {
        Ok(self.signer()?.address())
    }
}

/// Limit of a transaction whose gas cannot be estimated because it reverts; several times what a swipe needs.
const GAS_LIMIT: u64 = 1_000_000;
const MINING_TIMEOUT: Duration = Duration::from_secs(60);
const MINING_POLL: Duration = Duration::from_millis(10);

/// Location of a mined transaction on the chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mined {
    pub transaction_hash: B256,
    pub block_hash: B256,
    pub block_number: u64,
}

pub(crate) struct Client {
    pub provider: DynProvider,
    pub chain_id: u64,
    pub operator: Address,
    pub relayer: Address,
    /// A nonce is read and used under this lock, so that tasks can send concurrently.
    sending: Mutex<()>,
}

/// Makes ring the cryptography of TLS in this process. The HTTP client brings none of its own, and is not built without
/// one even if it only speaks plain HTTP.
pub fn install_cryptography() {
    // The error says that there is one already, which is as good.
    rustls::crypto::ring::default_provider().install_default().ok();
}

impl Client {
    /// Connects to a node; fails if none answers at the URL.
    pub async fn connect(rpc_url: &str) -> Result<Self> {
        let url = rpc_url.parse().with_context(|| format!("`{rpc_url}` is not a URL"))?;
        install_cryptography();
        let mut wallet = EthereumWallet::default();
        for party in Party::ALL {
            wallet.register_signer(party.signer()?);
        }
        // The nonce is queried from the node each time, because a reorganization resets it.
        let provider =
            ProviderBuilder::new().with_simple_nonce_management().wallet(wallet).connect_http(url).erased();
        let chain_id = provider
            .get_chain_id()
            .await
            .with_context(|| format!("no chain answers at {rpc_url}: is it running?"))?;
        let sending = Mutex::new(());
        let (operator, relayer) = (Party::Operator.address()?, Party::Relayer.address()?);
        Ok(Self { provider, chain_id, operator, relayer, sending })
    }

    /// Sends a call without waiting for its block. A call that would revert is not sent.
    pub async fn send(&self, from: Address, to: Address, input: impl Into<Bytes>) -> Result<B256> {
        self.submit(TransactionRequest::default().with_from(from).with_to(to).with_input(input)).await
    }

    /// Sends a call that may revert, without waiting for its block.
    pub async fn send_regardless(&self, from: Address, to: Address, input: impl Into<Bytes>) -> Result<B256> {
        let _turn = self.sending.lock().await;
        let request = TransactionRequest::default().with_from(from).with_to(to).with_input(input);
        let request = request.with_gas_limit(GAS_LIMIT);
        Ok(*self.provider.send_transaction(request).await.map_err(explained)?.tx_hash())
    }

    /// Creates a contract and waits until it is mined.
    pub async fn create(&self, code: impl Into<Bytes>) -> Result<Address> {
        let request = TransactionRequest::default().with_from(self.operator).with_deploy_code(code);
        let hash = self.submit(request).await?;
        self.mined_now(hash).await?.contract_address.context("the receipt names no contract address")
    }

    async fn submit(&self, request: TransactionRequest) -> Result<B256> {
        let _turn = self.sending.lock().await;
        let gas = self.provider.estimate_gas(request.clone()).await.map_err(explained)?;
        // Other transactions may be mined before this one and make it slightly more expensive.
        let request = request.with_gas_limit(gas + gas / 4);
        Ok(*self.provider.send_transaction(request).await.map_err(explained)?.tx_hash())
    }

    /// Waits for the block that holds the transaction; fails if it reverted.
    pub async fn mined(&self, hash: B256) -> Result<TransactionReceipt> {
        let receipt = self.receipt(hash).await?;
        if !receipt.status() {
            bail!("transaction {hash} was mined, but reverted");
        }
        Ok(receipt)
    }

    /// Waits for the block that holds the transaction, also if it reverted.
    pub async fn receipt(&self, hash: B256) -> Result<TransactionReceipt> {
        let deadline = Instant::now() + MINING_TIMEOUT;
        while Instant::now() < deadline {
            if let Some(receipt) = self.provider.get_transaction_receipt(hash).await? {
                return Ok(receipt);
            }
            sleep(MINING_POLL).await;
        }
        bail!("transaction {hash} was not mined within {MINING_TIMEOUT:?}")
    }

    /// Waits like `mined`, but has a node that mines by the clock mine a block at once. Used for deployment, where
    /// dozens of transactions each need the previous one.
    pub async fn mined_now(&self, hash: B256) -> Result<TransactionReceipt> {
        if self.provider.get_transaction_receipt(hash).await?.is_none() {
            let _: serde_json::Value = self.provider.raw_request("evm_mine".into(), ()).await?;
        }
        self.mined(hash).await
    }

    pub async fn read<C: SolCall>(&self, to: Address, call: C) -> Result<C::Return> {
        let request = TransactionRequest::default().with_to(to).with_input(call.abi_encode());
        let answer = self.provider.call(request).await.map_err(explained)?;
        Ok(C::abi_decode_returns(&answer)?)
    }

    /// Returns all logs of one kind that a contract has ever emitted, in the chain's order.
    pub async fn logs(&self, emitter: Address, topic: B256) -> Result<Vec<Log>> {
        let filter = Filter::new()
            .address(emitter)
            .event_signature(topic)
            .from_block(BlockNumberOrTag::Earliest)
            .to_block(BlockNumberOrTag::Latest);
        Ok(self.provider.get_logs(&filter).await?)
    }

    /// Moves the chain's clock forward, and mines a block there.
    pub async fn pass_time(&self, seconds: u64) -> Result<()> {
        let _: serde_json::Value = self.provider.raw_request("evm_increaseTime".into(), (seconds,)).await?;
        let _: serde_json::Value = self.provider.raw_request("evm_mine".into(), ()).await?;
        Ok(())
    }
}

impl TryFrom<&TransactionReceipt> for Mined {
    type Error = anyhow::Error;

    fn try_from(receipt: &TransactionReceipt) -> Result<Self> {
        Ok(Self {
            transaction_hash: receipt.transaction_hash,
            block_hash: receipt.block_hash.context("the receipt names no block")?,
            block_number: receipt.block_number.context("the receipt names no block")?,
        })
    }
}

/// Converts whole tokens to minor units with 18 decimals.
pub(crate) fn eure(whole: u64) -> U256 {
    U256::from(whole) * U256::from(1_000_000_000_000_000_000_u64)
}

/// Replaces the revert data that the node returns by the contract's decoded error.
fn explained(error: TransportError) -> anyhow::Error {
    let refusal = match &error {
        RpcError::ErrorResp(payload) => payload.as_revert_data(),
        _ => None,
    };
    match refusal.and_then(|data| RefusalErrors::abi_decode(&data).ok()) {
        Some(reason) => anyhow!("the contract refused: {reason:?}"),
        None => error.into(),
    }
}
