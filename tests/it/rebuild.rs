//! A projection gets another component: its tables are built beside those that are read, and switched to without a
//! gap.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use clearfold_base::digest::Digest;
use clearfold_sandbox::Projector;
use clearfold_tests::{Noting, eventually, variant};
use clearfold_views::projection::{ProjectionError, Readers, State, Status, stored_digest};
use sqlx::{AssertSqlSafe, PgPool, Row};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::supervised::{Projection, Scene, tidy};

/// Projection of a log, whose rows are marked `one`, and two components that mark them otherwise.
struct Begun {
    scene: Scene,
    read: PgPool,
    one: Arc<Projector>,
    two: Arc<Projector>,
    three: Arc<Projector>,
    projection: Projection,
}

impl Begun {
    async fn with(events: u64, readers: Readers) -> Result<Self> {
        let scene = Scene::new().await?;
        let read = scene.read().await?;
        let marked = |mark| scene.noting(Noting { mark, ..Noting::default() });
        let (one, two, three) = (marked("one")?, marked("two")?, marked("three")?);
        scene.swipes(events).await?;
        let ground = scene.ground(&read, readers);
        let projection = Projection::start(Arc::clone(&one), None, ground).await?;
        scene.noted(&read, "one").await?;
        Ok(Self { scene, read, one, two, three, projection })
    }
}

/// Reads the rows repeatedly until it is told to stop: there are never fewer, and never those of two components at
/// once. Returns the marks that were seen, in order.
async fn look(read: &PgPool, stop: &CancellationToken) -> Result<Vec<String>> {
    let (mut marks, mut most): (Vec<String>, i64) = (Vec::new(), 1);
    while !stop.is_cancelled() {
        // One statement, kept prepared on each connection.
        let rows = "SELECT count(*), min(mark), max(mark) FROM noting.event";
        let (count, one, other): (i64, Option<String>, Option<String>) =
            sqlx::query_as(rows).fetch_one(read).await?;
        ensure!(count >= most, "{most} rows, and then {count}");
        ensure!(one == other, "rows of {one:?} and of {other:?} at once");
        most = count;
        let mark = one.context("a mark")?;
        if marks.last() != Some(&mark) {
            marks.push(mark);
        }
    }
    Ok(marks)
}

#[tokio::test]
async fn under_load_another_component_takes_the_place_and_no_reader_sees_a_gap() -> Result<()> {
    let Begun { scene, read, two, projection, .. } = Begun::with(150, Readers::default()).await?;
    let stop = CancellationToken::new();
    let change = async {
        projection.wanted.send_replace(Arc::clone(&two));
        let status = projection.is_live(&two).await?;
        // After the switch a few more events arrive.
        tokio::time::sleep(Duration::from_millis(100)).await;
        stop.cancel();
        anyhow::Ok(status)
    };
    let load = async {
        while !stop.is_cancelled() {
            scene.swipes(1).await?;
        }
        anyhow::Ok(())
    };
    let (status, (), marks) = tokio::try_join!(change, load, look(&read, &stop))?;
    assert_eq!(marks, ["one", "two"]);
    scene.noted(&read, "two").await?;
    tidy(&read, "noting").await?;

    let switches = projection.switches();
    let [switch] = &switches[..] else { panic!("{switches:?}") };
    assert_eq!((switch.digest, Some(switch)), (Some(two.id().digest), status.live.as_ref()));
    assert!(switch.since.is_some() && switch.from.iter().sum::<u64>() >= 150, "{switch:?}");
    assert_eq!(projection.live.borrow().id(), two.id());
    assert_eq!(stored_digest(&read, "noting").await?, Some(two.id().digest));
    projection.stop().await
}

/// Keeps a build from switching, and nothing else: it holds the read tables as a batch does.
async fn no_switch(read: &PgPool) -> Result<sqlx::Transaction<'static, sqlx::Postgres>> {
    let mut transaction = read.begin().await?;
    let hold = "SELECT name FROM projections WHERE replaces IS NULL FOR SHARE";
    sqlx::query(hold).execute(&mut *transaction).await?;
    Ok(transaction)
}

async fn builds(read: &PgPool) -> Result<BTreeMap<Digest, i64>> {
    let builds = "SELECT digest, (SELECT COALESCE(sum(position), 0)::bigint FROM projection_checkpoints
                                  WHERE projection = projections.name)
                  FROM projections WHERE replaces IS NOT NULL";
    let builds = sqlx::query(builds).fetch_all(read).await?.into_iter();
    builds.map(|row| Ok((Digest(row.get::<Vec<u8>, _>(0)[..].try_into()?), row.get(1)))).collect()
}

