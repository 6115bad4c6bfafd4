//! Components that are replaced while payments flow: nothing fails, nothing happens twice, and the log knows which
//! component decided what. A component that decides otherwise is found before it decides.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use clearfold_base::digest::Digest;
use clearfold_tests::{
    Answer, Described, Handler, Host, Load, Output, World, cents, eventually, reworded, variant,
};
use serde_json::{Value, json};
use sqlx::{PgPool, query_as, query_scalar};
use tokio_util::sync::CancellationToken;

const PARTITIONS: i64 = 8;

/// Runs `clearfold` with the write store's address.
fn clearfold(world: &World, arguments: &[&str]) -> Result<Output> {
    let mut command = Command::new(&world.environment.host);
    Output::of(command.args(arguments).env("DATABASE_URL", &world.databases.write_url).env("USER", "tester"))
}

/// Returns the JSON output of a command, which must succeed.
fn done(world: &World, arguments: &[&str]) -> Result<Value> {
    let output = clearfold(world, &[arguments, &["--json"]].concat())?;
    anyhow::ensure!(output.status.success(), "{arguments:?}: {output:?}");
    Ok(serde_json::from_str(output.stdout.lines().last().unwrap_or_default())?)
}

fn wasm(world: &World, name: &str) -> Result<Vec<u8>> {
    Ok(std::fs::read(world.environment.component(name))?)
}

fn written(world: &World, name: &str, wasm: &[u8]) -> Result<PathBuf> {
    let file = world.file(name);
    std::fs::write(&file, wasm)?;
    Ok(file)
}

/// Deploys and activates a file, and returns the activation's number.
fn activated(world: &World, file: &std::path::Path, more: &[&str]) -> Result<i64> {
    let file = file.display().to_string();
    let deploy = ["component", "deploy", &file, "--activate"];
    let made = done(world, &[&deploy[..], more].concat())?;
    made["activation"].as_i64().context("no activation")
}

/// Waits until an activation is in force everywhere.
async fn in_force(write: &PgPool, activation: i64) -> Result<()> {
    eventually(&format!("activation {activation} everywhere"), async || {
        let count: i64 = query_scalar("SELECT count(*) FROM activation_points WHERE activation = $1")
            .bind(activation)
            .fetch_one(write)
            .await?;
        Ok((count == PARTITIONS).then_some(()))
    })
    .await
}

/// Waits until an activated component has decided a command.
async fn used(write: &PgPool, activation: i64) -> Result<()> {
    eventually(&format!("a command under activation {activation}"), async || {
        let count: i64 = query_scalar(
            "SELECT count(*) FROM commands JOIN activation_points USING (partition) JOIN activations USING (activation)
             WHERE activation = $1 AND sequence > after_sequence
               AND commands.component_digest = activations.component_digest",
        )
        .bind(activation)
        .fetch_one(write)
        .await?;
        Ok((count > 0).then_some(()))
    })
    .await
}

/// Returns the commands that were decided by another component than the one in force in their partition, or before
/// any was in force.
async fn decided_by_others(write: &PgPool) -> Result<i64> {
    // An instance of a saga stays on the version that it began on.
    let count = query_scalar(
        "SELECT count(*) FROM commands WHERE NOT starts_with(stream, 'saga-') AND component_digest IS DISTINCT FROM (
             SELECT activations.component_digest FROM activations JOIN activation_points USING (activation)
             WHERE activations.handler = split_part(stream, '-', 1) AND activations.kind = 'decider'
               AND activation_points.partition = commands.partition AND after_sequence < sequence
             ORDER BY activation DESC LIMIT 1)",
    );
    Ok(count.fetch_one(write).await?)
}

fn to_card(card: &str, kind: &str, payload: &Value) -> Value {
    let account = "0x7b5e3f2a9c4d1e8f60a7b3c2d5e4f1a09b8c7d6e";
    json!({"aggregate": "card", "id": card, "account": account, "type": kind, "schema_version": 1, "payload": payload})
}

/// Returns the code with which freezing a card that does not exist is rejected.
pub async fn refusal(host: &Host, key: &str) -> Result<Value> {
    let answer = host.command_to(key, &to_card(key, "FreezeCard", &json!({"reason": "holder"}))).await?;
    assert_eq!(answer.status, 422, "{answer:?}");
    Ok(answer.body["code"].clone())
}

