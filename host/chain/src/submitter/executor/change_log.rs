//! Log of the submitter's changes in the write store: the lease, the fenced commit, and the fold at the start.

use std::sync::Arc;
use std::time::Duration;

use alloy::primitives::B256;
use clearfold_base::database::{DatabaseError, signed, unsigned, with_time_out};
use sqlx::PgPool;
use sqlx::postgres::types::PgInterval;

use crate::submitter::{Change, Inconsistent, Outcome, Pull, PullId, State};

/// Number of changes after which a snapshot is written again.
const SNAPSHOT_EVERY: u64 = 256;

/// The log cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum ChangeLogError {
    #[error("the submitter's changes could not be read or committed")]
    Database(#[from] DatabaseError),
    #[error("the lease of the submitter of chain {chain_id} is lost: {owner} must begin again")]
    LeaseLost { chain_id: u64, owner: Arc<str> },
    #[error(
        "change {number} of the submitter of chain {chain_id} does not follow from those before it; restore the write store, or compare the rows of submitter_changes with the chain"
    )]
    Inconsistent {
        chain_id: u64,
        number: u64,
        #[source]
        cause: Inconsistent,
    },
}

impl From<sqlx::Error> for ChangeLogError {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error.into())
    }
}

/// Right to commit changes of one chain's submitter, with the state that it builds on.
pub(super) struct ChangeLog {
    pool: PgPool,
    chain_id: u64,
    owner: Arc<str>,
    epoch: u64,
    duration: Duration,
    /// Number of committed changes.
    count: u64,
    /// Number of the change up to which the newest snapshot goes.
    snapshot: u64,
}

/// Pull that was accepted, with the outcome that was reported last.
pub(super) struct Known {
    pub pull: Pull,
    pub outcome: Option<Outcome>,
}

impl ChangeLog {
    /// Takes the lease if it is free, has expired, or is this owner's already, and folds the changes. `None` if another
    /// owner holds it.
    pub async fn take(
        pool: &PgPool,
        chain_id: u64,
        owner: &Arc<str>,
        duration: Duration,
    ) -> Result<Option<(Self, State)>, ChangeLogError> {
        with_time_out(async {
            sqlx::query!(
                "INSERT INTO submitters (chain_id) VALUES ($1) ON CONFLICT DO NOTHING",
                signed(chain_id)?
            )
            .execute(pool)
            .await?;
            // It waits for a commit that is under way, so what is read afterwards is all there is.
            let taken = sqlx::query!(
                "UPDATE submitters
                 SET lease_owner = $2, lease_epoch = lease_epoch + 1, lease_until = clock_timestamp() + $3
                 WHERE chain_id = $1 AND (lease_owner = $2 OR lease_until <= clock_timestamp())
                 RETURNING lease_epoch, change_count",
                signed(chain_id)?,
                &**owner,
                interval(duration),
            );
            let Some(row) = taken.fetch_optional(pool).await? else { return Ok(None) };
            let (epoch, count) = (unsigned(row.lease_epoch)?, unsigned(row.change_count)?);
            let (state, snapshot) = fold(pool, chain_id).await?;
            let (pool, owner) = (pool.clone(), Arc::clone(owner));
            Ok(Some((Self { pool, chain_id, owner, epoch, duration, count, snapshot }, state)))
        })
        .await
    }

    /// Commits changes, all or none, and renews the lease. `state` is the state with them. After an error it is unknown
    /// whether they were committed; whoever wants to know takes the lease again.
    pub async fn commit(&mut self, changes: &[Change], state: &State) -> Result<(), ChangeLogError> {
        with_time_out(self.commit_all(changes, state)).await
    }

