//! Pure sorting of commands that came together: those answered before, those of streams that live elsewhere, and those
//! to decide, stream by stream.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use super::queued::{Queued, Resolved};
use super::{Answer, Command, CommandError};
use clearfold_store::Answered;

/// Commands of one stream that are decided in one call, with the channels of their answers.
pub(super) struct QueuedTurn {
    pub stream: String,
    pub aggregate: String,
    /// Account of the first of them.
    pub routing_key: String,
    /// At least one, in the order in which they came.
    pub commands: Vec<KeyedCommand>,
}

/// Command of a stream's turn.
pub(super) struct KeyedCommand {
    pub queued: Queued,
    /// Place among all the commands that came together.
    pub place: usize,
    /// Keys of the entries that it names.
    pub keys: Vec<String>,
}

/// Partition and account that a stream belongs to.
pub(super) struct Home<'a> {
    pub partition: u32,
    pub routing_key: &'a str,
}

impl QueuedTurn {
    /// Gives all its commands one answer.
    pub(super) fn refused(self, error: &CommandError) -> impl Iterator<Item = Resolved> {
        self.commands.into_iter().map(|command| (command.queued, Err(error.clone())))
    }
}

/// Takes out the commands whose key is on its way already: they hear the answer that is committed for it.
pub(super) fn take_repeats(commands: &mut Vec<Queued>, is_on_its_way: impl Fn(&str) -> bool) -> Vec<Queued> {
    let mut seen = BTreeSet::new();
    let repeats = commands.extract_if(.., |queued| {
        let key = &queued.command.idempotency_key;
        is_on_its_way(key) || !seen.insert(key.clone())
    });
    repeats.collect()
}

/// Splits commands, each with a key of its own, into those whose answer is resolved and the turns of the others; the
/// streams stand in the order in which they came. `keys` has the entries' keys of each command, or the reason why a
/// component could not name them.
pub(super) fn sort_out(
    commands: Vec<Queued>,
    keys: Vec<Result<Vec<String>, CommandError>>,
    answered: Vec<Answered>,
) -> (Vec<Resolved>, Vec<QueuedTurn>) {
    let answered: BTreeMap<String, Answered> =
        answered.into_iter().map(|entry| (entry.idempotency_key.clone(), entry)).collect();
    let mut places: BTreeMap<String, usize> = BTreeMap::new();
    let (mut resolved, mut turns) = (Vec::new(), Vec::<QueuedTurn>::new());
    for (place, (queued, keys)) in commands.into_iter().zip(keys).enumerate() {
        let command = &queued.command;
        if let Some(answered) = answered.get(&command.idempotency_key) {
            let answer = repeated(command, answered);
            resolved.push((queued, answer));
            continue;
        }
        let keys = match keys {
            Ok(keys) => keys,
            Err(error) => {
                resolved.push((queued, Err(error)));
                continue;
            }
        };
        let stream = command.stream();
        let turn = *places.entry(stream.clone()).or_insert(turns.len());
        if turn == turns.len() {
            let (aggregate, routing_key) = (command.aggregate.clone(), command.routing_key.clone());
            turns.push(QueuedTurn { stream, aggregate, routing_key, commands: Vec::new() });
        }
        turns[turn].commands.push(KeyedCommand { queued, place, keys });
    }
    (resolved, turns)
}

/// Takes out the commands for streams that live elsewhere: in another partition, or under another account. A new
/// stream belongs to the account that opens it.
pub(super) fn take_foreign<'a>(
    turns: &mut Vec<QueuedTurn>,
    partition: u32,
    home: impl Fn(&str) -> Option<Home<'a>>,
) -> Vec<Resolved> {
    let mut resolved = Vec::new();
    for turn in turns.iter_mut() {
        let home = home(&turn.stream);
        let is_here = home.as_ref().is_none_or(|home| home.partition == partition);
        let owner = home.map_or(turn.routing_key.as_str(), |home| home.routing_key);
        let foreign =
            turn.commands.extract_if(.., |command| !is_here || command.queued.command.routing_key != owner);
        resolved.extend(foreign.map(|KeyedCommand { queued, .. }| {
            let (stream, owner, given) =
                (turn.stream.clone(), owner.to_owned(), queued.command.routing_key.clone());
            (queued, Err(CommandError::AccountMismatch { stream, owner, given }))
        }));
    }
    turns.retain(|turn| !turn.commands.is_empty());
    resolved
}

/// Commands of turns in the order in which they came.
pub(super) fn in_order(turns: Vec<QueuedTurn>) -> Vec<Queued> {
    let mut commands: Vec<KeyedCommand> = turns.into_iter().flat_map(|turn| turn.commands).collect();
    commands.sort_by_key(|command| command.place);
    commands.into_iter().map(|command| command.queued).collect()
}

