//! The nodes: several endpoints, asked one after the other until one answers.
//!
//! An answer is taken as it is; what it must agree with is checked where it is used.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use alloy::eips::BlockNumberOrTag;
use alloy::primitives::B256;
use alloy::providers::{Provider, ProviderBuilder, RootProvider};
use alloy::rpc::types::{Filter, Header, Log, TransactionReceipt};
use url::Url;

/// How long one endpoint may take for one answer.
const TIMEOUT_MS: u64 = 10_000;

/// Why the chain could not be read.
#[derive(Debug, Clone, thiserror::Error)]
pub enum RpcError {
    #[error("no endpoint of CHAIN_RPC_URLS answered: {0}")]
    Unanswered(String),
    #[error("the node contradicts itself: {0}")]
    Inconsistent(String),
}

/// The endpoints.
pub struct Rpc {
    endpoints: Vec<(String, RootProvider)>,
    /// The one that answered last.
    preferred: AtomicUsize,
}

impl Rpc {
    /// Endpoints over HTTP. Nothing is asked yet.
    #[must_use]
    pub fn new(urls: &[Url]) -> Self {
        let endpoint = |url: &Url| {
            let provider = ProviderBuilder::new().disable_recommended_fillers().connect_http(url.clone());
            // Keys of providers stand in paths and must not stand in logs.
            (url.host_str().unwrap_or("?").to_owned(), provider)
        };
        Self { endpoints: urls.iter().map(endpoint).collect(), preferred: AtomicUsize::new(0) }
    }

    pub async fn chain_id(&self) -> Result<u64, RpcError> {
        self.ask(|provider| async move { provider.get_chain_id().await }).await
    }

    pub async fn head(&self) -> Result<u64, RpcError> {
        self.ask(|provider| async move { provider.get_block_number().await }).await
    }

    /// A block's header, if the node knows the block.
    pub async fn header(&self, number: u64) -> Result<Option<Header>, RpcError> {
        let block = BlockNumberOrTag::Number(number);
        let found = self.ask(|provider| async move { provider.get_block_by_number(block).await }).await?;
        Ok(found.map(|block| block.header))
    }

    pub async fn logs(&self, filter: &Filter) -> Result<Vec<Log>, RpcError> {
        self.ask(|provider| async move { provider.get_logs(filter).await }).await
    }

    /// A transaction's receipt, if it is in a block.
    pub async fn receipt(&self, hash: B256) -> Result<Option<TransactionReceipt>, RpcError> {
        self.ask(|provider| async move { provider.get_transaction_receipt(hash).await }).await
    }

    async fn ask<T, E, F>(&self, call: impl Fn(RootProvider) -> F) -> Result<T, RpcError>
    where
        E: std::error::Error + 'static,
        F: Future<Output = Result<T, E>>,
    {
        let count = self.endpoints.len();
        let first = self.preferred.load(Ordering::Relaxed);
        let mut reasons = Vec::new();
        for index in (0..count).map(|step| first.wrapping_add(step) % count) {
            let (host, provider) = &self.endpoints[index];
            match tokio::time::timeout(Duration::from_millis(TIMEOUT_MS), call(provider.clone())).await {
                Ok(Ok(answer)) => {
                    self.preferred.store(index, Ordering::Relaxed);
                    return Ok(answer);
                }
                Ok(Err(error)) => reasons.push(format!("{host}: {}", crate::telemetry::chain(&error))),
                Err(_) => reasons.push(format!("{host}: no answer within {TIMEOUT_MS} ms")),
            }
        }
        Err(RpcError::Unanswered(reasons.join("; ")))
    }
}
