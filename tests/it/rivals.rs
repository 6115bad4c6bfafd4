//! Two hosts want the same partitions, and each stands still again and again while the other goes on.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Result;
use clearfold_tests::{Host, Load, World};
use rustix::process::Signal;
use sqlx::{PgPool, Row};

use crate::proof::prove;

/// Longer than the lease.
const PAUSE_MS: u64 = 900;

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

/// A host whose writes can be told from another's. It stands still now and then between a decision and its append, and
/// when it goes on its lease is over.
async fn rival(world: &World, name: &str) -> Result<Host> {
    let url = format!("{}?options[test.host]={name}", world.databases.write_url);
    let faults = format!("before_append=80*off->1*sleep({PAUSE_MS})->120*off->1*sleep({PAUSE_MS})");
    let mut command = world.host_command()?;
    command.envs([("DATABASE_URL", url.as_str()), ("PARTITION_LEASE_MS", "500"), ("FAILPOINTS", &faults)]);
    Host::start(command, world.file(name)).await
}

/// Has the database note whose connection appends what under whose lease, in the transaction that does it.
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

/// Sees that what was appended in an epoch stands together, behind all epochs before, and came from the host that held
/// the lease. The answer: how often another host appended than the one before.
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
