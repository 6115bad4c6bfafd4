//! Signatures of components: added later, made with other keys, and missing.

use std::process::Command;

use anyhow::{Context, Result};
use clearfold_base::digest::Digest;
use clearfold_tests::{Application, Host, Output, World, eventually, signing_key, variant};
use ring::signature::{Ed25519KeyPair, KeyPair};
use serde_json::{Value, json};
use sqlx::{PgPool, query_as, query_scalar};

/// Key in the form of COMPONENT_SIGNERS.
fn public(key: &Ed25519KeyPair) -> String {
    key.public_key().as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn signed_by(key: &Ed25519KeyPair) -> impl Fn(&[u8]) -> Vec<u8> {
    |wasm| key.sign(wasm).as_ref().to_vec()
}

/// Host of the application, which requires a signature by one of these keys.
fn asking(application: &Application, world: &World, signers: &str) -> Result<Command> {
    let mut command = application.host_command(world)?;
    command.env("COMPONENT_SIGNERS", signers);
    Ok(command)
}

#[tokio::test]
async fn what_runs_unsigned_is_signed_later_and_keys_are_exchanged() -> Result<()> {
    let world = World::new().await?;
    let application = Application::of(&world)?;
    let host = Host::start(application.host_command(&world)?, world.file("host.log")).await?;
    assert!(host.stop()?.success());
    let (one, other) = (signing_key(1)?, signing_key(2)?);
    for key in [&one, &other] {
        application.sign(signed_by(key))?;
        let command = asking(&application, &world, &public(key))?;
        let host = Host::start(command, world.file("host.log")).await?;
        assert!(host.stop()?.success());
    }
    // A key that is no longer accepted lets no host start.
    let refused = Output::of(&mut asking(&application, &world, &public(&one))?)?;
    assert!(
        !refused.status.success() && refused.stderr.contains("by none of COMPONENT_SIGNERS"),
        "{refused:?}"
    );
    // A signature is not lost when a start requires none.
    let host = Host::start(application.host_command(&world)?, world.file("host.log")).await?;
    assert!(host.stop()?.success());
    let unsigned: i64 = query_scalar("SELECT count(*) FROM components WHERE signature IS NULL")
        .fetch_one(&world.databases.write().await?)
        .await?;
    assert_eq!(unsigned, 0);
    Ok(())
}

/// Deploys and activates an unsigned component, with a command line that requires no signature.
fn smuggled(world: &World, component: &str, handler: &str) -> Result<String> {
    let wasm = variant(&std::fs::read(world.environment.component(component))?, "unsigned")?;
    let file = world.file(&format!("unsigned-{component}.wasm"));
    std::fs::write(&file, &wasm)?;
    let file = file.display().to_string();
    let deployed = world.clearfold(&["component", "deploy", &file, "--handler", handler, "--activate"])?;
    anyhow::ensure!(deployed.status.success(), "{deployed:?}");
    Ok(Digest::of(&wasm).to_string())
}

/// Activates another decider of cards, signed by the key. Returns the activation.
fn another_signed_card_decider(
    world: &World,
    application: &Application,
    key: &Ed25519KeyPair,
) -> Result<i64> {
    let card = variant(&std::fs::read(application.file("decider-card"))?, "signed")?;
    application.replace("decider-card", &card)?;
    application.sign(signed_by(key))?;
    let card_file = application.file("decider-card").display().to_string();
    let signers = public(key);
    let deploy = ["component", "deploy", &card_file, "--activate", "--component-signers", &signers, "--json"];
    let activated: Value = serde_json::from_str(&world.clearfold(&deploy)?.stdout)?;
    activated["activation"].as_i64().context("no activation")
}

/// Lines of a host's log about a handler or component.
fn said_of(host: &Host, message: &str, what: &str) -> Result<usize> {
    let log = host.log()?;
    let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let about = |line: &Value| {
        let text = line["message"].as_str().unwrap_or_default();
        text.starts_with(message) && line.to_string().contains(what)
    };
    Ok(lines.filter(about).count())
}

async fn begun(write: &PgPool, activation: i64) -> Result<()> {
    eventually("the activation everywhere", async || {
        let points = query_scalar("SELECT count(*) FROM activation_points WHERE activation = $1");
        let points: i64 = points.bind(activation).fetch_one(write).await?;
        Ok((points == 8).then_some(()))
    })
    .await
}

#[tokio::test]
async fn what_nobody_vouches_for_is_not_followed_and_holds_up_nothing_else() -> Result<()> {
    let world = World::new().await?;
    let write = world.databases.write().await?;
    let application = Application::of(&world)?;
    let host = Host::start(application.host_command(&world)?, world.file("host.log")).await?;
    assert!(host.stop()?.success());
    // The projector that made the rows has no signature, and its successor has one.
    let payments = std::fs::read(application.file("projector-payments"))?;
    application.replace("projector-payments", &variant(&payments, "signed")?)?;
    let key = signing_key(1)?;
    application.sign(signed_by(&key))?;
    let start = async || {
        let command = asking(&application, &world, &public(&key))?;
        Host::start(command, world.file("host.log")).await
    };
    let host = start().await?;
    assert_eq!(said_of(&host, "what made the rows that are read does not run here", "not signed")?, 1);

    let edge = host.get("/edge/payments/none").await?;
    assert_ne!(edge.body["code"], json!("no_such_path"), "{edge:?}");

    let smuggled = [
        ("auditor-payments", "auditor payments", smuggled(&world, "auditor-payments", "payments")?),
        ("edge-payments", "http edge-payments", smuggled(&world, "edge-payments", "edge-payments")?),
    ];
    for (component, handler, _) in &smuggled {
        eventually("the host's refusal", async || {
            let refused = said_of(&host, "an activation cannot be followed", handler)?;
            Ok((refused == 1).then_some(()))
        })
        .await
        .with_context(|| (*component).to_owned())?;
    }
    // A decider's activation comes after theirs, and is in force all the same.
    begun(&write, another_signed_card_decider(&world, &application, &key)?).await?;
    for (component, _, digest) in &smuggled {
        assert_eq!(said_of(&host, "answers from now on", digest)?, 0, "{component}");
        assert_eq!(said_of(&host, "activated", digest)?, 0, "{component}");
    }
    assert!(host.stop()?.success());

    // A host that is restarted behaves like one that was not.
    let host = start().await?;
    for (_, handler, _) in &smuggled {
        assert_eq!(
            said_of(&host, "what is in force does not run here", handler)?,
            2,
            "tried, and then begun"
        );
    }
    assert_eq!(host.get("/edge/payments/none").await?, edge);
    assert_eq!(host.get("/v1/invariants").await?.body["holds"], json!(true));
    // After a rollback it is not missed.
    for (kind, name) in [("auditor", "payments"), ("http", "edge-payments")] {
        let back = world.clearfold(&["component", "rollback", kind, name])?;
        assert!(back.status.success(), "{back:?}");
        eventually("what was before", async || {
            let followed = said_of(&host, "activated", &format!("{kind} {name}"))?;
            Ok((followed == 1).then_some(()))
        })
        .await?;
    }
    assert!(host.stop()?.success());
    Ok(())
}

#[tokio::test]
async fn what_hosts_would_refuse_is_not_activated() -> Result<()> {
    let world = World::new().await?;
    let application = Application::of(&world)?;
    let host = Host::start(application.host_command(&world)?, world.file("host.log")).await?;
    assert!(host.stop()?.success());
    let wasm = variant(&std::fs::read(application.file("projector-payments"))?, "unsigned")?;
    application.replace("projector-payments", &wasm)?;
    let file = application.file("projector-payments").display().to_string();
    assert!(world.clearfold(&["component", "deploy", &file])?.status.success());
    let signers = public(&signing_key(1)?);
    let digest = Digest::of(&wasm).to_string();
    let policy = ["--component-signers", &signers];
    let activate = ["component", "activate", &digest];
    let refused = world.clearfold(&[&activate[..], &policy].concat())?;
    assert!(!refused.status.success() && refused.stderr.contains("is not signed"), "{refused:?}");
    assert!(world.clearfold(&activate)?.status.success());
    let back = ["component", "rollback", "projector", "payments"];
    let refused = world.clearfold(&[&back[..], &policy].concat())?;
    assert!(!refused.status.success() && refused.stderr.contains("is not signed"), "{refused:?}");
    let newest: (String,) = query_as("SELECT cause FROM activations ORDER BY activation DESC LIMIT 1")
        .fetch_one(&world.databases.write().await?)
        .await?;
    assert_eq!(newest.0, "activate");
    Ok(())
}
