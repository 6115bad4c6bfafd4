//! The statement: one line for each movement of the customer's money, with the balance after it.
//!
//! Movements between other ledger accounts (funding in transit, settlements, claims in suspense) do not concern the
//! customer, and a hold moves nothing.

use clearfold_kernel::{ChainSource, ExternalId, Timestamp};

use super::Seen;
use super::tables::{Balance, Statement};
use crate::account::{DisputeStep, Event, LedgerAccount, Net};
use crate::projecting::{Misfit, Number, words};

/// Kind of a statement line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Deposit,
    DepositReorged,
    Withdrawal,
    WithdrawalReorged,
    Payment,
    /// Payment that the network took back, or a part of one.
    PaymentTakenBack,
    Refund,
    /// A refund that was credited in error, was the return of pulled money, or was taken back by the network.
    RefundTakenBack,
    /// Provisional credit until the dispute is decided.
    DisputeCredit,
    /// Award of a dispute; after a provisional credit, the part of it that was not awarded and is taken back.
    DisputeWon,
    /// Provisional credit that is taken back.
    DisputeLost,
    /// Credit for an amount that the customer owes and pays later.
    Receivable,
    Recovery,
    Fee,
}

words!(Kind {
    Deposit = "deposit",
    DepositReorged = "deposit_reorged",
    Withdrawal = "withdrawal",
    WithdrawalReorged = "withdrawal_reorged",
    Payment = "payment",
    PaymentTakenBack = "payment_taken_back",
    Refund = "refund",
    RefundTakenBack = "refund_taken_back",
    DisputeCredit = "dispute_credit",
    DisputeWon = "dispute_won",
    DisputeLost = "dispute_lost",
    Receivable = "receivable",
    Recovery = "recovery",
    Fee = "fee",
});

/// Content of an event's line besides its amounts.
struct About {
    kind: Kind,
    reference: String,
    payment_id: Option<ExternalId>,
    occurred_at: Timestamp,
}

/// Builds the line of an event that left `balance`; `None` if it moved none of the customer's money.
pub(super) fn line(seen: &Seen, balance: &Balance, amount: Net) -> Result<Option<Statement>, Misfit> {
    let Some(about) = about(&seen.event).filter(|_| amount != Net::default()) else { return Ok(None) };
    Ok(Some(Statement {
        account: balance.account.clone(),
        stream_version: Number::try_from(seen.recorded.stream_version)?,
        asset: balance.asset.clone(),
        decimals: balance.decimals,
        kind: about.kind,
        amount_minor: amount,
        balance_minor: balance.posted_minor,
        payment_id: about.payment_id,
        reference: about.reference,
        occurred_at: about.occurred_at,
        booked_at: seen.event.at(),
    }))
}

fn about(event: &Event) -> Option<About> {
    let booked_at = event.at();
    let on_chain = |kind, source: &ChainSource, occurred_at| {
        let reference = format!("{}/{}/{}", source.chain_id, source.block_hash, source.log_index);
        Some(About { kind, reference, payment_id: None, occurred_at })
    };
    let booked = |kind, id: &ExternalId| {
        Some(About { kind, reference: id.to_string(), payment_id: None, occurred_at: booked_at })
    };
    match event {
        Event::Deposited(event) => on_chain(Kind::Deposit, &event.source, event.occurred_at),
        Event::DepositReorged(event) => on_chain(Kind::DepositReorged, &event.source, booked_at),
        Event::Withdrawn(event) => on_chain(Kind::Withdrawal, &event.source, event.occurred_at),
        Event::WithdrawalReorged(event) => on_chain(Kind::WithdrawalReorged, &event.source, booked_at),
        Event::ClearingBooked(event) => {
            let payment_id = Some(event.hold_id.clone());
            Some(About { payment_id, ..booked(Kind::Payment, &event.clearing_id)? })
        }
        Event::ClearingReversalBooked(event) => {
            let payment_id = Some(event.hold_id.clone());
            Some(About { payment_id, ..booked(Kind::PaymentTakenBack, &event.reversal_id)? })
        }
        Event::RefundReversalBooked(event) => {
            let payment_id = Some(event.reported_on.clone());
            Some(About { payment_id, ..booked(Kind::RefundTakenBack, &event.reversal_id)? })
        }
        // In old events the resolution of a suspended clearing that was charged debited the customer.
        Event::SuspenseResolved(event) => booked(Kind::Payment, &event.clearing_id),
        Event::RefundBooked(event) => booked(Kind::Refund, &event.refund_id),
        // The customer gets what was withheld, or loses what was credited.
        Event::RefundResolved(event) => {
            let is_taken = event.transfers.iter().any(|transfer| transfer.debit == LedgerAccount::Customer);
            booked(if is_taken { Kind::RefundTakenBack } else { Kind::Refund }, &event.refund_id)
        }
        Event::DisputeBooked(event) => {
            let kind = match event.step {
                DisputeStep::Provisional => Kind::DisputeCredit,
                DisputeStep::Won => Kind::DisputeWon,
                DisputeStep::Lost => Kind::DisputeLost,
            };
            let payment_id = Some(event.hold_id.clone());
            Some(About { payment_id, ..booked(kind, &event.dispute_id)? })
        }
        Event::ReceivableBooked(event) => booked(Kind::Receivable, &event.receivable_id),
        Event::ReceivableRecovered(event) => booked(Kind::Recovery, &event.recovery_id),
        Event::FeeCharged(event) => booked(Kind::Fee, &event.fee_id),
        _ => None,
    }
}
