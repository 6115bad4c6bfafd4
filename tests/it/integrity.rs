//! The integrity of the log: `verify` and `replay --verify` on a log of the real host find nothing while it is
//! intact, and name exactly what was changed. Lost snapshots never give a wrong answer.

use std::process::Command;

use anyhow::Result;
use clearfold_base::digest::Digest;
use clearfold_tests::{Application, Host, Output, World, cents};
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, PgPool, query_scalar, raw_sql};

/// Its streams, `card-c1` and `account-0x…`, are alone in their partition.
const ACCOUNT: &str = "0x7b5e3f2a9c4d1e8f60a7b3c2d5e4f1a09b8c7d6e";

/// Content of the log below.
const COMMANDS: u64 = 10;
const EVENTS: u64 = 6;

fn euros(euros: u64) -> Value {
    json!({"minor": format!("{euros}000000000000000000"), "decimals": 18, "asset": "EURe"})
}

fn to_card(id: &str, kind: &str, payload: &Value) -> Value {
    json!({
        "aggregate": "card", "id": id, "account": ACCOUNT, "type": kind, "schema_version": 1, "payload": payload,
    })
}

/// Sends a command and returns the status, with the stream's version or the code of the rejection.
async fn sent(host: &Host, key: &str, command: &Value) -> Result<(u16, Value)> {
    let answer = host.command_to(key, command).await?;
    let told = if answer.status == 200 { &answer.body["stream_version"] } else { &answer.body["code"] };
    Ok((answer.status, told.clone()))
}

/// Issues and freezes the card `c1`, which is then at version 2.
async fn issue_and_freeze(host: &Host) -> Result<()> {
    let rules = json!({
        "categories": {"all_but": ["7995"]}, "countries": {"only": ["AT"]}, "limits": [], "velocity": [],
    });
    let issue = to_card("c1", "IssueCard", &json!({"account": ACCOUNT, "rules": rules}));
    let freeze = to_card("c1", "FreezeCard", &json!({"reason": "holder"}));
    assert_eq!(sent(host, "issue", &issue).await?, (200, json!(1)));
    assert_eq!(sent(host, "freeze", &freeze).await?, (200, json!(2)));
    Ok(())
}

/// Makes the log of a host that was stopped: payments from the chain, a card and an account, some commands rejected.
async fn log() -> Result<(World, PgPool)> {
    let world = World::new().await?;
    world.unlist_accounts()?;
    // Without a saga, so that every event of the log is one of these commands'.
    let application = Application::of(&world)?;
    application.remove_saga("authorization", "saga-authorization")?;
    let host = Host::start(application.host_command(&world)?, world.file("host.log")).await?;
    world.chain.swipes(&[(0, cents(1_000)), (1, cents(300))]).await?;
    let id = host.payments_when(2).await?.remove(0)["id"].clone();
    issue_and_freeze(&host).await?;
    let freeze = json!({"reason": "holder"});
    let account = |kind: &str, payload: Value| {
        json!({
            "aggregate": "account", "id": ACCOUNT, "account": ACCOUNT, "type": kind, "schema_version": 1,
            "payload": payload,
        })
    };
    let clearing = |amount: Value| {
        json!({
            "aggregate": "authorization", "id": id, "type": "PresentClearing", "schema_version": 2,
            "payload": {
                "clearing_id": "c", "part": "partial", "occurred_at": "2026-11-22T10:00:00.000Z", "amount": amount,
            },
        })
    };
    let hold = json!({"hold_id": "h", "amount": euros(5), "forced": false});
    let assets = json!({"assets": [{"asset": "EURe", "decimals": 18}]});
    for (key, command, heard) in [
        ("again", to_card("c1", "FreezeCard", &freeze), (200, json!(2))),
        ("none", to_card("c2", "FreezeCard", &freeze), (422, json!("card_not_issued"))),
        ("open", account("OpenAccount", assets), (200, json!(1))),
        ("hold", account("PlaceHold", hold), (422, json!("insufficient_funds"))),
        ("clearing", clearing(euros(1)), (200, json!(2))),
        ("another", clearing(euros(2)), (422, json!("duplicate_mismatch"))),
    ] {
        assert_eq!(sent(&host, key, &command).await?, heard, "{key}");
    }
    assert!(host.stop()?.success());
    let write = world.databases.write().await?;
    raw_sql(KEEP).execute(&write).await?;
    Ok((world, write))
}

