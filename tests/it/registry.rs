//! The registry from outside: activations at a start, canaries, signatures, and the admin API.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use clearfold_base::digest::Digest;
use clearfold_engine::registry::{Handler, Registry, RegistryError};
use clearfold_sandbox::ComponentKind;
use clearfold_store::{EventStore, Lease, StoreError, Taken};
use clearfold_tests::{
    Answer, Application, Databases, Environment, Host, Load, Output, World, activation, deployment,
    eventually, reworded, signing_key, variant,
};
use ring::signature::KeyPair;
use serde_json::{Value, json};
use sqlx::{PgPool, query, query_as, query_scalar};

fn wasm(world: &World, name: &str) -> Result<Vec<u8>> {
    Ok(std::fs::read(world.environment.component(name))?)
}

/// Starts a host whose manifest has these bytes for the decider of cards.
async fn host_with_card(world: &World, wasm: &[u8]) -> Result<Host> {
    let application = Application::of(world)?;
    application.replace("decider-card", wasm)?;
    Host::start(application.host_command(world)?, world.file("host.log")).await
}

/// Returns the component in force for cards.
async fn card_in_force(write: &PgPool) -> Result<(Vec<u8>, String)> {
    let newest = query_as(
        "SELECT component_digest, cause FROM activations WHERE kind = 'decider' AND handler = 'card'
         ORDER BY activation DESC LIMIT 1",
    );
    Ok(newest.fetch_one(write).await?)
}

#[tokio::test]
async fn a_start_with_a_new_file_is_a_deploy_and_no_start_undoes_a_rollback() -> Result<()> {
    let world = World::new().await?;
    let write = world.databases.write().await?;
    let one = wasm(&world, "decider-card")?;
    let other = variant(&one, "newer")?;
    let digest = |wasm: &[u8]| Digest::of(wasm).0.to_vec();
    assert!(host_with_card(&world, &one).await?.stop()?.success());
    assert_eq!(card_in_force(&write).await?, (digest(&one), "start".to_owned()));
    assert!(host_with_card(&world, &other).await?.stop()?.success());
    assert_eq!(card_in_force(&write).await?, (digest(&other), "start".to_owned()));
    assert!(world.clearfold(&["component", "rollback", "decider", "card"])?.status.success());
    let host = host_with_card(&world, &other).await?;
    assert_eq!(card_in_force(&write).await?, (digest(&one), "rollback".to_owned()));
    assert!(host.log()?.contains("what was decided since stands"));
    assert!(host.stop()?.success());
    let nothing = world.clearfold(&["component", "rollback", "decider", "card"])?;
    assert!(nothing.stderr.contains("nothing was in force for the decider card before"), "{nothing:?}");
    let unknown = world.clearfold(&["component", "rollback", "decider", "loyalty"])?;
    assert!(unknown.stderr.contains("no manifest ever named the decider loyalty"), "{unknown:?}");
    Ok(())
}

#[tokio::test]
async fn a_canary_that_decides_otherwise_goes_by_itself_and_touched_only_its_accounts() -> Result<()> {
    let world = World::new().await?;
    let host = world.host().await?;
    let write = world.databases.write().await?;
    let other = reworded(&wasm(&world, "decider-authorization")?, "already_decided", "decided_earlier")?;
    let file = world.file("canary.wasm");
    std::fs::write(&file, &other)?;
    let deployed = world.clearfold(&["component", "deploy", &file.display().to_string()])?;
    assert!(deployed.stdout.contains("is deployed for the decider authorization"), "{deployed:?}");
    let digest = Digest::of(&other);
    let (id, other) = (digest.to_string(), digest.0.to_vec());
    let started = world.clearfold(&["component", "canary", &id, "--share", "50%"])?;
    assert!(started.status.success(), "{started:?}");

    let load = Load::start(&[host.address()])?;
    let why: String = eventually("the canary is taken out", async || {
        let why = query_scalar("SELECT why FROM activations WHERE cause = 'automatic_rollback'");
        Ok(why.fetch_optional(&write).await?)
    })
    .await?;
    assert!(why.contains("in force: rejected: already_decided"), "{why}");
    assert!(why.contains("canary: rejected: decided_earlier"), "{why}");
    eventually("the old one everywhere", async || {
        let begun: i64 = query_scalar(
            "SELECT count(*) FROM activation_points JOIN activations USING (activation)
             WHERE cause = 'automatic_rollback'",
        )
        .fetch_one(&write)
        .await?;
        Ok((begun == 8).then_some(()))
    })
    .await?;
    let before: i64 = query_scalar("SELECT count(*) FROM commands WHERE component_digest = $1")
        .bind(&other)
        .fetch_one(&write)
        .await?;
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    load.finish().await?;
    let after: i64 = query_scalar("SELECT count(*) FROM commands WHERE component_digest = $1")
        .bind(&other)
        .fetch_one(&write)
        .await?;
    assert!(before > 0 && before == after, "{before} commands, then {after}");
    // During the canary, each account was decided either by the canary or by the other component.
    let torn: i64 = query_scalar(
        "SELECT count(*) FROM (
             SELECT routing_key FROM commands
             JOIN activation_points AS begun ON begun.partition = commands.partition
                  AND begun.activation = (SELECT activation FROM activations WHERE cause = 'canary')
                  AND sequence > begun.after_sequence
             JOIN activation_points AS ended ON ended.partition = commands.partition
                  AND ended.activation = (SELECT activation FROM activations WHERE cause = 'automatic_rollback')
                  AND sequence <= ended.after_sequence
             WHERE stream LIKE 'authorization-%'
             GROUP BY routing_key HAVING count(DISTINCT component_digest) > 1) AS torn",
    )
    .fetch_one(&write)
    .await?;
    assert_eq!(torn, 0);
    assert!(host.stop()?.success());
    let replayed = world.clearfold(&["replay", "--verify"])?;
    assert!(replayed.status.success(), "{replayed:?}");
    Ok(())
}

