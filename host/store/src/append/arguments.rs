//! Arguments of the SQL function `append_batch`: composite types that borrow from what is appended.
//!
//! `functions/write_path.sql` declares the same types. Postgres checks the number and the types of the attributes at
//! each call; their names and order are compared by a test, because two attributes of one type could change places
//! unnoticed.
//! A connection looks the types up once, at its first append.

use sqlx::postgres::types::PgInterval;
use sqlx::postgres::{PgHasArrayType, PgTypeInfo};
use sqlx::types::Json;
use sqlx::{Postgres, Type};
use time::OffsetDateTime;
use uuid::Uuid;

use super::{DueTimer, NewEffect, PendingEffect, RecordedCommand, RecordedOutcome, Snapshot, StreamMove};
use crate::lease::interval;
use crate::{Head, Lease, StoreError, StoredEvent};
use clearfold_base::database::{DatabaseError, database_time, partition_key, signed};

/// Declares a composite type once: the struct, its encoding, and the names that the test compares.
macro_rules! composite {
    ($(#[$doc:meta])* $name:ident = $sql_name:literal { $($field:ident: $type:ty,)+ }) => {
        $(#[$doc])*
        #[derive(sqlx::Encode)]
        pub(super) struct $name<'a> {
            $($field: $type,)+
        }

        #[cfg(test)]
        impl $name<'_> {
            const DECLARED: (&'static str, &'static [&'static str]) = ($sql_name, &[$(stringify!($field)),+]);
        }

        impl Type<Postgres> for $name<'_> {
            fn type_info() -> PgTypeInfo {
                PgTypeInfo::with_name($sql_name)
            }
        }

        impl PgHasArrayType for $name<'_> {
            fn array_type_info() -> PgTypeInfo {
                PgTypeInfo::array_of($sql_name)
            }
        }
    };
}

composite! {
    /// Lease under which the batch is appended.
    LeaseArgument = "append_lease" {
        partition: i32,
        owner: &'a str,
        epoch: i64,
        duration: PgInterval,
    }
}

composite! {
    /// End of the partition on which the batch builds.
    HeadArgument = "append_head" {
        position: i64,
        hash: &'a [u8],
        sequence: i64,
    }
}

composite! {
    /// Move of a stream.
    StreamArgument = "append_stream" {
        stream: &'a str,
        routing_key: &'a str,
        from_version: i64,
        to_version: i64,
    }
}

composite! {
    /// Event, whose position follows from its place in the array.
    EventArgument = "append_event" {
        stream: &'a str,
        stream_version: i64,
        r#type: &'a str,
        schema_version: i32,
        payload: &'a [u8],
        event_id: Uuid,
        correlation_id: Uuid,
        causation_id: Uuid,
        actor: &'a str,
        component_digest: &'a [u8],
        hash: &'a [u8],
    }
}

composite! {
    /// Decided command, whose sequence follows from its place in the array.
    CommandArgument = "append_command" {
        idempotency_key: &'a str,
        body_digest: Option<&'a [u8]>,
        answer: Option<Json<&'a serde_json::Value>>,
        stream: &'a str,
        routing_key: &'a str,
        r#type: &'a str,
        schema_version: i32,
        payload: &'a [u8],
        actor: &'a str,
        component_digest: &'a [u8],
        expected_version: i64,
        event_count: i32,
        rejection_code: Option<&'a str>,
        rejection_detail: Option<&'a str>,
    }
}

composite! {
    /// Snapshot of a stream without its entries.
    SnapshotArgument = "append_snapshot" {
        stream: &'a str,
        base_version: i64,
        version: i64,
        component_digest: &'a [u8],
        state_version: i32,
        state: &'a [u8],
    }
}

composite! {
    /// Entry of one of the snapshots; without a value if it was removed.
    EntryArgument = "append_entry" {
        stream: &'a str,
        key: &'a str,
        component_digest: &'a [u8],
        value: Option<&'a [u8]>,
    }
}

composite! {
    /// Timer of a saga.
    TimerArgument = "append_timer" {
        due: OffsetDateTime,
        stream: &'a str,
        number: i64,
    }
}

composite! {
    /// Effect that an instance requests.
    EffectArgument = "append_effect" {
        effect: &'a str,
        stream: &'a str,
        number: i64,
        request: &'a [u8],
    }
}

composite! {
    /// Effect whose outcome came.
    PendingEffectArgument = "append_pending_effect" {
        stream: &'a str,
        number: i64,
    }
}

impl<'a> LeaseArgument<'a> {
    pub(super) fn of(lease: &'a Lease) -> Result<Self, StoreError> {
        Ok(Self {
            partition: partition_key(lease.partition)?,
            owner: &lease.owner,
            epoch: signed(lease.epoch)?,
            duration: interval(lease.duration),
        })
    }
}

impl<'a> HeadArgument<'a> {
    pub(super) fn of(head: &'a Head) -> Result<Self, StoreError> {
        Ok(Self { position: signed(head.position)?, hash: &head.hash.0, sequence: signed(head.sequence)? })
    }
}

