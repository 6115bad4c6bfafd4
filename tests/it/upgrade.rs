//! A log that the program before this one wrote, and a database with another program's functions of the write path.

use std::process::Command;

use anyhow::{Context, Result};
use clearfold_base::database::{SchemaError, migrate as migrate_both};
use clearfold_tests::{Application, Databases, Environment, Host, Output, World, cents, eventually};
use sqlx::{AssertSqlSafe, PgPool, query, query_scalar, raw_sql};

const BEFORE: &str = include_str!("../../migrations/write/0004_snapshot_entries.sql");

const REGISTRY: &str = include_str!("../../migrations/write/0005_registry.sql");

/// Runs the program, which must refuse, and returns the reason that it gives.
fn refusal(world: &World) -> Result<String> {
    let output = Output::of(&mut world.host_command()?)?;
    assert!(!output.status.success(), "{output:?}");
    Ok(output.stderr)
}

fn migrate(world: &World) -> Result<Output> {
    let mut command = Command::new(&world.environment.host);
    command
        .arg("migrate")
        .env("DATABASE_URL", &world.databases.write_url)
        .env("READ_DATABASE_URL", &world.databases.read_url);
    Output::of(&mut command)
}

/// Takes the schema back to version 6, with its function of 47 arguments. The log stays.
async fn age(write: &PgPool) -> Result<()> {
    let types = "SELECT string_agg(typname, ', ') FROM pg_type JOIN pg_class ON pg_class.oid = typrelid
                 WHERE typname LIKE 'append\\_%' AND relkind = 'c'";
    let types: String = query_scalar(types).fetch_one(write).await?;
    let (_, function) =
        BEFORE.split_once("CREATE FUNCTION append_batch(").context("it defines the function")?;
    let (_, activate) =
        REGISTRY.split_once("CREATE FUNCTION activate(").context("it defines the function")?;
    let (activate, _) = activate.split_once("$$;").context("the function ends")?;
    let older = format!(
        "DROP FUNCTION activate; CREATE FUNCTION activate({activate}$$;
         DROP FUNCTION append_batch; DROP TYPE {types}; DROP TABLE definitions, timers, effects, pull_requests, pull_withdrawals;
         ALTER TABLE activations DROP CONSTRAINT activations_pause_check,
             DROP CONSTRAINT activations_migrate_saga_check, DROP COLUMN moved_from;
         DROP TABLE submitter_snapshots, submitter_changes, submitters;
         DELETE FROM _sqlx_migrations WHERE version > 6; CREATE FUNCTION append_batch({function}"
    );
    raw_sql(AssertSqlSafe(older)).execute(write).await?;
    Ok(())
}

#[tokio::test]
async fn a_log_of_the_version_before_goes_on_after_it_is_migrated() -> Result<()> {
    let world = World::new().await?;
    // Schema version 6 is older than sagas.
    let application = Application::of(&world)?;
    application.remove_saga("authorization", "saga-authorization")?;
    let host = Host::start(application.host_command(&world)?, world.file("host.log")).await?;
    world.chain.swipes(&[(0, cents(1_000)), (1, cents(300))]).await?;
    host.payments_when(2).await?;
    assert!(host.stop()?.success());
    let write = world.databases.write().await?;
    age(&write).await?;
    let said = refusal(&world)?;
    assert!(said.contains("schema version 6") && said.contains("run `clearfold migrate`"), "{said}");
    for _ in 0..2 {
        let migrated = migrate(&world)?;
        assert!(migrated.status.success(), "{migrated:?}");
    }
    let host = world.host().await?;
    world.chain.swipes(&[(0, cents(200))]).await?;
    host.payments_when(3).await?;
    assert!(host.stop()?.success());
    for (arguments, said) in [
        (&["verify"][..], "events are as they were written"),
        (&["replay", "--verify"], "came to the same again"),
    ] {
        let output = world.clearfold(arguments)?;
        assert!(output.status.success() && output.stdout.contains(said), "{output:?}");
    }
    Ok(())
}

#[tokio::test]
async fn a_database_with_another_programs_functions_is_refused_until_it_is_migrated() -> Result<()> {
    let world = World::new().await?;
    let write = world.databases.write().await?;
    let other = "UPDATE definitions SET digest = sha256('another') WHERE name = 'write_path.sql'";
    assert_eq!(query(other).execute(&write).await?.rows_affected(), 1);
    // Not by `regproc`: a connection plans that once, as a constant.
    let function = "SELECT oid::bigint FROM pg_proc WHERE proname = 'append_batch'";
    let before: i64 = query_scalar(function).fetch_one(&write).await?;
    let said = refusal(&world)?;
    assert!(said.contains("other definitions of write_path.sql"), "{said}");
    assert!(migrate(&world)?.status.success());
    let defined: i64 = query_scalar(function).fetch_one(&write).await?;
    assert_ne!(defined, before, "the file was applied again");
    assert!(migrate(&world)?.status.success());
    let again: i64 = query_scalar(function).fetch_one(&write).await?;
    assert_eq!(again, defined, "what is up to date stays, with the types that running hosts know");
    assert!(world.host().await?.stop()?.success());
    Ok(())
}

#[tokio::test]
async fn of_two_migrations_at_once_the_one_with_another_number_of_partitions_is_told() -> Result<()> {
    let databases = Databases::migrated(&Environment::read()?).await?;
    let (write, read) = (databases.write().await?, databases.read().await?);
    // The log is laid out anew, by two that both find none.
    for partition in 0..8 {
        let gone = format!("DROP TABLE events_p{partition}, commands_p{partition}");
        sqlx::raw_sql(sqlx::AssertSqlSafe(gone)).execute(&write).await?;
    }
    sqlx::raw_sql("DELETE FROM outbox; DELETE FROM partitions").execute(&write).await?;
    let mut hold = write.begin().await?;
    sqlx::raw_sql("LOCK TABLE partitions IN EXCLUSIVE MODE").execute(&mut *hold).await?;
    let migrations = [3, 4].map(|count| migrate_both(&write, &read, Some(count)));
    let release = async {
        eventually("both lay out the log", async || {
            let waiting = "SELECT count(*) FROM pg_stat_activity
                           WHERE wait_event_type = 'Lock' AND datname = current_database()
                             AND query LIKE 'SELECT create_partitions(%'";
            let waiting: i64 = sqlx::query_scalar(waiting).fetch_one(&write).await?;
            Ok((waiting == 2).then_some(()))
        })
        .await?;
        Ok::<_, anyhow::Error>(hold.rollback().await?)
    };
    let (results, released) = tokio::join!(futures::future::join_all(migrations), release);
    released?;
    let laid_out: i64 = sqlx::query_scalar("SELECT count(*) FROM partitions").fetch_one(&write).await?;
    for (result, wanted) in results.into_iter().zip([3, 4]) {
        match result {
            Ok(report) => assert_eq!(i64::from(report.partition_count), laid_out),
            Err(SchemaError::PartitionCount { existing, wanted: told }) => {
                assert_eq!((i64::from(existing), told), (laid_out, wanted));
                assert_ne!(existing, wanted);
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}
