//! Orders of operators: try again, cancel, say how a step ended. Each is refused whole, or is an event of the instance.

use super::Machine;
use crate::saga::content::{EffectAnswer, Refusal};
use crate::saga::event::{
    CancelOrdered, CompensationStarted, FlowOutcome, ResolutionContradicted, ResolveOrdered, RetryOrdered,
};
use crate::saga::input::{Cancel, EffectOutcome, Order, Resolution, Resolve, Retry, StepAnswer, StepKey};
use crate::saga::instance::{Doing, Flow, ResolvedStep};
use crate::saga::logic::Phase;

impl Machine {
    pub(super) fn retry(&mut self, input: Retry) -> Result<(), Refusal> {
        self.check_begun()?;
        let is_parked = |flow: &&Flow| matches!(flow.doing, Doing::Parked(_));
        let (flows, event): (Vec<u32>, _) = match input.flow {
            Some(number) => {
                let flow = self.open_flow(number)?;
                if !is_parked(&flow) {
                    return Err(not_parked(flow));
                }
                (vec![number], None)
            }
            None => {
                let flows = self.instance.running().filter(is_parked).map(|flow| flow.number);
                (flows.collect(), self.instance.unobserved.front().cloned())
            }
        };
        if flows.is_empty() && event.is_none() {
            let detail = "nothing of the instance is parked; `clearfold saga show` says what it waits for";
            return Err(refusal("nothing_parked", detail));
        }
        for flow in flows {
            self.emit(RetryOrdered { flow: Some(flow), order: input.order.clone() });
        }
        if event.is_some() {
            self.emit(RetryOrdered { flow: None, order: input.order });
            self.asked = event;
        }
        Ok(())
    }

    /// Cancels a flow, or all that are open; if one of them cannot be cancelled, none is.
    pub(super) fn cancel_by(&mut self, input: &Cancel) -> Result<(), Refusal> {
        self.check_begun()?;
        let flows: Vec<Flow> = match input.flow {
            Some(number) => vec![self.open_flow(number)?.clone()],
            None => self.instance.lanes.values().flatten().cloned().collect(),
        };
        if flows.is_empty() {
            return Err(refusal("nothing_to_cancel", "every flow of the instance has ended"));
        }
        for flow in &flows {
            self.check_cancellable(flow)?;
            if input.spares_retriable {
                self.check_begins_before_pivot(flow)?;
            }
        }
        // From the end of each lane, so that no flow begins because the one before it ended.
        for flow in flows.iter().rev() {
            self.cancel_flow(flow, &input.order);
        }
        Ok(())
    }

    fn check_cancellable(&self, flow: &Flow) -> Result<(), Refusal> {
        let number = flow.number;
        if flow.compensated_for.is_some() {
            let detail = format!(
                "flow {number} is being compensated, and a compensation is not cancelled; if it is parked, retry or \
                 resolve it"
            );
            return Err(refusal("compensating", detail));
        }
        if flow.cancelled.is_some() {
            let detail =
                format!("flow {number} is cancelled already; it is compensated when its step is answered");
            return Err(refusal("cancelled_already", detail));
        }
        let can_be_undone =
            |step: &str| self.saga.step(step).is_some_and(|facts| facts.phase == Phase::Compensatable);
        // A step under way may be done already.
        let reached = flow.at.saturating_add(u32::from(flow.is_under_way()));
        let mut reached = flow.steps.iter().take(usize::try_from(reached).unwrap_or(usize::MAX));
        if let Some(done) = reached.find(|planned| !can_be_undone(&planned.step)) {
            let detail = format!(
                "flow {number} is past its pivot: step `{}` is not undone any more. Let it go on; if it is parked, \
                 retry or resolve it",
                done.step
            );
            return Err(refusal("past_pivot", detail));
        }
        Ok(())
    }

    /// Checks that a flow has something to undo. One that begins behind its pivot carries out what is owed: a booking, a
    /// pull, the end of a hold.
    fn check_begins_before_pivot(&self, flow: &Flow) -> Result<(), Refusal> {
        let first = flow.steps.first().filter(|planned| {
            self.saga.step(&planned.step).is_some_and(|facts| facts.phase == Phase::Retriable)
        });
        let Some(first) = first else { return Ok(()) };
        let detail = format!(
            "flow {} begins behind its pivot: step `{}` is owed, and nothing is there to undo. Name another flow, or \
             let it go on; a payment is ended by a command of its own",
            flow.number, first.step
        );
        Err(refusal("past_pivot", detail))
    }

    fn cancel_flow(&mut self, flow: &Flow, order: &Order) {
        let event = CancelOrdered { flow: flow.number, order: order.clone(), timer: flow.timer() };
        let reason = event.reason();
        self.emit(event);
        match flow.doing {
            // The answer decides what is to be undone.
            Doing::Command(_) | Doing::Effect(..) => {}
            _ if flow.at == 0 => self.end_now(flow.number, FlowOutcome::Cancelled),
            _ => self.emit(CompensationStarted { flow: flow.number, reason }),
        }
    }

