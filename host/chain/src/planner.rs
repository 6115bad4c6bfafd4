//! Decides the listener's next step from its position and the node's head. Pure.

/// Position of the listener, and its knowledge of the chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct View {
    /// Number of the last block that was read; `None` before the first.
    pub cursor: Option<u64>,
    /// Number of the first block to read.
    pub first_block: u64,
    /// Number of the node's newest block.
    pub head: u64,
    /// Number of blocks that must lie on top of a block before it is read.
    pub confirmations: u64,
    /// Largest number of blocks in the next range; at least 1.
    pub max_range: u64,
}

/// The listener's next step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// All confirmed blocks have been read.
    Wait,
    /// The node's head is before the cursor: it is syncing, or it is on another chain.
    Behind { cursor: u64, head: u64 },
    /// Read the blocks from `from` to `to`, both included.
    Read { from: u64, to: u64 },
}

pub(super) fn plan(view: View) -> Step {
    if let Some(cursor) = view.cursor
        && view.head < cursor
    {
        return Step::Behind { cursor, head: view.head };
    }
    // No block has the number 2^64 - 1: a cursor is kept as a 63-bit number.
    let from = view.cursor.map_or(view.first_block, |cursor| cursor.saturating_add(1));
    let Some(confirmed) = view.head.checked_sub(view.confirmations) else { return Step::Wait };
    if confirmed < from {
        return Step::Wait;
    }
    // A range that would end behind the largest number ends at the confirmed block all the same.
    Step::Read { from, to: confirmed.min(from.saturating_add(view.max_range.saturating_sub(1))) }
}

#[cfg(test)]
mod tests {
    use super::{Step, View, plan};

    const VIEW: View = View { cursor: Some(10), first_block: 5, head: 20, confirmations: 3, max_range: 100 };

    #[test]
    fn confirmed_blocks_are_read_in_ranges() {
        assert_eq!(plan(VIEW), Step::Read { from: 11, to: 17 });
        assert_eq!(plan(View { max_range: 2, ..VIEW }), Step::Read { from: 11, to: 12 });
        assert_eq!(plan(View { cursor: None, ..VIEW }), Step::Read { from: 5, to: 17 });
        assert_eq!(plan(View { confirmations: 0, ..VIEW }), Step::Read { from: 11, to: 20 });
    }

    #[test]
    fn what_is_not_confirmed_waits() {
        assert_eq!(plan(View { head: 13, ..VIEW }), Step::Wait);
        assert_eq!(plan(View { head: 14, ..VIEW }), Step::Read { from: 11, to: 11 });
        assert_eq!(plan(View { cursor: None, first_block: 0, head: 2, ..VIEW }), Step::Wait);
        assert_eq!(plan(View { cursor: None, first_block: 50, ..VIEW }), Step::Wait);
    }

    #[test]
    fn a_node_behind_the_cursor_is_not_an_empty_chain() {
        assert_eq!(plan(View { head: 9, ..VIEW }), Step::Behind { cursor: 10, head: 9 });
    }
}
