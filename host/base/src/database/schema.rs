//! Schemas of the two databases: applied by `clearfold migrate`, checked by everything else at start.
//!
//! Tables are changed by migrations, which are applied once and in order. The functions of the write path stand whole
//! in one file, which is applied after the migrations whenever the database has another one.

use std::time::Duration;

use sqlx::migrate::{Migrate, Migrator};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{Connection, PgConnection, PgPool};

use super::{DatabaseError, with_time_out};
use crate::digest::Digest;

static WRITE: Migrator = sqlx::migrate!("../../migrations/write");
static READ: Migrator = sqlx::migrate!("../../migrations/read");

/// File of definitions, applied again whenever it has changed.
struct Definitions {
    name: &'static str,
    sql: &'static str,
}

/// Settings of connections with few statements, each of which finds its rows by an index. Planning one anew costs more
/// than running it, and a plan that was made while a table was empty must be as good when it is full.
const BY_INDEX: [(&str, &str); 2] = [("plan_cache_mode", "force_generic_plan"), ("enable_seqscan", "off")];

static WRITE_PATH: Definitions = Definitions {
    name: "write_path.sql",
    sql: include_str!("../../../../migrations/write/functions/write_path.sql"),
};

/// One of the two databases.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Store {
    Write,
    Read,
}

impl Store {
    /// Environment variable that holds its URL.
    #[must_use]
    pub const fn variable(self) -> &'static str {
        match self {
            Self::Write => "DATABASE_URL",
            Self::Read => "READ_DATABASE_URL",
        }
    }

    fn migrator(self) -> &'static Migrator {
        match self {
            Self::Write => &WRITE,
            Self::Read => &READ,
        }
    }

    /// Definitions that belong to the schema beside the migrations.
    fn definitions(self) -> Option<&'static Definitions> {
        match self {
            Self::Write => Some(&WRITE_PATH),
            Self::Read => None,
        }
    }
}

impl Definitions {
    fn digest(&self) -> Digest {
        Digest::of(self.sql.as_bytes())
    }
}

/// Schema of a database compared with this program's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SchemaState {
    Current { version: i64 },
    Behind { version: i64, newest: i64 },
    Newer { version: i64, newest: i64 },
}

/// Reason why a database cannot be used. Each message ends with the remedy.
#[derive(Debug, thiserror::Error)]
pub enum SchemaError {
    #[error("{variable} is not a PostgreSQL URL: {why}; write it like postgres://user:password@host:5432/database", variable = .store.variable())]
    Url { store: Store, why: String },
    #[error("the database of {variable} ({place}) cannot be reached: {why}; start it, or correct the URL", variable = .store.variable())]
    Unreachable { store: Store, place: String, why: String },
    #[error("the database of {variable} is the other store's ({other}); give each a database of its own", variable = .store.variable(), other = .other.variable())]
    Purpose { store: Store, other: Store },
    #[error("the database of {variable} has schema version {version}, and this program knows up to {newest}: it was made by a newer clearfold; run that one, or give another database", variable = .store.variable())]
    Newer { store: Store, version: i64, newest: i64 },
    #[error("the database of {variable} has schema version {version} and needs {newest}; run `clearfold migrate`", variable = .store.variable())]
    Behind { store: Store, version: i64, newest: i64 },
    #[error("the database of {variable} has other definitions of {name} than this program; run `clearfold migrate` of the program that is to run", variable = .store.variable())]
    Definitions { store: Store, name: &'static str },
    #[error("the database of {variable} could not be migrated: {why}; nothing was changed by the failed step", variable = .store.variable())]
    Migration { store: Store, why: String },
    #[error(
        "the log has {existing} partitions, for ever, not {wanted}; leave --partitions out, or begin with an empty database"
    )]
    PartitionCount { existing: u32, wanted: u32 },
    #[error("the database of {variable} did not answer", variable = .store.variable())]
    Database {
        store: Store,
        #[source]
        cause: sqlx::Error,
    },
}

/// Result of `migrate`.
#[derive(Debug, Clone, Copy)]
pub struct MigrateReport {
    pub write_version: i64,
    pub read_version: i64,
    pub partition_count: u32,
}

/// Connects for the host's work: no statement, lock or forgotten transaction may hold up the others for long.
pub async fn connect(store: Store, url: &str, connections: u32) -> Result<PgPool, SchemaError> {
    let limits = [
        ("lock_timeout", "5s"),
        ("statement_timeout", "30s"),
        ("idle_in_transaction_session_timeout", "10s"),
        // Statements are small: compiling one costs more than running it.
        ("jit", "off"),
    ];
    let options = options(store, url)?.options(limits);
    let options = if store == Store::Write { options.options(BY_INDEX) } else { options };
    pool(store, options, connections).await
}