    pub(super) fn resolve(&mut self, input: Resolve) -> Result<(), Refusal> {
        self.check_begun()?;
        let flow = self.open_flow(input.flow)?.clone();
        self.check_resolvable(&flow, &input)?;
        let (key, name, timer) = (flow.key(), super::name_of(&flow), flow.timer());
        let Resolve { outcome, code, order, .. } = input;
        let detail = order.why.clone().unwrap_or_else(|| format!("resolved by {}", order.by));
        self.emit(ResolveOrdered { key, name, outcome, order, timer });
        match outcome {
            Resolution::Done | Resolution::Compensated => self.done(&flow),
            Resolution::Refused => {
                let code = code.unwrap_or_else(|| "resolved_as_refused".to_owned());
                self.refused(&flow, Refusal { code, detail });
            }
        }
        Ok(())
    }

    fn check_resolvable(&self, flow: &Flow, input: &Resolve) -> Result<(), Refusal> {
        let number = flow.number;
        if !flow.is_under_way() && !matches!(flow.doing, Doing::Parked(_) | Doing::Deferred(..)) {
            let detail = format!(
                "flow {number} waits for no outcome: it has not begun, or waits until a time, and it goes on by \
                 itself; cancel it if it is to be undone"
            );
            return Err(refusal("not_resolvable", detail));
        }
        let is_undo = flow.compensated_for.is_some();
        let phase = self.facts(flow).map(|facts| facts.phase);
        let remedy = match (input.outcome, is_undo) {
            (Resolution::Done, false) | (Resolution::Compensated, true) => None,
            (Resolution::Refused, false) if phase.is_some_and(|phase| phase != Phase::Retriable) => None,
            (Resolution::Refused, false) => Some(
                "the step is behind the pivot, where nothing is refused; resolve it as done, or retry it",
            ),
            (Resolution::Compensated, false) => {
                Some("the flow is not being compensated; resolve the step as done or refused")
            }
            (Resolution::Done | Resolution::Refused, true) => {
                Some("the flow is being compensated; resolve the step as compensated, or retry it")
            }
        };
        if let Some(remedy) = remedy {
            return Err(refusal("outcome_not_possible", remedy));
        }
        if input.code.is_some() && input.outcome != Resolution::Refused {
            return Err(refusal("outcome_not_possible", "only a refusal has a code; leave it out"));
        }
        Ok(())
    }

    /// Takes in an answer to a step that has been answered. If an operator had said otherwise, that is recorded.
    pub(super) fn late(&mut self, key: &StepKey, answer: &StepAnswer) {
        let contradicted = self.instance.resolved.iter().find(|resolved| contradicts(resolved, key, answer));
        if let Some(ResolvedStep { name, outcome, .. }) = contradicted.cloned() {
            let (key, answer) = (key.clone(), answer.clone());
            self.emit(ResolutionContradicted { key, name, outcome, answer });
        }
    }

    /// Takes in the outcome of an effect whose step has been answered; as [`Machine::late`]. A missing answer contradicts
    /// nothing.
    pub(super) fn late_effect(&mut self, number: u64, outcome: &EffectOutcome) {
        let answer = match outcome {
            // The first machine took it for an answer.
            EffectOutcome::Came(EffectAnswer::Unanswered(_)) if self.instance.engine > 1 => return,
            EffectOutcome::Came(_) => StepAnswer::Accepted,
            EffectOutcome::Refused(reason) => StepAnswer::Refused(reason.clone()),
        };
        let resolved = self.instance.resolved.iter().find(|resolved| resolved.effect == Some(number));
        if let Some(key) = resolved.map(|resolved| resolved.key.clone()) {
            self.late(&key, &answer);
        }
    }

    fn check_begun(&self) -> Result<(), Refusal> {
        if self.instance.has_begun() {
            return Ok(());
        }
        Err(refusal("not_begun", "the instance has not begun; `clearfold saga list` shows those that have"))
    }

    /// Finds a flow that has not ended.
    fn open_flow(&self, number: u32) -> Result<&Flow, Refusal> {
        let flow = self.instance.open_flow(number);
        flow.ok_or_else(|| match number {
            number if (1..=self.instance.flows).contains(&number) => {
                refusal("flow_ended", format!("flow {number} has ended"))
            }
            _ => {
                let detail =
                    format!("the instance has no flow {number}; `clearfold saga show` lists its flows");
                refusal("flow_not_found", detail)
            }
        })
    }
}

/// Returns true if an answer says otherwise than the operator did. That an attempt succeeded contradicts a refusal
/// whichever attempt it was; that one was refused says nothing about those after it.
fn contradicts(resolved: &ResolvedStep, key: &StepKey, answer: &StepAnswer) -> bool {
    resolved.key.is_same_step(key)
        && match (answer, resolved.outcome) {
            (StepAnswer::Accepted, outcome) => outcome == Resolution::Refused,
            (StepAnswer::Refused(_) | StepAnswer::Failed(_), Resolution::Refused) => false,
            (StepAnswer::Refused(_) | StepAnswer::Failed(_), _) => resolved.key.attempt == key.attempt,
        }
}

fn not_parked(flow: &Flow) -> Refusal {
    let number = flow.number;
    let detail = match &flow.doing {
        Doing::Wait(timer) | Doing::Deferred(timer, _) => {
            format!("flow {number} is not parked; it goes on by itself at {}", timer.due)
        }
        _ => format!("flow {number} is not parked; it goes on by itself"),
    };
    refusal("not_parked", detail)
}

fn refusal(code: &str, detail: impl Into<String>) -> Refusal {
    Refusal { code: code.to_owned(), detail: detail.into() }
}