#[tokio::test]
async fn where_signatures_are_asked_for_nothing_runs_without_one() -> Result<()> {
    let world = World::new().await?;
    let key = signing_key(1)?;
    let signer: String = key.public_key().as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    let mut unsigned = world.host_command()?;
    let refused = Output::of(unsigned.env("COMPONENT_SIGNERS", &signer))?;
    assert!(!refused.status.success());
    assert!(refused.stderr.contains("is not signed, and COMPONENT_SIGNERS asks for it"), "{refused:?}");
    let mut wrong = world.host_command()?;
    let refused = Output::of(wrong.env("COMPONENT_SIGNERS", "abc"))?;
    assert!(refused.stderr.contains("`abc` is no Ed25519 key"), "{refused:?}");

    // A host without required signatures has run; now one is required.
    assert!(world.host().await?.stop()?.success());
    let bytes = variant(&wasm(&world, "decider-card")?, "signed")?;
    let file = world.file("signed.wasm");
    std::fs::write(&file, &bytes)?;
    let file = file.display().to_string();
    let deploy = ["component", "deploy", &file, "--component-signers", &signer];
    assert!(world.clearfold(&deploy)?.stderr.contains("is not signed"));
    std::fs::write(world.file("signed.wasm.sig"), key.sign(b"something else").as_ref())?;
    assert!(world.clearfold(&deploy)?.stderr.contains("by none of COMPONENT_SIGNERS"));
    std::fs::write(world.file("signed.wasm.sig"), key.sign(&bytes).as_ref())?;
    let deployed = world.clearfold(&deploy)?;
    assert!(deployed.status.success(), "{deployed:?}");
    let digest = Digest::of(&bytes).to_string();
    let inspected = world.clearfold(&["component", "inspect", &digest[..8], "--json"])?;
    let inspected: Value = serde_json::from_str(&inspected.stdout)?;
    assert_eq!(inspected["signer"], json!(signer));
    Ok(())
}

#[tokio::test]
async fn activations_come_one_at_a_time_and_stay_and_nobody_goes_back_behind_them() -> Result<()> {
    let environment = Environment::read()?;
    let databases = Databases::migrated(&environment).await?;
    let write = databases.write().await?;
    let (registry, store) = (Registry::new(write.clone()), EventStore::open(write.clone()).await?);
    let handler = Handler { kind: ComponentKind::Decider, name: "card".to_owned() };
    let digest = registry.keep(b"some bytes", &deployment("card", &handler)).await?;
    let new = |newest| activation(&handler, digest, newest);
    assert_eq!((registry.activate(&new(0)).await?, registry.activate(&new(1)).await?), (1, 2));
    let late = registry.activate(&new(1)).await;
    assert!(matches!(late, Err(RegistryError::ChangedMeanwhile { .. })), "{late:?}");

    let owner: Arc<str> = "test".into();
    let Taken::Held(lease, _) = store.take_lease(0, &owner, Duration::from_secs(60)).await? else {
        anyhow::bail!("nobody else wants it")
    };
    store.begin_activations(&lease, 2).await?;
    store.begin_activations(&lease, 2).await?;
    let behind = store.begin_activations(&lease, 1).await.err();
    assert!(
        behind.as_ref().is_some_and(|error| error.to_string().contains("activation 2 is in force")),
        "{behind:?}"
    );
    assert!(matches!(behind, Some(StoreError::Behind { .. })));
    let older = Lease { epoch: lease.epoch - 1, ..lease };
    let lost = store.begin_activations(&older, 2).await;
    assert!(matches!(lost, Err(StoreError::LeaseLost { .. })), "{lost:?}");
    assert_eq!(registry.points().await?.len(), 2);
    for change in [
        "DELETE FROM activations",
        "UPDATE activations SET cause = 'rollback'",
        "TRUNCATE activation_points",
        "DELETE FROM components",
        "UPDATE components SET deployed_by = 'nobody'",
        "UPDATE components SET handler = 'account'",
    ] {
        assert!(query(change).execute(&write).await.is_err(), "{change}");
    }
    Ok(())
}

