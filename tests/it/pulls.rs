//! Pulls from end to end: what the network was told is approved is pulled on chain exactly once, becomes the funding of its
//! payment and no payment of its own, whatever dies in between.

use std::time::Duration;

use alloy::primitives::U256;
use anyhow::{Context, Result};
use clearfold_devchain::pool::{PoolRules, StrictPool};
use clearfold_devchain::{Limit, Party};
use clearfold_tests::{Output, World, eventually};
use rustix::process::Signal;
use serde_json::{Value, json};
use sqlx::{PgPool, query_scalar};

use crate::scene::Scene;

/// Minor units of a cent.
const CENT: u64 = 10_000_000_000_000_000;
/// Balance of an account whose limit nobody reaches.
pub const NO_LIMIT: u128 = u128::MAX / 2;

/// Scene whose host pulls, through a pool with the rules of a real node.
pub struct Pulls {
    pub scene: Scene,
    pub pool: StrictPool,
    /// Balance of the account when its books were opened.
    pub funds: U256,
}

impl Pulls {
    pub async fn new(more: &[(&'static str, &str)]) -> Result<Self> {
        let mut variables = vec![
            ("SUBMITTER_SENDER_KEY", Party::Relayer.private_key().to_owned()),
            ("SUBMITTER_DELEGATE_KEY", Party::Delegate.private_key().to_owned()),
            ("SUBMITTER_LEASE_MS", "2000".to_owned()),
            ("SUBMITTER_RETRY_MS", "50".to_owned()),
        ];
        variables.extend(more.iter().map(|(name, value)| (*name, (*value).to_owned())));
        let mut scene = Scene::of(World::new().await?, variables).await?;
        let pool = StrictPool::start(&scene.world.anvil.rpc_url, PoolRules::default()).await?;
        scene.host.take().context("a host")?.stop()?;
        scene.set("CHAIN_RPC_URLS", &pool.rpc_url);
        scene.start("").await?;
        let funds = scene.world.chain.balance(0).await?;
        scene.available(&funds.to_string()).await?;
        Ok(Self { scene, pool, funds })
    }

    /// Asks for a payment, and expects that it is approved.
    pub async fn approved(&mut self, id: &str, cents: u64) -> Result<()> {
        let answer = self.scene.told("authorizations", &ask(&self.scene.account, id, cents)).await?;
        assert_eq!(answer.body["action"], "approved", "{answer:?}");
        Ok(())
    }

    pub async fn payment(&self, id: &str) -> Result<Value> {
        Ok(self.scene.host()?.get(&format!("/v1/payments/visa-{id}")).await?.body)
    }

    /// Mines until a payment's funding has that state. The host is started again if it has died.
    pub async fn funding(&mut self, id: &str, state: &str) -> Result<()> {
        for _ in 0..600 {
            if self.scene.host_ended()? {
                self.scene.start("").await?;
            }
            if let Ok(payment) = self.payment(id).await
                && payment["funding"]["status"] == state
            {
                return Ok(());
            }
            self.pool.mine(1).await?;
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        let payment = self.payment(id).await?;
        anyhow::bail!("{id} is never {state}: {payment}\n{}", self.scene.host()?.log()?)
    }

    /// Checks that the Safe lost these cents, each in a `Spend` of its own.
    pub async fn pulled(&self, cents: &[u64]) -> Result<()> {
        let mut spends: Vec<U256> =
            self.scene.world.chain.spends().await?.iter().map(|spend| spend.amount_minor).collect();
        let mut expected: Vec<U256> = cents.iter().map(|cents| minor(*cents)).collect();
        spends.sort();
        expected.sort();
        assert_eq!(spends, expected, "what was pulled");
        let lost = self.funds - self.scene.world.chain.balance(0).await?;
        assert_eq!(lost, expected.iter().sum::<U256>(), "what the Safe lost");
        Ok(())
    }

    pub async fn count(&self, query: &'static str) -> Result<i64> {
        Ok(query_scalar(query).fetch_one(&self.write().await?).await?)
    }

    pub async fn write(&self) -> Result<PgPool> {
        self.scene.write().await
    }

    /// Checks that no effect waits, and that the books and their replay are sound.
    pub async fn sound(mut self) -> Result<()> {
        let write = self.write().await?;
        eventually("no effect waits", async || {
            let waiting: i64 = query_scalar("SELECT count(*) FROM effects").fetch_one(&write).await?;
            Ok((waiting == 0).then_some(()))
        })
        .await?;
        assert_eq!(self.count("SELECT count(*) FROM dead_letters").await?, 0);
        assert_eq!(self.count("SELECT count(*) FROM pull_requests").await?, 0);
        self.scene.prove().await
    }
}

pub fn minor(cents: u64) -> U256 {
    U256::from(cents) * U256::from(CENT)
}

pub fn ask(account: &str, id: &str, cents: u64) -> Value {
    json!({
        "message_id": format!("{id}-ask"), "transaction_id": id, "network": "visa", "account": account,
        "transmitted_at": "2026-11-22T10:00:00.000Z", "card": "card-1",
        "amount": {"minor": cents.to_string(), "currency": "EUR", "exponent": 2},
        "merchant": {"id": "m-1", "name": "Café", "category": "5812", "country": "AT"},
    })
}

pub fn clearing(account: &str, id: &str, cents: u64) -> Value {
    json!({
        "message_id": format!("{id}-clearing"), "transaction_id": id, "network": "visa", "account": account,
        "transmitted_at": "2026-11-22T10:05:00.000Z",
        "amount": {"minor": cents.to_string(), "currency": "EUR", "exponent": 2},
    })
}

#[tokio::test]
async fn an_approved_payment_is_pulled_once_and_its_spend_is_its_funding() -> Result<()> {
    let mut pulls = Pulls::new(&[]).await?;
    pulls.approved("half", 500).await?;
    pulls.funding("half", "finalized").await?;
    pulls.pulled(&[500]).await?;

    // S1b: what was pulled and is cleared is not held once more.
    let account = pulls.scene.account.clone();
    let cleared = pulls.scene.told("clearings", &clearing(&account, "half", 500)).await?;
    assert_eq!(cleared.body["action"], "recorded", "{cleared:?}");
    let rest = pulls.funds - minor(500);
    pulls.scene.available(&rest.to_string()).await?;
    pulls.approved("more", 100).await?;
    pulls.funding("more", "finalized").await?;
    pulls.pulled(&[500, 100]).await?;
    assert_eq!(pulls.scene.host()?.payments().await?.len(), 2, "no Spend became a payment");

    // A card that pays on chain first is still a swipe.
    pulls.scene.world.chain.swipe(0, minor(7)).await?;
    pulls.scene.host()?.payments_when(3).await?;
    pulls.pulled(&[500, 100, 7]).await?;
    pulls.sound().await
}

#[tokio::test]
async fn a_host_that_dies_around_a_pull_pulls_nothing_twice() -> Result<()> {
    let mut pulls = Pulls::new(&[]).await?;
    let points =
        ["effect_read", "pull_accepted", "pull_signed", "pull_sent", "pull_ended", "effect_carried_out"];
    let mut cents = Vec::new();
    for (number, point) in (0_u64..).zip(points) {
        if let Some(host) = pulls.scene.host.take() {
            host.stop()?;
        }
        pulls.scene.start(&format!("{point}=0*off->return")).await?;
        let amount = 100 + number;
        pulls.approved(&format!("p{number}"), amount).await?;
        pulls.funding(&format!("p{number}"), "finalized").await?;
        assert!(
            pulls.scene.host()?.log()?.contains(&format!("clearfold ends here: {point}")),
            "the host did not die at {point}"
        );
        cents.push(amount);
    }
    pulls.pulled(&cents).await?;
    assert_eq!(pulls.count("SELECT count(*) FROM submitter_changes WHERE kind = 'accepted'").await?, 6);
    pulls.sound().await
}

/// One host has the lease of the partitions and asks, the other has that of the chain and submits.
#[tokio::test]
async fn a_host_pulls_for_another_and_takes_over_when_that_dies() -> Result<()> {
    let mut pulls = Pulls::new(&[]).await?;
    pulls.approved("own", 100).await?;
    pulls.funding("own", "finalized").await?;
    let other = pulls.scene.another("other.log").await?;
    let first = pulls.scene.host.replace(other).context("a host")?;
    let owners = "SELECT count(DISTINCT owner) FROM (SELECT lease_owner AS owner FROM partitions
                  UNION ALL SELECT lease_owner FROM submitters) AS leases";
    // It stands still for longer than the lease of a partition, and not as long as that of the chain.
    first.signal(Signal::STOP)?;
    tokio::time::sleep(Duration::from_millis(1_200)).await;
    first.signal(Signal::CONT)?;
    eventually("leases of two hosts", async || Ok((pulls.count(owners).await? == 2).then_some(()))).await?;
    pulls.approved("for-another", 200).await?;
    pulls.funding("for-another", "finalized").await?;
    pulls.pulled(&[100, 200]).await?;
    assert_eq!(pulls.count(owners).await?, 2, "the first host has submitted it");

    pulls.approved("left-behind", 300).await?;
    first.kill()?;
    pulls.approved("taken-over", 400).await?;
    for id in ["left-behind", "taken-over"] {
        pulls.funding(id, "finalized").await?;
    }
    pulls.pulled(&[100, 200, 300, 400]).await?;
    assert_eq!(pulls.count("SELECT count(*) FROM submitter_changes WHERE kind = 'accepted'").await?, 4);
    pulls.sound().await
}

#[tokio::test]
async fn a_pull_that_the_chain_refuses_goes_again_until_the_allowance_is_refilled() -> Result<()> {
    let mut pulls = Pulls::new(&[]).await?;
    let limit = |balance| Limit { balance, max_refill: balance, refill: 0, period_s: 0 };
    pulls.scene.world.chain.set_limit(0, limit(0)).await?;
    pulls.approved("late", 300).await?;
    let refused = "SELECT count(*) FROM submitter_changes WHERE kind = 'refused'";
    for _ in 0..600 {
        if pulls.count(refused).await? > 0 {
            break;
        }
        pulls.pool.mine(1).await?;
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(pulls.count(refused).await? > 0, "{}", pulls.scene.host()?.log()?);
    assert_ne!(pulls.payment("late").await?["funding"]["status"], "finalized");
    pulls.pulled(&[]).await?;
    pulls.scene.world.chain.set_limit(0, limit(NO_LIMIT)).await?;
    pulls.funding("late", "finalized").await?;
    pulls.pulled(&[300]).await?;
    assert_eq!(pulls.count("SELECT count(*) FROM submitter_changes WHERE kind = 'accepted'").await?, 1);
    pulls.sound().await
}

/// A host asked again between the commit of the pull and the end of its request, and says it in other words.
#[tokio::test]
async fn a_request_that_changed_after_its_pull_was_accepted_leaves_the_desk() -> Result<()> {
    let mut pulls = Pulls::new(&[]).await?;
    pulls.approved("again", 300).await?;
    pulls.funding("again", "included").await?;
    let write = pulls.write().await?;
    for what in ["not_after", "spender", "calldata"] {
        let asked = "INSERT INTO pull_requests (chain_id, payment_id, number, pull)
             SELECT chain_id, 'visa-again', 1, jsonb_set(change #> '{Accepted,pull}', ARRAY[$1], CASE $1
                 WHEN 'not_after' THEN to_jsonb('2099-01-01T00:00:00.000Z'::text)
                 WHEN 'spender' THEN to_jsonb('0x' || repeat('07', 20))
                 ELSE to_jsonb('0x01020304'::text) END)
             FROM submitter_changes WHERE kind = 'accepted'";
        assert_eq!(sqlx::query(asked).bind(what).execute(&write).await?.rows_affected(), 1);
        eventually("the request leaves the desk", async || {
            let asked: i64 = query_scalar("SELECT count(*) FROM pull_requests").fetch_one(&write).await?;
            Ok((asked == 0).then_some(()))
        })
        .await?;
    }
    pulls.funding("again", "finalized").await?;
    pulls.pulled(&[300]).await?;
    assert_eq!(pulls.count("SELECT count(*) FROM submitter_changes WHERE kind = 'accepted'").await?, 1);
    assert!(!pulls.scene.host()?.log()?.contains("a pull cannot be accepted"));
    pulls.sound().await
}

#[tokio::test]
async fn a_pull_whose_time_is_over_is_dead_and_the_next_is_another_one() -> Result<()> {
    let mut pulls = Pulls::new(&[("SUBMITTER_DEADLINE_S", "3")]).await?;
    let limit = Limit { balance: 0, max_refill: 0, refill: 0, period_s: 0 };
    pulls.scene.world.chain.set_limit(0, limit).await?;
    pulls.approved("dead", 300).await?;
    let dead = "SELECT count(*) FROM submitter_changes WHERE kind = 'dead'";
    let refused = "SELECT count(*) FROM events WHERE type IN ('StepRefused', 'SagaAdvanced')
                   AND convert_from(payload, 'UTF8')::jsonb @? '$.**.reason ? (@.code == \"pull_dead\")'";
    for _ in 0..900 {
        if pulls.count(refused).await? > 0 {
            break;
        }
        pulls.pool.mine(1).await?;
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!((pulls.count(dead).await?, pulls.count(refused).await?), (1, 1));
    pulls.pulled(&[]).await?;
    let salts: i64 = pulls.count("SELECT count(DISTINCT pull_hash) FROM submitter_changes").await?;
    assert_eq!(salts, 1, "the second pull is asked for after a pause, with a number of its own");
    let waits = "SELECT count(*) FROM events WHERE type = 'StepDeferred' OR type = 'SagaAdvanced'
                 AND convert_from(payload, 'UTF8')::jsonb @? '$.events[*].StepDeferred'";
    assert_eq!(pulls.count(waits).await?, 1);
    Ok(())
}

#[tokio::test]
async fn a_submitter_that_is_half_configured_ends_the_start_and_names_what_is_missing() -> Result<()> {
    let world = clearfold_tests::World::new().await?;
    let mut command = world.host_command()?;
    command.env("SUBMITTER_SENDER_KEY", Party::Relayer.private_key());
    let ended = Output::of(&mut command)?;
    assert!(!ended.status.success());
    assert!(ended.stderr.contains("SUBMITTER_DELEGATE_KEY"), "{ended:?}");
    assert!(!ended.stderr.contains(&Party::Relayer.private_key()[2..]), "a key in an error");
    Ok(())
}
