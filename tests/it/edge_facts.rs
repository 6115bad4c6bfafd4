//! Facts that the network tells the edge: each is recorded once, and kept as it came.

use anyhow::{Context, Result};
use clearfold_tests::{Host, World, eventually};
use serde_json::{Value, json};

use crate::edge::{Edge, about, authorization, cents_text, host_of, payment_when};

/// Tells the edge a fact twice, as networks do.
async fn twice(edge: &Edge, route: &str, message: &Value) -> Result<Value> {
    let mut said = Vec::new();
    for _ in 0..2 {
        let recorded = edge.told(route, message).await?;
        assert_eq!((recorded.status, &recorded.body["action"]), (200, &json!("recorded")), "{recorded:?}");
        said.push(recorded.body);
    }
    assert_eq!(said[0], said[1]);
    Ok(said.remove(0))
}

fn euros(cents: &str) -> Value {
    json!({"minor": cents, "currency": "EUR", "exponent": 2})
}

async fn timeline(host: &Host) -> Result<Vec<Value>> {
    let shown = host.get("/v1/payments/visa-t1").await?.body;
    Ok(shown["timeline"].as_array().context("events")?.clone())
}

#[tokio::test]
async fn what_the_network_tells_is_recorded_once() -> Result<()> {
    let world = World::new().await?;
    let (host, edge) = host_of(&world).await?;
    let mut advice = authorization("t1");
    advice["message_id"] = json!("t1-0120");
    twice(&edge, "advices", &advice).await?;
    let payment = payment_when(&host, "t1", "advised").await?;
    assert_eq!(payment["held"]["minor"], cents_text(1_250));

    let mut reversal = about("t1", "t1-0400");
    (reversal["cause"], reversal["amount"]) = (json!("merchant"), euros("250"));
    twice(&edge, "reversals", &reversal).await?;
    let mut clearing = about("t1", "t1-0220");
    (clearing["amount"], clearing["reference"]) = (euros("1000"), json!("arn-1"));
    twice(&edge, "clearings", &clearing).await?;
    let mut refund = about("t1", "t1-0220");
    (refund["amount"], refund["loyalty"]) = (euros("400"), json!({"points": 12}));
    let said = twice(&edge, "refunds", &refund).await?;
    assert_eq!(said["unknown"], json!(["loyalty.points"]));
    let forbidden = edge.network("refunds", &json!({"pan": "1", "message_id": "m"})).await?;
    let detail = forbidden.body["detail"].as_str().unwrap_or_default();
    assert!(forbidden.status == 400 && detail.contains("PCI DSS"), "{forbidden:?}");

    eventually("the refund is shown", async || {
        let payment = payment_when(&host, "t1", "cleared").await?;
        Ok((payment["refunded"]["minor"] == cents_text(400)).then_some(()))
    })
    .await?;
    let payment = payment_when(&host, "t1", "cleared").await?;
    let figures =
        json!([payment["reversed"]["minor"], payment["cleared"]["minor"], payment["held"]["minor"]]);
    assert_eq!(figures, json!([cents_text(250), cents_text(1_000), "0"]));
    let events = timeline(&host).await?;
    let kinds: Vec<&str> = events.iter().filter_map(|event| event["type"].as_str()).collect();
    assert_eq!(kinds, ["AdviceRecorded", "AuthorizationReversed", "ClearingPosted", "RefundLinked"]);
    assert_eq!(events[3]["data"]["details"]["additional"], json!({"loyalty.points": "12"}));
    Ok(())
}

