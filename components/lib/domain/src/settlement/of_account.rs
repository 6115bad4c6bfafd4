//! Effects of an account's events: what was booked, and what the chain and the network did to the account.

use clearfold_kernel::{Asset, ExternalId, Minor, MoneyError};

use super::comparison::What;
use super::figures::Reported;
use super::reported_change::{HoldStep, ReportedChange, ReportingSide, Step, leg, moved, reversal};
use crate::account::{
    ClaimedOn, ClearingMoved, DisputeStep, Event, FundedBy, FundingStep, LedgerAccount, SettlementDirection,
};
use crate::projecting::legs;

/// Returns the effect of an event; `None` if it moves nothing.
pub(super) fn reported_change(account: &str, event: &Event) -> Result<Option<ReportedChange>, MoneyError> {
    let by = |asset: &Asset| ReportedChange::by(ReportingSide::Account, account.to_owned(), asset);
    if let Some((asset, transfers)) = event.booked() {
        return booked(by(asset).moves(transfers), event).map(Some);
    }
    let holds = |payment_id: &ExternalId, asset: &Asset, step| {
        Some(by(asset).holds(payment_id.as_str(), HoldStep::By(step)))
    };
    Ok(match event {
        Event::HoldPlaced(event) => holds(&event.hold_id, &event.amount.asset, Step::Up(event.amount.minor)),
        Event::HoldRaised(event) => holds(&event.hold_id, &event.amount.asset, Step::Up(event.amount.minor)),
        Event::HoldLowered(event) => {
            holds(&event.hold_id, &event.amount.asset, Step::Down(event.amount.minor))
        }
        Event::HoldVoided(event) => {
            let released = event.released.as_ref();
            released.and_then(|amount| holds(&event.hold_id, &amount.asset, Step::Down(amount.minor)))
        }
        Event::FundingMoved(event) if event.held > Minor::ZERO => {
            let step = match event.to {
                FundedBy::Payment => Step::Down(event.held),
                FundedBy::Spend => Step::Up(event.held),
            };
            holds(&event.spend_id, &event.amount.asset, step)
        }
        Event::ClearingMoved(event) => return clearing_moved(by(&event.amount.asset), event).map(Some),
        _ => None,
    })
}

/// A claim that is moved from another payment, or back to it, with the part of the hold that it uses up or leaves.
fn clearing_moved(change: ReportedChange, event: &ClearingMoved) -> Result<ReportedChange, MoneyError> {
    let (claimed, held) = match event.to {
        ClaimedOn::Payment => {
            (Step::Up(event.amount.minor), Step::Down(event.against_hold.plus(event.released)?))
        }
        ClaimedOn::Origin => (Step::Down(event.amount.minor), Step::Up(event.held)),
    };
    let payment_id = event.payment_id.as_str();
    let change = change.says(What::Clearing, event.clearing_id.as_str(), Some(payment_id), claimed);
    Ok(match held {
        Step::Up(Minor::ZERO) | Step::Down(Minor::ZERO) => change,
        step => change.holds(payment_id, HoldStep::By(step)),
    })
}

