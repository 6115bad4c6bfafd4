//! Words of operators about pulls, through command line and admin API of a host.

use std::process::Command;
use std::time::Duration;

use anyhow::Result;
use clearfold_devchain::Limit;
use clearfold_tests::{Output, http_client};
use serde_json::{Value, json};
use sqlx::query_scalar;

use crate::pulls::Pulls;

const TOKEN: &str = "the-admin-token-of-the-tests";
const PULL: &str = "visa-late/pull/1";

/// Host with a pull that the chain refuses.
async fn refused() -> Result<Pulls> {
    let mut pulls = Pulls::new(&[("ADMIN_TOKEN", TOKEN), ("SUBMITTER_RETRY_MS", "60000")]).await?;
    let limit = Limit { balance: 0, max_refill: 0, refill: 0, period_s: 0 };
    pulls.scene.world.chain.set_limit(0, limit).await?;
    pulls.approved("late", 300).await?;
    mine_until(&pulls, "SELECT count(*) FROM submitter_changes WHERE kind = 'refused'").await?;
    Ok(pulls)
}

async fn mine_until(pulls: &Pulls, count: &'static str) -> Result<()> {
    for _ in 0..900 {
        if pulls.count(count).await? > 0 {
            return Ok(());
        }
        pulls.pool.mine(1).await?;
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    anyhow::bail!("never: {count}\n{}", pulls.scene.host()?.log()?)
}

/// Runs `clearfold pull`, and returns what it prints.
fn pull(pulls: &Pulls, arguments: &[&str]) -> Result<Output> {
    let mut command = Command::new(&pulls.scene.world.environment.host);
    command.arg("pull").args(arguments);
    command.env("ADMIN_TOKEN", TOKEN).env("ADMIN_URL", format!("http://{}", pulls.scene.host()?.address()));
    Output::of(command.env("USER", "anna"))
}

/// The pool in front of the node answers while a command runs.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pull_that_an_operator_calls_unpaid_is_invalidated_and_then_its_payment_hears_that_it_is_dead()
-> Result<()> {
    let pulls = refused().await?;
    let listed = pull(&pulls, &["list"])?;
    assert!(listed.stdout.contains("Decision") && listed.stdout.contains(PULL), "{listed:?}");

    let none = format!("0x{}", "07".repeat(32));
    for (arguments, said) in [
        (vec!["resolve", PULL, "--as", "paid"], "--transaction"),
        (vec!["resolve", PULL, "--as", "paid", "--transaction", &none], "contradicted_by_chain"),
        (vec!["resolve", "visa-late/pull/9", "--as", "not-paid"], "pull_not_found"),
        (vec!["search", PULL, "--from", "1"], "pull_ends_by_itself"),
        (vec!["resolve", PULL, "--as", "not-paid", "--why", ""], "invalid_body"),
    ] {
        let refused = pull(&pulls, &arguments)?;
        assert!(!refused.status.success() && refused.stderr.contains(said), "{arguments:?}: {refused:?}");
    }
    let resolved = "SELECT count(*) FROM submitter_changes WHERE kind = 'resolved'";
    assert_eq!(pulls.count(resolved).await?, 0, "a refused word changes nothing");

    let done = pull(&pulls, &["resolve", PULL, "--as", "not-paid", "--why", "the customer left", "--json"])?;
    assert!(done.status.success() && done.stdout.contains("invalidation"), "{done:?}");
    let change: Value = query_scalar("SELECT change FROM submitter_changes WHERE kind = 'resolved'")
        .fetch_one(&pulls.write().await?)
        .await?;
    let expected =
        json!({"Resolved": {"id": PULL, "word": "NotPaid", "by": "anna", "why": "the customer left"}});
    assert_eq!(change, expected);
    mine_until(
        &pulls,
        "SELECT count(*) FROM events WHERE type IN ('StepRefused', 'SagaAdvanced')
         AND convert_from(payload, 'UTF8')::jsonb @? '$.**.reason ? (@.code == \"pull_dead\")'",
    )
    .await?;
    pulls.pulled(&[]).await?;
    let invalidated = "SELECT count(*) FROM submitter_changes WHERE kind = 'dead' AND number >
        (SELECT max(number) FROM submitter_changes WHERE change #>> '{Signed,transaction,work,Invalidate,id}' IS NOT NULL)";
    assert_eq!(pulls.count(invalidated).await?, 1, "it was invalidated before it was dead");
    let repeated = pull(&pulls, &["resolve", PULL, "--as", "not-paid"])?;
    assert!(repeated.status.success() && repeated.stdout.contains("dead"), "{repeated:?}");
    assert_eq!(pulls.count(resolved).await?, 1, "a repeat is recorded once");
    Ok(())
}

#[tokio::test]
async fn the_admin_api_lists_pulls_and_a_host_without_a_submitter_has_none() -> Result<()> {
    let pulls = refused().await?;
    let url = format!("http://{}/admin/v1/pulls", pulls.scene.host()?.address());
    assert_eq!(http_client().get(&url).send().await?.status().as_u16(), 401);
    let listed: Value = http_client().get(&url).bearer_auth(TOKEN).send().await?.json().await?;
    assert_eq!(listed["data"][0]["pull"], PULL, "{listed}");
    assert_eq!(listed["data"][0]["reason"], "Decision", "{listed}");
    let said = http_client().post(format!("{url}/x/resolve")).bearer_auth(TOKEN);
    let said = said.json(&json!({"as": "done"})).send().await?;
    assert_eq!(said.status().as_u16(), 422, "an unknown end");

    let scene = crate::scene::Scene::of(
        clearfold_tests::World::new().await?,
        vec![("ADMIN_TOKEN", TOKEN.to_owned())],
    )
    .await?;
    let url = format!("http://{}/admin/v1/pulls", scene.host()?.address());
    let none: Value = http_client().get(&url).bearer_auth(TOKEN).send().await?.json().await?;
    assert_eq!(none["code"], "no_submitter", "{none}");
    Ok(())
}
