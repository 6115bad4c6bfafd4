//! Saga engine in memory: order of steps, attempts, delays, reverse compensation, waits and parking, as the host has
//! them. It knows one saga, and no payment.

use std::borrow::Cow;
use std::collections::{BTreeMap, VecDeque};

use clearfold_domain::authorization_saga::AuthorizationSaga;
use clearfold_kernel::{
    Action, EffectAnswer, Encoded, Observed, Phase, PlannedStep, Rejection, Retry, Saga, StepCall, Subject,
    Timestamp, observe_message,
};

/// Instance of the saga, for one payment.
#[derive(Default)]
pub struct Instance {
    pub memory: Vec<u8>,
    /// Flows that have not ended, the running one first.
    pub lanes: BTreeMap<Cow<'static, str>, VecDeque<Flow>>,
    /// Inputs that came and are not decided yet, in the order in which they came.
    pub inputs: VecDeque<Input>,
    /// Names of the flows that ended, each with its outcome.
    pub ended: Vec<(&'static str, Outcome)>,
    /// Effects that the host offers to it.
    pub effects: Vec<String>,
    has_begun: bool,
    flows: u32,
}

pub enum Input {
    Observe(Encoded),
    Answer { flow: u32, answer: Result<(), Rejection> },
    Effect { flow: u32, outcome: Outcomes },
}

/// Outcome of an effect.
pub enum Outcomes {
    Came(EffectAnswer),
    Refused(Rejection),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    Done,
    Compensated,
    Cancelled,
}

pub struct Flow {
    pub number: u32,
    pub name: &'static str,
    steps: Vec<PlannedStep>,
    at: usize,
    compensated_for: Option<Rejection>,
    attempt: u32,
    /// Attempt behind which an operator's retry begins to count.
    forgiven: u32,
    last_refusal: Option<Rejection>,
    answer: Option<EffectAnswer>,
    /// True if the delay before its attempt is over.
    is_due: bool,
    pub doing: Doing,
}

/// Present activity of a flow: idle, waiting for an answer, a time or an operator.
#[derive(Debug, Clone)]
pub enum Doing {
    /// Nothing: its step is to be asked what to do.
    Nothing,
    /// The answer to its command.
    Command(Child),
    /// The outcome of an effect.
    Effect(Vec<u8>),
    /// A time, at which the step is asked again.
    Wait(Timestamp),
    /// A time, at which the step is asked for its effect.
    Put(Timestamp),
    /// A time, at which the command is sent again.
    Deferred(Timestamp, Child),
    /// An operator.
    Parked(String),
}

/// Command of a step.
#[derive(Debug, Clone)]
pub struct Child {
    pub aggregate: &'static str,
    pub id: String,
    pub seen_on_chain: bool,
    pub message: Encoded,
}

/// Place of an instance: its payment, its account and the time.
pub struct Place<'a> {
    pub id: &'a str,
    pub routing_key: &'a str,
    pub now: Timestamp,
}

impl Instance {
    pub fn offered(effects: Vec<String>) -> Self {
        Self { effects, ..Self::default() }
    }

    /// Decides the next input.
    pub fn take(&mut self, place: &Place<'_>) {
        match self.inputs.pop_front() {
            None => return,
            Some(Input::Observe(event)) => self.observe(&event, place),
            Some(Input::Answer { flow, answer }) => match answer {
                Ok(()) => self.done(flow),
                Err(reason) => self.refused(flow, reason),
            },
            Some(Input::Effect { flow, outcome }) => match outcome {
                Outcomes::Came(answer) => {
                    let flow = self.flow(flow);
                    (flow.answer, flow.doing) = (Some(answer), Doing::Nothing);
                }
                Outcomes::Refused(reason) => self.refused(flow, reason),
            },
        }
        self.ask(place);
    }

    /// Fires the timers that are due.
    pub fn fire(&mut self, place: &Place<'_>) {
        for flow in self.lanes.values_mut().filter_map(VecDeque::front_mut) {
            flow.doing = match std::mem::replace(&mut flow.doing, Doing::Nothing) {
                Doing::Wait(until) if until <= place.now => Doing::Nothing,
                Doing::Put(until) if until <= place.now => {
                    flow.is_due = true;
                    Doing::Nothing
                }
                Doing::Deferred(until, command) if until <= place.now => Doing::Command(command),
                doing => doing,
            };
        }
        self.ask(place);
    }

    pub fn running(&self) -> impl Iterator<Item = &Flow> {
        self.lanes.values().filter_map(VecDeque::front)
    }

    /// Returns the commands that are not answered yet, each with the number of its flow.
    pub fn asked(&self) -> Vec<(u32, Child)> {
        let asked = |flow: &Flow| match &flow.doing {
            Doing::Command(command) => Some((flow.number, command.clone())),
            _ => None,
        };
        self.running().filter_map(asked).filter(|(number, _)| !self.is_answered(*number)).collect()
    }

