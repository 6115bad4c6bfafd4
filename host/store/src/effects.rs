//! Effects of sagas: an index of the events that request them.

use clearfold_kernel::Timestamp;
use sqlx::PgConnection;

use super::{EventStore, StoreError};
use clearfold_base::database::{partition_key, signed, timestamp, unsigned};

/// Effect of an instance of a saga, by what names it for ever.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct PendingEffect {
    /// Stream of the instance.
    pub stream: String,
    /// Number of the effect in its instance, from 1.
    pub number: u64,
}

impl PendingEffect {
    /// Identity under which it is carried out each time, and under which its outcome comes back.
    #[must_use]
    pub fn identity(&self) -> String {
        format!("{}/effect/{}", self.stream, self.number)
    }
}

/// Effect that an append adds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewEffect {
    pub pending: PendingEffect,
    /// Name in the host's manifest.
    pub effect: String,
    /// JSON document.
    pub request: Vec<u8>,
}

/// Effect without an outcome yet, with the account of its instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WaitingEffect {
    /// Place among the effects of its partition and name.
    pub id: u64,
    pub pending: PendingEffect,
    pub routing_key: String,
    pub request: Vec<u8>,
    /// Time at which it was requested, by the log's clock.
    pub requested_at: Timestamp,
}

impl EventStore {
    /// Names of the effects that wait for an outcome in a partition.
    pub async fn waiting_effect_names(
        &self,
        connection: &mut PgConnection,
        partition: u32,
    ) -> Result<Vec<String>, StoreError> {
        let names = sqlx::query_scalar!(
            "SELECT DISTINCT effect FROM effects WHERE partition = $1",
            partition_key(partition)?,
        );
        Ok(names.fetch_all(connection).await?)
    }

    /// Reads a partition's effects of one name behind a place, in the order in which they were requested.
    pub async fn waiting_effects(
        &self,
        connection: &mut PgConnection,
        partition: u32,
        effect: &str,
        behind: u64,
        limit: u32,
    ) -> Result<Vec<WaitingEffect>, StoreError> {
        let rows = sqlx::query!(
            // The inner limit keeps the planner from joining all that wait.
            "SELECT id, first.stream, number, routing_key, request, requested_at
             FROM (SELECT id, stream, number, request, requested_at FROM effects
                   WHERE partition = $1 AND effect = $2 AND id > $3 ORDER BY id LIMIT $4) AS first
             JOIN streams USING (stream) ORDER BY id",
            partition_key(partition)?,
            effect,
            signed(behind)?,
            i64::from(limit),
        );
        let rows = rows.fetch_all(connection).await?;
        let effects = rows.into_iter().map(|row| {
            Ok(WaitingEffect {
                id: unsigned(row.id)?,
                pending: PendingEffect { stream: row.stream, number: unsigned(row.number)? },
                routing_key: row.routing_key,
                request: row.request,
                requested_at: timestamp(row.requested_at)?,
            })
        });
        effects.collect()
    }

    /// Returns those of some effects that have no row.
    pub async fn missing_effects(&self, effects: &[PendingEffect]) -> Result<Vec<PendingEffect>, StoreError> {
        let streams: Vec<String> = effects.iter().map(|effect| effect.stream.clone()).collect();
        let numbers = effects.iter().map(|effect| signed(effect.number)).collect::<Result<Vec<_>, _>>()?;
        let rows = sqlx::query_scalar!(
            r#"SELECT nth AS "nth!" FROM UNNEST($1::text[], $2::bigint[]) WITH ORDINALITY
                   AS wanted(stream, number, nth)
               WHERE NOT EXISTS (SELECT FROM effects WHERE effects.stream = wanted.stream
                                 AND effects.number = wanted.number)
               ORDER BY nth"#,
            &streams,
            &numbers,
        );
        let missing = rows.fetch_all(&self.pool).await?.into_iter();
        // Ordinals begin with 1.
        let place = |nth: i64| usize::try_from(nth - 1).ok();
        Ok(missing.filter_map(|nth| effects.get(place(nth)?).cloned()).collect())
    }
}
