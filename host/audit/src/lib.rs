//! The audit: recomputes the invariants from the log and the read store, and reports those that do not hold.
//!
//! It checks three things: the log by itself ([`log`]), each account's events by the auditor components ([`accounts`]),
//! and the read store against the log ([`read_store`]). It never writes, never repairs, and never looks inside a
//! payload. It reads in pages on connections of its own and holds no transaction open on the log: events at or below
//! the heads never change, so the heads are its snapshot.

mod accounts;
mod findings;
mod invariants;
mod log;
mod read_store;
mod report;

pub use invariants::READ_STORE_FOLLOWS_LOG;
pub use report::{InvariantReport, LogExtent, NotAudited, PartitionHead, Report, ViolationReport};

use std::collections::BTreeSet;
use std::sync::Arc;

use sqlx::PgPool;
use tokio::sync::{Mutex, watch};

use self::findings::Findings;
use clearfold_base::blocking::Panicked;
use clearfold_base::clock::Clock;
use clearfold_base::database::DatabaseError;
use clearfold_sandbox::Auditor;
use clearfold_store::{EventStore, StoreError};
use clearfold_views::projection::{LiveProjector, ProjectionError};

/// Checks the invariants; one check at a time.
pub struct Audit {
    store: EventStore,
    read_pool: PgPool,
    projectors: Vec<LiveProjector>,
    auditors: watch::Receiver<Vec<Arc<Auditor>>>,
    clock: Clock,
    one_at_a_time: Mutex<()>,
}

/// Extent of a check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    Everything,
    /// The streams of one account, without the invariants of the whole log and of the read store.
    Account(String),
}

/// Progress of a check: the part that it is at, and how much of it is done.
pub struct CheckProgress<'a> {
    pub at: &'a str,
    pub done: u64,
    pub total: u64,
}

/// Callback for the progress of a check.
pub type OnCheckProgress<'a> = &'a (dyn Fn(&CheckProgress<'_>) + Sync);

/// The invariants could not be checked.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    #[error("a check is running; one at a time is made, so ask again when it is done")]
    Running,
    #[error("the log has no stream of the account {0}; correct it, or leave it out to check all")]
    UnknownAccount(String),
    #[error("two auditors of the manifest, or one and the host, have an invariant `{0}`; rename one of them")]
    CodeTwice(String),
    #[error("the log could not be read")]
    Log(#[from] StoreError),
    #[error("the read store could not be read")]
    ReadStore(#[source] ProjectionError),
    #[error("the auditor did not end")]
    Panicked(#[from] Panicked),
}

impl From<sqlx::Error> for AuditError {
    fn from(error: sqlx::Error) -> Self {
        Self::Log(error.into())
    }
}

impl From<DatabaseError> for AuditError {
    fn from(error: DatabaseError) -> Self {
        Self::Log(error.into())
    }
}

impl Audit {
    /// Makes an audit by these components. A projection is checked with the component that is live at the time of the
    /// check. The pools should be its own, so that it takes no connection from others.
    pub fn new(
        store: EventStore,
        read_pool: PgPool,
        projectors: Vec<LiveProjector>,
        auditors: watch::Receiver<Vec<Arc<Auditor>>>,
        clock: Clock,
    ) -> Result<Self, AuditError> {
        distinct_codes(&auditors.borrow())?;
        Ok(Self { store, read_pool, projectors, auditors, clock, one_at_a_time: Mutex::new(()) })
    }

    /// Checks everything, or one account. Fails if another check is running.
    pub async fn check(&self, scope: &Scope, on_progress: OnCheckProgress<'_>) -> Result<Report, AuditError> {
        let Ok(_only) = self.one_at_a_time.try_lock() else { return Err(AuditError::Running) };
        let checked_at = self.clock.now();
        let auditors = self.auditors.borrow().clone();
        distinct_codes(&auditors)?;
        let heads = self.store.heads().await?;
        let all = (0..).zip(heads.iter().copied());
        let extent: Vec<(u32, u64)> = match scope {
            Scope::Everything => all.collect(),
            Scope::Account(account) => {
                let partitions = accounts::partitions_of(&self.store, account).await?;
                all.filter(|(partition, _)| partitions.contains(partition)).collect()
            }
        };
        let mut findings = Findings::new(scope, &auditors);
        log::check(&self.store, &extent, scope, &mut findings, on_progress).await?;
        let auditing = accounts::Auditing { auditors: &auditors, checked_at };
        let audited =
            accounts::check(&self.store, &auditing, &extent, scope, &mut findings, on_progress).await?;
        if *scope == Scope::Everything {
            for projector in &self.projectors {
                read_store::check(&self.store, &self.read_pool, projector, &mut findings, on_progress)
                    .await?;
            }
        }
        Ok(findings.into_report(checked_at, scope, &heads, &audited))
    }
}

fn distinct_codes(auditors: &[Arc<Auditor>]) -> Result<(), AuditError> {
    let mut codes: BTreeSet<&str> = invariants::OWN.iter().map(|invariant| invariant.code).collect();
    let described = auditors.iter().flat_map(|auditor| &auditor.descriptor().invariants);
    for invariant in described {
        if !codes.insert(&invariant.code) {
            return Err(AuditError::CodeTwice(invariant.code.clone()));
        }
    }
    Ok(())
}
