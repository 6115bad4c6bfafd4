//! Nodes that refuse, omit, lag, lie or fork: nothing is lost, nothing is guessed, and the errors are accurate.

use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use alloy::primitives::keccak256;
use anyhow::{Context, Result};
use clearfold_base::clock::Clock;
use clearfold_base::tasks::Tasks;
use clearfold_engine::command::{
    Answer, CommandError, CommandIntake, Deciders, IntakeSettings, WriterSettings,
};
use clearfold_sandbox::{Decider, HandlerEngine, Limits};
use clearfold_tests::{Faults, FaultyRpc, Host, Output, World, cents, deaf_translator, eventually};
use serde_json::{Value, json};
use sqlx::{PgPool, Row};
use tokio::task::JoinSet;

use crate::store;
use crate::swipe::{sorted_facts, spends};

async fn on(world: &World, urls: &[&str]) -> Result<Host> {
    world
        .host_with(|command| {
            command.env("CHAIN_RPC_URLS", urls.join(","));
        })
        .await
}

async fn cursor(write: &PgPool) -> Result<Option<i64>> {
    Ok(sqlx::query_scalar("SELECT block_number FROM chain_cursor").fetch_optional(write).await?)
}

/// Waits until a block has been read.
async fn read_to(world: &World, block: u64) -> Result<()> {
    let write = world.databases.write().await?;
    eventually(&format!("block {block} is read"), async || {
        Ok(cursor(&write)
            .await?
            .filter(|read| u64::try_from(*read).is_ok_and(|read| read >= block))
            .map(|_| ()))
    })
    .await
}

async fn said(host: &Host, words: &str) -> Result<()> {
    eventually(&format!("the log says `{words}`"), async || Ok(host.log()?.contains(words).then_some(())))
        .await
}

async fn ask(world: &World, method: &str, params: Value) -> Result<Value> {
    let question = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
    let answer = clearfold_tests::http_client().post(&world.anvil.rpc_url).json(&question).send().await?;
    let answer: Value = answer.json().await?;
    answer.get("result").cloned().with_context(|| format!("{method}: {answer}"))
}

async fn head(world: &World) -> Result<u64> {
    let head = ask(world, "eth_blockNumber", json!([])).await?;
    Ok(u64::from_str_radix(head.as_str().unwrap().trim_start_matches("0x"), 16)?)
}

#[tokio::test]
async fn a_range_that_the_node_refuses_is_read_in_smaller_ones() -> Result<()> {
    let world = World::new().await?;
    world.chain.swipes(&(0..20_u64).map(|n| (0, cents(n + 1))).collect::<Vec<_>>()).await?;
    let node =
        FaultyRpc::start(&world.anvil.rpc_url, Faults { max_range: Some(7), ..Faults::default() }).await?;
    let host = on(&world, &[&node.url]).await?;
    assert_eq!(sorted_facts(&host.payments_when(20).await?), spends(&world).await?);
    let refused = node.refused_ranges();
    let mut different = refused.clone();
    different.sort_unstable();
    different.dedup();
    assert!(!refused.is_empty() && different.len() == refused.len(), "{refused:?}");
    Ok(())
}

#[tokio::test]
async fn logs_that_a_node_leaves_out_are_missed_by_the_bloom_and_had_from_another() -> Result<()> {
    let world = World::new().await?;
    let omitting = Faults { omits_logs: true, ..Faults::default() };
    let node = FaultyRpc::start(&world.anvil.rpc_url, omitting).await?;
    let host = on(&world, &[&node.url, &world.anvil.rpc_url]).await?;
    read_to(&world, head(&world).await?).await?;
    world.chain.swipes_at_once(&[(0, cents(1)), (1, cents(2))]).await?;
    world.chain.refund_batch(&[(0, cents(1))]).await?;
    world.chain.swipe(0, cents(3)).await?;
    assert_eq!(sorted_facts(&host.payments_when(3).await?), spends(&world).await?);
    said(&host, "which was asked for and left out").await
}

