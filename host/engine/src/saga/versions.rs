//! Versions of a saga that are not in force: an instance is decided by the version that it began on, however many came
//! after it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::logic::{SagaLogic, SagaVersions};
use clearfold_base::digest::Digest;

/// Versions that are kept loaded. With one more, those that are needed are loaded again, so that a version is unloaded
/// some time after its last instance has ended.
const MAX_LOADED: usize = 16;

/// Versions, each loaded when it is needed.
pub(super) struct Versions {
    source: Arc<dyn SagaVersions>,
    /// Versions whose instances were moved, each with the version that decides them now.
    moves: BTreeMap<Digest, Digest>,
    loaded: Mutex<BTreeMap<Digest, Arc<dyn SagaLogic>>>,
}

impl Versions {
    pub(super) fn new(source: Arc<dyn SagaVersions>, moves: BTreeMap<Digest, Digest>) -> Self {
        Self { source, moves, loaded: Mutex::default() }
    }

    /// Version that decides the instances which began on one.
    pub(super) fn deciding(&self, began_on: Digest) -> Digest {
        self.moves.get(&began_on).copied().unwrap_or(began_on)
    }

    pub(super) fn find(&self, digest: Digest) -> Result<Arc<dyn SagaLogic>, String> {
        // Each change of the map is one call, so the map is whole even if the lock is poisoned.
        let known = self.loaded.lock().unwrap_or_else(PoisonError::into_inner).get(&digest).cloned();
        if let Some(known) = known {
            return Ok(known);
        }
        let found = self.source.version(digest)?;
        let mut loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        if loaded.len() >= MAX_LOADED {
            loaded.clear();
        }
        loaded.insert(digest, Arc::clone(&found));
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use clearfold_sandbox::{Decided, Decides, Message, Outcome, Turn, WireCommand};
    use uuid::Uuid;

    use super::super::SagaDecider;
    use super::super::content::{Bytes, Content};
    use super::super::event::SagaEvent;
    use super::super::input::{AnswerStep, Input, Observe, StepAnswer, StepKey, VERSION};
    use super::super::tests::Spelled;
    use super::*;

    /// The versions that can be loaded.
    struct Shelf(Vec<Arc<Spelled>>);

    impl SagaVersions for Shelf {
        fn version(&self, digest: Digest) -> Result<Arc<dyn SagaLogic>, String> {
            let found = self.0.iter().find(|version| version.id().digest == digest);
            found.map(|version| Arc::clone(version) as _).ok_or_else(|| "it is not there".to_owned())
        }
    }

    fn turn(id: &str, state: &[u8], input: &Input) -> Turn {
        let message = Message {
            type_: input.kind().to_owned(),
            schema_version: VERSION,
            payload: input.payload().unwrap(),
        };
        let command = WireCommand {
            id: id.into(),
            routing_key: "0xaa".into(),
            actor: "test".into(),
            accepted_at_ms: 1_000,
            message,
        };
        Turn { state: state.to_vec(), entries: Vec::new(), commands: vec![command] }
    }

    fn begin() -> Input {
        let event = Content { kind: "Began".into(), schema_version: 1, payload: Bytes(b"cc".to_vec()) };
        let effects = Vec::new();
        Input::Observe(Observe {
            version: 1,
            event,
            correlation_id: Uuid::nil(),
            round: 1,
            held: false,
            effects,
        })
    }

    fn answered() -> Input {
        let key = StepKey { flow: 1, step: 0, undo: false, attempt: 1 };
        Input::AnswerStep(AnswerStep { key, answer: StepAnswer::Accepted, round: 2, held: false })
    }

    fn started_on(decided: &Decided) -> Option<String> {
        let [Outcome::Accepted(events)] = &decided.outcomes[..] else { panic!("{decided:?}") };
        events.iter().flat_map(|event| SagaEvent::read(event).unwrap()).find_map(|event| match event {
            SagaEvent::SagaStarted(started) => Some(started.component),
            _ => None,
        })
    }

    #[test]
    fn each_instance_is_decided_by_its_version_also_in_one_call() {
        let (one, two) = (Spelled::version(b"one"), Spelled::version(b"two"));
        let first = SagaDecider::new(Arc::clone(&one) as _);
        let begun = first.decide(&[turn("a", &[], &begin())]).unwrap().remove(0);
        assert_eq!(started_on(&begun), Some(one.id().digest.to_string()));

        let shelf = Arc::new(Shelf(vec![Arc::clone(&one)]));
        let second = SagaDecider::new(Arc::clone(&two) as _).with_versions(shelf, BTreeMap::new());
        let turns = [turn("a", &begun.state, &answered()), turn("b", &[], &begin())];
        let decided = second.decide(&turns).unwrap();
        let decided_by: Vec<Digest> =
            decided.iter().map(|decided| second.decided_by(&decided.state)).collect();
        assert_eq!(decided_by, [one.id().digest, two.id().digest]);
        assert_eq!((one.count(), two.count()), (2, 1), "two steps of the first, one of the second");
        assert_eq!(started_on(&decided[1]), Some(two.id().digest.to_string()));

        // A replay decides with the recorded version, whatever is in force.
        let again = SagaDecider::new(Arc::clone(&two) as _);
        assert_eq!(again.decided_by(&begun.state), two.id().digest);
    }

    #[test]
    fn an_instance_that_was_moved_is_decided_by_the_version_that_it_was_moved_to() {
        let (one, two) = (Spelled::version(b"one"), Spelled::version(b"two"));
        let first = SagaDecider::new(Arc::clone(&one) as _);
        let begun = first.decide(&[turn("a", &[], &begin())]).unwrap().remove(0);
        // The first version is needed no more: nobody has it.
        let moves = BTreeMap::from([(one.id().digest, two.id().digest)]);
        let second =
            SagaDecider::new(Arc::clone(&two) as _).with_versions(Arc::new(Shelf(Vec::new())), moves.clone());
        let moved = second.decide(&[turn("a", &begun.state, &answered())]).unwrap().remove(0);
        assert_eq!((one.count(), two.count()), (1, 1));
        assert_eq!(second.decided_by(&moved.state), two.id().digest);

        // A third version leaves it where it was moved to.
        let three = Spelled::version(b"three");
        let third =
            SagaDecider::new(three as _).with_versions(Arc::new(Shelf(vec![Arc::clone(&two)])), moves);
        assert_eq!(third.decided_by(&begun.state), two.id().digest);
        assert!(third.decide(&[turn("a", &begun.state, &answered())]).is_ok());
        assert_eq!(two.count(), 2);
    }

    #[test]
    fn a_version_that_cannot_be_loaded_is_named() {
        let first = SagaDecider::new(Spelled::version(b"one"));
        let begun = first.decide(&[turn("a", &[], &begin())]).unwrap().remove(0);
        let nobody = Arc::new(Shelf(Vec::new()));
        let second = SagaDecider::new(Spelled::version(b"two")).with_versions(nobody, BTreeMap::new());
        let fault = second.decide(&[turn("a", &begun.state, &answered())]).unwrap_err().to_string();
        assert!(
            fault.contains(&Digest::of(b"one").to_string()) && fault.contains("it is not there"),
            "{fault}"
        );
    }
}