/// Copy of the log, to which it is restored after each tampering.
const KEEP: &str = "CREATE TABLE kept_events AS SELECT * FROM events;
                    CREATE TABLE kept_commands AS SELECT * FROM commands;
                    CREATE TABLE kept_partitions AS SELECT * FROM partitions;";
const RESTORE: &str = "DELETE FROM events; INSERT INTO events SELECT * FROM kept_events;
                       DELETE FROM commands; INSERT INTO commands SELECT * FROM kept_commands;
                       UPDATE partitions SET head_position = kept.head_position, head_hash = kept.head_hash,
                                             head_sequence = kept.head_sequence
                       FROM kept_partitions kept WHERE kept.partition = partitions.partition;";

/// Computes the whole hash chain anew, as a forger with write access to the database would.
const FORGE: &str = "DO $$
    DECLARE part record; event events; before bytea;
    BEGIN
        FOR part IN SELECT partition FROM partitions LOOP
            before := decode(repeat('00', 32), 'hex');
            FOR event IN SELECT * FROM events WHERE partition = part.partition ORDER BY position LOOP
                before := event_hash(before, event);
                UPDATE events SET hash = before
                WHERE partition = event.partition AND position = event.position;
            END LOOP;
            UPDATE partitions SET head_hash = before WHERE partition = part.partition;
        END LOOP;
    END $$;";

async fn change(write: &PgPool, sql: &str) -> Result<()> {
    raw_sql(AssertSqlSafe(sql.to_owned())).execute(write).await?;
    Ok(())
}

fn ask(world: &World, arguments: &[&str]) -> Result<Output> {
    let mut command = Command::new(&world.environment.host);
    Output::of(command.args(arguments).env("DATABASE_URL", &world.databases.write_url))
}

fn all_the_same() -> String {
    format!("{COMMANDS} of {COMMANDS} commands, with {EVENTS} events, came to the same again\n")
}

#[tokio::test]
async fn a_log_that_the_host_wrote_is_whole_and_comes_to_the_same_again() -> Result<()> {
    let (world, write) = log().await?;
    let verified = ask(&world, &["verify"])?;
    assert!(verified.status.success(), "{verified:?}");
    assert!(
        verified.stdout.ends_with(&format!("{EVENTS} events are as they were written\n")),
        "{verified:?}"
    );
    let heads = "SELECT format('ok      partition %s: %s events, %s', partition, head_position,
                               encode(head_hash, 'hex')) FROM partitions ORDER BY partition";
    let heads: Vec<String> = query_scalar(heads).fetch_all(&write).await?;
    assert!(verified.stdout.lines().zip(&heads).all(|(line, head)| line == head), "{heads:#?} {verified:?}");

    let replayed = ask(&world, &["replay", "--verify"])?;
    assert!(replayed.status.success() && replayed.stdout == all_the_same(), "{replayed:?}");
    // The action is named explicitly, so that the command can get others later.
    assert!(!ask(&world, &["replay"])?.status.success());
    Ok(())
}

