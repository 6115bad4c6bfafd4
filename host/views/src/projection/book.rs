//! The book of the read store, `projections`: its tables, the components that made them, and which of them are read.
//!
//! A projection's tables lie in the schema of its name, where queries find them. Another component's are built beside
//! them, in a schema and under a row of their own, and later take their name ([`take_place`]). A host that makes,
//! drops or renames tables holds [`lock`] until it commits, so one host at a time does so. A host that writes rows
//! holds the tables' row in the book ([`hold`]), which dropping and renaming changes first: so no row is written to
//! tables that belong to another component by then. A schema that no projection made is never touched.

use std::sync::Arc;

use clearfold_kernel::Timestamp;
use sqlx::{AssertSqlSafe, PgConnection, PgPool};

use super::ProjectionError;
use super::readers::Readers;
use super::tables::{Declaration, qualified, quoted};
use clearfold_base::database::{DatabaseError, database_time, signed, timestamp, unsigned};
use clearfold_base::digest::Digest;
use clearfold_sandbox::Projector;

/// Comment of a schema that a host made and may drop.
const MARK: &str = "Made by clearfold from what a projector declares. Dropped and built again at will.";

/// Row of the book about tables that are read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct BookRow {
    /// Component that made the rows; `None` for rows from before digests were kept.
    pub digest: Option<Digest>,
    pub version: i32,
    pub declared: String,
    /// Time at which they took the place of others; `None` for the first tables.
    pub since: Option<Timestamp>,
    /// Their checkpoint at that time; empty for the first tables.
    pub from: Vec<u64>,
}

/// Outcome of preparing a component's tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Settled {
    /// The tables that are read are its own; `made` is true if they were made just now.
    Live { made: bool },
    /// Another component's tables are read, and its own are there to be built beside them.
    Beside,
    /// Another component's tables are read, and stay.
    Others,
}

/// Conditions under which a component's tables are prepared.
pub(super) struct Terms<'a> {
    pub now: Timestamp,
    pub readers: Readers,
    /// Components whose code this host has.
    pub known: &'a [Arc<Projector>],
    /// True if another component's tables are left as they are, those that are read and those that are being built.
    pub leave: bool,
}

/// Keeps other hosts from making, dropping or renaming tables of a projection until the transaction ends.
pub(super) async fn lock(transaction: &mut PgConnection, projection: &str) -> Result<(), sqlx::Error> {
    let lock = "SELECT pg_advisory_xact_lock(hashtext('clearfold projections'), hashtext($1))";
    sqlx::query(lock).bind(projection).execute(transaction).await?;
    Ok(())
}

/// Finds the tables that are read.
pub(super) async fn find(
    connection: &mut PgConnection,
    projection: &str,
) -> Result<Option<BookRow>, ProjectionError> {
    let found = sqlx::query!(
        "SELECT digest, version, declaration, live_since, live_from FROM projections WHERE name = $1",
        projection
    );
    let Some(found) = found.fetch_optional(connection).await? else { return Ok(None) };
    Ok(Some(BookRow {
        digest: found.digest.map(digest).transpose()?,
        version: found.version,
        declared: found.declaration,
        since: found.live_since.map(timestamp).transpose()?,
        // The first tables took no place, so they have no positions.
        from: found.live_from.unwrap_or_default().into_iter().map(unsigned).collect::<Result<_, _>>()?,
    }))
}

/// Makes a component's tables, if there are none, or a place beside those of another component.
pub(super) async fn settle(
    pool: &PgPool,
    wanted: &Projector,
    terms: &Terms<'_>,
) -> Result<Settled, ProjectionError> {
    let own = Declaration::live(wanted)?;
    let mut transaction = pool.begin().await?;
    lock(&mut transaction, &own.projection).await?;
    let settled = match find(&mut transaction, &own.projection).await? {
        None => {
            make(&mut transaction, &own, None, terms.now).await?;
            Settled::Live { made: true }
        }
        Some(read) if read.is_of(&own) => {
            // Rows from before digests were kept become those of the component that declares the same tables.
            adopt(&mut transaction, &own).await?;
            Settled::Live { made: false }
        }
        Some(_) if terms.leave => return Ok(Settled::Others),
        Some(read) => {
            read.allows(&own, terms.known)?;
            match terms.readers.shape(&mut transaction, &format!("before {}", own.digest)).await {
                Ok(_) => Settled::Beside,
                // Tables that this host's queries cannot read are of no use here, so nothing is kept for a build.
                Err(ProjectionError::Unreadable { .. }) => {
                    make(&mut transaction, &own, None, terms.now).await?;
                    Settled::Live { made: true }
                }
                Err(error) => return Err(error),
            }
        }
    };
    let beside = (settled == Settled::Beside).then(|| Declaration::beside(wanted)).transpose()?;
    if !terms.leave {
        throw_away(&mut transaction, &own.projection, beside.as_ref()).await?;
    }
    if let Some(beside) = beside {
        let half_built = find(&mut transaction, &beside.schema).await?;
        if !half_built.is_some_and(|half_built| half_built.is_of(&beside)) {
            make(&mut transaction, &beside, Some(&own.projection), terms.now).await?;
        }
    }
    transaction.commit().await?;
    Ok(settled)
}

