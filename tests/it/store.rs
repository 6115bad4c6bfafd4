//! The write path against a real database: who may append, and what a repeat hears.

use std::sync::Arc;

use anyhow::Result;
use clearfold::clock::Clock;
use clearfold::command::{Answer, Command, CommandError, CommandIntake, Deciders, IntakeSettings};
use clearfold::digest::Digest;
use clearfold::event_store::{Append, EventStore, NewEvent, StoreError, StreamAppend};
use clearfold::parts::Parts;
use clearfold::runtime::{Decider, HandlerEngine, Limits};
use clearfold_kernel::Timestamp;
use clearfold_tests::{Databases, Environment};
use tokio::task::JoinSet;
use uuid::Uuid;

const ACCOUNT: &str = "0xaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

pub async fn store() -> Result<(Environment, EventStore)> {
    let environment = Environment::read()?;
    let databases = Databases::migrated(&environment).await?;
    Ok((environment, EventStore::open(databases.write().await?).await?))
}

/// An intake, and its writers, which end when they are dropped.
fn intake(environment: &Environment, store: &EventStore) -> Result<(CommandIntake, Parts)> {
    let engine = Arc::new(HandlerEngine::new(Limits::default())?);
    let wasm = std::fs::read(environment.component("decider-authorization"))?;
    let decider = Decider::load(&engine, "decider-authorization", &wasm)?;
    let deciders = Deciders::from([(decider.aggregate().to_owned(), Arc::new(decider))]);
    let settings = IntakeSettings { queue_length: 256, batch_size: 16 };
    let mut parts = Parts::default();
    Ok((CommandIntake::start(store, deciders, &Clock::system(), settings, &mut parts), parts))
}

pub fn swipe(key: &str, id: &str, minor: &str) -> Command {
    let hash = format!("0x{}", "11".repeat(32));
    let payload = serde_json::json!({
        "account": ACCOUNT, "amount": {"minor": minor, "asset": "EURe", "decimals": 18},
        "source": {"chain_id": 100, "block_hash": hash, "block_number": 1, "transaction_hash": hash, "log_index": 1},
        "occurred_at": "2026-11-22T10:00:00.000Z",
    });
    Command {
        idempotency_key: key.into(),
        aggregate: "authorization".into(),
        id: id.into(),
        routing_key: ACCOUNT.into(),
        kind: "RecordSwipe".into(),
        schema_version: 1,
        payload: payload.to_string().into_bytes(),
        actor: "chain".into(),
    }
}

fn one_event(stream: &str, expected_version: u64) -> Append {
    let event = NewEvent {
        kind: "Happened".into(),
        schema_version: 1,
        payload: b"{}".to_vec(),
        correlation_id: Uuid::nil(),
        causation_id: Uuid::nil(),
        actor: "test".into(),
        component_digest: Digest([1; 32]),
        recorded_at: Timestamp::from_s(1).unwrap(),
    };
    let streams = vec![StreamAppend {
        stream: stream.into(),
        routing_key: ACCOUNT.into(),
        expected_version,
        events: vec![event],
    }];
    Append { streams, inbox: Vec::new() }
}

#[tokio::test]
async fn an_append_on_an_old_version_or_head_changes_nothing() -> Result<()> {
    let (_, store) = store().await?;
    let now = Timestamp::from_s(1).unwrap();
    assert_eq!(store.append(0, 0, &one_event("s-1", 0), now).await?, 1);
    let cases = [
        (0, 0, one_event("s-2", 0)),
        (0, 1, one_event("s-1", 0)),
        (0, 1, one_event("s-1", 2)),
        (1, 0, one_event("s-1", 0)),
    ];
    for (partition, head, append) in cases {
        let refused = store.append(partition, head, &append, now).await;
        assert!(matches!(refused, Err(StoreError::Conflict { .. })), "{refused:?}");
    }
    assert_eq!((store.head(0).await?, store.head(1).await?), (1, 0));
    assert_eq!(store.append(0, 1, &one_event("s-1", 1), now).await?, 2);
    let stored = store.page(0, 0, 10, 10).await?;
    let places: Vec<_> = stored.iter().map(|event| (event.position, event.stream_version)).collect();
    assert_eq!(places, [(1, 1), (2, 2)]);
    assert_ne!(stored[0].event_id, stored[1].event_id);
    Ok(())
}

