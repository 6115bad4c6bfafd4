//! Versions of a saga: instances that stay on theirs, a migration that moves them, and deciders that a version with open
//! instances cannot follow.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Result, ensure};
use clearfold_base::digest::Digest;
use clearfold_tests::{Application, Host, Output, World, variant};
use serde_json::{Value, json};
use sqlx::{PgPool, query_scalar};

use crate::sagas::request_of;
use crate::store::ACCOUNT;

const TOKEN: &str = "the-token-of-the-tests";

/// Host with an application of its own, and payments whose instances are open.
struct Site {
    world: World,
    application: Application,
    host: Host,
    write: PgPool,
    reversals: u32,
}

impl Site {
    async fn start() -> Result<Self> {
        let world = World::new().await?;
        let application = Application::of(&world)?;
        let host = spawned(&world, &application).await?;
        let write = world.databases.write().await?;
        Ok(Self { world, application, host, write, reversals: 0 })
    }

    async fn restart(self) -> Result<Self> {
        let Self { world, application, host, write, reversals } = self;
        assert!(host.stop()?.success());
        let host = spawned(&world, &application).await?;
        Ok(Self { world, application, host, write, reversals })
    }

    async fn send(&self, id: &str, kind: &str, payload: Value) -> Result<()> {
        let key = format!("{id}/{kind}/{}", payload["message_id"]);
        let body = json!({"aggregate": "authorization", "id": id, "account": ACCOUNT, "type": kind,
                          "schema_version": 1, "payload": payload});
        let answer = self.host.command_to(&key, &body).await?;
        ensure!(answer.status == 200, "{answer:?}");
        Ok(())
    }

    async fn advise(&self, id: &str) -> Result<()> {
        let mut advice = request_of(id, 40);
        advice.as_object_mut().unwrap().remove("partial_allowed");
        self.send(id, "RecordAdvice", advice).await
    }

    /// Gives back a hundredth, which moves the instance by one input.
    async fn give_back(&mut self, id: &str) -> Result<()> {
        self.reversals += 1;
        let reversal = json!({"message_id": format!("r{}", self.reversals), "extent": {"part": "10000000000000000"},
                              "cause": "merchant", "occurred_at": "2026-11-22T11:00:00.000Z"});
        self.send(id, "ReverseAuthorization", reversal).await
    }

    /// Versions that decided events of an instance.
    async fn decided(&self, id: &str) -> Result<BTreeSet<String>> {
        let digests = "SELECT DISTINCT encode(component_digest, 'hex') FROM events WHERE stream = $1";
        let digests = query_scalar(digests).bind(format!("saga-authorization-{id}"));
        Ok(digests.fetch_all(&self.write).await?.into_iter().collect())
    }

