//! Pipeline of a leading writer: commands in the backlog, in the next batch and in flight, and what each step changes.
//! Pure.

use std::collections::{BTreeSet, VecDeque};
use std::mem;

use clearfold_kernel::Timestamp;

use super::batch::Batch;
use super::decide::DecidedTurn;
use super::failure::Failure;
use super::planner::{Chunk, View};
use super::queued::{Queued, Resolved};
use super::sort::{QueuedTurn, take_repeats};
use super::state::{States, StreamState};
use super::{CommandError, Deciders};
use crate::saga::follow;

/// Number of batches of a command that may fail before its caller is told.
const MAX_FAILURES: u32 = 5;

/// Commands of a partition between its queue and their commit.
pub(super) struct Pipeline {
    batch_size: usize,
    /// Names of the effects that this host offers to instances that begin.
    offered: Vec<String>,
    is_closed: bool,
    in_flight: Option<LaunchedBatch>,
    next: Batch,
    /// Commands that follow from those of `next`, and are committed with them.
    follow_ups: Vec<Queued>,
    /// Commands that come before those in the queue: they came earlier, and are not committed.
    backlog: VecDeque<Queued>,
    /// Repeats of commands that are on their way: they hear the answer that is committed.
    repeats: Vec<Queued>,
    /// Commands of the in-flight batch that failed to commit.
    uncommitted: Vec<Queued>,
    /// Commands that could not be decided when the leadership ended.
    undecided: Vec<Queued>,
}

/// Batch in flight, as far as the commands behind it must know it.
struct LaunchedBatch {
    states: States,
    keys: BTreeSet<String>,
}

impl Pipeline {
    /// Pipeline that begins with `again`, which were not committed by an earlier leadership.
    pub(super) fn new(batch_size: usize, offered: Vec<String>, next: Batch, again: Vec<Queued>) -> Self {
        Self {
            batch_size,
            offered,
            is_closed: false,
            in_flight: None,
            next,
            follow_ups: Vec::new(),
            backlog: again.into(),
            repeats: Vec::new(),
            uncommitted: Vec::new(),
            undecided: Vec::new(),
        }
    }

    pub(super) fn view(&self, is_takeover_due: bool, is_timer_due: bool) -> View {
        let is_resolved = |queued: &&Queued| !self.is_on_its_way(&queued.command.idempotency_key);
        View {
            is_takeover_due,
            is_closed: self.is_closed,
            is_in_flight: self.in_flight.is_some(),
            batch_size: self.batch_size,
            next: self.next.len(),
            is_next_alone: self.next.is_alone(),
            repeats: self.repeats.len(),
            // A batch takes no more than its size, so no more need be counted.
            resolved_repeats: self.repeats.iter().filter(is_resolved).take(self.batch_size).count(),
            backlog: self.backlog.len(),
            is_first_alone: self.backlog.front().is_some_and(|queued| queued.alone),
            together: self.backlog.iter().take(self.batch_size).take_while(|queued| !queued.alone).count(),
            has_follow_ups: !self.follow_ups.is_empty(),
            is_timer_due,
        }
    }

    fn is_on_its_way(&self, key: &str) -> bool {
        is_on_its_way(&self.next, self.in_flight.as_ref(), key)
    }

    /// Newest state of a stream as it will be when everything that is on its way is committed.
    pub(super) fn state(&self, stream: &str) -> Option<&StreamState> {
        let in_flight = || self.in_flight.as_ref()?.states.get(stream);
        self.next.states.get(stream).or_else(in_flight)
    }

    /// Takes commands from the queue.
    pub(super) fn received(&mut self, commands: Vec<Queued>) {
        self.backlog.extend(commands);
    }

    /// Notes that the queue is closed and empty.
    pub(super) fn closed(&mut self) {
        self.is_closed = true;
    }

