//! From which command on a partition is decided by whom: the activations that its writer has taken over.

use super::{EventStore, Lease, StoreError};
use clearfold_base::database::{partition_key, signed};

impl EventStore {
    /// Records that the activations up to and including `through` are in force in the lease's partition from the next
    /// command on. Refused if the partition has taken over a newer one already: who wants to go on with older code does
    /// not know it yet.
    pub async fn begin_activations(&self, lease: &Lease, through: u64) -> Result<(), StoreError> {
        let begun = sqlx::query!(
            "SELECT begin_activations($1, $2, $3, $4)",
            partition_key(lease.partition)?,
            &*lease.owner,
            signed(lease.epoch)?,
            signed(through)?,
        );
        let begun = begun.fetch_one(&self.pool).await;
        begun.map(|_| ()).map_err(|error| StoreError::of_append(lease.partition, error))
    }
}
