//! The ids that an account remembers, wherever they are: with the state in memory, in an in-flight batch, in the
//! database with a snapshot, or only in the log. A deposit is booked once, however late its log is seen again.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use clearfold_base::clock::Clock;
use clearfold_base::tasks::Tasks;
use clearfold_engine::command::{Answer, Command, CommandIntake, WriterSettings};
use clearfold_engine::integrity::{CommandReplay, ReplayReport};
use clearfold_sandbox::Decides;
use clearfold_store::EventStore;
use clearfold_tests::Environment;
use futures::future::{join_all, try_join_all};
use serde_json::json;
use sqlx::{AssertSqlSafe, query_scalar, raw_sql};

use crate::store::{ACCOUNT, decider, intake_of, store, writing};
use crate::writer::Hold;

const DECIDER: &str = "decider-account";
/// A snapshot is stored after every five events, so most deposits are in one many snapshots ago, and the last is in
/// none.
const DEPOSITS: u64 = 40;
/// The first deposits, those around a snapshot, and the last.
const ASKED: [u64; 6] = [1, 2, 4, 5, 39, DEPOSITS];
const EURO: &str = "1000000000000000000";
const ROOMY: u64 = 1 << 20;

/// Books of an account, and a writer of them.
struct Books {
    environment: Environment,
    store: EventStore,
    intake: CommandIntake,
    tasks: Tasks,
}

impl Books {
    /// Opens books, with deposits that were booked one after the other.
    async fn with_deposits() -> Result<Self> {
        let (environment, store) = store().await?;
        let (intake, tasks) = writer(&environment, &store, ROOMY)?;
        let books = Self { environment, store, intake, tasks };
        let payload = json!({"assets": [{"asset": "EURe", "decimals": 18}]});
        books.booked(to_account("open", "OpenAccount", &payload)).await?;
        for number in 1..=DEPOSITS {
            books.booked(deposit("first", number, EURO)).await?;
        }
        Ok(books)
    }

    /// Starts another writer with nothing in memory, and with this many bytes for states.
    fn anew(self, state_cache_bytes: u64) -> Result<Self> {
        let Self { environment, store, intake, tasks } = self;
        drop((intake, tasks));
        let (intake, tasks) = writer(&environment, &store, state_cache_bytes)?;
        Ok(Self { environment, store, intake, tasks })
    }

    /// Sends a command that must be new.
    async fn booked(&self, command: Command) -> Result<()> {
        let (key, answer) = (command.idempotency_key.clone(), self.intake.submit(command).await?);
        assert!(is_booked(&answer), "{key}: {answer:?}");
        Ok(())
    }

    /// Sends known deposits again under new keys: with the same content, and with another one.
    async fn recognized(&self, when: &str, numbers: &[u64]) -> Result<()> {
        for number in numbers {
            let again = self.intake.submit(deposit(when, *number, EURO)).await?;
            assert!(is_satisfied(&again), "{when}: deposit {number}: {again:?}");
            let other = self.intake.submit(deposit(&format!("{when}, not so"), *number, "5")).await?;
            let is_refused = matches!(&other, Answer::Rejected { code, .. } if code == "duplicate_mismatch");
            assert!(is_refused, "{when}: deposit {number}, another amount: {other:?}");
        }
        Ok(())
    }

    /// Checks that the log has this many deposits, each once, and that deciding all commands again gives the same.
    async fn prove(&self, deposits: i64) -> Result<()> {
        let logs = "SELECT array[count(*), count(DISTINCT convert_from(payload, 'UTF8')::json #>> '{source,block_hash}')]
                    FROM events WHERE type = 'Deposited'";
        assert_eq!(self.rows::<Vec<i64>>(logs).await?, [deposits, deposits]);
        let decider = decider(&self.environment, DECIDER)?;
        let deciders: BTreeMap<_, Arc<dyn Decides>> =
            BTreeMap::from([(decider.id().digest, Arc::new(decider) as Arc<dyn Decides>)]);
        let replay = CommandReplay { store: self.store.clone(), deciders };
        let mut report = ReplayReport::default();
        for partition in 0..self.store.partition_count() {
            replay.partition(partition, &mut report, &|_| {}).await?;
        }
        assert!(report.is_same(), "{report:?}");
        let commands: i64 = self.rows("SELECT count(*) FROM commands").await?;
        let replayed = (i64::try_from(report.commands)?, i64::try_from(report.events)?);
        assert_eq!(replayed, (commands, deposits + 1), "and the opening");
        Ok(())
    }