    /// Takes out the commands of a chunk. Those whose key is on its way, or stands twice, become repeats.
    pub(super) fn take(&mut self, chunk: Chunk) -> Vec<Queued> {
        let on_its_way = |queued: &Queued| {
            is_on_its_way(&self.next, self.in_flight.as_ref(), &queued.command.idempotency_key)
        };
        let mut commands: Vec<Queued> = match chunk {
            // Each has a key of its own, which follows from the step of the saga.
            Chunk::FollowUps => return mem::take(&mut self.follow_ups),
            Chunk::Alone => self.backlog.pop_front().into_iter().collect(),
            Chunk::Together { repeats, backlog } => {
                let resolved = self.repeats.extract_if(.., |queued| !on_its_way(queued)).take(repeats);
                let mut commands: Vec<Queued> = resolved.collect();
                commands.extend(self.backlog.drain(..backlog.min(self.backlog.len())));
                commands
            }
        };
        let (next, in_flight) = (&self.next, self.in_flight.as_ref());
        let repeats = take_repeats(&mut commands, |key| is_on_its_way(next, in_flight, key));
        self.repeats.extend(repeats);
        commands
    }

    /// Time at which commands are decided now: one for the whole batch, and never before that of an earlier one.
    pub(super) fn decision_time(&mut self, now: Timestamp) -> Timestamp {
        if self.next.is_empty() {
            self.next.now = self.next.now.max(now);
        }
        self.next.now
    }

    /// Adds what was decided to the next batch, with what follows from it. Returns the commands that do not join it,
    /// with their answers.
    pub(super) fn decided(
        &mut self,
        turn: QueuedTurn,
        decided: DecidedTurn,
        deciders: &Deciders,
    ) -> Result<Vec<Resolved>, Failure> {
        let (follow_ups, failed) = self.next.add(turn, decided, deciders, &self.offered);
        self.follow_ups.extend(follow_ups);
        self.resolved(failed)
    }

    /// Sorts commands that were resolved without joining the batch: those of senders are returned; of those that
    /// follow from the batch, a step hears that its command failed.
    pub(super) fn resolved(&mut self, resolved: Vec<Resolved>) -> Result<Vec<Resolved>, Failure> {
        let (failed, resolved): (Vec<Resolved>, Vec<Resolved>) =
            resolved.into_iter().partition(|(queued, _)| queued.is_follow_up());
        for (queued, answer) in failed {
            let error = answer.err().unwrap_or_else(|| CommandError::Internal("no error".to_owned()));
            match follow::failed_child(&queued.command, &queued.origin, &error) {
                Some(Ok((command, origin))) => self.follow_ups.push(Queued::of_host(command, origin)),
                Some(Err(why)) => return Err(Failure::Broken(why)),
                None => return Err(Failure::FollowUp(error)),
            }
        }
        Ok(resolved)
    }

    /// Notes that something that follows from the next batch could not be decided, so that the batch cannot be
    /// committed. Returns the commands that are given up.
    pub(super) fn next_failed(&mut self, failure: &Failure) -> Vec<Resolved> {
        let empty = self.next.again();
        let next = mem::replace(&mut self.next, empty);
        let (again, resolved) = after_failure(failure, next.into_commands());
        self.follow_ups.clear();
        self.undecided.extend(again);
        resolved
    }

    /// Takes the next batch, which is in flight from now on.
    pub(super) fn launched(&mut self, snapshot_every: u64) -> Batch {
        let next = self.next.next();
        let mut batch = mem::replace(&mut self.next, next);
        batch.take_snapshots(snapshot_every);
        let (states, keys) = (mem::take(&mut batch.states), mem::take(&mut batch.keys));
        self.in_flight = Some(LaunchedBatch { states, keys });
        batch
    }

    /// Notes that the in-flight batch is committed. Returns the states that it left.
    pub(super) fn commit_succeeded(&mut self) -> States {
        self.in_flight.take().map(|committed| committed.states).unwrap_or_default()
    }