impl<'a> StreamArgument<'a> {
    pub(super) fn of(stream: &'a StreamMove) -> Result<Self, StoreError> {
        Ok(Self {
            stream: &stream.stream,
            routing_key: &stream.routing_key,
            from_version: signed(stream.from)?,
            to_version: signed(stream.to)?,
        })
    }
}

impl<'a> EventArgument<'a> {
    pub(super) fn of(event: &'a StoredEvent) -> Result<Self, StoreError> {
        Ok(Self {
            stream: &event.stream,
            stream_version: signed(event.stream_version)?,
            r#type: &event.kind,
            schema_version: integer("schema version", event.schema_version)?,
            payload: &event.payload,
            event_id: event.event_id,
            correlation_id: event.correlation_id,
            causation_id: event.causation_id,
            actor: &event.actor,
            component_digest: &event.component_digest.0,
            hash: &event.hash.0,
        })
    }
}

impl<'a> CommandArgument<'a> {
    pub(super) fn of(command: &'a RecordedCommand) -> Result<Self, StoreError> {
        let (event_count, rejection) = match &command.outcome {
            RecordedOutcome::Events(count) => (integer("count of events", *count)?, None),
            RecordedOutcome::Rejection { code, detail } => (0, Some((code.as_str(), detail.as_str()))),
        };
        let (rejection_code, rejection_detail) = rejection.unzip();
        Ok(Self {
            idempotency_key: &command.idempotency_key,
            body_digest: command.kept.as_ref().map(|kept| kept.body_digest.as_slice()),
            answer: command.kept.as_ref().map(|kept| Json(&kept.answer)),
            stream: &command.stream,
            routing_key: &command.routing_key,
            r#type: &command.kind,
            schema_version: integer("schema version", command.schema_version)?,
            payload: &command.payload,
            actor: &command.actor,
            component_digest: &command.component_digest.0,
            expected_version: signed(command.expected_version)?,
            event_count,
            rejection_code,
            rejection_detail,
        })
    }
}

impl<'a> SnapshotArgument<'a> {
    pub(super) fn of(snapshot: &'a Snapshot) -> Result<Self, StoreError> {
        Ok(Self {
            stream: &snapshot.stream,
            base_version: signed(snapshot.base)?,
            version: signed(snapshot.version)?,
            component_digest: &snapshot.family.0,
            state_version: integer("state version", snapshot.state_version)?,
            state: &snapshot.state,
        })
    }
}

impl<'a> EntryArgument<'a> {
    pub(super) fn all_of(snapshot: &'a Snapshot) -> impl Iterator<Item = Self> {
        snapshot.entries.iter().map(|(key, value)| Self {
            stream: &snapshot.stream,
            key,
            component_digest: &snapshot.family.0,
            value: value.as_deref(),
        })
    }
}

impl<'a> TimerArgument<'a> {
    pub(super) fn of(timer: &'a DueTimer) -> Result<Self, StoreError> {
        Ok(Self { due: database_time(timer.due)?, stream: &timer.stream, number: signed(timer.number)? })
    }
}

impl<'a> EffectArgument<'a> {
    pub(super) fn of(effect: &'a NewEffect) -> Result<Self, StoreError> {
        let PendingEffect { stream, number } = &effect.pending;
        Ok(Self { effect: &effect.effect, stream, number: signed(*number)?, request: &effect.request })
    }
}

impl<'a> PendingEffectArgument<'a> {
    pub(super) fn of(effect: &'a PendingEffect) -> Result<Self, StoreError> {
        Ok(Self { stream: &effect.stream, number: signed(effect.number)? })
    }
}

/// A number in the database's `integer`, which has half the range.
fn integer(what: &str, number: u32) -> Result<i32, DatabaseError> {
    i32::try_from(number)
        .map_err(|_| DatabaseError::Corrupt(format!("the {what} {number} does not fit an integer")))
}

#[cfg(test)]
mod tests {
    use super::*;

    const WRITE_PATH: &str = include_str!("../../../../migrations/write/functions/write_path.sql");

    /// Attributes of a composite type as the definition file declares them.
    fn attributes(sql_name: &str) -> Vec<&'static str> {
        let (_, body) = WRITE_PATH.split_once(&format!("CREATE TYPE {sql_name} AS (")).unwrap();
        let (body, _) = body.split_once(");").unwrap();
        body.split(',').map(|attribute| attribute.split_whitespace().next().unwrap()).collect()
    }

    #[test]
    fn arguments_have_the_attributes_of_their_types_in_the_same_order() {
        let declared = [
            LeaseArgument::DECLARED,
            HeadArgument::DECLARED,
            StreamArgument::DECLARED,
            EventArgument::DECLARED,
            CommandArgument::DECLARED,
            SnapshotArgument::DECLARED,
            EntryArgument::DECLARED,
            TimerArgument::DECLARED,
            EffectArgument::DECLARED,
            PendingEffectArgument::DECLARED,
        ];
        assert_eq!(WRITE_PATH.matches("CREATE TYPE").count(), declared.len());
        for (sql_name, fields) in declared {
            let fields: Vec<_> = fields.iter().map(|field| field.trim_start_matches("r#")).collect();
            assert_eq!(fields, attributes(sql_name), "{sql_name}");
        }
    }
}
