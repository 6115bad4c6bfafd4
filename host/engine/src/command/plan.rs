//! Sorts out commands that came together, purely: which were answered before, which live elsewhere, and which are to
//! be decided, stream by stream.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::queued::Queued;
use super::{Answer, Command, CommandError};
use clearfold_store::{Answered, StreamHead};

/// The answer of a command, by its index.
pub(super) type Known = (usize, Result<Answer, CommandError>);

/// The commands of one stream, as indexes into the chunk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct StreamTurn {
    pub stream: String,
    pub aggregate: String,
    /// The account of the first of them.
    pub routing_key: String,
    /// At least one, in the order in which they came.
    pub commands: Vec<usize>,
}

/// Takes out the commands whose key is on its way already: they hear what comes of it when it is committed.
pub(super) fn take_repeats(chunk: &mut Vec<Queued>, is_on_its_way: impl Fn(&str) -> bool) -> Vec<Queued> {
    let mut seen = BTreeSet::new();
    let repeats = chunk.extract_if(.., |queued| {
        let key = &queued.command.idempotency_key;
        is_on_its_way(key) || !seen.insert(key.clone())
    });
    repeats.collect()
}

/// The answers that are known, and the turns of the other commands; the streams in the order in which they came. Each
/// key stands once.
pub(super) fn sort_out(commands: &[Arc<Command>], answered: Vec<Answered>) -> (Vec<Known>, Vec<StreamTurn>) {
    let answered: BTreeMap<String, Answered> =
        answered.into_iter().map(|entry| (entry.idempotency_key.clone(), entry)).collect();
    let mut places: BTreeMap<String, usize> = BTreeMap::new();
    let (mut known, mut turns) = (Vec::new(), Vec::<StreamTurn>::new());
    for (index, command) in commands.iter().enumerate() {
        if let Some(answered) = answered.get(&command.idempotency_key) {
            known.push((index, repeated(command, answered)));
            continue;
        }
        let stream = command.stream();
        let place = *places.entry(stream.clone()).or_insert(turns.len());
        if place == turns.len() {
            let (aggregate, routing_key) = (command.aggregate.clone(), command.routing_key.clone());
            turns.push(StreamTurn { stream, aggregate, routing_key, commands: Vec::new() });
        }
        turns[place].commands.push(index);
    }
    (known, turns)
}

/// Takes out the commands for streams that live elsewhere: in another partition, or under another account. A new
/// stream belongs to the account that opens it.
pub(super) fn take_foreign(
    commands: &[Arc<Command>],
    turns: &mut Vec<StreamTurn>,
    heads: &BTreeMap<String, StreamHead>,
    partition: u32,
) -> Vec<Known> {
    let mut known = Vec::new();
    for turn in turns.iter_mut() {
        let head = heads.get(&turn.stream);
        let owner = head.map_or(&turn.routing_key, |head| &head.routing_key);
        let is_here = head.is_none_or(|head| head.partition == partition);
        let foreign =
            turn.commands.extract_if(.., |index| !is_here || commands[*index].routing_key != *owner);
        known.extend(foreign.map(|index| {
            let (stream, owner, given) =
                (turn.stream.clone(), owner.clone(), commands[index].routing_key.clone());
            (index, Err(CommandError::AccountMismatch { stream, owner, given }))
        }));
    }
    turns.retain(|turn| !turn.commands.is_empty());
    known
}

/// What a command hears that was answered before.
pub(super) fn repeated(command: &Command, known: &Answered) -> Result<Answer, CommandError> {
    if known.body_digest != command.body_digest() {
        return Err(CommandError::KeyReused { key: command.idempotency_key.clone() });
    }
    serde_json::from_value(known.answer.clone())
        .map_err(|error| CommandError::Unavailable(format!("the stored answer cannot be read: {error}")))
}

#[cfg(test)]
mod tests {
    use tokio::sync::{Semaphore, oneshot};

    use super::*;

    fn command(key: &str, id: &str, payload: &str) -> Arc<Command> {
        Arc::new(of_account("0xaa", key, id, payload))
    }