    /// Notes that the in-flight batch was not committed, or perhaps not. Returns the commands that are given up.
    pub(super) fn commit_failed(&mut self, failure: &Failure, commands: Vec<Queued>) -> Vec<Resolved> {
        self.in_flight = None;
        let (again, resolved) = after_failure(failure, commands);
        self.uncommitted = again;
        resolved
    }

    /// Notes that commands could not be decided. Returns those that are given up.
    pub(super) fn decision_failed(&mut self, failure: &Failure, commands: Vec<Queued>) -> Vec<Resolved> {
        let (again, resolved) = after_failure(failure, commands);
        self.undecided.extend(again);
        resolved
    }

    /// Everything that was not committed, in the order in which it came.
    pub(super) fn abandoned(self) -> Vec<Queued> {
        let Self { uncommitted, next, undecided, backlog, repeats, .. } = self;
        let undecided = undecided.into_iter().chain(backlog).chain(repeats);
        uncommitted.into_iter().chain(next.into_commands()).chain(undecided).collect()
    }
}

fn is_on_its_way(next: &Batch, in_flight: Option<&LaunchedBatch>, key: &str) -> bool {
    next.keys.contains(key) || in_flight.is_some_and(|batch| batch.keys.contains(key))
}

/// Splits commands after a failure into those that are tried again and those that are given up. If one of
/// them may be at fault, each goes alone from then on, so that only that one fails.
fn after_failure(failure: &Failure, commands: Vec<Queued>) -> (Vec<Queued>, Vec<Resolved>) {
    let commands: Vec<Queued> = commands.into_iter().filter(|queued| !queued.is_follow_up()).collect();
    let (is_of_one, is_only_one) = (failure.is_of_one_command(), commands.len() == 1);
    let (mut again, mut resolved) = (Vec::with_capacity(commands.len()), Vec::new());
    for mut queued in commands {
        queued.failures += 1;
        if failure.is_refusal() && is_only_one {
            resolved.push((queued, Err(failure.refusal())));
        } else if queued.failures > MAX_FAILURES || is_of_one && is_only_one && queued.alone {
            resolved.push((queued, Err(failure.answer())));
        } else {
            queued.alone = is_of_one;
            again.push(queued);
        }
    }
    (again, resolved)
}

#[cfg(test)]
mod tests {
    use std::error::Error;
    use std::fmt;

    use sqlx::error::{DatabaseError, ErrorKind};

    use super::super::planner::{Step, plan};
    use super::*;
    use crate::command::entries::Entries;
    use crate::command::queued::tests::{keys, queued};
    use crate::command::sort::sort_out;
    use clearfold_base::digest::Digest;
    use clearfold_sandbox::{Message, Outcome};
    use clearfold_store::{EventHash, Head};

    fn time(s: u64) -> Timestamp {
        Timestamp::from_s(s).unwrap()
    }

    fn pipeline(again: Vec<Queued>) -> Pipeline {
        let head = Head { position: 0, hash: EventHash([0; 32]), sequence: 0 };
        Pipeline::new(3, Vec::new(), Batch::new(0, head, time(100)), again)
    }

    /// Decides what the plan says: each command causes one event of a stream named like its key.
    fn decide(pipeline: &mut Pipeline) -> Vec<String> {
        let Step::Decide(chunk) = plan(pipeline.view(false, false)) else {
            panic!("{:?}", pipeline.view(false, false))
        };
        let commands = pipeline.take(chunk);
        let decided = keys(&commands).iter().map(ToString::to_string).collect();
        let named = commands.iter().map(|_| Ok(Vec::new())).collect();
        for turn in sort_out(commands, named, Vec::new()).1 {
            let event = Message { type_: "Happened".into(), schema_version: 1, payload: Vec::new() };
            let state = pipeline.state(&turn.stream).cloned().unwrap_or_else(|| StreamState {
                routing_key: "0xaa".into(),
                version: 0,
                state: Vec::new(),
                family: Digest::of(b""),
                state_version: 1,
                snapshot_version: 0,
                entries: Entries::default(),
            });
            let outcomes = turn.commands.iter().map(|_| Ok(Outcome::Accepted(vec![event.clone()]))).collect();
            let resolved = pipeline
                .decided(
                    turn,
                    DecidedTurn { decided_by: Digest::of(b""), state, outcomes },
                    &Deciders::default(),
                )
                .unwrap();
            assert!(resolved.is_empty());
        }
        decided
    }

