//! Clearings that name no payment, and what operators say about them.

use clearfold_domain::authorization::{Part as Parts, TakeClearing};
use serde_json::json;

use crate::books::{self, Stage};
use crate::dice::Dice;
use crate::facts::{Part, What};
use crate::life::{Life, Word, amount, cents};
use crate::live::Broken;
use crate::network::{merchant, say};
use crate::world::CARDS;

/// A clearing with a card and a merchant, and mostly the amount that one of the payments holds.
pub fn present(life: &mut Life, id: &str, dice: &mut Dice) -> Result<(), Broken> {
    let held = |id: &String| books::payment(&life.facts, id).held;
    let held: Vec<i128> = life.world.order.iter().map(held).filter(|held| *held > 0).collect();
    let held = dice.pick_recent(&held).copied().unwrap_or(40);
    let claimed = match dice.below(6) {
        0 => held + held / 5,
        1 => (held / 2).max(1),
        _ => held,
    };
    let clearing_id = life.world.name("clr");
    let (part, stated) = if dice.one_in(3) { (Part::Partial, "partial") } else { (Part::Final, "final") };
    let payload = json!({
        "clearing_id": clearing_id, "amount": amount(claimed), "part": stated, "occurred_at": life.world.now(),
        "details": {"card_id": CARDS[0], "merchant": merchant()},
    });
    let what = What::Cleared { id: clearing_id, amount: claimed, reference: None, part };
    say(life, id, Word::States, "PresentClearing", payload, what)
}

/// An operator links the payment's clearing to another one.
pub fn link(life: &mut Life, id: &str, dice: &mut Dice) -> Result<(), Broken> {
    let held = |id: &&String| books::payment(&life.facts, id).held > 0;
    let open: Vec<String> = life.world.order.iter().filter(held).cloned().collect();
    let all = if open.is_empty() || dice.one_in(4) { &life.world.order } else { &open };
    let Some(payment) = dice.pick_recent(all).cloned() else { return Ok(()) };
    say(life, id, Word::Asks, "LinkClearing", json!({"payment_id": payment}), What::ClaimLinked)
}

/// An operator finds that a clearing is not the payment's.
pub fn give_up(life: &mut Life, id: &str) -> Result<(), Broken> {
    let taken = books::payment(&life.facts, id).taken_claims;
    let Some(taken) = taken.into_iter().rfind(|taken| !taken.is_given_up) else { return Ok(()) };
    let what = What::ClaimGivenUp { origin: taken.origin.clone() };
    say(life, id, Word::Asks, "GiveUpClearing", json!({"posted_on": taken.origin}), what)
}

/// Returns true if an operator has something to say about the payment's clearing.
pub fn is_odd(payment: &books::Payment) -> bool {
    payment.stage == Stage::Forced || payment.taken_claims.iter().any(|taken| !taken.is_given_up)
}

/// Message of the saga to the payment that takes a clearing.
pub fn taken(take: &TakeClearing) -> Result<What, Broken> {
    let origin = take.posted_on.to_string();
    let id = match take.link {
        1 => format!("linked/{origin}"),
        link => format!("linked-{link}/{origin}"),
    };
    let part = match take.part {
        Parts::Partial => Part::Partial,
        Parts::Final => Part::Final,
        Parts::Sequence { number, count } => Part::Of(number, count),
    };
    let (record, amount) = (take.clearing_id.to_string(), cents(&take.amount)?);
    Ok(What::ClaimTaken {
        origin,
        record,
        id,
        amount,
        reference: take.reference.as_ref().map(ToString::to_string),
        part,
    })
}
