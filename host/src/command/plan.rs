//! Plans a batch, purely: which commands are repeats, which are to be decided, and what to append for them.

use std::collections::BTreeMap;

use clearfold_kernel::Timestamp;

use super::{Answer, Command, CommandError};
use crate::digest::Digest;
use crate::event_store::{Answered, Append, InboxEntry, NewEvent, StreamAppend, StreamHead};
use crate::runtime::{Message, Outcome};

/// What becomes of one command before it is decided.
#[derive(Debug, Clone)]
pub(super) enum Place {
    /// Answered now.
    Answered(Result<Answer, CommandError>),
    /// The same as an earlier command of the batch, and answered like it.
    Like(usize),
    /// To be decided.
    Decide,
}

/// A batch of commands, sorted out.
pub(super) struct Plan {
    /// One for each command.
    pub places: Vec<Place>,
    /// The commands to be decided, by stream; the streams in the order in which they came.
    pub turns: Vec<StreamTurn>,
}

/// The commands of one stream, as indexes into the batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct StreamTurn {
    pub stream: String,
    pub aggregate: String,
    /// The first command that named the stream.
    pub first: usize,
    pub commands: Vec<usize>,
}

/// What a stream's commands came to.
pub(super) struct StreamOutcome {
    pub turn: StreamTurn,
    pub version: u64,
    pub digest: Digest,
    /// One for each command of the turn.
    pub outcomes: Vec<Result<Outcome, CommandError>>,
}

impl Plan {
    pub(super) fn new(commands: &[Command], answered: Vec<Answered>) -> Self {
        let answered: BTreeMap<String, Answered> =
            answered.into_iter().map(|entry| (entry.idempotency_key.clone(), entry)).collect();
        let mut first_with_key: BTreeMap<&str, usize> = BTreeMap::new();
        let mut plan = Self { places: Vec::with_capacity(commands.len()), turns: Vec::new() };
        for (index, command) in commands.iter().enumerate() {
            let first = *first_with_key.entry(&command.idempotency_key).or_insert(index);
            let place = if let Some(known) = answered.get(&command.idempotency_key) {
                Place::Answered(repeated(command, known))
            } else if first == index {
                plan.add(index, command);
                Place::Decide
            } else if commands[first].body_digest() == command.body_digest() {
                Place::Like(first)
            } else {
                Place::Answered(Err(CommandError::KeyReused { key: command.idempotency_key.clone() }))
            };
            plan.places.push(place);
        }
        plan
    }

    fn add(&mut self, index: usize, command: &Command) {
        let stream = command.stream();
        match self.turns.iter_mut().find(|turn| turn.stream == stream) {
            Some(turn) => turn.commands.push(index),
            None => self.turns.push(StreamTurn {
                stream,
                aggregate: command.aggregate.clone(),
                first: index,
                commands: vec![index],
            }),
        }
    }
}

/// Takes out the commands for streams that live elsewhere: in another partition, or under another account.
pub(super) fn take_foreign(
    commands: &[Command],
    turns: &mut Vec<StreamTurn>,
    heads: &BTreeMap<String, StreamHead>,
    partition: u32,
) -> BTreeMap<usize, Result<Answer, CommandError>> {
    let mut answers = BTreeMap::new();
    for turn in turns.iter_mut() {
        let head = heads.get(&turn.stream);
        turn.commands.retain(|index| {
            let given = &commands[*index].routing_key;
            // A new stream belongs to the account that opens it.
            let owner = head.map_or(&commands[turn.first].routing_key, |head| &head.routing_key);
            let at_home = owner == given && head.is_none_or(|head| head.partition == partition);
            if !at_home {
                let (stream, owner) = (turn.stream.clone(), owner.clone());
                let error = CommandError::AccountMismatch { stream, owner, given: given.clone() };
                answers.insert(*index, Err(error));
            }
            at_home
        });
    }
    turns.retain(|turn| !turn.commands.is_empty());
    answers
}