#[tokio::test]
async fn ten_swaps_under_load_fail_nothing_double_nothing_and_can_be_replayed_bit_for_bit() -> Result<()> {
    let world = World::new().await?;
    let host = world.host().await?;
    let write = world.databases.write().await?;
    let load = Load::start(&[host.address()])?;
    for aggregate in ["account", "authorization"] {
        let first = format!("a command to an {aggregate}");
        eventually(&first, async || {
            let commands = query_scalar("SELECT count(*) FROM commands WHERE starts_with(stream, $1)");
            let count: i64 = commands.bind(aggregate).fetch_one(&write).await?;
            Ok((count > 0).then_some(()))
        })
        .await?;
    }
    for swap in 1..=10 {
        let name = if swap % 2 == 0 { "decider-account" } else { "decider-authorization" };
        let file = written(&world, "swapped.wasm", &variant(&wasm(&world, name)?, &format!("swap {swap}"))?)?;
        let activation = if swap % 5 == 0 {
            let aggregate = name.trim_start_matches("decider-");
            let made = done(&world, &["component", "rollback", "decider", aggregate])?;
            made["activation"].as_i64().context("no activation")?
        } else {
            activated(&world, &file, &[])?
        };
        in_force(&write, activation).await?;
        used(&write, activation).await?;
    }
    let heard = load.finish().await?;
    assert!(host.stop()?.success());

    let sent = "SELECT count(*) FROM commands WHERE actor = 'api'";
    let commands: i64 = query_scalar(sent).fetch_one(&write).await?;
    assert_eq!(commands, i64::try_from(heard.len())?, "each key once");
    let events: i64 =
        query_scalar("SELECT count(*) FROM events WHERE actor = 'api'").fetch_one(&write).await?;
    let caused: usize =
        heard.iter().filter_map(|heard| heard.answer.body["events"].as_array()).map(Vec::len).sum();
    assert_eq!(events, i64::try_from(caused)?, "as many events as the answers name");

    assert_eq!(decided_by_others(&write).await?, 0);
    let deciders: Vec<(String, i64)> = query_as(
        "SELECT split_part(stream, '-', 1), count(DISTINCT component_digest) FROM commands
         WHERE split_part(stream, '-', 1) IN ('account', 'authorization') GROUP BY 1 ORDER BY 1",
    )
    .fetch_all(&write)
    .await?;
    // The one of the start and four others; the rollback went back to one of them.
    assert_eq!(deciders, [("account".to_owned(), 5), ("authorization".to_owned(), 5)]);
    // Stored states stay in use among components that make the same states.
    let families: i64 =
        query_scalar("SELECT count(DISTINCT state_family) FROM activations WHERE cause = 'activate'")
            .fetch_one(&write)
            .await?;
    assert_eq!(families, 2);
    let replayed = clearfold(&world, &["replay", "--verify"])?;
    assert!(replayed.status.success(), "{replayed:?}");
    Ok(())
}

#[tokio::test]
async fn a_host_that_dies_between_taking_over_and_the_next_command_goes_on_with_what_it_took_over()
-> Result<()> {
    let world = World::new().await?;
    let write = world.databases.write().await?;
    // Its eight partitions take over once at the start; the ninth time is the swap.
    let mut host = world
        .host_with(|command| {
            command.env("FAILPOINTS", "taken_over=8*off->return");
        })
        .await?;
    let load = Load::start(&[host.address()])?;
    eventually("commands", async || {
        let count: i64 = query_scalar("SELECT count(*) FROM commands").fetch_one(&write).await?;
        Ok((count > 20).then_some(()))
    })
    .await?;
    let file = written(&world, "swapped.wasm", &variant(&wasm(&world, "decider-account")?, "crash")?)?;
    let activation = activated(&world, &file, &[])?;
    while host.ended()?.is_none() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let begun: i64 = query_scalar("SELECT count(*) FROM activation_points WHERE activation = $1")
        .bind(activation)
        .fetch_one(&write)
        .await?;
    assert!((1..PARTITIONS).contains(&begun), "{begun} partitions had taken it over");
    drop(host);
    let host = world.host().await?;
    load.send_to(&[host.address()]);
    in_force(&write, activation).await?;
    used(&write, activation).await?;
    let heard = load.finish().await?;
    crate::proof::prove(&world, &host, &heard).await?;
    assert_eq!(decided_by_others(&write).await?, 0);
    Ok(())
}