    /// Moves an instance on until a version decides it: hosts follow an activation by themselves.
    async fn is_decided_by(&mut self, id: &str, version: Digest) -> Result<()> {
        for _ in 0..200 {
            self.give_back(id).await?;
            if self.decided(id).await?.contains(&version.to_string()) {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        anyhow::bail!("{version} does not decide {id}")
    }

    /// Runs the program, and returns what it prints; the error is what it says on failure.
    fn says(&self, arguments: &[&str]) -> Result<Result<String, String>> {
        let databases = &self.world.databases;
        let mut command = Command::new(&self.world.environment.host);
        command.args(arguments).env("DATABASE_URL", &databases.write_url).env("USER", "anna");
        command.env("ADMIN_TOKEN", TOKEN).env("ADMIN_URL", format!("http://{}", self.host.address()));
        let output = Output::of(&mut command)?;
        Ok(if output.status.success() { Ok(output.stdout) } else { Err(output.stdout + &output.stderr) })
    }

    fn done(&self, arguments: &[&str]) -> Result<String> {
        self.says(arguments)?.map_err(|said| anyhow::anyhow!("{arguments:?}: {said}"))
    }

    fn refused(&self, arguments: &[&str]) -> Result<String> {
        self.says(arguments)?.map_or_else(Ok, |said| anyhow::bail!("{arguments:?}: {said}"))
    }

    /// Deploys a component, and returns its digest.
    fn deploy(&self, component: &str, wasm: &[u8]) -> Result<Digest> {
        let file: PathBuf = self.world.file(&format!("{component}.wasm"));
        std::fs::write(&file, wasm)?;
        self.done(&["component", "deploy", &file.display().to_string()])?;
        Ok(Digest::of(wasm))
    }

    fn activate(&self, digest: Digest) -> Result<String> {
        self.done(&["component", "activate", &digest.to_string(), "--expect-divergence", "a test"])
    }

    /// Returns the version in force.
    async fn in_force(&self) -> Result<Digest> {
        let newest =
            "SELECT component_digest FROM activations WHERE kind = 'saga' AND handler = 'authorization'
                      ORDER BY activation DESC LIMIT 1";
        let digest: Vec<u8> = query_scalar(newest).fetch_one(&self.write).await?;
        Ok(Digest(digest[..].try_into()?))
    }

    async fn activations(&self) -> Result<i64> {
        Ok(query_scalar("SELECT count(*) FROM activations").fetch_one(&self.write).await?)
    }
}

async fn spawned(world: &World, application: &Application) -> Result<Host> {
    let mut command = application.host_command(world)?;
    command.env("ADMIN_TOKEN", TOKEN);
    Host::start(command, world.file("host.log")).await
}

/// Replaces a text wherever it occurs by another of the same length.
fn respelled(wasm: &[u8], text: &str, other: &str) -> Result<Vec<u8>> {
    ensure!(text.len() == other.len() && !text.is_empty());
    let mut respelled = wasm.to_vec();
    let mut count = 0;
    for place in 0..=wasm.len().saturating_sub(text.len()) {
        if wasm[place..].starts_with(text.as_bytes()) {
            respelled[place..place + text.len()].copy_from_slice(other.as_bytes());
            count += 1;
        }
    }
    ensure!(count > 0, "`{text}` does not occur");
    Ok(respelled)
}

#[tokio::test]
async fn instances_are_moved_all_or_none_and_only_to_a_version_that_goes_on_with_them() -> Result<()> {
    let mut site = Site::start().await?;
    site.advise("a1").await?;
    let code = std::fs::read(site.application.file("saga-authorization"))?;
    let one = Digest::of(&code);
    let from = one.to_string();
    let migrate = ["saga", "migrate", "authorization", "--from", &from];
    let said = site.refused(&migrate)?;
    assert!(said.contains("is the saga authorization already"), "{said}");

    // A version that has another name for the step that waits.
    let broken = site.deploy("saga-authorization", &respelled(&code, "expire", "lapses")?)?;
    site.activate(broken)?;
    let before = site.activations().await?;
    let said = site.refused(&migrate)?;
    assert!(said.contains("cannot go on with 1 of 1 open instances") && said.contains("`expire`"), "{said}");
    assert!(said.contains("saga-authorization-a1"), "{said}");
    let said = site.refused(&[&migrate[..], &["--expect-divergence", "a test"]].concat())?;
    assert!(said.contains("cannot go on"), "a reason parks no instance: {said}");
    assert_eq!(site.activations().await?, before, "nothing was moved");

    let two = site.deploy("saga-authorization", &variant(&code, "two")?)?;
    site.activate(two)?;
    let said = site.done(&[&migrate[..], &["--dry-run"]].concat())?;
    assert!(said.contains("1 instances on") && said.contains("nothing was moved"), "{said}");
    assert_eq!(site.activations().await?, before + 1);
    site.give_back("a1").await?;
    assert_eq!(site.decided("a1").await?, BTreeSet::from([one.to_string()]));

    let said = site.done(&migrate)?;
    assert!(said.contains(&format!("all of them are decided by {two}")), "{said}");
    site.is_decided_by("a1", two).await?;
    let mut site = site.restart().await?;
    let first =
        "SELECT count(*) FROM events WHERE stream = 'saga-authorization-a1' AND component_digest = $1";
    let decided_by_first: i64 = query_scalar(first).bind(&one.0[..]).fetch_one(&site.write).await?;
    site.give_back("a1").await?;
    let still: i64 = query_scalar(first).bind(&one.0[..]).fetch_one(&site.write).await?;
    assert_eq!(still, decided_by_first, "the version that it began on decides it no more");

    what_was_moved_away_from_is_left_for_good(&site, one)?;
    let shown = site.done(&["saga", "versions", "authorization"])?;
    assert!(shown.contains(&format!("begin on {two}")), "{shown}");
    assert!(shown.contains(&format!("moved: decided by {two}")), "{shown}");
    let history = site.done(&["component", "history", "saga", "authorization"])?;
    assert!(history.contains("migrate by anna") && history.contains("moves the instances on"), "{history}");
    // The instances of the version in force are moved on, too; the way back from there passes over both that were left.
    let three = site.deploy("saga-authorization", &variant(&code, "three")?)?;
    site.activate(three)?;
    site.done(&["saga", "migrate", "authorization", "--from", &two.to_string()])?;
    site.done(&["component", "rollback", "saga", "authorization"])?;
    assert_eq!(site.in_force().await?, broken, "the newest version before that was not left");
    let Site { world, host, .. } = site;
    assert!(host.stop()?.success());
    let replayed = world.clearfold(&["replay", "--verify"])?;
    assert!(replayed.status.success() && replayed.stdout.contains("came to the same again"), "{replayed:?}");
    Ok(())
}

fn what_was_moved_away_from_is_left_for_good(site: &Site, one: Digest) -> Result<()> {
    let one = one.to_string();
    let attempts = [
        &["component", "activate", &one, "--expect-divergence", "a test"][..],
        &["component", "rollback", "saga", "authorization", "--to", &one],
        &["saga", "migrate", "authorization", "--from", &one],
    ];
    for attempt in attempts {
        let said = site.refused(attempt)?;
        assert!(said.contains("were moved away") && said.contains("deploy another build"), "{said}");
    }
    Ok(())
}

#[tokio::test]
async fn a_decider_whose_events_an_open_instance_cannot_take_in_is_named_with_the_version() -> Result<()> {
    let site = Site::start().await?;
    site.advise("a1").await?;
    let saga = Digest::of(&std::fs::read(site.application.file("saga-authorization"))?);
    let code = std::fs::read(site.application.file("decider-authorization"))?;
    let other = site.deploy("decider-authorization", &respelled(&code, "expires_at", "expires_on")?)?;
    let other = other.to_string();
    let said = site.refused(&["component", "verify", &other])?;
    assert!(
        said.contains("DIFFERENT") && said.contains("a saga cannot take in what it decides otherwise"),
        "{said}"
    );
    let short = &saga.to_string()[..12];
    assert!(said.contains(&format!("the saga authorization on {short}, with 1 open instances")), "{said}");
    assert!(said.contains("FAILED     authorization-a1"), "{said}");
    // A reason for deciding otherwise is none for parking instances.
    for reason in [&[][..], &["--expect-divergence", "a test"]] {
        let said = site.refused(&[&["component", "activate", &other][..], reason].concat())?;
        assert!(said.contains("cannot observe 1 events") && said.contains("saga migrate"), "{said}");
    }
    let said = site.done(&["component", "verify", &Digest::of(&code).to_string()])?;
    assert!(!said.contains("FAILED"), "{said}");
    assert!(site.host.stop()?.success());
    Ok(())
}