/// Waits until this component, and no other, is being built and has reached this position.
async fn is_built_up_to(read: &PgPool, projector: &Projector, events: i64) -> Result<()> {
    eventually("the build", async || {
        Ok((builds(read).await? == BTreeMap::from([(projector.id().digest, events)])).then_some(()))
    })
    .await
}

/// Components that were switched to, in order.
fn to(projection: &Projection) -> Vec<Digest> {
    projection.switches().iter().filter_map(|switch| switch.digest).collect()
}

#[tokio::test]
async fn what_is_half_built_is_thrown_away_for_a_third_component_and_for_a_rollback() -> Result<()> {
    let Begun { scene, read, one, two, three, projection } = Begun::with(60, Readers::default()).await?;
    // It reaches its last batch, and can neither switch nor give up.
    let held = no_switch(&read).await?;
    projection.wanted.send_replace(Arc::clone(&two));
    is_built_up_to(&read, &two, 60).await?;
    projection.wanted.send_replace(Arc::clone(&one));
    eventually("the rollback", async || Ok(builds(&read).await?.is_empty().then_some(()))).await?;
    projection.is_live(&one).await?;
    scene.swipes(10).await?;
    scene.noted(&read, "one").await?;

    projection.wanted.send_replace(Arc::clone(&two));
    is_built_up_to(&read, &two, 70).await?;
    projection.wanted.send_replace(Arc::clone(&three));
    is_built_up_to(&read, &three, 70).await?;
    scene.swipes(10).await?;
    scene.noted(&read, "one").await?;
    held.rollback().await?;
    projection.is_live(&three).await?;
    scene.noted(&read, "three").await?;
    tidy(&read, "noting").await?;
    assert_eq!(to(&projection), [three.id().digest]);
    projection.stop().await
}

#[tokio::test]
async fn a_component_that_cannot_read_the_log_never_becomes_live() -> Result<()> {
    let Begun { scene, read, one, projection, .. } = Begun::with(60, Readers::default()).await?;
    let failing = scene.noting(Noting { mark: "two", traps_at: 5, ..Noting::default() })?;
    projection.wanted.send_replace(Arc::clone(&failing));
    let why = projection.failed().await?;
    assert!(why.contains("event 5 of partition") && why.contains("component noting"), "{why}");
    let status = projection.status.borrow().clone();
    assert_eq!(status.live.and_then(|live| live.digest), Some(one.id().digest));
    scene.swipes(10).await?;
    scene.noted(&read, "one").await?;

    // The next start finds it failing again, at once; the code of the tables that are read goes on.
    projection.stop().await?;
    let projection = scene.supervise(&read, Arc::clone(&failing), Some(Arc::clone(&one))).await?;
    projection.failed().await?;
    scene.swipes(10).await?;
    scene.noted(&read, "one").await?;
    assert_eq!(projection.live.borrow().id(), one.id());

    let mended = scene.noting(Noting { mark: "three", ..Noting::default() })?;
    projection.wanted.send_replace(Arc::clone(&mended));
    projection.is_live(&mended).await?;
    scene.noted(&read, "three").await?;
    tidy(&read, "noting").await?;
    projection.stop().await
}

#[tokio::test]
async fn other_tables_take_the_place_and_come_back() -> Result<()> {
    const ASKED: &[&[&str]] = &[&["SELECT mark FROM noting.event WHERE position = $1"]];
    let Begun { scene, read, one, projection, .. } = Begun::with(60, Readers(ASKED)).await?;
    let wider = Noting { version: 2, more: Some("remark"), ..Noting::default() };
    let (unraised, two) = (scene.noting(Noting { version: 1, ..wider })?, scene.noting(wider)?);
    let unreadable = scene.noting(Noting { version: 3, column: "sign", ..Noting::default() })?;

    projection.wanted.send_replace(unraised);
    let why = projection.failed().await?;
    assert!(why.contains("raise the version"), "{why}");
    projection.wanted.send_replace(Arc::clone(&two));
    projection.is_live(&two).await?;
    let remarks: i64 = sqlx::query_scalar("SELECT count(remark) FROM noting.event").fetch_one(&read).await?;
    assert_eq!(remarks, 60);

    projection.wanted.send_replace(unreadable);
    let why = projection.failed().await?;
    assert!(why.contains("the API could not read") && why.contains("mark"), "{why}");

    // An explicit activation is followed, also of an older version.
    projection.wanted.send_replace(Arc::clone(&one));
    projection.is_live(&one).await?;
    scene.noted(&read, "one").await?;
    tidy(&read, "noting").await?;
    assert_eq!(projection.switches().len(), 2);
    projection.stop().await
}

