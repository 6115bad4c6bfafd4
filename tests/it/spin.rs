//! Spin's side of its protocol with a trigger program, played as the real one plays it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use clearfold_tests::{Host, Output, World, cents};
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::swipe::{sorted_facts, spends};

/// Application as Spin resolves it; the components are in /app.
const LOCKED: &str = include_str!("../fixtures/spin/locked.json");

/// Locked application with the components as they were built.
fn locked(world: &World) -> Result<Value> {
    let components = format!("file://{}/", world.environment.components.display());
    Ok(serde_json::from_str(&LOCKED.replace("file:///app/", &components))?)
}

/// Installs the plugins into a folder of the test's own, and returns that folder.
fn installed(world: &World, arguments: &[&str]) -> Result<(PathBuf, Output)> {
    let folder = world.file("spin");
    let mut command = Command::new(&world.environment.host);
    let output = Output::of(command.args(["spin", "install", "--data-dir"]).arg(&folder).args(arguments))?;
    Ok((folder, output))
}

fn program(folder: &Path, plugin: &str) -> PathBuf {
    folder.join("plugins").join(plugin).join(plugin)
}

/// Installed trigger, started as Spin starts it.
fn trigger(world: &World, folder: &Path, locked: &Value) -> Result<Command> {
    let file = world.file("spin.lock");
    fs::write(&file, locked.to_string())?;
    let mut command = Command::new(program(folder, "trigger-clearfold"));
    for (name, value) in world.host_command()?.get_envs() {
        command.env(name, value.unwrap_or_default());
    }
    // The application says which components run and the address to listen at.
    command.env_remove("MANIFEST").env_remove("LISTEN");
    command.env("SPIN_LOCKED_URL", format!("file://{}", file.display()));
    command
        .env("SPIN_WORKING_DIR", world.file(""))
        .env("SPIN_LOCAL_APP_DIR", "")
        .env("SPIN_VERSION", "4.1.0");
    Ok(command)
}

#[tokio::test]
async fn spin_finds_the_trigger_and_runs_the_handlers_with_it() -> Result<()> {
    let world = World::new().await?;
    let (folder, output) = installed(&world, &[])?;
    assert!(output.status.success() && output.stdout.contains("next: "), "{output:?}");
    for plugin in ["trigger-clearfold", "clearfold"] {
        let manifest = folder.join("plugins/manifests").join(format!("{plugin}.json"));
        let manifest: Value = serde_json::from_str(&fs::read_to_string(manifest)?)?;
        assert_eq!((&manifest["name"], &manifest["packages"][0]["os"]), (&json!(plugin), &json!("linux")));
        assert_eq!(fs::canonicalize(program(&folder, plugin))?, fs::canonicalize(&world.environment.host)?);
    }

    // With several types of triggers Spin asks each for its options first, and reads standard error.
    let mut ask = Command::new(program(&folder, "trigger-clearfold"));
    let told = Output::of(ask.arg("--launch-metadata-only"))?;
    let metadata: Value = serde_json::from_str(&told.stderr)?;
    assert!(told.status.success() && told.stdout.is_empty());
    let flags = metadata["all_flags"].as_array().context("no flags")?;
    assert!(
        flags.contains(&json!({"long": "--log-format"})) && !flags.contains(&json!({"long": "--listen"}))
    );

    // `network_secret` has no value, and only Spin's own components need one.
    let command = trigger(&world, &folder, &locked(&world)?)?;
    let host = Host::start(command, world.file("host.log")).await?;
    world.chain.swipe(1, cents(850)).await?;
    let payments = host.payments_when(1).await?;
    assert_eq!(sorted_facts(&payments), spends(&world).await?);

    // Spin serves the edge.
    let id = payments[0]["id"].as_str().context("no id")?;
    let edge = host.get(&format!("/edge/payments/{id}")).await?;
    assert_eq!((edge.status, &edge.body["code"]), (404, &json!("no_such_path")));

    // A terminal and Spin send a signal each; the second must not cut off the orderly stop that the first began.
    host.signal(Signal::INT)?;
    let log = world.file("host.log");
    assert!(host.stop()?.success());
    let log = fs::read_to_string(log)?;
    assert!(log.contains("\"stopped\"") && !log.contains("cut off"), "{log}");
    Ok(())
}