impl BookRow {
    /// Returns true if these tables are the declared ones, made by its component or by an unknown one.
    pub(super) fn is_of(&self, own: &Declaration) -> bool {
        self.version == own.version
            && self.declared == own.declared
            && self.digest.is_none_or(|digest| digest == own.digest)
    }

    /// Checks that a component may take the place of the one that made these tables.
    fn allows(&self, own: &Declaration, known: &[Arc<Projector>]) -> Result<(), ProjectionError> {
        let projection = || own.projection.clone();
        // A host that has the code of the component whose rows are read knows what it replaces, and may go back to an
        // older version. A host without that code that declares an older version is out of date.
        let is_known = known.iter().any(|known| Some(known.id().digest) == self.digest);
        if self.version > own.version && !is_known {
            let (stored, declared) = (self.version, own.version);
            return Err(ProjectionError::Older { projection: projection(), stored, declared });
        }
        // The same component's declaration differs only if this version of the host writes it in another way.
        let is_other = self.digest != Some(own.digest);
        if is_other && self.version == own.version && self.declared != own.declared {
            return Err(ProjectionError::Changed { projection: projection(), version: own.version });
        }
        Ok(())
    }
}

/// Makes empty tables, in the place of any that lie there.
async fn make(
    transaction: &mut PgConnection,
    own: &Declaration,
    replaces: Option<&str>,
    now: Timestamp,
) -> Result<(), ProjectionError> {
    drop_tables(transaction, &own.schema).await?;
    let (schema, ddl) = (quoted(&own.schema), &own.ddl);
    let make = format!("CREATE SCHEMA {schema}; COMMENT ON SCHEMA {schema} IS '{MARK}'; {ddl}");
    sqlx::raw_sql(AssertSqlSafe(make)).execute(&mut *transaction).await?;
    let inserted = sqlx::query!(
        "INSERT INTO projections (name, version, declaration, created_at, digest, replaces)
         VALUES ($1, $2, $3, $4, $5, $6)",
        own.schema,
        own.version,
        own.declared,
        database_time(now)?,
        &own.digest.0[..],
        replaces,
    );
    inserted.execute(transaction).await?;
    Ok(())
}

/// Drops tables with their row in the book. The row goes first, and then the tables are locked in the order of their
/// names, as a batch locks them, which does not wait for the row: in another order each could wait for the other.
async fn drop_tables(transaction: &mut PgConnection, schema: &str) -> Result<(), ProjectionError> {
    sqlx::query!("DELETE FROM projections WHERE name = $1", schema).execute(&mut *transaction).await?;
    let mark = sqlx::query_scalar!(
        "SELECT obj_description(oid, 'pg_namespace') FROM pg_namespace WHERE nspname = $1",
        schema
    );
    let mark = mark.fetch_optional(&mut *transaction).await?;
    if mark.is_some_and(|mark| mark.as_deref() != Some(MARK)) {
        return Err(ProjectionError::ForeignSchema { projection: schema.to_owned() });
    }
    let tables = sqlx::query_scalar!(
        r#"SELECT relname AS "name!" FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
           WHERE nspname = $1 AND relkind = 'r' ORDER BY relname"#,
        schema
    );
    let tables = tables.fetch_all(&mut *transaction).await?;
    let each = tables.iter().map(|table| format!("LOCK TABLE {}; ", qualified(schema, table)));
    let drop = format!("{}DROP SCHEMA IF EXISTS {} CASCADE", each.collect::<String>(), quoted(schema));
    sqlx::raw_sql(AssertSqlSafe(drop)).execute(transaction).await?;
    Ok(())
}

/// Notes the component of rows from before digests were kept.
async fn adopt(transaction: &mut PgConnection, own: &Declaration) -> Result<(), sqlx::Error> {
    let adopted = sqlx::query!(
        "UPDATE projections SET digest = $2 WHERE name = $1 AND digest IS NULL",
        own.schema,
        &own.digest.0[..],
    );
    adopted.execute(transaction).await?;
    Ok(())
}

/// Drops half-built tables of a projection, except those of one build. Another host that builds them finds its row gone
/// and stops: the last wish counts.
async fn throw_away(
    transaction: &mut PgConnection,
    projection: &str,
    but: Option<&Declaration>,
) -> Result<(), ProjectionError> {
    let builds = sqlx::query_scalar!(
        "SELECT name FROM projections WHERE replaces = $1 AND name IS DISTINCT FROM $2",
        projection,
        but.map(|but| but.schema.as_str()),
    );
    for build in builds.fetch_all(&mut *transaction).await? {
        drop_tables(transaction, &build).await?;
        tracing::info!(projection, build, "dropped half-built tables that are not wanted any more");
    }
    Ok(())
}