#[tokio::test]
async fn many_at_once_through_two_intakes_each_acts_once() -> Result<()> {
    let (environment, store) = store().await?;
    let intakes = [intake(&environment, &store)?, intake(&environment, &store)?];
    let mut waiting = JoinSet::new();
    for number in 0..60 {
        // Every command is sent three times, through both.
        for copy in 0..3 {
            let (intake, id) = (intakes[copy % 2].0.clone(), format!("p{number}"));
            waiting.spawn(async move {
                let command = swipe(&format!("k{id}"), &id, "850");
                loop {
                    match intake.submit(command.clone()).await {
                        Err(error) if error.is_passing() => tokio::task::yield_now().await,
                        answer => return answer,
                    }
                }
            });
        }
    }
    while let Some(answer) = waiting.join_next().await {
        let Answer::Accepted { stream_version, events, .. } = answer?? else { panic!("a swipe was refused") };
        assert_eq!((stream_version, events), (1, vec!["SwipeRecorded".to_owned()]));
    }
    let heads: i64 = sqlx::query_scalar("SELECT sum(head_position)::bigint FROM partitions")
        .fetch_one(store.pool())
        .await?;
    let events: i64 = sqlx::query_scalar("SELECT count(*) FROM events").fetch_one(store.pool()).await?;
    assert_eq!((heads, events), (60, 60));
    Ok(())
}

#[tokio::test]
async fn a_repeat_hears_what_the_first_heard_even_a_refusal() -> Result<()> {
    let (environment, store) = store().await?;
    let (intake, _parts) = intake(&environment, &store)?;
    let refused = intake.submit(swipe("k1", "p1", "0")).await?;
    assert!(matches!(&refused, Answer::Rejected { code, .. } if code == "amount_not_positive"));
    assert_eq!(intake.submit(swipe("k1", "p1", "0")).await?, refused);
    let reused = intake.submit(swipe("k1", "p1", "5")).await;
    assert!(matches!(reused, Err(CommandError::KeyReused { .. })), "{reused:?}");
    assert!(matches!(intake.submit(swipe("k2", "p1", "5")).await?, Answer::Accepted { .. }));
    Ok(())
}

#[tokio::test]
async fn the_database_itself_refuses_what_no_type_allows() -> Result<()> {
    let (_, store) = store().await?;
    for statement in [
        "INSERT INTO partitions (partition, head_position) VALUES (99, -1)",
        "UPDATE outbox SET published_position = -1",
        "INSERT INTO streams (stream, partition, routing_key, version) VALUES ('s', 0, 'k', 0)",
        "INSERT INTO streams (stream, partition, routing_key, version) VALUES ('s', 77, 'k', 1)",
        "INSERT INTO chain_cursor VALUES (100, 1, '\\x00', now())",
    ] {
        let refused = sqlx::query(statement).execute(store.pool()).await;
        assert!(matches!(&refused, Err(sqlx::Error::Database(_))), "{statement}: {refused:?}");
    }
    Ok(())
}

#[tokio::test]
async fn a_key_acts_once_whatever_account_it_is_sent_for() -> Result<()> {
    let (environment, store) = store().await?;
    let (intake, _parts) = intake(&environment, &store)?;
    let mut refused = 0;
    for account in 1..=9_u8 {
        let mut command = swipe("same", &format!("p{account}"), "850");
        command.routing_key = format!("0x{account:040x}");
        command.payload =
            String::from_utf8(command.payload)?.replace(ACCOUNT, &command.routing_key).into_bytes();
        match intake.submit(command).await {
            Ok(Answer::Accepted { .. }) => {}
            Err(CommandError::KeyReused { .. }) => refused += 1,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(refused, 8);
    Ok(())
}

#[tokio::test]
async fn a_stream_stays_with_its_account() -> Result<()> {
    let (environment, store) = store().await?;
    let (intake, _parts) = intake(&environment, &store)?;
    assert!(matches!(intake.submit(swipe("k1", "p1", "850")).await?, Answer::Accepted { .. }));
    for account in 1..=9_u8 {
        let mut command = swipe(&format!("k1-{account}"), "p1", "850");
        command.routing_key = format!("0x{account:040x}");
        let refused = intake.submit(command).await;
        assert!(matches!(refused, Err(CommandError::AccountMismatch { .. })), "{refused:?}");
    }
    Ok(())
}

#[tokio::test]
async fn what_the_database_cannot_hold_fails_alone() -> Result<()> {
    let (environment, store) = store().await?;
    let (intake, _parts) = intake(&environment, &store)?;
    let mut waiting = JoinSet::new();
    for number in 0..20 {
        let intake = intake.clone();
        let mut command = swipe(&format!("k{number}"), &format!("p{number}"), "850");
        if number == 7 {
            command.idempotency_key = "k\0".into();
        }
        waiting.spawn(async move { (number, intake.submit(command).await) });
    }
    while let Some(answer) = waiting.join_next().await {
        match answer? {
            (7, refused) => assert!(matches!(refused, Err(CommandError::Unstorable(_))), "{refused:?}"),
            (_, answer) => assert!(matches!(answer?, Answer::Accepted { .. })),
        }
    }
    Ok(())
}
