//! Auditor `sample`: checks that the streams of an account have no gaps. It computes everything from the events,
//! trusts no stored figure, and never changes anything.

use std::collections::BTreeMap;

use clearfold_kernel::{Auditor, Invariant, RecordedEvent, Timestamp, Violation};

clearfold_guest::export_auditor!("sample", SampleAuditor);

const GAPLESS: Invariant = Invariant {
    code: "sample_streams_gapless",
    statement: "The events of a stream are numbered without a gap, from 1.",
};

/// Auditor of one invariant.
pub struct SampleAuditor;

impl Auditor for SampleAuditor {
    fn describe() -> Vec<Invariant> {
        vec![GAPLESS]
    }

    fn audit(
        _account: &str,
        _checked_at: Timestamp,
        events: &[RecordedEvent],
    ) -> Result<Vec<Violation>, String> {
        let mut versions: BTreeMap<&str, u64> = BTreeMap::new();
        let mut violations = Vec::new();
        for event in events {
            // Versions begin with 1, so 0 stands for the beginning of a stream.
            let last = versions.insert(&event.stream, event.stream_version).unwrap_or(0);
            if last.checked_add(1) != Some(event.stream_version) {
                violations.push(Violation {
                    invariant: GAPLESS.code,
                    detail: format!("{} follows {last}", event.stream_version),
                    streams: vec![event.stream.clone()],
                });
            }
        }
        Ok(violations)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(stream: &str, stream_version: u64) -> RecordedEvent {
        RecordedEvent {
            partition: 0,
            position: 1,
            stream: stream.to_owned(),
            stream_version,
            event_id: String::new(),
            correlation_id: String::new(),
            kind: "SomethingHappened".to_owned(),
            schema_version: 1,
            recorded_at: Timestamp::default(),
            payload: b"{}".to_vec(),
        }
    }

    #[test]
    fn a_gap_is_found_in_its_stream_only() {
        let audit = |events: &[RecordedEvent]| SampleAuditor::audit("0xaa", Timestamp::default(), events);
        assert_eq!(audit(&[event("card-1", 1), event("card-2", 1), event("card-1", 2)]), Ok(Vec::new()));
        let found = audit(&[event("card-1", 1), event("card-1", 3)]).unwrap_or_default();
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].streams, ["card-1"]);
    }
}
