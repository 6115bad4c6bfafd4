//! Deposits and withdrawals on chain become the balances of accounts, each once.

use std::collections::BTreeMap;
use std::time::Duration;

use alloy::primitives::{Address, U256};
use anyhow::Result;
use clearfold_tests::{Faults, FaultyRpc, Host, World, cents, eventually};
use serde_json::{Value, json};
use sqlx::PgPool;

use crate::audit;

/// Somebody whose Safe is no account.
const STRANGER: Address = Address::repeat_byte(0x77);

/// Returns what an account can spend by its books; `None` if they have not begun.
async fn available(host: &Host, safe: Address) -> Result<Option<String>> {
    let answer = host.get(&format!("/v1/accounts/{safe:#x}/balances")).await?;
    Ok(answer.body["balances"][0]["available"]["minor"].as_str().map(str::to_owned))
}

/// Waits until each account has by its books what its Safe has on chain.
async fn books_agree(world: &World, host: &Host) -> Result<()> {
    for (index, account) in world.chain.deployment().accounts.iter().enumerate() {
        let on_chain = world.chain.balance(index).await?.to_string();
        eventually(&format!("account {index} has {on_chain}"), async || {
            Ok((available(host, account.safe).await?.as_ref() == Some(&on_chain)).then_some(()))
        })
        .await?;
    }
    Ok(())
}

/// Counts the events of all accounts by type.
async fn events(write: &PgPool) -> Result<BTreeMap<String, i64>> {
    let counts = "SELECT type, count(*) FROM events WHERE stream LIKE 'account-%' GROUP BY type";
    Ok(sqlx::query_as(counts).fetch_all(write).await?.into_iter().collect())
}

fn counts(expected: &[(&str, i64)]) -> BTreeMap<String, i64> {
    expected.iter().map(|(kind, count)| ((*kind).to_owned(), *count)).collect()
}

async fn head_is_read(world: &World, block: u64) -> Result<()> {
    let write = world.databases.write().await?;
    eventually(&format!("block {block} is read"), async || {
        let read: Option<i64> =
            sqlx::query_scalar("SELECT block_number FROM chain_cursor").fetch_optional(&write).await?;
        Ok(read.filter(|read| u64::try_from(*read).is_ok_and(|read| read >= block)).map(|_| ()))
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn deposits_withdrawals_and_transfers_between_accounts_are_booked_once() -> Result<()> {
    let world = World::new().await?;
    let write = world.databases.write().await?;
    let safes: Vec<Address> = world.chain.deployment().accounts.iter().map(|account| account.safe).collect();
    let host = world.host().await?;
    // The money of the deployment is a deposit to each account, and opens it.
    books_agree(&world, &host).await?;
    assert_eq!(events(&write).await?, counts(&[("AccountOpened", 3), ("Deposited", 3)]));

    world.chain.deposit(0, cents(12_345)).await?;
    world.chain.withdraw(1, &[(STRANGER, cents(500))]).await?;
    // To another account, to itself, and nothing: the first moves money twice, the others move none.
    let receivers = [(safes[2], cents(700)), (safes[0], cents(1)), (safes[2], U256::ZERO)];
    let last = world.chain.withdraw(0, &receivers).await?;
    head_is_read(&world, last.block_number).await?;
    books_agree(&world, &host).await?;
    let booked = counts(&[("AccountOpened", 3), ("Deposited", 5), ("Withdrawn", 2)]);
    assert_eq!(events(&write).await?, booked);
    assert!(host.stop()?.success());

    // After a restart nothing comes again, not even if every block is read again.
    let host = world.host().await?;
    books_agree(&world, &host).await?;
    assert_eq!(events(&write).await?, booked);
    assert!(host.stop()?.success());
    sqlx::query("DELETE FROM chain_cursor").execute(&write).await?;
    let host = world.host().await?;
    head_is_read(&world, last.block_number).await?;
    books_agree(&world, &host).await?;
    assert_eq!(events(&write).await?, booked);
    let letters: i64 = sqlx::query_scalar("SELECT count(*) FROM dead_letters").fetch_one(&write).await?;
    assert_eq!(letters, 0);

    // The Safe's balance by the chain and by the books agree, and so do all invariants.
    let read = world.databases.read().await?;
    let differences: i64 =
        sqlx::query_scalar("SELECT count(*) FROM settlement.difference").fetch_one(&read).await?;
    assert_eq!(differences, 0);
    let report = clearfold_tests::Output::of(&mut audit::check(&world, &["--json"]))?;
    assert!(report.status.success(), "{report:?}");
    Ok(())
}

#[tokio::test]
async fn an_account_that_a_deposit_opened_takes_the_operators_assets_once() -> Result<()> {
    let world = World::new().await?;
    let host = world.host().await?;
    books_agree(&world, &host).await?;
    let safe = format!("{:#x}", world.chain.deployment().account(0)?.safe);
    let open = |assets: Value| {
        json!({
            "aggregate": "account", "id": safe, "type": "OpenAccount", "schema_version": 1,
            "payload": {"assets": assets},
        })
    };
    let both = json!([{"asset": "EURe", "decimals": 18}, {"asset": "USDC.e", "decimals": 6}]);
    let named = host.command_to("open-1", &open(both.clone())).await?;
    assert_eq!((named.status, &named.body["events"]), (200, &json!(["AssetsNamed"])));
    let again = host.command_to("open-2", &open(both)).await?;
    assert_eq!((again.status, &again.body["events"]), (200, &json!([])));
    let other = host.command_to("open-3", &open(json!([{"asset": "GBPe", "decimals": 18}]))).await?;
    assert_eq!((other.status, &other.body["code"]), (422, &json!("duplicate_mismatch")));
    eventually("a balance of each asset", async || {
        let answer = host.get(&format!("/v1/accounts/{safe}/balances")).await?;
        Ok((answer.body["balances"].as_array().is_some_and(|assets| assets.len() == 2)).then_some(()))
    })
    .await
}

#[tokio::test]
async fn a_deposit_that_a_node_leaves_out_is_missed_by_the_bloom() -> Result<()> {
    let world = World::new().await?;
    let omitting = Faults { omits_logs: true, ..Faults::default() };
    let node = FaultyRpc::start(&world.anvil.rpc_url, Faults::default()).await?;
    let host = world
        .host_with(|command| {
            command.env("CHAIN_RPC_URLS", &node.url);
        })
        .await?;
    books_agree(&world, &host).await?;
    node.set(omitting);
    world.chain.deposit(0, cents(12_345)).await?;
    eventually("the log names the omission", async || {
        Ok(host.log()?.contains("which was asked for and left out").then_some(()))
    })
    .await?;
    tokio::time::sleep(Duration::from_millis(300)).await;
    let write = world.databases.write().await?;
    assert_eq!(events(&write).await?, counts(&[("AccountOpened", 3), ("Deposited", 3)]));
    node.set(Faults::default());
    books_agree(&world, &host).await
}
