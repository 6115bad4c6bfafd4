//! Decider of an authorization, the life of one card payment: requested and held, or seen on chain first; then
//! cleared, reversed or expired; perhaps refunded or disputed.
//!
//! Three regions change independently: the *network* (`Status`), the *funding* on chain (`Funding`, in legs), and
//! *disputes*.
//! Each rule of the model has a file of its name, with the decision first and the fold below it. This stream states
//! what a payment holds and owes; the account's and the card's own deciders say if the account can bear it and the
//! card may pay.
//!
//! Rejection codes, in addition to those of [`crate::checks`]:
//!
//! | code | meaning |
//! |---|---|
//! | `authorization_not_found` | the payment was neither requested nor seen |
//! | `already_decided` | the payment, or the increment, is already decided |
//! | `partial_not_allowed` | a part is approved, but the merchant accepts only the whole amount |
//! | `approval_above_request` | more is approved than was requested |
//! | `no_part` | what is proposed as a part is the whole amount or more |
//! | `not_open` | the payment is closed or not approved; nothing can be held |
//! | `increment_not_found` | the payment has no such increment |
//! | `increment_undecided` | a new total is stated while another increment is not decided yet |
//! | `single_message_increment` | a single message would be an increment, or its payment would take one |
//! | `single_message_credit` | a single message would ask for a credit; that is recorded as a refund |
//! | `total_not_above_authorized` | an increment states a total that is authorized already |
//! | `not_yet_expired` | the hold has not reached its expiry time |
//! | `hold_does_not_expire` | the hold has no expiry time: it was seen on chain, and recorded before such holds had one |
//! | `conversion_impossible` | what a request presents cannot be converted: its rate is zero, or the result does not fit |
//! | `invalid_sequence` | the part's number is not between 1 and the number of parts |
//! | `suspense_not_found` | the clearing was neither suspended nor refused, there is no unlinked refund, or no such reversal waits |
//! | `refund_not_found` | only a known refund is to be taken back, and there is no such refund |
//! | `fees_of_chain` | a refund on chain states fees of the network |
//! | `refund_on_chain` | the refund is in the customer's Safe and cannot be taken back |
//! | `return_not_on_chain` | a refund that the network reports is no return of what was pulled |
//! | `return_not_resolved` | somebody else than a saga reverses a payment because its money came back; a refund is resolved instead |
//! | `return_of_linked_spend` | the money of a return is that of a linked `Spend`: the first word of the detail is the payment that has it |
//! | `refund_exceeds_captured` | a linked refund on chain would exceed what the merchant still has |
//! | `funding_out_of_order` | the observation does not follow from the earlier ones |
//! | `funding_final` | the pulled money is in a final block |
//! | `pull_in_lost_block` | a leg is abandoned that the listener has seen in a block, which was lost |
//! | `leg_before_undecided` | a leg is abandoned while one before it may still be pulled |
//! | `spend_linked` | the `Spend` is linked to another payment |
//! | `spend_not_linkable` | the payment did not begin with a `Spend`, or a part of that was claimed, given back or added |
//! | `clearing_linked` | the clearing is linked to another payment, which has it |
//! | `clearing_not_linkable` | the clearing did not begin its payment, something else happened to it, or the payment cannot have it |
//! | `reason_too_long` | the reason for a link is longer than 500 bytes |
//! | `exposure_open` | a part of a leg could not be pulled and is a receivable |
//! | `not_flaggable` | the rules were checked before the payment was decided, so there is nothing to flag |
//! | `dispute_exceeds_captured` | more is disputed than the merchant has, or credited than was charged |
//! | `award_exceeds_dispute` | more is awarded than is disputed, or an amount is awarded in a lost dispute |
//! | `dispute_open` | another dispute of the payment is not decided yet |
//! | `dispute_not_found` | the payment has no such dispute |
//! | `dispute_closed` | the dispute is already decided |
//! | `direction_missing` | money of a pre-arbitration or an arbitration names no direction |
//! | `invalid_dispute_stage` | the stage is not the next one, or the dispute is won before it was submitted |

mod advice;
mod awaited_record;
mod claim;
mod clearing;
mod clearing_link;
mod dispute;
mod dispute_money;
#[cfg(feature = "schema")]
mod examples;
mod expiry;
mod fees;
mod flag;
mod force_post;
mod funding;
mod increment;
mod legs;
mod link;
mod messages;
mod partial;
mod record_reversal;
mod refund;
mod request;
mod returned;
mod reversal;
mod single_message;
mod state;
mod stored;
mod superseded;
mod suspense;
mod swipe;