#[tokio::test]
async fn installing_again_takes_the_place_of_what_was_installed() -> Result<()> {
    let world = World::new().await?;
    let (folder, _) = installed(&world, &["--copy"])?;
    let deployer = program(&folder, "clearfold");
    assert!(fs::symlink_metadata(&deployer)?.is_file());
    // The plugin of `spin deploy` is the command line: it is no trigger, whatever the environment says.
    let mut plugin = Command::new(&deployer);
    let version = Output::of(plugin.arg("--version"))?;
    assert!(version.status.success() && version.stdout.starts_with("clearfold "), "{version:?}");
    let (_, again) = installed(&world, &[])?;
    assert!(again.status.success() && fs::symlink_metadata(&deployer)?.is_symlink(), "{again:?}");

    fs::remove_file(&deployer)?;
    fs::create_dir(&deployer)?;
    let (_, refused) = installed(&world, &[])?;
    assert!(!refused.status.success() && refused.stderr.contains("is a folder"), "{refused:?}");
    Ok(())
}

#[tokio::test]
async fn what_spin_could_hand_over_wrong_is_refused_with_the_remedy() -> Result<()> {
    let world = World::new().await?;
    let (folder, _) = installed(&world, &[])?;
    let sound = locked(&world)?;
    let refusal = |change: &dyn Fn(&mut Command)| -> Result<String> {
        let mut command = trigger(&world, &folder, &sound)?;
        change(&mut command);
        let output = Output::of(&mut command)?;
        assert!(!output.status.success(), "{output:?}");
        let said: Vec<&str> = output.stderr.lines().filter(|line| line.starts_with("clearfold: ")).collect();
        assert_eq!(said.len(), 1, "{output:?}");
        Ok(said[0].to_owned())
    };
    let file = world.file("other.lock");
    let url = format!("file://{}", file.display());
    let written = |text: &str| -> Result<String> {
        fs::write(&file, text)?;
        refusal(&|command| {
            command.env("SPIN_LOCKED_URL", &url);
        })
    };
    let said = |line: &str, expected: &str| assert!(line.contains(expected), "{line}");

    said(
        &refusal(&|command| {
            command.env_remove("SPIN_LOCKED_URL");
        })?,
        "SPIN_LOCKED_URL is not set",
    );
    let no_url = refusal(&|command| {
        command.env("SPIN_LOCKED_URL", "https://host/spin.lock");
    })?;
    said(&no_url, "SPIN_LOCKED_URL is \"https://host/spin.lock\", which is no file URL");
    let nothing = refusal(&|command| {
        command.env("SPIN_LOCKED_URL", "file:///none/spin.lock");
    })?;
    said(&nothing, "/none/spin.lock: the application that SPIN_LOCKED_URL names cannot be read");
    said(&written("{\"spin_lock_version\":")?, "SPIN_LOCKED_URL names no locked application");
    let mut other = sound.clone();
    other["spin_lock_version"] = json!(7);
    said(&written(&other.to_string())?, "the version is 7, and only 0 and 1 are understood");
    let mut fileless = sound.clone();
    fileless["components"][2]["source"] = json!({"content_type": "application/wasm", "digest": "sha256:00"});
    said(&written(&fileless.to_string())?, "component.decider-authorization: it has no file");
    let mut lost = sound.clone();
    lost["components"][2]["source"]["source"] = json!("file:///none/decider.wasm");
    said(&written(&lost.to_string())?, "the component /none/decider.wasm cannot be read");

    let unset = refusal(&|command| {
        command.env_remove("DATABASE_URL").env_remove("CHAIN_RPC_URLS");
    })?;
    said(&unset, "DATABASE_URL, CHAIN_RPC_URLS must be set in the environment of `spin up`");
    said(
        &refusal(&|command| {
            command.arg("--listening");
        })?,
        "unexpected argument '--listening' found",
    );
    said(
        &refusal(&|command| {
            command.args(["--variable", "x"]);
        })?,
        "write it as NAME=VALUE",
    );
    Ok(())
}