#[tokio::test]
async fn a_block_whose_logs_nobody_gives_is_not_passed() -> Result<()> {
    let world = World::new().await?;
    let omitting = Faults { omits_logs: true, ..Faults::default() };
    let node = FaultyRpc::start(&world.anvil.rpc_url, omitting).await?;
    let host = on(&world, &[&node.url]).await?;
    read_to(&world, head(&world).await?).await?;
    let swipe = world.chain.swipe(0, cents(850)).await?;
    said(&host, "which was asked for and left out").await?;
    let before = i64::try_from(swipe.block_number)? - 1;
    assert_eq!(cursor(&world.databases.write().await?).await?, Some(before));
    node.set(Faults::default());
    assert_eq!(sorted_facts(&host.payments_when(1).await?), spends(&world).await?);
    Ok(())
}

#[tokio::test]
async fn a_node_that_stays_behind_is_left_for_another() -> Result<()> {
    let world = World::new().await?;
    let stuck = Faults { head: Some(head(&world).await?), ..Faults::default() };
    let node = FaultyRpc::start(&world.anvil.rpc_url, stuck).await?;
    let host = on(&world, &[&node.url, &world.anvil.rpc_url]).await?;
    world.chain.swipes(&[(0, cents(1)), (1, cents(2))]).await?;
    assert_eq!(sorted_facts(&host.payments_when(2).await?), spends(&world).await?);
    Ok(())
}

