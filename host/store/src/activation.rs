//! The begin of activations in a partition: from which command on its writer decides with which components.

use super::{EventStore, Lease, StoreError};
use clearfold_base::database::{partition_key, signed};

impl EventStore {
    /// Records that the activations up to and including `through` are in force in the lease's partition from the next
    /// command on. It is refused if the partition has begun a newer one already: a writer with older components has not
    /// heard of it yet.
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
