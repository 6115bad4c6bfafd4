//! The host dies at every place of the write path in turn, while commands and swipes arrive.

use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::time::Duration;

use anyhow::{Result, bail};
use clearfold_tests::{Host, Load, World, cents};
use rustix::process::Signal;

use crate::proof::prove;
use crate::swipe::{sorted_facts, spends};

/// Pauses before the host dies, in milliseconds: it dies before it can do anything else.
const AT_ONCE: &[u64] = &[0];
/// It dies once at once, and once after a pause in which the rest of it continues, so that a client would hear an
/// answer that was sent too early.
const AND_LINGERING: &[u64] = &[0, 40];

/// Fault points in the order of the flow; how often each is passed before the host dies there; and the pauses.
const PLACES: [(&str, u32, &[u64]); 16] = [
    ("lease_taken", 3, AT_ONCE),
    ("lease_renewed", 5, AT_ONCE),
    ("queued", 80, AT_ONCE),
    // Few streams exist by now, and a host loads each once.
    ("states_loaded", 1, AT_ONCE),
    ("prepared", 30, AND_LINGERING),
    ("decided", 30, AND_LINGERING),
    ("before_append", 30, AND_LINGERING),
    ("committed", 30, AND_LINGERING),
    ("answered", 80, AND_LINGERING),
    ("states_kept", 30, AND_LINGERING),
    ("published", 30, AT_ONCE),
    ("noted", 30, AT_ONCE),
    ("before_projection", 50, AT_ONCE),
    ("projected", 50, AT_ONCE),
    ("range_submitted", 0, AT_ONCE),
    ("lease_given_back", 2, AT_ONCE),
];

#[tokio::test]
async fn dying_at_every_place_of_the_write_path_loses_and_doubles_nothing() -> Result<()> {
    let world = World::new().await?;
    // The first start of new components compiles them, for longer than a host may take to die.
    assert!(world.host().await?.stop()?.success());
    let load = Load::start(&[])?;
    let rounds =
        PLACES.iter().flat_map(|(place, passed, ways)| ways.iter().map(move |ms| (*place, passed, ms)));
    let mut deaths = 0;
    for (place, passed, after_ms) in rounds {
        let faults = format!("{place}={passed}*off->return({after_ms})");
        let mut host = host(&world, &faults)?;
        // It may die before it listens.
        if host.ready().await.is_ok() {
            load.send_to(&[host.address()]);
        }
        for swipe in 0..3 {
            world.chain.swipe(swipe, cents(100 + deaths)).await?;
        }
        if place == "lease_given_back" {
            host.signal(Signal::TERM)?;
        }
        let status = ended(&mut host, place).await?;
        assert_eq!(status.signal(), Some(Signal::ABORT.as_raw()), "{place}: {}", host.log()?);
        deaths += 1;
    }
    let mut host = host(&world, "")?;
    host.ready().await?;
    load.send_to(&[host.address()]);
    let heard = load.finish().await?;
    assert!(heard.len() > 30 * usize::try_from(deaths)?, "{} commands are no load", heard.len());
    prove(&world, &host, &heard).await?;
    let expected = spends(&world).await?;
    assert_eq!(expected.len(), 3 * usize::try_from(deaths)?);
    let all = host.payments_when(expected.len() + requested(&heard)).await?;
    let swiped: Vec<_> = all.into_iter().filter(|payment| payment["source"].is_object()).collect();
    assert_eq!(sorted_facts(&swiped), expected);
    Ok(())
}

/// Host with the shortest lease and frequent snapshots.
fn host(world: &World, faults: &str) -> Result<Host> {
    let mut command = world.host_command()?;
    command.envs([("FAILPOINTS", faults), ("PARTITION_LEASE_MS", "500"), ("SNAPSHOT_EVERY", "10")]);
    Host::spawn(command, world.file("host.log"))
}

/// Waits until the host has died at a fault point.
pub async fn ended(host: &mut Host, place: &str) -> Result<ExitStatus> {
    const PATIENCE_MS: u64 = 15_000;
    const PAUSE_MS: u64 = 20;
    for _ in 0..PATIENCE_MS / PAUSE_MS {
        if let Some(status) = host.ended()? {
            return Ok(status);
        }
        tokio::time::sleep(Duration::from_millis(PAUSE_MS)).await;
    }
    bail!("the host does not come to `{place}`:\n{}", host.log()?)
}

/// Number of payments that the clients have asked for.
fn requested(heard: &[clearfold_tests::Heard]) -> usize {
    heard.iter().filter(|heard| heard.body["type"] == "RequestAuthorization").count()
}
