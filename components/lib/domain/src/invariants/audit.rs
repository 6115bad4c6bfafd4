//! The audit of one account: replays its log from the beginning and compares every folded state with the tallies.

use std::collections::BTreeMap;

use clearfold_kernel::{Auditor, Decider, Invariant, Message, Minor, RecordedEvent, Timestamp, Violation};

use super::tally::{Happened, Tally};
use crate::account::{self, Account};
use crate::authorization::{self, Authorization};
use crate::card;

/// Auditor for the model's invariants.
pub struct Invariants;

impl Auditor for Invariants {
    const READS: &'static [&'static str] = &[account::AGGREGATE, authorization::AGGREGATE, card::AGGREGATE];

    fn describe() -> Vec<Invariant> {
        Tally::invariants()
    }

    /// Audits the events in order. Streams and events that do not concern payments are skipped.
    fn audit(
        account: &str,
        checked_at: Timestamp,
        events: &[RecordedEvent],
    ) -> Result<Vec<Violation>, String> {
        let mut audit = Audit::default();
        for recorded in events {
            audit.take(recorded).map_err(|error| {
                format!("{} version {}: {error}", recorded.stream, recorded.stream_version)
            })?;
        }
        Ok(audit.violations(account, checked_at))
    }
}

#[derive(Default)]
struct Audit {
    tally: Tally,
    account: account::State,
    authorizations: BTreeMap<String, authorization::State>,
    broken: Vec<Violation>,
}

impl Audit {
    fn take(&mut self, recorded: &RecordedEvent) -> Result<(), String> {
        let aggregate = recorded.stream.split_once('-').map_or("", |(aggregate, _)| aggregate);
        let (at, stream) = (recorded.recorded_at, &recorded.stream);
        let broken = match aggregate {
            account::AGGREGATE => {
                let Some(event) = read::<account::Event>(recorded)? else { return Ok(()) };
                self.account = Account::evolve(std::mem::take(&mut self.account), &event);
                self.tally.observe_at(at, stream, Happened::Account(&event))
            }
            authorization::AGGREGATE => {
                let Some(event) = read::<authorization::Event>(recorded)? else { return Ok(()) };
                let state = self.authorizations.entry(stream.clone()).or_default();
                let event = restated(recorded, event, state);
                *state = Authorization::evolve(std::mem::take(state), &event);
                self.tally.observe_at(at, stream, Happened::Authorization(&event))
            }
            card::AGGREGATE => {
                let Some(event) = read::<card::Event>(recorded)? else { return Ok(()) };
                self.tally.observe_at(at, stream, Happened::Card(&event))
            }
            _ => return Ok(()),
        };
        self.broken.extend(broken);
        Ok(())
    }

    fn violations(mut self, account: &str, checked_at: Timestamp) -> Vec<Violation> {
        let stream = format!("{}-{account}", account::AGGREGATE);
        self.broken.extend(self.tally.compare_account(&stream, &self.account));
        for (stream, state) in &self.authorizations {
            self.broken.extend(self.tally.compare_authorization(stream, state));
        }
        self.broken.extend(self.tally.overdue(&stream, checked_at));
        self.broken
    }
}

/// Decodes an event; `None` if its type is not known here.
fn read<M: Message>(recorded: &RecordedEvent) -> Result<Option<M>, String> {
    if !M::TYPES.iter().any(|known| known.name == recorded.kind) {
        return Ok(None);
    }
    let event = M::decode(&recorded.kind, recorded.schema_version, &recorded.payload);
    event.map(Some).map_err(|error| error.to_string())
}

/// Completes a clearing of an old version, which does not say how much of it the hold covered nor what the last one
/// released. Both follow from the events before it.
fn restated(
    recorded: &RecordedEvent,
    event: authorization::Event,
    before: &authorization::State,
) -> authorization::Event {
    const SAYS_ALL: u32 = 3;
    let authorization::Event::ClearingPosted(mut clearing) = event else { return event };
    if recorded.schema_version < SAYS_ALL
        && let (Ok(claimed), Some(payment)) = (clearing.claimed(), before.payment())
    {
        let split = authorization::Split::of(claimed, payment.held());
        clearing.against_hold = split.against_hold;
        clearing.beyond_hold = split.beyond_hold;
        clearing.released = if clearing.is_final { split.rest } else { Minor::ZERO };
    }
    authorization::Event::ClearingPosted(clearing)
}
