//! The writer of a partition under stress: failed in-flight batches, floods of repeats, clocks that differ.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use clearfold_base::clock::Clock;
use clearfold_base::tasks::Tasks;
use clearfold_engine::command::{
    ActiveDecider, AggregateDeciders, Answer, Command, CommandError, CommandIntake, Deciders, IntakeSettings,
    Permits, WriterSettings,
};
use clearfold_kernel::Timestamp;
use clearfold_sandbox::Decides as _;
use clearfold_store::{EventStore, Taken};
use clearfold_tests::{Environment, eventually};
use futures::FutureExt;
use futures::future::join_all;
use sqlx::{Postgres, Transaction, query_scalar, raw_sql};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::store::{ACCOUNT, AUTHORIZATION, decider, intake_of, store, swipe, writing};

fn intake(
    environment: &Environment,
    store: &EventStore,
    writer: WriterSettings,
    clock: &Clock,
) -> Result<(CommandIntake, Tasks)> {
    intake_of(environment, store, AUTHORIZATION, writer, clock)
}

fn with_lease(ms: u64) -> WriterSettings {
    WriterSettings { lease: Duration::from_millis(ms), ..writing("one") }
}

/// A lock on what every append changes. While it is held, writers decide and commit nothing.
pub struct Hold<'a> {
    store: &'a EventStore,
    lock: Transaction<'static, Postgres>,
}

impl<'a> Hold<'a> {
    pub async fn of(store: &'a EventStore) -> Result<Self> {
        let mut lock = store.pool().begin().await?;
        sqlx::query("SELECT FROM partitions FOR UPDATE").execute(&mut *lock).await?;
        Ok(Self { store, lock })
    }

    /// Waits until a batch is in flight and blocked.
    pub async fn flight(&self) -> Result<()> {
        self.waiting("SELECT append_batch(%").await
    }

    /// Waits until a writer tries to renew its lease.
    async fn taker(&self) -> Result<()> {
        self.waiting("UPDATE partitions%lease_epoch = lease_epoch + 1%").await
    }

    async fn waiting(&self, statement: &str) -> Result<()> {
        let waiting = "SELECT count(*) FROM pg_stat_activity
                       WHERE wait_event_type = 'Lock' AND datname = current_database() AND query LIKE $1";
        eventually("a writer waits", async || {
            let waiting: i64 = query_scalar(waiting).bind(statement).fetch_one(self.store.pool()).await?;
            Ok((waiting > 0).then_some(()))
        })
        .await
    }

    /// Releases the lock.
    pub async fn end(self) -> Result<()> {
        Ok(self.lock.rollback().await?)
    }
}

/// A writer that has written, so that nothing is left but to write on.
async fn at_work() -> Result<(EventStore, CommandIntake, Tasks)> {
    let (environment, store) = store().await?;
    let (intake, tasks) = intake(&environment, &store, with_lease(20_000), &Clock::system())?;
    intake.submit(swipe("first", "first", "850")).await?;
    Ok((store, intake, tasks))
}