    fn several(keys: &[&str]) -> Vec<Queued> {
        keys.iter().map(|key| queued(key, key)).collect()
    }

    fn step(pipeline: &Pipeline) -> Step {
        plan(pipeline.view(false, false))
    }

    #[test]
    fn repeats_hear_after_the_commit() {
        let mut pipeline = pipeline(Vec::new());
        pipeline.received(several(&["1", "1"]));
        assert_eq!(decide(&mut pipeline), ["1"]);
        assert_eq!(step(&pipeline), Step::Launch);
        let batch = pipeline.launched(10);
        assert_eq!((batch.check(), keys(&batch.into_commands())), (Ok(()), vec!["1"]));
        pipeline.received(several(&["1", "2"]));
        assert_eq!(decide(&mut pipeline), ["2"]);
        assert_eq!(
            step(&pipeline),
            Step::Wait { room: 0 },
            "two repeats and one command fill a batch of three"
        );
        assert_eq!(pipeline.commit_succeeded().keys().collect::<Vec<_>>(), ["authorization-1"]);
        assert_eq!(decide(&mut pipeline), ["1"], "the other repeats this one");
        assert_eq!(keys(&pipeline.repeats), ["1"]);
    }

    #[test]
    fn after_a_failure_the_order_of_the_commands_is_kept() {
        let mut pipeline = pipeline(several(&["1", "2", "2"]));
        assert_eq!(decide(&mut pipeline), ["1", "2"]);
        let batch = pipeline.launched(10);
        pipeline.received(several(&["3"]));
        assert_eq!(decide(&mut pipeline), ["3"]);
        pipeline.received(several(&["4", "5"]));
        let undecided = pipeline.take(Chunk::Together { repeats: 0, backlog: 1 });
        let failure = Failure::from(clearfold_base::database::DatabaseError::Silent { seconds: 10 });
        assert!(pipeline.decision_failed(&failure, undecided).is_empty());
        assert!(pipeline.commit_failed(&failure, batch.into_commands()).is_empty());
        let again = pipeline.abandoned();
        assert_eq!(keys(&again), ["1", "2", "3", "4", "5", "2"]);
        let failures: Vec<_> = again.iter().map(|queued| queued.failures).collect();
        assert_eq!(failures, [1, 1, 0, 1, 0, 0]);
        assert!(again.iter().all(|queued| !queued.alone));
    }

    #[test]
    fn what_the_database_refuses_is_found_one_by_one() {
        let refused =
            || Failure::from(clearfold_base::database::DatabaseError::from(sqlx::Error::from(Refused)));
        let (again, resolved) = after_failure(&refused(), several(&["1", "2"]));
        assert!(resolved.is_empty());
        let mut pipeline = pipeline(again);
        pipeline.backlog.extend(several(&["3"]));
        for key in ["1", "2"] {
            assert_eq!(decide(&mut pipeline), [key]);
            assert_eq!(step(&pipeline), Step::Launch, "3 does not join a command that goes alone");
            let _ = (pipeline.launched(10), pipeline.commit_succeeded());
        }
        assert_eq!(decide(&mut pipeline), ["3"]);
        let (again, resolved) = after_failure(&refused(), several(&["1"]));
        assert!(again.is_empty() && matches!(&resolved[..], [(_, Err(CommandError::Unstorable(_)))]));
    }

