//! The history of a partition stream by stream: the recorded commands with their outcomes, cut into segments that can
//! be decided again. It decides nothing.

use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;

use futures::{Stream, TryStreamExt};

use clearfold_base::digest::Digest;
use clearfold_sandbox::{Message, Outcome};
use clearfold_store::{RecordedOutcome, StoreError, StoredCommand, StoredEvent};

/// Maximum number of commands that are decided in one call, and in one turn.
pub(super) const BATCH: usize = 1_000;

/// Commands and events of one stream, in order.
#[derive(Default)]
pub(super) struct StreamHistory {
    pub commands: Vec<StoredCommand>,
    pub events: Vec<StoredEvent>,
}

/// Consecutive commands of one stream that one component decided, with their recorded outcomes.
pub(super) struct Segment {
    pub digest: Digest,
    /// All events of the stream, shared by its segments.
    pub events: Arc<[Message]>,
    before: Range<usize>,
    /// True if the same component decided the segment before, so that its state is at hand.
    pub continues: bool,
    pub commands: Vec<StoredCommand>,
    pub recorded: Vec<Outcome>,
}

impl Segment {
    /// Events to fold before it: all earlier ones, or those since the segment before if it continues that.
    pub fn before(&self) -> &[Message] {
        // None if commands of a damaged log are recorded on versions out of order; then the decisions differ.
        self.events.get(self.before.clone()).unwrap_or_default()
    }
}

pub(crate) type Peekable<S> = futures::stream::Peekable<S>;

/// Reads all events of the next stream; none after the last one.
pub(crate) async fn next_stream(
    mut events: Pin<&mut Peekable<impl Stream<Item = Result<StoredEvent, StoreError>>>>,
) -> Result<Option<Vec<StoredEvent>>, StoreError> {
    let Some(first) = events.try_next().await? else { return Ok(None) };
    let stream = first.stream.clone();
    let mut found = vec![first];
    let is_of_stream =
        |event: &Result<StoredEvent, _>| event.as_ref().map_or(true, |event| event.stream == stream);
    while let Some(event) = events.as_mut().next_if(is_of_stream).await {
        found.push(event?);
    }
    Ok(Some(found))
}

/// Reads the next stream's commands with its events; none after the last command.
pub(super) async fn next_history(
    mut commands: Pin<&mut Peekable<impl Stream<Item = Result<StoredCommand, StoreError>>>>,
    mut events: Pin<&mut Peekable<impl Stream<Item = Result<StoredEvent, StoreError>>>>,
) -> Result<Option<StreamHistory>, StoreError> {
    let mut history = StreamHistory::default();
    let Some(first) = commands.try_next().await? else { return Ok(None) };
    let stream = first.stream.clone();
    history.commands.push(first);
    let is_of_stream = |command: &Result<StoredCommand, _>| {
        command.as_ref().map_or(true, |command| command.stream == stream)
    };
    while let Some(command) = commands.as_mut().next_if(is_of_stream).await {
        history.commands.push(command?);
    }
    // Streams without recorded commands are skipped: their events are older than the recording of commands.
    let up_to = |event: &Result<StoredEvent, _>| event.as_ref().map_or(true, |event| event.stream <= stream);
    while let Some(event) = events.as_mut().next_if(up_to).await {
        let event = event?;
        if event.stream == stream {
            history.events.push(event);
        }
    }
    Ok(Some(history))
}

/// Cuts a history where another component takes over, and where a turn would become too long.
pub(super) fn segments(history: StreamHistory) -> Vec<Segment> {
    let mut segments: Vec<Segment> = Vec::new();
    let messages: Arc<[Message]> = history.events.into_iter().map(message).collect();
    let mut folded = 0;
    for command in history.commands {
        // A damaged log may have fewer events than its commands expect; the decisions on what is left then differ.
        let place = usize::try_from(command.expected_version).unwrap_or(usize::MAX).min(messages.len());
        let recorded = recorded(&command, messages.get(place..).unwrap_or_default());
        match segments.last_mut() {
            Some(last) if last.digest == command.component_digest && last.commands.len() < BATCH => {
                last.commands.push(command);
                last.recorded.push(recorded);
            }
            last => {
                let continues = last.is_some_and(|last| last.digest == command.component_digest);
                let before = if continues { folded } else { 0 };
                segments.push(Segment {
                    digest: command.component_digest,
                    events: Arc::clone(&messages),
                    before: before..place,
                    continues,
                    commands: vec![command],
                    recorded: vec![recorded],
                });
                folded = place;
            }
        }
    }
    segments
}

fn message(event: StoredEvent) -> Message {
    Message { type_: event.kind, schema_version: event.schema_version, payload: event.payload }
}

fn recorded(command: &StoredCommand, events: &[Message]) -> Outcome {
    match &command.outcome {
        RecordedOutcome::Events(count) => {
            // As above: on a damaged log fewer may be left.
            let count = usize::try_from(*count).unwrap_or(usize::MAX);
            Outcome::Accepted(events.get(..count.min(events.len())).unwrap_or_default().to_vec())
        }
        RecordedOutcome::Rejection { code, detail } => {
            Outcome::Rejected(clearfold_sandbox::Rejection { code: code.clone(), detail: detail.clone() })
        }
    }
}
