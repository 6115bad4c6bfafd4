//! Each projection alone, from an empty read store to the head of a log of whole authorizations: what an authorization
//! costs it in processor time of the host and of Postgres.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use clearfold_base::tasks::Tasks;
use clearfold_bus::{Bus, outbox};
use clearfold_sandbox::{HandlerEngine, Limits};
use sqlx::PgPool;

use crate::authorize::seed;
use crate::load::{Payers, closed_loop, request};
use crate::place::{CONNECTIONS, Log, Place};
use crate::report::{Report, processor_ms};
use crate::served::project;

/// Clients that fill the log.
const CLIENTS: usize = 256;
/// Longest time for one projection.
const LONGEST: Duration = Duration::from_secs(600);

pub async fn run(place: &Place, time: Duration, projectors: &[String], report: &mut Report) -> Result<()> {
    let log = place.log(CONNECTIONS).await?;
    let count = {
        let writing = place.writing_with_saga(&log)?;
        seed(&writing.intake, Payers::Uniform).await?;
        closed_loop(&writing.intake, CLIENTS, time, 0, |number| request(number, Payers::Uniform))
            .await?
            .commands
    };
    let head: u64 = log.store.heads().await?.iter().sum();
    report.figure("authorizations in the log", count as f64, "");
    report.figure("events in the log", head as f64, "");
    let each = |ms: f64| 1_000.0 * ms / count as f64;
    for name in projectors {
        let (host_ms, database_ms, began) =
            (processor_ms(None), processor_ms(Some("postgres")), Instant::now());
        catch_up(place, &log, name, head).await.with_context(|| format!("the projection {name}"))?;
        let (host, database) = (processor_ms(None) - host_ms, processor_ms(Some("postgres")) - database_ms);
        report.figure(format!("{name}: authorizations"), count as f64 / began.elapsed().as_secs_f64(), "/s");
        report.figure(format!("{name}: processor time of the host for one"), each(host), "µs");
        report.figure(format!("{name}: processor time of Postgres for one"), each(database), "µs");
    }
    Ok(())
}

/// Runs a projection until its checkpoint is the head of the log.
async fn catch_up(place: &Place, log: &Log, name: &str, head: u64) -> Result<()> {
    let mut tasks = Tasks::default();
    let bus = Bus::new(log.store.clone());
    tasks.spawn("outbox", outbox::run(log.store.clone(), bus.clone(), tasks.driver()));
    let engine = Arc::new(HandlerEngine::new(Limits::of)?);
    let live = project(place, &engine, log, &bus, name, &mut tasks).await?;
    let projection = live.borrow().descriptor().name.clone();
    let caught_up = async {
        while position(&log.read, &projection).await? < head {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        anyhow::Ok(())
    };
    tokio::time::timeout(LONGEST, caught_up).await.context("it did not reach the head in time")?
}

/// Sum of the positions of a projection's checkpoint.
async fn position(read: &PgPool, projection: &str) -> Result<u64> {
    let sum = "SELECT coalesce(sum(position), 0)::bigint FROM projection_checkpoints WHERE projection = $1";
    let position: i64 = sqlx::query_scalar(sum).bind(projection).fetch_one(read).await?;
    Ok(position.try_into()?)
}