fn repeated(command: &Command, known: &Answered) -> Result<Answer, CommandError> {
    if known.body_digest != command.body_digest() {
        return Err(CommandError::KeyReused { key: command.idempotency_key.clone() });
    }
    serde_json::from_value(known.answer.clone())
        .map_err(|error| CommandError::Unavailable(format!("the stored answer cannot be read: {error}")))
}

/// What to append for the outcomes, and the answers that will be true once it is. A command that was not decided
/// because a component failed leaves nothing behind, so it can be sent again when the component is mended.
pub(super) fn settle(
    commands: &[Command],
    outcomes: Vec<StreamOutcome>,
    now: Timestamp,
) -> (Append, BTreeMap<usize, Result<Answer, CommandError>>) {
    let mut append = Append::default();
    let mut answers = BTreeMap::new();
    for StreamOutcome { turn, version, digest, outcomes } in outcomes {
        let mut events: Vec<NewEvent> = Vec::new();
        for (index, outcome) in turn.commands.iter().zip(outcomes) {
            let command = &commands[*index];
            let answer = outcome.map(|outcome| match outcome {
                Outcome::Accepted(messages) => {
                    let kinds = messages.iter().map(|message| message.type_.clone()).collect();
                    events
                        .extend(messages.into_iter().map(|message| new_event(command, message, digest, now)));
                    let stream_version = version.saturating_add(events.len() as u64);
                    Answer::Accepted { stream: turn.stream.clone(), stream_version, events: kinds }
                }
                Outcome::Rejected(rejection) => {
                    Answer::Rejected { code: rejection.code, detail: rejection.detail }
                }
            });
            if let Ok(answer) = &answer {
                append.inbox.push(inbox_entry(command, answer));
            }
            answers.insert(*index, answer);
        }
        if !events.is_empty() {
            let routing_key = commands[turn.first].routing_key.clone();
            append.streams.push(StreamAppend {
                stream: turn.stream,
                routing_key,
                expected_version: version,
                events,
            });
        }
    }
    (append, answers)
}

fn new_event(
    command: &Command,
    message: Message,
    component_digest: Digest,
    recorded_at: Timestamp,
) -> NewEvent {
    NewEvent {
        kind: message.type_,
        schema_version: message.schema_version,
        payload: message.payload,
        correlation_id: command.correlation_id(),
        causation_id: command.correlation_id(),
        actor: command.actor.clone(),
        component_digest,
        recorded_at,
    }
}