const TOKEN: &str = "the-token-of-the-tests";

struct Admin<'a> {
    host: &'a Host,
    client: reqwest::Client,
}

impl Admin<'_> {
    async fn ask(&self, method: &str, path: &str, body: Option<Value>) -> Result<Answer> {
        let request = self.request(method, path)?;
        let request = match body {
            Some(body) => request.json(&body),
            None => request,
        };
        Answer::of(request.bearer_auth(TOKEN).send().await?).await
    }

    fn request(&self, method: &str, path: &str) -> Result<reqwest::RequestBuilder> {
        let url = format!("http://{}/admin/v1{path}", self.host.address());
        Ok(self.client.request(method.parse()?, url))
    }
}

#[tokio::test]
async fn the_admin_api_does_what_the_command_line_does() -> Result<()> {
    let world = World::new().await?;
    let without = world.host().await?;
    let off = without.get("/admin/v1/components").await?;
    assert_eq!((off.status, &off.body["code"]), (403, &json!("admin_off")));
    assert!(without.stop()?.success());
    let host = world
        .host_with(|command| {
            command.env("ADMIN_TOKEN", TOKEN);
        })
        .await?;
    let admin = Admin { host: &host, client: clearfold_tests::http_client() };
    who_is_not_the_admin_is_refused(&admin).await?;
    for guessed in ["", "short"] {
        let refused = Output::of(world.host_command()?.env("ADMIN_TOKEN", guessed))?;
        assert!(!refused.status.success() && refused.stderr.contains("at least 16"), "{refused:?}");
    }

    let digest =
        deployed_and_verified(&admin, variant(&wasm(&world, "decider-card")?, "by the api")?).await?;
    it_is_activated_and_rolled_back(&admin, &digest).await?;
    it_is_tried_on_a_share_of_the_accounts(&admin, &digest).await?;
    what_is_wrong_is_refused_with_its_code(&admin, &digest).await
}

async fn who_is_not_the_admin_is_refused(admin: &Admin<'_>) -> Result<()> {
    let stranger = admin.host.get("/admin/v1/components").await?;
    assert_eq!((stranger.status, &stranger.body["code"]), (401, &json!("not_the_admin")));
    for wrong in
        ["Bearer ", "Bearer the-token-of-the-test", "the-token-of-the-tests", "Basic the-token-of-the-tests"]
    {
        let request = admin.request("GET", "/components")?.header("authorization", wrong);
        let stranger = Answer::of(request.send().await?).await?;
        assert_eq!((stranger.status, &stranger.body["code"]), (401, &json!("not_the_admin")), "{wrong}");
    }
    Ok(())
}

/// Deploys a component, and returns its digest after it decided everything as the one in force did.
async fn deployed_and_verified(admin: &Admin<'_>, bytes: Vec<u8>) -> Result<String> {
    let (digest, size) = (Digest::of(&bytes).to_string(), bytes.len());
    let deploy = admin.request("POST", "/components?name=card&revision=abc")?.bearer_auth(TOKEN);
    let deployed = Answer::of(deploy.body(bytes).send().await?).await?;
    assert_eq!((deployed.status, &deployed.body["digest"]), (201, &json!(digest)), "{deployed:?}");
    let shown = admin.ask("GET", &format!("/components/{}", &digest[..8]), None).await?;
    assert_eq!(shown.body["size_bytes"], json!(size), "{shown:?}");
    assert_eq!(shown.body["source_revision"], json!("abc"));
    let in_force = deployed.body["in_force"].as_str().context("nothing in force")?;
    let differs = admin.ask("GET", &format!("/components/{digest}/diff/{in_force}"), None).await?;
    assert_eq!(differs.body["digest"], json!([digest, in_force]), "{differs:?}");
    assert_eq!(differs.body.get("kind"), None, "{differs:?}");
    let verified =
        admin.ask("POST", &format!("/components/{digest}/verify"), Some(json!({"all": true}))).await?;
    assert_eq!((verified.status, &verified.body["shadow"]["different"]), (200, &json!(0)), "{verified:?}");
    Ok(digest)
}

