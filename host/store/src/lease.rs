//! Leases: the right to append to a partition. A lease is held in an epoch, and every append checks it inside its own
//! transaction, by the database's clock. So a host that was paused or cut off may try to append, and is refused.

use std::sync::Arc;
use std::time::Duration;

use sqlx::postgres::types::PgInterval;

use super::event::hash_of;
use super::{EventHash, EventStore, StoreError};
use clearfold_base::database::{partition_key, signed, unsigned};

/// Right to append to a partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    pub partition: u32,
    /// Host that holds it, by a name of its own in each of its lives.
    pub owner: Arc<str>,
    /// Lease epoch: increments at each takeover.
    pub epoch: u64,
    /// Time for which it lasts after each renewal. Every append renews it.
    pub duration: Duration,
}

/// End of a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// Position of the last event; 0 if the partition is empty.
    pub position: u64,
    /// Hash of the last event, which covers all events before it.
    pub hash: EventHash,
    /// Number of recorded commands.
    pub sequence: u64,
}

/// Result of asking for a lease.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Taken {
    /// The lease is held, and the partition ends here.
    Held(Lease, Head),
    /// Another host holds it.
    ByAnother { owner: String },
}

impl EventStore {
    /// Takes a partition's lease if it is free, has expired, or is this owner's already. Waits for an append that is
    /// under way, so the head that it returns is the end.
    pub async fn take_lease(
        &self,
        partition: u32,
        owner: &Arc<str>,
        duration: Duration,
    ) -> Result<Taken, StoreError> {
        let taken = sqlx::query!(
            "UPDATE partitions
             SET lease_owner = $2, lease_epoch = lease_epoch + 1, lease_until = clock_timestamp() + $3
             WHERE partition = $1 AND (lease_owner = $2 OR lease_until <= clock_timestamp())
             RETURNING lease_epoch, head_position, head_hash, head_sequence",
            partition_key(partition)?,
            &**owner,
            interval(duration),
        );
        if let Some(row) = taken.fetch_optional(&self.pool).await? {
            let epoch = unsigned(row.lease_epoch)?;
            let head = Head {
                position: unsigned(row.head_position)?,
                hash: EventHash(hash_of("head's hash", &row.head_hash)?),
                sequence: unsigned(row.head_sequence)?,
            };
            return Ok(Taken::Held(Lease { partition, owner: Arc::clone(owner), epoch, duration }, head));
        }
        let holder = sqlx::query_scalar!(
            "SELECT lease_owner FROM partitions WHERE partition = $1",
            partition_key(partition)?
        );
        let owner = holder.fetch_optional(&self.pool).await?.flatten();
        Ok(Taken::ByAnother { owner: owner.unwrap_or_default() })
    }

    /// Renews a lease. Returns false if it is lost.
    pub async fn renew_lease(&self, lease: &Lease) -> Result<bool, StoreError> {
        let renewed = sqlx::query!(
            "UPDATE partitions SET lease_until = clock_timestamp() + $4
             WHERE partition = $1 AND lease_owner = $2 AND lease_epoch = $3 AND lease_until > clock_timestamp()",
            partition_key(lease.partition)?,
            &*lease.owner,
            signed(lease.epoch)?,
            interval(lease.duration),
        );
        Ok(renewed.execute(&self.pool).await?.rows_affected() == 1)
    }

    /// Gives a lease back, so that another host need not wait until it expires.
    pub async fn release_lease(&self, lease: &Lease) -> Result<(), StoreError> {
        let released = sqlx::query!(
            "UPDATE partitions SET lease_until = '-infinity'
             WHERE partition = $1 AND lease_owner = $2 AND lease_epoch = $3",
            partition_key(lease.partition)?,
            &*lease.owner,
            signed(lease.epoch)?,
        );
        released.execute(&self.pool).await?;
        Ok(())
    }
}

pub(super) fn interval(duration: Duration) -> PgInterval {
    // A duration that does not fit is longer than 292,000 years.
    let microseconds = i64::try_from(duration.as_micros()).unwrap_or(i64::MAX);
    PgInterval { months: 0, days: 0, microseconds }
}
