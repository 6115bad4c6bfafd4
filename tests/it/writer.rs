//! The writer of a partition where it breaks: failed flights, floods of repeats, clocks that differ.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Result;
use clearfold::clock::Clock;
use clearfold::command::{
    Answer, Command, CommandError, CommandIntake, Deciders, IntakeSettings, WriterSettings,
};
use clearfold::event_store::EventStore;
use clearfold::parts::Parts;
use clearfold::runtime::{Decider, HandlerEngine, Limits};
use clearfold_kernel::Timestamp;
use clearfold_tests::Environment;
use tokio::task::JoinSet;

use crate::store::{store, swipe, writing};

fn intake(
    environment: &Environment,
    store: &EventStore,
    writer: WriterSettings,
    clock: &Clock,
) -> Result<(CommandIntake, Parts)> {
    let engine = Arc::new(HandlerEngine::new(Limits::default())?);
    let wasm = std::fs::read(environment.component("decider-authorization"))?;
    let decider = Decider::load(&engine, "decider-authorization", &wasm)?;
    let deciders = Deciders::from([(decider.aggregate().to_owned(), Arc::new(decider))]);
    let mut parts = Parts::default();
    let settings = IntakeSettings { queue_length: 256, writer };
    Ok((CommandIntake::start(store, deciders, clock, &settings, &mut parts), parts))
}

fn with_lease(ms: u64) -> WriterSettings {
    WriterSettings { lease: Duration::from_millis(ms), ..writing("one") }
}

#[tokio::test]
async fn after_a_failed_flight_commands_are_decided_in_the_order_in_which_they_came() -> Result<()> {
    let (environment, store) = store().await?;
    let (intake, _parts) = intake(&environment, &store, with_lease(20_000), &Clock::system())?;
    intake.submit(swipe("first", "first", "850")).await?;
    let mut lock = store.pool().begin().await?;
    sqlx::query("SELECT FROM partitions FOR UPDATE").execute(&mut *lock).await?;
    let mut waiting = JoinSet::new();
    for number in 0..200 {
        let intake = intake.clone();
        let command = swipe(&format!("k{number:03}"), &format!("p{number:03}"), "850");
        waiting.spawn(async move { intake.submit_in_turn(command).await });
    }
    // One batch is in flight and waits for the lock, the next is decided, and the others wait in the queue.
    tokio::time::sleep(Duration::from_millis(500)).await;
    let cut = sqlx::query(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
         WHERE wait_event_type = 'Lock' AND datname = current_database()",
    );
    assert!(cut.execute(store.pool()).await?.rows_affected() > 0, "no flight was under way");
    tokio::time::sleep(Duration::from_millis(200)).await;
    lock.rollback().await?;
    while let Some(answer) = waiting.join_next().await {
        assert!(matches!(answer??, Answer::Accepted { .. }));
    }
    let order = sqlx::query_scalar("SELECT stream FROM events WHERE position > 1 ORDER BY position");
    let order: Vec<String> = order.fetch_all(store.pool()).await?;
    assert_eq!(order.len(), 200);
    assert!(order.is_sorted(), "{order:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn repeats_of_what_is_in_flight_do_not_pile_up() -> Result<()> {
    let (environment, store) = store().await?;
    let (intake, _parts) = intake(&environment, &store, with_lease(20_000), &Clock::system())?;
    intake.submit(swipe("first", "first", "850")).await?;
    let mut lock = store.pool().begin().await?;
    sqlx::query("SELECT FROM partitions FOR UPDATE").execute(&mut *lock).await?;
    let mut waiting = JoinSet::new();
    for number in 0..2_000 {
        let intake = intake.clone();
        waiting.spawn(async move { intake.submit(swipe("k", "p", "850")).await });
        if number % 100 == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
    tokio::time::sleep(Duration::from_millis(200)).await;
    lock.rollback().await?;
    let (mut taken, mut sent_away) = (0, 0);
    while let Some(answer) = waiting.join_next().await {
        match answer? {
            Ok(Answer::Accepted { stream_version: 1, .. }) => taken += 1,
            Err(CommandError::Overloaded) => sent_away += 1,
            other => panic!("{other:?}"),
        }
    }
    // The queue's 256, and a batch or two of 16.
    assert!(taken <= 320, "{taken} were taken, {sent_away} sent away");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_repeats_does_not_cost_the_lease() -> Result<()> {
    let (environment, store) = store().await?;
    let (intake, _parts) = intake(&environment, &store, with_lease(600), &Clock::system())?;
    intake.submit(swipe("k", "p", "850")).await?;
    let epoch = || sqlx::query_scalar::<_, i64>("SELECT lease_epoch FROM partitions WHERE head_position > 0");
    let before = epoch().fetch_one(store.pool()).await?;
    let end = Instant::now() + Duration::from_secs(3);
    let mut repeating = JoinSet::new();
    for _ in 0..32 {
        let intake = intake.clone();
        repeating.spawn(async move {
            while Instant::now() < end {
                assert!(matches!(intake.submit(swipe("k", "p", "850")).await, Ok(Answer::Accepted { .. })));
            }
        });
    }
    while let Some(ended) = repeating.join_next().await {
        ended?;
    }
    assert_eq!(epoch().fetch_one(store.pool()).await?, before);
    Ok(())
}

#[tokio::test]
async fn a_host_whose_clock_is_behind_takes_over_without_going_back_in_time() -> Result<()> {
    let (environment, store) = store().await?;
    let now = Clock::system().now();
    for (owner, behind_ms) in [("one", 0), ("two", 3_000)] {
        let at = Timestamp::from_ms(now.as_ms() - behind_ms).unwrap();
        let settings = WriterSettings { owner: owner.into(), ..with_lease(500) };
        let (intake, _parts) = intake(&environment, &store, settings, &Clock::new(move || at))?;
        let answer = loop {
            match intake.submit(advice(owner)).await {
                Err(error) if error.is_passing() => tokio::time::sleep(Duration::from_millis(50)).await,
                answer => break answer?,
            }
        };
        assert!(matches!(answer, Answer::Accepted { .. }), "{answer:?}");
    }
    Ok(())
}

/// A message of its own for the same payment; the payment remembers when the one before it was accepted.
fn advice(message_id: &str) -> Command {
    let at_first = swipe(message_id, "p", "850");
    let payload = serde_json::json!({
        "message_id": message_id, "account": at_first.routing_key, "card_id": "card-1",
        "amount": {"minor": "850", "asset": "EURe", "decimals": 18},
        "merchant": {"id": "m1", "name": "Trattoria", "category": "5812", "country": "IT"},
        "network": "visa", "occurred_at": "2026-11-22T10:00:00.000Z",
    });
    Command {
        kind: "RecordAdvice".into(),
        actor: "api".into(),
        payload: payload.to_string().into(),
        ..at_first
    }
}
