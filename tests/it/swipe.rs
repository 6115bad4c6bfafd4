//! A swipe on chain becomes a payment that can be read.

use anyhow::Result;
use clearfold_tests::{Host, World, cents, eventually};
use serde_json::{Value, json};

/// Values that a `Spend` on the chain and its payment must have in common.
fn facts(payment: &Value) -> Value {
    json!([
        payment["account"],
        payment["amount"]["minor"],
        payment["source"]["transaction_hash"],
        payment["source"]["block_hash"],
        payment["source"]["log_index"]
    ])
}

/// Values of the chain, sorted.
pub async fn spends(world: &World) -> Result<Vec<Value>> {
    let mut spends: Vec<Value> = world
        .chain
        .spends()
        .await?
        .iter()
        .map(|spend| {
            json!([
                format!("{:#x}", spend.safe),
                spend.amount_minor.to_string(),
                spend.transaction_hash,
                spend.block_hash,
                spend.log_index
            ])
        })
        .collect();
    spends.sort_by_key(ToString::to_string);
    Ok(spends)
}

/// Values of the payments, sorted.
pub fn sorted_facts(payments: &[Value]) -> Vec<Value> {
    let mut facts: Vec<Value> = payments.iter().map(facts).collect();
    facts.sort_by_key(ToString::to_string);
    facts
}

async fn payment_when(host: &Host, id: &str, status: &str) -> Result<Value> {
    eventually(&format!("payment {id} is {status}"), async || {
        let payment = host.get(&format!("/v1/payments/{id}")).await?.body;
        Ok((payment["status"] == status).then_some(payment))
    })
    .await
}

#[tokio::test]
async fn a_swipe_on_chain_becomes_a_payment_with_a_timeline() -> Result<()> {
    let world = World::new().await?;
    let host = world.host().await?;
    let swipe = world.chain.swipe(1, cents(850)).await?;
    let payments = host.payments_when(1).await?;
    assert_eq!(sorted_facts(&payments), spends(&world).await?);

    let id = payments[0]["id"].as_str().unwrap();
    let payment = host.get(&format!("/v1/payments/{id}")).await?.body;
    let amount =
        json!({"minor": "8500000000000000000", "decimals": 18, "asset": "EURe", "display": "8.50 EURe"});
    assert_eq!((&payment["status"], &payment["amount"]), (&json!("recorded"), &amount));
    assert_eq!(payment["account"], format!("{:#x}", swipe.safe));
    assert_eq!(payment["source"]["chain_id"], 100);
    assert_eq!(payment["timeline"].as_array().unwrap().len(), 1);
    assert_eq!(payment["timeline"][0]["type"], "SwipeRecorded");

    // One correlation id leads from the log on chain to the row.
    let correlation_id = payment["timeline"][0]["correlation_id"].as_str().unwrap();
    let log = host.log()?;
    let lines: Vec<Value> = log.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let mut messages: Vec<&str> = lines
        .iter()
        .filter(|line| line["correlation_id"] == correlation_id)
        .filter_map(|line| line["message"].as_str())
        .collect();
    // Every projection reads the event; how many have done so by now is chance.
    messages.dedup();
    assert_eq!(messages, ["seen on chain", "command accepted", "command of a saga decided", "projected"]);
    assert!(host.stop()?.success());
    Ok(())
}

#[tokio::test]
async fn a_clearing_closes_the_payment_and_its_repeat_changes_nothing() -> Result<()> {
    let world = World::new().await?;
    let host = world.host().await?;
    world.chain.swipe(0, cents(1_000)).await?;
    let id = host.payments_when(1).await?[0]["id"].as_str().unwrap().to_owned();
    let clearing = |clearing_id: &str, cents: u64, last: bool| {
        json!({
            "aggregate": "authorization", "id": id, "type": "PresentClearing", "schema_version": 1,
            "payload": {
                "clearing_id": clearing_id, "final": last, "occurred_at": "2026-11-22T10:00:00.000Z",
                "amount": {"minor": format!("{cents}0000000000000000"), "decimals": 18, "asset": "EURe"},
            },
        })
    };
    let first = host.command_to("key-1", &clearing("c1", 400, false)).await?;
    assert_eq!((first.status, &first.body["events"]), (200, &json!(["ClearingPosted"])));
    payment_when(&host, &id, "partially_cleared").await?;

    // With the same key, the stored answer. With another key for the same clearing, already satisfied: nothing is
    // appended.
    assert_eq!(host.command_to("key-1", &clearing("c1", 400, false)).await?, first);
    let written_anew = serde_json::to_string_pretty(&clearing("c1", 400, false))?;
    assert_eq!(host.command_written("key-1", written_anew).await?, first);
    let same = host.command_to("key-2", &clearing("c1", 400, false)).await?;
    assert_eq!((same.status, &same.body["events"]), (200, &json!([])));
    let reused = host.command_to("key-1", &clearing("c1", 401, false)).await?;
    assert_eq!((reused.status, &reused.body["code"]), (409, &json!("idempotency_key_reused")));

    let linked = host.get("/v1/payments?status=linked").await?;
    assert_eq!((linked.status, &linked.body["data"]), (200, &json!([])));

    host.command_to("key-3", &clearing("c2", 600, true)).await?;
    let payment = payment_when(&host, &id, "cleared").await?;
    assert_eq!(payment["cleared"]["display"], "10.00 EURe");
    assert_eq!(payment["timeline"].as_array().unwrap().len(), 3);
    let late = host.command_to("key-4", &clearing("c3", 1, true)).await?;
    assert_eq!((late.status, &late.body["events"]), (200, &json!(["ClearingPosted", "OverCaptured"])));
    let other = host.command_to("key-5", &clearing("c2", 601, true)).await?;
    assert_eq!((other.status, &other.body["code"]), (422, &json!("duplicate_mismatch")));
    assert_eq!(other.content_type, "application/problem+json");
    Ok(())
}

