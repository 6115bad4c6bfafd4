//! Orders of operators to instances of sagas: through the engine on a log, and through command line and admin API of a
//! host.

use std::collections::BTreeSet;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::{Context, Result};
use clearfold_engine::command::{Answer, Deciders};
use clearfold_engine::saga::{
    InstanceState, InstanceView, OrderedAction, Resolution, SagaError, SagaOperations, SagaOrder,
};
use clearfold_tests::{Application, Described, Handler, Host, Output, World, eventually, http_client};
use serde_json::{Value, json};
use sqlx::{query, query_scalar};
use tokio::sync::watch;

use crate::sagas::{Place, STREAMS, in_force, request_of};
use crate::store::ACCOUNT;

const TOKEN: &str = "the-token-of-the-tests";
const INSTANCE: &str = "saga-authorization-a1";

fn operations(place: &Place) -> SagaOperations {
    SagaOperations { store: place.store.clone(), intake: place.intake.clone() }
}

async fn give(place: &Place, key: &str, what: OrderedAction) -> Result<Answer, SagaError> {
    let order = SagaOrder { what, by: "anna".into(), why: Some("a test".into()) };
    operations(place).order(INSTANCE, key.to_owned(), order).await
}

async fn show(place: &Place) -> Result<InstanceView> {
    Ok(operations(place).show(INSTANCE).await?)
}

/// Types of the events of an answer, or the code of the refusal.
fn said(answer: Answer) -> String {
    match answer {
        Answer::Accepted { events, .. } => events.join(" "),
        Answer::Rejected { code, .. } => code,
    }
}

fn advice_of(id: &str) -> Value {
    let mut advice = request_of(id, 40);
    advice.as_object_mut().unwrap().remove("partial_allowed");
    advice
}

