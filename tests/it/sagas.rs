//! Sagas in the write path: what an event causes is decided and committed with it, and survives what a crash leaves.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};
use clearfold_base::clock::Clock;
use clearfold_base::digest::Digest;
use clearfold_base::tasks::Tasks;
use clearfold_engine::command::{
    ActiveDecider, AggregateDeciders, Answer, Awaited, Command, CommandIntake, Deciders, IntakeSettings,
    LiveDeciders, WaitFor,
};
use clearfold_engine::integrity::{CommandReplay, ReplayReport};
use clearfold_engine::saga::SagaDecider;
use clearfold_kernel::Timestamp;
use clearfold_sandbox::{Decides, HandlerEngine, Limits};
use clearfold_store::{EventStore, StoredEvent};
use clearfold_tests::{Application, Environment, Host, World, variant};
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Row, query};
use tokio::sync::watch;

use crate::store::{ACCOUNT, decider, store, swipe, writing};

pub const STREAMS: [&str; 3] = ["decider-account", "decider-authorization", "decider-card"];

/// Account with money and a card, and writers that run the authorization saga.
pub struct Place {
    pub environment: Environment,
    pub store: EventStore,
    pub intake: CommandIntake,
    tasks: Tasks,
    /// Time by the writers' clock, in ms.
    pub now_ms: Arc<AtomicU64>,
}

impl Place {
    pub async fn with_a_card() -> Result<Self> {
        let (environment, store) = store().await?;
        let now_ms = Arc::new(AtomicU64::new(1_795_341_600_000));
        let (intake, tasks) = writers(&environment, &store, &now_ms)?;
        let place = Self { environment, store, intake, tasks, now_ms };
        place
            .accepted(
                "account",
                ACCOUNT,
                "OpenAccount",
                json!({"assets": [{"asset": "EURe", "decimals": 18}]}),
            )
            .await?;
        let source = json!({
            "chain_id": 100, "block_hash": format!("0x{}", "22".repeat(32)), "block_number": 1,
            "transaction_hash": format!("0x{}", "33".repeat(32)), "log_index": 1,
        });
        let deposit =
            json!({"amount": euro(100), "source": source, "occurred_at": "2026-11-22T10:00:00.000Z"});
        place.accepted("account", ACCOUNT, "RecordDeposit", deposit).await?;
        let rules = json!({"categories": "all", "countries": "all", "limits": [], "velocity": []});
        place.accepted("card", "c1", "IssueCard", json!({"account": ACCOUNT, "rules": rules})).await?;
        Ok(place)
    }

    /// Writers with nothing in memory, as after a crash.
    fn anew(self) -> Result<Self> {
        let deciders = in_force(&self.environment, &STREAMS)?;
        self.with(watch::Sender::new(Arc::new(deciders)).subscribe())
    }

    /// Writers with nothing in memory and these deciders.
    pub fn with(self, deciders: LiveDeciders) -> Result<Self> {
        let Self { environment, store, intake, tasks, now_ms } = self;
        drop((intake, tasks));
        let (intake, tasks) = writers_of(deciders, &store, &now_ms);
        Ok(Self { environment, store, intake, tasks, now_ms })
    }

    async fn submit(&self, aggregate: &str, id: &str, kind: &str, payload: Value) -> Result<Answer> {
        Ok(self.intake.submit(self.command(aggregate, id, kind, &payload)).await?)
    }

    fn command(&self, aggregate: &str, id: &str, kind: &str, payload: &Value) -> Command {
        let actor = if kind == "RecordDeposit" { "chain" } else { "api" };
        Command {
            idempotency_key: format!("{aggregate}-{id}/{kind}/{}", self.now_ms.load(Ordering::Relaxed)),
            aggregate: aggregate.into(),
            id: id.into(),
            routing_key: ACCOUNT.into(),
            kind: kind.into(),
            schema_version: if kind == "PresentClearing" { 2 } else { 1 },
            payload: payload.to_string().into_bytes(),
            actor: actor.into(),
        }
    }

    pub async fn accepted(&self, aggregate: &str, id: &str, kind: &str, payload: Value) -> Result<()> {
        let answer = self.submit(aggregate, id, kind, payload).await?;
        assert!(matches!(answer, Answer::Accepted { .. }), "{kind}: {answer:?}");
        Ok(())
    }