#[tokio::test]
async fn tables_that_the_api_cannot_read_are_not_kept_for_it() -> Result<()> {
    const ASKED: &[&[&str]] = &[&["SELECT mark FROM noting.event"]];
    let scene = Scene::new().await?;
    let read = scene.read().await?;
    let unread = scene.noting(Noting { column: "sign", ..Noting::default() })?;
    let two = scene.noting(Noting { version: 2, mark: "two", ..Noting::default() })?;
    scene.swipes(30).await?;
    let projection = scene.supervise(&read, unread, None).await?;
    eventually("all events", async || {
        let count: i64 = sqlx::query_scalar("SELECT count(sign) FROM noting.event").fetch_one(&read).await?;
        Ok((count == 30).then_some(()))
    })
    .await?;
    projection.stop().await?;

    let projection = Projection::start(Arc::clone(&two), None, scene.ground(&read, Readers(ASKED))).await?;
    // The tables that the API needs are there at once, with more and more rows.
    sqlx::query(ASKED[0][0]).fetch_all(&read).await?;
    assert_eq!(builds(&read).await?, BTreeMap::new());
    scene.noted(&read, "two").await?;
    projection.is_live(&two).await?;
    tidy(&read, "noting").await?;
    projection.stop().await
}

/// Waits until a session has timed out waiting for a lock and waits again.
async fn tried_again(read: &PgPool) -> Result<()> {
    let waits = async || {
        let waits = "SELECT query_start::text FROM pg_stat_activity
                     WHERE wait_event_type = 'Lock' AND datname = current_database()";
        Ok(sqlx::query_scalar::<_, String>(waits).fetch_optional(read).await?)
    };
    let first = eventually("a wait for a lock", waits).await?;
    eventually("another attempt", async || Ok(waits().await?.filter(|again| *again != first))).await?;
    Ok(())
}

#[tokio::test]
async fn tables_that_somebody_locks_for_a_while_are_neither_dropped_nor_given_up() -> Result<()> {
    const ASKED: &[&[&str]] = &[&["SELECT mark FROM noting.event"]];
    let Begun { scene, read, two, three, projection, .. } = Begun::with(60, Readers(ASKED)).await?;
    let others = scene.databases.read().await?;
    let lock = async || {
        let mut in_the_way = others.begin().await?;
        sqlx::raw_sql("LOCK TABLE noting.event").execute(&mut *in_the_way).await?;
        anyhow::Ok(in_the_way)
    };

    // Blocks the first look at the tables that are read.
    let in_the_way = lock().await?;
    projection.wanted.send_replace(Arc::clone(&two));
    tried_again(&others).await?;
    in_the_way.rollback().await?;
    projection.is_live(&two).await?;
    let built_beside: u64 = projection.switches()[0].from.iter().sum();
    assert_eq!(built_beside, 60);

    // Blocks the switch.
    let held = no_switch(&others).await?;
    projection.wanted.send_replace(Arc::clone(&three));
    is_built_up_to(&others, &three, 60).await?;
    let in_the_way = lock().await?;
    held.rollback().await?;
    tried_again(&others).await?;
    in_the_way.rollback().await?;
    projection.is_live(&three).await?;
    scene.noted(&read, "three").await?;
    projection.stop().await
}

/// A batch locks its tables one after the other. Whoever drops them and had locked a later one would wait for the batch,
/// and the batch for it.
#[tokio::test]
async fn tables_are_dropped_in_the_order_in_which_a_batch_locks_them() -> Result<()> {
    const UNREADABLE: &[&[&str]] = &[&["SELECT no_such_column FROM payments.payment"]];
    let scene = Scene::new().await?;
    let patient = scene.databases.read().await?;
    let wasm = std::fs::read(scene.environment.component("projector-payments"))?;
    let one = scene.projector("projector-payments", &wasm)?;
    let projection = scene.supervise(&patient, one, None).await?;
    projection.stop().await?;
    let tables = "SELECT tablename::text FROM pg_tables WHERE schemaname = 'payments' ORDER BY 1";
    let tables: Vec<String> = sqlx::query_scalar(tables).fetch_all(&patient).await?;
    let (first, later) = tables.split_first().context("tables")?;
    ensure!(later.len() > 1, "{tables:?}");

    let mut batch = patient.begin().await?;
    let lock = |table: &str, more: &str| format!("LOCK TABLE payments.{table} IN ROW EXCLUSIVE MODE {more}");
    sqlx::raw_sql(AssertSqlSafe(lock(first, ""))).execute(&mut *batch).await?;
    // Tables that the API cannot read are made anew.
    let two = scene.projector("projector-payments", &variant(&wasm, "two")?)?;
    let ground = scene.ground(&patient, Readers(UNREADABLE));
    let mut dropping = JoinSet::new();
    dropping.spawn(async move { Projection::start(two, None, ground).await.map(drop) });
    eventually("a wait for the first table", async || {
        let waits = "SELECT count(*) FROM pg_locks WHERE relation = $1::regclass AND NOT granted";
        let waits = sqlx::query_scalar::<_, i64>(waits).bind(format!("payments.{first}"));
        Ok((waits.fetch_one(&patient).await? > 0).then_some(()))
    })
    .await?;
    for table in later {
        let locked = sqlx::raw_sql(AssertSqlSafe(lock(table, "NOWAIT"))).execute(&mut *batch).await;
        locked.with_context(|| format!("{table} is locked by whoever waits for {first}"))?;
    }
    batch.rollback().await?;
    // The outcome of the drop has a test of its own.
    _ = dropping.join_next().await.context("the drop")??;
    Ok(())
}

