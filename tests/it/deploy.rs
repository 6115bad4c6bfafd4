//! `clearfold deploy`, and starts with other files: all components are inspected before the first is activated, and
//! no decider is activated without a shadow run.

use std::process::Command;

use anyhow::{Context, Result};
use clearfold_base::digest::Digest;
use clearfold_tests::{Application, Host, Output, World, cents, variant};
use serde_json::{Value, json};
use sqlx::query_scalar;

/// Number of activations.
async fn activations(world: &World) -> Result<i64> {
    let count = query_scalar("SELECT count(*) FROM activations");
    Ok(count.fetch_one(&world.databases.write().await?).await?)
}

/// Replaces a component by the same code under another digest.
fn changed(application: &Application, component: &str) -> Result<Digest> {
    let wasm = variant(&std::fs::read(application.file(component))?, "changed")?;
    application.replace(component, &wasm)?;
    Ok(Digest::of(&wasm))
}

async fn started(world: &World, application: &Application) -> Result<Host> {
    Host::start(application.host_command(world)?, world.file("host.log")).await
}

#[tokio::test]
async fn a_deploy_brings_what_differs_from_the_manifest_and_nothing_else() -> Result<()> {
    let world = World::new().await?;
    let application = Application::of(&world)?;
    let host = started(&world, &application).await?;
    let card = changed(&application, "decider-card")?;
    let before = activations(&world).await?;
    let deployed = application.deploy(&world, &["--revision", "r1"])?;
    assert!(deployed.status.success(), "{deployed:?}");
    assert!(deployed.stdout.starts_with("decider-card: "), "{deployed:?}");
    assert!(deployed.stdout.ends_with("components were not in force, and are now\n"), "{deployed:?}");
    assert!(deployed.stdout.contains("\n1 of "), "{deployed:?}");
    let again = application.deploy(&world, &[])?;
    assert!(again.stdout.starts_with("0 of "), "{again:?}");
    // As JSON the answer is one object, whether there was anything to do or not.
    let again: Value = serde_json::from_str(&application.deploy(&world, &["--json"])?.stdout)?;
    assert_eq!((&again["activated"], &again["passed_over"]), (&json!([]), &json!([])));
    let merchants = changed(&application, "projector-merchants")?.to_string();
    let once: Value = serde_json::from_str(&application.deploy(&world, &["--json"])?.stdout)?;
    assert_eq!(once["activated"][0]["component"], "projector-merchants");
    assert_eq!(once["activated"][0]["verified"]["digest"], json!(merchants));
    assert_eq!(activations(&world).await?, before + 2);
    let inspected = world.clearfold(&["component", "inspect", &card.to_string(), "--json"])?;
    assert_eq!(serde_json::from_str::<Value>(&inspected.stdout)?["source_revision"], "r1");
    assert!(host.stop()?.success());
    Ok(())
}

#[tokio::test]
async fn a_deploy_that_is_refused_has_activated_nothing() -> Result<()> {
    let world = World::new().await?;
    let application = Application::of(&world)?;
    assert!(started(&world, &application).await?.stop()?.success());
    let before = activations(&world).await?;
    changed(&application, "decider-account")?;
    // Two sources exchanged: each file is a projector, but not the one that the manifest names.
    application.edit(|manifest| {
        let (one, other) = ("components/projector-payments.wasm", "components/projector-balances.wasm");
        manifest.replace(one, "").replace(other, one).replace("target/\"", &format!("target/{other}\""))
    })?;
    let refused = application.deploy(&world, &[])?;
    assert!(!refused.status.success() && refused.stderr.contains("correct the manifest"), "{refused:?}");
    assert_eq!(activations(&world).await?, before);
    Ok(())
}

