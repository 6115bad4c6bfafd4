//! A customer's account: the balance of the Safe, the money set aside for open payments, and the ledger of all
//! movements.
//!
//! Stream id, routing key and account are the same address: that of the Safe. The chain is the authority on the
//! Safe's balance, and the ledger mirrors it; nothing here moves money on chain. Facts that have already happened
//! (deposits, clearings, refunds, spends seen on chain) are never refused for lack of funds or because of their
//! asset; only a hold that is not forced can be refused for that. Each rule is in the file of its name; `rule`
//! defines the order in which a command is judged.
//!
//! Rejection codes, besides those of [`checks`](crate::checks):
//!
//! | code | meaning |
//! |---|---|
//! | `account_not_opened` | a command before `OpenAccount` that is no deposit and no withdrawal |
//! | `invalid_assets` | `OpenAccount` without an asset, or with the same one twice |
//! | `asset_not_held` | an unforced hold in an asset that is not among the account's |
//! | `insufficient_funds` | an unforced hold above the available balance |
//! | `only_part_available` | the same, if a part would do and there is one: the detail is the available amount in minor units, and nothing else |
//! | `delay_queue_not_empty` | an unforced hold while transactions wait in the delay module |
//! | `reversed` | an unforced hold for a request whose reversal came before |
//! | `hold_found`, `hold_ambiguous` | the answer to `FindHold`: the detail is the hold's id, or several ids with blanks between them. The second is also an answer to `MatchClearing` |
//! | `hold_matched`, `hold_not_matched` | the answer to `MatchClearing`: the detail is the confidence, the keys and the hold's id; or there is none |
//! | `clearing_not_booked` | a clearing is moved that is not booked of the payment from which it is moved |
//! | `hold_not_found` | a hold that was never placed, was refused or was voided |
//! | `hold_too_small` | a clearing that uses and releases more than is held |
//! | `release_above_hold` | a reversal or an expiry of more than is held |
//! | `invalid_residue` | a claim that is both above and below our own conversion |
//! | `suspense_not_found` | the resolution of a clearing never suspended, or of a refund never unlinked; the assignment of a return that was not resolved as one; the reversal of a refund that was never booked |
//! | `reversal_above_claimed` | more is taken back of a payment's clearings than is booked of them |
//! | `return_above_refund` | more of a return is assigned to its payment than came back |
//! | `source_not_found` | a reorganization or the finality of a log that was never booked |
//! | `funding_final` | a reorganization of funding that is final |
//! | `funding_out_of_order` | the money of a `Spend` is moved before what happened to its log is booked |
//! | `funding_reorged` | finality of funding that was reorganized away |
//! | `dispute_closed` | a provisional credit after the dispute's outcome |
//! | `award_exceeds_dispute` | an award above the disputed amount, or for a dispute that was not won |
//! | `receivable_not_found` | a recovery for an unknown receivable |
//! | `recovery_above_receivable` | a recovery of more than is still owed |
//! | `refund_matched` | the answer to `ReadRefund`: the detail is the stream of the refund on chain and the payment |
//! | `spend_matched` | the answer to `ReadMatch` and `FindSpend`: the detail is the reason and the id of the other side |

mod asked;
mod awaited;
mod clearing;
mod clearing_move;
mod clearing_reversal;
mod delay_queue;
mod deposit;
mod dispute;
mod dispute_money;
mod event;
#[cfg(feature = "schema")]
mod examples;
mod fee;
mod funding;
mod held;
mod hold;
mod identity;
mod keys;
mod ledger;
mod matching;
mod messages;
mod opening;
#[cfg(test)]
mod properties;
mod receivable;
mod refund;
mod refund_match;
mod refund_reversal;
mod rule;
mod sent_back;
mod settlement;
mod state;
mod superseded;
mod suspense;

pub use asked::holds_of;
pub(crate) use awaited::{hold_matched, not_matched};
pub(crate) use dispute::dispute_key;
pub(crate) use hold::available_part;
pub use ledger::{Balance, Book, Ledger, LedgerAccount, Net, Side, Transfer};
pub(crate) use matching::matched;
pub use messages::*;
pub(crate) use refund_match::refund_matched;
pub use state::State;

use clearfold_kernel::{CommandContext, Decider, Entries, Rejection};

/// Aggregate name: the prefix of the stream ids.
pub const AGGREGATE: &str = "account";

/// Decider of the `account` streams.
pub struct Account;

impl Decider for Account {
    const AGGREGATE: &'static str = AGGREGATE;
    const STATE_VERSION: u32 = 13;
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
