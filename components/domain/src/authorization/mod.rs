//! The life of one card payment: seen on chain, then cleared by the card network.
//!
//! A swipe of a self-custodial card moves the money at once, on chain, so a payment begins with the transfer
//! (`RecordSwipe`). The network presents its clearing a day or more later, whole or in parts
//! (`PresentClearing`). Money that comes back from the merchant without naming its payment is recorded as an
//! unlinked refund on a stream of its own (`RecordRefund`): never guess what it belongs to.

mod decide;
#[cfg(feature = "schema")]
mod examples;
mod messages;
mod state;
mod superseded;

pub use messages::{
    ClearingPosted, Command, Event, PresentClearing, RecordRefund, RecordSwipe, RefundUnlinked, SwipeRecorded,
};
pub use state::{Clearing, Payment, State};

use clearfold_kernel::{CommandContext, Decider, Rejection};

/// The kind of stream, as it stands at the beginning of its id.
pub const AGGREGATE: &str = "authorization";

/// The decider.
pub struct Authorization;

impl Decider for Authorization {
    const AGGREGATE: &'static str = AGGREGATE;
    const STATE_VERSION: u32 = 2;

    type State = State;
    type Command = Command;
    type Event = Event;

    fn decide(state: &State, command: &Command, context: &CommandContext) -> Result<Vec<Event>, Rejection> {
        decide::decide(state, command, context)
    }

    fn evolve(state: State, event: &Event) -> State {
        state.after(event)
    }
}