#[tokio::test]
async fn a_start_that_fails_has_put_nothing_in_force() -> Result<()> {
    let world = World::new().await?;
    let application = Application::of(&world)?;
    assert!(started(&world, &application).await?.stop()?.success());
    let before = activations(&world).await?;
    changed(&application, "decider-card")?;
    let refused = |configure: &dyn Fn(&mut Command)| -> Result<Output> {
        let mut command = application.host_command(&world)?;
        configure(&mut command);
        let output = Output::of(&mut command)?;
        assert!(!output.status.success(), "{output:?}");
        Ok(output)
    };
    refused(&|command| {
        command.env("CHAIN_RPC_URLS", "http://127.0.0.1:1");
    })?;
    assert_eq!(activations(&world).await?, before, "the chain is not there");
    std::fs::write(world.file("other.json"), "{}")?;
    let other = world.file("other.json");
    let output = refused(&|command| {
        command.env("CHAIN_CONTRACTS", &other);
    })?;
    assert!(output.stderr.contains("cannot be used"), "{output:?}");
    assert_eq!(activations(&world).await?, before, "the contract set is none");
    let auditor = std::fs::read(application.file("auditor-payments"))?;
    application.replace("auditor-payments", &auditor[..auditor.len() / 2])?;
    refused(&|_| {})?;
    assert_eq!(activations(&world).await?, before, "the last component is torn");
    application.replace("auditor-payments", &auditor)?;
    changed(&application, "decider-account")?;
    let mut command = application.host_command(&world)?;
    command.env("SOURCE_REVISION", "r2");
    let host = Host::start(command, world.file("host.log")).await?;
    assert_eq!(activations(&world).await?, before + 2);
    let revisions: i64 = query_scalar("SELECT count(*) FROM components WHERE source_revision = 'r2'")
        .fetch_one(&world.databases.write().await?)
        .await?;
    assert_eq!(revisions, 1);
    assert!(host.stop()?.success());
    Ok(())
}

#[tokio::test]
async fn where_another_serves_http_a_deploy_passes_it_over() -> Result<()> {
    let world = World::new().await?;
    let application = Application::of(&world)?;
    let whole = std::fs::read_to_string(application.manifest())?;
    // As for the trigger under Spin: Spin has the HTTP triggers, and the host the handlers.
    application.edit(|manifest| {
        let parts = manifest.split("[[trigger.http]]");
        let without = parts.enumerate().map(|(place, part)| match part.split_once("component = \"edge-") {
            Some((_, rest)) if place > 0 => rest.split_once('\n').map_or("", |(_, rest)| rest),
            _ => part,
        });
        without.collect()
    })?;
    let host = started(&world, &application).await?;
    application.edit(|_| whole)?;
    changed(&application, "decider-card")?;
    let deployed = application.deploy(&world, &[])?;
    assert!(deployed.status.success(), "{deployed:?}");
    assert!(deployed.stdout.contains("edge-payments: passed over, since no host serves it"), "{deployed:?}");
    assert!(deployed.stdout.contains("\n1 of "), "{deployed:?}");
    assert!(host.stop()?.success());
    Ok(())
}

#[tokio::test]
async fn a_component_without_a_name_of_its_own_is_put_in_force_where_it_is_wanted() -> Result<()> {
    let world = World::new().await?;
    let application = Application::of(&world)?;
    assert!(started(&world, &application).await?.stop()?.success());
    let digest = changed(&application, "edge-provider")?.to_string();
    let file = application.file("edge-provider").display().to_string();
    let mistyped =
        world.clearfold(&["component", "deploy", &file, "--handler", "edge-provder", "--activate"])?;
    assert!(mistyped.stderr.contains("no manifest ever named the http edge-provder"), "{mistyped:?}");
    let mended = world.clearfold(&["component", "activate", &digest, "--handler", "edge-provider"])?;
    assert!(mended.status.success(), "{mended:?}");
    // The manifest's name counts for what the manifest deploys, whatever name the registry recorded first.
    let again = application.deploy(&world, &[])?;
    assert!(again.stdout.starts_with("0 of "), "{again:?}");
    let network = application.file("edge-network").display().to_string();
    let wants_more = world.clearfold(&["component", "deploy", &network, "--handler", "edge-payments"])?;
    assert!(wants_more.stdout.contains("newly imports wasi:clocks/monotonic-clock@"), "{wants_more:?}");
    assert!(!wants_more.stdout.contains("newly imports wasi:http/types@"), "{wants_more:?}");
    let card = changed(&application, "decider-card")?.to_string();
    let file = application.file("decider-card").display().to_string();
    assert!(world.clearfold(&["component", "deploy", &file])?.status.success());
    let other = world.clearfold(&["component", "activate", &card, "--handler", "account"])?;
    assert!(other.stderr.contains("is the decider card, and says so itself"), "{other:?}");
    Ok(())
}

