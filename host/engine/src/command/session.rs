//! Lease and database connections of a leader. Every wait for the database has an end, and work that may outlast the
//! lease renews it.

use sqlx::Postgres;
use sqlx::pool::PoolConnection;
use tokio::time::Instant;

pub(super) use clearfold_base::database::with_time_out;
use clearfold_base::faults;
use clearfold_store::{EventStore, Lease, StoreError};

/// Lease of a partition and the connections that are used under it.
pub(super) struct Session {
    store: EventStore,
    lease: Lease,
    renewed_at: Instant,
    /// Connections kept from one use to the next: one for the in-flight batch, and one for lookups meanwhile.
    kept: Vec<PoolConnection<Postgres>>,
}

impl Session {
    pub(super) fn new(store: EventStore, lease: Lease) -> Self {
        Self { store, lease, renewed_at: Instant::now(), kept: Vec::new() }
    }

    pub(super) fn store(&self) -> &EventStore {
        &self.store
    }

    pub(super) fn lease(&self) -> &Lease {
        &self.lease
    }

    /// Time at which a leader without a batch in flight renews the lease.
    pub(super) fn renewal_at(&self) -> Instant {
        self.renewed_at + self.lease.duration / 3
    }

    /// Renews the lease when there is nothing to commit.
    pub(super) async fn renew(&mut self) -> Result<(), StoreError> {
        renew(&self.store, &self.lease).await?;
        self.renewed_at = Instant::now();
        // There is little to do, and one connection is enough for it.
        self.kept.truncate(1);
        Ok(())
    }

    /// Notes that an append has renewed the lease.
    pub(super) fn renewed(&mut self) {
        self.renewed_at = Instant::now();
    }

    /// Gives the lease back.
    pub(super) async fn release(&self) {
        release(&self.store, &self.lease).await;
    }

    /// Does work that may take longer than the lease lasts. The work is dropped if the lease is lost.
    pub(super) async fn renewing_lease_during<T, E: From<StoreError>>(
        &self,
        work: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        let renewing = async {
            loop {
                tokio::time::sleep(self.lease.duration / 3).await;
                if let Err(error) = renew(&self.store, &self.lease).await {
                    return error;
                }
            }
        };
        tokio::select! {
            biased;
            done = work => done,
            error = renewing => Err(error.into()),
        }
    }

    /// A kept connection, or another one.
    pub(super) async fn connection(&mut self) -> Result<PoolConnection<Postgres>, StoreError> {
        let kept = self.kept.pop();
        self.renewing_lease_during(connection(&self.store, kept)).await
    }

    pub(super) fn has_kept(&self) -> bool {
        !self.kept.is_empty()
    }

    pub(super) fn take_kept(&mut self) -> Option<PoolConnection<Postgres>> {
        self.kept.pop()
    }

    pub(super) fn keep(&mut self, connection: PoolConnection<Postgres>) {
        self.kept.push(connection);
    }
}

async fn renew(store: &EventStore, lease: &Lease) -> Result<(), StoreError> {
    if with_time_out(store.renew_lease(lease)).await? {
        faults::point("lease_renewed");
        return Ok(());
    }
    let (partition, why) = (lease.partition, "another host may have taken it".to_owned());
    Err(StoreError::LeaseLost { partition, why })
}

/// Gives a lease back. If that fails, the lease expires on its own.
pub(super) async fn release(store: &EventStore, lease: &Lease) {
    if let Err(error) = with_time_out(store.release_lease(lease)).await {
        tracing::debug!(%error, partition = lease.partition, "the lease runs out by itself");
    }
}

/// The connection that was kept, or another one.
pub(super) async fn connection(
    store: &EventStore,
    kept: Option<PoolConnection<Postgres>>,
) -> Result<PoolConnection<Postgres>, StoreError> {
    match kept {
        Some(connection) => Ok(connection),
        None => Ok(store.pool().acquire().await?),
    }
}
