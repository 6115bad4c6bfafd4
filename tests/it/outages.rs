//! The database dies, or the wire to it breaks, while commands are being committed.

use std::time::Duration;

use anyhow::Result;
use clearfold_tests::{Cut, Databases, Environment, Load, Proxy, Server, World, eventually};
use rustix::process::Signal;

use crate::proof::prove;

/// How long the clients work between two faults.
const BETWEEN: Duration = Duration::from_millis(400);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_is_killed_and_comes_back_has_lost_and_doubled_nothing() -> Result<()> {
    let mut environment = Environment::read()?;
    let mut server = Server::start(&environment)?;
    environment.database_url.clone_from(&server.url);
    let world = World::of(environment).await?;
    let mut host = world
        .host_with(|command| {
            command.env("PARTITION_LEASE_MS", "500");
        })
        .await?;
    let load = Load::start(&[host.address()])?;
    for signal in [Signal::KILL, Signal::QUIT, Signal::KILL, Signal::QUIT] {
        tokio::time::sleep(BETWEEN).await;
        server.crash(signal)?;
        tokio::time::sleep(BETWEEN).await;
        server.restart()?;
        working(&world).await?;
    }
    let heard = load.finish().await?;
    assert_eq!(host.ended()?, None, "the host outlives its database: {}", host.log()?);
    prove(&world, &host, &heard).await
}

#[tokio::test]
async fn a_wire_that_breaks_around_an_append_loses_and_doubles_nothing() -> Result<()> {
    const CUTS: u64 = 18;
    let world = World::new().await?;
    let proxy = Proxy::start(&world.databases.write_url).await?;
    let host = world
        .host_with(|command| {
            command.env("DATABASE_URL", &proxy.url);
        })
        .await?;
    let load = Load::start(&[host.address()])?;
    for (cut, number) in [Cut::InTheMiddle, Cut::BehindIt, Cut::BeforeTheAnswer].iter().cycle().zip(1..=CUTS)
    {
        proxy.cut(*cut);
        eventually("the wire breaks", async || Ok((proxy.cuts() == number).then_some(()))).await?;
        tokio::time::sleep(BETWEEN / 4).await;
    }
    let heard = load.finish().await?;
    prove(&world, &host, &heard).await
}

/// Waits until commands are committed again.
async fn working(world: &World) -> Result<()> {
    let before = recorded(&world.databases).await?;
    eventually("commands are committed again", async || {
        Ok((recorded(&world.databases).await? > before + 20).then_some(()))
    })
    .await
}

async fn recorded(databases: &Databases) -> Result<i64> {
    let write = databases.write().await?;
    Ok(sqlx::query_scalar("SELECT count(*) FROM commands").fetch_one(&write).await?)
}