    pub async fn request(&self, id: &str, euros: u64) -> Result<()> {
        self.accepted("authorization", id, "RequestAuthorization", request_of(id, euros)).await
    }

    /// Types of the events behind a position of the partition, with the stream of each.
    pub async fn events_behind(&self, position: i64) -> Result<Vec<String>> {
        let rows =
            query("SELECT stream, type FROM events WHERE position > $1 ORDER BY position").bind(position);
        let rows = rows.fetch_all(self.store.pool()).await?;
        Ok(rows
            .iter()
            .map(|row| format!("{} {}", row.get::<String, _>(0), row.get::<String, _>(1)))
            .collect())
    }

    pub async fn number(&self, sql: &str) -> Result<i64> {
        Ok(query(AssertSqlSafe(sql.to_owned())).fetch_one(self.store.pool()).await?.get(0))
    }

    pub async fn head(&self) -> Result<i64> {
        self.number("SELECT max(head_position) FROM partitions").await
    }

    /// Checks that the recorded components decide everything again in the same way.
    pub async fn prove(&self) -> Result<()> {
        let mut deciders: BTreeMap<Digest, Arc<dyn Decides>> = BTreeMap::new();
        for name in STREAMS {
            let decider = decider(&self.environment, name)?;
            deciders.insert(decider.id().digest, Arc::new(decider));
        }
        let saga = saga(&self.environment)?;
        deciders.insert(saga.id().digest, Arc::new(saga));
        let replay = CommandReplay { store: self.store.clone(), deciders };
        let mut report = ReplayReport::default();
        for partition in 0..self.store.partition_count() {
            replay.partition(partition, &mut report, &|_| {}).await?;
        }
        assert!(report.is_same(), "{report:?}");
        Ok(())
    }
}

pub fn request_of(id: &str, euros: u64) -> Value {
    json!({
        "message_id": format!("msg-{id}"), "account": ACCOUNT, "card_id": "c1", "amount": euro(euros),
        "merchant": {"id": "m1", "name": "Trattoria da Bruno", "category": "5812", "country": "IT"},
        "network": "visa", "partial_allowed": false, "occurred_at": "2026-11-22T10:00:00.000Z",
    })
}

fn euro(euros: u64) -> Value {
    let minor = u128::from(euros) * 10_u128.pow(18);
    json!({"minor": minor.to_string(), "asset": "EURe", "decimals": 18})
}

fn saga(environment: &Environment) -> Result<SagaDecider> {
    let engine = Arc::new(HandlerEngine::new(Limits::of)?);
    let wasm = std::fs::read(environment.component("saga-authorization"))?;
    Ok(SagaDecider::load(&engine, "saga-authorization", &wasm)?)
}

/// The saga and the deciders of these components.
pub fn in_force(environment: &Environment, components: &[&str]) -> Result<Deciders> {
    let always = |active: ActiveDecider| AggregateDeciders { stable: Arc::new(active), canary: None };
    let mut in_force = BTreeMap::new();
    for name in components {
        let decider = decider(environment, name)?;
        let (aggregate, digest) = (decider.aggregate().to_owned(), decider.id().digest);
        in_force.insert(aggregate, always(ActiveDecider::new(Arc::new(decider), digest)));
    }
    let saga = Arc::new(saga(environment)?);
    let active = always(ActiveDecider::of_saga(&saga, saga.id().digest, false));
    in_force.insert(saga.aggregate().to_owned(), active);
    Ok(Deciders::new(0, in_force))
}

fn writers(
    environment: &Environment,
    store: &EventStore,
    now_ms: &Arc<AtomicU64>,
) -> Result<(CommandIntake, Tasks)> {
    let deciders = watch::Sender::new(Arc::new(in_force(environment, &STREAMS)?)).subscribe();
    Ok(writers_of(deciders, store, now_ms))
}

fn writers_of(deciders: LiveDeciders, store: &EventStore, now_ms: &Arc<AtomicU64>) -> (CommandIntake, Tasks) {
    let mut tasks = Tasks::default();
    let now_ms = Arc::clone(now_ms);
    let clock = Clock::new(move || Timestamp::from_ms(now_ms.load(Ordering::Relaxed)).unwrap());
    let settings = IntakeSettings { queue_length: 256, writer: writing("sagas") };
    (CommandIntake::start(store, deciders, &clock, &settings, &mut tasks), tasks)
}

