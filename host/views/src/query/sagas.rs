//! Queries of sagas: instances by state, those that changed last first.
//!
//! The projection `sagas` makes the table. A host whose manifest does not name its projector runs without it.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sqlx::postgres::PgRow;
use sqlx::{FromRow, Row};

use super::payments::time;
use super::{PageCursor, QueryError, ReadStore};
use clearfold_base::database::database_time;

/// Instance of a saga in a list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SagaInstance {
    /// Stream of the instance.
    pub instance: String,
    pub saga: String,
    pub id: String,
    /// One of the states of the `sagas` projection.
    pub state: String,
    /// Digest of the component on which it began.
    pub component: String,
    /// Events of the followed stream that wait.
    pub waiting_events: Value,
    /// Flows that have not ended.
    pub flows: Value,
    /// Number of answers that said otherwise than an operator had.
    pub contradiction_count: i64,
    pub began_at: String,
    pub updated_at: String,
}

/// Conditions on the instances of a page.
#[derive(Debug, Clone, Default)]
pub struct SagaFilter {
    pub state: Option<String>,
    /// True for those that are open, false for those that have ended.
    pub is_open: Option<bool>,
    pub saga: Option<String>,
    /// Only instances that changed before this place.
    pub after: Option<PageCursor>,
}

/// Numbers of instances.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SagaCounts {
    pub open: i64,
    pub parked: i64,
}

/// Page of instances.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SagaPage {
    pub data: Vec<SagaInstance>,
    pub next_cursor: Option<String>,
    /// Of all instances.
    pub counts: SagaCounts,
}

const PAGE: &str = "
    SELECT instance, saga, id, state, component, waiting_events, flows, contradiction_count,
           began_at, updated_at
    FROM sagas.instance
    WHERE ($1::text IS NULL OR state = $1) AND ($2::boolean IS NULL OR open = $2) AND ($3::text IS NULL OR saga = $3)
      AND ($4::timestamptz IS NULL OR (updated_at, instance) < ($4, $5::text))
    ORDER BY updated_at DESC, instance DESC LIMIT $6::bigint";
const COUNTS: &str = "
    SELECT (SELECT count(*) FROM sagas.instance WHERE open) AS open,
           (SELECT count(*) FROM sagas.instance WHERE state = 'parked') AS parked";

const VERSIONS: &str = "
    SELECT component, count(*) AS instances, count(*) FILTER (WHERE open) AS open,
           count(*) FILTER (WHERE state = 'parked') AS parked
    FROM sagas.instance WHERE saga = $1 GROUP BY component ORDER BY component";

pub(super) const STATEMENTS: &[&str] = &[PAGE, COUNTS, VERSIONS];

/// Numbers of instances that began on one version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VersionCounts {
    /// Digest of the version.
    pub began_on: String,
    pub instances: i64,
    #[serde(flatten)]
    pub counts: SagaCounts,
}

impl ReadStore {
    /// Counts a saga's instances by the version on which they began.
    pub async fn saga_versions(&self, saga: &str) -> Result<Vec<VersionCounts>, QueryError> {
        let rows = sqlx::query(VERSIONS).bind(saga).fetch_all(&self.pool).await.map_err(missing)?;
        let counts = |row: &PgRow| {
            Ok(VersionCounts {
                began_on: row.try_get("component")?,
                instances: row.try_get("instances")?,
                counts: SagaCounts { open: row.try_get("open")?, parked: row.try_get("parked")? },
            })
        };
        rows.iter().map(counts).collect()
    }

    /// Reads a page of instances, those that changed last first, with the cursor of the next page if there is one.
    pub async fn sagas(&self, filter: &SagaFilter, limit: u32) -> Result<SagaPage, QueryError> {
        let after = filter.after.as_ref();
        let changed_at = after.map(|cursor| database_time(cursor.occurred_at)).transpose();
        let changed_at = changed_at.map_err(|error| sqlx::Error::Decode(error.into()))?;
        let query = sqlx::query(PAGE)
            .bind(&filter.state)
            .bind(filter.is_open)
            .bind(&filter.saga)
            .bind(changed_at)
            .bind(after.map(|cursor| &cursor.id))
            // One more than asked for tells whether there is a next page.
            .bind(i64::from(limit) + 1);
        let mut rows = query.fetch_all(&self.pool).await.map_err(missing)?;
        // A limit that does not fit a usize is longer than any list.
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let more = rows.len() > limit;
        rows.truncate(limit);
        let next = match rows.last().filter(|_| more) {
            None => None,
            Some(row) => {
                Some(PageCursor { occurred_at: time(row, "updated_at")?, id: row.try_get("instance")? })
            }
        };
        let data = rows.iter().map(SagaInstance::from_row).collect::<Result<_, _>>()?;
        let counts = self.saga_counts().await?;
        Ok(SagaPage { data, next_cursor: next.map(|cursor| cursor.to_string()), counts })
    }

    /// Counts the instances that are open, and those of them that are parked.
    pub async fn saga_counts(&self) -> Result<SagaCounts, QueryError> {
        let row = sqlx::query(COUNTS).fetch_one(&self.pool).await.map_err(missing)?;
        Ok(SagaCounts { open: row.try_get("open")?, parked: row.try_get("parked")? })
    }
}

/// Says what is missing if the projection's tables are.
fn missing(error: sqlx::Error) -> QueryError {
    // Undefined table or schema.
    let is_missing = |code: &str| matches!(code, "42P01" | "3F000");
    match error.as_database_error().and_then(sqlx::error::DatabaseError::code) {
        Some(code) if is_missing(&code) => QueryError::NoProjection("sagas"),
        _ => error.into(),
    }
}

impl FromRow<'_, PgRow> for SagaInstance {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            instance: row.try_get("instance")?,
            saga: row.try_get("saga")?,
            id: row.try_get("id")?,
            state: row.try_get("state")?,
            component: row.try_get("component")?,
            waiting_events: row.try_get("waiting_events")?,
            flows: row.try_get("flows")?,
            contradiction_count: row.try_get("contradiction_count")?,
            began_at: time(row, "began_at")?.to_string(),
            updated_at: time(row, "updated_at")?.to_string(),
        })
    }
}
