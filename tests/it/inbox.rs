//! The inbox's periods: answers are kept for the retention period, old periods are dropped as a whole, and dropping
//! them blocks nothing.

use std::cell::Cell;
use std::time::Duration;

use anyhow::Result;
use clearfold_engine::command::{Answer, CommandError};
use clearfold_kernel::Timestamp;
use clearfold_store::{EventStore, Retention};
use sqlx::{AssertSqlSafe, query_scalar};

use crate::store::{intake, store, swipe};

/// A period is a quarter of it, rounded up: eight days.
const RETENTION: Retention = Retention { days: 30 };

/// Days since the first period began.
struct Days<'a> {
    store: &'a EventStore,
    first: i64,
}

impl<'a> Days<'a> {
    async fn of(store: &'a EventStore) -> Result<Self> {
        let first = "SELECT extract(epoch FROM starts_on)::bigint FROM inbox_periods";
        Ok(Self { store, first: query_scalar(first).fetch_one(store.pool()).await? })
    }

    fn day(&self, day: i64) -> Result<Timestamp> {
        Ok(Timestamp::from_s(u64::try_from(self.first + day * 86_400)?).unwrap())
    }

    /// Runs the keeper on a day, and returns the days on which periods begin afterwards.
    async fn periods(&self, day: i64) -> Result<Vec<i64>> {
        // A second host may do the same at any time.
        for _ in 0..2 {
            self.store.keep_inbox(self.day(day)?, RETENTION).await?;
        }
        let tables: i64 =
            query_scalar("SELECT count(*) FROM pg_inherits WHERE inhparent = 'inbox'::regclass")
                .fetch_one(self.store.pool())
                .await?;
        let starts = "SELECT extract(epoch FROM starts_on)::bigint FROM inbox_periods ORDER BY 1";
        let starts: Vec<i64> = query_scalar(starts).fetch_all(self.store.pool()).await?;
        assert_eq!(usize::try_from(tables)?, starts.len());
        Ok(starts.into_iter().map(|start| (start - self.first) / 86_400).collect())
    }
}

#[tokio::test]
async fn the_inbox_keeps_answers_for_the_retention_and_drops_whole_periods() -> Result<()> {
    let (environment, store) = store().await?;
    let (intake, _tasks) = intake(&environment, &store, "one")?;
    let days = Days::of(&store).await?;
    let accepted = |answer: Answer| match answer {
        Answer::Accepted { events, .. } => events.len(),
        Answer::Rejected { .. } => panic!("{answer:?}"),
    };
    let old = swipe("old", "p1", "850");
    assert_eq!(accepted(intake.submit(old.clone()).await?), 1);
    assert_eq!(days.periods(7).await?, [0]);
    assert_eq!(days.periods(8).await?, [0, 8]);
    assert_eq!(accepted(intake.submit(swipe("young", "p2", "850")).await?), 1);

    // The first period ended on the eighth day, and its last answers are valid for thirty more.
    assert_eq!(days.periods(37).await?, [0, 8, 37]);
    assert_eq!(accepted(intake.submit(old.clone()).await?), 1);
    let reused = intake.submit(swipe("old", "p3", "850")).await;
    assert!(matches!(reused, Err(CommandError::KeyReused { .. })), "{reused:?}");

    assert_eq!(days.periods(39).await?, [8, 37]);
    // It is decided again, and the payment knows that it has been recorded.
    assert_eq!(accepted(intake.submit(old).await?), 0);
    assert_eq!(accepted(intake.submit(swipe("young", "p2", "850")).await?), 1);
    Ok(())
}

#[tokio::test]
async fn who_reads_an_old_period_keeps_it_and_holds_nobody_up() -> Result<()> {
    /// Far above the 200 ms for which the keeper may block, far below a client's time-out.
    const PROMPT: Duration = Duration::from_secs(3);
    const TRIES: u32 = 3;
    let (environment, store) = store().await?;
    let (intake, _tasks) = intake(&environment, &store, "one")?;
    let days = Days::of(&store).await?;
    assert_eq!(days.periods(8).await?, [0, 8]);
    let table: String =
        query_scalar("SELECT 'inbox_' || to_char(min(starts_on), 'YYYYMMDD') FROM inbox_periods")
            .fetch_one(store.pool())
            .await?;
    let mut reader = store.pool().begin().await?;
    sqlx::query(AssertSqlSafe(format!("SELECT FROM {table}"))).execute(&mut *reader).await?;

    // The keeper comes again and again. Each time it waits for the reader, and appends wait for the keeper.
    let (late, given_up) = (days.day(39)?, Cell::new(0));
    let keeping = async {
        while given_up.get() < TRIES {
            let kept = store.keep_inbox(late, RETENTION).await;
            // 55P03: the lock was not available in time.
            assert!(format!("{kept:?}").contains("55P03"), "{kept:?}");
            given_up.set(given_up.get() + 1);
        }
        anyhow::Ok(())
    };
    let sending = async {
        let mut number = 0;
        while given_up.get() < TRIES {
            let command = swipe(&format!("k{number}"), &format!("p{number}"), "850");
            let answer = tokio::time::timeout(PROMPT, intake.submit(command)).await??;
            assert!(matches!(answer, Answer::Accepted { .. }), "{answer:?}");
            number += 1;
        }
        anyhow::Ok(())
    };
    tokio::try_join!(keeping, sending)?;
    reader.rollback().await?;
    assert_eq!(days.periods(39).await?, [8, 39]);
    Ok(())
}
