//! Server of the strict pool: passes requests on to the node, except for what the pool or a fault answers.

use std::sync::{Arc, Mutex, MutexGuard};

use alloy::consensus::{Transaction, TxEnvelope};
use alloy::eips::eip2718::Decodable2718;
use alloy::primitives::{Address, Bytes, U256};
use anyhow::{Context, Result, bail};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use reqwest::Client;
use serde::Deserialize;
use serde_json::{Value, json};

use super::rules::{Account, Offer, PoolRefusal};
use super::{Attempt, FaultyAnswer, Script, SendFault, locked};
use crate::client::install_cryptography;

/// Code of geth for all refusals of its pool.
const REFUSED: i64 = -32000;
const NO_SUCH_METHOD: i64 = -32601;

pub(super) struct Node {
    upstream: String,
    http: Client,
    script: Mutex<Script>,
    /// Held from the question about the sender's account to the pool's verdict, so that sends follow each other.
    sending: tokio::sync::Mutex<()>,
}

/// Outcome of a request.
enum Outcome {
    Result(Value),
    Error { code: i64, message: String },
    Silence,
}

impl Node {
    pub fn new(upstream: &str, script: Script) -> Self {
        install_cryptography();
        Self {
            upstream: upstream.to_owned(),
            http: Client::new(),
            script: Mutex::new(script),
            sending: tokio::sync::Mutex::default(),
        }
    }

    pub fn script(&self) -> MutexGuard<'_, Script> {
        locked(&self.script)
    }

    /// Asks the node itself; an error of the node is an error.
    pub async fn ask(&self, method: &str, params: Value) -> Result<Value> {
        match self.upstream(method, &params).await? {
            Outcome::Result(result) => Ok(result),
            Outcome::Error { message, .. } => bail!("{method} {params}: {message}"),
            Outcome::Silence => bail!("{method} {params}: no answer"),
        }
    }

    async fn upstream(&self, method: &str, params: &Value) -> Result<Outcome> {
        let question = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
        let mut answer: Value = self.http.post(&self.upstream).json(&question).send().await?.json().await?;
        let error = &answer["error"];
        if error.is_null() {
            return Ok(Outcome::Result(answer["result"].take()));
        }
        let code = error["code"].as_i64().unwrap_or(REFUSED);
        Ok(Outcome::Error { code, message: error["message"].as_str().unwrap_or("?").to_owned() })
    }

    async fn outcome(&self, method: &str, params: &Value) -> Result<Outcome> {
        match method {
            "eth_sendRawTransaction" => self.send(params).await,
            // Anvil would sign for its own accounts, which no real node does.
            "eth_sendTransaction" => {
                let message =
                    "the method eth_sendTransaction does not exist: sign, and send the bytes".to_owned();
                Ok(Outcome::Error { code: NO_SUCH_METHOD, message })
            }
            _ => {
                let instead = self.script().faults.instead(method, params);
                if let Some(result) = instead {
                    return Ok(Outcome::Result(result));
                }
                let mut outcome = self.upstream(method, params).await?;
                if let Outcome::Result(result) = &mut outcome {
                    self.script().faults.change(method, params, result);
                }
                Ok(outcome)
            }
        }
    }

    async fn send(&self, params: &Value) -> Result<Outcome> {
        let _turn = self.sending.lock().await;
        let raw = Bytes::deserialize(&params[0]).context("no bytes")?;
        let offer = offered(&raw)?;
        let fault = self.script().faults.sends.pop_front();
        let reaches_pool = fault.as_ref().is_none_or(|fault| fault.reaches_pool);
        let verdict = if reaches_pool { Some(self.offer(offer, params).await?) } else { None };
        let honest = match &verdict {
            Some(Ok(())) | None => Outcome::Result(json!(offer.hash)),
            Some(Err(refusal)) => Outcome::Error { code: REFUSED, message: refusal.to_string() },
        };
        let Offer { hash, sender, nonce, .. } = offer;
        self.script().attempts.push(Attempt { raw, hash, sender, nonce, verdict });
        Ok(match fault {
            None => honest,
            Some(SendFault { answer: FaultyAnswer::Accepted, .. }) => Outcome::Result(json!(hash)),
            Some(SendFault { answer: FaultyAnswer::Error(message), .. }) => {
                Outcome::Error { code: REFUSED, message }
            }
            Some(SendFault { answer: FaultyAnswer::Silence, .. }) => Outcome::Silence,
        })
    }

    /// Offers a transaction to the pool, and then to anvil.
    async fn offer(&self, offer: Offer, params: &Value) -> Result<Result<(), PoolRefusal>> {
        self.catch_up(offer.sender).await?;
        let account = self.account(offer.sender).await?;
        let verdict = self.script().pool.check(&offer, account);
        if verdict.is_err() {
            return Ok(verdict);
        }
        if let Outcome::Error { message, .. } = self.upstream("eth_sendRawTransaction", params).await? {
            return Ok(Err(PoolRefusal::ByAnvil(message)));
        }
        self.script().pool.insert(offer);
        Ok(Ok(()))
    }

    /// Removes from the pool what is in a block, or in no pool since a reorganization.
    async fn catch_up(&self, sender: Address) -> Result<()> {
        let waiting = self.script().pool.waiting(sender);
        for hash in waiting {
            let transaction = self.ask("eth_getTransactionByHash", json!([hash])).await?;
            if transaction.is_null() || !transaction["blockHash"].is_null() {
                self.script().pool.remove(hash);
            }
        }
        Ok(())
    }

    async fn account(&self, address: Address) -> Result<Account> {
        let count = self.ask("eth_getTransactionCount", json!([address, "latest"])).await?;
        let balance = self.ask("eth_getBalance", json!([address, "latest"])).await?;
        let next_nonce = U256::deserialize(&count)?.to();
        Ok(Account { next_nonce, balance_wei: U256::deserialize(&balance)? })
    }
}

