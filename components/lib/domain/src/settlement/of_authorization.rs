//! Effects of an authorization's events: what is to be booked.

use clearfold_kernel::{Address, Amount, ChainSource, ExternalId, Minor, MoneyError};

use super::comparison::What;
use super::fees;
use super::figures::Reported;
use super::reported_change::{HoldStep, ReportedChange, ReportingSide, Step, leg, moved, reversal};
use crate::account::dispute_key;
use crate::authorization::{
    ClearingGivenUp, ClearingPosted, DisputeOutcome, DisputeResolved, Event, KeptReason, Parties,
    RefundOrigin, ReturnOwed, SwipeRecorded,
};

/// Returns the effect of an event; `None` if it has none here. An event with network fees is to be booked as well.
pub(super) fn reported_change(payment_id: &str, event: &Event) -> Result<Option<ReportedChange>, MoneyError> {
    let Some(change) = booked(payment_id, event)? else { return Ok(None) };
    Ok(Some(ReportedChange { fees: fees::of(payment_id, event)?, ..change }))
}

/// Returns what is to be booked for an event; `None` if that is nothing.
fn booked(payment_id: &str, event: &Event) -> Result<Option<ReportedChange>, MoneyError> {
    let payment = Payment(payment_id);
    Ok(Some(match event {
        Event::SwipeRecorded(event) => payment.swiped(event),
        Event::AuthorizationApproved(event) => payment.holds(event.parties.account, &event.amount),
        Event::AuthorizationPartiallyApproved(event) => payment.holds(event.parties.account, &event.amount),
        Event::AdviceRecorded(event) if event.held() == Minor::ZERO => return Ok(None),
        Event::AdviceRecorded(event) => {
            let held = Amount { minor: event.held(), asset: event.amount.asset.clone() };
            payment.holds(event.account, &held)
        }
        Event::HoldIncreased(event) => payment.holds(event.parties.account, &event.amount),
        Event::AuthorizationReversed(event) => payment.frees(event.parties.account, &event.released),
        Event::AuthorizationExpired(event) => payment.frees(event.parties.account, &event.released),
        Event::ClearingPosted(event) => payment.claimed(event)?,
        Event::ForcePosted(event) => {
            payment.says(event.parties.account, What::Clearing, event.clearing_id.as_str(), &event.amount)
        }
        Event::ClearingReversed(event) => {
            let waited = event.stated.filter(|_| event.waited);
            let change =
                payment.taken_back(What::ClearingReversal, &event.reversal_id, &event.parties, &event.amount);
            payment.waits_no_more(change, &event.reversal_id, waited)
        }
        Event::RefundReversed(event) => {
            let waited = event.stated.filter(|_| event.waited);
            let change =
                payment.taken_back(What::RefundReversal, &event.reversal_id, &event.parties, &event.amount);
            payment.waits_no_more(change, &event.reversal_id, waited)
        }
        Event::RecordReversalKept(event)
            if !matches!(event.reason, KeptReason::NothingLeft | KeptReason::Linked) =>
        {
            return Ok(payment.waits(&event.parties, &event.reversal_id, event.amount.as_ref(), Step::Up));
        }
        Event::RecordReversalEnded(event) => {
            return Ok(payment.waits(&event.parties, &event.reversal_id, event.amount.as_ref(), Step::Down));
        }
        Event::ClearingSuspended(event) => {
            let id = event.clearing_id.as_str();
            payment.says(event.parties.account, What::SuspendedClearing, id, &event.amount)
        }
        Event::ClearingResolved(event) if event.was_refused => return Ok(None),
        Event::ClearingResolved(event) => {
            let id = event.clearing_id.as_str();
            payment.says(event.parties.account, event.outcome.into(), id, &event.amount)
        }
        Event::RefundLinked(event) => payment.refunded(event.parties.account, &event.amount, &event.origin),
        Event::RefundUnlinked(event) => payment.refunded(event.parties.account, &event.amount, &event.origin),
        Event::RefundResolved(event) => {
            let (account, what) = (event.parties.account, event.outcome.into());
            payment.says(account, what, &refund(&event.origin), &event.amount)
        }
        Event::FundingIncluded(event) => {
            let step = (What::FundingIncluded, Reported::PulledIncluded);
            payment.pulled(event.parties.account, &event.amount, &event.source, step)
        }
        Event::FundingFinalized(event) => {
            let step = (What::FundingFinalized, Reported::PulledFinalized);
            payment.pulled(event.parties.account, &event.amount, &event.source, step)
        }
        Event::FundingReorged(event) => {
            let step = (What::FundingReorged, Reported::PulledReorged);
            payment.pulled(event.parties.account, &event.amount, &event.source, step)
        }
        Event::ReturnOwed(event) => payment.owes_back(event),
        Event::ProvisionalCreditGranted(event) => {
            let id = dispute_key(payment_id, &event.dispute_id);
            payment.says(event.parties.account, What::DisputeCredit, &id, &event.amount)
        }
        Event::DisputeResolved(event) => payment.disputed(event),
        Event::DisputeMoneyMoved(event) => {
            let (id, step) =
                (reversal(payment_id, &event.record_id), moved(event.direction, event.amount.minor));
            Payment::of(event.parties.account, &event.amount).says(
                What::DisputeMoney,
                &id,
                payment.id(),
                step,
            )
        }
        Event::SpendLinked(event) if event.released > Minor::ZERO => {
            let released = Amount { minor: event.released, asset: event.amount.asset.clone() };
            payment.frees(event.parties.account, &released)
        }
        Event::SpendUnlinked(event) if event.held > Minor::ZERO => {
            let held = Amount { minor: event.held, asset: event.amount.asset.clone() };
            payment.holds(event.parties.account, &held)
        }
        Event::ClearingGivenUp(event) => payment.gives_up(event),
        Event::AuthorizationRequested(_)
        | Event::ClearingLinked(_)
        | Event::ClearingUnlinked(_)
        | Event::CandidatesNamed(_)
        | Event::SpendLinked(_)
        | Event::SpendUnlinked(_)
        | Event::SpendTaken(_)
        | Event::SpendGivenUp(_)
        | Event::SpendObserved(_)
        | Event::ReturnTaken(_)
        | Event::PartialApprovalProposed(_)
        | Event::SpendExpected(_)
        | Event::AuthorizationDeclined(_)
        | Event::ReversalRefused(_)
        | Event::RecordReversalKept(_)
        | Event::OverCaptured(_)
        | Event::ConversionDeviates(_)
        | Event::LatePresented(_)
        | Event::ClearingRefused(_)
        | Event::FundingSubmitted(_)
        | Event::FundingReverted(_)
        | Event::FundingDropped(_)
        | Event::FundingAbandoned(_)
        | Event::ExposureCleared(_)
        | Event::PaymentFlagged(_)
        | Event::DisputeOpened(_)
        | Event::DisputeAdvanced(_)
        | Event::IncrementRequested(_)
        | Event::IncrementDeclined(_) => return Ok(None),
    }))
}