#[tokio::test]
async fn after_a_failed_flight_commands_are_decided_in_the_order_in_which_they_came() -> Result<()> {
    let (store, intake, _tasks) = at_work().await?;
    let hold = Hold::of(&store).await?;
    let mut waiting = JoinSet::new();
    for number in 0..200 {
        let intake = intake.clone();
        let command = swipe(&format!("k{number:03}"), &format!("p{number:03}"), "850");
        waiting.spawn(async move { intake.submit_in_turn(command).await });
    }
    hold.flight().await?;
    // Behind the batch in flight the next one is decided, unseen, and the others wait in the queue.
    tokio::time::sleep(Duration::from_millis(300)).await;
    let cut = sqlx::query(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
         WHERE wait_event_type = 'Lock' AND datname = current_database()",
    );
    assert!(cut.execute(store.pool()).await?.rows_affected() > 0, "no batch was in flight");
    hold.taker().await?;
    hold.end().await?;
    while let Some(answer) = waiting.join_next().await {
        assert!(matches!(answer??, Answer::Accepted { .. }));
    }
    let order = query_scalar("SELECT stream FROM events WHERE position > 1 ORDER BY position");
    let order: Vec<String> = order.fetch_all(store.pool()).await?;
    assert_eq!(order.len(), 200);
    assert!(order.is_sorted(), "{order:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn repeats_of_what_is_in_flight_do_not_pile_up() -> Result<()> {
    let (store, intake, _tasks) = at_work().await?;
    let hold = Hold::of(&store).await?;
    let mut waiting = JoinSet::new();
    for number in 0..2_000 {
        let intake = intake.clone();
        waiting.spawn(async move { intake.submit(swipe("k", "p", "850")).await });
        if number % 100 == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
    hold.flight().await?;
    // The last of them are queued or refused, which is not visible before they are answered.
    tokio::time::sleep(Duration::from_millis(200)).await;
    hold.end().await?;
    let (mut taken, mut sent_away) = (0, 0);
    while let Some(answer) = waiting.join_next().await {
        match answer? {
            Ok(Answer::Accepted { stream_version: 1, .. }) => taken += 1,
            Err(CommandError::Overloaded) => sent_away += 1,
            other => panic!("{other:?}"),
        }
    }
    // The queue's 256, and a batch or two of 16.
    assert!(taken <= 320, "{taken} were taken, {sent_away} sent away");
    Ok(())
}

#[tokio::test]
async fn what_waits_is_bounded_in_bytes_until_it_is_answered() -> Result<()> {
    /// 32 MiB have room for seven; with the eighth there would be none for the data that goes with each.
    const LARGE: usize = 4 << 20;
    let (store, intake, _tasks) = at_work().await?;
    let large = |number: u32| {
        let mut command = swipe(&format!("k{number}"), &format!("p{number}"), "850");
        // The spaces add bytes without content to the JSON.
        command.payload.resize(LARGE, b' ');
        command
    };
    let hold = Hold::of(&store).await?;
    let (mut waiting, mut sent_away) = (Vec::new(), Vec::new());
    for number in 0..12 {
        let mut submitted = Box::pin(intake.submit(large(number)));
        match (&mut submitted).now_or_never() {
            None => waiting.push(submitted),
            Some(Err(CommandError::Overloaded)) => sent_away.push(number),
            Some(answer) => panic!("{answer:?}"),
        }
    }
    assert_eq!((waiting.len(), sent_away.len()), (7, 5));
    // Decided and in flight they still take their room, and a small one finds some.
    hold.flight().await?;
    let answer = intake.submit(large(12)).now_or_never();
    assert!(matches!(answer, Some(Err(CommandError::Overloaded))), "{answer:?}");
    waiting.push(Box::pin(intake.submit(swipe("small", "small", "850"))));
    assert!((&mut waiting[7]).now_or_never().is_none());
    hold.end().await?;
    for answer in join_all(waiting).await {
        assert!(matches!(answer, Ok(Answer::Accepted { .. })), "{answer:?}");
    }
    let again = sent_away.into_iter().chain([12, 13]).map(|number| intake.submit(large(number)));
    for answer in join_all(again).await {
        assert!(matches!(answer, Ok(Answer::Accepted { .. })), "{answer:?}");
    }
    Ok(())
}

#[tokio::test]
async fn a_stream_whose_events_are_missing_harms_no_other() -> Result<()> {
    /// Part of the stream that is deleted: all of it, its beginning, its end.
    const DAMAGE: [(&str, &str); 3] =
        [("card-2", "true"), ("card-4", "stream_version = 1"), ("card-6", "stream_version = 2")];
    let (environment, store) = store().await?;
    let cards = || intake_of(&environment, &store, "decider-card", with_lease(20_000), &Clock::system());
    let (intake, tasks) = cards()?;
    for kind in ["IssueCard", "FreezeCard"] {
        for answer in join_all((0..10).map(|id| intake.submit(to_card(id, kind)))).await {
            assert!(matches!(answer, Ok(Answer::Accepted { .. })), "{answer:?}");
        }
    }
    drop((intake, tasks));
    raw_sql("CREATE TABLE kept AS SELECT * FROM events").execute(store.pool()).await?;
    for (stream, events) in DAMAGE {
        let delete = format!("DELETE FROM events WHERE stream = '{stream}' AND {events}");
        let deleted = sqlx::query(sqlx::AssertSqlSafe(delete)).execute(store.pool()).await?;
        assert!(deleted.rows_affected() > 0, "{stream}");
    }

    // All wait before the writer has its lease, so it takes all of them at once.
    let (intake, _tasks) = cards()?;
    let unfreeze = || join_all((0..10).map(|id| intake.submit(to_card(id, "UnfreezeCard"))));
    let is_damaged = |id: usize| DAMAGE.iter().any(|(stream, _)| *stream == format!("card-{id}"));
    for (id, answer) in unfreeze().await.into_iter().enumerate() {
        match answer {
            Ok(Answer::Accepted { stream_version: 3, .. }) => assert!(!is_damaged(id), "{id}"),
            Err(CommandError::Damaged { stream }) if stream == format!("card-{id}") => {
                assert!(is_damaged(id), "{id}");
            }
            answer => panic!("{id}: {answer:?}"),
        }
    }
    let commits = "SELECT count(DISTINCT xmin::text) FROM commands WHERE type = 'UnfreezeCard'";
    assert_eq!(query_scalar::<_, i64>(commits).fetch_one(store.pool()).await?, 1, "they came one by one");

    // After the events are restored nothing needs a restart.
    raw_sql("INSERT INTO events SELECT * FROM kept ON CONFLICT DO NOTHING").execute(store.pool()).await?;
    for (id, answer) in unfreeze().await.into_iter().enumerate() {
        assert!(matches!(answer, Ok(Answer::Accepted { stream_version: 3, .. })), "{id}: {answer:?}");
    }
    Ok(())
}

fn to_card(id: usize, kind: &str) -> Command {
    let payload = if kind == "IssueCard" {
        let rules =
            serde_json::json!({"categories": "all", "countries": "all", "limits": [], "velocity": []});
        serde_json::json!({"account": ACCOUNT, "rules": rules})
    } else {
        serde_json::json!({"reason": "holder"})
    };
    Command {
        aggregate: "card".into(),
        id: id.to_string(),
        kind: kind.into(),
        actor: "api".into(),
        payload: payload.to_string().into(),
        ..swipe(&format!("{kind}/{id}"), "", "1")
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_repeats_does_not_cost_the_lease() -> Result<()> {
    let (environment, store) = store().await?;
    let (intake, _tasks) = intake(&environment, &store, with_lease(600), &Clock::system())?;
    intake.submit(swipe("k", "p", "850")).await?;
    let epoch = || query_scalar::<_, i64>("SELECT lease_epoch FROM partitions WHERE head_position > 0");
    let before = epoch().fetch_one(store.pool()).await?;
    let end = Instant::now() + Duration::from_secs(3);
    let mut repeating = JoinSet::new();
    for _ in 0..32 {
        let intake = intake.clone();
        repeating.spawn(async move {
            while Instant::now() < end {
                assert!(matches!(intake.submit(swipe("k", "p", "850")).await, Ok(Answer::Accepted { .. })));
            }
        });
    }
    while let Some(ended) = repeating.join_next().await {
        ended?;
    }
    assert_eq!(epoch().fetch_one(store.pool()).await?, before);
    Ok(())
}

#[tokio::test]
async fn a_host_whose_clock_is_behind_takes_over_without_going_back_in_time() -> Result<()> {
    let (environment, store) = store().await?;
    let now = Clock::system().now();
    for (owner, behind_ms) in [("one", 0), ("two", 3_000)] {
        let at = Timestamp::from_ms(now.as_ms() - behind_ms).unwrap();
        let settings = WriterSettings { owner: owner.into(), ..with_lease(500) };
        let (intake, _tasks) = intake(&environment, &store, settings, &Clock::new(move || at))?;
        let answer = loop {
            match intake.submit(advice(owner)).await {
                Err(error) if error.is_passing() => tokio::time::sleep(Duration::from_millis(50)).await,
                answer => break answer?,
            }
        };
        assert!(matches!(answer, Answer::Accepted { .. }), "{answer:?}");
    }
    Ok(())
}

/// A different message for the same payment; the payment remembers when the one before it was accepted.
fn advice(message_id: &str) -> Command {
    let at_first = swipe(message_id, "p", "850");
    let payload = serde_json::json!({
        "message_id": message_id, "account": at_first.routing_key, "card_id": "card-1",
        "amount": {"minor": "850", "asset": "EURe", "decimals": 18},
        "merchant": {"id": "m1", "name": "Trattoria", "category": "5812", "country": "IT"},
        "network": "visa", "occurred_at": "2026-11-22T10:00:00.000Z",
    });
    Command {
        kind: "RecordAdvice".into(),
        actor: "api".into(),
        payload: payload.to_string().into(),
        ..at_first
    }
}

#[tokio::test]
async fn a_takeover_that_fails_for_good_is_answered_and_the_lease_given_back() -> Result<()> {
    let (environment, store) = store().await?;
    raw_sql("DROP FUNCTION begin_activations").execute(store.pool()).await?;
    let decider = Arc::new(decider(&environment, AUTHORIZATION)?);
    let digest = decider.id().digest;
    let stable = Arc::new(ActiveDecider::new(decider, digest));
    let in_force = BTreeMap::from([("authorization".to_owned(), AggregateDeciders { stable, canary: None })]);
    let deciders = watch::Sender::new(Arc::new(Deciders::new(1, in_force)));
    let lease = Duration::from_millis(500);
    let writer = WriterSettings { lease, ..writing("one") };
    let mut tasks = Tasks::default();
    let settings = IntakeSettings { queue_length: 256, writer };
    let intake = CommandIntake::start(&store, deciders.subscribe(), &Clock::system(), &settings, &mut tasks);
    let answer = tokio::time::timeout(10 * lease, intake.submit(swipe("k", "p", "850"))).await?;
    assert!(matches!(answer, Err(CommandError::Unavailable(_))), "{answer:?}");
    // The lease that the writer holds would last longer than it takes another owner to get it.
    eventually("another owner takes the lease", async || {
        let taken = store.take_lease(0, &"other".into(), Duration::from_secs(60)).await?;
        Ok(matches!(taken, Taken::Held(..)).then_some(()))
    })
    .await
}

#[tokio::test]
async fn a_partition_that_waits_for_its_rows_leaves_its_permit_to_the_others() -> Result<()> {
    let (environment, store) = store().await?;
    let (before, tasks) = intake(&environment, &store, with_lease(500), &Clock::system())?;
    before.submit(swipe("first", "p", "850")).await?;
    drop((before, tasks));
    let partition = "SELECT partition FROM streams WHERE stream = 'authorization-p'";
    let partition: i32 = query_scalar(partition).fetch_one(store.pool()).await?;
    // A host that begins now must read the payment's events, and has one permit for all partitions.
    let writer = WriterSettings { permits: Permits::new(1), ..with_lease(20_000) };
    let (intake, _tasks) = intake(&environment, &store, writer, &Clock::system())?;
    let elsewhere = of_another_partition(&intake, &store, partition).await?;
    let mut lock = store.pool().begin().await?;
    let statement = format!("LOCK TABLE events_p{partition} IN ACCESS EXCLUSIVE MODE");
    raw_sql(sqlx::AssertSqlSafe(statement)).execute(&mut *lock).await?;
    let mut stuck = JoinSet::new();
    stuck.spawn({
        let intake = intake.clone();
        async move { intake.submit_in_turn(advice("second")).await }
    });
    let waiting = "SELECT count(*) FROM pg_stat_activity
                   WHERE wait_event_type = 'Lock' AND datname = current_database()";
    eventually("the payment's events are waited for", async || {
        let waiting: i64 = query_scalar(waiting).fetch_one(store.pool()).await?;
        Ok((waiting > 0).then_some(()))
    })
    .await?;
    // Sequential commands: each would wait for the permit for its longest time.
    let others = async {
        for number in 0..50 {
            let name = format!("o{number}");
            let command = Command { idempotency_key: name.clone(), id: name, ..elsewhere.clone() };
            assert!(matches!(intake.submit_in_turn(command).await?, Answer::Accepted { .. }));
        }
        anyhow::Ok(())
    };
    tokio::time::timeout(Duration::from_secs(4), others).await??;
    assert!(stuck.try_join_next().is_none());
    lock.rollback().await?;
    let answer = stuck.join_next().await.context("the command")???;
    assert!(matches!(answer, Answer::Accepted { .. }));
    Ok(())
}

/// A swipe of an account whose streams are in another partition, which has decided one of them.
async fn of_another_partition(intake: &CommandIntake, store: &EventStore, partition: i32) -> Result<Command> {
    for number in 0..100 {
        let (account, name) = (format!("0x{number:040x}"), format!("e{number}"));
        let command = swipe(&name, &name, "850");
        let payload = String::from_utf8(command.payload.clone())?.replace(ACCOUNT, &account);
        let command = Command { routing_key: account, payload: payload.into(), ..command };
        intake.submit_in_turn(command.clone()).await?;
        let of = query_scalar("SELECT partition FROM streams WHERE stream = $1");
        let of: i32 = of.bind(command.stream()).fetch_one(store.pool()).await?;
        if of != partition {
            return Ok(command);
        }
    }
    anyhow::bail!("all accounts are of partition {partition}")
}
