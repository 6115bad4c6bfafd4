//! The database crashes, or the connection to it breaks or falls silent, while commands are committed.

use std::time::Duration;

use anyhow::Result;
use clearfold_base::clock::Clock;
use clearfold_engine::command::{Answer, WriterSettings};
use clearfold_store::EventStore;
use clearfold_tests::{Cut, Databases, Environment, Load, Proxy, Server, Silence, World, eventually};
use rustix::process::Signal;
use sqlx::PgPool;

use crate::proof::prove;
use crate::store::{AUTHORIZATION, intake_of, swipe, writing};

/// Time for which the clients work between two faults.
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

#[tokio::test]
async fn a_wire_that_falls_silent_is_given_up_and_the_command_is_answered_when_it_speaks() -> Result<()> {
    // In parallel, since each takes as long as the writer's time-out.
    let places = [Silence::AtTheLookup, Silence::AtTheAppend, Silence::AtTheAnswer];
    futures::future::try_join_all(places.map(answered_after)).await?;
    Ok(())
}

/// Has one command answered whose statement gets no reply until the writer closes the connection.
async fn answered_after(silence: Silence) -> Result<()> {
    let environment = Environment::read()?;
    let databases = Databases::migrated(&environment).await?;
    let proxy = Proxy::start(&databases.write_url).await?;
    let store = EventStore::open(PgPool::connect(&proxy.url).await?).await?;
    // A long lease, so that no renewal meets the silent connection before the command does.
    let writer = WriterSettings { lease: Duration::from_secs(240), ..writing("one") };
    let (intake, _tasks) = intake_of(&environment, &store, AUTHORIZATION, writer, &Clock::system())?;
    intake.submit(swipe("first", "first", "850")).await?;
    proxy.fall_silent(silence);
    let network = async {
        let given_up = async || Ok((proxy.given_up() == 1).then_some(()));
        eventually(&format!("{silence:?}: the silent connection is given up"), given_up).await?;
        proxy.speak();
        anyhow::Ok(())
    };
    let command = async { anyhow::Ok(intake.submit(swipe("k", "p", "850")).await?) };
    let (answer, ()) = tokio::try_join!(command, network)?;
    assert!(matches!(answer, Answer::Accepted { stream_version: 1, .. }), "{silence:?}: {answer:?}");
    let stands = "SELECT count(*) FROM events WHERE stream = 'authorization-p'";
    let stands: i64 = sqlx::query_scalar(stands).fetch_one(&databases.write().await?).await?;
    assert_eq!(stands, 1, "{silence:?}");
    Ok(())
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