    /// One statement: a connection that is cut off in it leaves no open transaction and no lock behind.
    async fn commit_all(&mut self, changes: &[Change], state: &State) -> Result<(), ChangeLogError> {
        // A list of changes is in memory, so its length fits in 64 bits.
        let count = self.count + changes.len() as u64;
        let snapshot = if count - self.snapshot >= SNAPSHOT_EVERY { Some(json(state)?) } else { None };
        let rows = Rows::of(changes)?;
        let moved = sqlx::query_scalar!(
            r#"WITH moved AS (
                   UPDATE submitters SET change_count = $5, lease_until = clock_timestamp() + $6
                   WHERE chain_id = $1 AND lease_owner = $2 AND lease_epoch = $3 AND lease_until > clock_timestamp()
                     AND change_count = $4
                   RETURNING chain_id
               ), inserted AS (
                   INSERT INTO submitter_changes (chain_id, number, kind, pull_id, pull_hash, account, nonce,
                                                  transaction_hash, change)
                   SELECT chain_id, $4 + nth, kind, pull_id, pull_hash, account, nonce, transaction_hash, change::jsonb
                   FROM moved, UNNEST($7::text[], $8::text[], $9::bytea[], $10::bytea[], $11::bigint[], $12::bytea[],
                                      $13::text[])
                       WITH ORDINALITY AS new(kind, pull_id, pull_hash, account, nonce, transaction_hash, change, nth)
               ), folded AS (
                   INSERT INTO submitter_snapshots (chain_id, number, state)
                   SELECT chain_id, $5, $14::text::jsonb FROM moved WHERE $14::text IS NOT NULL
                   ON CONFLICT (chain_id) DO UPDATE SET number = EXCLUDED.number, state = EXCLUDED.state
               )
               SELECT count(*) AS "count!" FROM moved"#,
            signed(self.chain_id)?,
            &*self.owner,
            signed(self.epoch)?,
            signed(self.count)?,
            signed(count)?,
            interval(self.duration),
            &rows.kinds as &[&str],
            &rows.pull_ids as &[Option<String>],
            &rows.pull_hashes as &[Option<Vec<u8>>],
            &rows.accounts as &[Option<Vec<u8>>],
            &rows.nonces as &[Option<i64>],
            &rows.transaction_hashes as &[Option<Vec<u8>>],
            &rows.changes,
            snapshot.as_deref() as Option<&str>,
        );
        if moved.fetch_one(&self.pool).await? != 1 {
            return Err(ChangeLogError::LeaseLost {
                chain_id: self.chain_id,
                owner: Arc::clone(&self.owner),
            });
        }
        self.count = count;
        self.snapshot = if snapshot.is_some() { count } else { self.snapshot };
        Ok(())
    }

    /// Looks a pull up that the state may have forgotten.
    pub async fn find(&self, id: &PullId) -> Result<Option<Known>, ChangeLogError> {
        let rows = sqlx::query!(
            r#"SELECT change::text AS "change!" FROM submitter_changes
               WHERE chain_id = $1 AND pull_id = $2 AND kind IN ('accepted', 'reported') ORDER BY number"#,
            signed(self.chain_id)?,
            id.to_string(),
        );
        let mut known = None;
        for row in with_time_out(async { Ok::<_, DatabaseError>(rows.fetch_all(&self.pool).await?) }).await? {
            match parsed(&row.change)? {
                Change::Accepted { pull } => known = Some(Known { pull, outcome: None }),
                Change::Reported { outcome, .. } => {
                    known = known.map(|known| Known { outcome: Some(outcome), ..known });
                }
                _ => {}
            }
        }
        Ok(known)
    }

    /// Returns the pull that was accepted with this hash.
    pub async fn find_hash(&self, hash: B256) -> Result<Option<PullId>, ChangeLogError> {
        let row = sqlx::query_scalar!(
            r#"SELECT pull_id AS "pull_id!" FROM submitter_changes WHERE pull_hash = $1 AND kind = 'accepted'"#,
            hash.as_slice(),
        );
        let row =
            with_time_out(async { Ok::<_, DatabaseError>(row.fetch_optional(&self.pool).await?) }).await?;
        Ok(row.and_then(|id| PullId::new(&id)))
    }

    /// Renews the lease.
    /// Keeps the lease while something takes long.
    pub async fn renewing_during<T>(&self, work: impl Future<Output = T>) -> Result<T, ChangeLogError> {
        let mut work = std::pin::pin!(work);
        loop {
            match tokio::time::timeout(self.duration / 3, &mut work).await {
                Ok(done) => return Ok(done),
                Err(_) => self.renew().await?,
            }
        }
    }

    pub async fn renew(&self) -> Result<(), ChangeLogError> {
        let renewed = sqlx::query!(
            "UPDATE submitters SET lease_until = clock_timestamp() + $4
             WHERE chain_id = $1 AND lease_owner = $2 AND lease_epoch = $3 AND lease_until > clock_timestamp()",
            signed(self.chain_id)?,
            &*self.owner,
            signed(self.epoch)?,
            interval(self.duration),
        );
        let renewed =
            with_time_out(async { Ok::<_, DatabaseError>(renewed.execute(&self.pool).await?) }).await?;
        if renewed.rows_affected() == 1 {
            return Ok(());
        }
        Err(ChangeLogError::LeaseLost { chain_id: self.chain_id, owner: Arc::clone(&self.owner) })
    }

    /// Gives the lease back, so that another host need not wait until it expires.
    pub async fn release(self) -> Result<(), ChangeLogError> {
        let released = sqlx::query!(
            "UPDATE submitters SET lease_until = '-infinity'
             WHERE chain_id = $1 AND lease_owner = $2 AND lease_epoch = $3",
            signed(self.chain_id)?,
            &*self.owner,
            signed(self.epoch)?,
        );
        with_time_out(async { Ok::<_, DatabaseError>(released.execute(&self.pool).await?) }).await?;
        Ok(())
    }
}

