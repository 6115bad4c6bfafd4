//! Specification of deciders: given events, when commands come, then events or a rejection.

mod format;
mod stream;

use clearfold_kernel::{CommandContext, Decided, Encoded, Entry, Folded, Outcome, Turn};

pub use self::format::DeciderFile;
use self::format::{Case, Expected, Sent};
use self::stream::Stream;
use crate::Verdict;
use crate::difference::readable;
use crate::file::same_name;
use crate::message::{Message, written_name};

/// Decider under test.
pub trait DeciderSubject {
    /// Returns the kind of stream that it decides for.
    fn aggregate(&self) -> &str;
    /// Returns the state of a stream without events.
    fn initial(&self) -> Result<Vec<u8>, String>;
    /// Returns the keys of the entries that each message needs, in the order of the messages.
    fn keys(&self, messages: &[Encoded]) -> Result<Vec<Vec<String>>, String>;
    /// Decides one turn.
    fn decide(&self, turn: &Turn) -> Result<Decided, String>;
    /// Folds events into a state.
    fn evolve(&self, state: &[u8], entries: &[Entry], events: &[Encoded]) -> Result<Folded, String>;
}

impl DeciderFile {
    /// Runs all cases.
    ///
    /// After each command it also checks that a rejection left the state with its entries unchanged, byte for byte,
    /// and that `evolve` computes from the events the same state that `decide` returned. After each case it checks
    /// that deciding its commands in one turn gives the same result as one by one, and that folding its events at
    /// once gives the same state as step by step. Only entries that `keys` named are handed over.
    ///
    /// Fails if the subject decides for another aggregate.
    pub fn run(&self, subject: &dyn DeciderSubject) -> Result<Vec<Verdict>, String> {
        same_name(&self.decider, subject.aggregate())?;
        let run = |case: &Case| Verdict::new(&case.name, case.row.as_deref(), self.run_case(case, subject));
        Ok(self.cases.0.iter().map(run).collect())
    }

    fn run_case(&self, case: &Case, subject: &dyn DeciderSubject) -> Result<Vec<String>, String> {
        let mut history = case.given.iter().map(Message::encoded).collect::<Result<Vec<_>, _>>()?;
        let mut given = Stream::new(subject)?;
        given.evolve(&history).map_err(|error| format!("given: {error}"))?;
        let commands = case.steps.iter().map(|step| self.sent(&step.when)).collect::<Result<Vec<_>, _>>()?;

        let mut differences = Vec::new();
        let (mut one_by_one, mut outcomes) = (given.clone(), Vec::new());
        for (number, (step, command)) in (1..).zip(case.steps.iter().zip(&commands)) {
            let place = if case.steps.len() == 1 { String::new() } else { format!("step {number}: ") };
            let outcome = decide_one(&mut one_by_one, command, &place, &mut differences)?;
            differences.extend(step.expected.differences(&place, &outcome));
            history.extend(outcome.iter().flatten().cloned());
            outcomes.push(outcome);
        }

        let mut at_once = given;
        let outcomes_at_once = at_once.decide(commands)?;
        if (&at_once.stored, &outcomes_at_once) != (&one_by_one.stored, &outcomes) {
            differences.push(format!(
                "decided in one turn the commands lead to {}, instead of {} as one by one",
                ending(&outcomes_at_once, &at_once),
                ending(&outcomes, &one_by_one)
            ));
        }
        let mut refolded = Stream::new(subject)?;
        refolded.evolve(&history)?;
        differences.extend(same_state("all events, folded at once, give", &one_by_one, &refolded));
        Ok(differences)
    }

    fn sent(&self, command: &Message<Sent>) -> Result<(CommandContext, Encoded), String> {
        let (sent, defaults) = (&command.beside, &self.defaults);
        let or = |own: &Option<String>, default: &String| own.as_ref().unwrap_or(default).clone();
        let context = CommandContext {
            id: or(&sent.id, &defaults.id),
            routing_key: or(&sent.account, &defaults.account),
            actor: or(&sent.actor, &defaults.actor),
            accepted_at: sent.at.unwrap_or(defaults.at),
        };
        Ok((context, command.encoded()?))
    }
}

/// Decides one command and checks what must hold whatever the case expects.
fn decide_one(
    stream: &mut Stream<'_>,
    command: &(CommandContext, Encoded),
    place: &str,
    differences: &mut Vec<String>,
) -> Result<Outcome, String> {
    let mut folded = stream.clone();
    let outcomes = stream.decide(vec![command.clone()]).map_err(|error| format!("{place}{error}"))?;
    let Ok([outcome]) = <[Outcome; 1]>::try_from(outcomes) else {
        return Err(format!("{place}one command did not get one outcome"));
    };
    let difference = match &outcome {
        Err(_) => same_state(&format!("{place}the rejected command left behind"), &folded, stream),
        Ok(events) => {
            folded.evolve(events).map_err(|error| format!("{place}{error}"))?;
            same_state(&format!("{place}`evolve` gives for the events"), stream, &folded)
        }
    };
    differences.extend(difference);
    Ok(outcome)
}

fn same_state(what: &str, expected: &Stream<'_>, got: &Stream<'_>) -> Option<String> {
    (expected.stored != got.stored)
        .then(|| format!("{what} the state {}, instead of {}", got.shown(), expected.shown()))
}

impl Expected {
    fn differences(&self, place: &str, outcome: &Outcome) -> Vec<String> {
        match (self, outcome) {
            (Self::Rejected(expected), Err(rejection)) if *expected == rejection.code => Vec::new(),
            (Self::Events(expected), Ok(events)) if expected.len() == events.len() => (1..)
                .zip(expected.iter().zip(events))
                .flat_map(|(number, (expected, got))| {
                    expected.differences(&format!("{place}event {number}"), got)
                })
                .collect(),
            _ => vec![format!("{place}expected {}, got {}", self.shown(), shown(outcome))],
        }
    }

    fn shown(&self) -> String {
        match self {
            Self::Rejected(code) => format!("rejected: {code}"),
            Self::Events(events) => listed(events.iter().map(Message::name)),
        }
    }
}

fn shown(outcome: &Outcome) -> String {
    match outcome {
        Err(rejection) => format!("rejected: {} ({})", rejection.code, rejection.detail),
        Ok(events) => {
            let shown = |event: &Encoded| {
                format!("{} {}", written_name(&event.kind, event.schema_version), readable(&event.payload))
            };
            listed(events.iter().map(shown))
        }
    }
}

/// Formats the outcomes of commands and the state after them.
fn ending(outcomes: &[Outcome], stream: &Stream<'_>) -> String {
    let outcomes: Vec<String> = outcomes.iter().map(shown).collect();
    format!("{}; and the state {}", outcomes.join("; "), stream.shown())
}

fn listed(events: impl Iterator<Item = String>) -> String {
    let events: Vec<String> = events.collect();
    if events.is_empty() { "no event".to_owned() } else { events.join(", ") }
}
