//! Commands to the account that follow from an event of an authorization.
//!
//! | the event | the booking |
//! |---|---|
//! | seen on chain | a match with what the network asked for, or a forced hold; and the funding leg that was seen |
//! | a `Spend` linked, or unlinked; taken, or given up | nothing: the saga moves its money |
//! | approved by a stand-in | a forced hold, or a forced raise of the existing one |
//! | approved, incremented | nothing: the account was asked before |
//! | an increment requested, or declined | nothing: the saga asks the account, and undoes what it did |
//! | declined, reversed or claimed before the decision | the hold is voided, because it may have been placed |
//! | reversed, expired | the hold is lowered |
//! | cleared, force posted | the clearing; of one that was posted for another payment, its move to this one |
//! | a clearing given up | its move back |
//! | a clearing linked, or unlinked; candidates named | nothing: the payment that has it says what moves |
//! | a clearing or a refund reversed by the network | the reversal |
//! | suspended; charged or returned | the suspended clearing; its resolution, in addition to what a charge posts |
//! | refunded, funded, disputed; money of a dispute moved | the same, in the account's terms |
//! | a return counted | it is taken off the payment |
//! | a leg abandoned with an exposure; cleared | a receivable; its recovery |

use clearfold_kernel::{Amount, ChainSource, ExternalId, InvalidId, Minor};

use super::ids;
use crate::account::{
    AssignReturn, BookClearing, BookClearingReversal, BookDispute, BookDisputeMoney, BookFunding,
    BookReceivable, BookRefund, BookRefundReversal, ClaimedOn, Command, DisputeStep, FundingStep, LowerCause,
    LowerHold, MatchSpend, MoveClearing, PlaceHold, Purchase, RaiseHold, RecoverReceivable, RefundLink,
    RefundOutcome, ResolveRefund, ResolveSuspense, SuspendClearing, VoidHold,
};
use crate::authorization::{
    AdviceHold, AdviceRecorded, AuthorizationReversed, ClearingGivenUp, ClearingPosted, DisputeOutcome,
    DisputeResolved, Event, ForcePostReason, ForcePosted, RefundOrigin, State,
};
use crate::network::Numbers;