#[tokio::test]
async fn a_whole_authorization_is_one_commit() -> Result<()> {
    let place = Place::with_a_card().await?;
    let (before, inbox) = (place.head().await?, place.number("SELECT count(*) FROM inbox").await?);
    place.request("a1", 40).await?;
    let events = place.events_behind(before).await?;
    let of = |stream: &str| -> Vec<&str> {
        events.iter().filter_map(|event| event.strip_prefix(stream)).map(str::trim).collect()
    };
    assert_eq!(of("authorization-a1"), ["AuthorizationRequested", "AuthorizationApproved"], "{events:#?}");
    assert_eq!(of("card-c1"), ["SpendReserved"], "{events:#?}");
    assert_eq!(of(&format!("account-{ACCOUNT}")), ["HoldPlaced"], "{events:#?}");
    assert_eq!(of("saga-authorization-a1"), ["SagaAdvanced"; 5], "one for each input: {events:#?}");
    let transactions = "SELECT count(DISTINCT xmin::text) FROM events WHERE stream LIKE '%-a1'";
    assert_eq!(place.number(transactions).await?, 1, "one commit");
    assert_eq!(
        place.number("SELECT count(*) FROM inbox").await?,
        inbox + 1,
        "a follow-up has no answer to keep"
    );
    assert_eq!(place.number("SELECT count(*) FROM timers").await?, 1, "the hold expires one day");
    place.prove().await
}

#[tokio::test]
async fn a_refusal_is_undone_and_declined_in_the_same_commit() -> Result<()> {
    let place = Place::with_a_card().await?;
    let before = place.head().await?;
    place.request("a1", 140).await?;
    let events = place.events_behind(before).await?;
    let expected = [
        "authorization-a1 AuthorizationRequested",
        "card-c1 SpendReserved",
        "card-c1 SpendReleased",
        "authorization-a1 AuthorizationDeclined",
    ];
    let payments: Vec<&String> = events.iter().filter(|event| !event.starts_with("saga-")).collect();
    assert_eq!(payments, expected, "{events:#?}");
    let reason = "SELECT count(*) FROM events WHERE type = 'AuthorizationDeclined'
                  AND convert_from(payload, 'UTF8')::json ->> 'reason' = 'insufficient_funds'";
    assert_eq!(place.number(reason).await?, 1);
    assert_eq!(place.number("SELECT count(*) FROM timers").await?, 0);
    place.prove().await
}

