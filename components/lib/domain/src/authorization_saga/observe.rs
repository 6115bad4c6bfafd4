//! What follows from an event: the flows to add, and the end of a wait.

use clearfold_kernel::{Decider, ExternalId, Flow, Observed, PlannedStep, Subject};

use super::{authorize, book, clearing, expire, fund, increment, link, memory, part, refund};
use crate::authorization::{Authorization, Event, Payment, State};

/// Lane of everything that moves money or counts it, in the order of the payment's events.
pub(super) const BOOKS: &str = "books";

pub(super) fn observe(subject: &Subject, event: &Event) -> Result<Observed, String> {
    let id = memory::id(subject)?;
    let before = memory::read(subject)?;
    let after = Authorization::evolve(before.clone(), event);
    let memory = memory::write(&after)?;
    let (ends, begins) = (expire::ends(&before, &after), expire::begins(&before, &after));
    let flows = books(subject, &id, &before, event)?;
    let links = link::flows(&id, &before, &after, event)?;
    let refund = refund::flow(event)?;
    let clearing = clearing::flow(subject, &before, event)?;
    let funding = fund::flows(subject, &before, &after, event)?;
    Ok(Observed {
        memory: (memory != subject.memory).then_some(memory),
        cancel: ends.then_some(expire::LANE).into_iter().collect(),
        flows: flows
            .into_iter()
            .chain(begins.then(expire::flow))
            .chain(clearing)
            .chain(links)
            .chain(refund)
            .chain(funding)
            .collect(),
    })
}

fn books(subject: &Subject, id: &ExternalId, before: &State, event: &Event) -> Result<Option<Flow>, String> {
    let (name, steps) = match event {
        Event::AuthorizationRequested(event) => ("authorize", authorize::steps(subject, event)?),
        Event::SpendExpected(_) => return Ok(Some(authorize::spent(subject))),
        Event::PartialApprovalProposed(_) => return Ok(Some(part::flow(subject))),
        // Either the flow declines it, or another hand does; then the flow cannot approve it any more. In both cases
        // the flow compensates what it did, and nothing else of the payment is booked.
        Event::AuthorizationDeclined(_) => return Ok(None),
        // The decider declines an increment of a payment that is not open by itself.
        Event::IncrementRequested(event) => {
            let is_decided_here = before.payment().is_some_and(Payment::takes_increments);
            return is_decided_here.then(|| increment::flow(subject, event)).transpose();
        }
        event => ("book", book::steps(subject, id, before, event)?),
    };
    Ok((!steps.is_empty()).then_some(Flow { name, lane: BOOKS.into(), steps }))
}

/// Plans a step that needs no argument.
pub(super) fn planned(step: &'static str) -> PlannedStep {
    PlannedStep { step, argument: Vec::new() }
}