/// Returns the commands to the account, in order. `before` is the authorization's state before the event. Fails only if
/// a derived id does not fit, which no id that a chain can make does.
pub fn of_account(
    authorization_id: &ExternalId,
    before: &State,
    event: &Event,
) -> Result<Vec<Command>, InvalidId> {
    let hold_id = authorization_id.clone();
    Ok(match event {
        Event::SwipeRecorded(event) => vec![
            Command::MatchSpend(MatchSpend {
                spend_id: hold_id.clone(),
                amount: event.amount.clone(),
                occurred_at: event.occurred_at,
            }),
            funding(hold_id, FundingStep::Included, &event.amount, &event.source),
        ],
        Event::AdviceRecorded(event) => advised(hold_id, before, event),
        Event::AuthorizationDeclined(_) => vec![void(hold_id)],
        Event::AuthorizationReversed(event) => reversed(hold_id, event),
        Event::AuthorizationExpired(event) => {
            lower(&hold_id, ids::expired(&hold_id)?, event.released.minor, LowerCause::Expired)
        }
        Event::ClearingPosted(event) => vec![clearing(hold_id, event)],
        Event::ClearingGivenUp(event) => vec![given_up(hold_id, event)],
        Event::ForcePosted(event) => forced(hold_id, event),
        Event::ClearingReversed(event) => vec![Command::BookClearingReversal(BookClearingReversal {
            reversal_id: event.reversal_id.clone(),
            clearing_id: event.clearing_id.clone(),
            hold_id,
            amount: event.amount.clone(),
        })],
        Event::RefundReversed(event) => vec![Command::BookRefundReversal(BookRefundReversal {
            reversal_id: event.reversal_id.clone(),
            refund_id: event.refund_id.clone(),
            reported_on: hold_id,
            amount: event.amount.clone(),
        })],
        Event::ClearingSuspended(event) => vec![Command::SuspendClearing(SuspendClearing {
            clearing_id: event.clearing_id.clone(),
            amount: event.amount.clone(),
            hold_id: Some(hold_id),
        })],
        // A clearing that was refused is in no suspense: only what it posts is booked.
        Event::ClearingResolved(event) if event.was_refused => Vec::new(),
        Event::ClearingResolved(event) => vec![Command::ResolveSuspense(ResolveSuspense {
            clearing_id: event.clearing_id.clone(),
            outcome: event.outcome,
            hold_id: Some(hold_id),
        })],
        Event::RefundLinked(event) => {
            vec![refund(hold_id, &event.origin, &event.amount, RefundLink::Linked)?]
        }
        Event::RefundUnlinked(event) => {
            vec![refund(hold_id, &event.origin, &event.amount, RefundLink::Unlinked)?]
        }
        Event::RefundResolved(event) => vec![Command::ResolveRefund(ResolveRefund {
            refund_id: refund_id(&event.origin)?,
            outcome: event.outcome,
            // The payment counts what came back to it, and has it assigned.
            payment_id: event.payment_id.clone().filter(|_| event.outcome != RefundOutcome::Returned),
        })],
        Event::ReturnTaken(event) => vec![Command::AssignReturn(AssignReturn {
            refund_id: event.refund_id.clone(),
            hold_id,
            amount: event.amount.clone(),
        })],
        Event::FundingIncluded(event) => {
            vec![funding(hold_id, FundingStep::Included, &event.amount, &event.source)]
        }
        Event::FundingFinalized(event) => {
            vec![funding(hold_id, FundingStep::Finalized, &event.amount, &event.source)]
        }
        Event::FundingReorged(event) => {
            vec![funding(hold_id, FundingStep::Reorged, &event.amount, &event.source)]
        }
        Event::FundingAbandoned(event) if event.exposed.minor > Minor::ZERO => {
            let receivable_id = ids::exposed(&hold_id, event.leg)?;
            vec![Command::BookReceivable(BookReceivable { receivable_id, amount: event.exposed.clone() })]
        }
        Event::ExposureCleared(event) => vec![Command::RecoverReceivable(RecoverReceivable {
            recovery_id: ids::cleared(&hold_id, event.leg, event.left)?,
            receivable_id: ids::exposed(&hold_id, event.leg)?,
            amount: event.amount.clone(),
        })],
        Event::ProvisionalCreditGranted(event) => {
            vec![dispute(hold_id, &event.dispute_id, DisputeStep::Provisional, &event.amount, None)]
        }
        Event::DisputeResolved(event) => vec![resolved(hold_id, event)],
        Event::DisputeMoneyMoved(event) => vec![Command::BookDisputeMoney(BookDisputeMoney {
            record_id: event.record_id.clone(),
            hold_id,
            dispute_id: event.dispute_id.clone(),
            cycle: event.cycle,
            direction: event.direction,
            amount: event.amount.clone(),
        })],
        Event::AuthorizationRequested(_)
        | Event::PartialApprovalProposed(_)
        | Event::SpendExpected(_)
        | Event::AuthorizationApproved(_)
        | Event::AuthorizationPartiallyApproved(_)
        | Event::IncrementRequested(_)
        | Event::HoldIncreased(_)
        | Event::IncrementDeclined(_)
        | Event::ReversalRefused(_)
        | Event::OverCaptured(_)
        | Event::ConversionDeviates(_)
        | Event::RecordReversalKept(_)
        | Event::RecordReversalEnded(_)
        | Event::LatePresented(_)
        | Event::ClearingRefused(_)
        | Event::FundingSubmitted(_)
        | Event::FundingReverted(_)
        | Event::FundingDropped(_)
        | Event::FundingAbandoned(_)
        | Event::ReturnOwed(_)
        | Event::PaymentFlagged(_)
        | Event::DisputeOpened(_)
        | Event::DisputeAdvanced(_)
        | Event::SpendLinked(_)
        | Event::SpendUnlinked(_)
        | Event::SpendTaken(_)
        | Event::SpendGivenUp(_)
        | Event::SpendObserved(_)
        | Event::ClearingLinked(_)
        | Event::ClearingUnlinked(_)
        | Event::CandidatesNamed(_) => Vec::new(),
    })
}

