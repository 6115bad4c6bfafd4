//! Orders of an operator: disputes, what is in suspense, and declines.

use serde_json::json;

use crate::books::Payment;
use crate::dice::Dice;
use crate::facts::{Resolution, What};
use crate::life::{Life, Word, amount};
use crate::live::Broken;
use crate::network::say;
use crate::totals;
use crate::world::Command;

/// The network moves money of a dispute: of the newest one, or of one that nobody knows.
pub fn dispute_money(life: &mut Life, id: &str, dice: &mut Dice, payment: &Payment) -> Result<(), Broken> {
    // The stream of a refund has no disputes.
    if totals::unlinked(&life.facts).iter().any(|refund| refund.stream == id) {
        return Ok(());
    }
    let known = payment.disputes.last();
    let dispute = match known {
        Some(dispute) if !dice.one_in(8) => dispute.id.clone(),
        _ => life.world.name("dsp"),
    };
    let most = known.map_or(100, |dispute| dispute.amount);
    let (cycle, sign) = match dice.below(9) {
        0..4 => ("chargeback", 1),
        4 | 5 => ("representment", -1),
        6 => ("pre_arbitration", if dice.one_in(2) { 1 } else { -1 }),
        7 => ("arbitration", if dice.one_in(2) { 1 } else { -1 }),
        _ => ("withdrawal", -1),
    };
    let cents = match dice.below(3) {
        0 if cycle == "withdrawal" => 0,
        0 => (most / 2).max(1),
        1 => most + 1,
        _ => most,
    };
    let record = life.world.name("cbk");
    let mut payload = json!({
        "record_id": record, "dispute_id": dispute, "network": "visa", "cycle": cycle,
        "amount": amount(cents), "occurred_at": life.world.now(),
    });
    if cycle.ends_with("arbitration") {
        payload["direction"] = json!(if sign > 0 { "received" } else { "paid" });
    }
    let (amount, is_withdrawal) = (sign * cents, cycle == "withdrawal");
    let what = What::DisputeMoney { id: record, dispute, amount, is_withdrawal };
    say(life, id, Word::States, "RecordDisputeMoney", payload, what)
}

pub fn dispute(life: &mut Life, id: &str, dice: &mut Dice, payment: &Payment) -> Result<(), Broken> {
    let open = payment.disputes.iter().find(|dispute| dispute.is_open).cloned();
    let Some(dispute) = open else {
        let dispute_id = life.world.name("dsp");
        let cents = if dice.one_in(2) { payment.left() } else { payment.left() / 2 }.max(1);
        let payload = json!({"dispute_id": dispute_id, "amount": amount(cents), "reason": "fraud"});
        let submit = json!({"dispute_id": dispute_id, "stage": "submitted"});
        let what = What::DisputeOpened { id: dispute_id, amount: cents };
        say(life, id, Word::Asks, "OpenDispute", payload, what)?;
        // It can be won only after it was submitted.
        let submit = Command::to("authorization", id, "AdvanceDispute", submit.to_string().as_bytes());
        return life.say(submit, false).map(drop);
    };
    let dispute_id = dispute.id;
    match dice.below(4) {
        0 | 1 if !dispute.is_credited => {
            let payload = json!({"dispute_id": dispute_id});
            say(
                life,
                id,
                Word::Asks,
                "GrantProvisionalCredit",
                payload,
                What::DisputeCredited { id: dispute_id },
            )
        }
        2 => {
            let payload = json!({"dispute_id": dispute_id, "outcome": "lost"});
            say(life, id, Word::Asks, "ResolveDispute", payload, What::DisputeLost { id: dispute_id })
        }
        _ => {
            let awarded = if dice.one_in(2) { dispute.amount } else { (dispute.amount / 2).max(1) };
            let mut payload = json!({"dispute_id": dispute_id, "outcome": "won"});
            if awarded != dispute.amount {
                payload["awarded"] = amount(awarded);
            }
            say(life, id, Word::Asks, "ResolveDispute", payload, What::DisputeWon { id: dispute_id, awarded })
        }
    }
}

/// An operator finds out what a suspended clearing is.
pub fn resolve(life: &mut Life, id: &str, dice: &mut Dice, payment: &Payment) -> Result<(), Broken> {
    let Some(claim) = payment.claims.iter().find(|claim| claim.is_suspended) else { return Ok(()) };
    let clearing_id = claim.id.clone();
    let (outcome, what) = match dice.one_in(2) {
        true => ("charged", What::ClearingCharged { id: clearing_id.clone() }),
        false => ("returned", What::ClearingReturned { id: clearing_id.clone() }),
    };
    let payload = json!({"clearing_id": clearing_id, "outcome": outcome});
    say(life, id, Word::Asks, "ResolveClearing", payload, what)
}

/// An operator finds out what an unlinked refund is.
pub fn resolve_refund(life: &mut Life, dice: &mut Dice) -> Result<(), Broken> {
    life.settle(dice)?;
    let unlinked = totals::unlinked(&life.facts);
    let Some(refund) = unlinked.iter().find(|refund| refund.resolution.is_none()) else { return Ok(()) };
    let payment = if dice.one_in(2) { life.world.order.first().cloned() } else { None };
    let payment = payment.filter(|id| *id != refund.stream && life.world.payment(id).is_some());
    let (outcome, as_what) = match dice.below(3) {
        0 => ("paid", Resolution::Paid),
        1 if !refund.on_chain => ("taken_back", Resolution::TakenBack),
        _ if refund.on_chain => ("returned", Resolution::Returned(payment.clone())),
        _ => ("paid", Resolution::Paid),
    };
    let mut payload = json!({"outcome": outcome});
    if let (Resolution::Returned(_), Some(payment)) = (&as_what, &payment) {
        payload["payment_id"] = json!(payment);
    }
    say(life, &refund.stream, Word::Asks, "ResolveRefund", payload, What::RefundResolved { as_what })?;
    life.settle(dice)
}

/// An operator or the network declines what is not decided yet.
pub fn decline(life: &mut Life, id: &str) -> Result<(), Broken> {
    say(life, id, Word::Asks, "DeclineAuthorization", json!({"reason": "risk_declined"}), What::Declined)
}
