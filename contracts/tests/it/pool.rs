//! Tests of the strict pool: what a lax sender gets away with at anvil is caught here, and every fault happens.

use alloy::consensus::{SignableTransaction, TxEip1559, TxEnvelope};
use alloy::eips::eip2718::Encodable2718;
use alloy::network::TxSignerSync;
use alloy::primitives::{Address, B256, Bytes, TxKind, U256};
use clearfold_devchain::pool::{Attempt, PoolRefusal, PoolRules, ReceiptFault, SendFault, StrictPool};
use clearfold_devchain::{Anvil, AnvilOptions, DevChain, Party, install_cryptography};
use serde_json::{Value, json};

use crate::{ACCOUNTS, cents, setting};

const GWEI: u128 = 1_000_000_000;

#[tokio::test]
async fn a_replacement_that_passes_anvil_is_caught() {
    let (anvil, pool) = start(PoolRules::default()).await;
    send(&anvil.rpc_url, &transfer(0, 10 * GWEI, GWEI)).await.unwrap();
    send(&anvil.rpc_url, &transfer(0, 20 * GWEI, GWEI)).await.expect("anvil does not look at the tip");

    let stuck = transfer(1, 10 * GWEI, GWEI);
    send(&pool.rpc_url, &stuck).await.unwrap();
    for (fee, tip) in [(20 * GWEI, GWEI), (10 * GWEI, 2 * GWEI), (11 * GWEI - 1, 2 * GWEI)] {
        let error = send(&pool.rpc_url, &transfer(1, fee, tip)).await.unwrap_err();
        assert_eq!(error, "replacement transaction underpriced", "{fee} {tip}");
    }
    let replacement = transfer(1, 11 * GWEI, GWEI + GWEI / 10);
    send(&pool.rpc_url, &replacement).await.unwrap();
    pool.mine(1).await.unwrap();
    assert!(is_mined(&pool, &replacement).await);
    assert!(!is_mined(&pool, &stuck).await);
}

#[tokio::test]
async fn exactly_a_tenth_is_refused_on_request() {
    let (_anvil, pool) = start(PoolRules { refuses_exact_bump: true, ..PoolRules::default() }).await;
    send(&pool.rpc_url, &transfer(0, 10 * GWEI, GWEI)).await.unwrap();
    let error = send(&pool.rpc_url, &transfer(0, 11 * GWEI, GWEI + GWEI / 10)).await.unwrap_err();
    assert_eq!(error, "replacement transaction underpriced");
    send(&pool.rpc_url, &transfer(0, 11 * GWEI + 1, GWEI + GWEI / 10 + 1)).await.unwrap();
}

#[tokio::test]
async fn nonces_and_slots_are_limited() {
    let (_anvil, pool) = start(PoolRules { max_gap: 1, ..PoolRules::default() }).await;
    send(&pool.rpc_url, &transfer(0, 10 * GWEI, GWEI)).await.unwrap();
    let error = send(&pool.rpc_url, &transfer(3, 10 * GWEI, GWEI)).await.unwrap_err();
    assert!(error.starts_with("nonce too high"), "{error}");
    for nonce in 1..16 {
        send(&pool.rpc_url, &transfer(nonce, 10 * GWEI, GWEI)).await.unwrap();
    }
    let error = send(&pool.rpc_url, &transfer(16, 10 * GWEI, GWEI)).await.unwrap_err();
    assert_eq!(error, "account limit exceeded: pooled 16 txs");

    pool.mine(1).await.unwrap();
    let error = send(&pool.rpc_url, &transfer(15, 10 * GWEI, GWEI)).await.unwrap_err();
    assert!(error.starts_with("nonce too low: next nonce 16"), "{error}");
    send(&pool.rpc_url, &transfer(16, 10 * GWEI, GWEI)).await.unwrap();
    let last = pool.attempts().pop().unwrap();
    assert_eq!((last.nonce, last.sender, last.verdict), (16, sender(), Some(Ok(()))));
}

#[tokio::test]
async fn a_node_does_not_sign() {
    let (_anvil, pool) = start(PoolRules::default()).await;
    let transaction = json!({"from": sender(), "to": Address::ZERO});
    let error = ask(&pool.rpc_url, "eth_sendTransaction", json!([transaction])).await.unwrap_err();
    assert!(error.contains("does not exist"), "{error}");
}