/// Changes of the card's partition, which has three events, each with the beginning of what is said of it.
fn changes(partition: i32) -> [(String, String); 10] {
    let second = format!("WHERE partition = {partition} AND position = 2");
    let (changed, head) = ("was changed, or one before it", "the partition's head says");
    [
        (
            format!("UPDATE events SET payload = payload || ' ' {second}"),
            format!("the event at position 2 {changed}"),
        ),
        (
            format!("UPDATE events SET recorded_at = recorded_at + interval '1 ms' {second}"),
            format!("the event at position 2 {changed}"),
        ),
        (
            // With its own hash recomputed, but not those after it.
            format!(
                "UPDATE events SET actor = 'somebody else' {second}; UPDATE events SET hash = event_hash(
                     (SELECT hash FROM events WHERE partition = {partition} AND position = 1), events) {second}"
            ),
            format!("the event at position 3 {changed}"),
        ),
        (
            format!(
                "UPDATE events SET position = 99 {second};
                 UPDATE events SET position = 2 WHERE partition = {partition} AND position = 1;
                 UPDATE events SET position = 1 WHERE partition = {partition} AND position = 99"
            ),
            format!("the event at position 1 {changed}"),
        ),
        (
            format!("DELETE FROM events {second}"),
            "after position 1 comes 3: 2 is missing".to_owned(),
        ),
        (
            format!("DELETE FROM events WHERE partition = {partition} AND position = 3"),
            format!("the last event stands at position 2; {head} 3"),
        ),
        (
            format!("UPDATE partitions SET head_position = 4 WHERE partition = {partition}"),
            format!("the last event stands at position 3; {head} 4"),
        ),
        (
            format!("UPDATE partitions SET head_hash = sha256('') WHERE partition = {partition}"),
            "the last event, at position 3, has the hash ".to_owned(),
        ),
        (
            // The head as it was when that event was the last: the events after it look as if they had never been.
            format!(
                "UPDATE partitions SET head_position = 2, head_sequence = 2, head_hash =
                     (SELECT hash FROM events {second}) WHERE partition = {partition}"
            ),
            format!("the last event stands at position 3; {head} 2"),
        ),
        (
            format!(
                "UPDATE partitions SET head_position = 0, head_sequence = 0,
                     head_hash = decode(repeat('00', 32), 'hex') WHERE partition = {partition}"
            ),
            format!("the last event stands at position 3; {head} 0"),
        ),
    ]
}

#[tokio::test]
async fn what_was_changed_is_named_at_its_position() -> Result<()> {
    let (world, write) = log().await?;
    let partition: i32 =
        query_scalar("SELECT partition FROM streams WHERE stream = 'card-c1'").fetch_one(&write).await?;
    for (sql, said) in changes(partition) {
        change(&write, &sql).await?;
        let output = ask(&world, &["verify"])?;
        change(&write, RESTORE).await?;
        assert!(!output.status.success(), "{sql}: {output:?}");
        let broken: Vec<&str> = output.stdout.lines().filter(|line| line.starts_with("BROKEN")).collect();
        let expected = format!("BROKEN  partition {partition}: {said}");
        assert!(broken.len() == 1 && broken[0].starts_with(&expected), "{sql}: {expected}: {output:?}");
        assert!(output.stderr.contains("restore it from a backup"), "{output:?}");
    }
    assert!(ask(&world, &["verify"])?.status.success());
    Ok(())
}