    #[test]
    fn what_makes_the_host_fail_is_found_one_by_one() {
        let broken = || Failure::Broken("on purpose".into());
        let (again, resolved) = after_failure(&broken(), several(&["1", "2"]));
        assert!(resolved.is_empty() && again.iter().all(|queued| queued.alone));
        let mut pipeline = pipeline(again);
        pipeline.backlog.extend(several(&["3"]));
        let at_fault = pipeline.take(Chunk::Alone);
        let answers = pipeline.decision_failed(&broken(), at_fault);
        assert!(matches!(&answers[..], [(queued, Err(CommandError::Internal(_)))]
            if queued.command.idempotency_key == "1"));
        assert_eq!(keys(&pipeline.abandoned()), ["2", "3"]);
        // One that happened to come alone may have met a passing failure, and is tried once more.
        let (again, resolved) = after_failure(&broken(), several(&["4"]));
        assert!(resolved.is_empty());
        let (again, resolved) = after_failure(&broken(), again);
        assert!(again.is_empty() && resolved.len() == 1);
    }

    #[test]
    fn a_command_that_fails_again_and_again_is_given_up() {
        let failure = Failure::Broken("on purpose".into());
        let mut commands = several(&["1", "2"]);
        for _ in 0..MAX_FAILURES {
            let resolved;
            (commands, resolved) = after_failure(&failure, commands);
            assert!(resolved.is_empty());
        }
        let (again, resolved) = after_failure(&failure, commands);
        assert!(again.is_empty() && resolved.len() == 2);
        assert!(resolved.iter().all(|(_, answer)| matches!(answer, Err(CommandError::Internal(_)))));
    }

    #[test]
    fn a_stream_is_decided_on_the_state_that_everything_before_leaves() {
        let version = |pipeline: &Pipeline| pipeline.state("authorization-a").map(|state| state.version);
        let mut pipeline = pipeline(vec![queued("1", "a")]);
        assert_eq!((version(&pipeline), decide(&mut pipeline)), (None, vec!["1".into()]));
        drop(pipeline.launched(10));
        assert_eq!(version(&pipeline), Some(1), "in flight");
        pipeline.received(vec![queued("2", "a"), queued("3", "a")]);
        decide(&mut pipeline);
        assert_eq!(version(&pipeline), Some(3), "in the next batch");
        assert_eq!(pipeline.commit_succeeded()["authorization-a"].version, 1);
        assert_eq!(pipeline.launched(10).check(), Ok(()));
    }

    #[test]
    fn a_batch_is_decided_at_one_time_and_never_before_an_earlier_one() {
        let mut pipeline = pipeline(several(&["1"]));
        assert_eq!(pipeline.decision_time(time(90)), time(100));
        assert_eq!(pipeline.decision_time(time(110)), time(110));
        decide(&mut pipeline);
        assert_eq!(pipeline.decision_time(time(120)), time(110));
        assert_eq!(pipeline.launched(10).now, time(110));
        assert_eq!(pipeline.decision_time(time(105)), time(110));
    }

    /// Refusal of the database: a value that it cannot hold.
    #[derive(Debug)]
    struct Refused;

    impl fmt::Display for Refused {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("refused")
        }
    }

    impl Error for Refused {}

    impl DatabaseError for Refused {
        fn message(&self) -> &str {
            "refused"
        }

        fn code(&self) -> Option<std::borrow::Cow<'_, str>> {
            Some("22021".into())
        }

        fn as_error(&self) -> &(dyn Error + Send + Sync + 'static) {
            self
        }

        fn as_error_mut(&mut self) -> &mut (dyn Error + Send + Sync + 'static) {
            self
        }

        fn into_error(self: Box<Self>) -> Box<dyn Error + Send + Sync + 'static> {
            self
        }

        fn kind(&self) -> ErrorKind {
            ErrorKind::Other
        }
    }
}