/// Log on which the bookings of an advice are parked, and its search for a `Spend`, since nothing decides for accounts;
/// and the deciders, to be replaced.
async fn with_parked_bookings() -> Result<(Place, watch::Sender<Arc<Deciders>>)> {
    let place = Place::with_a_card().await?;
    let without_accounts =
        Arc::new(in_force(&place.environment, &["decider-authorization", "decider-card"])?);
    let live = watch::Sender::new(Arc::clone(&without_accounts));
    let place = place.with(live.subscribe())?;
    place.accepted("authorization", "a1", "RecordAdvice", advice_of("a1")).await?;
    let parked = "SELECT count(*) FROM events WHERE type = 'FlowParked'";
    for _ in 0..600 {
        if place.number(parked).await? > 1 {
            break;
        }
        place.now_ms.fetch_add(1_100_000, Ordering::Relaxed);
        // Wakes the writer, which would look at its clock a second later.
        live.send_replace(Arc::clone(&without_accounts));
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(place.number(parked).await?, 2);
    Ok((place, live))
}

#[tokio::test]
async fn parked_bookings_are_shown_and_retried() -> Result<()> {
    let (place, live) = with_parked_bookings().await?;
    let shown = show(&place).await?;
    assert_eq!((shown.state, shown.account.as_str()), (InstanceState::Parked, ACCOUNT));
    let flow = &shown.flows[0];
    assert!(flow.waits_for.as_ref().unwrap().contains("an operator"), "{flow:#?}");
    let attempts = &flow.steps[0].attempts;
    assert!(attempts.len() > 10, "every attempt is shown: {attempts:#?}");
    let command = attempts[0].command.as_ref().unwrap();
    assert_eq!((command.aggregate.as_str(), command.kind.as_str()), ("account", "OpenAccount"));
    assert_eq!(attempts[0].refusal.as_ref().unwrap().code, "unknown_aggregate");

    live.send_replace(Arc::new(in_force(&place.environment, &STREAMS)?));
    let before = place.head().await?;
    let refused = OrderedAction::Resolve { flow: flow.flow, outcome: Resolution::Refused, code: None };
    assert_eq!(said(give(&place, "1", refused).await?), "outcome_not_possible");
    assert_eq!(place.head().await?, before, "a refused order is no event");
    let retry = |flow| OrderedAction::Retry { flow };
    let answer = give(&place, "2", retry(Some(1))).await?;
    assert_eq!(said(answer.clone()), "RetryOrdered StepStarted");
    assert_eq!(give(&place, "2", retry(Some(1))).await?, answer, "the same key is the same order");
    let reused = give(&place, "2", retry(None)).await.unwrap_err();
    assert!(reused.to_string().contains("was used for another command"), "{reused}");
    let shown = show(&place).await?;
    assert_eq!(shown.flows[0].outcome.as_deref(), Some("done"), "{shown:#?}");
    assert_eq!((shown.orders[0].order.as_str(), shown.orders[0].by.as_str()), ("retry", "anna"));
    let held = "SELECT count(*) FROM events WHERE type = 'HoldPlaced'";
    assert_eq!(place.number(held).await?, 1);
    let actors = "SELECT count(*) FROM events WHERE type = 'RetryOrdered' AND actor = 'admin'";
    assert_eq!(place.number(actors).await?, 1);
    assert_eq!(said(give(&place, "3", retry(Some(1))).await?), "flow_ended");
    place.prove().await
}

#[tokio::test]
async fn parked_bookings_are_resolved_by_hand_and_then_not_cancelled_any_more() -> Result<()> {
    let (place, live) = with_parked_bookings().await?;
    let resolve = |outcome| OrderedAction::Resolve { flow: 1, outcome, code: None };
    assert_eq!(said(give(&place, "1", resolve(Resolution::Compensated)).await?), "outcome_not_possible");
    let answer = give(&place, "2", resolve(Resolution::Done)).await?;
    assert_eq!(said(answer), "ResolveOrdered StepDone StepStarted", "the account is said to be open");
    let shown = show(&place).await?;
    let by = shown.flows[0].steps[0].attempts.iter().find_map(|attempt| attempt.resolved_by.clone());
    assert_eq!(by.as_deref(), Some("anna"));
    let cancel = |flow| OrderedAction::Cancel { flow };
    assert_eq!(said(give(&place, "3", cancel(Some(1))).await?), "past_pivot");
    assert_eq!(said(give(&place, "4", cancel(None)).await?), "past_pivot", "all or none");
    live.send_replace(Arc::new(in_force(&place.environment, &STREAMS)?));
    place.prove().await
}

#[tokio::test]
async fn the_end_of_a_hold_is_not_cancelled() -> Result<()> {
    let place = Place::with_a_card().await?;
    place.request("a1", 40).await?;
    let expire = show(&place).await?.flows.iter().find(|flow| flow.name == "expire").map(|flow| flow.flow);
    for (key, flow) in [("1", expire), ("2", None)] {
        let answer = give(&place, key, OrderedAction::Cancel { flow }).await?;
        assert_eq!(said(answer), "past_pivot", "the hold would never end");
    }
    place.now_ms.fetch_add(40 * 86_400_000, Ordering::Relaxed);
    place.request("a2", 40).await?;
    let expired = "SELECT count(*) FROM events WHERE type = 'AuthorizationExpired'";
    assert_eq!(place.number(expired).await?, 1);
    place.prove().await
}

#[tokio::test]
async fn what_cannot_be_ordered_changes_nothing() -> Result<()> {
    let place = Place::with_a_card().await?;
    let missing = give(&place, "1", OrderedAction::Retry { flow: None }).await.unwrap_err();
    assert!(missing.to_string().contains("there is no instance `saga-authorization-a1`"), "{missing}");
    place.request("a1", 40).await?;
    let before = place.head().await?;
    let order = SagaOrder { what: OrderedAction::Retry { flow: None }, by: " ".into(), why: None };
    let nobody = operations(&place).order(INSTANCE, "2".into(), order).await.unwrap_err();
    assert!(nobody.to_string().contains("the name of the operator is empty"), "{nobody}");
    let order = SagaOrder { what: OrderedAction::Retry { flow: None }, by: "anna".into(), why: None };
    let no_saga = operations(&place).order("authorization-a1", "3".into(), order).await.unwrap_err();
    assert!(no_saga.to_string().contains("there is no instance"), "{no_saga}");
    assert_eq!(place.head().await?, before);
    Ok(())
}

/// Pauses the saga while more instances begin than a page resumes.
#[tokio::test]
async fn a_paused_saga_begins_nothing_until_it_is_resumed() -> Result<()> {
    const COUNT: u64 = 120;
    let place = Place::with_a_card().await?;
    let paused = BTreeSet::from(["saga-authorization".to_owned()]);
    let live = watch::Sender::new(Arc::new(in_force(&place.environment, &STREAMS)?.pausing(paused)));
    let place = place.with(live.subscribe())?;
    let before = place.head().await?;
    for number in 1..=COUNT {
        place.request(&format!("a{number}"), 1).await?;
    }
    let events: BTreeSet<String> = place
        .events_behind(before)
        .await?
        .iter()
        .filter_map(|event| event.split_once(' ').map(|(_, kind)| kind.to_owned()))
        .collect();
    let expected = ["AuthorizationRequested", "ObservationQueued", "SagaHeld", "SagaStarted"];
    assert_eq!(events.iter().map(String::as_str).collect::<Vec<_>>(), expected);
    let shown = show(&place).await?;
    assert!(shown.waits_for_resume && shown.state == InstanceState::Running, "{shown:#?}");
    let order = give(&place, "1", OrderedAction::Retry { flow: None }).await.unwrap_err();
    assert!(order.to_string().contains("clearfold saga resume authorization"), "{order}");

    live.send_replace(Arc::new(in_force(&place.environment, &STREAMS)?));
    let decided = "SELECT count(*) FROM events
                   WHERE type IN ('AuthorizationApproved', 'AuthorizationDeclined')";
    for _ in 0..400 {
        if place.number(decided).await? == i64::try_from(COUNT)? {
            break;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    assert_eq!(place.number(decided).await?, i64::try_from(COUNT)?);
    let marks = "SELECT count(*) FROM timers WHERE due > '9000-01-01'";
    assert_eq!(place.number(marks).await?, 0, "no mark is left");
    assert!(!show(&place).await?.waits_for_resume);
    place.prove().await
}

/// Host with the saga, and a decider of cards that fails.
struct Site {
    world: World,
    host: Host,
}

impl Site {
    async fn start() -> Result<Self> {
        let world = World::new().await?;
        let application = Application::of(&world)?;
        application.edit(|manifest| {
            if manifest.contains("kind = \"saga\"") {
                return manifest;
            }
            let lines = r#"
[[trigger.clearfold]]
kind = "saga"
name = "authorization"
component = "saga-authorization"

[component.saga-authorization]
source = "target/components/saga-authorization.wasm"
"#;
            manifest + lines
        })?;
        let saga = std::fs::read(world.environment.component("saga-authorization"))?;
        application.replace("saga-authorization", &saga)?;
        let parts = vec!["ReserveSpend", "ReleaseSpend"];
        let described = Described { name: "card", version: 1, parts, schema_version: 1 };
        // Returns no key for any message.
        let no_keys = "(i32.store (i32.const 512) (i32.const 600))
                       (i32.store (i32.const 516) (local.get 1)) (i32.const 512)";
        let failing = Handler { described, ..Handler::good("decider") };
        let failing = failing.doing("keys", no_keys).doing("decide", "unreachable");
        application.replace("decider-card", &failing.build(&world.environment)?)?;
        let mut command = application.host_command(&world)?;
        command.env("ADMIN_TOKEN", TOKEN);
        let host = Host::start(command, world.file("host.log")).await?;
        Ok(Self { world, host })
    }

    /// Runs `clearfold saga`, and returns what it prints, or says on failure.
    fn saga(&self, arguments: &[&str]) -> Result<Output> {
        let mut command = Command::new(&self.world.environment.host);
        command.arg("saga").args(arguments);
        command.env("ADMIN_TOKEN", TOKEN).env("ADMIN_URL", format!("http://{}", self.host.address()));
        Output::of(command.env("USER", "anna"))
    }

    fn refused(&self, arguments: &[&str]) -> Result<String> {
        let output = self.saga(arguments)?;
        assert!(!output.status.success(), "{output:?}");
        Ok(output.stderr)
    }

    fn done(&self, arguments: &[&str]) -> Result<String> {
        let output = self.saga(arguments)?;
        assert!(output.status.success(), "{output:?}");
        Ok(output.stdout)
    }

    async fn get(&self, path: &str) -> Result<clearfold_tests::Answer> {
        let url = format!("http://{}/admin/v1{path}", self.host.address());
        clearfold_tests::Answer::of(http_client().get(url).bearer_auth(TOKEN).send().await?).await
    }

    /// Records a stand-in's advice, whose bookings begin with the account and end with the card.
    async fn advise(&self, id: &str) -> Result<()> {
        let body = json!({"aggregate": "authorization", "id": id, "account": ACCOUNT, "schema_version": 1,
                          "type": "RecordAdvice", "payload": advice_of(id)});
        assert_eq!(self.host.command_to(&format!("k-{id}"), &body).await?.status, 200);
        Ok(())
    }

    /// Waits until the list of a state has an instance.
    async fn listed(&self, state: &str, instance: &str) -> Result<Value> {
        eventually(&format!("{instance} in the list of {state}"), async || {
            let list: Value = serde_json::from_str(&self.done(&["list", "--state", state, "--json"])?)?;
            let data = list["data"].as_array().context("no list")?;
            Ok(data.iter().find(|one| one["instance"] == instance).cloned())
        })
        .await
    }
}

#[tokio::test]
async fn operators_find_and_mend_an_instance_by_command_line_and_api() -> Result<()> {
    let site = Site::start().await?;
    site.advise("a1").await?;
    let listed = site.listed("waiting", INSTANCE).await?;
    assert_eq!((&listed["saga"], &listed["id"]), (&json!("authorization"), &json!("a1")));
    assert_eq!(listed["flows"][0]["name"], "book", "{listed}");
    assert!(site.done(&["list", "--state", "open"])?.starts_with("waiting      saga-authorization-a1"));
    assert!(site.done(&["list", "--state", "ended"])?.starts_with("no instance is in that state"));
    let shown = site.done(&["show", INSTANCE])?;
    for part in ["saga-authorization-a1, waiting", "flow 1 book", "component_failed", "flow 2 expire"] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    what_cannot_be_done_says_why_and_what_to_do(&site).await?;

    let why = "the card counts it by hand";
    let resolve = ["resolve", INSTANCE, "--flow", "1", "--as", "done", "--why", why, "--key", "resolve-1"];
    let resolved = site.done(&resolve)?;
    assert!(resolved.contains("ResolveOrdered, StepDone, FlowEnded"), "{resolved}");
    assert_eq!(site.done(&resolve)?, resolved, "the same key is the same order");
    let owed = site.refused(&["cancel", INSTANCE, "--flow", "2"])?;
    assert!(owed.contains("step `expire` is owed"), "{owed}");
    let by_command: Value = serde_json::from_str(&site.done(&["show", INSTANCE, "--json"])?)?;
    let by_api = site.get(&format!("/sagas/{INSTANCE}")).await?;
    assert_eq!((by_api.status, &by_api.body), (200, &by_command));
    let order = &by_command["orders"][0];
    assert_eq!((&order["by"], &order["why"]), (&json!("anna"), &json!(why)), "{by_command}");

    a_pause_holds_what_comes_and_a_resume_lets_it_go(&site).await?;
    let read = ("READ_DATABASE_URL", &site.world.databases.read_url);
    let mut check = Command::new(&site.world.environment.host);
    check.arg("check").env("DATABASE_URL", &site.world.databases.write_url).env(read.0, read.1);
    let checked = Output::of(&mut check)?;
    assert!(checked.stdout.contains("sagas        "), "{checked:?}");
    assert!(site.host.stop()?.success());
    for proof in [&["verify"][..], &["replay", "--verify"]] {
        let proven = site.world.clearfold(proof)?;
        assert!(proven.status.success(), "{proven:?}");
    }
    Ok(())
}

async fn what_cannot_be_done_says_why_and_what_to_do(site: &Site) -> Result<()> {
    let refusals: [(&[&str], &str); 8] = [
        (&["cancel", INSTANCE], "retry or resolve it (past_pivot)"),
        (&["retry", INSTANCE], "says what it waits for (nothing_parked)"),
        (&["retry", INSTANCE, "--flow", "1"], "is not parked; it goes on by itself at"),
        (&["resolve", INSTANCE, "--flow", "1", "--as", "refused"], "resolve it as done, or retry it"),
        (&["resolve", INSTANCE, "--flow", "2", "--as", "done"], "it goes on by itself"),
        (&["cancel", INSTANCE, "--flow", "9"], "`clearfold saga show` lists its flows (flow_not_found)"),
        (&["retry", "saga-authorization-none"], "there is no instance `saga-authorization-none`"),
        (&["show", "authorization-a1"], "(instance_not_found)"),
    ];
    for (arguments, part) in refusals {
        let refused = site.refused(arguments)?;
        assert!(refused.contains(part), "{arguments:?}: {refused}");
    }
    for (path, status, code) in [
        ("/sagas?state=parkd", 400, "invalid_state"),
        ("/sagas?limit=0", 400, "invalid_limit"),
        ("/sagas?cursor=zz", 400, "invalid_cursor"),
        ("/sagas?saga=%00", 400, "invalid_id"),
        ("/sagas/saga-authorization-none", 404, "instance_not_found"),
        ("/sagas/saga-authorization-%00", 404, "instance_not_found"),
    ] {
        let answer = site.get(path).await?;
        assert_eq!((answer.status, &answer.body["code"]), (status, &json!(code)), "{path}");
    }
    assert_eq!(site.host.get("/admin/v1/sagas").await?.status, 401);
    let url = format!("http://{}/admin/v1/sagas/{INSTANCE}/retry", site.host.address());
    let without_key = http_client().post(url).bearer_auth(TOKEN).json(&json!({})).send().await?;
    assert_eq!(without_key.status(), 400, "an order needs an idempotency key");
    Ok(())
}

async fn a_pause_holds_what_comes_and_a_resume_lets_it_go(site: &Site) -> Result<()> {
    let write = site.world.databases.write().await?;
    assert!(site.refused(&["resume", "authorization"])?.contains("is not paused"));
    assert!(site.refused(&["pause", "loyalty"])?.contains("no manifest ever named the saga loyalty"));
    site.done(&["pause", "authorization", "--why", "the card processor is down"])?;
    assert!(site.refused(&["pause", "authorization"])?.contains("is paused already"));
    let begun = async |cause: &str| {
        let missing = "SELECT count(*) FROM partitions WHERE NOT EXISTS (
                SELECT FROM activation_points JOIN activations USING (activation)
                WHERE cause = $1 AND activation_points.partition = partitions.partition)";
        eventually(&format!("{cause} in every partition"), async || {
            let missing: i64 = query_scalar(missing).bind(cause).fetch_one(&write).await?;
            Ok((missing == 0).then_some(()))
        })
        .await
    };
    begun("pause").await?;
    assert!(site.world.clearfold(&["component", "list"])?.stdout.contains("paused: its instances"));
    site.advise("a2").await?;
    let shown = site.done(&["show", "saga-authorization-a2"])?;
    assert!(shown.contains("what waits goes on at the resume"), "{shown}");
    assert!(site.refused(&["retry", "saga-authorization-a2"])?.contains("(saga_paused)"));
    site.done(&["resume", "authorization"])?;
    begun("resume").await?;
    let resumed =
        "SELECT count(*) FROM events WHERE type = 'SagaResumed' AND stream = 'saga-authorization-a2'";
    eventually("a2 goes on", async || {
        let resumed: i64 = query(resumed).fetch_one(&write).await.map(|row| sqlx::Row::get(&row, 0))?;
        Ok((resumed == 1).then_some(()))
    })
    .await
}