#[tokio::test]
async fn a_chain_forged_anew_is_found_by_deciding_again() -> Result<()> {
    let (world, write) = log().await?;
    let holder_to_stolen = "SET payload = convert_to(
        replace(convert_from(payload, 'UTF8'), 'holder', 'stolen'), 'UTF8')";
    let account = format!("account-{ACCOUNT} PlaceHold");
    for (sql, named, recorded) in [
        (
            format!("UPDATE events {holder_to_stolen} WHERE stream = 'card-c1' AND stream_version = 2"),
            "card-c1 FreezeCard",
            "CardFrozen v1 {",
        ),
        (
            "UPDATE events SET type = 'CardUnfrozen' WHERE stream = 'card-c1' AND stream_version = 2".to_owned(),
            "card-c1 FreezeCard",
            "CardUnfrozen v1 {",
        ),
        (
            format!("UPDATE commands {holder_to_stolen} WHERE idempotency_key = 'freeze'"),
            "card-c1 FreezeCard",
            "CardFrozen v1 {",
        ),
        (
            "UPDATE commands SET event_count = 0 WHERE idempotency_key = 'freeze'".to_owned(),
            "card-c1 FreezeCard",
            "nothing, for it held already",
        ),
        (
            "UPDATE commands SET rejection_code = 'account_frozen' WHERE idempotency_key = 'hold'".to_owned(),
            account.as_str(),
            "rejected: account_frozen: ",
        ),
        (
            "UPDATE commands SET rejection_code = NULL, rejection_detail = NULL WHERE idempotency_key = 'none'"
                .to_owned(),
            "card-c2 FreezeCard",
            "nothing, for it held already",
        ),
    ] {
        change(&write, &sql).await?;
        change(&write, FORGE).await?;
        let (verified, replayed) = (ask(&world, &["verify"])?, ask(&world, &["replay", "--verify"])?);
        change(&write, RESTORE).await?;
        assert!(verified.status.success(), "{sql}: {verified:?}");
        assert!(!replayed.status.success(), "{sql}: {replayed:?}");
        // Its result may change later commands of the stream too; the first difference is named first.
        let different = replayed.stdout.lines().find(|line| line.starts_with("DIFFERENT")).unwrap_or_default();
        assert!(different.starts_with(&format!("DIFFERENT  {named}, command ")), "{sql}: {replayed:?}");
        assert!(replayed.stdout.contains(&format!("    recorded: {recorded}")), "{sql}: {replayed:?}");
    }
    assert_eq!(ask(&world, &["replay", "--verify"])?.stdout, all_the_same());
    Ok(())
}

#[tokio::test]
async fn commands_that_are_gone_and_events_that_nobody_asked_for_are_counted() -> Result<()> {
    let (world, write) = log().await?;
    let came = |commands: u64, events: u64| {
        format!("{commands} of {commands} commands, with {events} events, came to the same again\n")
    };
    let missing = "MISSING  1 commands were recorded and are not there\n";
    let unexplained = "UNEXPLAINED  1 events came of no recorded command\n";
    // It had no effect. A later command of its stream would be decided otherwise without it.
    let again = "DELETE FROM commands WHERE idempotency_key = 'again'";
    // The payment that was not cleared: one command, one event, and nothing else in its stream.
    let swipe = "DELETE FROM commands WHERE stream IN (
        SELECT stream FROM events WHERE stream LIKE 'authorization-%' GROUP BY stream HAVING count(*) = 1)";
    // In the hash chain it will look like any other.
    let unasked = "
        INSERT INTO events SELECT (event).* FROM (
            SELECT jsonb_populate_record(events, jsonb_build_object(
                'position', (SELECT head_position + 1 FROM partitions WHERE partition = events.partition),
                'stream_version', 3)) AS event
            FROM events WHERE stream = 'card-c1' AND stream_version = 2) AS unasked;
        UPDATE partitions SET head_position = head_position + 1
        WHERE partition = (SELECT partition FROM streams WHERE stream = 'card-c1')";
    for (sql, said) in [
        (again, format!("{}{missing}", came(COMMANDS - 1, EVENTS))),
        (swipe, format!("{}{unexplained}{missing}", came(COMMANDS - 1, EVENTS - 1))),
        (unasked, format!("{}{unexplained}", came(COMMANDS, EVENTS))),
    ] {
        change(&write, sql).await?;
        change(&write, FORGE).await?;
        let (verified, replayed) = (ask(&world, &["verify"])?, ask(&world, &["replay", "--verify"])?);
        change(&write, RESTORE).await?;
        assert!(verified.status.success(), "{sql}: {verified:?}");
        assert_eq!(replayed.stdout, said, "{sql}");
        assert!(!replayed.status.success(), "{sql}: {replayed:?}");
    }
    assert!(ask(&world, &["replay", "--verify"])?.status.success());
    Ok(())
}

