//! The check of the invariants: it reports nothing while they hold, and names violations exactly.

use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use anyhow::Result;
use clearfold_audit::{Audit, AuditError, Scope};
use clearfold_base::clock::Clock;
use clearfold_sandbox::{Auditor, HandlerEngine, Limits, Projector};
use clearfold_store::EventStore;
use clearfold_tests::{Databases, Environment, Host, Output, World, cents, eventually};
use serde_json::{Value, json};
use sqlx::PgPool;
use tokio::sync::watch;

/// Invariants of the host; the others belong to the domain.
const OWN: [&str; 6] = [
    "positions_gapless",
    "versions_gapless",
    "streams_known",
    "event_ids_unique",
    "one_partition_per_account",
    "read_store_follows_log",
];

/// Makes a world with three payments of two accounts, one of them partly cleared, all of them projected.
async fn used() -> Result<(World, Host, String)> {
    let world = World::new().await?;
    let host = world.host().await?;
    world.chain.swipes(&[(0, cents(1_000)), (0, cents(200)), (1, cents(300))]).await?;
    let payments = host.payments_when(3).await?;
    let of_ten = payments.iter().find(|payment| payment["amount"]["display"] == "10.00 EURe").unwrap();
    let id = of_ten["id"].as_str().unwrap().to_owned();
    let clearing = json!({
        "aggregate": "authorization", "id": id, "type": "PresentClearing", "schema_version": 2,
        "payload": {
            "clearing_id": "c1", "part": "partial", "occurred_at": "2026-11-22T10:00:00.000Z",
            "amount": {"minor": "4000000000000000000", "decimals": 18, "asset": "EURe"},
        },
    });
    let answer = host.command_to("clearing", &clearing).await?;
    assert_eq!(answer.status, 200, "{answer:?}");
    eventually("the clearing", async || {
        let payment = host.get(&format!("/v1/payments/{id}")).await?.body;
        Ok((payment["status"] == "partially_cleared").then_some(()))
    })
    .await?;
    Ok((world, host, id))
}

pub fn check(world: &World, arguments: &[&str]) -> Command {
    let mut command = Command::new(&world.environment.host);
    command
        .arg("check")
        .args(arguments)
        .env("DATABASE_URL", &world.databases.write_url)
        .env("READ_DATABASE_URL", &world.databases.read_url)
        .env("MANIFEST", world.environment.root.join("spin.toml"));
    command
}

/// Returns the report of a check that must find a violation.
fn report(world: &World) -> Result<Value> {
    let output = Output::of(&mut check(world, &["--json"]))?;
    let report: Value = serde_json::from_str(&output.stdout)?;
    assert!(!output.status.success() && report["holds"] == false, "{output:?}");
    Ok(report)
}

/// Codes of the invariants that do not hold.
fn violated(report: &Value) -> Vec<&str> {
    let invariants = report["invariants"].as_array().unwrap().iter();
    invariants.filter(|one| one["holds"] == false).filter_map(|one| one["code"].as_str()).collect()
}

/// Violations of an invariant, each as a text followed by its streams.
fn violations(report: &Value, code: &str) -> Vec<String> {
    let invariants = report["invariants"].as_array().unwrap();
    let one = invariants.iter().find(|one| one["code"] == code).unwrap();
    let listed = one["violations"].as_array().unwrap();
    assert_eq!(one["violation_count"], listed.len());
    listed.iter().map(|one| format!("{} {}", one["detail"].as_str().unwrap(), one["streams"])).collect()
}