#[tokio::test]
async fn answers_to_a_send_can_be_wrong_in_both_directions() {
    let (_anvil, pool) = start(PoolRules::default()).await;
    let sent = [
        (SendFault::error_yet_sent("internal error"), true),
        (SendFault::error_not_sent("already known"), false),
        (SendFault::error_not_sent("transaction underpriced"), false),
        (SendFault::silence(true), true),
        (SendFault::silence(false), false),
        (SendFault::lost(), false),
    ];
    for (nonce, (fault, reaches_pool)) in (0..).zip(sent) {
        let raw = transfer(nonce, 10 * GWEI, GWEI);
        pool.fail_next_send(fault.clone());
        let answer = send(&pool.rpc_url, &raw).await;
        assert_eq!(answer.is_ok(), fault == SendFault::lost(), "{fault:?}");
        assert_eq!(is_known(&pool, &raw).await, reaches_pool, "{fault:?}");
        // The same bytes again put right whatever happened.
        let again = send(&pool.rpc_url, &raw).await;
        assert_eq!(again.err().as_deref(), reaches_pool.then_some("already known"), "{fault:?}");
    }
    let verdicts: Vec<Attempt> = pool.attempts();
    assert_eq!(verdicts.len(), 12);
    assert_eq!(verdicts[1].verdict, Some(Err(PoolRefusal::AlreadyKnown)));
    assert_eq!(verdicts[2].verdict, None, "kept from the pool");
    pool.mine(1).await.unwrap();
    assert_eq!(count(&pool).await, 6);
}

#[tokio::test]
async fn a_dropped_transaction_is_unknown_until_it_is_sent_again() {
    let (_anvil, pool) = start(PoolRules::default()).await;
    let raw = transfer(0, 10 * GWEI, GWEI);
    let hash = send(&pool.rpc_url, &raw).await.unwrap();
    pool.drop_transaction(hash).await.unwrap();
    assert!(!is_known(&pool, &raw).await);
    pool.mine(1).await.unwrap();
    assert_eq!(count(&pool).await, 0);
    send(&pool.rpc_url, &raw).await.unwrap();
    pool.mine(1).await.unwrap();
    assert!(is_mined(&pool, &raw).await);
    assert!(pool.drop_transaction(hash).await.is_err(), "it is in a block");
}

#[tokio::test]
async fn receipts_are_missing_late_or_wrong_on_request() {
    let (_anvil, pool) = start(PoolRules::default()).await;
    let hash = send(&pool.rpc_url, &transfer(0, 10 * GWEI, GWEI)).await.unwrap();
    pool.mine(1).await.unwrap();
    let honest = receipt(&pool, hash).await;
    assert_eq!(honest["status"], "0x1");

    pool.spoil_receipt(hash, ReceiptFault::Missing);
    assert!(receipt(&pool, hash).await.is_null());
    pool.spoil_receipt(hash, ReceiptFault::Delayed { requests: 2 });
    assert!(receipt(&pool, hash).await.is_null());
    assert!(receipt(&pool, hash).await.is_null());
    assert_eq!(receipt(&pool, hash).await, honest);
    pool.spoil_receipt(hash, ReceiptFault::WrongStatus);
    assert_eq!(receipt(&pool, hash).await["status"], "0x0");
    pool.spoil_receipt(hash, ReceiptFault::WrongBlock);
    assert_ne!(receipt(&pool, hash).await["blockHash"], honest["blockHash"]);
    pool.hide(hash);
    assert!(receipt(&pool, hash).await.is_null());
    assert!(ask(&pool.rpc_url, "eth_getTransactionByHash", json!([hash])).await.unwrap().is_null());
    pool.miscount(sender(), 9);
    assert_eq!(count(&pool).await, 9);

    pool.heal();
    assert_eq!(receipt(&pool, hash).await, honest);
    assert_eq!(count(&pool).await, 1);
}