/// Connects beside a pool of the read store, for the batches of one projection. A commit does not wait for the flush to
/// disk: rows and checkpoint are lost together if the server crashes, and made again.
pub async fn connect_to_project(pool: &PgPool) -> Result<PgConnection, DatabaseError> {
    let nested_loops = [("enable_hashjoin", "off"), ("enable_mergejoin", "off"), ("enable_material", "off")];
    let options = (*pool.connect_options()).clone().options(BY_INDEX).options(nested_loops);
    let options = options.options([("synchronous_commit", "off")]);
    with_time_out(async { Ok(PgConnection::connect_with(&options).await?) }).await
}

/// Connects for a change of the schema, which may take its time.
pub async fn connect_to_migrate(store: Store, url: &str) -> Result<PgPool, SchemaError> {
    pool(store, options(store, url)?, 1).await
}

/// Connects for reading a whole store, which may take its time.
pub async fn connect_to_read_all(store: Store, url: &str, connections: u32) -> Result<PgPool, SchemaError> {
    pool(store, options(store, url)?, connections).await
}

fn options(store: Store, url: &str) -> Result<PgConnectOptions, SchemaError> {
    let invalid = |why: String| SchemaError::Url { store, why };
    if !["postgres://", "postgresql://"].iter().any(|scheme| url.starts_with(scheme)) {
        return Err(invalid("it does not begin with postgres://".to_owned()));
    }
    let options: PgConnectOptions = url.parse().map_err(|error: sqlx::Error| invalid(error.to_string()))?;
    Ok(options.application_name("clearfold"))
}

async fn pool(store: Store, options: PgConnectOptions, connections: u32) -> Result<PgPool, SchemaError> {
    const CONNECT_MS: u64 = 5_000;
    let place = format!(
        "{}:{}/{}",
        options.get_host(),
        options.get_port(),
        options.get_database().unwrap_or_default()
    );
    // A single connection reports why it failed; a pool only reports that it timed out.
    let patience = Duration::from_millis(CONNECT_MS);
    let first = tokio::time::timeout(patience, PgConnection::connect_with(&options)).await;
    let why = match first {
        Ok(Ok(connection)) => {
            // It only tested that the database can be reached.
            let _ = connection.close().await;
            let pool = PgPoolOptions::new().max_connections(connections).acquire_timeout(patience);
            return Ok(pool.connect_lazy_with(options));
        }
        Ok(Err(error)) => crate::telemetry::with_causes(&error),
        Err(_) => format!("no answer within {CONNECT_MS} ms"),
    };
    Err(SchemaError::Unreachable { store, place, why })
}

/// Refuses one database for both stores, or the two the wrong way round, before anything is changed in it.
async fn check_purpose(store: Store, pool: &PgPool) -> Result<(), SchemaError> {
    let (other, table) = match store {
        Store::Write => (Store::Read, "projection_checkpoints"),
        Store::Read => (Store::Write, "chain_cursor"),
    };
    let failed = |cause| SchemaError::Database { store, cause };
    let found = sqlx::query_scalar("SELECT to_regclass($1) IS NOT NULL").bind(table).fetch_one(pool).await;
    if found.map_err(failed)? { Err(SchemaError::Purpose { store, other }) } else { Ok(()) }
}

/// Refuses a database whose schema is not this program's.
pub async fn check_schema(store: Store, pool: &PgPool) -> Result<(), SchemaError> {
    check_purpose(store, pool).await?;
    match schema_state(store, pool).await? {
        SchemaState::Current { .. } => check_definitions(store, pool).await,
        SchemaState::Behind { version, newest } => Err(SchemaError::Behind { store, version, newest }),
        SchemaState::Newer { version, newest } => Err(SchemaError::Newer { store, version, newest }),
    }
}

/// Refuses a database of this schema version whose definitions are another program's.
async fn check_definitions(store: Store, pool: &PgPool) -> Result<(), SchemaError> {
    let Some(definitions) = store.definitions() else { return Ok(()) };
    let failed = |cause| SchemaError::Database { store, cause };
    let mut connection = pool.acquire().await.map_err(failed)?;
    if is_applied(definitions, &mut connection).await.map_err(failed)? {
        Ok(())
    } else {
        Err(SchemaError::Definitions { store, name: definitions.name })
    }
}

/// Brings both databases to this program's schema and lays out the log if it is new.
pub async fn migrate(
    write: &PgPool,
    read: &PgPool,
    partitions: Option<u32>,
) -> Result<MigrateReport, SchemaError> {
    let place = |pool: &PgPool| {
        let options = pool.connect_options();
        (options.get_host().to_owned(), options.get_port(), options.get_database().map(str::to_owned))
    };
    if place(write) == place(read) {
        return Err(SchemaError::Purpose { store: Store::Read, other: Store::Write });
    }
    check_purpose(Store::Write, write).await?;
    check_purpose(Store::Read, read).await?;
    let write_version = apply(Store::Write, write).await?;
    let partition_count = lay_out(write, partitions).await?;
    let read_version = apply(Store::Read, read).await?;
    Ok(MigrateReport { write_version, read_version, partition_count })
}

