//! Many authorizations through the network's route while the host is killed again and again: the network's own record of
//! answers equals the log, and the books balance.
//!
//! `SOAK_AUTHORIZATIONS` says how many, 1,000 without it. `SOAK_LIFE_FACTOR` makes each life of the host so many times
//! longer; a host that dies every second spends most of its lives starting.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use clearfold_tests::cents;
use serde_json::{Value, json};
use sqlx::query_as;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::edge::Edge;
use crate::scene::Scene;

/// Authorizations that are under way at once.
const CLIENTS: u64 = 16;
/// Time between two deaths of the host, in ms.
const LIVES_MS: [u64; 4] = [1_500, 700, 2_500, 1_100];
/// Number of questions with the same card.
const PAYMENTS_OF_A_CARD: u64 = 100;
/// Number of authorizations above which `check` does not audit the account any more: it has too many events.
const MOST_AUDITED: u64 = 1_500;
/// Least number of deaths.
const LEAST_DEATHS: usize = 3;

/// Decision on an authorization, as the network hears it and the log has it.
type Decision = (String, Option<String>);

/// The edge of the running host; none while there is none.
type Running = watch::Receiver<Option<Arc<Edge>>>;

/// Card that pays. The payments stay open, and a card has few of those at a time.
fn card_of(number: u64) -> String {
    format!("soak-card-{}", number / PAYMENTS_OF_A_CARD)
}

/// Issues all cards that pay.
async fn issue_cards(scene: &Scene, count: u64) -> Result<()> {
    let rules = json!({"categories": "all", "countries": "all", "limits": [], "velocity": []});
    let issue = json!({"account": scene.account, "rules": rules});
    for number in (0..count).step_by(usize::try_from(PAYMENTS_OF_A_CARD)?) {
        let card = card_of(number);
        let body = json!({"aggregate": "card", "id": card, "account": scene.account, "type": "IssueCard",
                          "schema_version": 1, "payload": issue});
        let answer = scene.host()?.command_to(&card, &body).await?;
        ensure!(answer.status == 200, "{answer:?}");
    }
    Ok(())
}

fn question(account: &str, number: u64) -> Value {
    // One question in ten has a frozen card, and one asks for more than the balance.
    let (card, amount) = match number % 10 {
        0 => ("card-lost".to_owned(), 1),
        1 => (card_of(number), 5_000_000_000_u64),
        _ => (card_of(number), 1 + number % 3),
    };
    json!({
        "message_id": format!("soak-{number}-ask"), "transaction_id": format!("soak-{number}"), "network": "visa",
        "account": account, "transmitted_at": "2026-11-22T10:00:00.000Z", "card": card,
        "amount": {"minor": amount.to_string(), "currency": "EUR", "exponent": 2},
        "merchant": {"id": "m-1", "name": "Café", "category": "5812", "country": "AT"},
    })
}

