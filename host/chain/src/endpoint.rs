//! One node: the requests to it, and its errors.
//!
//! URLs may contain keys of providers, so no URL leaves this file: a node is named by its host, also in error texts of
//! the libraries. An answer is returned as it is; its consistency is checked where it is used.

use std::error::Error;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use alloy::eips::{BlockId, BlockNumberOrTag};
use alloy::primitives::{Address, B256, Bytes, U256};
use alloy::providers::{Provider, ProviderBuilder, RootProvider};
use alloy::rpc::types::{Filter, Header, Log, TransactionReceipt, TransactionRequest};
use url::Url;

/// Time-out of one request.
const TIMEOUT_MS: u64 = 10_000;
/// Length from which a part of a URL is taken for a key.
const KEY_LENGTH: usize = 12;

/// A node cannot be used now.
#[derive(Debug, Clone, thiserror::Error)]
pub enum EndpointError {
    #[error("{0}")]
    Unanswered(String),
    #[error("it contradicts itself: {0}")]
    Inconsistent(String),
    #[error("it has come to block {head}, but block {cursor} was read before")]
    Behind { head: u64, cursor: u64 },
    #[error("it is on chain {found}, but the contract set is for chain {expected}")]
    WrongChain { found: u64, expected: u64 },
}

/// A node.
pub(super) struct Endpoint {
    host: String,
    /// Texts that must not be logged, each with its replacement.
    secrets: Vec<(String, String)>,
    provider: RootProvider,
    /// True if the node was found to be on the right chain.
    of_chain: AtomicBool,
}

impl Endpoint {
    /// Makes a node over HTTP. No request is sent yet.
    pub(super) fn new(url: &Url) -> Self {
        let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
        let host = format!("{}{port}", url.host_str().unwrap_or("?"));
        clearfold_base::tls::install();
        let provider = ProviderBuilder::new().disable_recommended_fillers().connect_http(url.clone());
        Self { secrets: secrets(url, &host), host, provider, of_chain: AtomicBool::new(false) }
    }

    /// Host and port, by which the node is named.
    pub(super) fn host(&self) -> &str {
        &self.host
    }

    /// Checks once that the node is on the chain.
    pub(super) async fn check_chain(&self, expected: u64) -> Result<(), EndpointError> {
        if self.of_chain.load(Ordering::Relaxed) {
            return Ok(());
        }
        let found = self.ask(self.provider.get_chain_id()).await?;
        if found != expected {
            return Err(EndpointError::WrongChain { found, expected });
        }
        self.of_chain.store(true, Ordering::Relaxed);
        Ok(())
    }

    pub(super) async fn head(&self) -> Result<u64, EndpointError> {
        self.ask(self.provider.get_block_number()).await
    }

    /// Requests a block's header. `None` if the node does not know the block.
    pub(super) async fn header(&self, number: u64) -> Result<Option<Header>, EndpointError> {
        let block = self.ask(self.provider.get_block_by_number(BlockNumberOrTag::Number(number))).await?;
        Ok(block.map(|block| block.header))
    }

    /// Requests the header of the newest block.
    pub(super) async fn newest(&self) -> Result<Header, EndpointError> {
        self.tagged(BlockNumberOrTag::Latest).await
    }

    /// Number of the newest block that the node calls final.
    pub(super) async fn finalized(&self) -> Result<u64, EndpointError> {
        Ok(self.tagged(BlockNumberOrTag::Finalized).await?.number)
    }

    async fn tagged(&self, tag: BlockNumberOrTag) -> Result<Header, EndpointError> {
        let block = self.ask(self.provider.get_block_by_number(tag)).await?;
        let header = block.map(|block| block.header);
        header.ok_or_else(|| EndpointError::Inconsistent(format!("it knows no {tag} block")))
    }

    /// Number of an account's transactions up to that block.
    pub(super) async fn transaction_count(
        &self,
        account: Address,
        at: BlockId,
    ) -> Result<u64, EndpointError> {
        self.ask(self.provider.get_transaction_count(account).block_id(at)).await
    }

    pub(super) async fn balance(&self, account: Address) -> Result<U256, EndpointError> {
        self.ask(self.provider.get_balance(account)).await
    }

    /// Tip that the node suggests, in wei.
    pub(super) async fn tip(&self) -> Result<u128, EndpointError> {
        self.ask(self.provider.get_max_priority_fee_per_gas()).await
    }

