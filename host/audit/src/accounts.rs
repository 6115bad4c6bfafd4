//! Audits accounts one by one: reads an account's events, compares their ids, and passes them to the auditors.
//!
//! An account goes into the sandbox as a whole, as far as the auditors read it, so there is a size beyond which it does
//! not fit. Such an account is reported as not audited; none is left out silently.

use std::sync::Arc;

use clearfold_kernel::Timestamp;

use super::findings::Findings;
use super::invariants::EVENT_IDS_UNIQUE;
use super::{AuditError, CheckProgress, OnCheckProgress, Scope};
use clearfold_base::blocking::blocking;
use clearfold_base::database::{partition_key, partition_number, unsigned};
use clearfold_base::telemetry::with_causes;
use clearfold_sandbox::{AuditedEvent, Auditor, Fault};
use clearfold_store::{EventStore, StoredEvent, event_id};

/// Streams that no auditor reads, and whose events are looked at together.
const UNREAD_STREAMS: usize = 200;
/// Largest number of events of one account that are audited. With their payloads they take a fraction of the memory and
/// the instructions that the sandbox gives a call (`runtime/limits.rs`).
const MAX_EVENTS: u64 = 10_000;
/// Largest size of their payloads together, in bytes.
const MAX_PAYLOAD_BYTES: usize = 8 << 20;

/// The auditors, and the time of the check.
pub(super) struct Auditing<'a> {
    pub auditors: &'a [Arc<Auditor>],
    pub checked_at: Timestamp,
}

/// Numbers of audited accounts and events.
pub(super) struct Audited {
    pub accounts: u64,
    pub events: u64,
}

/// An account, with its streams in one partition.
struct AccountStreams {
    id: String,
    partition: u32,
    /// Streams that an auditor reads.
    read: Vec<String>,
    /// Number of events by the heads of those.
    events: u64,
    /// The others.
    unread: Vec<String>,
}

/// Audits the accounts of these partitions, each up to the partition's head.
pub(super) async fn check(
    store: &EventStore,
    auditing: &Auditing<'_>,
    extent: &[(u32, u64)],
    scope: &Scope,
    findings: &mut Findings,
    on_progress: OnCheckProgress<'_>,
) -> Result<Audited, AuditError> {
    // It saturates: a figure that is shown as progress and decides nothing.
    let total = extent.iter().fold(0, |sum: u64, (_, head)| sum.saturating_add(*head));
    let mut audited = Audited { accounts: 0, events: 0 };
    for (partition, head) in extent.iter().copied() {
        for account in in_partition(store, partition, scope, auditing.auditors).await? {
            on_progress(&CheckProgress { at: "events of accounts", done: audited.events, total });
            audited.events += look_at_unread(store, head, &account, findings).await?;
            let Some(events) = audit(store, auditing, head, &account, findings).await? else { continue };
            // Events that were read one by one are fewer than 2^64, and no account is without any.
            audited.accounts += 1;
            audited.events += events;
        }
    }
    Ok(audited)
}

/// Finds the partitions that have streams of an account: one, if the log is sound.
pub(super) async fn partitions_of(store: &EventStore, account: &str) -> Result<Vec<u32>, AuditError> {
    let partitions = sqlx::query_scalar!(
        "SELECT DISTINCT partition FROM streams WHERE routing_key = $1 ORDER BY partition",
        account
    );
    let partitions = partitions.fetch_all(store.pool()).await?;
    if partitions.is_empty() {
        return Err(AuditError::UnknownAccount(account.to_owned()));
    }
    Ok(partitions.into_iter().map(partition_number).collect::<Result<_, _>>()?)
}

