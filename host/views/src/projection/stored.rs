//! A projection as the read store holds it at one moment: its checkpoint and every row.
//!
//! It is read in one transaction that writes nothing, and then held in memory, so that no snapshot of the database
//! stays open while a log is replayed.

use std::collections::BTreeMap;

use sqlx::{AssertSqlSafe, PgConnection, PgPool};

use super::cells::{Cells, Rows, canonical, stored_key};
use super::tables::{Declaration, qualified};
use super::{ProjectionError, book, checkpoint, rows};
use clearfold_base::database::DatabaseError;
use clearfold_sandbox::{Projector, Table, Value};

/// Number of rows that are fetched at once.
const PAGE: usize = 5_000;

/// A projection as it is stored.
pub struct StoredProjection {
    /// Checkpoint: one position for each partition.
    pub positions: Vec<u64>,
    pub(super) rows: Rows,
}

impl StoredProjection {
    /// Reads a projection whose tables are as the component declares them.
    pub async fn take(
        pool: &PgPool,
        projector: &Projector,
        partitions: u32,
    ) -> Result<Self, ProjectionError> {
        const TRIES: u32 = 10;
        for _ in 0..TRIES {
            if let Some(stored) = Self::try_take(pool, projector, partitions).await? {
                return Ok(stored);
            }
        }
        Err(ProjectionError::OtherTables { projection: projector.descriptor().name.clone() })
    }

    /// Returns `None` if other tables took their place between the begin of the transaction and the look at the last of
    /// them.
    async fn try_take(
        pool: &PgPool,
        projector: &Projector,
        partitions: u32,
    ) -> Result<Option<Self>, ProjectionError> {
        let descriptor = projector.descriptor();
        let mut transaction = pool.begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await?;
        book::expect(&mut transaction, &Declaration::live(projector)?).await?;
        let positions = checkpoint::load(&mut *transaction, &descriptor.name, partitions).await?;
        for (number, table) in descriptor.tables.iter().enumerate() {
            let (columns, name) = (rows::columns(table), qualified(&descriptor.name, &table.name));
            let declare =
                format!("DECLARE stored_{number} NO SCROLL CURSOR FOR SELECT {columns} FROM {name}");
            sqlx::raw_sql(AssertSqlSafe(declare)).execute(&mut *transaction).await?;
        }
        // A transaction sees the rows as of its begin, but a name refers to the table that bears it now. From here on
        // the cursors keep their tables.
        let same = "SELECT oid = to_regnamespace(quote_ident($1)) FROM pg_namespace WHERE nspname = $1";
        let same: Option<Option<bool>> =
            sqlx::query_scalar(same).bind(&descriptor.name).fetch_optional(&mut *transaction).await?;
        if same.flatten() != Some(true) {
            return Ok(None);
        }
        let mut rows = Rows::new();
        for (number, table) in descriptor.tables.iter().enumerate() {
            rows.insert(table.name.clone(), read(&mut transaction, number, table).await?);
        }
        transaction.rollback().await?;
        Ok(Some(Self { positions, rows }))
    }
}

async fn read(
    connection: &mut PgConnection,
    number: usize,
    table: &Table,
) -> Result<BTreeMap<Cells, Vec<Value>>, ProjectionError> {
    let fetch = format!("FETCH FORWARD {PAGE} FROM stored_{number}");
    let mut read = BTreeMap::new();
    loop {
        let page = sqlx::raw_sql(AssertSqlSafe(fetch.clone())).fetch_all(&mut *connection).await?;
        for row in &page {
            let values: Vec<Value> = rows::read_row(table, row)?.into_iter().map(canonical).collect();
            let unreadable = || DatabaseError::Corrupt(format!("a key of {}", table.name));
            read.insert(stored_key(table, &values).ok_or_else(unreadable)?, values);
        }
        if page.len() < PAGE {
            return Ok(read);
        }
    }
}
