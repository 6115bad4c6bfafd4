//! Legs of a payment from end to end: whatever falls due is pulled on chain, once; what cannot be is booked, named and an
//! operator's; what is given back in time is not pulled, and is owed back otherwise.

use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clearfold_devchain::Limit;
use clearfold_tests::{Output, eventually};
use serde_json::{Value, json};
use sqlx::query;

use crate::pulls::{NO_LIMIT, Pulls, clearing, minor};

const TOKEN: &str = "the-token-of-the-tests";

const fn limit(balance: u128) -> Limit {
    Limit { balance, max_refill: balance, refill: 0, period_s: 0 }
}

fn about(account: &str, id: &str, what: &str) -> Value {
    json!({
        "message_id": format!("{id}-{what}"), "transaction_id": id, "network": "visa", "account": account,
        "transmitted_at": "2026-11-22T10:05:00.000Z",
    })
}

impl Pulls {
    async fn goes_on(&mut self) -> Result<()> {
        self.pool.mine(1).await?;
        tokio::time::sleep(Duration::from_millis(100)).await;
        Ok(())
    }

    /// Mines until the query counts that many.
    async fn counts(&mut self, query: &'static str, count: i64) -> Result<()> {
        for _ in 0..900 {
            if self.count(query).await? >= count {
                return Ok(());
            }
            self.goes_on().await?;
        }
        bail!("never {count} of {query}: {}", self.scene.host()?.log()?)
    }

    /// Mines until the query counts that many, and lets no attempt wait for its time meanwhile.
    async fn counts_soon(&mut self, query: &'static str, count: i64) -> Result<()> {
        const DEFERRED: &str = "SELECT count(*) FROM timers WHERE due BETWEEN now() + interval '10 s'
                                AND now() + interval '1 day'";
        for _ in 0..900 {
            if self.count(query).await? >= count {
                return Ok(());
            }
            if self.count(DEFERRED).await? > 0 {
                self.hurry().await?;
            }
            self.goes_on().await?;
        }
        bail!("never {count} of {query}: {}", self.scene.host()?.log()?)
    }

    /// Makes the timers of the next day due, and starts the host again, which reads them.
    async fn hurry(&mut self) -> Result<()> {
        self.scene.host.take().context("a host")?.stop()?;
        let sooner = "UPDATE timers SET due = now() WHERE due BETWEEN now() AND now() + interval '1 day'";
        query(sooner).execute(&self.write().await?).await?;
        self.scene.start("").await
    }

    async fn told(&mut self, route: &str, message: &Value, action: &str) -> Result<()> {
        let answer = self.scene.told(route, message).await?;
        assert_eq!(answer.body["action"], action, "{answer:?}");
        Ok(())
    }

    fn saga(&self, arguments: &[&str]) -> Result<String> {
        let mut command = Command::new(&self.scene.world.environment.host);
        command.arg("saga").args(arguments).env("ADMIN_TOKEN", TOKEN).env("USER", "anna");
        command.env("ADMIN_URL", format!("http://{}", self.scene.host()?.address()));
        let output = Output::of(&mut command)?;
        assert!(output.status.success(), "{output:?}");
        Ok(output.stdout)
    }

    /// Types of the events of a payment's stream that are about its money on chain, in their order.
    async fn events(&self, id: &str) -> Result<Vec<String>> {
        let of_stream =
            "SELECT type FROM events WHERE stream = $1 AND (type LIKE 'Funding%' OR type LIKE 'Exposure%'
                         OR type = 'ReturnOwed') ORDER BY stream_version";
        let stream = format!("authorization-visa-{id}");
        Ok(sqlx::query_scalar(of_stream).bind(stream).fetch_all(&self.write().await?).await?)
    }

    /// Waits for the difference that names what is owed back, in cents; none if it is zero.
    async fn owes_back(&self, id: &str, cents: u64) -> Result<()> {
        let read = self.scene.world.databases.read().await?;
        let named = "SELECT expected_minor::text FROM settlement.difference
                     WHERE what = 'return_owed' AND payment_id = $1";
        eventually(&format!("{cents} are owed back"), async || {
            let payment_id = format!("visa-{id}");
            let is: Option<String> = sqlx::query_scalar(named).bind(payment_id).fetch_optional(&read).await?;
            let expected = (cents > 0).then(|| minor(cents).to_string());
            Ok((is == expected).then_some(()))
        })
        .await
    }
}

