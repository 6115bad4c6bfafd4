//! The host dies at any moment, and no payment is lost or doubled.

use std::io::Write;
use std::net::TcpStream;
use std::time::Duration;

use anyhow::Result;
use clearfold_tests::{Host, World, cents, eventually};
use rustix::process::Signal;
use sqlx::{PgPool, Row};

use crate::aborts::ended;
use crate::swipe::{sorted_facts, spends};

#[tokio::test]
async fn killed_again_and_again_while_swipes_arrive_the_payments_equal_the_spends() -> Result<()> {
    const KILLS: u64 = 12;
    let world = World::new().await?;
    for round in 0..KILLS {
        let host = world.host().await?;
        // Swipes arrive while the host is up and while it is down; it dies a little later each time.
        let wanted: Vec<_> = (0..4).map(|n| (n % 3, cents(100 + round * 10 + n as u64))).collect();
        world.chain.swipes(&wanted).await?;
        tokio::time::sleep(Duration::from_millis(round * 13)).await;
        host.kill()?;
        world.chain.swipe(0, cents(7)).await?;
    }
    let host = world.host().await?;
    let expected = spends(&world).await?;
    assert_eq!(expected.len(), usize::try_from(KILLS * 5)?);
    let payments = eventually("all payments", async || {
        let payments = host.payments().await?;
        Ok((payments.len() >= expected.len()).then_some(payments))
    })
    .await?;
    assert_eq!(sorted_facts(&payments), expected);
    consistent(&world.databases.write().await?).await
}

#[tokio::test]
async fn the_read_store_is_built_again_from_the_log() -> Result<()> {
    let world = World::new().await?;
    let host = world.host().await?;
    world.chain.swipes(&[(0, cents(100)), (1, cents(200)), (0, cents(300))]).await?;
    let before = host.payments_when(3).await?;
    host.kill()?;
    let read = world.databases.read().await?;
    sqlx::query("DELETE FROM projections").execute(&read).await?;
    let host = world.host().await?;
    assert_eq!(host.payments_when(3).await?, before);
    Ok(())
}

#[tokio::test]
async fn a_second_host_on_the_same_databases_doubles_nothing() -> Result<()> {
    let world = World::new().await?;
    let (one, two) = (world.host().await?, world.host().await?);
    for round in 0..5_u64 {
        world
            .chain
            .swipes(&[(0, cents(100 + round)), (1, cents(200 + round)), (2, cents(300 + round))])
            .await?;
    }
    let expected = spends(&world).await?;
    for host in [&one, &two] {
        assert_eq!(sorted_facts(&host.payments_when(expected.len()).await?), expected);
    }
    consistent(&world.databases.write().await?).await
}

#[tokio::test]
async fn a_host_that_is_told_to_stop_while_it_starts_stops_in_order() -> Result<()> {
    let world = World::new().await?;
    let mut host = Host::spawn(world.host_command()?, world.file("host.log"))?;
    eventually("its first line", async || Ok((!host.log()?.is_empty()).then_some(()))).await?;
    host.signal(Signal::TERM)?;
    let status = ended(&mut host, "its end").await?;
    assert!(status.success(), "{status}: {}", host.log()?);
    assert!(host.log()?.contains("stopped"), "{}", host.log()?);
    Ok(())
}

#[tokio::test]
async fn a_request_that_never_ends_does_not_hold_up_the_end() -> Result<()> {
    let world = World::new().await?;
    let host = world.host().await?;
    let mut half_sent = TcpStream::connect(host.address())?;
    half_sent.write_all(b"POST /v1/commands HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{")?;
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(host.stop()?.success());
    Ok(())
}

/// Checks the log: positions and versions without a gap, and every event in its stream once.
pub async fn consistent(write: &PgPool) -> Result<()> {
    let partitions = sqlx::query(
        "SELECT head_position, count(events.position), COALESCE(min(position), 1), COALESCE(max(position), 0)
         FROM partitions LEFT JOIN events USING (partition) GROUP BY partition, head_position",
    );
    for row in partitions.fetch_all(write).await? {
        let (head, count, first, last): (i64, i64, i64, i64) =
            (row.get(0), row.get(1), row.get(2), row.get(3));
        assert_eq!((head, first, last), (count, 1, count));
    }
    let streams = sqlx::query(
        "SELECT version, count(*), max(stream_version) FROM streams JOIN events USING (partition, stream)
         GROUP BY stream, version",
    );
    for row in streams.fetch_all(write).await? {
        let (version, count, last): (i64, i64, i64) = (row.get(0), row.get(1), row.get(2));
        assert_eq!((version, last), (count, count));
    }
    Ok(())
}