fn inbox_entry(command: &Command, answer: &Answer) -> InboxEntry {
    InboxEntry {
        idempotency_key: command.idempotency_key.clone(),
        body_digest: command.body_digest(),
        // An enum of strings and numbers always has a JSON form.
        answer: serde_json::to_value(answer).unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::Rejection;

    fn command(key: &str, id: &str, payload: &str) -> Command {
        Command {
            idempotency_key: key.into(),
            aggregate: "authorization".into(),
            id: id.into(),
            routing_key: "0xaa".into(),
            kind: "RecordSwipe".into(),
            schema_version: 1,
            payload: payload.into(),
            actor: "test".into(),
        }
    }

    fn accepted(kind: &str) -> Result<Outcome, CommandError> {
        Ok(Outcome::Accepted(vec![Message { type_: kind.into(), schema_version: 1, payload: vec![] }]))
    }

    fn outcome(plan: &Plan, outcomes: Vec<Result<Outcome, CommandError>>) -> StreamOutcome {
        StreamOutcome { turn: plan.turns[0].clone(), version: 3, digest: Digest([7; 32]), outcomes }
    }

    #[test]
    fn commands_of_a_stream_share_a_turn_in_their_order() {
        let commands = [command("1", "a", ""), command("2", "b", ""), command("3", "a", "")];
        let plan = Plan::new(&commands, Vec::new());
        let turns: Vec<_> = plan.turns.iter().map(|turn| (turn.stream.as_str(), &turn.commands)).collect();
        assert_eq!(turns, [("authorization-a", &vec![0, 2]), ("authorization-b", &vec![1])]);
    }

    #[test]
    fn a_repeat_gets_the_stored_answer_and_is_not_decided() {
        let sent = command("1", "a", "x");
        let answer = Answer::Rejected { code: "no".into(), detail: "never".into() };
        let InboxEntry { idempotency_key, body_digest, answer: stored } = inbox_entry(&sent, &answer);
        let stored = Answered { idempotency_key, body_digest: body_digest.to_vec(), answer: stored };
        let plan = Plan::new(&[sent, command("1", "a", "y")], vec![stored]);
        assert!(matches!(&plan.places[0], Place::Answered(Ok(repeat)) if *repeat == answer));
        assert!(matches!(&plan.places[1], Place::Answered(Err(CommandError::KeyReused { .. }))));
        assert_eq!(plan.turns, []);
    }

    #[test]
    fn a_repeat_within_the_batch_follows_the_first() {
        let commands = [command("1", "a", "x"), command("1", "a", "x"), command("1", "a", "y")];
        let plan = Plan::new(&commands, Vec::new());
        assert!(matches!(plan.places[0], Place::Decide));
        assert!(matches!(plan.places[1], Place::Like(0)));
        assert!(matches!(plan.places[2], Place::Answered(Err(CommandError::KeyReused { .. }))));
    }

    #[test]
    fn versions_count_on_from_the_stream_and_only_answers_are_kept() {
        let commands = [command("1", "a", ""), command("2", "a", ""), command("3", "a", "")];
        let plan = Plan::new(&commands, Vec::new());
        let rejection = Rejection { code: "no".into(), detail: "never".into() };
        let outcomes = vec![
            accepted("One"),
            Ok(Outcome::Rejected(rejection)),
            Err(CommandError::Component("trap".into())),
        ];
        let now = Timestamp::from_s(1).unwrap();
        let (append, answers) = settle(&commands, vec![outcome(&plan, outcomes)], now);
        assert!(matches!(answers[&0], Ok(Answer::Accepted { stream_version: 4, .. })));
        assert!(matches!(answers[&1], Ok(Answer::Rejected { .. })));
        assert!(matches!(answers[&2], Err(CommandError::Component(_))));
        assert_eq!((append.streams[0].expected_version, append.streams[0].events.len()), (3, 1));
        let keys: Vec<_> = append.inbox.iter().map(|entry| entry.idempotency_key.as_str()).collect();
        assert_eq!(keys, ["1", "2"]);
    }

    #[test]
    fn a_stream_that_lives_elsewhere_is_not_decided_here() {
        let other = |key: &str, id: &str| Command { routing_key: "0xbb".into(), ..command(key, id, "") };
        let commands = [command("1", "a", ""), other("2", "a"), command("3", "b", ""), other("4", "c")];
        let head = |partition, key: &str| StreamHead { partition, routing_key: key.into(), version: 1 };
        let heads = BTreeMap::from([
            ("authorization-a".to_owned(), head(1, "0xaa")),
            ("authorization-b".to_owned(), head(2, "0xaa")),
        ]);
        let mut turns = Plan::new(&commands, Vec::new()).turns;
        let answers = take_foreign(&commands, &mut turns, &heads, 1);
        assert_eq!(answers.keys().copied().collect::<Vec<_>>(), [1, 2]);
        assert!(answers.values().all(|answer| matches!(answer, Err(CommandError::AccountMismatch { .. }))));
        assert_eq!(turns.iter().flat_map(|turn| turn.commands.clone()).collect::<Vec<_>>(), [0, 3]);
    }

    #[test]
    fn different_commands_never_have_the_same_digest() {
        let shifted = Command { id: "ax".into(), payload: vec![], ..command("1", "a", "x") };
        assert_ne!(shifted.body_digest(), command("1", "a", "x").body_digest());
    }
}
