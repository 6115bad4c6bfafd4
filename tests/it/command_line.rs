//! A wrong configuration is one clear line with the remedy, and an exit code that is not 0.

use std::net::TcpListener;
use std::process::Command;

use anyhow::Result;
use clearfold_tests::{Databases, Output, World, cents};
use serde_json::Value;

/// Runs the program, which must fail, and returns its one line of output.
fn refusal(command: &mut Command) -> Result<String> {
    let output = Output::of(command)?;
    assert!(!output.status.success(), "{output:?}");
    let said: Vec<&str> = output.stderr.lines().filter(|line| line.starts_with("clearfold: ")).collect();
    assert_eq!(said.len(), 1, "{output:?}");
    Ok(said[0].to_owned())
}

#[tokio::test]
async fn a_wrong_configuration_is_refused_with_the_remedy() -> Result<()> {
    let world = World::new().await?;
    let taken = TcpListener::bind("127.0.0.1:0")?;
    let free = "postgres://nobody@127.0.0.1:1/none";
    let odd_set = world.file("odd.json");
    std::fs::write(&odd_set, r#"{"chain_id":100,"assets":[],"spenders":[],"settlement":[]}"#)?;
    let taken = taken.local_addr()?.to_string();
    let odd_set = odd_set.display().to_string();
    for (variable, value, said) in [
        (
            "DATABASE_URL",
            free,
            "the database of DATABASE_URL (127.0.0.1:1/none) cannot be reached: error communicating with database: Connection refused",
        ),
        (
            "READ_DATABASE_URL",
            free,
            "the database of READ_DATABASE_URL (127.0.0.1:1/none) cannot be reached: error communicating with database: Connection refused",
        ),
        ("DATABASE_URL", "mysql://x", "DATABASE_URL is not a PostgreSQL URL"),
        ("CHAIN_RPC_URLS", "http://127.0.0.1:1", "correct CHAIN_RPC_URLS"),
        ("CHAIN_CONTRACTS", "/none.json", "CHAIN_CONTRACTS (--contracts) names /none.json"),
        ("CHAIN_CONTRACTS", &odd_set, "the contract set names no `assets`"),
        ("READ_DATABASE_URL", &world.databases.write_url, "give each a database of its own"),
        ("LISTEN", &taken, "LISTEN (--listen)"),
        ("MANIFEST", "/none/spin.toml", "/none/spin.toml"),
        ("RUST_LOG", "a=b=c", "RUST_LOG is not a filter"),
    ] {
        let mut command = world.host_command()?;
        let line = refusal(command.env(variable, value))?;
        assert!(line.contains(said), "{variable}={value}: {line}");
    }
    Ok(())
}

#[tokio::test]
async fn a_database_that_is_not_ready_is_refused_with_the_remedy() -> Result<()> {
    let mut world = World::new().await?;
    let write = world.databases.write().await?;
    let newer = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
                 VALUES (999, 'from the future', true, '', 0)";
    sqlx::query(newer).execute(&write).await?;
    let mut command = world.host_command()?;
    let line = refusal(&mut command)?;
    assert!(line.contains("schema version 999") && line.contains("newer clearfold"), "{line}");

    world.databases = Databases::create(&world.environment).await?;
    let mut command = world.host_command()?;
    let line = refusal(&mut command)?;
    assert!(line.contains("run `clearfold migrate`"), "{line}");
    Ok(())
}

#[tokio::test]
async fn a_missing_setting_is_named() -> Result<()> {
    let world = World::new().await?;
    for variable in ["DATABASE_URL", "READ_DATABASE_URL", "CHAIN_RPC_URLS"] {
        let mut command = world.host_command()?;
        let output = Output::of(command.env_remove(variable))?;
        let option = format!("--{}", variable.to_lowercase().replace('_', "-"));
        assert!(!output.status.success() && output.stderr.contains(&option), "{output:?}");
    }
    let help = Output::of(Command::new(&world.environment.host).args(["up", "--help"]))?.stdout;
    for variable in ["DATABASE_URL", "CHAIN_RPC_URLS", "CHAIN_CONFIRMATIONS", "LISTEN", "[default: 12]"] {
        assert!(help.contains(variable), "{variable} is not in --help");
    }
    Ok(())
}

#[tokio::test]
async fn migrate_lays_out_the_log_once() -> Result<()> {
    let mut world = World::new().await?;
    world.databases = Databases::create(&world.environment).await?;
    let migrate = |partitions: &str| {
        let mut command = Command::new(&world.environment.host);
        command.args(["migrate", "--partitions", partitions]);
        command
            .env("DATABASE_URL", &world.databases.write_url)
            .env("READ_DATABASE_URL", &world.databases.read_url);
        command
    };
    let output = Output::of(&mut migrate("3"))?;
    assert!(output.status.success() && output.stdout.contains("3 partitions"), "{output:?}");
    assert!(Output::of(&mut migrate("3"))?.status.success());
    let line = refusal(&mut migrate("4"))?;
    assert!(line.contains("3 partitions, for ever, not 4"), "{line}");
    Ok(())
}

#[tokio::test]
async fn doctor_finds_what_is_wrong_and_goes_on() -> Result<()> {
    let world = World::new().await?;
    let doctor = || -> Result<Command> {
        let host = world.host_command()?;
        let mut command = Command::new(host.get_program());
        command.arg("doctor");
        for (name, value) in host.get_envs() {
            command.env(name, value.unwrap_or_default());
        }
        Ok(command)
    };
    let healthy = Output::of(&mut doctor()?)?;
    assert!(healthy.status.success(), "{healthy:?}");
    assert_eq!(healthy.stdout.lines().filter(|line| line.starts_with("ok")).count(), 7);
    let mut unset = doctor()?;
    for variable in ["DATABASE_URL", "READ_DATABASE_URL", "CHAIN_RPC_URLS"] {
        unset.env_remove(variable);
    }
    let unset = Output::of(&mut unset)?;
    assert_eq!(unset.stdout.lines().filter(|line| line.contains("is not set")).count(), 3, "{unset:?}");
    let ill = Output::of(doctor()?.env("CHAIN_RPC_URLS", "http://127.0.0.1:1"))?;
    assert!(!ill.status.success());
    let wrong: Vec<&str> = ill.stdout.lines().filter(|line| line.starts_with("wrong")).collect();
    assert!(wrong.len() == 1 && wrong[0].contains("correct CHAIN_RPC_URLS"), "{ill:?}");
    // Half a submitter, and a risk service that is not there.
    let mut half = doctor()?;
    half.env("SUBMITTER_GAS_LIMIT", "400000").env("SPIN_VARIABLE_RISK_URL", "http://127.0.0.1:1/check");
    let half = Output::of(&mut half)?;
    let wrong: Vec<&str> = half.stdout.lines().filter(|line| line.starts_with("wrong")).collect();
    assert!(wrong.len() == 2, "{half:?}");
    assert!(wrong[0].contains("the effect `risk`, 127.0.0.1:1, takes no connection"), "{half:?}");
    assert!(wrong[1].contains("SUBMITTER_SENDER_KEY"), "{half:?}");
    Ok(())
}

#[tokio::test]
async fn a_stream_is_shown_by_the_payments_id() -> Result<()> {
    let world = World::new().await?;
    let host = world.host().await?;
    world.chain.swipe(0, cents(850)).await?;
    let payment = host.payments_when(1).await?.remove(0);
    let id = payment["id"].as_str().unwrap();
    let show = |id: &str| {
        let mut command = Command::new(&world.environment.host);
        command.args(["stream", "show", "--json", id]).env("DATABASE_URL", &world.databases.write_url);
        command
    };
    let output = Output::of(&mut show(id))?;
    let event: Value = serde_json::from_str(output.stdout.trim())?;
    assert_eq!(event["type"], "SwipeRecorded");
    assert_eq!(event["payload"]["amount"]["minor"], "8500000000000000000");
    let decider = std::fs::read(world.environment.component("decider-authorization"))?;
    assert_eq!(event["component_digest"], clearfold_base::digest::Digest::of(&decider).to_string());
    assert!(refusal(&mut show("nothing"))?.contains("there is no stream `nothing`"));
    Ok(())
}