#[tokio::test]
async fn while_all_holds_the_api_and_the_program_say_so() -> Result<()> {
    let (world, host, id) = used().await?;
    let answer = host.get("/v1/invariants").await?;
    assert_eq!((answer.status, &answer.body["holds"]), (200, &json!(true)), "{answer:?}");
    // Three deposits, each of which opened its account, three swipes and a clearing, with what the saga did.
    let write = world.databases.write().await?;
    let count =
        "SELECT count(DISTINCT streams.routing_key), count(*) FROM events JOIN streams USING (stream)";
    let (accounts, events): (i64, i64) = sqlx::query_as(count).fetch_one(&write).await?;
    assert!(accounts == 3 && events > 10, "{accounts} accounts, {events} events");
    assert_eq!((&answer.body["accounts"], &answer.body["events"]), (&json!(accounts), &json!(events)));
    assert_eq!(answer.body["not_audited"], json!([]));
    let positions = answer.body["log"]["partitions"].as_array().unwrap().iter();
    assert_eq!(positions.filter_map(|one| one["position"].as_i64()).sum::<i64>(), events);
    let codes: Vec<&str> = answer.body["invariants"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| {
            assert_eq!((&one["holds"], &one["violations"]), (&json!(true), &json!([])));
            one["code"].as_str().unwrap()
        })
        .collect();
    assert_eq!(codes[..OWN.len()], OWN);
    assert!(codes.len() > OWN.len(), "no auditor was asked: {codes:?}");

    let output = Output::of(&mut check(&world, &[]))?;
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    let ok = output.stdout.lines().filter(|line| line.starts_with("ok "));
    assert_eq!(ok.count(), codes.len(), "{output:?}");
    let output = Output::of(&mut check(&world, &["--json"]))?;
    let mut same: Value = serde_json::from_str(&output.stdout)?;
    same["checked_at"] = answer.body["checked_at"].clone();
    assert_eq!(same, answer.body);

    let payment = host.get(&format!("/v1/payments/{id}")).await?.body;
    let account = payment["account"].as_str().unwrap();
    // Addresses are read in any case.
    let upper = account.to_uppercase().replace("0X", "0x");
    let one = host.get(&format!("/v1/invariants?account={upper}")).await?;
    assert_eq!((&one.body["holds"], &one.body["account"]), (&json!(true), &json!(account)), "{one:?}");
    let of_one = "SELECT count(*) FROM events JOIN streams USING (stream) WHERE routing_key = $1";
    let of_one: i64 = sqlx::query_scalar(of_one).bind(account).fetch_one(&write).await?;
    assert_eq!((&one.body["accounts"], &one.body["events"]), (&json!(1), &json!(of_one)));
    let of_one: Vec<&str> =
        one.body["invariants"].as_array().unwrap().iter().filter_map(|one| one["code"].as_str()).collect();
    assert!(!of_one.contains(&"read_store_follows_log") && of_one.contains(&"versions_gapless"));
    Ok(())
}

#[tokio::test]
async fn while_payments_arrive_nothing_is_reported() -> Result<()> {
    const SWIPES: u64 = 60;
    let world = World::new().await?;
    let host = world.host().await?;
    let wanted: Vec<_> = (1..=SWIPES).map(|n| (usize::try_from(n % 3).unwrap(), cents(n))).collect();
    let (reports, is_over) = (AtomicU64::new(0), AtomicBool::new(false));
    let pay = async {
        for (nth, some) in wanted.chunks(6).enumerate() {
            if nth == 5 {
                // So that even on a slow machine the second report from here begins while payments arrive.
                host.payments_when(5 * 6).await?;
                let before = reports.load(Ordering::Relaxed);
                let later = async || Ok((reports.load(Ordering::Relaxed) > before + 1).then_some(()));
                eventually("two more reports", later).await?;
            }
            world.chain.swipes(some).await?;
        }
        let payments = host.payments_when(wanted.len()).await;
        is_over.store(true, Ordering::Relaxed);
        payments
    };
    let look = async {
        let mut seen = Vec::new();
        while !is_over.load(Ordering::Relaxed) {
            let report = host.get("/v1/invariants").await?.body;
            assert_eq!(report["holds"], true, "{report}");
            seen.push(report["events"].as_u64().unwrap());
            reports.fetch_add(1, Ordering::Relaxed);
        }
        let report = host.get("/v1/invariants").await?.body;
        assert_eq!(report["holds"], true, "{report}");
        anyhow::Ok((seen, report["events"].as_u64().unwrap()))
    };
    let (_, (seen, last)) = tokio::try_join!(pay, look)?;
    assert!(last > SWIPES, "{last} events of {SWIPES} swipes");
    assert!(seen.iter().any(|events| (1..last).contains(events)), "never in the middle of it: {seen:?}");
    Ok(())
}

