//! Components in force, as a pure fold of the activations.

use std::collections::BTreeMap;

use super::{Activation, ActivationCause, Handler};
use crate::command::Trial;
use clearfold_base::digest::Digest;

/// Component in force for a handler.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ActiveComponent {
    /// Number of the handler's newest activation, a canary's or the end of one included.
    pub newest: u64,
    pub digest: Digest,
    /// State family: the component that first made states like this one's. Only deciders have one.
    pub family: Option<Digest>,
    /// Number of the activation that put it in force.
    pub since: u64,
    pub canary: Option<ActiveCanary>,
    /// True for a saga that begins no step until it is resumed.
    pub is_paused: bool,
    /// True if another component was activated for the handler before, a canary included.
    pub has_others: bool,
    /// Versions of a saga whose instances were moved, each with the version that decides them now. None of them is the
    /// one in force.
    pub moves: BTreeMap<Digest, Digest>,
    /// Components, with their state families, that were in force for all accounts before, the newest last. A rollback
    /// goes back to the last.
    pub before: Vec<(Digest, Option<Digest>)>,
}

/// Component that is tried on a share of the accounts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ActiveCanary {
    pub since: u64,
    pub digest: Digest,
    pub family: Option<Digest>,
    pub trial: Trial,
}

/// Folds the activations, given in their order, into the component in force for each handler.
#[must_use]
pub fn fold<'a>(activations: impl IntoIterator<Item = &'a Activation>) -> BTreeMap<Handler, ActiveComponent> {
    let mut handlers = BTreeMap::<Handler, ActiveComponent>::new();
    for activation in activations {
        match handlers.get_mut(&activation.handler) {
            Some(in_force) => in_force.apply(activation),
            None => {
                handlers.insert(activation.handler.clone(), ActiveComponent::first(activation));
            }
        }
    }
    handlers
}

impl ActiveComponent {
    fn first(activation: &Activation) -> Self {
        Self {
            newest: activation.activation,
            digest: activation.digest,
            family: activation.family,
            since: activation.activation,
            canary: None,
            is_paused: false,
            has_others: false,
            moves: BTreeMap::new(),
            before: Vec::new(),
        }
    }

    fn apply(&mut self, activation: &Activation) {
        self.newest = activation.activation;
        self.has_others |= activation.digest != self.digest;
        match (activation.cause, activation.trial) {
            (ActivationCause::Canary, Some(trial)) => {
                let (since, digest, family) = (activation.activation, activation.digest, activation.family);
                self.canary = Some(ActiveCanary { since, digest, family, trial });
            }
            (ActivationCause::CanaryEnd | ActivationCause::AutomaticRollback, _) => self.canary = None,
            (ActivationCause::Pause, _) => self.is_paused = true,
            (ActivationCause::Resume, _) => self.is_paused = false,
            (ActivationCause::Migrate, _) => {
                if let Some(from) = activation.moved_from {
                    self.move_instances(from, activation.digest);
                }
            }
            (ActivationCause::Rollback, _) => {
                // A second rollback must go further back, never forth again. So the target, the component that is
                // left and everything activated between them are no longer targets of a rollback without a name.
                let (left, target) = (self.digest, activation.digest);
                let place = self.before.iter().rposition(|(digest, _)| *digest == target);
                self.before.truncate(place.unwrap_or(self.before.len()));
                self.before.retain(|(digest, _)| *digest != left && *digest != target);
                self.put(activation);
            }
            (ActivationCause::Start | ActivationCause::Activate | ActivationCause::Canary, _) => {
                self.before.push((self.digest, self.family));
                self.put(activation);
            }
        }
    }

    /// Moves all instances that a version decides, those included that were moved to it before.
    fn move_instances(&mut self, from: Digest, to: Digest) {
        for decided_by in self.moves.values_mut().filter(|decided_by| **decided_by == from) {
            *decided_by = to;
        }
        self.moves.insert(from, to);
    }

    /// Versions whose instances a version decides: its own, and those that were moved to it.
    #[must_use]
    pub fn decided_by(&self, version: Digest) -> Vec<Digest> {
        let moved = self.moves.iter().filter(|(_, decided_by)| **decided_by == version);
        [version].into_iter().chain(moved.map(|(from, _)| *from)).collect()
    }