#[tokio::test]
async fn the_edge_shows_the_customer_a_payment_without_its_source() -> Result<()> {
    let world = World::new().await?;
    let host = world.host().await?;
    world.chain.swipe(0, cents(850)).await?;
    let id = host.payments_when(1).await?[0]["id"].as_str().unwrap().to_owned();
    let view = host.get(&format!("/edge/payments/{id}")).await?;
    assert_eq!((view.status, &view.body["amount"]["display"]), (200, &json!("8.50 EURe")));
    assert_eq!((&view.body["source"], &view.body["timeline"]), (&Value::Null, &Value::Null));
    let unknown = host.get("/edge/payments/00000000000000000000000000000000").await?;
    assert_eq!((unknown.status, unknown.content_type.as_str()), (404, "application/problem+json"));
    Ok(())
}

#[tokio::test]
async fn refunds_count_once_and_are_no_payments() -> Result<()> {
    let world = World::new().await?;
    let host = world.host().await?;
    world.chain.swipe(2, cents(5_000)).await?;
    world.chain.refund_batch(&[(2, cents(700)), (2, cents(300)), (1, cents(50))]).await?;
    let account = world.chain.deployment().account(2)?.safe;
    let account = eventually("the refunds", async || {
        let answer = host.get(&format!("/v1/accounts/{account}")).await?;
        Ok((answer.body["assets"][0]["refund_count"] == 2).then_some(answer.body))
    })
    .await?;
    let asset = &account["assets"][0];
    assert_eq!((&asset["asset"], &asset["payment_count"]), (&json!("EURe"), &json!(1)));
    assert_eq!(
        (&asset["spent"]["display"], &asset["refunded"]["display"]),
        (&json!("50.00 EURe"), &json!("10.00 EURe"))
    );
    assert_eq!(host.payments().await?.len(), 1);
    Ok(())
}

#[tokio::test]
async fn payments_are_listed_by_account_and_status_page_by_page() -> Result<()> {
    let world = World::new().await?;
    let host = world.host().await?;
    let wanted: Vec<_> =
        (1..=7_u64).map(|number| (usize::try_from(number % 2).unwrap(), cents(number))).collect();
    world.chain.swipes(&wanted).await?;
    world.chain.swipes_at_once(&[(0, cents(100)), (1, cents(200))]).await?;
    let all = host.payments_when(9).await?;
    assert_eq!(sorted_facts(&all), spends(&world).await?);

    let mut paged = Vec::new();
    let mut path = "/v1/payments?limit=2".to_owned();
    loop {
        let page = host.get(&path).await?.body;
        let data = page["data"].as_array().unwrap().clone();
        assert!(data.len() <= 2);
        paged.extend(data);
        let Some(cursor) = page["next_cursor"].as_str() else { break };
        path = format!("/v1/payments?limit=2&cursor={cursor}");
    }
    assert_eq!(paged, all);
    let newest_first: Vec<&str> = all.iter().filter_map(|payment| payment["occurred_at"].as_str()).collect();
    assert!(newest_first.is_sorted_by(|a, b| a >= b));

    let safe = world.chain.deployment().account(0)?.safe;
    let of_account = host.get(&format!("/v1/payments?account={safe}")).await?.body;
    assert_eq!(of_account["data"].as_array().unwrap().len(), 4);
    assert_eq!(host.get("/v1/payments?status=cleared").await?.body["data"], json!([]));
    Ok(())
}