#[tokio::test]
async fn at_the_next_start_a_build_goes_on_or_is_dropped() -> Result<()> {
    let Begun { scene, read, two, three, projection, .. } = Begun::with(60, Readers::default()).await?;
    projection.stop().await?;

    // Without the old code its rows are still read, but not updated.
    let held = no_switch(&read).await?;
    let projection = scene.supervise(&read, Arc::clone(&two), None).await?;
    is_built_up_to(&read, &two, 60).await?;
    let begun = "SELECT created_at::text FROM projections WHERE replaces IS NOT NULL";
    let first: String = sqlx::query_scalar(begun).fetch_one(&read).await?;
    projection.cut_off();
    scene.noted(&read, "one").await?;

    let projection = scene.supervise(&read, Arc::clone(&two), None).await?;
    scene.swipes(5).await?;
    is_built_up_to(&read, &two, 60).await?;
    let again: String = sqlx::query_scalar(begun).fetch_one(&read).await?;
    assert_eq!(again, first);
    projection.cut_off();

    let projection = scene.supervise(&read, Arc::clone(&three), None).await?;
    assert_eq!(builds(&read).await?.into_keys().collect::<Vec<_>>(), [three.id().digest]);
    held.rollback().await?;
    projection.is_live(&three).await?;
    scene.noted(&read, "three").await?;
    tidy(&read, "noting").await?;
    projection.stop().await
}

#[tokio::test]
async fn of_two_hosts_one_switches_and_the_other_follows() -> Result<()> {
    let Begun { scene, read, one, two, three, projection: here } =
        Begun::with(100, Readers::default()).await?;
    let others = scene.read().await?;
    let there = scene.supervise(&others, one, None).await?;

    // Both follow the activation.
    here.wanted.send_replace(Arc::clone(&two));
    there.wanted.send_replace(Arc::clone(&two));
    tokio::try_join!(scene.swipes(50), here.is_live(&two), there.is_live(&two))?;
    scene.noted(&read, "two").await?;

    // Only one follows it, and the other does not have the code: it neither writes the tables nor takes them back.
    here.wanted.send_replace(Arc::clone(&three));
    here.is_live(&three).await?;
    let left = |status: &Status| status.state == State::LeftAlone { digest: two.id().digest };
    scene.swipes(20).await?;
    there.when(left).await?;
    scene.noted(&read, "three").await?;
    there.wanted.send_replace(Arc::clone(&three));
    there.is_live(&three).await?;
    tidy(&read, "noting").await?;
    let both = vec![two.id().digest, three.id().digest];
    assert_eq!((to(&here), to(&there)), (both.clone(), both));
    here.stop().await?;
    there.stop().await
}

#[tokio::test]
async fn rows_from_before_digests_were_kept_are_adopted_as_they_are() -> Result<()> {
    let Begun { scene, read, one, two, projection, .. } = Begun::with(20, Readers::default()).await?;
    projection.stop().await?;
    sqlx::query("UPDATE projections SET digest = NULL").execute(&read).await?;
    let projection = scene.supervise(&read, Arc::clone(&two), None).await?;
    projection.is_live(&two).await?;
    scene.noted(&read, "one").await?;
    assert_eq!(stored_digest(&read, "noting").await?, Some(two.id().digest));
    projection.stop().await?;

    // An older version means that the host is out of date, unless it knows the newer one that it goes back from.
    sqlx::query("UPDATE projections SET version = 2").execute(&read).await?;
    let refused = scene.supervise(&read, Arc::clone(&one), None).await.err().context("it is refused")?;
    assert!(matches!(refused.downcast_ref(), Some(ProjectionError::Older { .. })), "{refused:#}");
    sqlx::query("UPDATE projections SET version = 1").execute(&read).await?;
    let projection = scene.supervise(&read, Arc::clone(&one), Some(two)).await?;
    projection.is_live(&one).await?;
    scene.noted(&read, "one").await?;
    projection.stop().await
}
