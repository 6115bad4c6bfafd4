//! Two hosts compete for the same partitions: each pauses again and again while the other goes on, or knows fewer
//! activations than the other.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use clearfold_base::clock::Clock;
use clearfold_base::tasks::Tasks;
use clearfold_engine::command::{
    ActiveDecider, AggregateDeciders, Answer, CommandError, CommandIntake, Deciders, IntakeSettings,
};
use clearfold_engine::registry::{Handler, Registry};
use clearfold_sandbox::ComponentKind;
use clearfold_tests::{Host, Load, World, activation, deployment};
use rustix::process::Signal;
use sqlx::{PgPool, Row};
use tokio::sync::watch;

use crate::proof::prove;
use crate::store::{AUTHORIZATION, decider, held, store, swipe, writing};

/// Longer than the lease.
const PAUSE_MS: u64 = 900;
/// Longer than any client should wait for an answer.
const PATIENCE: Duration = Duration::from_secs(20);

#[tokio::test]
async fn two_hosts_that_fight_for_the_partitions_never_write_between_each_other() -> Result<()> {
    let world = World::new().await?;
    let write = world.databases.write().await?;
    record_appends(&write).await?;
    let (one, other) = (rival(&world, "one").await?, rival(&world, "other").await?);
    let load = Load::start(&[one.address(), other.address()])?;
    for round in 0..8_u64 {
        let paused = if round % 2 == 0 { &one } else { &other };
        tokio::time::sleep(Duration::from_millis(300 + 37 * round)).await;
        paused.signal(Signal::STOP)?;
        tokio::time::sleep(Duration::from_millis(PAUSE_MS)).await;
        paused.signal(Signal::CONT)?;
    }
    let heard = load.finish().await?;
    let changes = changes_of_hands(&write).await?;
    assert!(changes > 4, "the partitions changed hands {changes} times: that is no fight");
    let refused = one.log()?.matches("is not held in epoch").count()
        + other.log()?.matches("is not held in epoch").count();
    assert!(refused > 0, "no append came too late");
    assert!(one.stop()?.success() && other.stop()?.success());
    let last = rival(&world, "last").await?;
    prove(&world, &last, &heard).await
}

/// Starts a host whose writes can be told from another's. It pauses now and then between a decision and its append,
/// for longer than its lease.
async fn rival(world: &World, name: &str) -> Result<Host> {
    let url = format!("{}?options[test.host]={name}", world.databases.write_url);
    let faults = format!("before_append=80*off->1*sleep({PAUSE_MS})->120*off->1*sleep({PAUSE_MS})");
    let mut command = world.host_command()?;
    command.envs([("DATABASE_URL", url.as_str()), ("PARTITION_LEASE_MS", "500"), ("FAILPOINTS", &faults)]);
    Host::start(command, world.file(name)).await
}

/// Lets the database record, in the transaction of each append, the connection and the lease of the append.
async fn record_appends(write: &PgPool) -> Result<()> {
    sqlx::raw_sql(
        "CREATE TABLE appends (nth bigserial, partition integer, host text, holder text, epoch bigint, after bigint,
                               up_to bigint);
         CREATE FUNCTION note_append() RETURNS trigger LANGUAGE plpgsql AS $$
         BEGIN
             INSERT INTO appends (partition, host, holder, epoch, after, up_to)
             VALUES (NEW.partition, current_setting('test.host'), NEW.lease_owner, NEW.lease_epoch, OLD.head_sequence,
                     NEW.head_sequence);
             RETURN NULL;
         END
         $$;
         CREATE TRIGGER note_append AFTER UPDATE ON partitions FOR EACH ROW
         WHEN (OLD.head_sequence <> NEW.head_sequence) EXECUTE FUNCTION note_append();",
    )
    .execute(write)
    .await?;
    Ok(())
}

/// Checks that the events of an epoch are contiguous, after all earlier epochs, and came from the host that held the
/// lease. Returns how often the appending host changed.
async fn changes_of_hands(write: &PgPool) -> Result<usize> {
    let appends = sqlx::query(
        "SELECT partition, host, holder, epoch, after, up_to FROM appends ORDER BY partition, nth",
    );
    let mut ends: BTreeMap<i32, (String, i64, i64)> = BTreeMap::new();
    let mut hosts: BTreeMap<String, String> = BTreeMap::new();
    let mut changes = 0;
    for row in appends.fetch_all(write).await? {
        let (partition, host, holder): (i32, String, String) = (row.get(0), row.get(1), row.get(2));
        let (epoch, after, up_to): (i64, i64, i64) = (row.get(3), row.get(4), row.get(5));
        assert_eq!(
            *hosts.entry(holder).or_insert_with(|| host.clone()),
            host,
            "it appended under another's lease"
        );
        let (before, older, end) = ends.entry(partition).or_insert_with(|| (host.clone(), 0, 0));
        assert_eq!(after, *end, "partition {partition} does not go on where it ended");
        assert!(
            epoch > *older || (epoch == *older && host == *before),
            "{host} appended to partition {partition} in epoch {epoch}, after {before} in epoch {older}"
        );
        changes += usize::from(host != *before);
        (*before, *older, *end) = (host, epoch, up_to);
    }
    Ok(changes)
}

#[tokio::test]
async fn a_host_that_does_not_know_what_decides_says_so_and_goes_on_when_it_knows() -> Result<()> {
    let (environment, store) = store().await?;
    let registry = Registry::new(store.pool().clone());
    let handler = Handler { kind: ComponentKind::Decider, name: "authorization".to_owned() };
    let wasm = std::fs::read(environment.component(AUTHORIZATION))?;
    let digest = registry.keep(&wasm, &deployment(AUTHORIZATION, &handler)).await?;
    for newest in [0, 1] {
        registry.activate(&activation(&handler, digest, newest)).await?;
    }
    // The other host took over the second activation everywhere, and died; this one knows the first.
    for partition in 0..store.partition_count() {
        let (lease, _) = held(&store, partition, "other", 60_000).await?;
        store.begin_activations(&lease, 2).await?;
        store.release_lease(&lease).await?;
    }
    let running = Arc::new(ActiveDecider::new(Arc::new(decider(&environment, AUTHORIZATION)?), digest));
    let knowing = |through| {
        let in_force = AggregateDeciders { stable: Arc::clone(&running), canary: None };
        Arc::new(Deciders::new(through, BTreeMap::from([("authorization".to_owned(), in_force)])))
    };
    let (known, deciders) = watch::channel(knowing(1));
    let mut tasks = Tasks::default();
    let settings = IntakeSettings { queue_length: 256, writer: writing("one") };
    let intake = CommandIntake::start(&store, deciders, &Clock::system(), &settings, &mut tasks);
    for _ in 0..2 {
        let answer = tokio::time::timeout(PATIENCE, intake.submit(swipe("k", "p", "850"))).await?;
        let Err(CommandError::Unavailable(why)) = answer else { panic!("{answer:?}") };
        assert!(why.contains("activation 2 is in force"), "{why}");
    }
    known.send_replace(knowing(2));
    let answer = loop {
        match tokio::time::timeout(PATIENCE, intake.submit(swipe("k", "p", "850"))).await? {
            Err(error) if error.is_passing() => {}
            answer => break answer?,
        }
    };
    assert!(matches!(answer, Answer::Accepted { stream_version: 1, .. }), "{answer:?}");
    Ok(())
}
