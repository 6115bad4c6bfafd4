//! An exact running difference.

use clearfold_kernel::Minor;

use crate::account::Net;

/// Totals of what was added and what was taken, kept apart because neither can be below zero.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Sum {
    added: Minor,
    taken: Minor,
}

impl Sum {
    pub(super) fn add(&mut self, minor: Minor) {
        self.added = plus(self.added, minor);
    }

    pub(super) fn take(&mut self, minor: Minor) {
        self.taken = plus(self.taken, minor);
    }

    pub(super) fn net(self) -> Net {
        Net::of(self.added, self.taken)
    }
}

/// Adds two amounts, saturating. No sum of amounts that a decider accepts overflows: four billion of the largest fit.
pub(super) fn plus(left: Minor, right: Minor) -> Minor {
    left.plus(right).unwrap_or(Minor::new(u128::MAX))
}
