//! Payments of the card network while the host dies at every place of the write path: each life comes to the same end,
//! money is conserved, and the network never hears of an approval that the log does not have.

use anyhow::{Context, Result};
use clearfold_tests::cents;
use serde_json::{Value, json};
use sqlx::query_scalar;

use crate::scene::Scene;

/// Fault points of the write path.
const POINTS: [&str; 7] =
    ["queued", "prepared", "decided", "before_append", "committed", "answered", "states_kept"];
/// Passages of each before the host dies: some within a saga's run, some between two messages.
const PASSAGES: [u32; 4] = [0, 3, 9, 17];

/// A message of the network, with the answer that it gets in the end.
struct Message {
    route: String,
    body: Value,
    action: &'static str,
    reason: Option<&'static str>,
}

/// A payment's life: what the network sends, and what comes of it.
struct Life {
    messages: Vec<Message>,
    /// Types of the payment's events.
    events: &'static [&'static str],
    /// Cents that it costs the account in the end.
    cost: u64,
}

fn message(route: &str, body: Value, action: &'static str, reason: Option<&'static str>) -> Message {
    Message { route: route.to_owned(), body, action, reason }
}

/// Lives that together fail at each step, and end in each way.
fn lives(account: &str, run: &str) -> Vec<(String, Life)> {
    let base = |id: &str, kind: &str| {
        json!({"message_id": format!("{id}-{kind}"), "transaction_id": id, "network": "visa",
               "account": account, "transmitted_at": "2026-11-22T10:00:00.000Z"})
    };
    let euro = |cents: u64| json!({"minor": cents.to_string(), "currency": "EUR", "exponent": 2});
    let ask = |id: &str, card: &str, cents: u64| {
        let mut ask = base(id, "ask");
        (ask["card"], ask["amount"]) = (json!(card), euro(cents));
        ask["merchant"] = json!({"id": "m-1", "name": "Café", "category": "5812", "country": "AT"});
        ask
    };
    let reversal = |id: &str, part: Option<u64>| {
        let mut reversal = base(id, if part.is_some() { "part" } else { "rest" });
        reversal["cause"] = json!("merchant");
        if let Some(cents) = part {
            reversal["amount"] = euro(cents);
        }
        reversal
    };
    let clearing = |id: &str, cents: u64| {
        let mut clearing = base(id, "clear");
        clearing["amount"] = euro(cents);
        clearing
    };
    let increment = |id: &str, kind: &str, cents: u64, action, reason| {
        let mut increment = base(id, kind);
        increment["amount"] = euro(cents);
        message(&format!("authorizations/{id}/increments"), increment, action, reason)
    };
    let recorded = |route, body| message(route, body, "recorded", None);
    let approved = |id: &str| message("authorizations", ask(id, "card-1", 1_250), "approved", None);
    let declined = |body, reason| message("authorizations", body, "declined", Some(reason));
    let id = |name: &str| format!("{run}-{name}");
    let (cleared, reversed, card, funds, late, advised, more) =
        (id("cleared"), id("reversed"), id("card"), id("funds"), id("late"), id("advised"), id("more"));
    let part = id("part");
    let mut all_there_is = ask(&part, "card-1", 5_000_000_000);
    all_there_is["partial_allowed"] = json!(true);
    vec![
        (
            cleared.clone(),
            Life {
                messages: vec![
                    approved(&cleared),
                    recorded("reversals", reversal(&cleared, Some(250))),
                    recorded("clearings", clearing(&cleared, 1_000)),
                ],
                events: &[
                    "AuthorizationRequested",
                    "AuthorizationApproved",
                    "AuthorizationReversed",
                    "ClearingPosted",
                ],
                cost: 1_000,
            },
        ),
        (
            reversed.clone(),
            Life {
                messages: vec![approved(&reversed), recorded("reversals", reversal(&reversed, None))],
                events: &["AuthorizationRequested", "AuthorizationApproved", "AuthorizationReversed"],
                cost: 0,
            },
        ),
        (
            card.clone(),
            Life {
                messages: vec![declined(ask(&card, "card-lost", 1_250), "card_frozen")],
                events: &["AuthorizationRequested", "AuthorizationDeclined"],
                cost: 0,
            },
        ),
        (
            funds.clone(),
            Life {
                messages: vec![declined(ask(&funds, "card-1", 5_000_000_000), "insufficient_funds")],
                events: &["AuthorizationRequested", "AuthorizationDeclined"],
                cost: 0,
            },
        ),
        (
            late.clone(),
            Life {
                messages: vec![
                    recorded("reversals", reversal(&late, None)),
                    declined(ask(&late, "card-1", 1_250), "reversed"),
                ],
                events: &["ReversalRefused", "AuthorizationRequested", "AuthorizationDeclined"],
                cost: 0,
            },
        ),
        (
            advised.clone(),
            Life {
                messages: vec![
                    recorded("advices", ask(&advised, "card-1", 300)),
                    recorded("clearings", clearing(&advised, 300)),
                ],
                events: &["AdviceRecorded", "ClearingPosted"],
                cost: 300,
            },
        ),
        (
            part.clone(),
            Life {
                messages: vec![
                    message("authorizations", all_there_is, "partially_approved", None),
                    recorded("reversals", reversal(&part, None)),
                ],
                events: &[
                    "AuthorizationRequested",
                    "PartialApprovalProposed",
                    "AuthorizationPartiallyApproved",
                    "AuthorizationReversed",
                ],
                cost: 0,
            },
        ),
        (
            more.clone(),
            Life {
                messages: vec![
                    approved(&more),
                    increment(&more, "more", 250, "approved", None),
                    increment(&more, "too-much", 5_000_000_000, "declined", Some("insufficient_funds")),
                    recorded("clearings", clearing(&more, 1_500)),
                    increment(&more, "after", 250, "declined", Some("not_open")),
                ],
                events: &[
                    "AuthorizationRequested",
                    "AuthorizationApproved",
                    "IncrementRequested",
                    "HoldIncreased",
                    "IncrementRequested",
                    "IncrementDeclined",
                    "ClearingPosted",
                    "IncrementRequested",
                    "IncrementDeclined",
                ],
                cost: 1_500,
            },
        ),
    ]
}

