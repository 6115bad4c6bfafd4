//! Accounts, each by itself: its events are read, their ids compared, and the rest is the auditors' say.
//!
//! An account goes into the sandbox whole, so there is a size beyond which it does not fit. Such an account is
//! named as not audited; none is passed over.

use std::sync::Arc;

use clearfold_kernel::Timestamp;

use super::findings::Findings;
use super::invariants::EVENT_IDS_UNIQUE;
use super::{AuditError, OnProgress, Progress, Scope};
use clearfold_base::database::{partition_key, unsigned};
use clearfold_base::telemetry::with_causes;
use clearfold_sandbox::{AuditedEvent, Auditor, Fault};
use clearfold_store::{EventStore, StoredEvent, event_id};

/// Events of one account that are audited at the most. With their payloads they take a fraction of the memory and
/// the instructions that the sandbox gives a call (`runtime/limits.rs`).
const MAX_EVENTS: u64 = 10_000;
/// Their payloads together.
const MAX_PAYLOAD_BYTES: usize = 8 << 20;

/// Who audits, and the time of the check.
pub(super) struct Auditing<'a> {
    pub auditors: &'a [Arc<Auditor>],
    pub checked_at: Timestamp,
}

/// How much was audited.
pub(super) struct Audited {
    pub accounts: u64,
    pub events: u64,
}

/// An account, with its streams in one partition.
struct Account {
    id: String,
    partition: u32,
    streams: Vec<String>,
    /// As its streams' heads say.
    events: u64,
}

/// Audits the accounts of these partitions, each up to the partition's head.
pub(super) async fn check(
    store: &EventStore,
    auditing: &Auditing<'_>,
    extent: &[(u32, u64)],
    scope: &Scope,
    findings: &mut Findings,
    on_progress: OnProgress<'_>,
) -> Result<Audited, AuditError> {
    let total = extent.iter().fold(0, |sum: u64, (_, head)| sum.saturating_add(*head));
    let mut audited = Audited { accounts: 0, events: 0 };
    for (partition, head) in extent.iter().copied() {
        for account in in_partition(store, partition, scope).await? {
            on_progress(&Progress { at: "events of accounts", done: audited.events, total });
            let Some(events) = audit(store, auditing, head, &account, findings).await? else { continue };
            audited.accounts = audited.accounts.saturating_add(1);
            audited.events = audited.events.saturating_add(events);
        }
    }
    Ok(audited)
}

/// The partitions that have streams of an account: one, if all is well.
pub(super) async fn partitions_of(store: &EventStore, account: &str) -> Result<Vec<u32>, AuditError> {
    let partitions = sqlx::query_scalar!(
        "SELECT DISTINCT partition FROM streams WHERE routing_key = $1 ORDER BY partition",
        account
    );
    let partitions = partitions.fetch_all(store.pool()).await?;
    if partitions.is_empty() {
        return Err(AuditError::UnknownAccount(account.to_owned()));
    }
    Ok(partitions.into_iter().map(i32::unsigned_abs).collect())
}

/// The accounts of a partition, or the one that is asked for if it is there.
async fn in_partition(store: &EventStore, partition: u32, scope: &Scope) -> Result<Vec<Account>, AuditError> {
    let only = match scope {
        Scope::Everything => None,
        Scope::Account(account) => Some(account.as_str()),
    };
    let accounts = sqlx::query!(
        r#"SELECT routing_key, array_agg(stream ORDER BY stream) AS "streams!", sum(version)::bigint AS "events!"
           FROM streams
           WHERE partition = $1 AND ($2::text IS NULL OR routing_key = $2)
           GROUP BY routing_key ORDER BY routing_key"#,
        partition_key(partition)?,
        only,
    );
    let accounts = accounts.fetch_all(store.pool()).await?.into_iter().map(|row| {
        let events = unsigned(row.events)?;
        Ok(Account { id: row.routing_key, partition, streams: row.streams, events })
    });
    accounts.collect()
}