    /// Returns the requests of effects that have no outcome yet, each with the number of its flow.
    pub fn requested(&self) -> Vec<(u32, Vec<u8>)> {
        let requested = |flow: &Flow| match &flow.doing {
            Doing::Effect(request) => Some((flow.number, request.clone())),
            _ => None,
        };
        self.running().filter_map(requested).filter(|(number, _)| !self.is_answered(*number)).collect()
    }

    /// Returns true if the answer waits among the inputs.
    fn is_answered(&self, number: u32) -> bool {
        self.inputs.iter().any(|input| match input {
            Input::Answer { flow, .. } | Input::Effect { flow, .. } => *flow == number,
            Input::Observe(_) => false,
        })
    }

    /// Returns the numbers of the parked flows with that name.
    pub fn parked(&self, name: &str) -> Vec<u32> {
        let parked =
            self.running().filter(|flow| flow.name == name && matches!(flow.doing, Doing::Parked(_)));
        parked.map(|flow| flow.number).collect()
    }

    /// Returns the numbers of the parked flows that ask for pulls.
    pub fn parked_pulls(&self) -> Vec<u32> {
        ["fund", "recover"].into_iter().flat_map(|name| self.parked(name)).collect()
    }

    /// Tries again what is parked, as an operator orders.
    pub fn retry(&mut self, number: u32, place: &Place<'_>) {
        let flow = self.flow(number);
        (flow.forgiven, flow.doing) = (flow.attempt, Doing::Nothing);
        self.ask(place);
    }

    /// Counts the present step of a parked flow as done, as an operator orders.
    pub fn resolve(&mut self, number: u32, place: &Place<'_>) {
        self.done(number);
        self.ask(place);
    }

    /// Returns the earliest time that a flow waits for, and if it is the time of another attempt.
    pub fn next_timer(&self) -> Option<(Timestamp, bool)> {
        let timer = |flow: &Flow| match &flow.doing {
            Doing::Wait(until) => Some((*until, false)),
            Doing::Deferred(until, _) | Doing::Put(until) => Some((*until, true)),
            _ => None,
        };
        self.running().filter_map(timer).min()
    }

    fn observe(&mut self, event: &Encoded, place: &Place<'_>) {
        if !self.has_begun && !AuthorizationSaga::STARTS_ON.contains(&event.kind.as_str()) {
            return;
        }
        self.has_begun = true;
        let observed = observe_message::<AuthorizationSaga>(&self.subject(place), event);
        let Observed { memory, cancel, flows } = observed.expect("an event is observed");
        if let Some(memory) = memory {
            assert_ne!(memory, self.memory, "memory is stored only if it changed");
            self.memory = memory;
        }
        for lane in cancel {
            let waits = |flow: &Flow| matches!(flow.doing, Doing::Wait(_) | Doing::Nothing);
            if self.lanes.get(lane).and_then(VecDeque::front).is_some_and(waits) {
                let flows = self.lanes.remove(lane).unwrap_or_default();
                self.ended.extend(flows.iter().map(|flow| (flow.name, Outcome::Cancelled)));
            }
        }
        for flow in flows {
            assert!(!flow.steps.is_empty(), "a flow has a step");
            assert!(flow.steps.iter().map(|step| phase(step.step)).is_sorted(), "phases come in their order");
            self.flows += 1;
            self.lanes.entry(flow.lane).or_default().push_back(Flow {
                number: self.flows,
                name: flow.name,
                steps: flow.steps,
                at: 0,
                compensated_for: None,
                attempt: 1,
                forgiven: 0,
                last_refusal: None,
                answer: None,
                is_due: false,
                doing: Doing::Nothing,
            });
        }
    }

    /// Asks the steps that come up until every flow waits for something.
    fn ask(&mut self, place: &Place<'_>) {
        while let Some(number) = self.idle() {
            let Some(call) = self.call(number, place) else {
                self.end(number, Outcome::Done);
                continue;
            };
            let action = match call.refusal {
                None => AuthorizationSaga::run(&call),
                Some(_) => AuthorizationSaga::compensate(&call),
            };
            match action {
                Ok(Action::Done) => self.done(number),
                Ok(Action::WaitUntil(until)) => {
                    assert!(until > place.now, "a wait for a time that has passed never ends");
                    self.flow(number).doing = Doing::Wait(until);
                }
                Ok(Action::Request { effect, request }) => {
                    assert!(self.effects.iter().any(|offered| offered == effect), "{effect} is not offered");
                    self.request(number, &call, request, place.now);
                }
                Ok(Action::Refuse(reason)) => self.refused(number, reason),
                Ok(Action::Command { aggregate, id, seen_on_chain, message }) => {
                    let child = Child { aggregate, id, seen_on_chain, message };
                    let flow = self.flow(number);
                    flow.doing = match flow.delay(&call.step) {
                        Delay::None => Doing::Command(child),
                        Delay::Ms(delay_ms) => Doing::Deferred(after(place.now, delay_ms), child),
                        Delay::Parked => flow.exhausted(&call.step),
                    };
                }
                Err(why) => self.flow(number).doing = Doing::Parked(why),
            }
        }
    }