#[tokio::test]
async fn an_increment_a_tip_and_a_force_post_are_pulled_each_once() -> Result<()> {
    let mut pulls = Pulls::new(&[]).await?;
    let account = pulls.scene.account.clone();
    pulls.approved("meal", 500).await?;
    // The second falls due while the first may be on its way.
    let mut more = about(&account, "meal", "more");
    more["amount"] = json!({"minor": "250", "currency": "EUR", "exponent": 2});
    pulls.told("authorizations/meal/increments", &more, "approved").await?;
    pulls.funding("meal", "included").await?;
    pulls.counts("SELECT count(*) FROM events WHERE type = 'FundingFinalized'", 1).await?;
    pulls.told("clearings", &clearing(&account, "meal", 800), "recorded").await?;
    // Nobody authorized this one.
    pulls.told("clearings", &clearing(&account, "fuel", 70), "recorded").await?;
    let finals = "SELECT count(DISTINCT stream) FROM events WHERE type = 'FundingFinalized'";
    pulls.counts(finals, 2).await?;
    for _ in 0..600 {
        let lost = pulls.funds - pulls.scene.world.chain.balance(0).await?;
        if lost == minor(870) {
            break;
        }
        pulls.goes_on().await?;
    }
    let lost = pulls.funds - pulls.scene.world.chain.balance(0).await?;
    assert_eq!(lost, minor(870), "what was claimed, whole and once");
    let finals = "SELECT count(*) FROM events WHERE type = 'FundingFinalized'";
    let spends = i64::try_from(pulls.scene.world.chain.spends().await?.len())?;
    pulls.counts(finals, spends).await?;
    pulls.scene.available(&(pulls.funds - minor(870)).to_string()).await?;
    assert_eq!(pulls.scene.host()?.payments().await?.len(), 2, "no Spend became a payment");
    pulls.sound().await
}

#[tokio::test]
async fn a_reversal_withdraws_what_is_not_mined_and_names_what_is() -> Result<()> {
    let mut pulls = Pulls::new(&[]).await?;
    let account = pulls.scene.account.clone();
    let reversal = |id: &str| {
        let mut reversal = about(&account, id, "reversal");
        reversal["cause"] = json!("merchant");
        reversal
    };
    pulls.scene.world.chain.set_limit(0, limit(0)).await?;
    pulls.approved("early", 300).await?;
    pulls.counts("SELECT count(*) FROM submitter_changes WHERE kind = 'refused'", 1).await?;
    pulls.told("reversals", &reversal("early"), "recorded").await?;
    pulls.counts("SELECT count(*) FROM submitter_changes WHERE kind = 'dead'", 1).await?;
    pulls.counts_soon("SELECT count(*) FROM events WHERE type = 'FundingAbandoned'", 1).await?;
    // The signed call cannot be executed any more, whoever sends it.
    pulls.scene.world.chain.set_limit(0, limit(NO_LIMIT)).await?;
    assert_eq!(pulls.events("early").await?, ["FundingAbandoned"]);
    pulls.owes_back("early", 0).await?;

    pulls.approved("late", 400).await?;
    pulls.funding("late", "finalized").await?;
    pulls.told("reversals", &reversal("late"), "recorded").await?;
    pulls.owes_back("late", 400).await?;
    assert_eq!(pulls.events("late").await?, ["FundingIncluded", "FundingFinalized", "ReturnOwed"]);
    pulls.pulled(&[400]).await?;
    pulls.sound().await
}

#[tokio::test]
async fn what_is_dead_three_times_is_a_receivable_freezes_the_card_and_is_pulled_at_an_operators_word()
-> Result<()> {
    let mut pulls = Pulls::new(&[("SUBMITTER_DEADLINE_S", "2"), ("ADMIN_TOKEN", TOKEN)]).await?;
    pulls.scene.world.chain.set_limit(0, limit(0)).await?;
    pulls.approved("broke", 300).await?;
    let parked =
        "SELECT count(*) FROM events WHERE type = 'FlowParked' AND convert_from(payload, 'UTF8')::json
                  #>> '{reason,code}' = 'exposure_open'";
    pulls.counts_soon(parked, 1).await?;
    let dead = "SELECT count(*) FROM submitter_changes WHERE kind = 'dead'";
    assert_eq!(pulls.count(dead).await?, 3);
    pulls.pulled(&[]).await?;
    for booked in ["ReceivableBooked", "CardFrozen"] {
        let count: i64 =
            sqlx::query_scalar("SELECT count(*) FROM events WHERE type = $1 AND stream <> 'card-card-lost'")
                .bind(booked)
                .fetch_one(&pulls.write().await?)
                .await?;
        assert_eq!(count, 1, "{booked}");
    }
    let answer = pulls
        .scene
        .told("authorizations", &crate::pulls::ask(&pulls.scene.account.clone(), "next", 10))
        .await?;
    assert_eq!((&answer.body["action"], &answer.body["reason"]), (&json!("declined"), &json!("card_frozen")));

    let instance = "saga-authorization-visa-broke";
    let shown = pulls.saga(&["show", instance])?;
    assert!(shown.contains("recover") && shown.contains("could not be pulled"), "{shown}");
    pulls.scene.world.chain.set_limit(0, limit(NO_LIMIT)).await?;
    pulls.saga(&["retry", instance])?;
    pulls.counts("SELECT count(*) FROM events WHERE type = 'ReceivableRecovered'", 1).await?;
    pulls.counts("SELECT count(*) FROM events WHERE type = 'FundingFinalized'", 1).await?;
    assert_eq!(
        pulls.events("broke").await?,
        ["FundingAbandoned", "ExposureCleared", "FundingIncluded", "FundingFinalized"]
    );
    pulls.pulled(&[300]).await?;
    pulls.sound().await
}