/// Returns the command that undoes a raise, for an increment that was rejected after the account had raised the hold.
pub fn raise_undone(
    authorization_id: &ExternalId,
    message_id: &ExternalId,
    amount: Minor,
) -> Result<Command, InvalidId> {
    Ok(Command::LowerHold(LowerHold {
        hold_id: authorization_id.clone(),
        change_id: ids::undone(message_id)?,
        amount,
        cause: LowerCause::Reversed,
    }))
}

/// Returns the id of a refund: the network's, or the position of its log on chain.
pub(crate) fn refund_id(origin: &RefundOrigin) -> Result<ExternalId, InvalidId> {
    match origin {
        RefundOrigin::Network(refund_id) => Ok(refund_id.clone()),
        RefundOrigin::Chain(_) => origin.identity().try_into(),
    }
}

/// Returns true if the account accepts the command only from the chain.
#[must_use]
pub const fn is_seen_on_chain(command: &Command) -> bool {
    match command {
        Command::BookRefund(refund) => refund.source.is_some(),
        Command::BookFunding(_)
        | Command::MatchSpend(_)
        | Command::MoveFunding(_)
        | Command::ObserveDelayQueue(_)
        | Command::RecordDeposit(_)
        | Command::RevertDeposit(_)
        | Command::RecordWithdrawal(_)
        | Command::RevertWithdrawal(_)
        | Command::RecordReturn(_) => true,
        _ => false,
    }
}

/// Commands for a stand-in's approval. A request that was not approved may have a hold already, or one in flight: the
/// hold of the advice replaces it. An approved hold is raised instead of replaced, because other commands in flight
/// may change it as well.
fn advised(hold_id: ExternalId, before: &State, event: &AdviceRecorded) -> Vec<Command> {
    let asset = event.amount.asset.clone();
    match event.hold {
        AdviceHold::Placed => vec![void(hold_id.clone()), place(hold_id, before, event)],
        AdviceHold::Raised(minor) => vec![Command::RaiseHold(RaiseHold {
            hold_id,
            change_id: event.message_id.clone(),
            amount: Amount { minor, asset },
            forced: true,
        })],
        AdviceHold::Unchanged => Vec::new(),
    }
}

/// A reversal states the numbers of the request. The advice may have others, if it does not name its original.
fn place(hold_id: ExternalId, before: &State, event: &AdviceRecorded) -> Command {
    let stated = || Numbers::of(event.network, event.details.as_deref(), event.occurred_at)?.written();
    Command::PlaceHold(PlaceHold {
        hold_id,
        amount: event.amount.clone(),
        forced: true,
        partial: false,
        unless_spent: false,
        asked_by: before.asked_by.clone().or_else(stated),
        purchase: Some(Box::new(Purchase {
            card_id: event.card_id.clone(),
            merchant_id: event.merchant.id.clone(),
            category: event.merchant.category,
            country: event.merchant.country,
            network: event.network,
            terminal: event.details.as_ref().and_then(|details| details.terminal.clone()),
            requested_at: event.occurred_at,
        })),
    })
}

fn void(hold_id: ExternalId) -> Command {
    Command::VoidHold(VoidHold { hold_id })
}

fn lower(hold_id: &ExternalId, change_id: ExternalId, amount: Minor, cause: LowerCause) -> Vec<Command> {
    if amount == Minor::ZERO {
        return Vec::new();
    }
    vec![Command::LowerHold(LowerHold { hold_id: hold_id.clone(), change_id, amount, cause })]
}

/// Commands for a reversal. A released amount of zero means that the request was not decided: its hold may exist or
/// be in flight, so it is voided.
fn reversed(hold_id: ExternalId, event: &AuthorizationReversed) -> Vec<Command> {
    let released = event.released.minor;
    if released == Minor::ZERO {
        return vec![void(hold_id)];
    }
    lower(&hold_id, event.message_id.clone(), released, LowerCause::Reversed)
}