async fn apply(store: Store, pool: &PgPool) -> Result<i64, SchemaError> {
    if let SchemaState::Newer { version, newest } = schema_state(store, pool).await? {
        return Err(SchemaError::Newer { store, version, newest });
    }
    let mut connection = pool.acquire().await.map_err(|cause| SchemaError::Database { store, cause })?;
    if let Err(why) = apply_alone(store, &mut connection).await {
        // The lock belongs to the session and ends with it.
        drop(connection.detach());
        return Err(SchemaError::Migration { store, why });
    }
    Ok(newest(store))
}

/// Applies migrations and definitions under the migrator's lock. The migrator takes the lock once more by itself, which
/// a session may.
async fn apply_alone(store: Store, connection: &mut PgConnection) -> Result<(), String> {
    connection.lock().await.map_err(|error| crate::telemetry::with_causes(&error))?;
    store.migrator().run(&mut *connection).await.map_err(|error| error.to_string())?;
    if let Some(definitions) = store.definitions() {
        define(definitions, connection).await.map_err(|error| crate::telemetry::with_causes(&error))?;
    }
    connection.unlock().await.map_err(|error| crate::telemetry::with_causes(&error))
}

/// Applies definitions unless the database has these already: connections of running hosts know its types by their
/// numbers.
async fn define(definitions: &Definitions, connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    if is_applied(definitions, connection).await? {
        return Ok(());
    }
    let mut transaction = connection.begin().await?;
    sqlx::raw_sql(definitions.sql).execute(&mut *transaction).await?;
    let digest = definitions.digest();
    let record = sqlx::query!(
        "INSERT INTO definitions (name, digest) VALUES ($1, $2)
         ON CONFLICT (name) DO UPDATE SET digest = excluded.digest, applied_at = clock_timestamp()",
        definitions.name,
        &digest.0[..],
    );
    record.execute(&mut *transaction).await?;
    transaction.commit().await
}

async fn is_applied(definitions: &Definitions, connection: &mut PgConnection) -> Result<bool, sqlx::Error> {
    let applied = sqlx::query_scalar!("SELECT digest FROM definitions WHERE name = $1", definitions.name);
    let applied = applied.fetch_optional(connection).await?;
    Ok(applied.is_some_and(|digest| digest == definitions.digest().0))
}

async fn lay_out(pool: &PgPool, wanted: Option<u32>) -> Result<u32, SchemaError> {
    const DEFAULT_PARTITIONS: u32 = 8;
    let failed = |cause| SchemaError::Database { store: Store::Write, cause };
    if count_partitions(pool).await? == 0 {
        let number = i32::try_from(wanted.unwrap_or(DEFAULT_PARTITIONS)).unwrap_or(i32::MAX);
        sqlx::query!("SELECT create_partitions($1)", number).execute(pool).await.map_err(failed)?;
    }
    // Counted after the call, because another process that came first at the same moment decides the number.
    let existing = count_partitions(pool).await?;
    match wanted {
        Some(wanted) if wanted != existing => Err(SchemaError::PartitionCount { existing, wanted }),
        _ => Ok(existing),
    }
}

async fn count_partitions(pool: &PgPool) -> Result<u32, SchemaError> {
    let failed = |cause| SchemaError::Database { store: Store::Write, cause };
    let existing = sqlx::query_scalar!(r#"SELECT count(*) AS "count!" FROM partitions"#);
    // Partitions are numbered with 31 bits.
    Ok(u32::try_from(existing.fetch_one(pool).await.map_err(failed)?).unwrap_or(u32::MAX))
}

/// Compares a database's schema with this program's.
async fn schema_state(store: Store, pool: &PgPool) -> Result<SchemaState, SchemaError> {
    let failed = |cause| SchemaError::Database { store, cause };
    // The table is sqlx's own and may not exist yet, so this one query cannot be checked at compile time.
    let exists = "SELECT to_regclass('_sqlx_migrations') IS NOT NULL";
    let exists: bool = sqlx::query_scalar(exists).fetch_one(pool).await.map_err(failed)?;
    let version: i64 = if exists {
        let newest = "SELECT COALESCE(max(version), 0) FROM _sqlx_migrations WHERE success";
        sqlx::query_scalar(newest).fetch_one(pool).await.map_err(failed)?
    } else {
        0
    };
    let newest = newest(store);
    Ok(match version.cmp(&newest) {
        std::cmp::Ordering::Less => SchemaState::Behind { version, newest },
        std::cmp::Ordering::Equal => SchemaState::Current { version },
        std::cmp::Ordering::Greater => SchemaState::Newer { version, newest },
    })
}

fn newest(store: Store) -> i64 {
    store.migrator().iter().map(|migration| migration.version).max().unwrap_or(0)
}