#[tokio::test]
async fn a_projector_that_is_activated_is_built_beside_what_is_read_and_then_read() -> Result<()> {
    let world = World::new().await?;
    let host = world.host().await?;
    let write = world.databases.write().await?;
    world.chain.swipes(&[(0, cents(1_000)), (1, cents(300))]).await?;
    let before = host.payments_when(2).await?;
    let other = variant(&wasm(&world, "projector-payments")?, "beside")?;
    let file = written(&world, "projector-payments.wasm", &other)?;
    let activation = activated(&world, &file, &[])?;
    in_force(&write, activation).await?;
    let made_by: Vec<u8> = query_scalar("SELECT digest FROM projections WHERE name = 'payments'")
        .fetch_one(&world.databases.read().await?)
        .await?;
    assert_eq!(made_by, Digest::of(&other).0);
    assert_eq!(host.payments().await?, before);
    world.chain.swipes(&[(2, cents(700))]).await?;
    assert_eq!(host.payments_when(3).await?.len(), 3);
    assert!(host.get("/v1/invariants").await?.body["holds"].as_bool().context("no verdict")?);
    assert!(host.stop()?.success());
    Ok(())
}

#[tokio::test]
async fn a_projector_that_cannot_be_built_is_seen_in_the_list_and_the_old_one_stays() -> Result<()> {
    let world = World::new().await?;
    let host = world
        .host_with(|command| {
            command.env("ADMIN_TOKEN", "a-token-for-the-test");
        })
        .await?;
    world.chain.swipes(&[(0, cents(1_000))]).await?;
    let before = host.payments_when(1).await?;
    let described = Described { name: "payments", version: 1_000, parts: vec!["payment"], schema_version: 1 };
    let unreadable = Handler { described, ..Handler::good("projector") }.build(&world.environment)?;
    let file = written(&world, "projector-payments.wasm", &unreadable)?;
    activated(&world, &file, &[])?;
    let client = clearfold_tests::http_client();
    let why = eventually("the reason", async || {
        let ask = client.get(format!("http://{}/admin/v1/components", host.address()));
        let overview = Answer::of(ask.bearer_auth("a-token-for-the-test").send().await?).await?;
        let handlers = overview.body["handlers"].as_array().context("no handlers")?;
        let payments = handlers.iter().find(|one| one["kind"] == "projector" && one["name"] == "payments");
        let payments = payments.context("no payments")?;
        assert_eq!(payments["begun_in"], 0, "{payments}");
        let build = payments["build"].as_str().filter(|build| build.starts_with("failed "));
        Ok(build.map(str::to_owned))
    })
    .await?;
    assert!(why.contains("the API could not read the tables"), "{why}");
    let listed = clearfold(&world, &["component", "list"])?.stdout;
    assert_eq!(listed.matches("not begun yet").count(), 1, "{listed}");
    assert_eq!(host.payments().await?, before);
    assert!(host.stop()?.success());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_answers_http_is_replaced_while_it_answers() -> Result<()> {
    let world = World::new().await?;
    let host = world.host().await?;
    world.chain.swipes(&[(0, cents(1_000))]).await?;
    let id = host.payments_when(1).await?.remove(0)["id"].clone();
    let path = format!("/edge/payments/{}", id.as_str().context("no id")?);
    let expected = host.get(&path).await?;
    assert_eq!(expected.status, 200, "{expected:?}");
    let stop = CancellationToken::new();
    let ask = async {
        let mut answers = 0_u64;
        while !stop.is_cancelled() {
            assert_eq!(host.get(&path).await?, expected);
            answers += 1;
        }
        anyhow::Ok(answers)
    };
    let swap = async {
        for swap in 0..5 {
            let other = variant(&wasm(&world, "edge-payments")?, &format!("swap {swap}"))?;
            let file = written(&world, "edge-payments.wasm", &other)?;
            let digest = Digest::of(&other).to_string();
            let log = world.file("host.log");
            tokio::task::block_in_place(|| activated(&world, &file, &[]))?;
            eventually("the other one answers", async || {
                let log = std::fs::read_to_string(&log)?;
                let mut lines = log.lines().filter(|line| line.contains("answers from now on"));
                Ok(lines.any(|line| line.contains(&digest)).then_some(()))
            })
            .await?;
        }
        stop.cancel();
        anyhow::Ok(())
    };
    let (answers, ()) = tokio::try_join!(ask, swap)?;
    assert!(answers > 5, "{answers} answers");
    assert!(host.stop()?.success());
    Ok(())
}

#[tokio::test]
async fn what_decides_otherwise_is_found_before_it_is_in_force_and_can_be_taken_back() -> Result<()> {
    let world = World::new().await?;
    world.unlist_accounts()?;
    let host = world.host().await?;
    let write = world.databases.write().await?;
    assert_eq!(refusal(&host, "c1").await?, "card_not_issued");
    let other = reworded(&wasm(&world, "decider-card")?, "card_not_issued", "card_never_seen")?;
    let file = written(&world, "decider-card.wasm", &other)?.display().to_string();

    let deployed = done(&world, &["component", "deploy", &file])?;
    assert_eq!((&deployed["kind"], &deployed["handler"]), (&json!("decider"), &json!("card")));
    let digest = deployed["digest"].as_str().context("no digest")?.to_owned();
    let short = &digest[..10];
    let verified = clearfold(&world, &["component", "verify", short])?;
    assert!(!verified.status.success(), "{verified:?}");
    for said in [
        "0 of 1 commands come to the same",
        "DIFFERENT  card-c1 FreezeCard, command 1 of partition",
        r#"command:   {"reason":"holder"}"#,
        "in force:  rejected: card_not_issued: ",
        "component: rejected: card_never_seen: ",
    ] {
        assert!(verified.stdout.contains(said), "{said}: {verified:?}");
    }
    let refused = clearfold(&world, &["component", "activate", short])?;
    assert!(!refused.status.success() && refused.stdout.is_empty(), "{refused:?}");
    for said in
        ["on 1 of 1 commands. The first: FreezeCard on card-c1", "card_never_seen", "--expect-divergence"]
    {
        assert!(refused.stderr.contains(said), "{said}: {refused:?}");
    }
    assert_eq!(refusal(&host, "c2").await?, "card_not_issued");

    let meant = ["component", "activate", short, "--expect-divergence", "a better word"];
    in_force(&write, done(&world, &meant)?["activation"].as_i64().context("no activation")?).await?;
    assert_eq!(refusal(&host, "c3").await?, "card_never_seen");
    let again = clearfold(&world, &["component", "activate", short])?;
    assert!(again.stderr.contains("is the decider card already"), "{again:?}");
    let back = done(&world, &["component", "rollback", "decider", "card", "--why", "it was better before"])?;
    in_force(&write, back["activation"].as_i64().context("no activation")?).await?;
    assert_eq!(refusal(&host, "c4").await?, "card_not_issued");

    let history = clearfold(&world, &["component", "history", "decider", "card"])?.stdout;
    for said in
        ["activate by tester", "why: a better word", "rollback by tester", "why: it was better before"]
    {
        assert!(history.contains(said), "{said}: {history}");
    }
    let listed = clearfold(&world, &["component", "list"])?.stdout;
    assert!(listed.contains(&format!("decider card                 {short}")), "{listed}");
    assert!(host.stop()?.success());
    let replayed = clearfold(&world, &["replay", "--verify"])?;
    assert!(replayed.stdout.starts_with("4 of 4 commands"), "{replayed:?}");
    Ok(())
}

#[tokio::test]
async fn who_knows_other_events_takes_no_states_from_the_one_before() -> Result<()> {
    let world = World::new().await?;
    let host = world.host().await?;
    let write = world.databases.write().await?;
    let rules = json!({"categories": "all", "countries": "all", "limits": [], "velocity": []});
    let mut issue = to_card("c1", "IssueCard", &json!({"rules": rules}));
    issue["payload"]["account"] = issue["account"].clone();
    let issued = host.command_to("c1", &issue).await?;
    assert_eq!(issued.status, 200, "{issued:?}");
    let wasm = wasm(&world, "decider-card")?;
    // For an event that never occurred, recorded commands are decided as before and give the same states.
    let mut other = wasm.clone();
    while let Some(place) = other.windows(10).position(|text| text == b"CardClosed") {
        other[place..place + 10].copy_from_slice(b"CardEnded_");
    }
    for (name, other, is_of_its_own) in [("same", variant(&wasm, "same")?, false), ("other", other, true)] {
        let file = written(&world, &format!("{name}.wasm"), &other)?;
        let activation = activated(&world, &file, &[])?;
        let family = "SELECT state_family = component_digest FROM activations WHERE activation = $1";
        let family: bool = query_scalar(family).bind(activation).fetch_one(&write).await?;
        assert_eq!(family, is_of_its_own, "{name}");
    }
    assert!(host.stop()?.success());
    Ok(())
}
