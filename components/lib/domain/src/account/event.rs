//! Questions that every event of an account answers: its time, its ids, and the transfers that it booked.

use clearfold_kernel::{Asset, Message, Minor, Timestamp, Undecodable};

use super::funding::Leg;
use super::identity::{Fact, Fingerprint, Identity, Kind, LogId};
use super::ledger::Transfer;
use super::messages::{DisputeStep, Event, FundingStep, RefundLink};
use super::refund::Unlinked;

macro_rules! each {
    ($event:expr, $it:ident => $what:expr) => {
        match $event {
            Event::AccountOpened($it) => $what,
            Event::AssetsNamed($it) => $what,
            Event::DelayQueueChanged($it) => $what,
            Event::Deposited($it) => $what,
            Event::DepositReorged($it) => $what,
            Event::Withdrawn($it) => $what,
            Event::WithdrawalReorged($it) => $what,
            Event::HoldPlaced($it) => $what,
            Event::HoldRaised($it) => $what,
            Event::HoldLowered($it) => $what,
            Event::HoldVoided($it) => $what,
            Event::ClearingBooked($it) => $what,
            Event::ClearingSuspended($it) => $what,
            Event::SuspenseResolved($it) => $what,
            Event::FundingBooked($it) => $what,
            Event::Returned($it) => $what,
            Event::RefundBooked($it) => $what,
            Event::RefundResolved($it) => $what,
            Event::DisputeBooked($it) => $what,
            Event::DisputeMoneyBooked($it) => $what,
            Event::ReceivableBooked($it) => $what,
            Event::ReceivableRecovered($it) => $what,
            Event::SettlementBooked($it) => $what,
            Event::FeeCharged($it) => $what,
            Event::SpendMatched($it) => $what,
            Event::FundingMoved($it) => $what,
            Event::ReturnAssigned($it) => $what,
            Event::ClearingReversalBooked($it) => $what,
            Event::RefundReversalBooked($it) => $what,
            Event::HoldPrevented($it) => $what,
            Event::ClearingMoved($it) => $what,
        }
    };
}

impl Event {
    /// Time at which the host accepted the command.
    #[must_use]
    pub fn at(&self) -> Timestamp {
        each!(self, event => event.at)
    }

    /// Returns the asset and the transfers of an event that books; `None` for all others.
    #[must_use]
    pub fn booked(&self) -> Option<(&Asset, &[Transfer])> {
        match self {
            Self::AccountOpened(_)
            | Self::AssetsNamed(_)
            | Self::DelayQueueChanged(_)
            | Self::HoldPlaced(_)
            | Self::HoldRaised(_)
            | Self::HoldLowered(_)
            | Self::HoldVoided(_)
            | Self::SpendMatched(_)
            | Self::FundingMoved(_)
            | Self::ReturnAssigned(_)
            | Self::HoldPrevented(_)
            | Self::ClearingMoved(_) => None,
            Self::Deposited(event) => Some((&event.amount.asset, &event.transfers)),
            Self::DepositReorged(event) => Some((&event.amount.asset, &event.transfers)),
            Self::Withdrawn(event) => Some((&event.amount.asset, &event.transfers)),
            Self::WithdrawalReorged(event) => Some((&event.amount.asset, &event.transfers)),
            Self::ClearingBooked(event) => Some((&event.asset, &event.transfers)),
            Self::ClearingReversalBooked(event) => Some((&event.amount.asset, &event.transfers)),
            Self::ClearingSuspended(event) => Some((&event.amount.asset, &event.transfers)),
            Self::SuspenseResolved(event) => Some((&event.amount.asset, &event.transfers)),
            Self::FundingBooked(event) => Some((&event.amount.asset, &event.transfers)),
            Self::Returned(event) => Some((&event.amount.asset, &event.transfers)),
            Self::RefundBooked(event) => Some((&event.amount.asset, &event.transfers)),
            Self::RefundResolved(event) => Some((&event.amount.asset, &event.transfers)),
            Self::RefundReversalBooked(event) => Some((&event.amount.asset, &event.transfers)),
            Self::DisputeBooked(event) => Some((&event.amount.asset, &event.transfers)),
            Self::DisputeMoneyBooked(event) => Some((&event.amount.asset, &event.transfers)),
            Self::ReceivableBooked(event) => Some((&event.amount.asset, &event.transfers)),
            Self::ReceivableRecovered(event) => Some((&event.amount.asset, &event.transfers)),
            Self::SettlementBooked(event) => Some((&event.amount.asset, &event.transfers)),
            Self::FeeCharged(event) => Some((&event.amount.asset, &event.transfers)),
        }
    }

