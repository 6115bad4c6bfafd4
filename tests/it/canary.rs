//! Canaries that fail or decide otherwise: they are taken out automatically, and nothing is lost.

use std::process::Command;

use anyhow::{Context, Result};
use clearfold_base::digest::Digest;
use clearfold_tests::{Described, Handler, Host, Output, World, cents, eventually, reworded};
use sqlx::{PgPool, query_scalar};

use crate::hot_swap::refusal;

/// Makes a decider of authorizations that describes itself correctly and decides with this body.
fn that_does(world: &World, body: &str) -> Result<Vec<u8>> {
    /// Returns no key for any message.
    const NO_KEYS: &str = "(i32.store (i32.const 512) (i32.const 600))
                           (i32.store (i32.const 516) (local.get 1)) (i32.const 512)";
    let described =
        Described { name: "authorization", version: 1, parts: vec!["RecordSwipe"], schema_version: 1 };
    let handler = Handler { described, ..Handler::good("decider") };
    handler.doing("keys", NO_KEYS).doing("decide", body).build(&world.environment)
}

/// Starts a canary on as many accounts as possible, and waits until it decides for them.
async fn tried(world: &World, write: &PgPool, wasm: &[u8], allowed: [&str; 2]) -> Result<()> {
    let file = world.file("canary.wasm");
    std::fs::write(&file, wasm)?;
    let (file, digest) = (file.display().to_string(), Digest::of(wasm).to_string());
    let canary = [&["component", "canary", &digest, "--share", "99.9%"], &allowed[..]].concat();
    for arguments in [&["component", "deploy", &file][..], &canary] {
        let mut command = Command::new(&world.environment.host);
        let done = Output::of(command.args(arguments).env("DATABASE_URL", &world.databases.write_url))?;
        assert!(done.status.success(), "{done:?}");
    }
    eventually("the canary everywhere", async || {
        let begun = "SELECT count(*) FROM activation_points JOIN activations USING (activation) WHERE cause = 'canary'";
        let begun: i64 = query_scalar(begun).fetch_one(write).await?;
        Ok((begun == 8).then_some(()))
    })
    .await
}

/// Makes swipes, which become payments without a dead letter, and returns why the canary was taken out.
async fn outlived(world: &World, host: &Host, write: &PgPool, swipes: usize) -> Result<String> {
    let wanted: Vec<_> = (0..swipes).map(|account| (account, cents(1_000))).collect();
    world.chain.swipes(&wanted).await?;
    eventually("the cursor behind the swipes, and their payments", async || {
        let letters: i64 = query_scalar("SELECT count(*) FROM dead_letters").fetch_one(write).await?;
        assert_eq!(letters, 0);
        Ok((host.payments().await?.len() == swipes).then_some(()))
    })
    .await?;
    gone(write).await?.context("it is still tried")
}

/// Returns why the canary was taken out, if it was.
async fn gone(write: &PgPool) -> Result<Option<String>> {
    let why = query_scalar("SELECT why FROM activations WHERE cause = 'automatic_rollback'");
    Ok(why.fetch_optional(write).await?)
}

#[tokio::test]
async fn a_canary_that_traps_goes_by_itself_and_no_swipe_is_lost() -> Result<()> {
    let world = World::new().await?;
    let host = world.host().await?;
    let write = world.databases.write().await?;
    let hostile = that_does(&world, "unreachable")?;
    tried(&world, &write, &hostile, ["--max-faults", "2"]).await?;
    let why = outlived(&world, &host, &write, 3).await?;
    assert!(why.starts_with("it failed on ") && why.ends_with(" and 2 may fail"), "{why}");
    let by_it: i64 = query_scalar("SELECT count(*) FROM commands WHERE component_digest = $1")
        .bind(Digest::of(&hostile).0.to_vec())
        .fetch_one(&write)
        .await?;
    assert_eq!(by_it, 0);
    assert!(host.stop()?.success());
    Ok(())
}

#[tokio::test]
async fn a_canary_that_never_answers_goes_by_itself_and_no_swipe_is_lost() -> Result<()> {
    let world = World::new().await?;
    let host = world.host().await?;
    let write = world.databases.write().await?;
    let hostile = that_does(&world, "(loop $again (br $again)) unreachable")?;
    tried(&world, &write, &hostile, ["--max-faults", "0"]).await?;
    let why = outlived(&world, &host, &write, 1).await?;
    assert!(why.ends_with(" and 0 may fail"), "{why}");
    assert!(host.stop()?.success());
    Ok(())
}

#[tokio::test]
async fn a_canary_may_decide_otherwise_as_often_as_is_allowed() -> Result<()> {
    let world = World::new().await?;
    let host = world.host().await?;
    let write = world.databases.write().await?;
    let usual = std::fs::read(world.environment.component("decider-card"))?;
    let other = reworded(&usual, "card_not_issued", "card_never_seen")?;
    tried(&world, &write, &other, ["--max-differences", "2"]).await?;
    for card in ["c1", "c2", "c3"] {
        assert_eq!(refusal(&host, card).await?, "card_never_seen", "{card}");
    }
    let why = eventually("the canary is taken out", async || gone(&write).await).await?;
    assert!(why.starts_with("it decided 3 of 3 commands otherwise, and 2 may differ"), "{why}");
    assert!(host.stop()?.success());
    Ok(())
}
