//! Projections: the owner of their tables, and the effect of another host that took them over.

use anyhow::Result;
use clearfold_tests::{Output, World, cents, eventually};

#[tokio::test]
async fn a_schema_that_no_projection_made_is_not_dropped() -> Result<()> {
    let world = World::new().await?;
    let read = world.databases.read().await?;
    sqlx::raw_sql("CREATE SCHEMA payments; CREATE TABLE payments.invoices (id int); INSERT INTO payments.invoices VALUES (1)")
        .execute(&read)
        .await?;
    let output = Output::of(&mut world.host_command()?)?;
    assert!(
        !output.status.success() && output.stderr.contains("a schema `payments` that no projection made"),
        "{output:?}"
    );
    let invoices: i64 = sqlx::query_scalar("SELECT count(*) FROM payments.invoices").fetch_one(&read).await?;
    assert_eq!(invoices, 1);
    Ok(())
}

#[tokio::test]
async fn a_host_leaves_tables_of_another_declaration_alone() -> Result<()> {
    let world = World::new().await?;
    let host = world.host().await?;
    world.chain.swipes(&[(0, cents(100)), (0, cents(200))]).await?;
    host.payments_when(2).await?;
    // Another host deploys version 99: the checkpoints are gone, and the tables no longer belong to this host.
    let read = world.databases.read().await?;
    let replaced =
        "DELETE FROM projections; TRUNCATE payments.payment, payments.payment_event, payments.account_asset;
                    INSERT INTO projections VALUES ('payments', 99, 'other tables', now())";
    sqlx::raw_sql(replaced).execute(&read).await?;
    world.chain.swipe(0, cents(300)).await?;
    eventually("the host's farewell", async || {
        Ok(host.log()?.contains("are another component's now").then_some(()))
    })
    .await?;
    let rows: i64 = sqlx::query_scalar("SELECT count(*) FROM payments.payment").fetch_one(&read).await?;
    assert_eq!(rows, 0);
    let output = Output::of(&mut world.host_command()?)?;
    assert!(!output.status.success() && output.stderr.contains("deploy the newer component"), "{output:?}");
    Ok(())
}

#[tokio::test]
async fn a_read_store_of_another_log_is_refused() -> Result<()> {
    let world = World::new().await?;
    let host = world.host().await?;
    world.chain.swipe(0, cents(100)).await?;
    host.payments_when(1).await?;
    assert!(host.stop()?.success());
    let read = world.databases.read().await?;
    sqlx::query("UPDATE projection_checkpoints SET position = position + 1000").execute(&read).await?;
    let output = Output::of(&mut world.host_command()?)?;
    assert!(!output.status.success() && output.stderr.contains("ahead of the log"), "{output:?}");
    Ok(())
}
