//! The write path against a real database: the right to append, and the answers to repeats.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, bail};
use clearfold_base::clock::Clock;
use clearfold_base::digest::Digest;
use clearfold_base::tasks::Tasks;
use clearfold_engine::command::{
    Answer, Command, CommandError, CommandIntake, Deciders, IntakeSettings, Permits, WriterSettings,
};
use clearfold_engine::effects::Effects;
use clearfold_kernel::Timestamp;
use clearfold_sandbox::{Decider, HandlerEngine, Limits};
use clearfold_store::{
    Append, EventHash, EventStore, Head, Lease, StoreError, StoredEvent, StreamMove, Taken, event_id,
};
use clearfold_tests::{Databases, Environment};
use tokio::task::JoinSet;
use uuid::Uuid;

pub const ACCOUNT: &str = "0xaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
pub const AUTHORIZATION: &str = "decider-authorization";

pub async fn store() -> Result<(Environment, EventStore)> {
    let environment = Environment::read()?;
    let databases = Databases::migrated(&environment).await?;
    Ok((environment, EventStore::open(databases.write().await?).await?))
}

/// An intake under a name of its own, and its writers, which end when they are dropped.
pub fn intake(environment: &Environment, store: &EventStore, owner: &str) -> Result<(CommandIntake, Tasks)> {
    intake_of(environment, store, AUTHORIZATION, writing(owner), &Clock::system())
}

/// The same with a decider, settings and a clock.
pub fn intake_of(
    environment: &Environment,
    store: &EventStore,
    component: &str,
    writer: WriterSettings,
    clock: &Clock,
) -> Result<(CommandIntake, Tasks)> {
    let mut tasks = Tasks::default();
    let decider = Arc::new(decider(environment, component)?);
    let deciders = Deciders::always([decider]);
    let settings = IntakeSettings { queue_length: 256, writer };
    Ok((CommandIntake::start(store, deciders, clock, &settings, &mut tasks), tasks))
}

/// Loads a built decider.
pub fn decider(environment: &Environment, component: &str) -> Result<Decider> {
    let engine = Arc::new(HandlerEngine::new(Limits::of)?);
    Ok(Decider::load(&engine, component, &std::fs::read(environment.component(component))?)?)
}

