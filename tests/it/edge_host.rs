//! Edge components of a host: it serves them at a second address too, and follows activations.

use anyhow::{Context, Result};
use clearfold_base::digest::Digest;
use clearfold_tests::{Answer, Output, World, eventually, variant};
use serde_json::{Value, json};
use std::process::Command;

#[tokio::test]
async fn the_edges_own_address_leads_nowhere_else() -> Result<()> {
    let world = World::new().await?;
    let host = world.host_with(|command| _ = command.env("EDGE_LISTEN", "127.0.0.1:0")).await?;
    let log = host.log()?;
    let mut lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let line = lines.find(|line| line["message"] == "listening for the edge alone");
    let line = line.context("it does not say where")?;
    let url = format!("http://{}", line["address"].as_str().context("no address")?);
    let client = clearfold_tests::http_client();
    let get = async |path: &str| Answer::of(client.get(format!("{url}{path}")).send().await?).await;

    // At the second address the edge components answer, and reach the API themselves.
    let payment = get("/edge/payments/some-id").await?;
    assert_eq!((payment.status, &payment.body["title"]), (404, &json!("Not Found")), "{payment:?}");
    assert!(payment.body["code"].is_null(), "{payment:?}");
    assert_eq!(get("/network/authorizations").await?.status, 405);
    assert_eq!(get("/provider/events").await?.status, 405);
    for path in ["/v1/payments", "/v1/invariants", "/v1/commands", "/admin/v1/components", "/healthz", "/"] {
        let nothing = get(path).await?;
        assert_eq!((nothing.status, &nothing.body["code"]), (404, &json!("no_such_path")), "{path}");
    }
    let command = client.post(format!("{url}/v1/commands")).header("idempotency-key", "k").json(&json!({}));
    assert_eq!(Answer::of(command.send().await?).await?.status, 404);
    // The first address serves both the API and the edge.
    assert_eq!(host.get("/v1/payments").await?.status, 200);
    assert_eq!(host.get("/network/authorizations").await?.status, 405);
    assert!(host.stop()?.success());
    Ok(())
}

#[tokio::test]
async fn what_could_not_be_loaded_at_once_answers_as_soon_as_it_can() -> Result<()> {
    let world = World::new().await?;
    let host = world.host().await?;
    let other = variant(&std::fs::read(world.environment.component("edge-payments"))?, "another one")?;
    let file = world.file("edge-payments.wasm");
    std::fs::write(&file, &other)?;
    let digest = Digest::of(&other);
    let mut deploy = Command::new(&world.environment.host);
    deploy.args(["component", "deploy"]).arg(&file).env("DATABASE_URL", &world.databases.write_url);
    let deployed = Output::of(&mut deploy)?;
    assert!(deployed.status.success(), "{deployed:?}");

    // Activated while its bytes cannot be read.
    let write = world.databases.write().await?;
    let mut both = write.begin().await?;
    sqlx::query("ALTER TABLE components RENAME TO away").execute(&mut *both).await?;
    sqlx::query(
        "SELECT activate('http', 'edge-payments', max(activation), $1, 'activate', NULL, 'tester', NULL, NULL, NULL,
                         NULL, NULL, NULL)
         FROM activations WHERE kind = 'http' AND handler = 'edge-payments'",
    )
    .bind(&digest.0[..])
    .execute(&mut *both)
    .await?;
    both.commit().await?;
    let logged = async |said: &str| {
        eventually(said, async || {
            let log = host.log()?;
            Ok(log.lines().any(|line| line.contains(said) && line.contains("edge-payments")).then_some(()))
        })
        .await
    };
    logged("an activation cannot be followed").await?;
    assert_eq!(host.get("/edge/payments/some-id").await?.status, 404);
    sqlx::query("ALTER TABLE away RENAME TO components").execute(&write).await?;
    logged("answers from now on").await?;
    assert!(host.log()?.contains(&digest.to_string()));
    assert_eq!(host.get("/edge/payments/some-id").await?.status, 404);
    assert!(host.stop()?.success());
    Ok(())
}