/// Reads what the pool must know of a transaction.
fn offered(raw: &Bytes) -> Result<Offer> {
    let transaction = TxEnvelope::decode_2718_exact(raw).context("not a signed transaction")?;
    let fee_cap_wei = transaction.max_fee_per_gas();
    let gas_wei = U256::from(fee_cap_wei) * U256::from(transaction.gas_limit());
    Ok(Offer {
        hash: *transaction.tx_hash(),
        sender: transaction
            .signature()
            .recover_address_from_prehash(&transaction.signature_hash())
            .context("a signature of nobody")?,
        nonce: transaction.nonce(),
        fee_cap_wei,
        // Before EIP-1559, the price was both.
        tip_cap_wei: transaction.max_priority_fee_per_gas().unwrap_or(fee_cap_wei),
        max_cost_wei: gas_wei.saturating_add(transaction.value()),
    })
}

pub(super) async fn answer(State(node): State<Arc<Node>>, Json(question): Json<Value>) -> Response {
    let Value::Array(questions) = question else {
        return match answer_one(&node, &question).await {
            Some(answer) => Json(answer).into_response(),
            None => StatusCode::GATEWAY_TIMEOUT.into_response(),
        };
    };
    let mut answers = Vec::with_capacity(questions.len());
    for question in &questions {
        answers.extend(answer_one(&node, question).await);
    }
    Json(Value::Array(answers)).into_response()
}

/// Answers one request; `None` if there shall be no answer.
async fn answer_one(node: &Node, question: &Value) -> Option<Value> {
    let (id, method) = (question["id"].clone(), question["method"].as_str().unwrap_or_default());
    match node.outcome(method, &question["params"]).await {
        Ok(Outcome::Result(result)) => Some(json!({"jsonrpc": "2.0", "id": id, "result": result})),
        Ok(Outcome::Error { code, message }) => Some(failed(&id, code, &message)),
        Ok(Outcome::Silence) => None,
        Err(error) => Some(failed(&id, REFUSED, &format!("the strict pool: {error:#}"))),
    }
}

fn failed(id: &Value, code: i64, message: &str) -> Value {
    json!({"jsonrpc": "2.0", "id": id, "error": {"code": code, "message": message}})
}
