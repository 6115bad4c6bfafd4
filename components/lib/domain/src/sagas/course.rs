//! Effect of each event on the row of its instance.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use clearfold_kernel::{Change, Undecodable};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::events::{FlowAdded, FlowParked, Reason, SagaEvent, SagaStarted, StepBegun};
use super::tables::{Instance, OpenFlow, State, WaitingEvent};
use super::{PREFIX, Seen};
use crate::projecting::{Document, Misfit, Number, Rows};

/// Row of an instance with its documents read.
struct Course {
    row: Instance,
    flows: Vec<OpenFlow>,
    waiting: Vec<WaitingEvent>,
}

/// Rows of the instances in a batch of events: read at the first event of each, written after its last.
pub(super) struct Courses {
    rows: Rows,
    of_streams: BTreeMap<String, Course>,
}

impl Courses {
    pub(super) fn of(rows: Rows) -> Self {
        Self { rows, of_streams: BTreeMap::new() }
    }

    /// Applies an event to the row of its instance.
    pub(super) fn follow(&mut self, seen: &Seen) -> Result<(), Misfit> {
        if let SagaEvent::SagaStarted(started) = &seen.event {
            let begun = Course { row: begun(seen, started), flows: Vec::new(), waiting: Vec::new() };
            self.of_streams.insert(seen.stream.clone(), begun);
            return Ok(());
        }
        let course = match self.of_streams.entry(seen.stream.clone()) {
            Entry::Occupied(course) => course.into_mut(),
            Entry::Vacant(place) => {
                let row: Instance = self.rows.existing(&Instance::key(&seen.stream))?;
                let (flows, waiting) = (read(&row.flows)?, read(&row.waiting_events)?);
                place.insert(Course { row, flows, waiting })
            }
        };
        course.apply(&seen.event)?;
        course.row.updated_at = seen.recorded_at;
        Ok(())
    }

    pub(super) fn into_changes(mut self) -> Result<Vec<Change>, Misfit> {
        for course in self.of_streams.into_values() {
            self.rows.put(&course.finished()?);
        }
        Ok(self.rows.into_changes())
    }
}

fn begun(seen: &Seen, started: &SagaStarted) -> Instance {
    let name = seen.stream.strip_prefix(PREFIX).and_then(|rest| rest.strip_prefix(started.saga.as_str()));
    let id = name.and_then(|rest| rest.strip_prefix('-')).unwrap_or_default();
    let nothing = || Document("[]".to_owned());
    Instance {
        instance: seen.stream.clone(),
        saga: started.saga.clone(),
        id: id.to_owned(),
        component: started.component.clone(),
        state: State::Ended,
        open: false,
        flows: nothing(),
        waiting_events: nothing(),
        contradiction_count: Number::default(),
        began_at: seen.recorded_at,
        updated_at: seen.recorded_at,
    }
}

impl Course {
    fn apply(&mut self, event: &SagaEvent) -> Result<(), Misfit> {
        match event {
            SagaEvent::SagaStarted(_) => {}
            SagaEvent::EventObserved(event) => {
                self.waiting.retain(|waiting| waiting.version != event.version);
            }
            SagaEvent::ObservationFailed(event) => self.wait(event.version, Some(&event.reason)),
            SagaEvent::ObservationQueued(event) => self.wait(event.version, None),
            SagaEvent::FlowAdded(event) => self.flows.push(OpenFlow::new(event)),
            SagaEvent::StepStarted(event)
            | SagaEvent::StepWaiting(event)
            | SagaEvent::StepDeferred(event)
            | SagaEvent::StepRefused(event)
            | SagaEvent::EffectRequested(event) => self.flow(event.key.flow)?.go_on(event),
            SagaEvent::FlowParked(event) => self.flow(event.key.flow)?.park(event),
            SagaEvent::CompensationStarted(event) => {
                let flow = self.flow(event.flow)?;
                flow.compensating = true;
                flow.wait_for_nothing();
            }
            SagaEvent::CancelOrdered(event) => self.flow(event.flow)?.wait_for_nothing(),
            SagaEvent::FlowEnded(event) => self.flows.retain(|flow| flow.flow != event.flow),
            SagaEvent::RetryOrdered(event) => match event.flow {
                Some(number) => self.flow(number)?.wait_for_nothing(),
                None => self.waiting.iter_mut().for_each(|waiting| waiting.code = None),
            },
            SagaEvent::ResolutionContradicted => {
                self.row.contradiction_count = self.row.contradiction_count.next()?;
            }
        }
        Ok(())
    }

    fn wait(&mut self, version: u64, reason: Option<&Reason>) {
        let (code, detail) = reason.map(|reason| (reason.code.clone(), reason.detail.clone())).unzip();
        // One that failed again at a retry is in its place already.
        self.waiting.retain(|waiting| waiting.version != version);
        self.waiting.push(WaitingEvent { version, code, detail });
        self.waiting.sort_by_key(|waiting| waiting.version);
    }

    fn flow(&mut self, number: u32) -> Result<&mut OpenFlow, Misfit> {
        self.flows.iter_mut().find(|flow| flow.flow == number).ok_or(Misfit::Missing("flow"))
    }

    fn finished(mut self) -> Result<Instance, Misfit> {
        for flow in &mut self.flows {
            flow.state = flow.derived();
        }
        let has_failed = self.waiting.iter().any(|waiting| waiting.code.is_some());
        let of_events = match (has_failed, self.waiting.is_empty()) {
            (true, _) => State::Parked,
            (false, false) => State::Running,
            (false, true) => State::Ended,
        };
        let of_flows = self.flows.iter().map(|flow| flow.state).max().unwrap_or(State::Ended);
        let state = of_flows.max(of_events);
        let (flows, waiting_events) = (written(&self.flows)?, written(&self.waiting)?);
        Ok(Instance { state, open: state != State::Ended, flows, waiting_events, ..self.row })
    }
}

impl OpenFlow {
    fn new(event: &FlowAdded) -> Self {
        Self {
            flow: event.flow,
            name: event.name.clone(),
            lane: event.lane.clone(),
            state: State::Running,
            step: None,
            compensating: false,
            until: None,
            code: None,
            detail: None,
        }
    }

    fn go_on(&mut self, event: &StepBegun) {
        self.wait_for_nothing();
        (self.step, self.until) = (Some(event.name.clone()), event.until);
    }

    fn park(&mut self, event: &FlowParked) {
        let Reason { code, detail } = &event.reason;
        self.wait_for_nothing();
        self.step = Some(event.name.clone());
        (self.code, self.detail) = (Some(code.clone()), Some(detail.clone()));
    }

    fn wait_for_nothing(&mut self) {
        (self.until, self.code, self.detail) = (None, None, None);
    }

    const fn derived(&self) -> State {
        match (self.code.is_some(), self.compensating, self.until.is_some()) {
            (true, ..) => State::Parked,
            (false, true, _) => State::Compensating,
            (false, false, true) => State::Waiting,
            (false, false, false) => State::Running,
        }
    }
}

fn read<T: DeserializeOwned>(document: &Document) -> Result<Vec<T>, Misfit> {
    serde_json::from_str(&document.0).map_err(|error| malformed(&error))
}

fn written<T: Serialize>(list: &[T]) -> Result<Document, Misfit> {
    serde_json::to_string(list).map(Document).map_err(|error| malformed(&error))
}

fn malformed(error: &serde_json::Error) -> Misfit {
    Undecodable::Malformed("a list of the sagas' table".to_owned(), 1, error.to_string()).into()
}
