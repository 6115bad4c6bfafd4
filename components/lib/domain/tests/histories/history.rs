//! A history as data: steps that say what kind of thing comes next, and a number that says which.
//!
//! What a step becomes depends on the state that it meets, so a history stays a plausible one when steps are taken
//! out of it. That is how a failing one is made short: by leaving out as much as can be left out.

use proptest::prelude::*;
use proptest::strategy::{NewTree, ValueTree};
use proptest::test_runner::TestRunner;

#[derive(Debug, Clone, Copy)]
pub struct Step {
    pub topic: Topic,
    pub dice: u64,
}

/// What comes next.
#[derive(Debug, Clone, Copy)]
pub enum Topic {
    /// Time passes.
    Wait,
    /// A booking or a step of a saga arrives.
    Deliver,
    /// A payment or a refund begins.
    Begin,
    /// A payment goes on.
    Proceed,
    /// Something of the account alone.
    Account,
    /// Something of a card alone.
    Card,
    /// Something that was accepted comes again.
    Repeat,
    /// Something that was accepted comes again and says something else.
    Alter,
}

fn step() -> impl Strategy<Value = Step> {
    let topic = prop_oneof![
        3 => Just(Topic::Wait),
        40 => Just(Topic::Deliver),
        7 => Just(Topic::Begin),
        30 => Just(Topic::Proceed),
        7 => Just(Topic::Account),
        4 => Just(Topic::Card),
        6 => Just(Topic::Repeat),
        6 => Just(Topic::Alter),
    ];
    (topic, any::<u64>()).prop_map(|(topic, dice)| Step { topic, dice })
}

/// Histories of so many steps.
#[derive(Debug)]
pub struct Histories(pub usize);

impl Strategy for Histories {
    type Tree = Shorter;
    type Value = Vec<Step>;

    fn new_tree(&self, runner: &mut TestRunner) -> NewTree<Self> {
        let steps = prop::collection::vec(step(), self.0).new_tree(runner)?.current();
        Ok(Shorter { start: 0, size: steps.len().div_ceil(2), steps, before: None, has_shrunk: false })
    }
}

/// Leaves out stretches of a history, the longest first.
pub struct Shorter {
    steps: Vec<Step>,
    before: Option<Vec<Step>>,
    start: usize,
    size: usize,
    /// Since the last time at the beginning.
    has_shrunk: bool,
}

impl ValueTree for Shorter {
    type Value = Vec<Step>;

    fn current(&self) -> Vec<Step> {
        self.steps.clone()
    }

    fn simplify(&mut self) -> bool {
        // The one before is left out for good: without it, it fails as well.
        self.has_shrunk |= self.before.take().is_some();
        while self.size > 0 {
            if self.start < self.steps.len() {
                let end = self.steps.len().min(self.start + self.size);
                self.before = Some(self.steps.clone());
                self.steps.drain(self.start..end);
                return true;
            }
            self.start = 0;
            self.size = if self.size == 1 && self.has_shrunk { 1 } else { self.size / 2 };
            self.has_shrunk = false;
        }
        false
    }

    fn complicate(&mut self) -> bool {
        let Some(before) = self.before.take() else { return false };
        self.steps = before;
        self.start += self.size;
        true
    }
}