    /// Identities under which the event happens once.
    pub(super) fn identities(&self) -> Vec<Identity> {
        let log = Identity::log;
        let reorg = |source| Identity::new(Kind::Reorg, &LogId::of(source));
        let only = match self {
            // The state itself shows whether these have happened.
            Self::AccountOpened(_) | Self::AssetsNamed(_) | Self::HoldVoided(_) | Self::HoldPrevented(_) => {
                return Vec::new();
            }
            Self::RefundBooked(event) => {
                let id = Identity::new(Kind::Refund, &event.refund_id);
                return event.source.iter().map(log).chain([id]).collect();
            }
            Self::Deposited(event) => log(&event.source),
            Self::Withdrawn(event) => log(&event.source),
            Self::Returned(event) => log(&event.source),
            Self::DelayQueueChanged(event) => log(&event.source),
            Self::DepositReorged(event) => reorg(&event.source),
            Self::WithdrawalReorged(event) => reorg(&event.source),
            Self::FundingBooked(event) => match event.step {
                FundingStep::Included => log(&event.source),
                FundingStep::Finalized => Identity::finality(&event.source),
                FundingStep::Reorged => reorg(&event.source),
            },
            Self::HoldPlaced(event) if event.forced => Identity::new(Kind::ForcedHold, &event.hold_id),
            Self::HoldPlaced(event) => Identity::new(Kind::Hold, &event.hold_id),
            Self::HoldRaised(event) => Identity::of_hold(Kind::Raise, &event.hold_id, &event.change_id),
            Self::HoldLowered(event) => Identity::of_hold(Kind::Lowering, &event.hold_id, &event.change_id),
            Self::ClearingBooked(event) => {
                Identity::of_hold(Kind::Clearing, &event.hold_id, &event.clearing_id)
            }
            Self::ClearingSuspended(event) => {
                Identity::within(Kind::Suspension, event.hold_id.as_ref(), &event.clearing_id)
            }
            Self::SuspenseResolved(event) => {
                Identity::within(Kind::Resolution, event.hold_id.as_ref(), &event.clearing_id)
            }
            Self::RefundResolved(event) => Identity::new(Kind::RefundResolution, &event.refund_id),
            Self::DisputeBooked(event) => match event.step {
                DisputeStep::Provisional => Identity::new(Kind::ProvisionalCredit, &event.key()),
                DisputeStep::Won | DisputeStep::Lost => Identity::new(Kind::DisputeOutcome, &event.key()),
            },
            Self::DisputeMoneyBooked(event) => {
                Identity::of_hold(Kind::DisputeMoney, &event.hold_id, &event.record_id)
            }
            Self::ReceivableBooked(event) => Identity::new(Kind::Receivable, &event.receivable_id),
            Self::ReceivableRecovered(event) => Identity::new(Kind::Recovery, &event.recovery_id),
            Self::SettlementBooked(event) => Identity::new(Kind::Settlement, &event.settlement_id),
            Self::FeeCharged(event) => Identity::new(Kind::Fee, &event.fee_id),
            Self::SpendMatched(event) => Identity::new(Kind::Match, &event.spend_id),
            Self::FundingMoved(event) => Identity::moved(&event.spend_id, event.link, event.to),
            Self::ReturnAssigned(event) => Identity::new(Kind::ReturnAssignment, &event.refund_id),
            Self::RefundReversalBooked(event) => {
                Identity::of_hold(Kind::RefundReversal, &event.reported_on, &event.reversal_id)
            }
            Self::ClearingReversalBooked(event) => {
                Identity::of_hold(Kind::ClearingReversal, &event.hold_id, &event.reversal_id)
            }
            Self::ClearingMoved(event) => Identity::claim_moved(&event.posted_on, event.link, event.to),
        };
        vec![only]
    }