#[tokio::test]
async fn rows_that_no_event_made_so_are_named_with_both_values_and_their_streams() -> Result<()> {
    let (world, host, id) = used().await?;
    let read = world.databases.read().await?;
    let tamper = format!(
        "UPDATE payments.payment SET amount_minor = 7 WHERE id = '{id}';
         DELETE FROM payments.payment_event WHERE payment_id = '{id}' AND stream_version = 2;
         UPDATE payments.payment_event SET data = jsonb_set(data, '{{amount,minor}}', '\"7\"')
         WHERE payment_id = '{id}' AND stream_version = 1;
         CREATE TEMP TABLE copied AS SELECT * FROM payments.payment WHERE id = '{id}';
         UPDATE copied SET id = 'invented';
         INSERT INTO payments.payment SELECT * FROM copied;"
    );
    sqlx::raw_sql(sqlx::AssertSqlSafe(tamper)).execute(&read).await?;

    let report = host.get("/v1/invariants").await?.body;
    assert_eq!(violated(&report), ["read_store_follows_log"], "{report}");
    let found = violations(&report, "read_store_follows_log");
    assert_eq!(found.len(), 4, "{found:#?}");
    let stream = format!("[\"authorization-{id}\"]");
    for (said, streams) in [
        (
            format!(
                "payments.payment, id {id}: amount_minor is 7 in the read store and 10000000000000000000 by the log"
            ),
            stream.as_str(),
        ),
        (format!("payments.payment_event, payment_id {id}, stream_version 2: the row is missing"), &stream),
        (format!("payments.payment_event, payment_id {id}, stream_version 1: data is {{"), &stream),
        ("payments.payment, id invented: no event made this row".to_owned(), "[]"),
    ] {
        assert!(
            found.iter().any(|one| one.starts_with(&said) && one.ends_with(streams)),
            "{said}: {found:#?}"
        );
    }

    let output = Output::of(&mut check(&world, &[]))?;
    assert!(!output.status.success(), "{output:?}");
    assert!(output.stdout.contains("VIOLATED 4   read_store_follows_log"), "{output:?}");
    assert!(output.stdout.contains(&format!("streams: authorization-{id}")), "{output:?}");
    assert!(
        output.stdout.contains("remedy: ") && output.stderr.contains("invariants do not hold"),
        "{output:?}"
    );
    Ok(())
}

/// Copy of the log, to which it is restored after each tampering.
const KEEP: &str =
    "CREATE TABLE kept_events AS SELECT * FROM events; CREATE TABLE kept_streams AS SELECT * FROM streams;
                    CREATE TABLE kept_partitions AS SELECT * FROM partitions;";
const RESTORE: &str = "DELETE FROM events; INSERT INTO events SELECT * FROM kept_events;
                       DELETE FROM streams; INSERT INTO streams SELECT * FROM kept_streams;
                       UPDATE partitions SET head_position = kept.head_position FROM kept_partitions kept
                       WHERE kept.partition = partitions.partition;";

/// Makes the audit in this process, where the components are compiled once for many checks.
async fn audit(world: &World) -> Result<Audit> {
    let engine = Arc::new(HandlerEngine::new(Limits::of)?);
    let wasm = |name: &str| std::fs::read(world.environment.component(name));
    let projector = Projector::load(&engine, "projector-payments", &wasm("projector-payments")?)?;
    let auditor = Auditor::load(&engine, "auditor-payments", &wasm("auditor-payments")?)?;
    let store = EventStore::open(world.databases.write().await?).await?;
    let read = world.databases.read().await?;
    let projectors = vec![watch::Sender::new(Arc::new(projector)).subscribe()];
    let auditors = watch::Sender::new(vec![Arc::new(auditor)]).subscribe();
    Ok(Audit::new(store, read, projectors, auditors, Clock::system())?)
}

/// Tampers with the log, checks, and restores the log.
async fn tampered(audit: &Audit, write: &PgPool, tamper: String) -> Result<Value> {
    sqlx::raw_sql(sqlx::AssertSqlSafe(tamper)).execute(write).await?;
    let report = audit.check(&Scope::Everything, &|_| {}).await?;
    sqlx::raw_sql(RESTORE).execute(write).await?;
    assert!(!report.holds, "{report:?}");
    Ok(serde_json::to_value(report)?)
}

