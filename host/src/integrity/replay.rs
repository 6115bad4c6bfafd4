//! Decides recorded commands again, through the components that decided them, and compares what comes of it with what
//! was recorded, bit for bit.
//!
//! The commands come stream by stream. Each turn begins on a state that is folded from the recorded events; within a
//! turn a difference is carried on to the commands that follow it.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::{Stream, StreamExt, TryStreamExt};

use super::OnProgress;
use crate::database::DatabaseError;
use crate::digest::Digest;
use crate::event_store::{CameOfIt, DecidedBefore, EventStore, StoreError, StoredEvent};
use crate::runtime::{Command, Decider, Fault, Message, Outcome, Turn, WholeState};

/// Commands that are decided in one go, and that one turn has at the most.
const BATCH: usize = 1_000;
/// Differences that are shown; all are counted.
const SHOWN: usize = 20;

/// Replays a log.
pub struct Replay {
    pub store: EventStore,
    /// The components that are at hand.
    pub deciders: BTreeMap<Digest, Arc<Decider>>,
}

/// What a replay found.
#[derive(Debug, Default)]
pub struct ReplayReport {
    /// Commands that were decided again.
    pub commands: u64,
    /// Events that came of them.
    pub events: u64,
    pub different: u64,
    /// The first of them.
    pub differences: Vec<Difference>,
    /// Commands whose component is not at hand, by its digest.
    pub undecidable: BTreeMap<String, u64>,
    /// Events that came of no recorded command.
    pub unexplained: u64,
    /// Commands that were recorded and are not there.
    pub missing: u64,
    /// Commands that were read, and the events that they say came of them.
    pub(crate) found_commands: u64,
    pub(crate) explained: u64,
}

/// A command that came to something else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    pub partition: u32,
    pub sequence: u64,
    pub stream: String,
    pub kind: String,
    pub recorded: String,
    pub replayed: String,
}

/// One stream's commands and events, in order.
#[derive(Default)]
struct Story {
    commands: Vec<DecidedBefore>,
    events: Vec<StoredEvent>,
}

/// Commands of one stream that one component decided in a row, and what the log says of each.
struct Passage {
    digest: Digest,
    /// The events before it: all of them, or those since the passage before it, if it continues that.
    before: Vec<Message>,
    continues: bool,
    commands: Vec<DecidedBefore>,
    recorded: Vec<Outcome>,
}

impl Replay {
    /// Decides all commands of a partition again.
    pub async fn partition(
        &self,
        partition: u32,
        report: &mut ReplayReport,
        on_progress: OnProgress<'_>,
    ) -> Result<(), StoreError> {
        let end = self.store.end(partition).await?;
        let (commands_before, events_before) = (report.found_commands, report.explained);
        let mut commands = std::pin::pin!(self.store.commands_by_stream(partition).peekable());
        let mut events = std::pin::pin!(self.store.events_by_stream(partition).peekable());
        let mut waiting = Vec::new();
        let mut count = 0;
        while let Some(story) = next_story(commands.as_mut(), events.as_mut()).await? {
            report.found(&story);
            let passages = passages(story);
            count += passages.iter().map(|passage| passage.commands.len()).sum::<usize>();
            waiting.extend(passages);
            if count >= BATCH {
                self.compare(std::mem::take(&mut waiting), report).await?;
                on_progress(count as u64);
                count = 0;
            }
        }
        self.compare(waiting, report).await?;
        on_progress(count as u64);
        // What was appended meanwhile only adds to what is found.
        report.missing += end.sequence.saturating_sub(report.found_commands - commands_before);
        report.unexplained += end.position.saturating_sub(report.explained - events_before);
        Ok(())
    }

    async fn compare(&self, passages: Vec<Passage>, report: &mut ReplayReport) -> Result<(), StoreError> {
        let mut by_digest: BTreeMap<Digest, Vec<Passage>> = BTreeMap::new();
        for passage in passages {
            by_digest.entry(passage.digest).or_default().push(passage);
        }
        for (digest, passages) in by_digest {
            let Some(decider) = self.deciders.get(&digest).cloned() else {
                let count = passages.iter().map(|passage| passage.commands.len() as u64).sum::<u64>();
                *report.undecidable.entry(digest.to_string()).or_default() += count;
                continue;
            };
            let compared = tokio::task::spawn_blocking(move || compare(&decider, &passages)).await;
            let compared = compared.map_err(|error| DatabaseError::Corrupt(error.to_string()))?;
            report.add(compared);
        }
        Ok(())
    }
}

