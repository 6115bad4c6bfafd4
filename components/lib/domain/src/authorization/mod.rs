//! The life of one card payment: asked for and held, or seen on chain first; then cleared, given back, or expired;
//! perhaps refunded or disputed.
//!
//! Three regions move independently: the *network* (`Status`), the *funding* on chain (`Funding`), and *disputes*.
//! Each rule of the model stands in the file of its name, the decision above and the fold below it. This stream says
//! what a payment holds and owes; whether the account can bear it and the card may pay, their own deciders say.
//!
//! Refusals, by code, beside those of [`crate::checks`]:
//!
//! | code | meaning |
//! |---|---|
//! | `authorization_not_found` | it was never asked for, nor seen |
//! | `already_decided` | the decision has been made, or another one |
//! | `partial_not_allowed` | a part is approved where only the whole will do |
//! | `approval_above_request` | more is approved than was asked for |
//! | `not_open` | nothing can be held any more |
//! | `not_yet_expired` | the hold's time is not over |
//! | `hold_does_not_expire` | the money has moved on chain already |
//! | `conversion_mismatch` | the amount is not what the rate makes of the presented one |
//! | `invalid_sequence` | no such part of that many |
//! | `suspense_not_found` | the clearing was never suspended, or there is no unlinked refund |
//! | `refund_on_chain` | the refund is in the customer's Safe; nobody takes it back |
//! | `refund_exceeds_captured` | linked refunds would exceed what the merchant got |
//! | `funding_out_of_order` | what was seen does not follow from what was seen before |
//! | `funding_final` | the money is there for good |
//! | `not_flaggable` | the payment was decided by the rules; there is nothing to flag |
//! | `dispute_exceeds_captured` | more is disputed than the merchant has |
//! | `award_exceeds_dispute` | more is awarded than is disputed, or something of a dispute that is lost |
//! | `dispute_open` | another dispute of the payment is not decided yet |
//! | `dispute_not_found` | the payment has no such dispute |
//! | `dispute_closed` | the dispute is decided |
//! | `invalid_dispute_stage` | the stages follow each other in order |

mod advice;
mod clearing;
mod dispute;
#[cfg(feature = "schema")]
mod examples;
mod expiry;
mod flag;
mod force_post;
mod funding;
mod increment;
mod messages;
mod refund;
mod request;
mod reversal;
mod state;
mod superseded;
mod suspense;
mod swipe;

pub use clearing::{Clearing, ClearingFate};
pub use dispute::{Dispute, DisputeStatus};
pub use funding::{Funding, Gone};
pub use messages::*;
pub use refund::{Resolution, UnlinkedRefund};
pub use reversal::{Reversal, ReversalFate};
pub use state::{Entry, Payment, State, Status, Subject, Totals};
pub use suspense::Suspended;

use clearfold_kernel::{CommandContext, Decider, Rejection};

/// The kind of stream, as it stands at the beginning of its id.
pub const AGGREGATE: &str = "authorization";

/// The decider.
pub struct Authorization;

/// What a decision comes to.
type Decision = Result<Vec<Event>, Rejection>;

impl Decider for Authorization {
    const AGGREGATE: &'static str = AGGREGATE;
    const STATE_VERSION: u32 = 6;

    type State = State;
    type Command = Command;
    type Event = Event;

    fn decide(state: &State, command: &Command, context: &CommandContext) -> Decision {
        match command {
            Command::RecordSwipe(command) => swipe::record(state, command, context),
            Command::RequestAuthorization(command) => request::request(state, command, context),
            Command::ApproveAuthorization(command) => request::approve(state, command, context),
            Command::DeclineAuthorization(command) => request::decline(state, command, context),
            Command::IncrementAuthorization(command) => increment::increment(state, command, context),
            Command::ReverseAuthorization(command) => reversal::reverse(state, command, context),
            Command::ExpireAuthorization(_) => expiry::expire(state, context),
            Command::RecordAdvice(command) => advice::record(state, command, context),
            Command::PresentClearing(command) => clearing::present(state, command, context),
            Command::ForcePost(command) => force_post::post(state, command, context),
            Command::RecordRefund(command) => refund::record(state, command, context),
            Command::ResolveClearing(command) => suspense::resolve_clearing(state, command, context),
            Command::ResolveRefund(command) => suspense::resolve_refund(state, command, context),
            Command::ObserveFunding(command) => funding::observe(state, command, context),
            Command::FlagPayment(command) => flag::flag(state, command, context),
            Command::OpenDispute(command) => dispute::open(state, command, context),
            Command::AdvanceDispute(command) => dispute::advance(state, command, context),
            Command::GrantProvisionalCredit(command) => dispute::credit(state, command, context),
            Command::ResolveDispute(command) => dispute::resolve(state, command, context),
        }
    }

    fn evolve(state: State, event: &Event) -> State {
        state.after(event)
    }
}

/// The payment, or why there is none, after the checks that every command of an existing payment passes.
fn existing<'a>(state: &'a State, context: &CommandContext) -> Result<&'a Payment, Rejection> {
    crate::checks::in_time(state.latest, context)?;
    let payment = state.payment().ok_or_else(|| {
        let detail = format!("no payment {} has been asked for or seen", context.id);
        Rejection::new("authorization_not_found", detail)
    })?;
    crate::checks::routed_to(payment.parties.account, context)?;
    Ok(payment)
}
