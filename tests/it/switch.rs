//! The switch to another component as others see it: readers of payments, an audit, and a host that dies.

use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, ensure};
use clearfold_audit::{Audit, Scope};
use clearfold_base::clock::Clock;
use clearfold_base::digest::Digest;
use clearfold_sandbox::Auditor;
use clearfold_tests::{Databases, Host, Noting, Output, World, cents, eventually, variant};
use clearfold_views::projection::{Readers, stored_digest};
use clearfold_views::query::{PaymentFilter, ReadStore, asked_of};
use rustix::process::Signal;
use sqlx::{AssertSqlSafe, PgPool};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::aborts::ended;
use crate::audit::check;
use crate::supervised::{Projection, Scene, tidy};

const PAYMENTS: &str = "projector-payments";

/// Returns every row of the payments' tables, as text.
async fn rows(read: &PgPool) -> Result<Vec<String>> {
    let tables = "SELECT tablename::text FROM pg_tables WHERE schemaname = 'payments' ORDER BY 1";
    let tables: Vec<String> = sqlx::query_scalar(tables).fetch_all(read).await?;
    ensure!(tables.len() > 1, "{tables:?}");
    let mut rows = Vec::new();
    for table in tables {
        let all = format!("SELECT '{table} ' || to_jsonb(row)::text FROM payments.{table} row ORDER BY 1");
        rows.extend(sqlx::query_scalar::<_, String>(AssertSqlSafe(all)).fetch_all(read).await?);
    }
    Ok(rows)
}

/// Waits until as many payments are projected as there are events.
async fn projected(scene: &Scene, read: &PgPool) -> Result<Vec<String>> {
    let events: i64 = sqlx::query_scalar("SELECT count(*) FROM events").fetch_one(scene.store.pool()).await?;
    eventually("all payments", async || {
        let count: i64 = sqlx::query_scalar("SELECT count(*) FROM payments.payment").fetch_one(read).await?;
        Ok((count == events).then_some(()))
    })
    .await?;
    rows(read).await
}