    /// Returns the fact to keep under the identities, if later commands need one.
    pub(super) fn fact(&self) -> Option<Fact> {
        match self {
            Self::Deposited(event) => Some(Fact::Deposited(event.amount.clone())),
            Self::Withdrawn(event) => Some(Fact::Withdrawn(event.amount.clone())),
            Self::FundingBooked(event) if event.step == FundingStep::Included => {
                let (hold_id, amount) = (event.hold_id.clone(), event.amount.clone());
                Some(Fact::Included(Leg { hold_id, amount, moved_from: None }))
            }
            Self::ClearingSuspended(event) => Some(Fact::Suspended(event.amount.clone())),
            Self::RefundBooked(event) if event.link == RefundLink::Unlinked => {
                let (amount, withheld) = (event.amount.clone(), event.withheld);
                let payment_id = event.matched.as_ref().map(|told| told.reported_on.clone());
                let reported_on = event.reported_on.clone();
                Some(Fact::Unlinked(Unlinked { amount, withheld, reported_on, payment_id }))
            }
            Self::RefundBooked(event) => {
                let on_chain = event.matched.as_ref()?.reported_on.clone();
                Some(Fact::Told { on_chain, payment_id: event.reported_on.clone()? })
            }
            Self::RefundResolved(event) if event.is_unassigned() => {
                Some(Fact::CameBack(event.amount.clone()))
            }
            Self::DisputeBooked(event) => Some(Fact::Disputed(event.amount.clone())),
            Self::HoldPlaced(event) => event.spend_id.clone().map(Fact::HeldBy),
            Self::HoldRaised(event) => event.spend_id.clone().map(Fact::HeldBy),
            Self::SpendMatched(event) => Some(Fact::Matched(event.payment_id.clone(), event.basis)),
            _ => None,
        }
    }

    /// Fingerprint of the event's content. A repeat comes at another time, so `at` replaces the event's own time. The
    /// transfers of a clearing are left out: earlier versions booked its residue, so a repeat would book other ones. What a move found, and a
    /// refund, is left out too: what is owed back, and what was reported before.
    pub(super) fn said(&self, at: Timestamp) -> Result<Fingerprint, Undecodable> {
        let mut event = self.clone();
        each!(&mut event, event => event.at = at);
        if let Self::ClearingBooked(event) = &mut event {
            event.transfers.clear();
        }
        // A repeat of an earlier saga does not name the request, or the stream.
        if let Self::HoldPlaced(event) = &mut event {
            (event.asked_by, event.purchase) = (None, None);
        }
        if let Self::RefundBooked(event) = &mut event {
            (event.withheld, event.matched, event.reported_on) = (Minor::ZERO, None, None);
            event.transfers.clear();
        }
        if let Self::RefundResolved(event) = &mut event {
            event.transfers.clear();
        }
        // The transfers of a step of a dispute depend on what came before it.
        if let Self::DisputeBooked(event) = &mut event {
            event.transfers.clear();
        }
        if let Self::DisputeMoneyBooked(event) = &mut event {
            event.transfers.clear();
        }
        if let Self::FundingMoved(event) = &mut event {
            (event.moved, event.held) = (Minor::ZERO, Minor::ZERO);
        }
        Ok(Fingerprint::of(&event.encode()?))
    }
}