async fn it_is_activated_and_rolled_back(admin: &Admin<'_>, digest: &str) -> Result<()> {
    let activated = admin.ask("POST", &format!("/components/{digest}/activate"), Some(json!({}))).await?;
    assert_eq!(activated.status, 200, "{activated:?}");
    let again = admin.ask("POST", &format!("/components/{digest}/activate"), Some(json!({}))).await?;
    assert_eq!((again.status, &again.body["code"]), (409, &json!("in_force_already")));
    let back = admin.ask("POST", "/handlers/decider/card/rollback", Some(json!({"why": "a test"}))).await?;
    assert_eq!(back.status, 200, "{back:?}");
    let history = admin.ask("GET", "/activations?kind=decider&name=card", None).await?;
    let causes: Vec<&str> =
        history.body.as_array().context("no list")?.iter().filter_map(|one| one["cause"].as_str()).collect();
    assert_eq!(causes, ["start", "activate", "rollback"]);
    Ok(())
}

async fn it_is_tried_on_a_share_of_the_accounts(admin: &Admin<'_>, digest: &str) -> Result<()> {
    let canary = json!({"share_permille": 100});
    let tried = admin.ask("POST", &format!("/components/{digest}/canary"), Some(canary)).await?;
    assert_eq!(tried.status, 200, "{tried:?}");
    let overview = admin.ask("GET", "/components", None).await?;
    let handlers = overview.body["handlers"].as_array().context("no handlers")?;
    let card = handlers.iter().find(|handler| handler["name"] == "card").context("no card")?;
    assert_eq!((&card["canary"]["digest"], &card["canary"]["share_permille"]), (&json!(digest), &json!(100)));
    let ended = admin.ask("POST", "/handlers/decider/card/end-canary", None).await?;
    assert_eq!(ended.status, 200, "{ended:?}");
    // A rollback during a canary ends the canary, and nothing else.
    let in_force = ended.body["digest"].clone();
    let tried = admin
        .ask("POST", &format!("/components/{digest}/canary"), Some(json!({"share_permille": 1})))
        .await?;
    assert_eq!(tried.status, 200, "{tried:?}");
    let back = admin.ask("POST", "/handlers/decider/card/rollback", Some(json!({}))).await?;
    assert_eq!((back.status, &back.body["digest"]), (200, &in_force), "{back:?}");
    Ok(())
}

async fn what_is_wrong_is_refused_with_its_code(admin: &Admin<'_>, digest: &str) -> Result<()> {
    let activate = format!("/components/{digest}/activate");
    for (method, path, body, code) in [
        ("GET", "/components/0123456789", None, "component_not_found"),
        ("GET", "/components/xyz", None, "invalid_digest"),
        ("POST", "/handlers/butler/card/rollback", Some(json!({})), "invalid_query"),
        ("POST", "/handlers/decider/none/rollback", Some(json!({})), "handler_not_found"),
        ("POST", "/handlers/decider/card/end-canary", None, "no_canary"),
        ("GET", "/activations?kind=decider", None, "invalid_query"),
        ("POST", &*activate, Some(json!({"expect_divergence": " "})), "invalid_body"),
        ("POST", &*activate, Some(json!({"expect_divergence": "a\u{0}b"})), "invalid_body"),
        ("POST", &*activate, Some(json!({"last": 0})), "invalid_body"),
        ("POST", &*activate, Some(json!({"handler": "account"})), "anothers_name"),
        ("POST", "/handlers/decider/card/rollback", Some(json!({"why": ""})), "invalid_body"),
        ("POST", "/components?name=", Some(json!({})), "invalid_body"),
        ("POST", "/components?name=x&revision=", Some(json!({})), "invalid_body"),
        ("GET", "/nothing", None, "no_such_path"),
    ] {
        let answer = admin.ask(method, path, body).await?;
        assert_eq!(answer.body["code"], json!(code), "{path}: {answer:?}");
    }
    let nonsense = admin.request("POST", "/components?name=x")?.bearer_auth(TOKEN).body("no wasm");
    let refused = Answer::of(nonsense.send().await?).await?;
    assert_eq!((refused.status, &refused.body["code"]), (422, &json!("component_refused")), "{refused:?}");
    Ok(())
}