    fn put(&mut self, activation: &Activation) {
        (self.digest, self.family) = (activation.digest, activation.family);
        self.since = activation.activation;
        self.canary = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clearfold_kernel::Timestamp;
    use clearfold_sandbox::ComponentKind;

    fn handler() -> Handler {
        Handler { kind: ComponentKind::Decider, name: "card".into() }
    }

    fn history(steps: &[(ActivationCause, &[u8])]) -> ActiveComponent {
        let activations: Vec<Activation> = (1..)
            .zip(steps)
            .map(|(activation, (cause, code))| Activation {
                activation,
                handler: handler(),
                digest: Digest::of(code),
                cause: *cause,
                why: None,
                by: "test".into(),
                at: Timestamp::from_s(0).unwrap(),
                family: Some(Digest::of(code)),
                trial: (*cause == ActivationCause::Canary).then_some(Trial {
                    permille: 50,
                    max_faults: 0,
                    max_differences: 0,
                }),
                shadow: None,
                moved_from: None,
            })
            .collect();
        fold(&activations).remove(&handler()).unwrap()
    }

    #[test]
    fn the_newest_activation_counts_and_a_rollback_goes_back_to_the_one_before() {
        use ActivationCause::{Activate, Rollback, Start};
        let last = |steps| history(steps).before.last().map(|(digest, _)| *digest);
        assert_eq!(history(&[(Start, b"a"), (Activate, b"b")]).digest, Digest::of(b"b"));
        assert_eq!(last(&[(Start, b"a"), (Activate, b"b")]), Some(Digest::of(b"a")));
        // Two rollbacks go two components back, and never forth again.
        let twice: &[(ActivationCause, &[u8])] =
            &[(Start, b"a"), (Activate, b"b"), (Activate, b"c"), (Rollback, b"b")];
        assert_eq!((history(twice).digest, last(twice)), (Digest::of(b"b"), Some(Digest::of(b"a"))));
    }

    #[test]
    fn nobody_goes_back_to_what_was_left_behind() {
        use ActivationCause::{Activate, Rollback, Start};
        let over: &[(ActivationCause, &[u8])] =
            &[(Start, b"a"), (Activate, b"b"), (Activate, b"c"), (Rollback, b"a")];
        assert_eq!((history(over).digest, history(over).before), (Digest::of(b"a"), Vec::new()));
        let returned: &[(ActivationCause, &[u8])] =
            &[(Start, b"a"), (Activate, b"b"), (Activate, b"a"), (Activate, b"b"), (Rollback, b"a")];
        assert_eq!((history(returned).digest, history(returned).before), (Digest::of(b"a"), Vec::new()));
        let deep: &[(ActivationCause, &[u8])] =
            &[(Start, b"z"), (Activate, b"a"), (Activate, b"b"), (Rollback, b"a")];
        assert_eq!(history(deep).before.len(), 1);
    }

    #[test]
    fn a_pause_lasts_until_the_resume_whatever_is_activated_meanwhile() {
        use ActivationCause::{Activate, Pause, Resume, Start};
        let paused = history(&[(Start, b"a"), (Pause, b"a"), (Activate, b"b")]);
        assert_eq!((paused.digest, paused.is_paused, paused.before.len()), (Digest::of(b"b"), true, 1));
        let resumed = history(&[(Start, b"a"), (Pause, b"a"), (Resume, b"a")]);
        assert_eq!((resumed.digest, resumed.is_paused, resumed.since), (Digest::of(b"a"), false, 1));
        assert!(resumed.before.is_empty(), "a pause is nothing to go back to");
    }

    #[test]
    fn instances_that_are_moved_twice_are_decided_by_the_newest_version() {
        let mut now = history(&[(ActivationCause::Start, b"c")]);
        let [a, b, c] = [b"a", b"b", b"c"].map(|code| Digest::of(code));
        now.move_instances(a, b);
        now.move_instances(b, c);
        assert_eq!(now.moves, BTreeMap::from([(a, c), (b, c)]));
        let mut decided = now.decided_by(c);
        decided.sort();
        let mut all = vec![a, b, c];
        all.sort();
        assert_eq!(decided, all);
    }

    #[test]
    fn a_canary_leaves_what_is_in_force_until_it_is_activated_or_ended() {
        use ActivationCause::{Activate, AutomaticRollback, Canary, Start};
        let tried = history(&[(Start, b"a"), (Canary, b"b")]);
        assert_eq!(tried.digest, Digest::of(b"a"));
        assert_eq!(tried.canary.map(|tried| (tried.digest, tried.since)), Some((Digest::of(b"b"), 2)));
        let ended = history(&[(Start, b"a"), (Canary, b"b"), (AutomaticRollback, b"a")]);
        assert_eq!((ended.digest, ended.canary, ended.newest), (Digest::of(b"a"), None, 3));
        let promoted = history(&[(Start, b"a"), (Canary, b"b"), (Activate, b"b")]);
        assert_eq!((promoted.digest, promoted.canary), (Digest::of(b"b"), None));
    }
}