fn booked(change: ReportedChange, event: &Event) -> Result<ReportedChange, MoneyError> {
    Ok(match event {
        Event::Deposited(event) => change.reports(Reported::Deposited, Step::Up(event.amount.minor)),
        Event::DepositReorged(event) => change.reports(Reported::Deposited, Step::Down(event.amount.minor)),
        Event::Withdrawn(event) => change.reports(Reported::Withdrawn, Step::Up(event.amount.minor)),
        Event::WithdrawalReorged(event) => {
            change.reports(Reported::Withdrawn, Step::Down(event.amount.minor))
        }
        Event::Returned(event) => change.reports(Reported::Returned, Step::Up(event.amount.minor)),
        Event::SettlementBooked(event) => {
            let figure = match event.direction {
                SettlementDirection::Paid => Reported::Paid,
                SettlementDirection::Received => Reported::Received,
            };
            change.reports(figure, Step::Up(event.amount.minor))
        }
        Event::FundingBooked(event) => {
            let what = match event.step {
                FundingStep::Included => What::FundingIncluded,
                FundingStep::Finalized => What::FundingFinalized,
                FundingStep::Reorged => What::FundingReorged,
            };
            change.says(what, &leg(&event.source), Some(event.hold_id.as_str()), Step::Up(event.amount.minor))
        }
        Event::ClearingBooked(event) => {
            let (payment_id, claimed) = (event.hold_id.as_str(), event.against_hold.plus(event.beyond_hold)?);
            let change =
                change.says(What::Clearing, event.clearing_id.as_str(), Some(payment_id), Step::Up(claimed));
            match event.against_hold.plus(event.released)? {
                Minor::ZERO => change,
                taken => change.holds(payment_id, HoldStep::By(Step::Down(taken))),
            }
        }
        Event::ClearingReversalBooked(event) => {
            let payment_id = event.hold_id.as_str();
            let id = reversal(payment_id, &event.reversal_id);
            change.says(What::ClearingReversal, &id, Some(payment_id), Step::Up(event.amount.minor))
        }
        Event::RefundReversalBooked(event) => {
            let payment_id = event.reported_on.as_str();
            let id = reversal(payment_id, &event.reversal_id);
            change.says(What::RefundReversal, &id, Some(payment_id), Step::Up(event.amount.minor))
        }
        Event::ClearingSuspended(event) => {
            let (id, step) = (event.clearing_id.as_str(), Step::Up(event.amount.minor));
            let item = in_scope(event.hold_id.as_ref(), &event.clearing_id);
            suspense(change, "clearing", &item).says(What::SuspendedClearing, id, None, step)
        }
        Event::SuspenseResolved(event) => {
            let (id, step) = (event.clearing_id.as_str(), Step::Up(event.amount.minor));
            let item = in_scope(event.hold_id.as_ref(), &event.clearing_id);
            suspense(change, "clearing", &item).says(event.outcome.into(), id, None, step)
        }
        Event::RefundBooked(event) => {
            let (id, step) = (event.refund_id.as_str(), Step::Up(event.amount.minor));
            let change = suspense(change, "refund", id).says(What::Refund, id, None, step);
            withheld(change, id, Step::Up(event.withheld))
        }
        Event::RefundResolved(event) => {
            let (id, step) = (event.refund_id.as_str(), Step::Up(event.amount.minor));
            let change = suspense(change, "refund", id).says(event.outcome.into(), id, None, step);
            withheld(change, id, Step::Down(event.withheld))
        }
        Event::DisputeBooked(event) => {
            let (what, minor) = match event.step {
                DisputeStep::Provisional => (What::DisputeCredit, event.amount.minor),
                DisputeStep::Won => (What::DisputeWon, event.awarded()),
                DisputeStep::Lost => (What::DisputeLost, event.amount.minor),
            };
            let (id, payment_id) = (event.key(), Some(event.hold_id.as_str()));
            suspense(change, "dispute", &id).says(what, &id, payment_id, Step::Up(minor))
        }
        Event::DisputeMoneyBooked(event) => {
            let (payment_id, step) = (event.hold_id.as_str(), moved(event.direction, event.amount.minor));
            let id = reversal(payment_id, &event.record_id);
            suspense(change, "dispute", &event.key()).says(What::DisputeMoney, &id, Some(payment_id), step)
        }
        Event::ReceivableBooked(event) => {
            stands(change, LedgerAccount::Receivable, What::Receivable, event.receivable_id.as_str())
        }
        Event::ReceivableRecovered(event) => {
            stands(change, LedgerAccount::Receivable, What::Receivable, event.receivable_id.as_str())
        }
        // A fee concerns the account alone, so there is nothing to compare it with.
        _ => change,
    })
}

/// Name of a clearing in suspense; earlier versions did not state its payment.
fn in_scope(payment_id: Option<&ExternalId>, clearing_id: &ExternalId) -> String {
    payment_id.map_or_else(|| clearing_id.to_string(), |payment_id| format!("{payment_id}/{clearing_id}"))
}

/// Adds the change of one item in suspense. A clearing, a refund and a dispute may have the same id, so the kind is a
/// part of the key.
fn suspense(change: ReportedChange, of: &str, id: &str) -> ReportedChange {
    stands(change, LedgerAccount::Suspense, What::Suspense, &format!("{of}/{id}"))
}

/// Adds the change of what is withheld of a refund, if there is one: no transfer shows it.
fn withheld(change: ReportedChange, refund_id: &str, step: Step) -> ReportedChange {
    match step {
        Step::Up(Minor::ZERO) | Step::Down(Minor::ZERO) => change,
        step => change.says(What::Withheld, refund_id, None, step),
    }
}

/// Adds what the event's own transfers bring to a ledger account or take from it, for one item.
fn stands(change: ReportedChange, ledger_account: LedgerAccount, what: What, id: &str) -> ReportedChange {
    let transfers = change.transfers.clone();
    let moved = legs(&transfers).filter(|(account, ..)| *account == ledger_account);
    moved.fold(change, |change, (account, side, minor)| {
        let step = if side == account.normal_side() { Step::Up(minor) } else { Step::Down(minor) };
        change.says(what, id, None, step)
    })
}