#[tokio::test]
async fn a_reorganization_forgets_transactions_and_takes_the_same_bytes_again() {
    let (_anvil, pool) = start(PoolRules::default()).await;
    pool.mine(3).await.unwrap();
    let raw = transfer(0, 10 * GWEI, GWEI);
    send(&pool.rpc_url, &raw).await.unwrap();
    pool.mine(1).await.unwrap();
    assert_eq!(count(&pool).await, 1);
    pool.reorganize(2).await.unwrap();
    assert_eq!(count(&pool).await, 0, "the mined count falls");
    assert!(!is_mined(&pool, &raw).await);
    send(&pool.rpc_url, &raw).await.unwrap();
    pool.mine(1).await.unwrap();
    assert!(is_mined(&pool, &raw).await);
}

#[tokio::test]
async fn an_honest_sender_notices_nothing() {
    let anvil = Anvil::start(&setting("ANVIL_BIN"), &AnvilOptions::default()).unwrap();
    let pool = StrictPool::start(&anvil.rpc_url, PoolRules::default()).await.unwrap();
    let chain = DevChain::deploy(&pool.rpc_url, &setting("CLEARFOLD_ARTIFACTS"), ACCOUNTS).await.unwrap();
    let swipes = chain.swipes(&[(0, cents(100)), (1, cents(200)), (0, cents(300))]).await.unwrap();
    assert_eq!(chain.spends().await.unwrap(), swipes);
    assert!(pool.attempts().iter().all(|attempt| attempt.verdict == Some(Ok(()))));
}

async fn start(rules: PoolRules) -> (Anvil, StrictPool) {
    install_cryptography();
    let options = AnvilOptions { no_mining: true, ..AnvilOptions::default() };
    let anvil = Anvil::start(&setting("ANVIL_BIN"), &options).unwrap();
    let pool = StrictPool::start(&anvil.rpc_url, rules).await.unwrap();
    (anvil, pool)
}

fn sender() -> Address {
    Party::Stranger.address().unwrap()
}

/// Signs a transfer of nothing to nobody.
fn transfer(nonce: u64, fee_cap_wei: u128, tip_cap_wei: u128) -> Bytes {
    let mut transaction = TxEip1559 {
        chain_id: 100,
        nonce,
        gas_limit: 21_000,
        max_fee_per_gas: fee_cap_wei,
        max_priority_fee_per_gas: tip_cap_wei,
        to: TxKind::Call(Address::repeat_byte(0x5a)),
        ..TxEip1559::default()
    };
    let signature = Party::Stranger.signer().unwrap().sign_transaction_sync(&mut transaction).unwrap();
    TxEnvelope::from(transaction.into_signed(signature)).encoded_2718().into()
}

fn hash(raw: &Bytes) -> B256 {
    alloy::primitives::keccak256(raw)
}

async fn send(url: &str, raw: &Bytes) -> Result<B256, String> {
    let answer = ask(url, "eth_sendRawTransaction", json!([raw])).await?;
    assert_eq!(answer, json!(hash(raw)));
    Ok(hash(raw))
}

async fn is_known(pool: &StrictPool, raw: &Bytes) -> bool {
    !ask(&pool.rpc_url, "eth_getTransactionByHash", json!([hash(raw)])).await.unwrap().is_null()
}

async fn is_mined(pool: &StrictPool, raw: &Bytes) -> bool {
    !receipt(pool, hash(raw)).await.is_null()
}

async fn receipt(pool: &StrictPool, hash: B256) -> Value {
    ask(&pool.rpc_url, "eth_getTransactionReceipt", json!([hash])).await.unwrap()
}

async fn count(pool: &StrictPool) -> u64 {
    let count = ask(&pool.rpc_url, "eth_getTransactionCount", json!([sender(), "latest"])).await.unwrap();
    serde_json::from_value::<U256>(count).unwrap().to()
}

/// Asks a node; the error's text is its message, or the HTTP status.
async fn ask(url: &str, method: &str, params: Value) -> Result<Value, String> {
    let question = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
    let response = reqwest::Client::new().post(url).json(&question).send().await.unwrap();
    if !response.status().is_success() {
        return Err(response.status().to_string());
    }
    let mut answer: Value = response.json().await.unwrap();
    match answer["error"]["message"].as_str() {
        Some(message) => Err(message.to_owned()),
        None => Ok(answer["result"].take()),
    }
}