#[tokio::test]
async fn records_that_the_network_takes_back_count_no_more() -> Result<()> {
    let world = World::new().await?;
    let (host, edge) = host_of(&world).await?;
    let mut clearing = about("t1", "c-1");
    clearing["amount"] = euros("1000");
    twice(&edge, "clearings", &clearing).await?;
    let mut refund = about("t1", "r-1");
    refund["amount"] = euros("400");
    twice(&edge, "refunds", &refund).await?;
    for (route, record, id) in [("refunds/reversals", "r-1", "x-1"), ("clearings/reversals", "c-1", "x-2")] {
        let mut reversal = about("t1", id);
        (reversal["record"], reversal["stan"]) = (json!(record), json!("004711"));
        twice(&edge, route, &reversal).await?;
    }
    let nameless = edge.network("clearings/reversals", &about("t1", "x-3")).await?;
    let detail = nameless.body["detail"].as_str().unwrap_or_default();
    assert!(nameless.status == 400 && detail.contains("record is missing"), "{nameless:?}");

    let figures = ["cleared", "refunded", "taken_back", "held"];
    let expected = [0, 0, 1_000, 0].map(cents_text);
    eventually("nothing counts any more", async || {
        let payment = host.get("/v1/payments/visa-t1").await?.body;
        let shown = figures.map(|figure| payment[figure]["minor"].as_str().unwrap_or_default().to_owned());
        Ok((shown == expected).then_some(()))
    })
    .await?;
    let events = timeline(&host).await?;
    let kinds: Vec<&str> = events.iter().filter_map(|event| event["type"].as_str()).collect();
    let expected = ["ForcePosted", "CandidatesNamed", "RefundLinked", "RefundReversed", "ClearingReversed"];
    assert_eq!(kinds, expected);
    assert_eq!(events[4]["data"]["details"]["stan"], "004711");
    Ok(())
}

/// Interchange that the network states with a clearing is exact, counts for its day, and goes back with the clearing.
#[tokio::test]
async fn fees_of_a_record_are_summed_and_taken_back_with_it() -> Result<()> {
    let world = World::new().await?;
    let (host, edge) = host_of(&world).await?;
    let fee = json!({
        "kind": "interchange", "code": "75", "minor": "123456", "currency": "EUR", "exponent": 6, "credit": true,
    });
    let mut clearing = about("t1", "c-1");
    (clearing["amount"], clearing["network_fees"]) = (euros("1000"), json!([fee]));
    twice(&edge, "clearings", &clearing).await?;
    let sides = |fee: &Value| ["credit", "debit", "net"].map(|side| fee[side]["minor"].clone());
    let expected = ["12345600", "0", "12345600"].map(Value::from);
    eventually("the payment shows its fees", async || {
        let payment = host.get("/v1/payments/visa-t1").await?.body;
        Ok((sides(&payment["network_fees"][0]) == expected).then_some(()))
    })
    .await?;
    let mut reversal = about("t1", "x-1");
    reversal["record"] = json!("c-1");
    twice(&edge, "clearings/reversals", &reversal).await?;
    let expected = ["12345600", "12345600", "0"].map(Value::from);
    eventually("nothing is owed any more", async || {
        let path = "/v1/network-fees?from=2026-11-22&to=2026-11-22&network=visa";
        let fees = host.get(path).await?.body;
        Ok((sides(&fees["data"][0]) == expected).then_some(()))
    })
    .await?;
    let mut misspelt = about("t2", "c-2");
    (misspelt["amount"], misspelt["network_fee"]) = (euros("1000"), json!([]));
    let refused = edge.network("clearings", &misspelt).await?;
    let detail = refused.body["detail"].as_str().unwrap_or_default();
    assert!(refused.status == 400 && detail.contains("network_fees"), "{refused:?}");
    Ok(())
}

/// A reversal after a time-out does not know the network's id; the account knows which hold its numbers are of.
#[tokio::test]
async fn a_reversal_without_the_id_releases_the_hold_of_its_numbers() -> Result<()> {
    let world = World::new().await?;
    let (host, edge) = host_of(&world).await?;
    let mut advice = authorization("t1");
    advice["message_id"] = json!("t1-0120");
    let numbers = [("acquirer", "40000001"), ("stan", "004711"), ("retrieval_reference", "632610004711")];
    numbers.into_iter().for_each(|(field, number)| advice[field] = json!(number));
    twice(&edge, "advices", &advice).await?;
    eventually("the advice is held", async || {
        let balances = host
            .get(&format!(
                "/v1/accounts/{}/balances",
                about("t1", "m")["account"].as_str().context("an account")?
            ))
            .await?
            .body;
        Ok((balances["balances"][0]["pending"]["minor"] == cents_text(1_250)).then_some(()))
    })
    .await?;
    let mut reversal = about("0", "t1-0400");
    numbers.into_iter().for_each(|(field, number)| reversal[field] = json!(number));
    reversal["cause"] = json!("timeout");
    reversal["original"] = json!({"message_type": "0100", "transmitted_at": advice["transmitted_at"]});
    twice(&edge, "reversals", &reversal).await?;
    let payment = payment_when(&host, "t1", "reversed").await?;
    assert_eq!(payment["held"]["minor"], "0");
    Ok(())
}