#[tokio::test]
async fn a_shadow_run_goes_over_what_the_handler_decided_and_not_over_nothing() -> Result<()> {
    let world = World::new().await?;
    // Nothing comes to the account's decider: neither deposits nor what a saga books.
    world.unlist_accounts()?;
    let application = Application::of(&world)?;
    application.remove_saga("authorization", "saga-authorization")?;
    let host = started(&world, &application).await?;
    let freeze = json!({"aggregate": "card", "id": "c1", "account": "0x00000000000000000000000000000000000000ed",
        "type": "FreezeCard", "schema_version": 1, "payload": {"reason": "holder"}});
    assert_eq!(host.command_to("freeze", &freeze).await?.body["code"], "card_not_issued");
    let swipes: Vec<_> = (0..30).map(|n| (n % 3, cents(100 + n as u64))).collect();
    world.chain.swipes(&swipes).await?;
    host.payments_when(30).await?;
    let card = changed(&application, "decider-card")?.to_string();
    let file = application.file("decider-card").display().to_string();
    assert!(world.clearfold(&["component", "deploy", &file])?.status.success());
    let newest = world.clearfold(&["component", "verify", &card, "--last", "8"])?;
    assert!(newest.stdout.contains("1 of 1 commands come to the same"), "{newest:?}");
    let before = activations(&world).await?;
    let unseen = world.clearfold(&["component", "activate", &card, "--days", "0"])?;
    assert!(
        unseen.stderr.contains("none of the decider card's commands was decided in that time"),
        "{unseen:?}"
    );
    assert!(!world.clearfold(&["component", "activate", &card, "--last", "0"])?.status.success());
    assert_eq!(activations(&world).await?, before);
    assert!(world.clearfold(&["component", "activate", &card])?.status.success());
    // A decider that has never decided anything has no commands to compare.
    let account = changed(&application, "decider-account")?.to_string();
    let file = application.file("decider-account").display().to_string();
    assert!(world.clearfold(&["component", "deploy", &file])?.status.success());
    let fresh = world.clearfold(&["component", "activate", &account, "--days", "0"])?;
    assert!(fresh.stdout.contains("0 of 0 commands come to the same"), "{fresh:?}");
    assert!(host.stop()?.success());
    Ok(())
}

#[tokio::test]
async fn a_trial_is_ended_for_a_reason_of_its_own() -> Result<()> {
    let world = World::new().await?;
    let application = Application::of(&world)?;
    assert!(started(&world, &application).await?.stop()?.success());
    let card = changed(&application, "decider-card")?.to_string();
    let file = application.file("decider-card").display().to_string();
    assert!(world.clearfold(&["component", "deploy", &file])?.status.success());
    assert!(world.clearfold(&["component", "canary", &card, "--share", "5%"])?.status.success());
    let ended =
        world.clearfold(&["component", "canary", "--end", "card", "--why", "seen enough", "--json"])?;
    let ended: Value = serde_json::from_str(&ended.stdout)?;
    let in_force = ended["digest"].as_str().context("no digest")?;
    assert_ne!(in_force, card);
    let history = world.clearfold(&["component", "history", "decider", "card"])?;
    assert!(history.stdout.contains("why: seen enough"), "{history:?}");
    Ok(())
}
