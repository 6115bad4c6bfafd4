//! 5. Each external id has one effect within its scope, however often it is reported: a message or a clearing record of
//!    the network within its payment, a log of the chain. A log whose block was reorganized away takes effect again
//!    when the block comes back, so inclusions and reorganizations alternate. A suspended clearing posts once, when it
//!    is charged. An increment is decided once.

use std::collections::BTreeSet;

use clearfold_kernel::{ChainSource, ExternalId, Invariant};

use super::tally::{Fact, Happened, Violations, Watch};
use crate::account::{DisputeStep, FundingStep};
use crate::authorization::{RefundOrigin, ReversalRefusal};
use crate::network::SuspenseOutcome;
use crate::{account, authorization, card};

const ONE_EFFECT_PER_IDENTITY: Invariant = Invariant {
    code: "one_effect_per_identity",
    statement: "A network message and a clearing record of a payment, and a log (chain id, block hash, log index), have \
                one effect each on the payments of an account, and one on its books.",
};

const REORGANIZATION: &str = "reorganization of log";
const BOOKED_REORGANIZATION: &str = "booked reorganization of log";
const CHARGE: &str = "charge of suspended clearing";
const UNDECIDED: &str = "undecided increment";
const APPROVED: &str = "approval of increment";
const DECLINED: &str = "decline of increment";