#[tokio::test]
async fn a_component_that_is_not_at_hand_is_said_and_can_be_given() -> Result<()> {
    let (world, write) = log().await?;
    // As in a database that was restored without its large columns.
    change(&write, "ALTER TABLE activations DROP CONSTRAINT activations_component_digest_fkey").await?;
    change(&write, "DELETE FROM components WHERE name = 'decider-card'").await?;
    let file = |name: &str| world.environment.component(name).display().to_string();
    let (card, other) = (file("decider-card"), file("decider-account"));
    let digest = Digest::of(&std::fs::read(&card)?);
    let not_at_hand = format!("NOT AT HAND  4 commands were decided by the component {digest}");
    for arguments in [&["replay", "--verify"][..], &["replay", "--verify", "--component", &other]] {
        let output = ask(&world, arguments)?;
        assert!(!output.status.success(), "{output:?}");
        assert!(output.stdout.starts_with("6 of 6 commands, with 4 events, came to the same"), "{output:?}");
        assert!(output.stdout.contains(&not_at_hand) && !output.stdout.contains("DIFFERENT"), "{output:?}");
    }
    let output = ask(&world, &["replay", "--verify", "--component", &other, "--component", &card])?;
    assert!(output.status.success() && output.stdout == all_the_same(), "{output:?}");
    Ok(())
}

#[tokio::test]
async fn a_stream_goes_on_from_its_snapshot_unless_other_code_made_it() -> Result<()> {
    let world = World::new().await?;
    world.unlist_accounts()?;
    let restarted = || {
        world.host_with(|command| {
            command.env("SNAPSHOT_EVERY", "2");
        })
    };
    let host = restarted().await?;
    issue_and_freeze(&host).await?;
    assert!(host.stop()?.success());
    let write = world.databases.write().await?;
    let snapshots = "SELECT format('%s %s', stream, version) FROM snapshots";
    assert_eq!(query_scalar::<_, String>(snapshots).fetch_all(&write).await?, ["card-c1 2"]);

    // The events before it are no longer needed.
    change(&write, "CREATE TABLE kept AS SELECT * FROM events; DELETE FROM events").await?;
    let host = restarted().await?;
    let freeze = |reason: &str| to_card("c1", "FreezeCard", &json!({"reason": reason}));
    assert_eq!(sent(&host, "holder", &freeze("holder")).await?, (200, json!(2)));
    assert_eq!(sent(&host, "stolen", &freeze("stolen")).await?, (200, json!(3)));
    assert!(host.stop()?.success());

    // A snapshot is trusted, and one of other code never is, whatever it contains.
    change(&write, "INSERT INTO events SELECT * FROM kept; UPDATE snapshots SET state = 'no state'").await?;
    let unfreeze = to_card("c1", "UnfreezeCard", &json!({"reason": "holder"}));
    let host = restarted().await?;
    assert_eq!(sent(&host, "unfreeze", &unfreeze).await?, (502, json!("component_failed")));
    assert!(host.stop()?.success());
    change(&write, "UPDATE snapshots SET component_digest = sha256('other code')").await?;
    let host = restarted().await?;
    assert_eq!(sent(&host, "unfreeze", &unfreeze).await?, (200, json!(4)));
    assert!(host.stop()?.success());

    // It was made anew by this code. Now it is as if the code had changed its form of states since.
    assert_eq!(query_scalar::<_, String>(snapshots).fetch_all(&write).await?, ["card-c1 4"]);
    change(&write, "UPDATE snapshots SET state_version = state_version + 1, state = 'no state'").await?;
    let host = restarted().await?;
    assert_eq!(sent(&host, "no longer frozen", &unfreeze).await?, (200, json!(4)));
    assert!(host.stop()?.success());
    let replayed = ask(&world, &["replay", "--verify"])?;
    assert!(replayed.stdout.starts_with("6 of 6 commands, with 4 events"), "{replayed:?}");
    Ok(())
}