    /// Begins a request at once, or puts it off: then the step is asked for it again. One that had no answer comes later.
    fn request(&mut self, number: u32, call: &StepCall, request: Vec<u8>, now: Timestamp) {
        let flow = self.flow(number);
        let is_lost = matches!(flow.answer, Some(EffectAnswer::Unanswered(_))) && !flow.is_due;
        let delay = match flow.delay(&call.step) {
            Delay::None if is_lost => Delay::Ms(described(&call.step).retry.first_delay_ms.into()),
            delay => delay,
        };
        flow.doing = match delay {
            Delay::None => Doing::Effect(request),
            Delay::Ms(delay_ms) => Doing::Put(after(now, delay_ms)),
            Delay::Parked => flow.exhausted(&call.step),
        };
        flow.is_due = false;
    }

    fn idle(&self) -> Option<u32> {
        self.running().find(|flow| matches!(flow.doing, Doing::Nothing)).map(|flow| flow.number)
    }

    /// Returns the call of a flow's present step; None if all are done.
    fn call(&mut self, number: u32, place: &Place<'_>) -> Option<StepCall> {
        let subject = self.subject(place);
        let flow = self.flow(number);
        let PlannedStep { step, argument } = flow.steps.get(flow.at).cloned()?;
        Some(StepCall {
            subject,
            flow: flow.name.to_owned(),
            step: step.to_owned(),
            argument,
            attempt: flow.attempt,
            refusal: flow.compensated_for.clone(),
            last_refusal: flow.last_refusal.clone(),
            answer: flow.answer.clone(),
        })
    }

    fn done(&mut self, number: u32) {
        let flow = self.flow(number);
        let is_undo = flow.compensated_for.is_some();
        if is_undo && flow.at == 0 {
            return self.end(number, Outcome::Compensated);
        }
        let next = if is_undo { flow.at - 1 } else { flow.at + 1 };
        flow.turn_to(next);
    }

    fn refused(&mut self, number: u32, reason: Rejection) {
        let flow = self.flow(number);
        let step = flow.steps[flow.at].step;
        if flow.compensated_for.is_some() || phase(step) == Phase::Retriable {
            flow.attempt += 1;
            (flow.last_refusal, flow.answer, flow.doing) = (Some(reason), None, Doing::Nothing);
            return;
        }
        if flow.at == 0 {
            return self.end(number, Outcome::Compensated);
        }
        flow.turn_to(flow.at - 1);
        flow.compensated_for = Some(reason);
    }

    fn end(&mut self, number: u32, outcome: Outcome) {
        let name = self.flow(number).name;
        self.ended.push((name, outcome));
        for lane in self.lanes.values_mut() {
            lane.retain(|flow| flow.number != number);
        }
        self.lanes.retain(|_, lane| !lane.is_empty());
    }

    fn flow(&mut self, number: u32) -> &mut Flow {
        let mut running = self.lanes.values_mut().filter_map(VecDeque::front_mut);
        running.find(|flow| flow.number == number).expect("a running flow")
    }

    fn subject(&self, place: &Place<'_>) -> Subject {
        Subject {
            id: place.id.to_owned(),
            routing_key: place.routing_key.to_owned(),
            memory: self.memory.clone(),
            now: place.now,
            effects: self.effects.clone(),
        }
    }
}

/// Delay before an attempt.
enum Delay {
    None,
    Ms(u64),
    Parked,
}

impl Flow {
    fn turn_to(&mut self, step: usize) {
        (self.at, self.attempt, self.forgiven) = (step, 1, 0);
        (self.last_refusal, self.answer, self.is_due, self.doing) = (None, None, false, Doing::Nothing);
    }

    /// Returns the delay before what its step sends.
    fn delay(&self, step: &str) -> Delay {
        let is_first = self.attempt == self.forgiven.max(1);
        if is_first || self.is_due || self.answer.is_some() {
            return Delay::None;
        }
        let Retry { first_delay_ms, longest_delay_ms, attempts } = described(step).retry;
        if self.attempt - self.forgiven > attempts {
            return Delay::Parked;
        }
        let doublings = (self.attempt - self.forgiven).saturating_sub(2);
        Delay::Ms((u64::from(first_delay_ms) << doublings).min(longest_delay_ms.into()))
    }

    fn exhausted(&self, step: &str) -> Doing {
        Doing::Parked(format!("{step}: after {:?}", self.last_refusal))
    }
}

fn after(now: Timestamp, delay_ms: u64) -> Timestamp {
    Timestamp::from_ms(now.as_ms() + delay_ms).expect("before the year 10000")
}

fn described(step: &str) -> &'static clearfold_kernel::Step {
    AuthorizationSaga::STEPS.iter().find(|known| known.name == step).expect("a described step")
}

fn phase(step: &str) -> Phase {
    described(step).phase
}
