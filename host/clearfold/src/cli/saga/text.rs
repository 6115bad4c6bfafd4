//! Texts that the commands about sagas print for people.

use serde_json::Value;

use clearfold_engine::command::Answer;
use clearfold_engine::saga::{
    AttemptView, EffectView, FlowView, InstanceState, InstanceView, OrderView, StepView,
};
use clearfold_views::query::{SagaInstance, SagaPage};

pub(super) fn page(page: &SagaPage) -> String {
    let mut text = String::new();
    if page.data.is_empty() {
        text.push_str("no instance is in that state\n");
    }
    for instance in &page.data {
        text.push_str(&listed(instance));
    }
    let counts = page.counts;
    text.push_str(&format!("{} open, {} parked\n", counts.open, counts.parked));
    if let Some(cursor) = &page.next_cursor {
        text.push_str(&format!("there are more: --cursor {cursor}\n"));
    }
    text
}

fn listed(instance: &SagaInstance) -> String {
    let SagaInstance { instance: stream, state, updated_at, .. } = instance;
    let mut text = format!("{state:<12} {stream}  changed {updated_at}\n");
    if instance.contradiction_count > 0 {
        text.push_str("    an answer contradicts what an operator said; `clearfold saga show` says which\n");
    }
    for event in list(&instance.waiting_events) {
        text.push_str(&format!("    event {} waits{}\n", field(event, "version"), reason(event)));
    }
    for flow in list(&instance.flows) {
        text.push_str(&format!("    flow {} {}", field(flow, "flow"), field(flow, "name")));
        if !flow["step"].is_null() {
            text.push_str(&format!(", step {}", field(flow, "step")));
        }
        text.push_str(&format!(": {}", field(flow, "state")));
        if !flow["until"].is_null() {
            text.push_str(&format!(" until {}", field(flow, "until")));
        }
        text.push_str(&format!("{}\n", reason(flow)));
    }
    text
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn field(value: &Value, name: &str) -> String {
    match &value[name] {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// Returns the reason why something is parked; nothing if it is not.
fn reason(value: &Value) -> String {
    if value["code"].is_null() {
        return String::new();
    }
    format!(", {}: {}", field(value, "code"), field(value, "detail"))
}

pub(super) fn instance(instance: &InstanceView) -> String {
    let mut text = format!(
        "{}, {}\naccount {}, began {} on component {}\n{} events, the last {}; the followed stream is observed up \
         to event {}\n",
        instance.instance,
        state(instance.state),
        instance.account,
        instance.began_at,
        instance.component,
        instance.event_count,
        instance.updated_at,
        instance.observed_version,
    );
    if instance.waits_for_resume {
        text.push_str("its saga is or was paused; what waits goes on at the resume\n");
    }
    for event in &instance.waiting_events {
        let why = match &event.failure {
            Some(failure) => format!("for an operator: {} ({})", failure.code, failure.detail),
            None if instance.waits_for_resume => "for the resume, or behind the one before it".to_owned(),
            None => "behind the one before it".to_owned(),
        };
        text.push_str(&format!("event {} {} waits {why}\n", event.version, event.kind));
    }
    instance.flows.iter().for_each(|shown| text.push_str(&flow(shown)));
    if !instance.orders.is_empty() {
        text.push_str("\norders\n");
    }
    instance.orders.iter().for_each(|given| text.push_str(&order(given)));
    for contradiction in &instance.contradictions {
        let refusal = contradiction.refusal.as_ref();
        let why = refusal.map(|refusal| format!(": {} ({})", refusal.code, refusal.detail));
        text.push_str(&format!(
            "\nCONTRADICTION {}  flow {}, step {}: resolved as {}, and then {}{}\n    remedy: compare with the streams \
             of its commands, and correct them by hand\n",
            contradiction.at,
            contradiction.flow,
            contradiction.name,
            word(&contradiction.resolved_as),
            contradiction.answer,
            why.unwrap_or_default(),
        ));
    }
    text
}

fn flow(flow: &FlowView) -> String {
    let FlowView { flow: number, name, lane, added_at, .. } = flow;
    let mut text = format!("\nflow {number} {name}, lane {lane}, added {added_at}, ");
    match (&flow.outcome, &flow.ended_at) {
        (Some(outcome), Some(at)) => text.push_str(&format!("ended {at}: {outcome}\n")),
        _ => text.push_str(&format!("{}\n", state(flow.state))),
    }
    if let Some(what) = &flow.waits_for {
        text.push_str(&format!("    waits for {what}\n"));
    }
    if let Some(refusal) = &flow.compensated_for {
        text.push_str(&format!("    compensated for {} ({})\n", refusal.code, refusal.detail));
    }
    flow.steps.iter().for_each(|shown| text.push_str(&step(shown)));
    text
}

fn step(step: &StepView) -> String {
    let mut text = format!("  step {} {}", step.step, step.name);
    if step.attempts.is_empty() {
        text.push_str("  not begun");
    }
    text.push('\n');
    step.attempts.iter().for_each(|shown| text.push_str(&attempt(shown)));
    text
}

fn attempt(attempt: &AttemptView) -> String {
    let what = if attempt.is_compensation { "compensation" } else { "attempt" };
    let mut text = format!("    {what} {}", attempt.attempt);
    if let Some(until) = &attempt.waited_until {
        text.push_str(&format!("  waits until {until}"));
    }
    if let Some(at) = &attempt.started_at {
        text.push_str(&format!("  began {at}"));
    }
    if let (Some(outcome), Some(at)) = (&attempt.outcome, &attempt.ended_at) {
        text.push_str(&format!("  {outcome} {at}"));
    }
    if let Some(by) = &attempt.resolved_by {
        text.push_str(&format!("  by the word of {by}"));
    }
    text.push('\n');
    if let Some(refusal) = &attempt.refusal {
        text.push_str(&format!("      {}: {}\n", refusal.code, refusal.detail));
    }
    if let Some(command) = &attempt.command {
        let (kind, version) = (&command.kind, command.schema_version);
        text.push_str(&format!(
            "      {kind} v{version} to {}-{}: {}\n",
            command.aggregate, command.id, command.payload
        ));
    }
    if let Some(effect) = &attempt.effect {
        text.push_str(&effect_of(effect));
    }
    text
}

fn effect_of(effect: &EffectView) -> String {
    let EffectView { number, effect, request, answer, unanswered } = effect;
    let number = number.map(|number| format!(", number {number}")).unwrap_or_default();
    let mut text = format!("      effect {effect}{number}: {request}\n");
    match (answer, unanswered) {
        (Some(answer), None) => text.push_str(&format!("      answered {answer}\n")),
        (Some(answer), Some(why)) => text.push_str(&format!("      the stand-in answered {answer}: {why}\n")),
        (None, Some(why)) => text.push_str(&format!("      unanswered: {why}\n")),
        (None, None) => {}
    }
    text
}

fn order(order: &OrderView) -> String {
    let flow = order.flow.map_or("the failed observation".to_owned(), |flow| format!("flow {flow}"));
    let outcome = order.outcome.map(|outcome| format!(" as {}", word(&outcome))).unwrap_or_default();
    let why = order.why.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
    format!("  {}  {} {flow}{outcome} by {}{why}\n", order.at, order.order, order.by)
}

pub(super) fn answer(answer: &Answer) -> String {
    match answer {
        Answer::Accepted { stream, events, .. } if events.is_empty() => format!("{stream}: nothing to do\n"),
        Answer::Accepted { stream, stream_version, events } => {
            format!("{stream}: {}, event {stream_version} is the last\n", events.join(", "))
        }
        Answer::Rejected { code, detail } => format!("{detail} ({code})\n"),
    }
}

fn state(state: InstanceState) -> String {
    word(&state)
}

/// Returns the word of a value, as JSON spells it.
fn word(value: &impl serde::Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(Value::String(word)) => word,
        _ => String::new(),
    }
}