/// Settings with small batches and a short lease.
pub fn writing(owner: &str) -> WriterSettings {
    WriterSettings {
        owner: owner.into(),
        lease: Duration::from_millis(2_000),
        batch_size: 16,
        state_cache_bytes: 1 << 20,
        snapshot_every: 5,
        permits: Permits::of_processors(),
        effects: Effects::default(),
    }
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

const EMPTY: Head = Head { position: 0, hash: EventHash::BEFORE_ALL, sequence: 0 };

/// Makes an append of one event, with the end of the partition after it.
fn one_event(lease: &Lease, head: &Head, stream: &str, from: u64) -> (Append, Head) {
    let mut event = StoredEvent {
        partition: lease.partition,
        position: head.position + 1,
        stream: stream.into(),
        stream_version: from + 1,
        kind: "Happened".into(),
        schema_version: 1,
        payload: b"{}".to_vec(),
        event_id: event_id(stream, from + 1),
        correlation_id: Uuid::nil(),
        causation_id: Uuid::nil(),
        actor: "test".into(),
        component_digest: Digest([1; 32]),
        recorded_at: Timestamp::from_s(1).unwrap(),
        hash: EventHash::BEFORE_ALL,
    };
    event.hash = head.hash.link(&event);
    let after = Head { position: event.position, hash: event.hash, sequence: head.sequence };
    let (stream, routing_key) = (stream.to_owned(), ACCOUNT.to_owned());
    let streams = vec![StreamMove { stream, routing_key, from, to: from + 1 }];
    (Append { streams, events: vec![event], ..Append::default() }, after)
}

pub async fn held(store: &EventStore, partition: u32, owner: &str, ms: u64) -> Result<(Lease, Head)> {
    match store.take_lease(partition, &owner.into(), Duration::from_millis(ms)).await? {
        Taken::Held(lease, head) => Ok((lease, head)),
        Taken::ByAnother { owner } => bail!("it is held by {owner}"),
    }
}

async fn append(store: &EventStore, lease: &Lease, head: &Head, append: &Append) -> Result<(), StoreError> {
    let mut connection = store.pool().acquire().await?;
    store.append(&mut connection, lease, head, append, Timestamp::from_s(1).unwrap()).await
}

#[tokio::test]
async fn an_append_on_an_old_version_or_head_changes_nothing() -> Result<()> {
    let (_, store) = store().await?;
    let (lease, head) = held(&store, 0, "one", 60_000).await?;
    let (other, _) = held(&store, 1, "one", 60_000).await?;
    let (first, after) = one_event(&lease, &head, "s-1", 0);
    append(&store, &lease, &head, &first).await?;
    let forged = Head { hash: EventHash([9; 32]), ..after };
    let cases = [
        ("an old head", &lease, head, one_event(&lease, &head, "s-2", 0).0),
        ("another chain", &lease, forged, one_event(&lease, &forged, "s-2", 0).0),
        ("an old version", &lease, after, one_event(&lease, &after, "s-1", 0).0),
        ("a version ahead", &lease, after, one_event(&lease, &after, "s-1", 2).0),
        ("another partition's stream", &other, EMPTY, one_event(&other, &EMPTY, "s-1", 0).0),
    ];
    for (what, lease, head, wrong) in cases {
        let refused = append(&store, lease, &head, &wrong).await;
        assert!(matches!(refused, Err(StoreError::Conflict { .. })), "{what}: {refused:?}");
    }
    assert_eq!((store.end(0).await?, store.end(1).await?), (after, EMPTY));
    let (second, _) = one_event(&lease, &after, "s-1", 1);
    append(&store, &lease, &after, &second).await?;
    let stored = store.page(0, 0, 10, 10).await?;
    assert_eq!(stored, [first.events, second.events].concat());
    Ok(())
}

#[tokio::test]
async fn who_has_lost_the_lease_cannot_append() -> Result<()> {
    let (_, store) = store().await?;
    let (first, head) = held(&store, 0, "one", 300).await?;
    let two: Arc<str> = "two".into();
    let by_two = || store.take_lease(0, &two, Duration::from_millis(60_000));
    assert_eq!(by_two().await?, Taken::ByAnother { owner: "one".into() });
    let (one, _) = one_event(&first, &head, "s-1", 0);

    // It was paused for longer than its lease, and no other writer has come.
    tokio::time::sleep(Duration::from_millis(400)).await;
    let refused = append(&store, &first, &head, &one).await;
    assert!(matches!(refused, Err(StoreError::LeaseLost { .. })), "{refused:?}");
    assert!(!store.renew_lease(&first).await?);

    // Another writer took the lease; then the first takes it again, in a new epoch.
    let Taken::Held(second, _) = by_two().await? else { bail!("it has run out") };
    assert!(second.epoch > first.epoch);
    let refused = append(&store, &first, &head, &one).await;
    assert!(matches!(refused, Err(StoreError::LeaseLost { .. })), "{refused:?}");
    append(&store, &second, &head, &one).await?;

    // A released lease need not expire.
    store.release_lease(&second).await?;
    let (third, found) = held(&store, 0, "one", 60_000).await?;
    assert_eq!((found.position, third.epoch), (1, second.epoch + 1));
    Ok(())
}

#[tokio::test]
async fn the_database_computes_the_same_chain() -> Result<()> {
    let (environment, store) = store().await?;
    let (intake, _tasks) = intake(&environment, &store, "one")?;
    for number in 0..20 {
        intake.submit(swipe(&format!("k{number}"), &format!("p{number}"), "850")).await?;
    }
    let differing: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM events LEFT JOIN events AS before
             ON before.partition = events.partition AND before.position = events.position - 1
         WHERE events.hash <> event_hash(COALESCE(before.hash, decode(repeat('00', 32), 'hex')), events)",
    )
    .fetch_one(store.pool())
    .await?;
    let events: i64 = sqlx::query_scalar("SELECT count(*) FROM events").fetch_one(store.pool()).await?;
    assert_eq!((differing, events), (0, 20));
    Ok(())
}

#[tokio::test]
async fn many_at_once_through_two_intakes_each_acts_once() -> Result<()> {
    let (environment, store) = store().await?;
    let intakes = [intake(&environment, &store, "one")?, intake(&environment, &store, "two")?];
    let mut waiting = JoinSet::new();
    for number in 0..60 {
        // Every command is sent three times, through both.
        for copy in 0..3 {
            let (intake, id) = (intakes[copy % 2].0.clone(), format!("p{number}"));
            waiting.spawn(async move {
                let command = swipe(&format!("k{id}"), &id, "850");
                loop {
                    match intake.submit(command.clone()).await {
                        Err(error) if error.is_passing() => {
                            tokio::time::sleep(Duration::from_millis(5)).await;
                        }
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
    let (intake, _tasks) = intake(&environment, &store, "one")?;
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
    let (intake, _tasks) = intake(&environment, &store, "one")?;
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
    let (intake, _tasks) = intake(&environment, &store, "one")?;
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
    let (intake, _tasks) = intake(&environment, &store, "one")?;
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