/// Finds the accounts of a partition, or the one in the scope if it is there.
async fn in_partition(
    store: &EventStore,
    partition: u32,
    scope: &Scope,
    auditors: &[Arc<Auditor>],
) -> Result<Vec<AccountStreams>, AuditError> {
    let only = match scope {
        Scope::Everything => None,
        Scope::Account(account) => Some(account.as_str()),
    };
    let accounts = sqlx::query!(
        r#"SELECT routing_key, array_agg(stream ORDER BY stream) AS "streams!",
                  array_agg(version ORDER BY stream) AS "versions!"
           FROM streams
           WHERE partition = $1 AND ($2::text IS NULL OR routing_key = $2)
           GROUP BY routing_key ORDER BY routing_key"#,
        partition_key(partition)?,
        only,
    );
    let is_read = |stream: &str| auditors.iter().any(|auditor| auditor.reads(stream));
    let accounts = accounts.fetch_all(store.pool()).await?.into_iter().map(|row| {
        let (mut read, mut unread, mut events) = (Vec::new(), Vec::new(), 0_u64);
        for (stream, version) in row.streams.into_iter().zip(row.versions) {
            if is_read(&stream) {
                // It saturates far beyond what is audited.
                events = events.saturating_add(unsigned(version)?);
                read.push(stream);
            } else {
                unread.push(stream);
            }
        }
        Ok(AccountStreams { id: row.routing_key, partition, read, events, unread })
    });
    accounts.collect()
}

/// Compares the ids of the events that no auditor reads. Returns their number.
async fn look_at_unread(
    store: &EventStore,
    head: u64,
    account: &AccountStreams,
    findings: &mut Findings,
) -> Result<u64, AuditError> {
    let mut count = 0;
    for streams in account.unread.chunks(UNREAD_STREAMS) {
        let events = store.streams(account.partition, streams).await?;
        let events = events.iter().filter(|event| event.position <= head);
        count += events.inspect(|event| compare_id(event, findings)).count() as u64;
    }
    Ok(count)
}

/// Audits an account up to its partition's head. Returns the number of its events; `None` if it was not audited.
async fn audit(
    store: &EventStore,
    auditing: &Auditing<'_>,
    head: u64,
    account: &AccountStreams,
    findings: &mut Findings,
) -> Result<Option<u64>, AuditError> {
    let subject = format!("account {}", account.id);
    if account.events > MAX_EVENTS {
        findings.not_audited(subject, too_large(&format!("{} events", account.events)));
        return Ok(None);
    }
    let mut events = store.streams(account.partition, &account.read).await?;
    events.retain(|event| event.position <= head);
    events.sort_by_key(|event| event.position);
    // Payloads that are all in memory have no more bytes than a `usize` counts.
    let bytes: usize = events.iter().map(|event| event.payload.len()).sum();
    if bytes > MAX_PAYLOAD_BYTES {
        findings.not_audited(subject, too_large(&format!("{bytes} bytes of payloads")));
        return Ok(None);
    }
    events.iter().for_each(|event| compare_id(event, findings));
    let mut complete = true;
    for auditor in auditing.auditors {
        let read = events.iter().filter(|event| auditor.reads(&event.stream));
        let wire: Arc<[AuditedEvent]> = read.map(wire_event).collect();
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

/// Calls a component on a thread that may block.
async fn by(
    auditor: &Arc<Auditor>,
    checked_at: Timestamp,
    account: &str,
    events: &Arc<[AuditedEvent]>,
) -> Result<Result<Vec<clearfold_sandbox::Violation>, Fault>, AuditError> {
    let (auditor, account, events) = (Arc::clone(auditor), account.to_owned(), Arc::clone(events));
    Ok(blocking(move || auditor.audit(&account, checked_at, &events)).await?)
}

fn too_large(what: &str) -> String {
    format!("it has {what}, and {MAX_EVENTS} events or {MAX_PAYLOAD_BYTES} bytes are audited at the most")
}

fn compare_id(event: &StoredEvent, findings: &mut Findings) {
    if let Some(detail) = wrong_id(event) {
        findings.violation(EVENT_IDS_UNIQUE, detail, vec![event.stream.clone()]);
    }
}

/// Compares an event's id with the one of its place. Returns the difference, if there is one.
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
