//! A faulty node: forwards every request to a real one, and changes the answers as a test wants.

use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Result;
use axum::extract::State;
use axum::{Json, Router, routing::post};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

/// Faults of the node; none by default.
#[derive(Debug, Clone, Default)]
pub struct Faults {
    /// Wrong chain id.
    pub chain_id: Option<u64>,
    /// Head older than the real one. Blocks beyond it are unknown.
    pub head: Option<u64>,
    /// Largest range of blocks for which `eth_getLogs` is not refused.
    pub max_range: Option<u64>,
    /// Answers `eth_getLogs` as if there were none.
    pub omits_logs: bool,
    /// First block whose state, logs and receipts it has kept; those of earlier ones are refused.
    pub first_kept: Option<u64>,
    /// First block whose state it has kept; it has the logs and receipts of all blocks.
    pub first_state: Option<u64>,
    /// True if calls in the state of earlier blocks are answered with zeros, as if that were empty.
    pub zeros_before: bool,
    /// Method that is refused.
    pub refused_method: Option<&'static str>,
}

/// Running node. It ends when it is dropped.
pub struct FaultyRpc {
    pub url: String,
    node: Arc<Node>,
    _server: JoinSet<()>,
}

struct Node {
    upstream: String,
    client: reqwest::Client,
    faults: Mutex<Faults>,
    refused: Mutex<Vec<(u64, u64)>>,
}

impl FaultyRpc {
    /// Starts the node in front of a real one.
    pub async fn start(upstream: &str, faults: Faults) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}/", listener.local_addr()?);
        let node = Arc::new(Node {
            upstream: upstream.to_owned(),
            client: crate::http_client(),
            faults: Mutex::new(faults),
            refused: Mutex::default(),
        });
        // Any path is served, because providers put keys into it.
        let app = Router::new().fallback_service(post(answer).with_state(Arc::clone(&node)));
        let mut server = JoinSet::new();
        server.spawn(async move {
            // It fails only together with its socket, and then every test that uses it fails.
            let _ = axum::serve(listener, app).await;
        });
        Ok(Self { url, node, _server: server })
    }

    /// Replaces the faults.
    pub fn set(&self, faults: Faults) {
        *self.node.faults.lock().unwrap_or_else(PoisonError::into_inner) = faults;
    }

    /// Ranges that were refused, as first and last block, in the order of the requests.
    #[must_use]
    pub fn refused_ranges(&self) -> Vec<(u64, u64)> {
        self.node.refused.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

async fn answer(State(node): State<Arc<Node>>, Json(question): Json<Value>) -> Json<Value> {
    let id = question["id"].clone();
    Json(match node.spoilt(&question) {
        Some(Ok(result)) => json!({"jsonrpc": "2.0", "id": id, "result": result}),
        Some(Err(why)) => json!({"jsonrpc": "2.0", "id": id, "error": {"code": -32005, "message": why}}),
        None => node.upstream(&question).await.unwrap_or_else(|error| {
            json!({"jsonrpc": "2.0", "id": id, "error": {"code": -32000, "message": error.to_string()}})
        }),
    })
}

impl Node {
    /// Returns the changed answer, if the answer is to be changed.
    fn spoilt(&self, question: &Value) -> Option<Result<Value, String>> {
        let faults = self.faults.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let (method, params) = (question["method"].as_str()?, &question["params"]);
        if faults.refused_method == Some(method) {
            return Some(Err(format!("the method {method} is not available")));
        }
        match (method, &faults) {
            ("eth_chainId", Faults { chain_id: Some(id), .. }) => Some(Ok(hex(*id))),
            ("eth_blockNumber", Faults { head: Some(head), .. }) => Some(Ok(hex(*head))),
            ("eth_getBlockByNumber" | "eth_getBlockReceipts", Faults { head: Some(head), .. }) => {
                (number(&params[0])? > *head).then_some(Ok(Value::Null))
            }
            ("eth_call", Faults { first_state: Some(first), zeros_before: true, .. }) => {
                (number(&params[1])? < *first).then(|| Ok(json!(format!("0x{}", "00".repeat(32)))))
            }
            (
                "eth_call" | "eth_getTransactionCount" | "eth_getBalance",
                Faults { first_kept: Some(first), .. } | Faults { first_state: Some(first), .. },
            ) => (number(&params[1])? < *first).then_some(Err("missing trie node".to_owned())),
            ("eth_getLogs", _) => self.spoilt_logs(&faults, &params[0]),
            _ => None,
        }
    }

    fn spoilt_logs(&self, faults: &Faults, filter: &Value) -> Option<Result<Value, String>> {
        let (from, to) = (number(&filter["fromBlock"])?, number(&filter["toBlock"])?);
        if faults.max_range.is_some_and(|max| to - from >= max) {
            self.refused.lock().unwrap_or_else(PoisonError::into_inner).push((from, to));
            return Some(Err("query exceeds max block range".to_owned()));
        }
        if faults.first_kept.is_some_and(|first| from < first) {
            return Some(Err("the history of these blocks is pruned".to_owned()));
        }
        // A node that is behind answers that there is nothing, not that it does not know.
        let omitted = faults.omits_logs || faults.head.is_some_and(|head| from > head);
        omitted.then_some(Ok(json!([])))
    }

    async fn upstream(&self, question: &Value) -> Result<Value> {
        Ok(self.client.post(&self.upstream).json(question).send().await?.json().await?)
    }
}

fn hex(number: u64) -> Value {
    json!(format!("{number:#x}"))
}

fn number(value: &Value) -> Option<u64> {
    u64::from_str_radix(value.as_str()?.strip_prefix("0x")?, 16).ok()
}
