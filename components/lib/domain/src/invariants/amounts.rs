//! 6. Every amount that moves or is set aside is above zero.

use clearfold_kernel::{Invariant, Minor};

use super::sum::plus;
use super::tally::{Fact, Happened, Violations, Watch};
use crate::network::DisputeCycle;
use crate::{account, authorization, card};

const AMOUNTS_POSITIVE: Invariant = Invariant {
    code: "amounts_positive",
    statement: "Every amount that moves or is set aside is above zero.",
};

#[derive(Debug, Default)]
pub(super) struct Amounts;

impl Watch for Amounts {
    const INVARIANTS: &'static [Invariant] = &[AMOUNTS_POSITIVE];

    fn observe(&mut self, fact: Fact<'_>, found: &mut Violations<'_>) {
        let moved = match fact.event {
            Happened::Account(event) => of_account(event),
            Happened::Authorization(event) => of_authorization(event),
            Happened::Card(event) => of_card(event),
        };
        if moved == Some(Minor::ZERO) {
            found.report(AMOUNTS_POSITIVE, "an amount of zero moved");
        }
    }
}

fn of_account(event: &account::Event) -> Option<Minor> {
    use account::Event;
    Some(match event {
        Event::AccountOpened(_)
        | Event::AssetsNamed(_)
        | Event::DelayQueueChanged(_)
        | Event::HoldVoided(_)
        | Event::HoldPrevented(_) => return None,
        Event::Deposited(event) => event.amount.minor,
        Event::DepositReorged(event) => event.amount.minor,
        Event::Withdrawn(event) => event.amount.minor,
        Event::WithdrawalReorged(event) => event.amount.minor,
        Event::HoldPlaced(event) => event.amount.minor,
        Event::HoldRaised(event) => event.amount.minor,
        Event::HoldLowered(event) => event.amount.minor,
        Event::ClearingBooked(event) => plus(event.against_hold, event.beyond_hold),
        Event::ClearingSuspended(event) => event.amount.minor,
        Event::SuspenseResolved(event) => event.amount.minor,
        Event::FundingBooked(event) => event.amount.minor,
        Event::Returned(event) => event.amount.minor,
        Event::RefundBooked(event) => event.amount.minor,
        Event::RefundResolved(event) => event.amount.minor,
        Event::DisputeBooked(event) => event.amount.minor.min(event.awarded()),
        // A withdrawal may move nothing.
        Event::DisputeMoneyBooked(event) if event.cycle == DisputeCycle::Withdrawal => return None,
        Event::DisputeMoneyBooked(event) => event.amount.minor,
        Event::ReceivableBooked(event) => event.amount.minor,
        Event::ReceivableRecovered(event) => event.amount.minor,
        Event::SettlementBooked(event) => event.amount.minor,
        Event::FeeCharged(event) => event.amount.minor,
        Event::SpendMatched(event) => event.amount.minor,
        Event::FundingMoved(event) => event.amount.minor,
        Event::ReturnAssigned(event) => event.amount.minor,
        Event::ClearingReversalBooked(event) => event.amount.minor,
        Event::RefundReversalBooked(event) => event.amount.minor,
        Event::ClearingMoved(event) => event.amount.minor,
    })
}

/// Returns the amount that the event moves. A request of zero, and its approval, verify a card. A reversal before the
/// decision and an expiry of a payment that was claimed in full release nothing by design, and an advice that holds no
/// more may state that nothing was sold, so they are not checked.
fn of_authorization(event: &authorization::Event) -> Option<Minor> {
    use authorization::{AdviceHold, Event};
    Some(match event {
        Event::SwipeRecorded(event) => event.amount.minor,
        Event::PartialApprovalProposed(event) => event.amount.minor,
        Event::AuthorizationPartiallyApproved(event) => event.amount.minor,
        Event::IncrementRequested(event) => event.addition,
        Event::HoldIncreased(event) => event.amount.minor,
        Event::IncrementDeclined(event) => event.amount.minor,
        Event::AdviceRecorded(event) if event.hold == AdviceHold::Unchanged => return None,
        Event::AdviceRecorded(event) => event.held(),
        Event::ClearingPosted(event) => plus(event.against_hold, event.beyond_hold),
        Event::OverCaptured(event) => event.excess.minor,
        Event::ClearingSuspended(event) => event.amount.minor,
        Event::ClearingResolved(event) => event.amount.minor,
        Event::ClearingRefused(event) => event.amount.minor,
        Event::ForcePosted(event) => event.amount.minor,
        Event::RefundLinked(event) => event.amount.minor,
        Event::RefundUnlinked(event) => event.amount.minor,
        Event::RefundResolved(event) => event.amount.minor,
        Event::FundingIncluded(event) => event.amount.minor,
        Event::FundingFinalized(event) => event.amount.minor,
        Event::FundingReorged(event) => event.amount.minor,
        Event::ExposureCleared(event) => event.amount.minor,
        Event::DisputeOpened(event) => event.amount.minor,
        Event::ProvisionalCreditGranted(event) => event.amount.minor,
        Event::DisputeResolved(event) => event.amount.minor,
        Event::DisputeMoneyMoved(event) if event.cycle == DisputeCycle::Withdrawal => return None,
        Event::DisputeMoneyMoved(event) => event.amount.minor,
        Event::SpendLinked(event) => event.amount.minor,
        Event::SpendUnlinked(event) => event.amount.minor,
        Event::SpendTaken(event) => event.amount.minor,
        Event::ReturnTaken(event) => event.amount.minor,
        Event::ClearingReversed(event) => event.amount.minor,
        Event::RefundReversed(event) => event.amount.minor,
        Event::ClearingLinked(event) => event.amount.minor,
        Event::ClearingUnlinked(event) => event.amount.minor,
        Event::ClearingGivenUp(event) => event.amount.minor,
        _ => return None,
    })
}

fn of_card(event: &card::Event) -> Option<Minor> {
    use card::Event;
    Some(match event {
        Event::SpendReserved(event) => event.amount.minor,
        Event::SpendRecorded(event) => event.amount.minor,
        Event::SpendReleased(event) => event.amount.minor,
        _ => return None,
    })
}