impl ReplayReport {
    /// Whether every command came to the same again.
    #[must_use]
    pub fn is_same(&self) -> bool {
        self.different == 0 && self.undecidable.is_empty() && self.unexplained == 0 && self.missing == 0
    }

    fn found(&mut self, story: &Story) {
        self.found_commands += story.commands.len() as u64;
        self.explained += story.commands.iter().map(|command| command.came_of_it.events()).sum::<u64>();
    }

    fn add(&mut self, other: Self) {
        self.commands += other.commands;
        self.events += other.events;
        self.different += other.different;
        let room = SHOWN.saturating_sub(self.differences.len());
        self.differences.extend(other.differences.into_iter().take(room));
    }
}

type Peekable<S> = futures::stream::Peekable<S>;

/// The next stream's commands, with its events; none when there are no commands any more.
async fn next_story(
    mut commands: std::pin::Pin<&mut Peekable<impl Stream<Item = Result<DecidedBefore, StoreError>>>>,
    mut events: std::pin::Pin<&mut Peekable<impl Stream<Item = Result<StoredEvent, StoreError>>>>,
) -> Result<Option<Story>, StoreError> {
    let mut story = Story::default();
    let Some(first) = commands.try_next().await? else { return Ok(None) };
    let stream = first.stream.clone();
    story.commands.push(first);
    let of_stream = |command: &Result<DecidedBefore, _>| {
        command.as_ref().map_or(true, |command| command.stream == stream)
    };
    while let Some(command) = commands.as_mut().next_if(of_stream).await {
        story.commands.push(command?);
    }
    // Streams whose events are older than the recorded commands are passed over.
    let up_to = |event: &Result<StoredEvent, _>| event.as_ref().map_or(true, |event| event.stream <= stream);
    while let Some(event) = events.as_mut().next_if(up_to).await {
        let event = event?;
        if event.stream == stream {
            story.events.push(event);
        }
    }
    Ok(Some(story))
}

/// Cuts a story where another component takes over, and where a turn becomes too long.
fn passages(story: Story) -> Vec<Passage> {
    let mut passages: Vec<Passage> = Vec::new();
    let messages: Vec<Message> = story.events.into_iter().map(message).collect();
    let mut folded = 0;
    for command in story.commands {
        let place = usize::try_from(command.expected_version).unwrap_or(usize::MAX).min(messages.len());
        let recorded = recorded(&command, messages.get(place..).unwrap_or_default());
        match passages.last_mut() {
            Some(last) if last.digest == command.component_digest && last.commands.len() < BATCH => {
                last.commands.push(command);
                last.recorded.push(recorded);
            }
            last => {
                let continues = last.is_some_and(|last| last.digest == command.component_digest);
                let before = if continues { folded } else { 0 };
                passages.push(Passage {
                    digest: command.component_digest,
                    before: messages.get(before..place).unwrap_or_default().to_vec(),
                    continues,
                    commands: vec![command],
                    recorded: vec![recorded],
                });
                folded = place;
            }
        }
    }
    passages
}

fn message(event: StoredEvent) -> Message {
    Message { type_: event.kind, schema_version: event.schema_version, payload: event.payload }
}

fn recorded(command: &DecidedBefore, events: &[Message]) -> Outcome {
    match &command.came_of_it {
        CameOfIt::Events(count) => {
            let count = usize::try_from(*count).unwrap_or(usize::MAX);
            Outcome::Accepted(events.get(..count.min(events.len())).unwrap_or_default().to_vec())
        }
        CameOfIt::Rejection { code, detail } => {
            Outcome::Rejected(crate::runtime::Rejection { code: code.clone(), detail: detail.clone() })
        }
    }
}

