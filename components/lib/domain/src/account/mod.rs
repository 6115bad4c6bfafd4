//! A customer's account: what the Safe holds, what is set aside for open payments, and the ledger of all that moved.
//!
//! Stream, routing key and account are one address: the Safe's. The chain says what the Safe holds, and the ledger
//! mirrors it; nothing here moves money on chain. What has happened already (deposits, clearings, refunds, spends
//! seen on chain) is never refused for funds, nor for its asset: only a hold that still can be is. Each rule is in the
//! file that has its name; the order in which a command is judged is in `rule`.
//!
//! Refusals, beside those of [`checks`](crate::checks):
//!
//! | code | meaning |
//! |---|---|
//! | `account_not_opened` | anything before `OpenAccount` |
//! | `invalid_assets` | an account of no asset, or of the same one twice |
//! | `asset_not_held` | a hold that can be refused, in an asset that the account did not name at opening |
//! | `insufficient_funds` | a hold above the available balance |
//! | `delay_queue_not_empty` | a hold while transactions wait in the delay module |
//! | `hold_not_found` | a hold that was never placed, was refused or was voided |
//! | `hold_too_small` | a clearing that uses or releases more than is held |
//! | `release_above_hold` | a reversal or an expiry of more than is held |
//! | `invalid_residue` | rounding that took and gave at once, or as much as was charged |
//! | `suspense_not_found` | a clearing that was never suspended, or a refund that was never unlinked |
//! | `source_not_found` | a reorganization or finality of a log that was never booked |
//! | `funding_final` | a reorganization of funding that is final |
//! | `funding_reorged` | finality of funding that was reorganized away |
//! | `dispute_closed` | a provisional credit after the dispute's outcome |
//! | `award_exceeds_dispute` | more is awarded than is disputed, or something of a dispute that is not won |
//! | `receivable_not_found` | a recovery of what nobody owes |
//! | `recovery_above_receivable` | a recovery of more than is still owed |

mod clearing;
mod delay_queue;
mod deposit;
mod dispute;
mod event;
#[cfg(feature = "schema")]
mod examples;
mod fee;
mod funding;
mod hold;
mod identity;
mod keys;
mod ledger;
mod messages;
mod opening;
#[cfg(test)]
mod properties;
mod receivable;
mod refund;
mod rule;
mod sent_back;
mod settlement;
mod state;
mod suspense;

pub(crate) use dispute::dispute_key;
pub use ledger::{Balance, Book, Ledger, LedgerAccount, Net, Side, Transfer};
pub use messages::*;
pub use state::State;

use clearfold_kernel::{CommandContext, Decider, Entries, Rejection};

/// The kind of stream, as it stands at the beginning of its id.
pub const AGGREGATE: &str = "account";

/// The decider.
pub struct Account;

impl Decider for Account {
    const AGGREGATE: &'static str = AGGREGATE;
    const STATE_VERSION: u32 = 4;
    const HAS_ENTRIES: bool = true;

    type State = State;
    type Command = Command;
    type Event = Event;

    fn decide(state: &State, command: &Command, context: &CommandContext) -> Result<Vec<Event>, Rejection> {
        rule::decide(state, command, context)
    }

    fn evolve(state: State, event: &Event) -> State {
        state.after(event)
    }

    fn command_keys(command: &Command) -> Vec<String> {
        keys::of_command(command)
    }

    fn event_keys(event: &Event) -> Vec<String> {
        keys::of_event(event)
    }

    fn entries(state: &mut State) -> Option<&mut Entries> {
        Some(state.entries())
    }
}
