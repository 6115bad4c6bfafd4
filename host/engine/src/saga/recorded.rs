//! Instances folded from their stored events, for checks beside the write path.

use clearfold_kernel::Timestamp;
use clearfold_sandbox::Message;
use clearfold_store::StoredEvent;

use super::event::{SagaEvent, never};
use super::instance::{Flow, Instance};
use clearfold_base::digest::Digest;

/// Folds an instance; without events, one that has not begun.
pub(super) fn folded(events: &[StoredEvent]) -> Result<Instance, String> {
    let mut instance = Instance::default();
    for stored in events {
        for event in read(stored)? {
            instance.apply(event);
        }
    }
    Ok(instance)
}

/// Reads the events of a stored one. The error names it.
pub(super) fn read(stored: &StoredEvent) -> Result<Vec<SagaEvent>, String> {
    let (type_, schema_version) = (stored.kind.clone(), stored.schema_version);
    SagaEvent::read(&Message { type_, schema_version, payload: stored.payload.clone() })
        .map_err(|why| format!("event {} of {}: {why}", stored.stream_version, stored.stream))
}

/// Version on which the instance with these events began. The first is enough.
pub(crate) fn began_on(events: &[StoredEvent]) -> Option<Digest> {
    match read(events.first()?).ok()?.first()? {
        SagaEvent::SagaStarted(started) => started.component.parse().ok(),
        _ => None,
    }
}

/// Timers and effects for which an instance waits, each by its number.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct WaitsFor {
    pub timers: Vec<(u64, Timestamp)>,
    pub effects: Vec<u64>,
}

impl WaitsFor {
    /// Folds an instance's events.
    pub(crate) fn of(events: &[StoredEvent]) -> Result<Self, String> {
        let instance = folded(events)?;
        let timers = instance.running().filter_map(Flow::timer).map(|timer| (timer.timer, timer.due));
        // An instance that a pause holds has a timer that never comes due by itself.
        let timers = timers.chain(instance.held.map(|timer| (timer, never()))).collect();
        Ok(Self { timers, effects: instance.running().filter_map(Flow::effect).collect() })
    }
}