#[tokio::test]
async fn a_payment_comes_to_the_same_end_wherever_the_host_dies() -> Result<()> {
    let mut scene = Scene::new().await?;
    let funds = scene.world.chain.balance(0).await?;
    scene.available(&funds.to_string()).await?;
    let (mut cost, mut deaths, mut heard) = (0, 0, Vec::new());
    for (point, passages) in POINTS.iter().flat_map(|point| PASSAGES.map(|passages| (point, passages))) {
        if let Some(host) = scene.host.take() {
            host.stop()?;
        }
        scene.start(&format!("{point}={passages}*off->return")).await?;
        for (id, life) in lives(&scene.account, &format!("{point}-{passages}")) {
            for message in &life.messages {
                let answer = scene.told(&message.route, &message.body).await?.body;
                let said = (answer["action"].as_str(), answer["reason"].as_str());
                assert_eq!(said, (Some(message.action), message.reason), "{id} {}: {answer}", message.route);
                heard.push((id.clone(), answer));
            }
            cost += life.cost;
            let events = "SELECT type FROM events WHERE stream = $1 ORDER BY stream_version";
            let stream = format!("authorization-visa-{id}");
            let events: Vec<String> =
                query_scalar(events).bind(stream).fetch_all(&scene.write().await?).await?;
            assert_eq!(events, life.events, "{id}");
        }
        deaths += usize::from(scene.host()?.log()?.contains(&format!("clearfold ends here: {point}")));
    }
    assert!(deaths >= POINTS.len(), "the host did not die");
    let left = funds - cents(cost);
    scene.available(&left.to_string()).await?;
    the_log_has_what_was_heard(&scene, &heard).await?;
    scene.every_saga_has_ended().await?;
    scene.prove().await
}

/// An approval that the network heard is in the log, with its amount.
async fn the_log_has_what_was_heard(scene: &Scene, heard: &[(String, Value)]) -> Result<()> {
    let approved = "SELECT convert_from(payload, 'UTF8')::json -> 'amount' ->> 'minor' FROM events
                    WHERE stream = $1 AND type = $2";
    let write = scene.write().await?;
    for (id, answer) in heard.iter().filter(|(_, answer)| answer["action"] == "approved") {
        let stream = format!("authorization-visa-{id}");
        let is_request = answer["message_id"].as_str().is_some_and(|id| id.ends_with("-ask"));
        let kind = if is_request { "AuthorizationApproved" } else { "HoldIncreased" };
        let minor: Vec<String> = query_scalar(approved).bind(stream).bind(kind).fetch_all(&write).await?;
        let heard = answer["approved"]["minor"].as_str().context("an amount")?;
        assert_eq!(minor, [cents(heard.parse()?).to_string()], "{id}");
    }
    Ok(())
}