/// Asks until there is an answer, as the network does. The host may die at any time.
async fn asked(mut running: Running, account: String, number: u64) -> Result<(u64, Decision)> {
    let question = question(&account, number);
    loop {
        let edge = running.wait_for(Option::is_some).await?.clone().context("an edge")?;
        match edge.network("authorizations", &question).await {
            Ok(answer) if answer.status == 200 && answer.body["reason"] != "no_answer" => {
                let action = answer.body["action"].as_str().context("an action")?.to_owned();
                return Ok((number, (action, answer.body["reason"].as_str().map(str::to_owned))));
            }
            Ok(answer) => ensure!(answer.status == 200 || answer.status >= 500, "{answer:?}"),
            Err(_) => {}
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Asks all questions, a bounded number at once, and counts those that were answered.
async fn ask_all(
    running: Running,
    account: String,
    count: u64,
    answered: Arc<AtomicU64>,
) -> Result<BTreeMap<u64, Decision>> {
    let (mut decisions, mut under_way) = (BTreeMap::new(), JoinSet::new());
    for number in 0..count + CLIENTS {
        if number < count {
            under_way.spawn(asked(running.clone(), account.clone(), number));
        }
        if under_way.len() as u64 >= CLIENTS || number >= count {
            let Some(decision) = under_way.join_next().await else { break };
            decisions.extend([decision??]);
            answered.fetch_add(1, Ordering::Relaxed);
        }
    }
    Ok(decisions)
}

#[tokio::test]
async fn what_the_network_heard_is_what_the_log_says_however_often_the_host_dies() -> Result<()> {
    let count = number("SOAK_AUTHORIZATIONS", 1_000)?;
    let factor = number("SOAK_LIFE_FACTOR", 1)?;
    let mut scene = Scene::new().await?;
    let funds = scene.world.chain.balance(0).await?;
    scene.available(&funds.to_string()).await?;
    issue_cards(&scene, count).await?;
    let (tell, running) = watch::channel(Some(Arc::new(Edge::of(scene.host()?))));
    let answered = Arc::new(AtomicU64::new(0));
    let mut asking = JoinSet::new();
    asking.spawn(ask_all(running, scene.account.clone(), count, Arc::clone(&answered)));
    let (mut deaths, mut decisions) = (0, None);
    for life_ms in LIVES_MS.into_iter().cycle() {
        tokio::select! {
            ended = asking.join_next(), if decisions.is_none() => {
                decisions = Some(ended.context("the questions")???);
            }
            () = tokio::time::sleep(Duration::from_millis(life_ms * factor)) => {}
        }
        if decisions.is_some() {
            break;
        }
        tell.send_replace(None);
        scene.host.take().context("a host")?.kill()?;
        deaths += 1;
        scene.start("").await?;
        tell.send_replace(Some(Arc::new(Edge::of(scene.host()?))));
        eprintln!("{} of {count} answered, {deaths} deaths", answered.load(Ordering::Relaxed));
    }
    let decisions = decisions.context("decisions")?;
    assert!(deaths >= LEAST_DEATHS, "the host died {deaths} times; give SOAK_AUTHORIZATIONS a larger number");
    assert_eq!(decisions.len() as u64, count);
    assert_eq!(in_log(&scene).await?, decisions, "the log says what the network heard");

    let approved = decisions.iter().filter(|(_, (action, _))| action == "approved");
    let held: u64 = approved.map(|(number, _)| 1 + number % 3).sum();
    scene.available(&(funds - cents(held)).to_string()).await?;
    if count > MOST_AUDITED {
        return scene.replays();
    }
    scene.prove().await
}

/// Number in a variable of the environment.
fn number(variable: &str, otherwise: u64) -> Result<u64> {
    match std::env::var(variable) {
        Ok(number) => number.parse().with_context(|| format!("{variable} is a number")),
        Err(_) => Ok(otherwise),
    }
}

/// Decisions by the log: the one of each request.
async fn in_log(scene: &Scene) -> Result<BTreeMap<u64, Decision>> {
    let rows: Vec<(String, String, Option<String>)> = query_as(
        "SELECT stream, type, convert_from(payload, 'UTF8')::json ->> 'reason' FROM events
         WHERE stream LIKE 'authorization-visa-soak-%' AND type <> 'AuthorizationRequested'",
    )
    .fetch_all(&scene.write().await?)
    .await?;
    let mut decisions = BTreeMap::new();
    for (stream, kind, reason) in rows {
        let number =
            stream.strip_prefix("authorization-visa-soak-").context("a payment of the soak")?.parse()?;
        let action = match kind.as_str() {
            "AuthorizationApproved" => "approved",
            "AuthorizationDeclined" => "declined",
            _ => anyhow::bail!("{stream} has the event {kind}"),
        };
        ensure!(decisions.insert(number, (action.to_owned(), reason)).is_none(), "{stream} is decided twice");
    }
    Ok(decisions)
}