#[tokio::test]
async fn a_log_that_somebody_changed_is_named_by_stream() -> Result<()> {
    let (world, host, id) = used().await?;
    assert!(host.stop()?.success());
    let write = world.databases.write().await?;
    sqlx::raw_sql(KEEP).execute(&write).await?;
    let audit = audit(&world).await?;
    let stream = format!("authorization-{id}");
    let named = |found: &[String], said: &str| {
        assert!(found.iter().any(|one| one.contains(said) && one.contains(&stream)), "{said}: {found:#?}");
    };

    let version = format!("UPDATE streams SET version = 9 WHERE stream = '{stream}'");
    let report = tampered(&audit, &write, version).await?;
    assert_eq!(violated(&report), ["versions_gapless"]);
    named(&violations(&report, "versions_gapless"), "is at version 9 and has 2 events, from 1 to 2,");

    let head = format!(
        "UPDATE partitions SET head_position = head_position + 5
         WHERE partition = (SELECT partition FROM streams WHERE stream = '{stream}')"
    );
    let report = tampered(&audit, &write, head).await?;
    assert_eq!(violated(&report), ["positions_gapless"]);
    assert!(violations(&report, "positions_gapless")[0].contains("its head is"), "{report}");

    let hole = format!("DELETE FROM events WHERE stream = '{stream}' AND stream_version = 1");
    let report = tampered(&audit, &write, hole).await?;
    named(&violations(&report, "versions_gapless"), "is at version 2 and has 1 event, from 2 to 2,");
    assert!(violated(&report).contains(&"positions_gapless"), "{report}");

    let id_of_another = format!(
        "UPDATE events SET event_id = (SELECT event_id FROM events WHERE stream = '{stream}' AND stream_version = 2)
         WHERE stream = '{stream}' AND stream_version = 1"
    );
    let report = tampered(&audit, &write, id_of_another).await?;
    assert!(violated(&report).contains(&"event_ids_unique"), "{report}");
    named(&violations(&report, "event_ids_unique"), "has the id");

    let moved = format!("UPDATE streams SET partition = (partition + 1) % 8 WHERE stream = '{stream}'");
    let report = tampered(&audit, &write, moved).await?;
    named(&violations(&report, "one_partition_per_account"), "has streams in the partitions");
    named(&violations(&report, "streams_known"), "a stream that the log does not know there");
    named(&violations(&report, "versions_gapless"), "and has no event in partition");

    // More is claimed against the hold than it contained.
    let payload = format!(
        "UPDATE events SET payload = convert_to(replace(convert_from(payload, 'UTF8'),
             '\"against_hold\":\"4000000000000000000\"', '\"against_hold\":\"40000000000000000000\"'), 'UTF8')
         WHERE stream = '{stream}' AND stream_version = 2"
    );
    let report = tampered(&audit, &write, payload).await?;
    let domain = violated(&report).into_iter().find(|code| !OWN.contains(code));
    let domain = domain.unwrap_or_else(|| panic!("no auditor noticed: {report}"));
    named(&violations(&report, domain), "");
    assert!(violated(&report).contains(&"read_store_follows_log"), "{report}");
    assert!(audit.check(&Scope::Everything, &|_| {}).await?.holds);
    Ok(())
}

#[tokio::test]
async fn what_cannot_be_audited_is_named_and_no_success() -> Result<()> {
    let (world, host, id) = used().await?;
    assert!(host.stop()?.success());
    let write = world.databases.write().await?;
    sqlx::raw_sql(KEEP).execute(&write).await?;
    let audit = audit(&world).await?;
    let left_out = |report: &Value, subject: &str, why: &str| {
        let entries = report["not_audited"].as_array().unwrap();
        let found = entries.iter().any(|one| {
            one["subject"].as_str().unwrap().starts_with(subject)
                && one["why"].as_str().unwrap().contains(why)
        });
        assert!(found, "{subject}, {why}: {entries:#?}");
    };
    let large = format!("UPDATE streams SET version = 20000 WHERE stream = 'authorization-{id}'");
    let report = tampered(&audit, &write, large).await?;
    left_out(&report, "account 0x", " events, and 10000 events");

    let unreadable = format!("UPDATE events SET payload = '{{' WHERE stream = 'authorization-{id}'");
    let report = tampered(&audit, &write, unreadable).await?;
    left_out(&report, "account 0x", "could not do `audit`");
    left_out(&report, "projection payments", "component projector-payments");

    let read = world.databases.read().await?;
    sqlx::query("UPDATE projection_checkpoints SET position = position + 1000").execute(&read).await?;
    let report = self::report(&world)?;
    assert!(violations(&report, "read_store_follows_log")[0].contains("and the log ends at"), "{report}");
    sqlx::query("DELETE FROM projections").execute(&read).await?;
    let report = self::report(&world)?;
    assert_eq!(violated(&report), Vec::<&str>::new());
    left_out(&report, "projection payments", "start the host");
    Ok(())
}