/// Id of the payment that the stream is about.
#[derive(Clone, Copy)]
struct Payment<'a>(&'a str);

impl<'a> Payment<'a> {
    const fn id(self) -> Option<&'a str> {
        Some(self.0)
    }

    fn of(account: Address, amount: &Amount) -> ReportedChange {
        ReportedChange::by(ReportingSide::Authorization, account.to_string(), &amount.asset)
    }

    fn holds(self, account: Address, amount: &Amount) -> ReportedChange {
        Self::of(account, amount).holds(self.0, HoldStep::By(Step::Up(amount.minor)))
    }

    fn frees(self, account: Address, amount: &Amount) -> ReportedChange {
        Self::of(account, amount).holds(self.0, HoldStep::By(Step::Down(amount.minor)))
    }

    fn says(self, account: Address, what: What, id: &str, amount: &Amount) -> ReportedChange {
        Self::of(account, amount).says(what, id, self.id(), Step::Up(amount.minor))
    }

    /// A swipe is held and pulled at once: it was seen in a block.
    fn swiped(self, event: &SwipeRecorded) -> ReportedChange {
        let step = Step::Up(event.amount.minor);
        self.holds(event.account, &event.amount).reports(Reported::PulledIncluded, step).says(
            What::FundingIncluded,
            &leg(&event.source),
            self.id(),
            step,
        )
    }

    fn claimed(self, event: &ClearingPosted) -> Result<ReportedChange, MoneyError> {
        let claimed = Amount { minor: event.claimed()?, asset: event.asset.clone() };
        let step = HoldStep::Claimed { minor: claimed.minor, is_final: event.is_final };
        let id = event.clearing_id.as_str();
        Ok(self.says(event.parties.account, What::Clearing, id, &claimed).holds(self.0, step))
    }

    /// A claim that is given up, and what is held again.
    fn gives_up(self, event: &ClearingGivenUp) -> ReportedChange {
        let change = match event.held {
            Minor::ZERO => Self::of(event.parties.account, &event.amount),
            minor => {
                let held = Amount { minor, asset: event.amount.asset.clone() };
                self.holds(event.parties.account, &held)
            }
        };
        let step = Step::Down(event.amount.minor);
        change.says(What::Clearing, event.clearing_id.as_str(), self.id(), step)
    }

    /// Amount that a reversal states which waits for its record, and which it does not wait for any more. Of one that
    /// states none nothing can be compared.
    fn waits(
        self,
        parties: &Parties,
        reversal_id: &ExternalId,
        amount: Option<&Amount>,
        step: fn(Minor) -> Step,
    ) -> Option<ReportedChange> {
        let (amount, id) = (amount?, reversal(self.0, reversal_id));
        Some(Self::of(parties.account, amount).says(
            What::UnmatchedReversal,
            &id,
            self.id(),
            step(amount.minor),
        ))
    }

    fn taken_back(
        self,
        what: What,
        reversal_id: &ExternalId,
        parties: &Parties,
        amount: &Amount,
    ) -> ReportedChange {
        self.says(parties.account, what, &reversal(self.0, reversal_id), amount)
    }

    /// Adds that a reversal does not wait any more, with the amount under which it did.
    fn waits_no_more(
        self,
        change: ReportedChange,
        reversal_id: &ExternalId,
        waited: Option<Minor>,
    ) -> ReportedChange {
        match waited {
            Some(stated) => {
                let id = reversal(self.0, reversal_id);
                change.says(What::UnmatchedReversal, &id, self.id(), Step::Down(stated))
            }
            None => change,
        }
    }

    fn disputed(self, event: &DisputeResolved) -> ReportedChange {
        let asset = event.amount.asset.clone();
        let (what, amount) = match event.outcome {
            DisputeOutcome::Won => (What::DisputeWon, Amount { minor: event.awarded(), asset }),
            DisputeOutcome::Lost => (What::DisputeLost, event.amount.clone()),
        };
        self.says(event.parties.account, what, &dispute_key(self.0, &event.dispute_id), &amount)
    }

    fn pulled(
        self,
        account: Address,
        amount: &Amount,
        source: &ChainSource,
        (what, figure): (What, Reported),
    ) -> ReportedChange {
        self.says(account, what, &leg(source), amount).reports(figure, Step::Up(amount.minor))
    }

    fn owes_back(self, event: &ReturnOwed) -> ReportedChange {
        let change = Self::of(event.parties.account, &event.owed);
        let says = |change: ReportedChange, step| change.says(What::ReturnOwed, self.0, self.id(), step);
        says(says(change, Step::Up(event.owed.minor)), Step::Down(event.before))
    }

    fn refunded(self, account: Address, amount: &Amount, origin: &RefundOrigin) -> ReportedChange {
        let change = self.says(account, What::Refund, &refund(origin), amount);
        match origin {
            RefundOrigin::Network(_) => change,
            RefundOrigin::Chain(_) => change.reports(Reported::Refunded, Step::Up(amount.minor)),
        }
    }
}

/// Id under which the account books a refund: the network's, or one made of its log.
fn refund(origin: &RefundOrigin) -> String {
    match origin {
        RefundOrigin::Network(id) => id.to_string(),
        RefundOrigin::Chain(_) => origin.identity(),
    }
}