/// Folds the newest snapshot and the changes behind it.
async fn fold(pool: &PgPool, chain_id: u64) -> Result<(State, u64), ChangeLogError> {
    let snapshot = sqlx::query!(
        r#"SELECT number, state::text AS "state!" FROM submitter_snapshots WHERE chain_id = $1"#,
        signed(chain_id)?
    );
    let (mut state, from) = match snapshot.fetch_optional(pool).await? {
        Some(row) => (parsed(&row.state)?, unsigned(row.number)?),
        None => (State::default(), 0),
    };
    let changes = sqlx::query!(
        r#"SELECT number, change::text AS "change!" FROM submitter_changes
           WHERE chain_id = $1 AND number > $2 ORDER BY number"#,
        signed(chain_id)?,
        signed(from)?,
    );
    for row in changes.fetch_all(pool).await? {
        let number = unsigned(row.number)?;
        let applied = state.apply(&parsed(&row.change)?);
        applied.map_err(|cause| ChangeLogError::Inconsistent { chain_id, number, cause })?;
    }
    Ok((state, from))
}

/// Changes as rows, column by column, with what must be unique in columns of its own.
#[derive(Default)]
struct Rows {
    kinds: Vec<&'static str>,
    pull_ids: Vec<Option<String>>,
    pull_hashes: Vec<Option<Vec<u8>>>,
    accounts: Vec<Option<Vec<u8>>>,
    nonces: Vec<Option<i64>>,
    transaction_hashes: Vec<Option<Vec<u8>>>,
    changes: Vec<String>,
}

impl Rows {
    fn of(changes: &[Change]) -> Result<Self, DatabaseError> {
        let mut rows = Self::default();
        for change in changes {
            rows.kinds.push(change.kind());
            rows.pull_ids.push(change.pull().map(PullId::to_string));
            let accepted = match change {
                Change::Accepted { pull } => Some(pull.hash().to_vec()),
                _ => None,
            };
            rows.pull_hashes.push(accepted);
            let place = change.place();
            rows.accounts.push(place.map(|(account, _)| account.to_vec()));
            rows.nonces.push(place.map(|(_, nonce)| signed(nonce)).transpose()?);
            let transaction = match change {
                Change::Signed { transaction, .. } => Some(transaction.hash.to_vec()),
                _ => None,
            };
            rows.transaction_hashes.push(transaction);
            rows.changes.push(json(change)?);
        }
        Ok(rows)
    }
}

fn json(value: &impl serde::Serialize) -> Result<String, DatabaseError> {
    let corrupt =
        |error: serde_json::Error| DatabaseError::Corrupt(format!("a change without a form: {error}"));
    serde_json::to_string(value).map_err(corrupt)
}

fn parsed<T: serde::de::DeserializeOwned>(text: &str) -> Result<T, DatabaseError> {
    let corrupt = |error: serde_json::Error| DatabaseError::Corrupt(format!("a submitter's change: {error}"));
    serde_json::from_str(text).map_err(corrupt)
}

fn interval(duration: Duration) -> PgInterval {
    // A duration that does not fit is longer than 292,000 years.
    let microseconds = i64::try_from(duration.as_micros()).unwrap_or(i64::MAX);
    PgInterval { months: 0, days: 0, microseconds }
}