/// Audits an account up to its partition's head, and gives the number of its events; None: it was left out.
async fn audit(
    store: &EventStore,
    auditing: &Auditing<'_>,
    head: u64,
    account: &Account,
    findings: &mut Findings,
) -> Result<Option<u64>, AuditError> {
    let subject = format!("account {}", account.id);
    if account.events > MAX_EVENTS {
        findings.not_audited(subject, too_large(&format!("{} events", account.events)));
        return Ok(None);
    }
    let mut events = store.streams(account.partition, &account.streams).await?;
    events.retain(|event| event.position <= head);
    events.sort_by_key(|event| event.position);
    let bytes = events.iter().fold(0, |sum: usize, event| sum.saturating_add(event.payload.len()));
    if bytes > MAX_PAYLOAD_BYTES {
        findings.not_audited(subject, too_large(&format!("{bytes} bytes of payloads")));
        return Ok(None);
    }
    for event in &events {
        if let Some(detail) = wrong_id(event) {
            findings.violation(EVENT_IDS_UNIQUE, detail, vec![event.stream.clone()]);
        }
    }
    let wire: Arc<[AuditedEvent]> = events.iter().map(wire_event).collect();
    let mut complete = true;
    for auditor in auditing.auditors {
        match by(auditor, auditing.checked_at, &account.id, &wire).await? {
            Ok(found) => {
                for violation in found {
                    findings.violation(&violation.invariant, violation.detail, violation.streams);
                }
            }
            Err(fault) => {
                complete = false;
                findings.not_audited(subject.clone(), with_causes(&fault));
            }
        }
    }
    Ok(complete.then_some(events.len() as u64))
}

/// Calls a component where it may be busy.
async fn by(
    auditor: &Arc<Auditor>,
    checked_at: Timestamp,
    account: &str,
    events: &Arc<[AuditedEvent]>,
) -> Result<Result<Vec<clearfold_sandbox::Violation>, Fault>, AuditError> {
    let (auditor, account, events) = (Arc::clone(auditor), account.to_owned(), Arc::clone(events));
    Ok(tokio::task::spawn_blocking(move || auditor.audit(&account, checked_at, &events)).await?)
}

fn too_large(what: &str) -> String {
    format!("it has {what}, and {MAX_EVENTS} events or {MAX_PAYLOAD_BYTES} bytes are audited at the most")
}

/// What is wrong with an event's id.
fn wrong_id(event: &StoredEvent) -> Option<String> {
    let right = event_id(&event.stream, event.stream_version);
    (event.event_id != right).then(|| {
        format!(
            "event {} of {} has the id {}, and {right} is the one of its place",
            event.stream_version, event.stream, event.event_id
        )
    })
}

fn wire_event(event: &StoredEvent) -> AuditedEvent {
    AuditedEvent {
        partition: event.partition,
        position: event.position,
        stream: event.stream.clone(),
        stream_version: event.stream_version,
        event_id: event.event_id.to_string(),
        correlation_id: event.correlation_id.to_string(),
        type_: event.kind.clone(),
        schema_version: event.schema_version,
        recorded_at_ms: event.recorded_at.as_ms(),
        payload: event.payload.clone(),
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use clearfold_base::digest::Digest;
    use clearfold_store::EventHash;

    #[test]
    fn an_id_that_is_not_of_its_place_is_named() {
        let mut event = StoredEvent {
            partition: 0,
            position: 1,
            stream: "s-1".into(),
            stream_version: 3,
            kind: "Happened".into(),
            schema_version: 1,
            payload: Vec::new(),
            event_id: event_id("s-1", 3),
            correlation_id: Uuid::nil(),
            causation_id: Uuid::nil(),
            actor: "test".into(),
            component_digest: Digest([0; 32]),
            recorded_at: Timestamp::from_s(1).unwrap(),
            hash: EventHash::BEFORE_ALL,
        };
        assert_eq!(wrong_id(&event), None);
        event.event_id = event_id("s-1", 4);
        assert!(wrong_id(&event).is_some_and(|detail| detail.starts_with("event 3 of s-1 has the id ")));
    }
}
