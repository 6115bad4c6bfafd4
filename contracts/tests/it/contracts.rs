//! Tests of the contracts on a real node: their logs, their errors, and reading both back.

use alloy::primitives::{Address, B256, U256, keccak256};
use clearfold_devchain::{Anvil, AnvilOptions, Deployment, DevChain, Oddity};
use serde_json::Value;

use crate::{ACCOUNTS, assert_refused, cents, setting, start};

#[tokio::test]
async fn a_swipe_logs_what_gnosis_pay_logs() {
    let (_anvil, chain) = start().await;
    let swipe = chain.swipe(1, cents(850)).await.unwrap();
    let on = chain.deployment();
    let account = on.accounts[1];

    let record = chain.record(swipe.transaction_hash).await.unwrap();
    let receipt = &record["receipts"][swipe.transaction_hash.to_string()];
    let logs = receipt["logs"].as_array().unwrap();
    let block = &record["blocks"][swipe.block_hash.to_string()];
    assert_eq!(block["transactions"][0], record["transactions"][swipe.transaction_hash.to_string()]);

    let transfer: (&str, &[Address]) = ("Transfer(address,address,uint256)", &[account.safe, on.settlement]);
    let expected: [(Address, (&str, &[Address])); 9] = [
        (on.spender, ("HashExecuted(bytes32)", &[])),
        (on.spender_safe, ("SafeModuleTransaction(address,address,uint256,bytes,uint8)", &[])),
        (on.validator, ("Decision(address,address,uint256,bool)", &[account.safe, on.settlement])),
        (on.eure_v2, transfer),
        (on.eure_v1, transfer),
        (account.safe, ("ExecutionFromModuleSuccess(address)", &[account.roles])),
        (account.roles, ("ConsumeAllowance(bytes32,uint128,uint128)", &[])),
        (on.spender_safe, ("ExecutionFromModuleSuccess(address)", &[on.spender])),
        (on.spender, ("Spend(address,address,address,uint256)", &[])),
    ];
    assert_eq!(logs.len(), expected.len());
    for (log, (emitter, (signature, indexed))) in logs.iter().zip(expected) {
        let topics = [&[keccak256(signature)], &*indexed.iter().map(Address::into_word).collect::<Vec<_>>()];
        assert_eq!(parsed::<Address>(&log["address"]), emitter, "{signature}");
        assert_eq!(parsed::<Vec<B256>>(&log["topics"]), topics.concat(), "{signature}");
    }
    let spend = words(&logs[8]["data"]);
    assert_eq!(spend[0], on.eure_v1.into_word(), "the asset is the old address");
    assert_eq!(spend[1], account.roles.into_word(), "the account is the Roles module");
    assert_eq!(spend[2], on.settlement.into_word());
    assert_eq!(U256::from_be_bytes(spend[3].0), cents(850));

    // One block holds one transaction, so the index counts from the block's first log.
    assert_eq!((swipe.log_index, swipe.safe, swipe.amount_minor), (8, account.safe, cents(850)));
    assert_eq!(parsed::<B256>(&receipt["blockHash"]), swipe.block_hash);
    assert_eq!(chain.spends().await.unwrap(), [swipe]);
}

#[tokio::test]
async fn a_swipe_beyond_the_daily_limit_is_refused() {
    let (_anvil, chain) = start().await;
    let limit = cents(10_000_000 * 100);
    chain.swipe(0, limit).await.unwrap();
    assert_refused(chain.swipe(0, U256::ONE).await, "AllowanceExceeded");
    chain.swipe(1, U256::ONE).await.unwrap();
    assert_eq!(chain.spends().await.unwrap().len(), 2);
}

#[tokio::test]
async fn refunds_come_in_one_transaction_and_show_at_both_addresses() {
    let (_anvil, chain) = start().await;
    let on = chain.deployment();
    let refunds = [(0, cents(100)), (1, cents(250)), (0, cents(5))];
    let mined = chain.refund_batch(&refunds).await.unwrap();

    let record = chain.record(mined.transaction_hash).await.unwrap();
    let logs = record["receipts"][mined.transaction_hash.to_string()]["logs"].as_array().unwrap();
    assert_eq!(logs.len(), refunds.len() * 3 + 1, "three for each refund, one for the batch");
    for (logs, (account, amount)) in logs.chunks(3).zip(refunds) {
        let emitters: Vec<Address> = logs.iter().map(|log| parsed(&log["address"])).collect();
        assert_eq!(emitters, [on.validator, on.eure_v2, on.eure_v1]);
        for log in logs {
            let topics: Vec<B256> = parsed(&log["topics"]);
            assert_eq!(topics[1..], [on.settlement.into_word(), on.accounts[account].safe.into_word()]);
            assert_eq!(U256::from_be_bytes(words(&log["data"])[0].0), amount);
        }
    }
    let too_much = U256::MAX >> 1;
    assert_refused(chain.refund_batch(&[(0, cents(1)), (1, too_much)]).await, "InsufficientBalance");
}

#[tokio::test]
async fn many_swipes_can_share_a_block_or_a_transaction() {
    let (_anvil, chain) = start().await;
    let apart = chain.swipes(&[(0, cents(100)), (1, cents(200)), (0, cents(300))]).await.unwrap();
    let together = chain.swipes_at_once(&[(1, cents(400)), (1, cents(400))]).await.unwrap();
    assert_eq!(together[0].transaction_hash, together[1].transaction_hash);
    assert_ne!(together[0].log_index, together[1].log_index);
    assert_eq!(chain.spends().await.unwrap(), [apart, together].concat());
}

#[tokio::test]
async fn oddities_are_on_the_chain_and_none_is_a_swipe() {
    let (_anvil, chain) = start().await;
    for oddity in Oddity::ALL {
        let mined = chain.odd(oddity).await.unwrap();
        let record = chain.record(mined.transaction_hash).await.unwrap();
        let logs = record["receipts"][mined.transaction_hash.to_string()]["logs"].as_array().unwrap();
        assert!(!logs.is_empty(), "{oddity:?}");
        assert!(logs.iter().all(|log| parsed::<Address>(&log["address"]) == chain.deployment().oddities));
    }
    assert_eq!(chain.spends().await.unwrap(), []);
}

#[tokio::test]
async fn a_chain_kept_in_a_file_goes_on_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let deployment_file = folder.path().join("deployment.json");
    let options = AnvilOptions { state: Some(folder.path().join("chain.json")), ..AnvilOptions::default() };

    let anvil = Anvil::start(&setting("ANVIL_BIN"), &options).unwrap();
    let chain = DevChain::deploy(&anvil.rpc_url, &setting("CLEARFOLD_ARTIFACTS"), ACCOUNTS).await.unwrap();
    chain.deployment().write(&deployment_file).unwrap();
    let before = chain.swipe(0, cents(100)).await.unwrap();
    drop(anvil);

    let anvil = Anvil::start(&setting("ANVIL_BIN"), &options).unwrap();
    let deployment = Deployment::read(&deployment_file).unwrap();
    let chain = DevChain::open(&anvil.rpc_url, &deployment).await.unwrap();
    let after = chain.swipe(0, cents(200)).await.unwrap();
    assert_eq!(chain.spends().await.unwrap(), [before, after]);
}

fn parsed<T: serde::de::DeserializeOwned>(value: &Value) -> T {
    serde_json::from_value(value.clone()).unwrap()
}

fn words(data: &Value) -> Vec<B256> {
    parsed::<alloy::primitives::Bytes>(data).chunks(32).map(B256::from_slice).collect()
}
