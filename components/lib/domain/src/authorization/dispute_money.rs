//! Money of a dispute: what moves between the acquirer and us in each cycle. It is a fact of the network's settlement, so
//! it is never refused, and moves nothing of the payment: what the customer gets is the provisional credit and the award.
//!
//! | the money | outcome |
//! |---|---|
//! | of an open dispute, in any order of the cycles | waits in suspense for the decision |
//! | of a decided one | fills what the award expects of the network; what exceeds the award waits in suspense |
//! | of a dispute that nobody knows | waits in suspense; a dispute that is opened under the id has it |
//! | a withdrawal, also of zero | no more is expected of the network: what its money lacks of the award is our loss |
//! | known id | no effect; rejected if its content differs |

use clearfold_kernel::{Amount, CommandContext, ExternalId, Minor, Rejection};
use serde::{Deserialize, Serialize};

use super::messages::{DisputeMoneyFlag, DisputeMoneyMoved, Event, RecordDisputeMoney};
use super::state::{State, sum};
use super::{Decision, DisputeStatus, record_reversal};
use crate::checks;
use crate::network::{DisputeCycle, DisputeDirection, Network};

/// Money that moved in a cycle of a dispute.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DisputeMoney {
    /// Id of the dispute. The payment may not know it.
    pub dispute_id: ExternalId,
    /// Network that sent it.
    pub network: Network,
    /// Cycle in which it moved.
    pub cycle: DisputeCycle,
    /// Direction in which it moved.
    pub direction: DisputeDirection,
    /// Amount that moved; zero if a withdrawal moved nothing.
    pub amount: Amount,
}

impl State {
    /// Returns the sum of a dispute's money that moved in a direction, in minor units.
    #[must_use]
    pub fn dispute_money(&self, dispute_id: &ExternalId, direction: DisputeDirection) -> Minor {
        let moved = self.dispute_money.values();
        let moved = moved.filter(|money| money.dispute_id == *dispute_id && money.direction == direction);
        moved.map(|money| money.amount.minor).fold(Minor::ZERO, sum)
    }
}

pub(super) fn record(state: &State, command: &RecordDisputeMoney, context: &CommandContext) -> Decision {
    let money = stated(command)?;
    if let Some(known) = state.dispute_money.get(&command.record_id) {
        checks::repeated(command.record_id.as_str(), known, &money)?;
        return Ok(Vec::new());
    }
    let parties = record_reversal::parties(state, context)?;
    // Money may have come before its payment, so the payment's asset need not be that of its dispute.
    let told = state.dispute_money.values().filter(|known| known.dispute_id == money.dispute_id);
    let of_payment = state.payment().map(|payment| &payment.asset);
    for asset in told.map(|known| &known.amount.asset).chain(of_payment) {
        checks::same_asset(asset, &money.amount.asset)?;
    }
    Ok(vec![Event::DisputeMoneyMoved(DisputeMoneyMoved {
        parties,
        record_id: command.record_id.clone(),
        flags: flags(state, &money)?,
        dispute_id: money.dispute_id,
        network: money.network,
        cycle: money.cycle,
        direction: money.direction,
        amount: money.amount,
        occurred_at: command.occurred_at,
        details: command.details.clone(),
    })])
}

fn stated(command: &RecordDisputeMoney) -> Result<DisputeMoney, Rejection> {
    let RecordDisputeMoney { dispute_id, network, cycle, direction, amount, .. } = command;
    match cycle {
        DisputeCycle::Withdrawal => checks::askable(amount)?,
        _ => checks::sound(amount)?,
    };
    let Some(direction) = direction.or_else(|| cycle.usual_direction()) else {
        let detail = format!("money of {cycle:?} moves either way; state whether it was received or paid");
        return Err(Rejection::new("direction_missing", detail));
    };
    let (dispute_id, amount) = (dispute_id.clone(), amount.clone());
    Ok(DisputeMoney { dispute_id, network: *network, cycle: *cycle, direction, amount })
}

/// Returns what an operator should look at once the money has moved.
fn flags(state: &State, money: &DisputeMoney) -> Result<Vec<DisputeMoneyFlag>, Rejection> {
    let [received, paid] = [DisputeDirection::Received, DisputeDirection::Paid].map(|direction| {
        let before = state.dispute_money(&money.dispute_id, direction);
        if direction == money.direction { checks::fits(before.plus(money.amount.minor)) } else { Ok(before) }
    });
    let (received, paid) = (received?, paid?);
    let mut disputes = state.payment().into_iter().flat_map(|payment| &payment.disputes);
    let dispute = disputes.find(|dispute| dispute.id == money.dispute_id);
    let net = received.excess_over(paid);
    let is_decided_otherwise = dispute.is_some_and(|dispute| match dispute.status {
        DisputeStatus::Open { .. } => false,
        DisputeStatus::Closed { awarded, .. } => net != awarded || paid > received,
    });
    let found = [
        (dispute.is_none(), DisputeMoneyFlag::UnknownDispute),
        (dispute.is_some_and(|dispute| net > dispute.minor), DisputeMoneyFlag::AboveDisputed),
        (paid > received, DisputeMoneyFlag::PaidAboveReceived),
        (is_decided_otherwise, DisputeMoneyFlag::OtherThanAwarded),
    ];
    Ok(found.into_iter().filter_map(|(is_found, flag)| is_found.then_some(flag)).collect())
}

pub(super) fn moved(state: &mut State, event: &DisputeMoneyMoved) {
    let DisputeMoneyMoved { record_id, dispute_id, network, cycle, direction, amount, .. } = event.clone();
    state.dispute_money.insert(record_id, DisputeMoney { dispute_id, network, cycle, direction, amount });
}