#[derive(Debug, Default)]
pub(super) struct Identities(BTreeSet<(&'static str, String)>);

impl Watch for Identities {
    const INVARIANTS: &'static [Invariant] = &[ONE_EFFECT_PER_IDENTITY];

    fn observe(&mut self, fact: Fact<'_>, found: &mut Violations<'_>) {
        let identities = match fact.event {
            Happened::Account(event) => of_account(event),
            Happened::Authorization(event) => of_authorization(fact.id, event),
            Happened::Card(event) => of_card(fact.id, event),
        };
        for (what, id) in identities {
            let is_new = match what {
                REORGANIZATION => self.0.remove(&("log", id.clone())),
                BOOKED_REORGANIZATION => self.0.remove(&("booked log", id.clone())),
                CHARGE => self.0.remove(&("clearing", id.clone())),
                DECLINED => self.0.remove(&(UNDECIDED, id.clone())),
                // An approval without a request was recorded before increments were decided.
                APPROVED => self.0.remove(&(UNDECIDED, id.clone())) || self.0.insert(("message", id.clone())),
                _ => self.0.insert((what, id.clone())),
            };
            if !is_new {
                found.report(ONE_EFFECT_PER_IDENTITY, format!("{what} {id} had an effect before"));
            }
        }
    }
}

type Identity = (&'static str, String);

fn log(source: &ChainSource) -> String {
    format!("{}/{}/{}", source.chain_id, source.block_hash, source.log_index)
}

/// Id that the network gave within a payment: another payment may have the same. No id has a blank, so no two pairs of
/// ids are alike.
fn within(payment_id: &str, id: &impl ToString) -> String {
    format!("{payment_id} {}", id.to_string())
}

/// Id that the network gave within a payment, which earlier versions did not state.
fn in_scope(payment_id: Option<&ExternalId>, id: &ExternalId) -> String {
    payment_id.map_or_else(|| id.to_string(), |payment_id| within(payment_id.as_str(), id))
}

fn of_authorization(payment_id: &str, event: &authorization::Event) -> Vec<Identity> {
    use authorization::Event;
    let refund = |origin: &RefundOrigin| match origin {
        RefundOrigin::Chain(source) => ("log", log(source)),
        RefundOrigin::Network(id) => ("refund", within(payment_id, id)),
    };
    vec![match event {
        Event::AuthorizationRequested(event) => ("message", within(payment_id, &event.message_id)),
        Event::AdviceRecorded(event) => ("message", within(payment_id, &event.message_id)),
        Event::IncrementRequested(event) => {
            let id = within(payment_id, &event.message_id);
            return vec![("message", id.clone()), (UNDECIDED, id)];
        }
        Event::HoldIncreased(event) => (APPROVED, within(payment_id, &event.message_id)),
        Event::IncrementDeclined(event) => (DECLINED, within(payment_id, &event.message_id)),
        Event::AuthorizationReversed(event) => ("reversal", within(payment_id, &event.message_id)),
        // It is applied once an operator says that it is of this payment.
        Event::ReversalRefused(event) if event.reason == ReversalRefusal::Ambiguous => {
            ("ambiguous reversal", within(payment_id, &event.message_id))
        }
        Event::ReversalRefused(event) => ("reversal", within(payment_id, &event.message_id)),
        Event::ClearingPosted(event) => ("clearing", within(payment_id, &event.clearing_id)),
        Event::ClearingSuspended(event) => ("clearing", within(payment_id, &event.clearing_id)),
        Event::ClearingResolved(event) => {
            let id = within(payment_id, &event.clearing_id);
            let charge = (event.outcome == SuspenseOutcome::Charged).then(|| (CHARGE, id.clone()));
            return [("resolution", id)].into_iter().chain(charge).collect();
        }
        Event::ClearingRefused(event) => ("clearing", within(payment_id, &event.clearing_id)),
        Event::ForcePosted(event) => ("clearing", within(payment_id, &event.clearing_id)),
        Event::ClearingReversed(event) => ("reversed clearing", within(payment_id, &event.reversal_id)),
        Event::RefundReversed(event) => ("reversed refund", within(payment_id, &event.reversal_id)),
        Event::RecordReversalKept(event) => ("kept reversal", within(payment_id, &event.reversal_id)),
        Event::RecordReversalEnded(event) => ("end of reversal", within(payment_id, &event.reversal_id)),
        Event::SwipeRecorded(event) => ("log", log(&event.source)),
        Event::FundingIncluded(event) => ("log", log(&event.source)),
        Event::FundingFinalized(event) => ("finality of log", log(&event.source)),
        Event::FundingReorged(event) => (REORGANIZATION, log(&event.source)),
        Event::RefundLinked(event) => refund(&event.origin),
        Event::RefundUnlinked(event) => refund(&event.origin),
        Event::RefundResolved(event) => ("refund resolution", within(payment_id, &event.origin.identity())),
        Event::ReturnTaken(event) => ("return", event.refund_id.to_string()),
        Event::DisputeMoneyMoved(event) => ("dispute money", within(payment_id, &event.record_id)),
        Event::ClearingLinked(event) => ("link of clearing", format!("{payment_id} {}", event.link)),
        Event::ClearingUnlinked(event) => {
            ("end of the link of clearing", format!("{payment_id} {}", event.link))
        }
        Event::ClearingGivenUp(event) => ("given up clearing", within(payment_id, &event.clearing_id)),
        Event::DisputeOpened(event) => ("dispute", account::dispute_key(payment_id, &event.dispute_id)),
        _ => return Vec::new(),
    }]
}

fn of_account(event: &account::Event) -> Vec<Identity> {
    use account::Event;
    vec![match event {
        Event::AccountOpened(event) => ("booked account", event.account.to_string()),
        Event::AssetsNamed(event) => ("booked assets of account", event.account.to_string()),
        Event::HoldPlaced(event) => match event.forced {
            true => ("booked forced hold", event.hold_id.to_string()),
            false => ("booked hold", event.hold_id.to_string()),
        },
        Event::HoldRaised(event) => ("booked raise", within(event.hold_id.as_str(), &event.change_id)),
        Event::HoldLowered(event) => ("booked lowering", within(event.hold_id.as_str(), &event.change_id)),
        Event::HoldVoided(event) => ("booked void", event.hold_id.to_string()),
        Event::ClearingBooked(event) => {
            ("booked clearing", within(event.hold_id.as_str(), &event.clearing_id))
        }
        Event::ClearingReversalBooked(event) => {
            ("booked reversal of clearing", within(event.hold_id.as_str(), &event.reversal_id))
        }
        Event::RefundReversalBooked(event) => {
            ("booked reversal of refund", within(event.reported_on.as_str(), &event.reversal_id))
        }
        // A claim that is charged is also booked as a clearing, perhaps before its suspension.
        Event::ClearingSuspended(event) => {
            ("booked suspension", in_scope(event.hold_id.as_ref(), &event.clearing_id))
        }
        Event::SuspenseResolved(event) => {
            ("booked resolution", in_scope(event.hold_id.as_ref(), &event.clearing_id))
        }
        Event::HoldPrevented(_) => return Vec::new(),
        Event::Deposited(event) => ("booked log", log(&event.source)),
        Event::Withdrawn(event) => ("booked log", log(&event.source)),
        Event::Returned(event) => ("booked log", log(&event.source)),
        Event::DelayQueueChanged(event) => ("booked log", log(&event.source)),
        Event::DepositReorged(event) => (BOOKED_REORGANIZATION, log(&event.source)),
        Event::WithdrawalReorged(event) => (BOOKED_REORGANIZATION, log(&event.source)),
        Event::FundingBooked(event) => {
            let what = match event.step {
                FundingStep::Included => "booked log",
                FundingStep::Finalized => "booked finality of log",
                FundingStep::Reorged => BOOKED_REORGANIZATION,
            };
            (what, log(&event.source))
        }
        Event::RefundBooked(event) => {
            let refund = ("booked refund", event.refund_id.to_string());
            return event.source.iter().map(|source| ("booked log", log(source))).chain([refund]).collect();
        }
        Event::RefundResolved(event) => ("booked refund resolution", event.refund_id.to_string()),
        Event::ReturnAssigned(event) => ("assigned return", event.refund_id.to_string()),
        Event::DisputeBooked(event) => {
            let what = match event.step {
                DisputeStep::Provisional => "booked provisional credit of dispute",
                DisputeStep::Won | DisputeStep::Lost => "booked outcome of dispute",
            };
            (what, event.key())
        }
        Event::DisputeMoneyBooked(event) => {
            ("booked dispute money", within(event.hold_id.as_str(), &event.record_id))
        }
        Event::ReceivableBooked(event) => ("booked receivable", event.receivable_id.to_string()),
        Event::ReceivableRecovered(event) => ("booked recovery", event.recovery_id.to_string()),
        Event::SettlementBooked(event) => ("booked settlement", event.settlement_id.to_string()),
        Event::FeeCharged(event) => ("booked fee", event.fee_id.to_string()),
        Event::SpendMatched(event) => ("booked match", event.spend_id.to_string()),
        Event::ClearingMoved(event) => {
            ("moved clearing", format!("{} {} {:?}", event.posted_on, event.link, event.to))
        }
        Event::FundingMoved(event) => {
            ("moved funding", format!("{} {} {:?}", event.spend_id, event.link, event.to))
        }
    }]
}

fn of_card(card: &str, event: &card::Event) -> Vec<Identity> {
    use card::Event;
    vec![match event {
        Event::SpendReserved(event) => ("reservation", format!("{card}/{}", event.reservation_id)),
        Event::SpendRecorded(event) => ("reservation", format!("{card}/{}", event.reservation_id)),
        Event::SpendReleased(event) => {
            ("release", format!("{card}/{}/{}", event.reservation_id, event.release_id))
        }
        Event::PinFailed(event) => ("wrong PIN", format!("{card}/{}", event.authorization_id)),
        _ => return Vec::new(),
    }]
}