/// Keeps tables as they are until the transaction ends. Fails if they belong to another component now.
pub(super) async fn hold(transaction: &mut PgConnection, own: &Declaration) -> Result<(), ProjectionError> {
    let same = sqlx::query_scalar!(
        "SELECT name FROM projections WHERE name = $1 AND version = $2 AND declaration = $3 AND digest = $4
         FOR SHARE",
        own.schema,
        own.version,
        own.declared,
        &own.digest.0[..],
    );
    match same.fetch_optional(transaction).await? {
        Some(_) => Ok(()),
        None => Err(own.replaced()),
    }
}

/// Fails if the tables that are read were not made by this component. It takes no lock.
pub(super) async fn expect(connection: &mut PgConnection, own: &Declaration) -> Result<(), ProjectionError> {
    let projection = own.projection.clone();
    match find(connection, &own.projection).await? {
        None => Err(ProjectionError::NotBuilt { projection }),
        Some(read) if read.is_of(own) => Ok(()),
        Some(_) => Err(ProjectionError::OtherTables { projection }),
    }
}

/// Keeps every host from writing to the tables that are read, and to those that were built beside them, until the
/// transaction ends. Waits for batches that are under way. Fails if one of the two sets is gone.
pub(super) async fn hold_still(
    transaction: &mut PgConnection,
    build: &Declaration,
) -> Result<(), ProjectionError> {
    let both = sqlx::query_scalar!(
        "SELECT name FROM projections WHERE name = $1 OR (name = $2 AND replaces = $1) ORDER BY name FOR UPDATE",
        build.projection,
        build.schema,
    );
    if both.fetch_all(transaction).await?.len() == 2 { Ok(()) } else { Err(build.replaced()) }
}

/// Gives the tables of a build the name of those that are read, and these a name that no query uses.
///
/// It drops nothing and locks no table: renaming a schema waits for no query and keeps none waiting. A query that
/// has begun goes on with the old tables, which still exist; the next one finds the new ones, also by a statement that
/// was prepared before, as the server looks up its names again after a schema was renamed.
pub(super) async fn take_place(
    transaction: &mut PgConnection,
    build: &Declaration,
    now: Timestamp,
    positions: &[u64],
) -> Result<(), ProjectionError> {
    let read = sqlx::query_scalar!(
        r#"SELECT oid::bigint AS "oid!" FROM pg_namespace WHERE nspname = $1"#,
        build.projection
    );
    // The server gives this number once, so the name is unique.
    let old = format!("old {}", read.fetch_one(&mut *transaction).await?);
    let (read, old, next) = (quoted(&build.projection), quoted(&old), quoted(&build.schema));
    let rename = format!("ALTER SCHEMA {read} RENAME TO {old}; ALTER SCHEMA {next} RENAME TO {read}");
    sqlx::raw_sql(AssertSqlSafe(rename)).execute(&mut *transaction).await?;
    sqlx::query!("DELETE FROM projections WHERE name = $1", build.projection)
        .execute(&mut *transaction)
        .await?;
    let from = positions.iter().map(|position| signed(*position)).collect::<Result<Vec<_>, _>>()?;
    let renamed = sqlx::query!(
        "UPDATE projections SET name = $1, replaces = NULL, live_since = $3, live_from = $4 WHERE name = $2",
        build.projection,
        build.schema,
        database_time(now)?,
        &from,
    );
    renamed.execute(transaction).await?;
    Ok(())
}

/// Drops marked schemas that are not in the book: those that were read before a switch. Returns false if another host
/// does it at the moment. A query that still reads one may be in the way; it is not waited for.
pub(super) async fn sweep(pool: &PgPool) -> Result<bool, sqlx::Error> {
    let mut transaction = pool.begin().await?;
    let lock = "SELECT pg_try_advisory_xact_lock(hashtext('clearfold sweep'))";
    if !sqlx::query_scalar(lock).fetch_one(&mut *transaction).await? {
        return Ok(false);
    }
    sqlx::raw_sql("SET LOCAL lock_timeout = '200ms'").execute(&mut *transaction).await?;
    let left = sqlx::query_scalar!(
        r#"SELECT nspname AS "schema!" FROM pg_namespace
           WHERE (nspname LIKE 'old %' OR nspname LIKE 'next %')
             AND obj_description(oid, 'pg_namespace') = $1
             AND NOT EXISTS (SELECT FROM projections WHERE name = nspname)"#,
        MARK
    );
    for schema in left.fetch_all(&mut *transaction).await? {
        let drop = format!("DROP SCHEMA IF EXISTS {} CASCADE", quoted(&schema));
        sqlx::raw_sql(AssertSqlSafe(drop)).execute(&mut *transaction).await?;
        tracing::info!(schema, "dropped tables that are not read any more");
    }
    transaction.commit().await?;
    Ok(true)
}

fn digest(bytes: Vec<u8>) -> Result<Digest, DatabaseError> {
    let bytes = <[u8; 32]>::try_from(bytes);
    bytes.map(Digest).map_err(|_| DatabaseError::Corrupt("a digest that is not of 32 bytes".to_owned()))
}
