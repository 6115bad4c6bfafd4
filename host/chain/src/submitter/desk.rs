//! Desk between sagas and the submitter, in the write store: pulls that are asked for or withdrawn, and how the pulls of
//! payments' legs ended.
//!
//! Any host can ask here; the submitter, which runs on one of them, reads. What it has accepted and how that ended is in
//! its own changes, for good, so whoever asks later finds the same.

use std::collections::{BTreeMap, BTreeSet};

use alloy::primitives::B256;
use clearfold_base::database::{DatabaseError, signed, with_time_out};
use sqlx::PgPool;

use super::payments::{End, LegPulls, PaymentPull};
use super::pull::{Pull, PullId};
use super::state::{Change, Outcome};

/// Most requests that are read at once. Those of payments whose other pull has not ended stay, and are few.
const MAX_REQUESTS: i64 = 4_096;

/// Desk of one chain's submitter. Cheap to clone.
#[derive(Clone)]
pub(super) struct Desk {
    pool: PgPool,
    chain_id: u64,
}

/// Pull that is asked for.
pub(super) struct Asked {
    pub leg_name: String,
    pub pull: Pull,
}

impl Desk {
    pub fn new(pool: PgPool, chain_id: u64) -> Self {
        Self { pool, chain_id }
    }

    /// Asks for a pull. A repetition takes the place of the request that lies on the desk: that was not accepted yet, and
    /// may be of a host with another Spender, which would never be.
    pub async fn ask(&self, leg_name: &str, number: u32, pull: &Pull) -> Result<(), DatabaseError> {
        let insert = sqlx::query!(
            "INSERT INTO pull_requests (chain_id, payment_id, number, pull) VALUES ($1, $2, $3, $4::text::jsonb)
             ON CONFLICT (chain_id, payment_id, number) DO UPDATE SET pull = EXCLUDED.pull",
            signed(self.chain_id)?,
            leg_name,
            i64::from(number),
            serde_json::to_string(pull).map_err(|error| corrupt(&error))?,
        );
        with_time_out(async { Ok::<_, DatabaseError>(insert.execute(&self.pool).await?) }).await?;
        Ok(())
    }

    /// Reads what is asked for, the oldest first.
    pub async fn asked(&self) -> Result<Vec<Asked>, DatabaseError> {
        let rows = sqlx::query!(
            r#"SELECT payment_id, pull::text AS "pull!" FROM pull_requests WHERE chain_id = $1
               ORDER BY requested_at, payment_id, number LIMIT $2"#,
            signed(self.chain_id)?,
            MAX_REQUESTS,
        );
        let rows = with_time_out(async { Ok::<_, DatabaseError>(rows.fetch_all(&self.pool).await?) }).await?;
        let asked = |row: (String, String)| {
            Ok(Asked {
                leg_name: row.0,
                pull: serde_json::from_str(&row.1).map_err(|error| corrupt(&error))?,
            })
        };
        rows.into_iter().map(|row| asked((row.payment_id, row.pull))).collect()
    }

    /// Returns false if no request of the leg lies on the desk, and true if one does or the desk is too full to tell.
    pub async fn may_hold(&self, leg_name: &str) -> Result<bool, DatabaseError> {
        let asked = self.asked().await?;
        let is_full = i64::try_from(asked.len()).is_ok_and(|count| count >= MAX_REQUESTS);
        Ok(is_full || asked.iter().any(|asked| asked.leg_name == leg_name))
    }

    /// Takes a request off the desk: it is in the submitter's changes, or has become needless.
    pub async fn settle(&self, id: &PullId) -> Result<(), DatabaseError> {
        let delete = sqlx::query!(
            "DELETE FROM pull_requests WHERE chain_id = $1 AND payment_id || '/pull/' || number = $2",
            signed(self.chain_id)?,
            id.to_string(),
        );
        with_time_out(async { Ok::<_, DatabaseError>(delete.execute(&self.pool).await?) }).await?;
        Ok(())
    }

