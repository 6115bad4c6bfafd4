//! Next step of a leading writer, from where its partition stands. Pure.
//!
//! One batch is in flight to the database; meanwhile the next is decided on the state that it will leave, and grows
//! until that commit ends. So a command that comes alone is committed at once, and many that come together share one
//! flush.

/// State of the pipeline, as far as the next step depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct View {
    /// True if newer deciders are to take over.
    pub is_takeover_due: bool,
    /// True if the queue is closed and empty.
    pub is_closed: bool,
    pub is_in_flight: bool,
    pub batch_size: usize,
    /// Number of commands in the next batch.
    pub next: usize,
    /// True if the next batch holds a command that is to be committed without others.
    pub is_next_alone: bool,
    /// Number of repeats that wait for the command that they repeat.
    pub repeats: usize,
    /// Number of those whose first was committed or answered.
    pub resolved_repeats: usize,
    /// Number of commands that come before the queue.
    pub backlog: usize,
    /// True if the first of them goes alone.
    pub is_first_alone: bool,
    /// Number of them before the first that goes alone.
    pub together: usize,
    /// True if commands follow from those of the next batch, and are not decided yet.
    pub has_follow_ups: bool,
    /// True if timers of sagas are due.
    pub is_timer_due: bool,
}

/// Next thing to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// Let newer deciders take over.
    TakeOver,
    /// Decide some commands, which then join the next batch.
    Decide(Chunk),
    /// Read timers that are due, which then join the backlog.
    ReadTimers,
    /// Send the next batch to the database.
    Launch,
    /// Wait for what happens: the commit ends, other deciders come, or commands, at most `room` of them.
    Wait { room: usize },
    /// End: nothing is left, and nothing comes any more.
    Stop,
}

/// Commands to decide together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Chunk {
    /// Everything that follows from commands of the next batch.
    FollowUps,
    /// The first of the backlog, by itself.
    Alone,
    /// Repeats whose first was committed or answered, then the beginning of the backlog.
    Together { repeats: usize, backlog: usize },
}

/// Plans the next step.
pub(super) fn plan(view: View) -> Step {
    // What follows from a command is committed with it, by the deciders that decided it.
    if view.has_follow_ups {
        return Step::Decide(Chunk::FollowUps);
    }
    let is_idle = !view.is_in_flight && view.next == 0;
    let free = free(view);
    if view.is_takeover_due {
        // It lies between two batches.
        if is_idle {
            return Step::TakeOver;
        }
    } else if view.is_timer_due && view.backlog < view.batch_size {
        return Step::ReadTimers;
    } else if let Some(chunk) = chunk(view, free, is_idle) {
        return Step::Decide(chunk);
    }
    if !view.is_in_flight && view.next > 0 {
        return Step::Launch;
    }
    if view.is_closed && !view.is_in_flight {
        return Step::Stop;
    }
    // The queue comes after the backlog, and repeats may not pile up.
    let is_shut = view.is_closed || view.is_takeover_due || view.backlog > 0;
    Step::Wait { room: if is_shut { 0 } else { free.saturating_sub(view.repeats) } }
}

/// Returns the number of commands that may join the next batch. It is never larger than its size, unless that was set
/// to 0.
fn free(view: View) -> usize {
    if view.is_next_alone { 0 } else { view.batch_size.saturating_sub(view.next) }
}

/// Returns the number of commands that may be taken from the queue behind the backlog before some are decided.
pub(super) fn room(view: View) -> usize {
    if view.is_closed { 0 } else { free(view).saturating_sub(view.repeats).saturating_sub(view.backlog) }
}

/// Commands that come before the queue and can be decided now.
fn chunk(view: View, free: usize, is_idle: bool) -> Option<Chunk> {
    let repeats = view.resolved_repeats.min(free);
    if repeats == 0 && view.is_first_alone {
        return is_idle.then_some(Chunk::Alone);
    }
    let backlog = view.together.min(free - repeats);
    (repeats > 0 || backlog > 0).then_some(Chunk::Together { repeats, backlog })
}

#[cfg(test)]
mod tests {
    use super::*;

    const VIEW: View = View {
        is_takeover_due: false,
        is_closed: false,
        is_in_flight: false,
        batch_size: 10,
        next: 0,
        is_next_alone: false,
        repeats: 0,
        resolved_repeats: 0,
        backlog: 0,
        is_first_alone: false,
        together: 0,
        has_follow_ups: false,
        is_timer_due: false,
    };
    const WAITING: View = View { backlog: 5, together: 5, ..VIEW };
    const IN_FLIGHT: View = View { is_in_flight: true, ..VIEW };

    fn together(repeats: usize, backlog: usize) -> Step {
        Step::Decide(Chunk::Together { repeats, backlog })
    }

    #[test]
    fn a_takeover_lies_between_two_batches() {
        let due = |view| plan(View { is_takeover_due: true, ..view });
        assert_eq!(due(VIEW), Step::TakeOver);
        assert_eq!(due(WAITING), Step::TakeOver, "before anything else is decided");
        assert_eq!(due(View { next: 1, ..WAITING }), Step::Launch);
        assert_eq!(due(View { is_in_flight: true, next: 1, ..WAITING }), Step::Wait { room: 0 });
        assert_eq!(due(View { is_closed: true, ..VIEW }), Step::TakeOver);
    }

