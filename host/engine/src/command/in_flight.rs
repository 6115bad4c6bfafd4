//! In-flight batch: one task commits it and answers its commands.

use sqlx::Postgres;
use sqlx::pool::PoolConnection;
use tokio::task::JoinSet;

use super::batch::Batch;
use super::failure::Failure;
use super::queued::Queued;
use super::session::{connection, with_time_out};
use super::subscriptions::Subscriptions;
use clearfold_base::blocking::Panicked;
use clearfold_base::faults;
use clearfold_store::{EventStore, Lease};

/// Batch on its way to the database. Dropping it ends its task.
pub(super) struct InFlight(JoinSet<CommitOutcome>);

/// Outcome of an in-flight batch.
pub(super) enum CommitOutcome {
    /// It is committed, and its commands are answered.
    Committed(PoolConnection<Postgres>),
    /// It is not committed, or its outcome is unknown: the inbox resolves that when its commands come again.
    Failed { failure: Failure, commands: Vec<Queued> },
}

impl InFlight {
    pub(super) fn launch(
        store: EventStore,
        lease: Lease,
        kept: Option<PoolConnection<Postgres>>,
        batch: Batch,
        subscriptions: Subscriptions,
    ) -> Self {
        let mut task = JoinSet::new();
        task.spawn(async move { commit(&store, kept, &lease, batch, &subscriptions).await });
        Self(task)
    }

    /// Waits for its outcome.
    pub(super) async fn outcome(&mut self) -> CommitOutcome {
        let failure = match self.0.join_next().await {
            Some(Ok(outcome)) => return outcome,
            // The task took its commands with it; dropping them has answered their callers.
            Some(Err(error)) => Panicked::from_join(&error).into(),
            None => Failure::Broken("the outcome of a batch was awaited twice".to_owned()),
        };
        CommitOutcome::Failed { failure, commands: Vec::new() }
    }
}

/// Commits a batch and answers its commands.
async fn commit(
    store: &EventStore,
    kept: Option<PoolConnection<Postgres>>,
    lease: &Lease,
    batch: Batch,
    subscriptions: &Subscriptions,
) -> CommitOutcome {
    let mut connection = match connection(store, kept).await {
        Ok(connection) => connection,
        Err(error) => {
            return CommitOutcome::Failed { failure: error.into(), commands: batch.into_commands() };
        }
    };
    faults::point("before_append");
    let appended = store.append(&mut connection, lease, &batch.before, &batch.append, batch.now);
    match with_time_out(appended).await {
        Ok(()) => {
            faults::point("committed");
            // Before the answers, so that a caller finds what was committed with its command.
            subscriptions.committed(&batch.append);
            for (queued, answer) in batch.waiting {
                queued.answer(Ok(answer));
                faults::point("answered");
            }
            CommitOutcome::Committed(connection)
        }
        Err(error) => {
            // The connection may be in any state; it is cut without waiting for it.
            drop(connection.detach());
            CommitOutcome::Failed { failure: error.into(), commands: batch.into_commands() }
        }
    }
}