#[tokio::test]
async fn a_timer_survives_a_restart_and_fires_once() -> Result<()> {
    let place = Place::with_a_card().await?;
    place.request("a1", 40).await?;
    let place = place.anew()?;
    place.now_ms.fetch_add(40 * 86_400_000, Ordering::Relaxed);
    let expired = "SELECT count(*) FROM events WHERE type = 'AuthorizationExpired'";
    for _ in 0..100 {
        if place.number(expired).await? > 0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(place.number(expired).await?, 1);
    let place = place.anew()?;
    place.request("a2", 100).await?;
    let approved =
        "SELECT count(*) FROM events WHERE type = 'AuthorizationApproved' AND stream = 'authorization-a2'";
    assert_eq!(place.number(approved).await?, 1, "the money of the expired hold is free again");
    assert_eq!(place.number(expired).await?, 1, "it fired once");
    assert_eq!(place.number("SELECT count(*) FROM timers").await?, 1, "that of the second hold");
    place.prove().await
}

#[tokio::test]
async fn a_swipe_of_an_unknown_account_opens_its_books() -> Result<()> {
    let (environment, store) = store().await?;
    let now_ms = Arc::new(AtomicU64::new(1_795_341_600_000));
    let (intake, tasks) = writers(&environment, &store, &now_ms)?;
    let place = Place { environment, store, intake, tasks, now_ms };
    let answer = place.intake.submit(swipe("s1", "s1", "5000000000000000000")).await?;
    assert!(matches!(answer, Answer::Accepted { .. }), "{answer:?}");
    let events = place.events_behind(0).await?;
    let payments: Vec<&String> = events.iter().filter(|event| event.starts_with("account-")).collect();
    let account = |kind: &str| format!("account-{ACCOUNT} {kind}");
    assert_eq!(payments.first(), Some(&&account("AccountOpened")), "{events:#?}");
    assert!(payments.contains(&&account("HoldPlaced")), "{events:#?}");
    place.prove().await
}

fn decision(at_most_ms: u64) -> WaitFor {
    let events = ["AuthorizationApproved", "AuthorizationDeclined"].map(str::to_owned).into();
    WaitFor { events, at_most: Duration::from_millis(at_most_ms) }
}

fn kinds(awaited: &Awaited) -> Vec<(&str, u64)> {
    awaited.events.iter().map(|event| (event.kind.as_str(), event.stream_version)).collect()
}

#[tokio::test]
async fn a_caller_hears_the_decision_with_the_answer_and_a_repeat_hears_it_again() -> Result<()> {
    let place = Place::with_a_card().await?;
    for (id, euros, decided) in [("a1", 40, "AuthorizationApproved"), ("a2", 140, "AuthorizationDeclined")] {
        let request = || place.command("authorization", id, "RequestAuthorization", &request_of(id, euros));
        // Nothing is waited for: the decision is in the commit of the request.
        let first = place.intake.submit_and_wait(request(), &decision(0)).await?;
        assert_eq!(kinds(&first), [(decided, 2)]);
        assert!(
            matches!(&first.answer, Answer::Accepted { events, .. } if events == &["AuthorizationRequested"])
        );
        assert_eq!(place.intake.submit_and_wait(request(), &decision(0)).await?, first, "a repeat");
    }
    let refused = place.command("authorization", "a1", "ExpireAuthorization", &json!({"odd": 1}));
    let refused = place.intake.submit_and_wait(refused, &decision(60_000)).await?;
    assert!(matches!(refused.answer, Answer::Rejected { .. }) && refused.events.is_empty(), "{refused:?}");
    Ok(())
}

#[tokio::test]
async fn a_caller_waits_for_a_decision_that_comes_later_or_not_at_all() -> Result<()> {
    let place = Place::with_a_card().await?;
    // A stand-in's advice is no decision of ours.
    let mut advice = request_of("a1", 40);
    advice.as_object_mut().unwrap().remove("partial_allowed");
    let advice = || place.command("authorization", "a1", "RecordAdvice", &advice);
    let none = place.intake.submit_and_wait(advice(), &decision(100)).await?;
    assert!(matches!(none.answer, Answer::Accepted { .. }) && none.events.is_empty(), "{none:?}");
    let reversed = WaitFor { events: ["AuthorizationReversed".to_owned()].into(), ..decision(60_000) };
    let later = async {
        // The wait has begun by then, or finds the reversal in the log: both are right.
        tokio::time::sleep(Duration::from_millis(50)).await;
        let reversal = json!({"message_id": "r1", "extent": "full", "cause": "merchant",
                              "occurred_at": "2026-11-22T11:00:00.000Z"});
        place.accepted("authorization", "a1", "ReverseAuthorization", reversal).await
    };
    let (awaited, later) = tokio::join!(place.intake.submit_and_wait(advice(), &reversed), later);
    later?;
    assert_eq!(kinds(&awaited?), [("AuthorizationReversed", 2)]);
    Ok(())
}

#[tokio::test]
async fn a_repeat_of_the_last_of_many_increments_hears_its_own_decision() -> Result<()> {
    let place = Place::with_a_card().await?;
    place.request("a1", 1).await?;
    let wait = WaitFor {
        events: ["IncrementRequested", "HoldIncreased", "IncrementDeclined"].map(str::to_owned).into(),
        at_most: Duration::ZERO,
    };
    let increment = |number: u32| {
        let payload = json!({"message_id": format!("more-{number}"), "occurred_at": "2026-11-22T10:01:00.000Z",
                             "amount": {"minor": "1", "asset": "EURe", "decimals": 18}});
        let command = place.command("authorization", "a1", "IncrementAuthorization", &payload);
        Command { idempotency_key: format!("more-{number}"), ..command }
    };
    // More than a hundred events are awaited, two of each increment.
    let mut last = None;
    for number in 1..=55 {
        last = Some(place.intake.submit_and_wait(increment(number), &wait).await?);
    }
    let own = |awaited: &Awaited| {
        let of_last = |event: &&StoredEvent| String::from_utf8_lossy(&event.payload).contains("\"more-55\"");
        awaited.events.iter().filter(of_last).map(|event| event.kind.clone()).collect::<Vec<_>>()
    };
    let expected = ["IncrementRequested", "HoldIncreased"];
    assert_eq!(own(&last.context("an increment")?), expected);
    let repeated = place.intake.submit_and_wait(increment(55), &wait).await?;
    assert_eq!(own(&repeated), expected, "{} events", repeated.events.len());
    Ok(())
}

/// A forged answer to a step would be taken for a booking, and a forged event for a payment.
#[tokio::test]
async fn nobody_outside_sends_inputs_to_an_instance() -> Result<()> {
    let place = Place::with_a_card().await?;
    let before = place.head().await?;
    for kind in ["Observe", "AnswerStep", "FireTimer", "Retry", "Cancel", "Resolve"] {
        let refused =
            place.submit("saga-authorization", "a1", kind, json!({})).await.unwrap_err().to_string();
        assert!(refused.contains("known are account, authorization, card"), "{refused}");
    }
    assert_eq!(place.head().await?, before);
    Ok(())
}

/// The registry's part: a saga of the manifest is in force like a decider, and beside the decider of the same name.
#[tokio::test]
async fn a_host_runs_the_saga_that_its_manifest_names() -> Result<()> {
    let world = World::new().await?;
    let host = world.host().await?;
    let request = json!({
        "message_id": "m1", "account": ACCOUNT, "card_id": "c1", "amount": euro(5),
        "merchant": {"id": "m1", "name": "Trattoria da Bruno", "category": "5812", "country": "IT"},
        "network": "visa", "partial_allowed": false, "occurred_at": "2026-11-22T10:00:00.000Z",
    });
    let body = json!({"aggregate": "authorization", "id": "a1", "account": ACCOUNT, "type": "RequestAuthorization",
                      "schema_version": 1, "payload": request});
    assert_eq!(host.command_to("k1", &body).await?.status, 200);
    // Nobody issued the card.
    let write = world.databases.write().await?;
    let declined =
        "SELECT count(*) FROM events WHERE type = 'AuthorizationDeclined' AND stream = 'authorization-a1'";
    assert_eq!(query(declined).fetch_one(&write).await?.get::<i64, _>(0), 1);
    let points = "SELECT count(DISTINCT partition) FROM activation_points JOIN activations USING (activation)
                  WHERE kind = 'saga' AND state_family IS NOT NULL";
    assert!(query(points).fetch_one(&write).await?.get::<i64, _>(0) > 0, "it begins at a recorded point");
    assert!(host.stop()?.success());
    let replayed = world.clearfold(&["replay", "--verify"])?;
    assert!(replayed.status.success() && replayed.stdout.contains("came to the same again"), "{replayed:?}");
    Ok(())
}

#[tokio::test]
async fn a_timer_without_its_row_is_found_by_verify() -> Result<()> {
    let world = World::new().await?;
    let host = world.host().await?;
    // More than are looked up at once, all in one partition.
    let advised = (0..600).map(async |number: u32| {
        let id = format!("a{number}");
        let mut advice = request_of(&id, 1);
        advice.as_object_mut().unwrap().remove("partial_allowed");
        let body = json!({"aggregate": "authorization", "id": id, "account": ACCOUNT, "type": "RecordAdvice",
                          "schema_version": 1, "payload": advice});
        host.command_to(&id, &body).await
    });
    for answer in futures::future::try_join_all(advised).await? {
        assert_eq!(answer.status, 200, "{answer:?}");
    }
    assert!(host.stop()?.success());
    let verified = world.clearfold(&["verify"])?;
    assert!(verified.status.success(), "{verified:?}");
    assert!(
        verified.stdout.contains("600 instances of sagas wait for 600 timers and 0 effects"),
        "{verified:?}"
    );

    let deleted = query("DELETE FROM timers WHERE stream = 'saga-authorization-a7'");
    assert_eq!(deleted.execute(&world.databases.write().await?).await?.rows_affected(), 1);
    let verified = world.clearfold(&["verify"])?;
    assert!(!verified.status.success() && verified.stderr.contains("1 rows are missing"), "{verified:?}");
    assert!(verified.stdout.contains("MISSING  saga-authorization-a7 waits for its timer 1"), "{verified:?}");
    Ok(())
}

/// Two versions with the same code: what decides is in each event.
#[tokio::test]
async fn an_instance_ends_on_the_version_that_it_began_on() -> Result<()> {
    let world = World::new().await?;
    let application = Application::of(&world)?;
    let host = Host::start(application.host_command(&world)?, world.file("host.log")).await?;
    let accepted = async |host: &Host, id: &str, kind: &str, payload: Value| {
        let body = json!({"aggregate": "authorization", "id": id, "account": ACCOUNT, "type": kind,
                          "schema_version": 1, "payload": payload});
        let answer =
            host.command_to(&format!("{id}/{kind}/{}", body["payload"]["message_id"]), &body).await?;
        anyhow::ensure!(answer.status == 200, "{answer:?}");
        Ok(())
    };
    let advice = |id: &str| {
        let mut advice = request_of(id, 40);
        advice.as_object_mut().unwrap().remove("partial_allowed");
        advice
    };
    let reversal = |id: &str, euros: u64| {
        json!({"message_id": id, "extent": {"part": euro(euros)["minor"]}, "cause": "merchant",
               "occurred_at": "2026-11-22T11:00:00.000Z"})
    };
    accepted(&host, "a1", "RecordAdvice", advice("a1")).await?;
    let one = std::fs::read(application.file("saga-authorization"))?;
    let two = variant(&one, "two")?;
    application.replace("saga-authorization", &two)?;
    let deployed = application.deploy(&world, &[])?;
    assert!(deployed.status.success(), "{deployed:?}");
    let write = world.databases.write().await?;
    let decided = async |id: &str| -> Result<Vec<String>> {
        let digests = "SELECT DISTINCT encode(component_digest, 'hex') FROM events WHERE stream = $1";
        let stream = format!("saga-authorization-{id}");
        Ok(sqlx::query_scalar(digests).bind(stream).fetch_all(&write).await?)
    };
    let (one, two) = (Digest::of(&one).to_string(), Digest::of(&two).to_string());
    // Hosts follow an activation by themselves; until then a new instance begins on the first version.
    let mut followed = 0;
    while decided(&format!("b{followed}")).await? != [two.clone()] {
        followed += 1;
        anyhow::ensure!(followed < 200, "the host does not follow the deploy");
        accepted(&host, &format!("b{followed}"), "RecordAdvice", advice(&format!("b{followed}"))).await?;
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    accepted(&host, "a1", "ReverseAuthorization", reversal("r1", 1)).await?;
    assert!(host.stop()?.success());
    let host = Host::start(application.host_command(&world)?, world.file("host.log")).await?;
    accepted(&host, "a1", "ReverseAuthorization", reversal("r2", 2)).await?;
    assert_eq!(decided("a1").await?, std::slice::from_ref(&one), "begun on the first version");
    let released = "SELECT count(*) FROM events WHERE type = 'HoldLowered' AND correlation_id IN
                    (SELECT correlation_id FROM events WHERE stream = 'authorization-a1')";
    assert_eq!(query(released).fetch_one(&write).await?.get::<i64, _>(0), 2, "its bookings went on");
    let named = "SELECT count(*) FROM events WHERE type = 'SagaAdvanced' AND stream_version = 1
                 AND convert_from(payload, 'UTF8')::json #>> '{events,0,SagaStarted,component}'
                     IS DISTINCT FROM encode(component_digest, 'hex')";
    assert_eq!(
        query(named).fetch_one(&write).await?.get::<i64, _>(0),
        0,
        "an instance names what decides it"
    );
    assert!(host.stop()?.success());
    let replayed = world.clearfold(&["replay", "--verify"])?;
    assert!(replayed.status.success() && replayed.stdout.contains("came to the same again"), "{replayed:?}");
    Ok(())
}
