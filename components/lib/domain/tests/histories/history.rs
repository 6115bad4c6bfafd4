//! History as data: each step has a topic and a number that determines the choices.
//!
//! The command of a step depends on the state that it meets, so a history stays plausible when steps are removed. A
//! failing history is shrunk by removing as many steps as possible.

use proptest::prelude::*;
use proptest::strategy::{NewTree, ValueTree};
use proptest::test_runner::TestRunner;

#[derive(Debug, Clone, Copy)]
pub struct Step {
    pub topic: Topic,
    pub dice: u64,
}

/// Topic of a step.
#[derive(Debug, Clone, Copy)]
pub enum Topic {
    /// Time passes.
    Wait,
    /// A booking or a step of a saga is delivered.
    Deliver,
    /// A payment or a refund begins.
    Begin,
    /// A payment continues.
    Proceed,
    /// A command that concerns the account alone.
    Account,
    /// A command that concerns a card alone.
    Card,
    /// An accepted command is repeated.
    Repeat,
    /// An accepted command is repeated with other content.
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

/// Strategy for histories with this number of steps.
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

/// Shrinks a history by removing stretches of steps, the longest first.
pub struct Shorter {
    steps: Vec<Step>,
    before: Option<Vec<Step>>,
    start: usize,
    size: usize,
    /// True if something was removed since the last pass began.
    has_shrunk: bool,
}

impl ValueTree for Shorter {
    type Value = Vec<Step>;

    fn current(&self) -> Vec<Step> {
        self.steps.clone()
    }

    fn simplify(&mut self) -> bool {
        // The last removal is kept: the history still fails without that stretch.
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
