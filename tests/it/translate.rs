//! `clearfold translate`: recorded transactions, without a database or a chain.

use std::path::Path;
use std::process::Command;

use anyhow::Result;
use clearfold_devchain::Oddity;
use clearfold_tests::{Output, World, cents};
use serde_json::{Value, json};

fn translate(world: &World, file: &Path, contracts: Option<&Path>) -> Result<Output> {
    let mut command = Command::new(&world.environment.host);
    command.arg("translate").arg(world.environment.component("translator-gnosis-pay")).arg(file);
    if let Some(contracts) = contracts {
        command.arg("--contracts").arg(contracts);
    }
    Output::of(&mut command)
}

fn lines(output: &Output) -> Result<Vec<Value>> {
    assert!(output.status.success(), "{output:?}");
    Ok(output.stdout.lines().map(serde_json::from_str).collect::<Result<_, _>>()?)
}

#[tokio::test]
async fn a_recorded_swipe_becomes_one_command_on_the_right_safe() -> Result<()> {
    let world = World::new().await?;
    let swipe = world.chain.swipe(1, cents(850)).await?;
    let file = world.file("swipe.json");
    std::fs::write(&file, world.chain.record(swipe.transaction_hash).await?.to_string())?;
    let commands = lines(&translate(&world, &file, Some(&world.contracts))?)?;
    assert_eq!(commands.len(), 1);
    assert_eq!(commands[0]["type"], "RecordSwipe");
    assert_eq!(commands[0]["account"], format!("{:#x}", swipe.safe));
    assert_eq!(
        commands[0]["amount"],
        json!({"minor": "8500000000000000000", "asset": "EURe", "decimals": 18})
    );
    let source = json!({
        "chain_id": 100, "block_hash": swipe.block_hash, "block_number": swipe.block_number,
        "transaction_hash": swipe.transaction_hash, "log_index": swipe.log_index,
    });
    assert_eq!(commands[0]["source"], source);
    Ok(())
}

#[tokio::test]
async fn a_recorded_batch_becomes_as_many_refunds_none_counted_twice() -> Result<()> {
    let world = World::new().await?;
    world.chain.swipe(0, cents(10_000)).await?;
    let refunds: Vec<_> = (0..45_usize).map(|number| (number % 3, cents(number as u64 + 1))).collect();
    let mined = world.chain.refund_batch(&refunds).await?;
    let file = world.file("refunds.json");
    std::fs::write(&file, world.chain.record(mined.transaction_hash).await?.to_string())?;
    let commands = lines(&translate(&world, &file, Some(&world.contracts))?)?;
    assert!(commands.iter().all(|command| command["type"] == "RecordRefund"));
    let paid: Vec<String> = commands
        .iter()
        .filter_map(|command| command["amount"]["minor"].as_str().map(str::to_owned))
        .collect();
    let expected: Vec<String> = refunds.iter().map(|(_, amount)| amount.to_string()).collect();
    assert_eq!(paid, expected);
    let mut ids: Vec<String> = commands.iter().map(|command| command["id"].to_string()).collect();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 45);
    Ok(())
}

#[tokio::test]
async fn other_contracts_are_not_ours() -> Result<()> {
    let world = World::new().await?;
    let swipe = world.chain.swipe(1, cents(850)).await?;
    let file = world.file("swipe.json");
    std::fs::write(&file, world.chain.record(swipe.transaction_hash).await?.to_string())?;
    // The built-in set has the same chain id, but other contracts.
    assert_eq!(lines(&translate(&world, &file, None)?)?, Vec::<Value>::new());
    Ok(())
}

#[tokio::test]
async fn a_refused_log_and_a_wrong_file_are_said() -> Result<()> {
    let world = World::new().await?;
    let mut contracts = world.chain.contract_set();
    let oddities = format!("{:#x}", world.chain.deployment().oddities);
    contracts["spenders"].as_array_mut().unwrap().push(json!({ "address": oddities }));
    std::fs::write(&world.contracts, contracts.to_string())?;
    let mined = world.chain.odd(Oddity::SpendWithoutAccount).await?;
    let file = world.file("odd.json");
    std::fs::write(&file, world.chain.record(mined.transaction_hash).await?.to_string())?;
    let output = translate(&world, &file, Some(&world.contracts))?;
    assert!(output.status.success() && output.stdout.is_empty(), "{output:?}");
    assert!(output.stderr.contains("spend_without_account"), "{output:?}");

    std::fs::write(&file, "{}")?;
    let output = translate(&world, &file, None)?;
    assert!(!output.status.success() && output.stderr.contains("is no recorded transaction"), "{output:?}");
    Ok(())
}
