//! Comparison of two figures: the expected one and the booked one. A difference exists as long as they disagree, and
//! keeps the time at which it began.

use clearfold_kernel::{MoneyError, RowKey, Timestamp};

use super::reported_change::{ReportedChange, ReportingSide, Side, Step};
use super::tables::Difference;
use crate::account::Net;
use crate::network::{RefundOutcome, SuspenseOutcome};
use crate::projecting::{Misfit, Rows, lowered, raised, words};

/// Kind of comparison: the first half of a difference's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum What {
    Hold,
    Clearing,
    ClearingReversal,
    SuspendedClearing,
    ClearingCharged,
    ClearingReturned,
    Refund,
    RefundReversal,
    RefundPaid,
    RefundTakenBack,
    DisputeCredit,
    DisputeWon,
    DisputeLost,
    DisputeMoney,
    FundingIncluded,
    FundingFinalized,
    FundingReorged,
    ReturnOwed,
    UnmatchedReversal,
    Safe,
    InTransit,
    HoldAccount,
    Suspense,
    Withheld,
    Receivable,
    Settlement,
}

words!(What {
    Hold = "hold",
    Clearing = "clearing",
    ClearingReversal = "clearing_reversal",
    SuspendedClearing = "suspended_clearing",
    ClearingCharged = "clearing_charged",
    ClearingReturned = "clearing_returned",
    Refund = "refund",
    RefundReversal = "refund_reversal",
    RefundPaid = "refund_paid",
    RefundTakenBack = "refund_taken_back",
    DisputeCredit = "dispute_credit",
    DisputeWon = "dispute_won",
    DisputeLost = "dispute_lost",
    DisputeMoney = "dispute_money",
    FundingIncluded = "funding_included",
    FundingFinalized = "funding_finalized",
    FundingReorged = "funding_reorged",
    ReturnOwed = "return_owed",
    UnmatchedReversal = "unmatched_reversal",
    Safe = "safe",
    InTransit = "in_transit",
    HoldAccount = "hold_account",
    Suspense = "suspense",
    Withheld = "withheld",
    Receivable = "receivable",
    Settlement = "settlement",
});

impl From<SuspenseOutcome> for What {
    fn from(outcome: SuspenseOutcome) -> Self {
        match outcome {
            SuspenseOutcome::Charged => Self::ClearingCharged,
            SuspenseOutcome::Returned => Self::ClearingReturned,
        }
    }
}

impl From<RefundOutcome> for What {
    fn from(outcome: RefundOutcome) -> Self {
        match outcome {
            RefundOutcome::Paid | RefundOutcome::Matched => Self::RefundPaid,
            RefundOutcome::TakenBack | RefundOutcome::Returned => Self::RefundTakenBack,
        }
    }
}

/// Kind of disagreement: the second half of a difference's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum How {
    NotBooked,
    NotAuthorized,
    Differs,
    Open,
    Outstanding,
}

words!(How {
    NotBooked = "not_booked",
    NotAuthorized = "not_authorized",
    Differs = "differs",
    Open = "open",
    Outstanding = "outstanding",
});

impl How {
    fn of(what: What, expected: Net, booked: Net) -> Self {
        match what {
            What::Safe | What::InTransit | What::HoldAccount => Self::Differs,
            What::Suspense
            | What::Withheld
            | What::Receivable
            | What::ReturnOwed
            | What::UnmatchedReversal => Self::Open,
            What::Settlement => Self::Outstanding,
            _ if booked == Net::default() => Self::NotBooked,
            _ if expected == Net::default() => Self::NotAuthorized,
            _ => Self::Differs,
        }
    }
}

/// Subject of a comparison.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Subject {
    pub what: What,
    /// Id of the payment, the clearing, the leg and so on; the account if the whole account is compared.
    pub id: String,
    /// Id of the payment, if the event names it.
    pub payment_id: Option<String>,
}

impl Subject {
    pub(super) fn of_account(what: What, account: &str) -> Self {
        Self { what, id: account.to_owned(), payment_id: None }
    }

    pub(super) fn of_payment(payment_id: &str) -> Self {
        Self { what: What::Hold, id: payment_id.to_owned(), payment_id: Some(payment_id.to_owned()) }
    }
}

/// Updates one side of a comparison. Sides that agree leave no row: such an item either happens once on each side, or
/// has returned to zero.
pub(super) fn update_side(
    rows: &mut Rows,
    change: &ReportedChange,
    side: &Side,
    at: Timestamp,
) -> Result<(), Misfit> {
    let known = find(rows, change, &side.subject)?;
    let (mut expected, mut booked) =
        known.map_or_else(Default::default, |known| (known.expected_minor, known.booked_minor));
    let figure = match change.reporting_side {
        ReportingSide::Authorization => &mut expected,
        ReportingSide::Account => &mut booked,
    };
    *figure = side.step.applied(*figure)?;
    compare(rows, change, &side.subject, expected, booked, at)
}

/// Stores the difference of two figures, or removes it if they agree.
pub(super) fn compare(
    rows: &mut Rows,
    change: &ReportedChange,
    subject: &Subject,
    expected: Net,
    booked: Net,
    at: Timestamp,
) -> Result<(), Misfit> {
    let known = find(rows, change, subject)?;
    if expected == booked {
        if known.is_some() {
            rows.remove(key(change, subject));
        }
        return Ok(());
    }
    let since = known.as_ref().map_or(at, |known| known.since);
    let payment_id = subject.payment_id.clone().or(known.and_then(|known| known.payment_id));
    rows.put(&Difference {
        account: change.account.clone(),
        asset: change.asset.code.clone(),
        what: subject.what,
        subject: subject.id.clone(),
        how: How::of(subject.what, expected, booked),
        payment_id,
        decimals: change.asset.decimals,
        expected_minor: expected,
        booked_minor: booked,
        since,
        updated_at: at,
    });
    Ok(())
}

fn find(rows: &Rows, change: &ReportedChange, subject: &Subject) -> Result<Option<Difference>, Misfit> {
    rows.find(&key(change, subject))
}

fn key(change: &ReportedChange, subject: &Subject) -> RowKey {
    Difference::key(&change.account, &change.asset.code, &subject.what, &subject.id)
}

impl Step {
    fn applied(self, figure: Net) -> Result<Net, MoneyError> {
        match self {
            Self::Up(minor) => raised(figure, minor),
            Self::Down(minor) => lowered(figure, minor),
        }
    }
}
