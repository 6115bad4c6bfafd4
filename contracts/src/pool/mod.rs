//! Strict pool: a JSON-RPC proxy in front of anvil that enforces the rules of a real node's pool, and makes the faults
//! that a test asks for. It has no faults of its own, and decides nothing by chance.
//!
//! Anvil admits what geth refuses: a replacement whose tip is not raised, any number of transactions of one account, any
//! gap of nonces. Whatever comes through here would also be admitted by a real node.

mod faults;
mod rules;
mod server;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use alloy::primitives::{Address, B256, Bytes};
use anyhow::{Context, Result, bail};
use axum::{Router, routing::post};
use serde_json::json;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

pub use faults::{FaultyAnswer, ReceiptFault, SendFault};
pub use rules::{PoolRefusal, PoolRules};

use faults::Faults;
use rules::Pool;
use server::Node;

/// Transaction that was sent to the pool, with the pool's own verdict, whatever the sender was told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    pub raw: Bytes,
    pub hash: B256,
    pub sender: Address,
    pub nonce: u64,
    /// `None` if a fault kept the transaction from the pool.
    pub verdict: Option<Result<(), PoolRefusal>>,
}

/// Running proxy. It ends when it is dropped.
pub struct StrictPool {
    pub rpc_url: String,
    node: Arc<Node>,
    _server: JoinSet<()>,
}

/// State that the tests script and the server reads.
#[derive(Debug)]
struct Script {
    pool: Pool,
    faults: Faults,
    attempts: Vec<Attempt>,
}

impl StrictPool {
    /// Starts the proxy in front of a node.
    pub async fn start(upstream: &str, rules: PoolRules) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let rpc_url = format!("http://{}/", listener.local_addr()?);
        let script = Script { pool: Pool::new(rules), faults: Faults::default(), attempts: Vec::new() };
        let node = Arc::new(Node::new(upstream, script));
        let app = Router::new().fallback_service(post(server::answer).with_state(Arc::clone(&node)));
        let mut server = JoinSet::new();
        server.spawn(async move {
            // It fails only together with its socket, and then every test that uses it fails.
            let _ = axum::serve(listener, app).await;
        });
        Ok(Self { rpc_url, node, _server: server })
    }

    /// Makes a fault of the next send that has none yet.
    pub fn fail_next_send(&self, fault: SendFault) {
        self.script().faults.sends.push_back(fault);
    }

    /// Makes a fault of every receipt of that transaction.
    pub fn spoil_receipt(&self, transaction: B256, fault: ReceiptFault) {
        self.script().faults.spoil_receipt(transaction, fault);
    }

    /// Denies to know the transaction, which stays where it is.
    pub fn hide(&self, transaction: B256) {
        self.script().faults.hide(transaction);
    }

    /// Answers that number of transactions for the account, latest and pending.
    pub fn miscount(&self, account: Address, count: u64) {
        self.script().faults.miscount(account, count);
    }

    /// Ends all faults. What was dropped or lost stays so.
    pub fn heal(&self) {
        self.script().faults = Faults::default();
    }

    /// Returns all transactions that were sent, in order.
    #[must_use]
    pub fn attempts(&self) -> Vec<Attempt> {
        self.script().attempts.clone()
    }

    /// Drops a transaction from the pool, as a full pool or a restarted node does.
    pub async fn drop_transaction(&self, transaction: B256) -> Result<()> {
        self.node.ask("anvil_dropTransaction", json!([transaction])).await?;
        // Anvil misses some of those that wait for an earlier nonce (foundry#16638).
        if !self.node.ask("eth_getTransactionByHash", json!([transaction])).await?.is_null() {
            bail!("anvil did not drop {transaction}: drop those with an earlier nonce first");
        }
        if !self.script().pool.remove(transaction) {
            bail!("{transaction} does not wait in the pool: it is in a block, or was never sent");
        }
        Ok(())
    }

    /// Mines blocks.
    pub async fn mine(&self, blocks: u64) -> Result<()> {
        self.node.ask("anvil_mine", json!([format!("{blocks:#x}")])).await?;
        Ok(())
    }

    /// Returns the number of the newest block.
    pub async fn head(&self) -> Result<u64> {
        let head = self.node.ask("eth_blockNumber", json!([])).await?;
        let head = head.as_str().and_then(|head| u64::from_str_radix(head.strip_prefix("0x")?, 16).ok());
        head.context("anvil says no number of its newest block")
    }

    /// Sets the base fee of the next block.
    pub async fn set_next_base_fee(&self, base_fee_wei: u128) -> Result<()> {
        self.node.ask("anvil_setNextBlockBaseFeePerGas", json!([format!("{base_fee_wei:#x}")])).await?;
        Ok(())
    }

    /// Replaces the newest blocks by empty ones. Their transactions are in no block and in no pool afterwards.
    pub async fn reorganize(&self, depth: u64) -> Result<()> {
        self.node.ask("anvil_reorg", json!([depth, []])).await?;
        Ok(())
    }

    fn script(&self) -> MutexGuard<'_, Script> {
        self.node.script()
    }
}

fn locked(script: &Mutex<Script>) -> MutexGuard<'_, Script> {
    script.lock().unwrap_or_else(PoisonError::into_inner)
}