#[tokio::test]
async fn payments_and_audits_are_served_all_along_and_the_rows_are_those_of_a_fresh_build() -> Result<()> {
    let scene = Scene::new().await?;
    let read = scene.read().await?;
    let wasm = std::fs::read(scene.environment.component(PAYMENTS))?;
    let one = scene.projector(PAYMENTS, &wasm)?;
    let two = scene.projector(PAYMENTS, &variant(&wasm, "two")?)?;
    scene.swipes(120).await?;
    let ground = || scene.ground(&read, Readers(asked_of("payments")));
    let projection = Projection::start(Arc::clone(&one), None, ground()).await?;
    projected(&scene, &read).await?;

    let stop = CancellationToken::new();
    let change = async {
        for next in [&two, &one, &two] {
            projection.wanted.send_replace(Arc::clone(next));
            projection.is_live(next).await?;
        }
        stop.cancel();
        anyhow::Ok(())
    };
    let load = async {
        while !stop.is_cancelled() {
            scene.swipes(1).await?;
            // Leaves time to the builds, which share this thread.
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        anyhow::Ok(())
    };
    let ask = async {
        let (store, mut most) = (ReadStore::new(scene.read().await?), 0);
        while !stop.is_cancelled() {
            let (payments, _) = store.payments(&PaymentFilter::default(), 1_000).await?;
            ensure!(payments.len() >= most.max(120), "{most} payments, and then {}", payments.len());
            most = payments.len();
        }
        Ok(())
    };
    let audit = async {
        let (live, pool) = (vec![projection.live.clone()], scene.read().await?);
        let audit = Audit::new(scene.store.clone(), pool, live, nobody(), Clock::system())?;
        let mut checks = 0;
        while !stop.is_cancelled() {
            let report = audit.check(&Scope::Everything, &|_| {}).await?;
            ensure!(report.holds, "{report:#?}");
            checks += 1;
        }
        anyhow::Ok(checks)
    };
    let ((), (), (), checks) = tokio::try_join!(change, load, ask, audit)?;
    assert!(checks > 0);
    let built_beside = projected(&scene, &read).await?;
    assert_eq!(projection.switches().len(), 3);
    tidy(&read, "payments").await?;

    let fresh = scene.pool(&Databases::migrated(&scene.environment).await?.read_url).await?;
    let _fresh = Projection::start(two, None, scene.ground(&fresh, Readers::default())).await?;
    assert_eq!(projected(&scene, &fresh).await?, built_beside);
    Ok(())
}

#[tokio::test]
async fn an_audit_that_began_before_a_switch_takes_no_rows_for_others() -> Result<()> {
    let scene = Scene::new().await?;
    let read = scene.read().await?;
    let one = scene.noting(Noting::default())?;
    let two = scene.noting(Noting { mark: "two", ..Noting::default() })?;
    scene.swipes(40).await?;
    let projection = scene.supervise(&read, one, None).await?;
    scene.noted(&read, "one").await?;
    let live = vec![projection.live.clone()];
    let audit =
        Audit::new(scene.store.clone(), scene.databases.read().await?, live, nobody(), Clock::system())?;

    // It has begun its transaction, and waits for the table.
    let mut in_the_way = read.begin().await?;
    sqlx::raw_sql("LOCK TABLE noting.event").execute(&mut *in_the_way).await?;
    let change = async {
        eventually("the audit's wait", async || {
            let waits = "SELECT count(*) FROM pg_locks JOIN pg_database ON pg_database.oid = database
                         WHERE NOT granted AND datname = current_database()";
            let waits: i64 = sqlx::query_scalar(waits).fetch_one(&read).await?;
            Ok((waits == 1).then_some(()))
        })
        .await?;
        projection.wanted.send_replace(Arc::clone(&two));
        projection.is_live(&two).await?;
        anyhow::Ok(in_the_way.rollback().await?)
    };
    let check = async { Ok(audit.check(&Scope::Everything, &|_| {}).await?) };
    let ((), report) = tokio::try_join!(change, check)?;
    assert!(report.holds, "{report:#?}");
    Ok(())
}

/// Manifest that names another projector of payments, which differs only in its digest.
fn manifest(world: &World, text: &str) -> Result<(PathBuf, Digest)> {
    let wasm = variant(&std::fs::read(world.environment.component(PAYMENTS))?, text)?;
    let (component, manifest) = (world.file(&format!("{text}.wasm")), world.file(&format!("{text}.toml")));
    std::fs::write(&component, &wasm)?;
    let usual = std::fs::read_to_string(world.environment.root.join("spin.toml"))?;
    let built = |name: &str| format!("target/components/{name}");
    let other = usual
        .replace(&built(&format!("{PAYMENTS}.wasm")), &component.display().to_string())
        .replace(&built(""), &format!("{}/", world.environment.components.display()));
    std::fs::write(&manifest, other)?;
    Ok((manifest, Digest::of(&wasm)))
}

#[tokio::test]
async fn a_host_that_dies_while_it_builds_or_switches_leaves_the_old_rows_or_the_new_ones() -> Result<()> {
    let world = World::new().await?;
    let read = world.databases.read().await?;
    let wanted: Vec<_> = (0..30).map(|n| (n % 3, cents(100 + n as u64))).collect();
    world.chain.swipes(&wanted).await?;
    let host = world.host().await?;
    let payments = host.payments_when(30).await?;
    assert!(host.stop()?.success());
    let before = rows(&read).await?;
    for (place, passed) in
        [("before_build_batch", 2), ("build_batch", 1), ("before_switch", 0), ("switched", 0)]
    {
        let (manifest, digest) = manifest(&world, place)?;
        let mut command = world.host_command()?;
        command.env("MANIFEST", &manifest).env("PROJECTION_BATCH_SIZE", "5");
        command.env("FAILPOINTS", format!("{place}={passed}*off->return"));
        let mut host = Host::spawn(command, world.file("host.log"))?;
        let status = ended(&mut host, place).await?;
        assert_eq!(status.signal(), Some(Signal::ABORT.as_raw()), "{place}: {}", host.log()?);
        assert_eq!(rows(&read).await?, before, "{place}");
        let is_switched = stored_digest(&read, "payments").await? == Some(digest);
        assert_eq!(is_switched, place == "switched", "{place}");

        let mut command = world.host_command()?;
        command.env("MANIFEST", &manifest);
        let host = Host::start(command, world.file("host.log")).await?;
        assert_eq!(host.payments().await?, payments, "{place}");
        eventually("the switch", async || {
            Ok((stored_digest(&read, "payments").await? == Some(digest)).then_some(()))
        })
        .await?;
        assert_eq!(rows(&read).await?, before, "{place}");
        assert_eq!(host.payments().await?, payments, "{place}");
        let report = host.get("/v1/invariants").await?;
        assert_eq!(report.body["holds"], true, "{place}: {report:?}");
        begun(&world).await?;
        assert!(host.stop()?.success());
        let checked = Output::of(&mut check(&world, &[]))?;
        assert!(checked.status.success(), "{checked:?}");
    }
    // While no host has built the rows of the component in force, the check reports nothing about them.
    let (manifest, _) = manifest(&world, "later")?;
    let mut deploy = Command::new(&world.environment.host);
    deploy.args(["deploy", "--manifest"]).arg(manifest).env("DATABASE_URL", &world.databases.write_url);
    let deployed = Output::of(&mut deploy)?;
    assert!(deployed.status.success(), "{deployed:?}");
    let checked = Output::of(&mut check(&world, &[]))?;
    assert!(!checked.status.success(), "{checked:?}");
    assert!(checked.stdout.contains("made by another component than this one"), "{checked:?}");
    assert!(!checked.stdout.contains("VIOLATED"), "{checked:?}");
    Ok(())
}

/// Waits until the points of every projector that was in force are recorded.
async fn begun(world: &World) -> Result<()> {
    let write = world.databases.write().await?;
    eventually("where every projector began", async || {
        let missing: i64 = sqlx::query_scalar(
            "SELECT count(*) FROM activations CROSS JOIN partitions
             WHERE kind = 'projector' AND NOT EXISTS (
                 SELECT FROM activation_points AS begun
                 WHERE begun.activation = activations.activation AND begun.partition = partitions.partition)",
        )
        .fetch_one(&write)
        .await?;
        Ok((missing == 0).then_some(()))
    })
    .await
}

/// No auditors.
fn nobody() -> watch::Receiver<Vec<Arc<Auditor>>> {
    watch::Sender::default().subscribe()
}
