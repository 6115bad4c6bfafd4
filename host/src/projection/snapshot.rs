//! What the read store holds of a projection at one moment: its checkpoint and every row.
//!
//! Read in one transaction that writes nothing, and then held in memory, so that no snapshot of the database stays
//! open while a log is replayed.

use std::collections::BTreeMap;

use sqlx::{AssertSqlSafe, PgConnection, PgPool};

use super::cells::{Cells, Rows, canonical, stored_key};
use super::tables::{Declaration, qualified};
use super::{ProjectionError, checkpoint, rows};
use crate::database::DatabaseError;
use crate::runtime::{Projector, Table, Value};

/// Rows that are fetched at once.
const PAGE: usize = 5_000;

/// A projection as it is stored.
pub struct Snapshot {
    /// The checkpoint, one position a partition.
    pub positions: Vec<u64>,
    pub(super) rows: Rows,
}

impl Snapshot {
    /// Reads a projection whose tables are as the component declares them.
    pub async fn take(
        pool: &PgPool,
        projector: &Projector,
        partitions: u32,
    ) -> Result<Self, ProjectionError> {
        let descriptor = projector.descriptor();
        let mut transaction = pool.begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await?;
        Declaration::of(descriptor).expect(&mut transaction).await?;
        let positions = checkpoint::load(&mut *transaction, &descriptor.name, partitions).await?;
        let mut rows = Rows::new();
        for table in &descriptor.tables {
            let read = read(&mut transaction, &descriptor.name, table).await?;
            rows.insert(table.name.clone(), read);
        }
        transaction.rollback().await?;
        Ok(Self { positions, rows })
    }
}

async fn read(
    connection: &mut PgConnection,
    projection: &str,
    table: &Table,
) -> Result<BTreeMap<Cells, Vec<Value>>, ProjectionError> {
    let (columns, name) = (rows::columns(table), qualified(projection, &table.name));
    let declare = format!("DECLARE stored NO SCROLL CURSOR FOR SELECT {columns} FROM {name}");
    sqlx::raw_sql(AssertSqlSafe(declare)).execute(&mut *connection).await?;
    let fetch = format!("FETCH FORWARD {PAGE} FROM stored");
    let mut read = BTreeMap::new();
    loop {
        let page = sqlx::raw_sql(AssertSqlSafe(fetch.clone())).fetch_all(&mut *connection).await?;
        for row in &page {
            let values: Vec<Value> = rows::read_row(table, row)?.into_iter().map(canonical).collect();
            let unreadable = || DatabaseError::Corrupt(format!("a key of {name}"));
            read.insert(stored_key(table, &values).ok_or_else(unreadable)?, values);
        }
        if page.len() < PAGE {
            break;
        }
    }
    sqlx::raw_sql("CLOSE stored").execute(&mut *connection).await?;
    Ok(read)
}