#[tokio::test]
async fn a_node_behind_what_was_read_is_no_empty_chain_and_no_fork() -> Result<()> {
    let world = World::new().await?;
    let host = world.host().await?;
    let swipe = world.chain.swipe(0, cents(1)).await?;
    host.payments_when(1).await?;
    read_to(&world, swipe.block_number).await?;
    assert!(host.stop()?.success());
    world.chain.swipe(0, cents(2)).await?;

    let syncing = Faults { head: Some(swipe.block_number - 1), ..Faults::default() };
    let node = FaultyRpc::start(&world.anvil.rpc_url, syncing).await?;
    let host = on(&world, &[&node.url]).await?;
    said(&host, "was read before").await?;
    assert!(!host.log()?.contains("reorganized"));
    node.set(Faults::default());
    assert_eq!(sorted_facts(&host.payments_when(2).await?), spends(&world).await?);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_of_another_chain_is_refused_by_name() -> Result<()> {
    let world = World::new().await?;
    let foreign = Faults { chain_id: Some(10_200), ..Faults::default() };
    let node = FaultyRpc::start(&world.anvil.rpc_url, foreign).await?;
    let urls = format!("{},{}", world.anvil.rpc_url, node.url);
    let host_name = node.url.trim_start_matches("http://").trim_end_matches('/');
    for subcommand in ["up", "doctor"] {
        let output = Output::of(run(&world, subcommand)?.env("CHAIN_RPC_URLS", &urls))?;
        let said = format!("{}{}", output.stdout, output.stderr);
        assert!(!output.status.success(), "{output:?}");
        for word in ["CHAIN_RPC_URLS", host_name, "is on chain 10200", "is for chain 100", "CHAIN_CONTRACTS"]
        {
            assert!(said.contains(word), "{subcommand}: `{word}`: {said}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn an_endpoint_of_another_chain_that_comes_late_is_not_read() -> Result<()> {
    let world = World::new().await?;
    let late = Faults { refused_method: Some("eth_chainId"), ..Faults::default() };
    let node = FaultyRpc::start(&world.anvil.rpc_url, late).await?;
    let host = on(&world, &[&node.url, &world.anvil.rpc_url]).await?;
    node.set(Faults { chain_id: Some(1), omits_logs: true, ..Faults::default() });
    world.chain.swipe(0, cents(1)).await?;
    assert_eq!(sorted_facts(&host.payments_when(1).await?), spends(&world).await?);
    assert!(host.log()?.contains("\"unreachable\""));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn doctor_names_an_endpoint_that_does_not_answer_and_passes() -> Result<()> {
    let world = World::new().await?;
    let urls = format!("http://127.0.0.1:1,{}", world.anvil.rpc_url);
    let output = Output::of(run(&world, "doctor")?.env("CHAIN_RPC_URLS", &urls))?;
    assert!(output.status.success() && output.stdout.contains("do not answer: 127.0.0.1:1"), "{output:?}");
    Ok(())
}

#[tokio::test]
async fn keys_in_urls_reach_no_log() -> Result<()> {
    const KEY: &str = "0123456789abcdef0123456789abcdef";
    let world = World::new().await?;
    let node = FaultyRpc::start(&world.anvil.rpc_url, Faults::default()).await?;
    let urls = [format!("http://127.0.0.1:1/v3/{KEY}?key={KEY}"), format!("{}v3/{KEY}", node.url)];
    let host = world.host_with(|command| {
        command.env("CHAIN_RPC_URLS", urls.join(",")).env("RUST_LOG", "debug");
    });
    let host = host.await?;
    world.chain.swipe(0, cents(1)).await?;
    host.payments_when(1).await?;
    drop(node);
    said(&host, "the chain could not be read; trying again").await?;
    assert!(host.log()?.contains("127.0.0.1:1: "));
    let log = host.log()?;
    assert_eq!(log.lines().find(|line| line.contains(KEY)), None);
    Ok(())
}

#[tokio::test]
async fn at_a_fork_below_the_cursor_reading_stops_the_api_goes_on_and_the_documented_repair_helps()
-> Result<()> {
    let world = World::new().await?;
    let host = world.host().await?;
    let orphaned = world.chain.swipe(0, cents(850)).await?;
    let payment = host.payments_when(1).await?.remove(0);
    read_to(&world, orphaned.block_number).await?;
    ask(&world, "anvil_reorg", json!([1, []])).await?;
    world.chain.swipe(1, cents(100)).await?;
    said(&host, "the listener has stopped reading").await?;

    // The API goes on, the cursor stays, and the alarm is not repeated at every look.
    let clearing = json!({
        "aggregate": "authorization", "id": payment["id"], "type": "PresentClearing", "schema_version": 1,
        "payload": {
            "clearing_id": "c1", "final": true, "occurred_at": "2026-11-22T10:00:00.000Z",
            "amount": {"minor": "8500000000000000000", "decimals": 18, "asset": "EURe"},
        },
    });
    assert_eq!(host.command_to("k1", &clearing).await?.status, 200);
    eventually("the clearing", async || {
        let payment = host.get(&format!("/v1/payments/{}", payment["id"].as_str().unwrap())).await?;
        Ok((payment.body["status"] == "cleared").then_some(()))
    })
    .await?;
    tokio::time::sleep(std::time::Duration::from_secs(2)).await;
    let write = world.databases.write().await?;
    assert_eq!(cursor(&write).await?, Some(i64::try_from(orphaned.block_number)?));
    assert_eq!(host.payments().await?.len(), 1);
    let log = host.log()?;
    let alarms: Vec<&str> = log.lines().filter(|line| line.contains("has stopped reading")).collect();
    assert_eq!(alarms.len(), 1);
    let alarm = alarms[0];
    assert!(alarm.contains("docs/operating/fork-repair.md") && !alarm.contains("trying again"), "{alarm}");

    // The procedure of docs/operating/fork-repair.md: back to a block that the chain has.
    let block = orphaned.block_number - 1;
    let known = ask(&world, "eth_getBlockByNumber", json!([format!("{block:#x}"), false])).await?;
    let back =
        "UPDATE chain_cursor SET block_number = $1, block_hash = decode($2, 'hex') WHERE chain_id = 100";
    let hash = known["hash"].as_str().unwrap().trim_start_matches("0x");
    sqlx::query(back).bind(i64::try_from(block)?).bind(hash).execute(&write).await?;
    assert_eq!(host.payments_when(2).await?.len(), 2);
    said(&host, "the chain is followed again").await
}

#[tokio::test]
async fn a_transaction_that_cannot_be_translated_leaves_a_letter_for_each_log_that_was_asked_for()
-> Result<()> {
    let world = World::new().await?;
    let spend = keccak256("Spend(address,address,address,uint256)");
    let deaf = deaf_translator(&world.environment, 100, world.chain.deployment().spender.as_ref(), &spend.0)?;
    let translator = world.file("deaf.wasm");
    std::fs::write(&translator, deaf)?;
    let components = world.environment.components.display().to_string();
    let manifest = std::fs::read_to_string(world.environment.root.join("spin.toml"))?
        .replace("target/components/translator-gnosis-pay.wasm", &translator.display().to_string())
        .replace("target/components", &components);
    let file = world.file("spin.toml");
    std::fs::write(&file, manifest)?;
    let host = world.host_with(|command| {
        command.env("MANIFEST", &file);
    });
    let _host = host.await?;
    let swipes = world.chain.swipes_at_once(&[(0, cents(1)), (1, cents(2)), (2, cents(3))]).await?;
    read_to(&world, swipes[0].block_number).await?;
    let letters = "SELECT log_index, code, detail FROM dead_letters ORDER BY log_index";
    let letters = sqlx::query(letters).fetch_all(&world.databases.write().await?).await?;
    let indexes: Vec<i64> = letters.iter().map(|row| row.get(0)).collect();
    let expected: Vec<i64> =
        swipes.iter().map(|swipe| i64::try_from(swipe.log_index)).collect::<Result<_, _>>()?;
    assert_eq!(indexes, expected);
    for letter in &letters {
        let (code, detail): (&str, &str) = (letter.get(1), letter.get(2));
        assert!(
            code == "component_failed" && detail.contains("nothing of the transaction was used"),
            "{detail}"
        );
    }
    Ok(())
}

#[tokio::test]
async fn callers_that_do_not_wait_cannot_starve_the_listener() -> Result<()> {
    let (environment, store) = store::store().await?;
    let engine = Arc::new(HandlerEngine::new(Limits::of)?);
    let wasm = std::fs::read(environment.component("decider-authorization"))?;
    let decider = Decider::load(&engine, "decider-authorization", &wasm)?;
    let deciders = Deciders::always([Arc::new(decider)]);
    let writer = WriterSettings { batch_size: 1, ..store::writing("one") };
    let settings = IntakeSettings { queue_length: 1, writer };
    let mut tasks = Tasks::default();
    let intake = CommandIntake::start(&store, deciders, &Clock::system(), &settings, &mut tasks);
    let (stop, refused) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let mut api = JoinSet::new();
    for caller in 0..4 {
        let (intake, stop, refused) = (intake.clone(), Arc::clone(&stop), Arc::clone(&refused));
        api.spawn(async move {
            for number in 0.. {
                if stop.load(Ordering::Relaxed) {
                    break;
                }
                let name = format!("api-{caller}-{number}");
                if matches!(
                    intake.submit(store::swipe(&name, &name, "1")).await,
                    Err(CommandError::Overloaded)
                ) {
                    refused.fetch_add(1, Ordering::Relaxed);
                }
                tokio::task::yield_now().await;
            }
        });
    }
    let mut listener = JoinSet::new();
    for number in 0..20 {
        let (intake, name) = (intake.clone(), format!("chain-{number}"));
        listener.spawn(async move { intake.submit_in_turn(store::swipe(&name, &name, "1")).await });
    }
    while let Some(answer) = listener.join_next().await {
        assert!(matches!(answer?, Ok(Answer::Accepted { .. })));
    }
    stop.store(true, Ordering::Relaxed);
    while let Some(ended) = api.join_next().await {
        ended?;
    }
    assert!(refused.load(Ordering::Relaxed) > 0);
    Ok(())
}

/// Makes a command of the program, configured like the host.
fn run(world: &World, subcommand: &str) -> Result<Command> {
    let host = world.host_command()?;
    let mut command = Command::new(host.get_program());
    command.arg(subcommand);
    for (name, value) in host.get_envs() {
        command.env(name, value.unwrap_or_default());
    }
    Ok(command)
}