    async fn rows<T>(&self, sql: &'static str) -> Result<T>
    where
        T: Send + Unpin + for<'r> sqlx::Decode<'r, sqlx::Postgres> + sqlx::Type<sqlx::Postgres>,
    {
        Ok(query_scalar(sql).fetch_one(self.store.pool()).await?)
    }

    async fn change(&self, sql: &str) -> Result<u64> {
        Ok(raw_sql(AssertSqlSafe(sql.to_owned())).execute(self.store.pool()).await?.rows_affected())
    }

    /// Number of times that a writer took the lease of the account's partition.
    async fn epoch(&self) -> Result<i64> {
        self.rows("SELECT lease_epoch FROM partitions WHERE head_position > 0").await
    }
}

fn writer(
    environment: &Environment,
    store: &EventStore,
    state_cache_bytes: u64,
) -> Result<(CommandIntake, Tasks)> {
    let lease = Duration::from_secs(20);
    let settings = WriterSettings { lease, state_cache_bytes, snapshot_every: 5, ..writing("one") };
    intake_of(environment, store, DECIDER, settings, &Clock::system())
}

fn to_account(key: &str, kind: &str, payload: &serde_json::Value) -> Command {
    Command {
        idempotency_key: key.into(),
        aggregate: "account".into(),
        id: ACCOUNT.into(),
        routing_key: ACCOUNT.into(),
        kind: kind.into(),
        schema_version: 1,
        payload: payload.to_string().into(),
        actor: "chain".into(),
    }
}

/// Makes the command for one log of the chain; the key differs each time that the log is reported.
fn deposit(when: &str, number: u64, minor: &str) -> Command {
    let payload = json!({
        "amount": {"minor": minor, "asset": "EURe", "decimals": 18},
        "source": {"chain_id": 100, "block_hash": hash(number), "block_number": number,
                   "transaction_hash": hash(number), "log_index": 0},
        "occurred_at": "2026-11-22T10:00:00.000Z",
    });
    to_account(&format!("{when}/{number}"), "RecordDeposit", &payload)
}

fn hash(number: u64) -> String {
    format!("0x{number:064x}")
}

/// Accepted with an event.
fn is_booked(answer: &Answer) -> bool {
    matches!(answer, Answer::Accepted { events, .. } if events.len() == 1)
}

/// Already satisfied.
fn is_satisfied(answer: &Answer) -> bool {
    matches!(answer, Answer::Accepted { events, .. } if events.is_empty())
}

#[tokio::test]
async fn a_deposit_of_long_ago_is_recognized_wherever_it_is_remembered() -> Result<()> {
    let books = Books::with_deposits().await?;
    let snapshot = "SELECT version FROM snapshots";
    assert_eq!(books.rows::<i64>(snapshot).await?, 40, "the last deposit, at version 41, is behind it");
    books.recognized("in memory", &ASKED).await?;
    let books = books.anew(ROOMY)?;
    books.recognized("loaded", &ASKED).await?;
    let books = books.anew(1)?;
    books.recognized("loaded each time", &ASKED).await?;
    // Not everything is taken for known; and a new deposit is known from then on.
    for number in 41..=48 {
        books.booked(deposit("first", number, EURO)).await?;
    }
    books.recognized("later", &[1, 40, 41, 45, 48]).await?;
    let books = books.anew(ROOMY)?;
    books.recognized("at last", &[1, 40, 41, 45, 48]).await?;
    books.prove(48).await
}

#[tokio::test]
async fn deposits_that_are_on_their_way_are_recognized_too() -> Result<()> {
    let books = Books::with_deposits().await?;
    // Three times more than a batch holds, each three times with old ones between: batches are decided while the one
    // before is in flight, also with a snapshot in it.
    let numbers: Vec<u64> = (41..=90).chain([1, 17, 40]).collect();
    let commands = ["first", "second", "third"].map(|when| numbers.iter().map(move |number| (when, *number)));
    let sent = commands.into_iter().flatten().map(async |(when, number)| {
        let answer = books.intake.submit(deposit(when, number, EURO)).await?;
        assert!(is_booked(&answer) || is_satisfied(&answer), "{when}: deposit {number}: {answer:?}");
        anyhow::Ok(u64::from(is_booked(&answer) && number > DEPOSITS))
    });
    let booked: u64 = try_join_all(sent).await?.into_iter().sum();
    assert_eq!(booked, 50);
    books.recognized("afterwards", &[1, 41, 60, 90]).await?;
    books.prove(90).await
}

#[tokio::test]
async fn snapshots_may_go_under_a_writer_that_relies_on_them() -> Result<()> {
    let books = Books::with_deposits().await?;
    let before = books.epoch().await?;
    assert_eq!(books.change("DELETE FROM snapshots").await?, 1);
    assert_eq!(books.rows::<i64>("SELECT count(*) FROM snapshot_entries").await?, 0);
    books.recognized("without a snapshot", &ASKED).await?;
    assert!(books.epoch().await? > before, "the writer has not begun anew");
    for number in 41..=45 {
        books.booked(deposit("first", number, EURO)).await?;
    }
    assert_eq!(books.rows::<i64>("SELECT count(*) FROM snapshots").await?, 1);
    books.recognized("with another snapshot", &[1, 40, 45]).await?;
    let books = books.anew(1)?;
    books.recognized("from the other snapshot", &[1, 40, 45]).await?;
    books.prove(45).await
}

#[tokio::test]
async fn a_snapshot_that_goes_before_the_next_builds_on_it_is_not_built_on() -> Result<()> {
    let books = Books::with_deposits().await?;
    let before = books.epoch().await?;
    let hold = Hold::of(&books.store).await?;
    // Five more in one batch make a snapshot due, which contains only what changed since the one before.
    let sent = join_all((41..=45).map(|number| books.intake.submit(deposit("first", number, EURO))));
    let meanwhile = async {
        hold.flight().await?;
        assert_eq!(books.change("DELETE FROM snapshots").await?, 1);
        hold.end().await
    };
    let (answers, meanwhile) = tokio::join!(sent, meanwhile);
    meanwhile?;
    for answer in answers {
        assert!(is_booked(&answer?));
    }
    assert!(books.epoch().await? > before, "the batch was committed");
    books.recognized("in memory", &[1, 40, 45]).await?;
    let books = books.anew(ROOMY)?;
    books.recognized("loaded", &[1, 40, 45]).await?;
    books.prove(45).await
}

#[tokio::test]
async fn entries_go_with_their_snapshot_or_not_at_all() -> Result<()> {
    let books = Books::with_deposits().await?;
    let entries = "SELECT count(*) FROM snapshot_entries";
    let before: i64 = books.rows(entries).await?;
    assert!(before >= 39, "{before}");
    for statement in [
        "DELETE FROM snapshot_entries",
        "DELETE FROM snapshot_entries WHERE key LIKE 'log/%'",
        "TRUNCATE snapshot_entries",
        "TRUNCATE snapshots CASCADE",
    ] {
        let refused = books.change(statement).await.unwrap_err().to_string();
        let said = "entries go with their snapshot: DELETE FROM snapshots instead";
        assert!(refused.contains(said), "{statement}: {refused}");
    }
    assert_eq!(books.rows::<i64>(entries).await?, before);
    assert_eq!(books.change("DELETE FROM snapshots").await?, 1);
    assert_eq!(books.rows::<i64>(entries).await?, 0);
    Ok(())
}

#[tokio::test]
async fn entries_of_another_component_are_not_used() -> Result<()> {
    const UNSEEN: u64 = 60;
    let books = Books::with_deposits().await?;
    // The other component's entries say that a log was seen that never was, and that all others were not.
    let (seen, unseen) = (hash(1), hash(UNSEEN));
    let known = format!(
        "INSERT INTO snapshot_entries (stream, key, component_digest, value)
         SELECT stream, replace(key, '{seen}', '{unseen}'), component_digest, value
         FROM snapshot_entries WHERE key LIKE 'log/%{seen}%' AND value IS NOT NULL"
    );
    assert_eq!(books.change(&known).await?, 1);
    let others = format!(
        "UPDATE snapshots SET component_digest = sha256('x');
         UPDATE snapshot_entries SET component_digest = sha256('x'),
                                     value = CASE WHEN key LIKE '%{unseen}%' THEN value END"
    );
    books.change(&others).await?;
    let books = books.anew(ROOMY)?;
    books.recognized("from the log", &ASKED).await?;
    // The next snapshot is this component's, beside that of the other.
    for number in 41..=45 {
        books.booked(deposit("first", number, EURO)).await?;
    }
    let books = books.anew(1)?;
    books.recognized("from its own snapshot", &[1, 40, 45]).await?;
    books.booked(deposit("first", UNSEEN, EURO)).await?;
    books.prove(46).await
}