    /// Withdraws a leg for good.
    pub async fn withdraw(&self, leg_name: &str) -> Result<(), DatabaseError> {
        let insert = sqlx::query!(
            "INSERT INTO pull_withdrawals (chain_id, payment_id) VALUES ($1, $2) ON CONFLICT DO NOTHING",
            signed(self.chain_id)?,
            leg_name,
        );
        with_time_out(async { Ok::<_, DatabaseError>(insert.execute(&self.pool).await?) }).await?;
        Ok(())
    }

    /// Returns which of these legs are withdrawn.
    pub async fn withdrawn(&self, leg_names: &[String]) -> Result<BTreeSet<String>, DatabaseError> {
        let names = sqlx::query_scalar!(
            "SELECT payment_id FROM pull_withdrawals WHERE chain_id = $1 AND payment_id = ANY($2)",
            signed(self.chain_id)?,
            leg_names,
        );
        let names =
            with_time_out(async { Ok::<_, DatabaseError>(names.fetch_all(&self.pool).await?) }).await?;
        Ok(names.into_iter().collect())
    }

    /// Returns all pulls of these legs that were ever accepted, and which of them are withdrawn. A leg without both has an
    /// entry, too.
    pub async fn legs(&self, leg_names: &[String]) -> Result<BTreeMap<String, LegPulls>, DatabaseError> {
        let rows = sqlx::query!(
            r#"SELECT payment_id AS "payment_id!", change::text AS "change!" FROM submitter_changes
               WHERE chain_id = $1 AND payment_id = ANY($2) AND kind IN ('accepted', 'done', 'dead')
               ORDER BY number"#,
            signed(self.chain_id)?,
            leg_names,
        );
        let rows = with_time_out(async { Ok::<_, DatabaseError>(rows.fetch_all(&self.pool).await?) }).await?;
        let mut legs: BTreeMap<String, LegPulls> =
            leg_names.iter().map(|name| (name.clone(), LegPulls::default())).collect();
        for row in rows {
            let change = serde_json::from_str(&row.change).map_err(|error| corrupt(&error))?;
            take(&mut legs.entry(row.payment_id).or_default().pulls, change);
        }
        for name in self.withdrawn(leg_names).await? {
            legs.entry(name).or_default().is_withdrawn = true;
        }
        Ok(legs)
    }

    /// The same for one leg.
    pub async fn leg(&self, leg_name: &str) -> Result<LegPulls, DatabaseError> {
        let mut legs = self.legs(&[leg_name.to_owned()]).await?;
        Ok(legs.remove(leg_name).unwrap_or_default())
    }
}

/// Takes a change into the pulls of its leg.
fn take(pulls: &mut Vec<PaymentPull>, change: Change) {
    let (id, outcome) = match change {
        Change::Accepted { pull } => {
            let hash: B256 = pull.hash();
            return pulls.push(PaymentPull { id: pull.id, hash, end: None });
        }
        Change::Done { id, transaction, block } => (id, Outcome::Done { transaction, block }),
        Change::Dead { id, cause } => (id, Outcome::Dead { cause }),
        _ => return,
    };
    if let Some(pull) = pulls.iter_mut().find(|pull| pull.id == id) {
        pull.end = End::of(outcome);
    }
}

fn corrupt(error: &serde_json::Error) -> DatabaseError {
    DatabaseError::Corrupt(format!("a pull in the write store: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::submitter::Cause;
    use crate::submitter::tests_support::pull;

    #[test]
    fn the_pulls_of_a_leg_follow_from_the_changes() {
        let (first, second) = (pull("visa-1/pull/1"), pull("visa-1/pull/2"));
        let mut pulls = Vec::new();
        take(&mut pulls, Change::Accepted { pull: first.clone() });
        assert_eq!(pulls.iter().map(|pull| pull.end).collect::<Vec<_>>(), [None]);
        take(&mut pulls, Change::Dead { id: first.id, cause: Cause::Expired });
        take(&mut pulls, Change::Accepted { pull: second.clone() });
        take(&mut pulls, Change::Done { id: second.id, transaction: B256::ZERO, block: 9 });
        let ends = [End::Dead { cause: Cause::Expired }, End::Executed { transaction: B256::ZERO, block: 9 }];
        assert_eq!(pulls.iter().filter_map(|pull| pull.end).collect::<Vec<_>>(), ends);
    }
}