    #[test]
    fn the_queue_comes_after_everything_that_came_earlier() {
        assert_eq!(plan(VIEW), Step::Wait { room: 10 });
        assert_eq!(plan(View { next: 4, repeats: 3, ..IN_FLIGHT }), Step::Wait { room: 3 });
        assert_eq!(plan(View { next: 4, repeats: 7, ..IN_FLIGHT }), Step::Wait { room: 0 });
        assert_eq!(plan(View { is_takeover_due: true, ..IN_FLIGHT }), Step::Wait { room: 0 });
        assert_eq!(plan(View { is_closed: true, ..IN_FLIGHT }), Step::Wait { room: 0 });
        let alone = View { backlog: 1, is_first_alone: true, ..IN_FLIGHT };
        assert_eq!(plan(alone), Step::Wait { room: 0 });
        assert_eq!(plan(View { next: 10, backlog: 5, together: 5, ..IN_FLIGHT }), Step::Wait { room: 0 });
    }

    #[test]
    fn what_came_meanwhile_joins_as_far_as_the_batch_has_room() {
        assert_eq!(room(VIEW), 10);
        assert_eq!(room(View { next: 2, repeats: 1, ..WAITING }), 2);
        assert_eq!(room(View { next: 9, repeats: 1, ..WAITING }), 0);
        assert_eq!(room(View { is_next_alone: true, ..VIEW }), 0);
        assert_eq!(room(View { is_closed: true, ..VIEW }), 0);
    }

    #[test]
    fn commands_are_decided_while_a_batch_is_in_flight_as_far_as_there_is_room() {
        assert_eq!(plan(WAITING), together(0, 5));
        assert_eq!(plan(View { next: 7, is_in_flight: true, ..WAITING }), together(0, 3));
        assert_eq!(plan(View { repeats: 4, resolved_repeats: 3, ..WAITING }), together(3, 5));
        assert_eq!(plan(View { repeats: 9, resolved_repeats: 9, ..WAITING }), together(9, 1));
        assert_eq!(plan(View { repeats: 12, resolved_repeats: 12, next: 9, ..WAITING }), together(1, 0));
    }

    #[test]
    fn a_batch_is_launched_when_nothing_is_in_flight_and_grows_until_then() {
        assert_eq!(plan(View { next: 2, ..VIEW }), Step::Launch);
        assert_eq!(plan(View { next: 2, ..IN_FLIGHT }), Step::Wait { room: 8 });
        assert_eq!(plan(View { next: 2, ..WAITING }), together(0, 5), "what waits joins before");
    }

    #[test]
    fn a_command_that_goes_alone_waits_until_nothing_is_in_flight_and_nothing_joins_it() {
        let alone = View { backlog: 3, is_first_alone: true, ..VIEW };
        assert_eq!(plan(alone), Step::Decide(Chunk::Alone));
        assert_eq!(plan(View { is_in_flight: true, ..alone }), Step::Wait { room: 0 });
        assert_eq!(plan(View { next: 1, ..alone }), Step::Launch);
        assert_eq!(
            plan(View { repeats: 2, resolved_repeats: 2, ..alone }),
            together(2, 0),
            "repeats go before"
        );
        let next = View { next: 1, is_next_alone: true, ..WAITING };
        assert_eq!(plan(next), Step::Launch);
        assert_eq!(
            plan(View { backlog: 0, together: 0, is_in_flight: true, ..next }),
            Step::Wait { room: 0 }
        );
    }

    #[test]
    fn what_follows_from_a_command_comes_first_and_before_the_launch() {
        let follow_ups = |view| plan(View { has_follow_ups: true, next: 1, ..view });
        for view in [VIEW, WAITING, IN_FLIGHT, View { is_takeover_due: true, ..VIEW }] {
            assert_eq!(follow_ups(view), Step::Decide(Chunk::FollowUps), "{view:?}");
        }
        assert_eq!(follow_ups(View { is_next_alone: true, ..VIEW }), Step::Decide(Chunk::FollowUps));
    }

    #[test]
    fn timers_join_the_backlog_while_it_is_short_and_never_before_a_takeover() {
        let due = |view| plan(View { is_timer_due: true, ..view });
        assert_eq!(due(VIEW), Step::ReadTimers);
        assert_eq!(due(View { next: 10, ..IN_FLIGHT }), Step::ReadTimers);
        assert_eq!(due(View { backlog: 10, together: 10, ..VIEW }), together(0, 10));
        assert_eq!(due(View { is_takeover_due: true, ..VIEW }), Step::TakeOver);
    }

    #[test]
    fn it_stops_when_the_queue_is_closed_and_nothing_is_left() {
        let closed = |view| plan(View { is_closed: true, ..view });
        assert_eq!(closed(VIEW), Step::Stop);
        assert_eq!(closed(IN_FLIGHT), Step::Wait { room: 0 });
        assert_eq!(closed(View { next: 1, ..VIEW }), Step::Launch);
        assert_eq!(closed(WAITING), together(0, 5));
        assert_eq!(closed(View { repeats: 1, resolved_repeats: 1, ..VIEW }), together(1, 0));
    }
}