pub(crate) use claim::Split;
pub use claim::{Clearing, ClearingFate, Suspended};
pub use clearing_link::{ClearingLinks, Figures, LinkedClearing, TakenClearing};
pub use dispute::{Dispute, DisputeStatus};
pub use dispute_money::DisputeMoney;
pub use fees::{Fees, StatedFees};
pub use funding::{Funding, Gone};
pub use increment::{Increment, IncrementFate};
pub use legs::Legs;
pub use link::{Linked, Links, Taken};
pub use messages::*;
pub use record_reversal::{Named, RecordReversal, RecordReversalFate, RecordReversals};
pub use refund::{Resolution, UnlinkedRefund};
pub(crate) use returned::money_of;
pub use reversal::{Reversal, ReversalFate};
pub use single_message::SingleMessage;
pub use state::{Entry, Payment, State, Status, Subject, Totals};
pub use stored::{Advice, Requested};

use clearfold_kernel::{CommandContext, Decider, Rejection};

/// Name of the aggregate, with which its stream ids begin.
pub const AGGREGATE: &str = "authorization";

/// Decider of an authorization's stream.
pub struct Authorization;

/// Result of a decision: events, or a rejection.
type Decision = Result<Vec<Event>, Rejection>;

impl Decider for Authorization {
    const AGGREGATE: &'static str = AGGREGATE;
    const STATE_VERSION: u32 = 16;

    type State = State;
    type Command = Command;
    type Event = Event;

    fn decide(state: &State, command: &Command, context: &CommandContext) -> Decision {
        let events = decide(state, command, context)?;
        let events = single_message::presented(state, events)?;
        let events = awaited_record::applied(state, events, context);
        Ok(legs::balanced(state, events, context))
    }

    fn evolve(state: State, event: &Event) -> State {
        state.after(event)
    }
}

fn decide(state: &State, command: &Command, context: &CommandContext) -> Decision {
    match command {
        Command::RecordSwipe(command) => swipe::record(state, command, context),
        Command::RequestAuthorization(command) => request::request(state, command, context),
        Command::ProposePartialApproval(command) => partial::propose(state, command, context),
        Command::ExpectSpend(command) => link::expect(state, command, context),
        Command::ApproveAuthorization(command) => request::approve(state, command, context),
        Command::DeclineAuthorization(command) => request::decline(state, command, context),
        Command::IncrementAuthorization(command) => increment::request(state, command, context),
        Command::ApproveIncrement(command) => increment::approve(state, command, context),
        Command::DeclineIncrement(command) => increment::decline(state, command, context),
        Command::ReverseAuthorization(command) => reversal::reverse(state, command, context),
        Command::ExpireAuthorization(_) => expiry::expire(state, context),
        Command::RecordAdvice(command) => advice::record(state, command, context),
        Command::PresentClearing(command) => clearing::present(state, command, context),
        Command::ForcePost(command) => force_post::post(state, command, context),
        Command::RecordRefund(command) => refund::record(state, command, context),
        Command::ResolveClearing(command) => suspense::resolve_clearing(state, command, context),
        Command::ResolveRefund(command) => suspense::resolve_refund(state, command, context),
        Command::ObserveFunding(command) => funding::observe(state, command, context),
        Command::AbandonFunding(command) => funding::abandon(state, command, context),
        Command::CloseExposure(command) => funding::close_exposure(state, command, context),
        Command::FlagPayment(command) => flag::flag(state, command, context),
        Command::OpenDispute(command) => dispute::open(state, command, context),
        Command::AdvanceDispute(command) => dispute::advance(state, command, context),
        Command::GrantProvisionalCredit(command) => dispute::credit(state, command, context),
        Command::ResolveDispute(command) => dispute::resolve(state, command, context),
        Command::LinkSpend(command) => link::link(state, command, context),
        Command::UnlinkSpend(command) => link::unlink(state, command, context),
        Command::TakeSpend(command) => link::take(state, command, context),
        Command::TakeReturn(command) => returned::take(state, command, context),
        Command::ReverseClearing(command) => record_reversal::reverse_clearing(state, command, context),
        Command::ReverseRefund(command) => record_reversal::reverse_refund(state, command, context),
        Command::DismissRecordReversal(command) => awaited_record::dismiss(state, command, context),
        Command::RecordDisputeMoney(command) => dispute_money::record(state, command, context),
        Command::GiveUpSpend(command) => link::give_up(state, command, context),
        Command::ObserveSpend(command) => funding::observe_spend(state, command, context),
        Command::LinkClearing(command) => clearing_link::link(state, command, context),
        Command::UnlinkClearing(command) => clearing_link::unlink(state, command, context),
        Command::TakeClearing(command) => clearing_link::take(state, command, context),
        Command::GiveUpClearing(command) => clearing_link::give_up(state, command, context),
        Command::NameCandidates(command) => clearing_link::name(state, command, context),
    }
}

/// Returns the payment after the checks that every command to an existing payment must pass, or the rejection.
fn existing<'a>(state: &'a State, context: &CommandContext) -> Result<&'a Payment, Rejection> {
    let payment = state.payment().ok_or_else(|| {
        let detail = format!("no payment {} has been asked for or seen", context.id);
        Rejection::new("authorization_not_found", detail)
    })?;
    crate::checks::routed_to(payment.parties.account, context)?;
    Ok(payment)
}