#[tokio::test]
async fn two_auditors_with_one_code_are_refused() -> Result<()> {
    let environment = Environment::read()?;
    let databases = Databases::migrated(&environment).await?;
    let engine = Arc::new(HandlerEngine::new(Limits::of)?);
    let wasm = std::fs::read(environment.component("auditor-payments"))?;
    let auditor = Arc::new(Auditor::load(&engine, "auditor-payments", &wasm)?);
    let store = EventStore::open(databases.write().await?).await?;
    let twice = watch::Sender::new(vec![Arc::clone(&auditor), auditor]).subscribe();
    let refused = Audit::new(store, databases.read().await?, Vec::new(), twice, Clock::system()).err();
    assert!(matches!(refused, Some(AuditError::CodeTwice(_))), "{refused:?}");
    Ok(())
}

#[tokio::test]
async fn one_check_at_a_time() -> Result<()> {
    let (world, host, _) = used().await?;
    let write = world.databases.write().await?;
    // The first check waits for a lock until the second has been refused.
    let mut lock = write.begin().await?;
    sqlx::query("LOCK TABLE streams IN ACCESS EXCLUSIVE MODE").execute(&mut *lock).await?;
    let first = host.get("/v1/invariants");
    let second = async {
        let waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'streams'::regclass";
        eventually("the first check", async || {
            let waiting: i64 = sqlx::query_scalar(waiting).fetch_one(&mut *write.acquire().await?).await?;
            Ok((waiting > 0).then_some(()))
        })
        .await?;
        let second = host.get("/v1/invariants").await?;
        lock.rollback().await?;
        anyhow::Ok(second)
    };
    let (first, second) = tokio::try_join!(first, second)?;
    assert_eq!((second.status, &second.body["code"]), (503, &json!("check_running")), "{second:?}");
    assert_eq!((first.status, &first.body["holds"]), (200, &json!(true)), "{first:?}");
    assert_eq!(host.get("/v1/invariants").await?.status, 200);
    Ok(())
}

#[tokio::test]
async fn what_cannot_be_checked_is_refused_with_the_remedy() -> Result<()> {
    let (mut world, host, _) = used().await?;
    let nobody = "0x00000000000000000000000000000000000000aa";
    for (query, status, code) in [
        ("account=0xaa", 400, "invalid_account"),
        ("account=", 400, "invalid_account"),
        ("acount=0xaa", 400, "invalid_query"),
        (&format!("account={nobody}"), 404, "account_not_found"),
    ] {
        let answer = host.get(&format!("/v1/invariants?{query}")).await?;
        assert_eq!((answer.status, &answer.body["code"]), (status, &json!(code)), "{query}: {answer:?}");
    }
    assert!(host.stop()?.success());

    let refused = |mut command: Command, said: &str| -> Result<()> {
        let output = Output::of(&mut command)?;
        assert!(!output.status.success() && output.stdout.is_empty(), "{output:?}");
        assert!(output.stderr.contains(said), "{said}: {output:?}");
        Ok(())
    };
    refused(check(&world, &["--account", "0xaa"]), "--account")?;
    refused(check(&world, &["--account", nobody]), "no stream of the account")?;
    let mut away = check(&world, &[]);
    away.env("DATABASE_URL", "postgres://nobody@127.0.0.1:1/none");
    refused(away, "the database of DATABASE_URL (127.0.0.1:1/none) cannot be reached")?;
    let mut swapped = check(&world, &[]);
    swapped.env("READ_DATABASE_URL", &world.databases.write_url);
    refused(swapped, "give each a database of its own")?;
    let mut unset = check(&world, &[]);
    unset.env_remove("READ_DATABASE_URL");
    refused(unset, "--read-database-url")?;
    world.databases = Databases::create(&world.environment).await?;
    refused(check(&world, &[]), "run `clearfold migrate`")?;
    Ok(())
}