/// Answer of a command whose key was answered before.
pub(super) fn repeated(command: &Command, answered: &Answered) -> Result<Answer, CommandError> {
    if answered.body_digest != command.body_digest() {
        return Err(CommandError::KeyReused { key: command.idempotency_key.clone() });
    }
    Answer::deserialize(&answered.answer)
        .map_err(|error| CommandError::Unavailable(format!("the stored answer cannot be read: {error}")))
}

#[cfg(test)]
mod tests {
    use super::super::queued::tests::{command, keys, queued, waiting};
    use super::*;

    /// Sorts commands that name no entries.
    fn sorted(commands: Vec<Queued>, answered: Vec<Answered>) -> (Vec<Resolved>, Vec<QueuedTurn>) {
        let named = commands.iter().map(|_| Ok(Vec::new())).collect();
        sort_out(commands, named, answered)
    }

    fn keys_of(turn: &QueuedTurn) -> Vec<&str> {
        keys(turn.commands.iter().map(|command| &command.queued))
    }

    #[test]
    fn commands_of_a_stream_share_a_turn_in_their_order() {
        let (resolved, turns) =
            sorted(vec![queued("1", "a"), queued("2", "b"), queued("3", "a")], Vec::new());
        let streams: Vec<_> = turns.iter().map(|turn| (turn.stream.as_str(), keys_of(turn))).collect();
        assert!(resolved.is_empty());
        assert_eq!(streams, [("authorization-a", vec!["1", "3"]), ("authorization-b", vec!["2"])]);
        assert_eq!(keys(&in_order(turns)), ["1", "2", "3"]);
    }

    #[test]
    fn a_repeat_gets_the_stored_answer_and_is_not_decided() {
        let answer = Answer::Rejected { code: "no".into(), detail: "never".into() };
        let sent = command("0xaa", "1", "a", "x");
        let stored = Answered {
            idempotency_key: "1".into(),
            body_digest: sent.body_digest().to_vec(),
            answer: serde_json::to_value(&answer).unwrap(),
        };
        let (resolved, turns) = sorted(vec![waiting(sent).0], vec![stored.clone()]);
        assert!(matches!(&resolved[..], [(_, Ok(repeat))] if *repeat == answer));
        assert!(turns.is_empty());
        let (resolved, turns) = sorted(vec![waiting(command("0xaa", "1", "a", "y")).0], vec![stored]);
        assert!(matches!(&resolved[..], [(_, Err(CommandError::KeyReused { .. }))]));
        assert!(turns.is_empty());
    }

    #[test]
    fn a_command_whose_entries_cannot_be_named_fails_alone_unless_it_was_answered_before() {
        let failed = || Err(CommandError::Component("no".into()));
        let commands = vec![queued("1", "a"), queued("2", "a"), queued("3", "a")];
        let answered = Answered {
            idempotency_key: "1".into(),
            body_digest: commands[0].command.body_digest().to_vec(),
            answer: serde_json::json!({"outcome": "rejected", "code": "no", "detail": ""}),
        };
        let (resolved, turns) =
            sort_out(commands, vec![failed(), failed(), Ok(vec!["k".into()])], vec![answered]);
        assert!(matches!(&resolved[..], [(_, Ok(_)), (_, Err(CommandError::Component(_)))]));
        let [turn] = &turns[..] else { panic!("{} turns", turns.len()) };
        assert_eq!((keys_of(turn), &turn.commands[0].keys), (vec!["3"], &vec!["k".to_owned()]));
    }

    #[test]
    fn a_key_that_is_on_its_way_waits_for_its_outcome() {
        let mut commands = vec![queued("1", "a"), queued("2", "a"), queued("1", "a"), queued("3", "a")];
        let repeats = take_repeats(&mut commands, |key| key == "3");
        assert_eq!((keys(&commands), keys(&repeats)), (vec!["1", "2"], vec!["1", "3"]));
    }

    #[test]
    fn a_stream_that_lives_elsewhere_is_not_decided_here() {
        let other = |key: &str, id: &str| waiting(command("0xbb", key, id, "")).0;
        let commands = vec![queued("1", "a"), other("2", "a"), queued("3", "b"), other("4", "c")];
        let (_, mut turns) = sorted(commands, Vec::new());
        let resolved = take_foreign(&mut turns, 1, |stream| match stream {
            "authorization-a" => Some(Home { partition: 1, routing_key: "0xaa" }),
            "authorization-b" => Some(Home { partition: 2, routing_key: "0xaa" }),
            _ => None,
        });
        assert_eq!(keys(resolved.iter().map(|(queued, _)| queued)), ["2", "3"]);
        assert!(
            resolved.iter().all(|(_, answer)| matches!(answer, Err(CommandError::AccountMismatch { .. })))
        );
        assert_eq!(keys(&in_order(turns)), ["1", "4"]);
    }

    #[test]
    fn different_commands_never_have_the_same_digest() {
        let shifted = Command { id: "ax".into(), payload: vec![], ..command("0xaa", "1", "a", "x") };
        assert_ne!(shifted.body_digest(), command("0xaa", "1", "a", "x").body_digest());
    }
}
