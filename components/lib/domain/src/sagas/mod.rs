//! Sagas projection: one row for each instance of a saga, with its state and its open flows, so that operators find
//! those that need them.
//!
//! Built from the events of instances, which the host's engine writes: their streams are `saga-{name}-{id}`. What is
//! read of an event is in [`events`]; the whole history of an instance is its stream.

mod course;
mod events;
mod tables;

use clearfold_kernel::{
    Change, ProjectionDescriptor, Projector, RecordedEvent, Row, RowKey, Timestamp, Undecodable,
};

use self::course::Courses;
use self::events::SagaEvent;
use self::tables::Instance;
use crate::projecting::{Misfit, Record, Rows};

/// Beginning of the streams of all instances.
const PREFIX: &str = "saga-";

/// Projector of sagas.
pub struct Sagas;

/// Event of an instance.
struct Seen {
    /// Stream of the instance.
    stream: String,
    recorded_at: Timestamp,
    event: SagaEvent,
}

impl Projector for Sagas {
    fn describe() -> ProjectionDescriptor {
        ProjectionDescriptor { name: "sagas", version: 1, tables: vec![Instance::table()], reads: &["saga"] }
    }

    fn keys(events: &[RecordedEvent]) -> Result<Vec<RowKey>, String> {
        let of_instances = events.iter().filter(|event| event.stream.starts_with(PREFIX));
        Ok(of_instances.map(|event| Instance::key(&event.stream)).collect())
    }

    fn project(events: &[RecordedEvent], rows: Vec<Row>) -> Result<Vec<Change>, String> {
        let mut courses = Courses::of(Rows::fetched(&Self::describe().tables, rows)?);
        for recorded in events.iter().filter(|event| event.stream.starts_with(PREFIX)) {
            follow(&mut courses, recorded).map_err(|misfit| {
                let RecordedEvent { kind, stream, stream_version, .. } = recorded;
                format!("event {stream_version} of {stream}, {kind}: {misfit}")
            })?;
        }
        courses.into_changes().map_err(|misfit| misfit.to_string())
    }
}

fn follow(courses: &mut Courses, recorded: &RecordedEvent) -> Result<(), Misfit> {
    let RecordedEvent { kind, schema_version, payload, .. } = recorded;
    let events = SagaEvent::read(kind, payload)
        .map_err(|error| Undecodable::Malformed(kind.clone(), *schema_version, error.to_string()))?;
    for event in events {
        let seen = Seen { stream: recorded.stream.clone(), recorded_at: recorded.recorded_at, event };
        courses.follow(&seen)?;
    }
    Ok(())
}