    /// Returns true if the node knows the transaction, in a block or in its pool.
    pub(super) async fn knows(&self, hash: B256) -> Result<bool, EndpointError> {
        Ok(self.ask(self.provider.get_transaction_by_hash(hash)).await?.is_some())
    }

    /// Calls a contract in the state behind that block.
    pub(super) async fn call(
        &self,
        to: Address,
        input: Vec<u8>,
        at: BlockId,
    ) -> Result<Bytes, EndpointError> {
        let request = TransactionRequest::default().to(to).input(input.into());
        self.ask(self.provider.call(request).block(at)).await
    }

    /// Offers a signed transaction to the node's pool.
    pub(super) async fn send_raw(&self, raw: &[u8]) -> Result<(), EndpointError> {
        self.ask(self.provider.send_raw_transaction(raw)).await.map(|_| ())
    }

    pub(super) async fn logs(&self, filter: &Filter) -> Result<Vec<Log>, EndpointError> {
        self.ask(self.provider.get_logs(filter)).await
    }

    /// Requests a transaction's receipt. `None` if it is in no block.
    pub(super) async fn receipt(&self, hash: B256) -> Result<Option<TransactionReceipt>, EndpointError> {
        self.ask(self.provider.get_transaction_receipt(hash)).await
    }

    /// Requests all receipts of a block. `None` if the node does not know the block.
    pub(super) async fn block_receipts(
        &self,
        number: u64,
    ) -> Result<Option<Vec<TransactionReceipt>>, EndpointError> {
        self.ask(self.provider.get_block_receipts(BlockId::number(number))).await
    }

    async fn ask<T, E>(&self, call: impl IntoFuture<Output = Result<T, E>>) -> Result<T, EndpointError>
    where
        E: Error + 'static,
    {
        match tokio::time::timeout(Duration::from_millis(TIMEOUT_MS), call.into_future()).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => Err(EndpointError::Unanswered(self.redacted(&error))),
            Err(_) => Err(EndpointError::Unanswered(format!("no answer within {TIMEOUT_MS} ms"))),
        }
    }

    /// Formats a library's error without the URL that it may contain.
    fn redacted(&self, error: &(dyn Error + 'static)) -> String {
        let mut text = clearfold_base::telemetry::with_causes(error);
        for (secret, instead) in &self.secrets {
            text = text.replace(secret, instead);
        }
        text
    }
}

/// Lists the URL as a whole, with and without its user, then each part of it that may be a key.
fn secrets(url: &Url, host: &str) -> Vec<(String, String)> {
    let mut anonymous = url.clone();
    // Both fail only on URLs that cannot have a user.
    let _ = anonymous.set_username("");
    let _ = anonymous.set_password(None);
    let whole = [url, &anonymous].map(|url| (url.to_string(), host.to_owned()));
    let parts = url.path().split('/').chain(url.query().unwrap_or_default().split(['&', '=']));
    let keys = parts.filter(|part| part.len() >= KEY_LENGTH).chain(url.password());
    whole.into_iter().chain(keys.map(|key| (key.to_owned(), "[key]".to_owned()))).collect()
}

#[cfg(test)]
mod tests {
    use super::Endpoint;

    #[tokio::test]
    async fn an_error_names_the_host_and_no_key() {
        for url in [
            "http://127.0.0.1:1/v3/0123456789abcdef?token=fedcba9876543210",
            "http://user:0123456789abcdef@127.0.0.1:1/",
            "http://127.0.0.1:1?key=0123456789abcdef",
        ] {
            let said = Endpoint::new(&url.parse().unwrap()).head().await.unwrap_err().to_string();
            assert!(said.contains("127.0.0.1:1"), "{said}");
            assert!(!said.contains("0123456789abcdef") && !said.contains("fedcba9876543210"), "{said}");
        }
    }

    #[test]
    fn a_key_is_not_repeated_from_an_answer() {
        let endpoint = Endpoint::new(&"https://node.example/v3/0123456789abcdef".parse().unwrap());
        let echo =
            std::io::Error::other("no project 0123456789abcdef at https://node.example/v3/0123456789abcdef");
        assert_eq!(endpoint.redacted(&echo), "no project [key] at node.example");
    }
}
