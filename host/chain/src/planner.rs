//! What to do next, from what is known. Pure.

/// Where the listener stands, and what it knows of the chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct View {
    /// The last block that was read, if there is one.
    pub cursor: Option<u64>,
    /// The first block that matters.
    pub first_block: u64,
    /// The node's newest block.
    pub head: u64,
    /// How many blocks must lie on top of one before it counts.
    pub confirmations: u64,
    /// The most blocks that the next range may have.
    pub max_range: u64,
}

/// The next thing to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// Nothing is confirmed that was not read.
    Wait,
    /// The node is behind what was read from it: it is syncing, or it is another chain.
    Behind { cursor: u64, head: u64 },
    /// Read these blocks, both included.
    Read { from: u64, to: u64 },
}

pub(super) fn plan(view: View) -> Step {
    if let Some(cursor) = view.cursor
        && view.head < cursor
    {
        return Step::Behind { cursor, head: view.head };
    }
    let from = view.cursor.map_or(view.first_block, |cursor| cursor.saturating_add(1));
    let Some(confirmed) = view.head.checked_sub(view.confirmations) else { return Step::Wait };
    if confirmed < from {
        return Step::Wait;
    }
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
