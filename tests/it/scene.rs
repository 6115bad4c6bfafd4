//! A scene for payments of the card network: an account with money and two cards, and a host that may die and comes up
//! again.

use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use clearfold_tests::{Answer, Host, Output, World, eventually};
use serde_json::{Value, json};
use sqlx::{PgPool, query_scalar};

use crate::audit::check;
use crate::edge::Edge;

/// The network sends a message again this often, at most, until it is answered.
const PATIENCE: u32 = 400;

/// World whose host may die, and comes up again.
pub struct Scene {
    pub world: World,
    pub account: String,
    pub host: Option<Host>,
    /// Variables of the host's environment.
    variables: Vec<(&'static str, String)>,
}

impl Scene {
    /// Opens the books of an account with money on chain, and issues two cards, one of them lost.
    pub async fn new() -> Result<Self> {
        Self::of(World::new().await?, Vec::new()).await
    }

    /// The same on this world, with variables of the host's environment.
    pub async fn of(world: World, variables: Vec<(&'static str, String)>) -> Result<Self> {
        let account = format!("{:#x}", world.chain.deployment().account(0)?.safe);
        let mut scene = Self { world, account, host: None, variables };
        scene.start("").await?;
        let host = scene.host().with_context(|| scene.log())?;
        let rules = json!({"categories": "all", "countries": "all", "limits": [], "velocity": []});
        let issue = json!({"account": scene.account, "rules": rules});
        for (key, aggregate, id, kind, payload) in [
            (
                "open",
                "account",
                scene.account.as_str(),
                "OpenAccount",
                json!({"assets": [{"asset": "EURe", "decimals": 18}]}),
            ),
            ("card", "card", "card-1", "IssueCard", issue.clone()),
            ("lost", "card", "card-lost", "IssueCard", issue),
            ("freeze", "card", "card-lost", "FreezeCard", json!({"reason": "lost"})),
        ] {
            let body = json!({"aggregate": aggregate, "id": id, "account": scene.account, "type": kind,
                              "schema_version": 1, "payload": payload});
            let answer = host.command_to(key, &body).await?;
            ensure!(answer.status == 200, "{answer:?}");
        }
        Ok(scene)
    }

    fn command(&self, faults: &str) -> Result<Command> {
        let mut command: Command = self.world.host_command()?;
        command.envs([("FAILPOINTS", faults), ("PARTITION_LEASE_MS", "500"), ("SNAPSHOT_EVERY", "10")]);
        command.env("SPIN_VARIABLE_NETWORK_SECRET", "the-network-secret-of-the-tests");
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        Ok(command)
    }

    /// Starts another host on the same databases.
    pub async fn another(&self, log: &str) -> Result<Host> {
        Host::start(self.command("")?, self.world.file(log)).await
    }

    /// Starts the host with these fault points.
    pub async fn start(&mut self, faults: &str) -> Result<()> {
        let mut host = Host::spawn(self.command(faults)?, self.world.file("host.log"))?;
        // It may die before it listens; then the first message finds nobody.
        let listens = host.ready().await.is_ok();
        self.host = listens.then_some(host);
        Ok(())
    }

    /// Sets a variable of the hosts that are started from now on.
    pub fn set(&mut self, name: &'static str, value: &str) {
        self.variables.push((name, value.to_owned()));
    }

    /// Returns true if no host runs any more.
    pub fn host_ended(&mut self) -> Result<bool> {
        match &mut self.host {
            Some(host) => Ok(host.ended()?.is_some()),
            None => Ok(true),
        }
    }

    /// The running host.
    pub fn host(&self) -> Result<&Host> {
        self.host.as_ref().context("no host")
    }

    /// Sends a message until it is answered, and starts the host again when it has died.
    pub async fn told(&mut self, route: &str, message: &Value) -> Result<Answer> {
        for _ in 0..PATIENCE {
            if let Some(host) = &self.host {
                match Edge::of(host).network(route, message).await {
                    Ok(answer) if answer.status == 200 && answer.body["reason"] != "no_answer" => {
                        return Ok(answer);
                    }
                    Ok(answer) => {
                        ensure!(answer.status == 200 || answer.status >= 500, "{answer:?}");
                        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
                    }
                    Err(_) => self.host = None,
                }
            }
            if self.host.is_none() {
                self.start("").await?;
            }
        }
        bail!("{message} is never answered: {}", self.host()?.log()?)
    }

    /// Available balance by the read store, once it is `expected`.
    pub async fn available(&self, expected: &str) -> Result<()> {
        let path = format!("/v1/accounts/{}/balances", self.account);
        eventually(&format!("{expected} are available"), async || {
            let balances = self.host()?.get(&path).await?.body;
            Ok((balances["balances"][0]["available"]["minor"] == expected).then_some(()))
        })
        .await
    }

    /// Checks the invariants, stops the host, and has every command decided again from the log.
    pub async fn prove(&mut self) -> Result<()> {
        let checked = Output::of(&mut check(&self.world, &[]))?;
        assert!(checked.status.success(), "{checked:?}");
        self.replays()
    }

    /// Stops the host, and has every command decided again from the log.
    pub fn replays(&mut self) -> Result<()> {
        // A soak has millions of commands.
        const PATIENCE: Duration = Duration::from_secs(1_200);
        assert!(self.host.take().context("a host")?.stop()?.success());
        let replayed = Output::within(PATIENCE, &mut self.world.clearfold_command(&["replay", "--verify"]))?;
        let is_same = replayed.status.success() && replayed.stdout.contains("came to the same again");
        assert!(is_same, "{replayed:?}");
        Ok(())
    }

    /// Log of the host, over all its lives.
    fn log(&self) -> String {
        std::fs::read_to_string(self.world.file("host.log")).unwrap_or_default()
    }

    /// Connections to the write store.
    pub async fn write(&self) -> Result<PgPool> {
        self.world.databases.write().await
    }

    /// Checks that every flow has ended, that nothing waits, and that nothing is parked.
    pub async fn every_saga_has_ended(&self) -> Result<()> {
        let write = self.write().await?;
        let open: i64 = query_scalar(
            "WITH written AS (
                 SELECT stream, type, convert_from(payload, 'UTF8')::jsonb AS content FROM events
                 WHERE type IN ('FlowAdded', 'FlowEnded', 'SagaAdvanced')),
             flows AS (
                 SELECT stream, type, content ->> 'flow' AS flow FROM written WHERE type <> 'SagaAdvanced'
                 UNION ALL
                 SELECT stream, kind, one ->> 'flow' FROM written, jsonb_array_elements(content -> 'events') AS event,
                 jsonb_each(event) AS of_event (kind, one) WHERE type = 'SagaAdvanced')
             SELECT count(*) FROM flows added WHERE type = 'FlowAdded' AND NOT EXISTS (
             SELECT FROM flows ended WHERE (ended.stream, ended.type, ended.flow) = (added.stream, 'FlowEnded', added.flow))",
        )
        .fetch_one(&write)
        .await?;
        let waiting: i64 = query_scalar("SELECT count(*) FROM timers").fetch_one(&write).await?;
        assert_eq!((open, waiting), (0, 0), "all holds of these lives have ended");
        let parked: i64 =
            query_scalar("SELECT count(*) FROM events WHERE type IN ('FlowParked', 'ObservationFailed')")
                .fetch_one(&write)
                .await?;
        assert_eq!(parked, 0);
        Ok(())
    }
}