fn compare(decider: &Decider, passages: &[Passage]) -> ReplayReport {
    let mut report = ReplayReport::default();
    let mut past = WholeState::initial(decider);
    let mut rest = passages;
    while !rest.is_empty() {
        let chunk;
        (chunk, rest) = rest.split_at(count_of_one_go(rest));
        let replayed = turns(decider, chunk, &mut past).and_then(|turns| decider.decide(&turns));
        match replayed {
            Ok(replayed) => {
                for (passage, decided) in chunk.iter().zip(replayed) {
                    report.hold_against(passage, decided.outcomes.iter().map(Ok));
                }
            }
            Err(fault) => {
                // What fails fails with all that came with it: each is shown with the reason.
                let why = crate::telemetry::chain(&fault);
                for passage in chunk {
                    report.hold_against(passage, passage.commands.iter().map(|_| Err(why.as_str())));
                }
            }
        }
    }
    report
}

/// How many passages go together: at least one, and no more commands than a batch if there are several.
fn count_of_one_go(passages: &[Passage]) -> usize {
    let mut commands = 0;
    let fits = |passage: &&Passage| {
        commands += passage.commands.len();
        commands <= BATCH
    };
    passages.iter().take_while(fits).count().max(1)
}

/// The turns of passages; `past` is the state before the passage before.
fn turns(decider: &Decider, passages: &[Passage], past: &mut WholeState) -> Result<Vec<Turn>, Fault> {
    let mut turns = Vec::with_capacity(passages.len());
    for passage in passages {
        if !passage.continues {
            *past = WholeState::initial(decider);
        }
        if !passage.before.is_empty() {
            past.evolve(decider, &passage.before)?;
        }
        let commands = passage.commands.iter().map(|command| wire(decider, command)).collect();
        turns.push(past.turn(decider, commands)?);
    }
    Ok(turns)
}

fn wire(decider: &Decider, command: &DecidedBefore) -> Command {
    let prefix = decider.aggregate().len().saturating_add(1);
    Command {
        id: command.stream.get(prefix..).unwrap_or_default().to_owned(),
        routing_key: command.routing_key.clone(),
        actor: command.actor.clone(),
        accepted_at_ms: command.accepted_at.as_ms(),
        message: Message {
            type_: command.kind.clone(),
            schema_version: command.schema_version,
            payload: command.payload.clone(),
        },
    }
}

impl ReplayReport {
    fn hold_against<'a>(
        &mut self,
        passage: &Passage,
        replayed: impl Iterator<Item = Result<&'a Outcome, &'a str>>,
    ) {
        for ((command, recorded), replayed) in passage.commands.iter().zip(&passage.recorded).zip(replayed) {
            self.commands += 1;
            if let Outcome::Accepted(events) = recorded {
                self.events += events.len() as u64;
            }
            if replayed.is_ok_and(|replayed| is_same(recorded, replayed)) {
                continue;
            }
            self.different += 1;
            if self.differences.len() < SHOWN {
                self.differences.push(Difference {
                    partition: command.partition,
                    sequence: command.sequence,
                    stream: command.stream.clone(),
                    kind: command.kind.clone(),
                    recorded: shown(recorded),
                    replayed: replayed.map_or_else(str::to_owned, shown),
                });
            }
        }
    }
}

fn is_same(one: &Outcome, other: &Outcome) -> bool {
    let same_message = |(one, other): (&Message, &Message)| {
        one.type_ == other.type_ && one.schema_version == other.schema_version && one.payload == other.payload
    };
    match (one, other) {
        (Outcome::Accepted(one), Outcome::Accepted(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(same_message)
        }
        (Outcome::Rejected(one), Outcome::Rejected(other)) => {
            one.code == other.code && one.detail == other.detail
        }
        _ => false,
    }
}

fn shown(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Accepted(events) if events.is_empty() => "nothing, for it held already".to_owned(),
        Outcome::Accepted(events) => {
            let event = |event: &Message| {
                let payload = String::from_utf8_lossy(&event.payload);
                format!("{} v{} {payload}", event.type_, event.schema_version)
            };
            events.iter().map(event).collect::<Vec<_>>().join("; ")
        }
        Outcome::Rejected(rejection) => format!("rejected: {}: {}", rejection.code, rejection.detail),
    }
}