/// Command for a claim. One that was posted for another payment is booked already, and moves.
fn clearing(hold_id: ExternalId, event: &ClearingPosted) -> Command {
    if let Some(origin) = &event.origin {
        // The decider has checked that the sum fits.
        let minor = event.claimed().unwrap_or(event.beyond_hold);
        return Command::MoveClearing(MoveClearing {
            posted_on: origin.posted_on.clone(),
            payment_id: hold_id,
            clearing_id: event.clearing_id.clone(),
            link: origin.link,
            to: ClaimedOn::Payment,
            amount: Amount { minor, asset: event.asset.clone() },
            against_hold: event.against_hold,
            released: event.released,
            held: Minor::ZERO,
        });
    }
    Command::BookClearing(BookClearing {
        clearing_id: event.clearing_id.clone(),
        hold_id,
        against_hold: event.against_hold,
        beyond_hold: event.beyond_hold,
        released: event.released,
        asset: event.asset.clone(),
        residue: event.residue,
    })
}

fn given_up(payment_id: ExternalId, event: &ClearingGivenUp) -> Command {
    Command::MoveClearing(MoveClearing {
        posted_on: event.posted_on.clone(),
        payment_id,
        clearing_id: event.clearing_id.clone(),
        link: event.link,
        to: ClaimedOn::Origin,
        amount: event.amount.clone(),
        against_hold: Minor::ZERO,
        released: Minor::ZERO,
        held: event.held,
    })
}

/// Commands for a force post. If the request was not decided, the claim closes it, so a hold that it may have is
/// voided.
fn forced(hold_id: ExternalId, event: &ForcePosted) -> Vec<Command> {
    let booking = Command::BookClearing(BookClearing {
        clearing_id: event.clearing_id.clone(),
        hold_id: hold_id.clone(),
        against_hold: Minor::ZERO,
        beyond_hold: event.amount.minor,
        released: Minor::ZERO,
        asset: event.amount.asset.clone(),
        residue: event.residue,
    });
    match event.reason {
        ForcePostReason::Undecided => vec![void(hold_id), booking],
        ForcePostReason::NoAuthorization | ForcePostReason::Declined | ForcePostReason::Forced => {
            vec![booking]
        }
    }
}

fn refund(
    authorization_id: ExternalId,
    origin: &RefundOrigin,
    amount: &Amount,
    link: RefundLink,
) -> Result<Command, InvalidId> {
    let source = match origin {
        RefundOrigin::Chain(source) => Some(source.clone()),
        RefundOrigin::Network(_) => None,
    };
    let (refund_id, amount, reported_on) = (refund_id(origin)?, amount.clone(), Some(authorization_id));
    Ok(Command::BookRefund(BookRefund { refund_id, amount, link, source, reported_on }))
}

fn funding(hold_id: ExternalId, step: FundingStep, amount: &Amount, source: &ChainSource) -> Command {
    let (amount, source) = (amount.clone(), source.clone());
    Command::BookFunding(BookFunding { hold_id, step, amount, source })
}

fn dispute(
    hold_id: ExternalId,
    dispute_id: &ExternalId,
    step: DisputeStep,
    amount: &Amount,
    awarded: Option<Minor>,
) -> Command {
    let (dispute_id, amount) = (dispute_id.clone(), amount.clone());
    Command::BookDispute(BookDispute { hold_id, dispute_id, step, amount, awarded })
}

fn resolved(hold_id: ExternalId, event: &DisputeResolved) -> Command {
    let step = match event.outcome {
        DisputeOutcome::Won => DisputeStep::Won,
        DisputeOutcome::Lost => DisputeStep::Lost,
    };
    let awarded = event.awarded.as_ref().map(|awarded| awarded.minor);
    dispute(hold_id, &event.dispute_id, step, &event.amount, awarded)
}