    fn of_account(account: &str, key: &str, id: &str, payload: &str) -> Command {
        Command {
            idempotency_key: key.into(),
            aggregate: "authorization".into(),
            id: id.into(),
            routing_key: account.into(),
            kind: "RecordSwipe".into(),
            schema_version: 1,
            payload: payload.into(),
            actor: "test".into(),
        }
    }

    #[test]
    fn commands_of_a_stream_share_a_turn_in_their_order() {
        let commands = [command("1", "a", ""), command("2", "b", ""), command("3", "a", "")];
        let (known, turns) = sort_out(&commands, Vec::new());
        let turns: Vec<_> = turns.iter().map(|turn| (turn.stream.as_str(), &turn.commands)).collect();
        assert!(known.is_empty());
        assert_eq!(turns, [("authorization-a", &vec![0, 2]), ("authorization-b", &vec![1])]);
    }

    #[test]
    fn a_repeat_gets_the_stored_answer_and_is_not_decided() {
        let answer = Answer::Rejected { code: "no".into(), detail: "never".into() };
        let sent = command("1", "a", "x");
        let stored = Answered {
            idempotency_key: "1".into(),
            body_digest: sent.body_digest().to_vec(),
            answer: serde_json::to_value(&answer).unwrap(),
        };
        let (known, turns) = sort_out(&[sent], vec![stored.clone()]);
        assert!(matches!(&known[..], [(0, Ok(repeat))] if *repeat == answer));
        let (known, _) = sort_out(&[command("1", "a", "y")], vec![stored]);
        assert!(matches!(&known[..], [(0, Err(CommandError::KeyReused { .. }))]));
        assert_eq!(turns, []);
    }

    #[test]
    fn a_key_that_is_on_its_way_waits_for_what_comes_of_it() {
        let queued = |key: &str| {
            let (sender, _receiver) = oneshot::channel();
            let room = Arc::new(Semaphore::new(1)).try_acquire_owned().unwrap();
            Queued::new(of_account("0xaa", key, "a", ""), sender, room)
        };
        let mut chunk = vec![queued("1"), queued("2"), queued("1"), queued("3")];
        let repeats = take_repeats(&mut chunk, |key| key == "3");
        let keys = |queued: &[Queued]| -> Vec<String> {
            queued.iter().map(|queued| queued.command.idempotency_key.clone()).collect()
        };
        assert_eq!(
            (keys(&chunk), keys(&repeats)),
            (vec!["1".into(), "2".into()], vec!["1".into(), "3".into()])
        );
    }

    #[test]
    fn a_stream_that_lives_elsewhere_is_not_decided_here() {
        let other = |key: &str, id: &str| Arc::new(of_account("0xbb", key, id, ""));
        let commands = [command("1", "a", ""), other("2", "a"), command("3", "b", ""), other("4", "c")];
        let head = |partition, key: &str| StreamHead { partition, routing_key: key.into(), version: 1 };
        let heads = BTreeMap::from([
            ("authorization-a".to_owned(), head(1, "0xaa")),
            ("authorization-b".to_owned(), head(2, "0xaa")),
        ]);
        let (_, mut turns) = sort_out(&commands, Vec::new());
        let known = take_foreign(&commands, &mut turns, &heads, 1);
        let indexes: Vec<usize> = known.iter().map(|(index, _)| *index).collect();
        assert_eq!(indexes, [1, 2]);
        assert!(known.iter().all(|(_, answer)| matches!(answer, Err(CommandError::AccountMismatch { .. }))));
        assert_eq!(turns.iter().flat_map(|turn| turn.commands.clone()).collect::<Vec<_>>(), [0, 3]);
    }

    #[test]
    fn different_commands_never_have_the_same_digest() {
        let shifted = Command { id: "ax".into(), payload: vec![], ..of_account("0xaa", "1", "a", "x") };
        assert_ne!(shifted.body_digest(), command("1", "a", "x").body_digest());
    }
}
