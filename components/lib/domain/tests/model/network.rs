//! Messages of the card network, and what the chain shows of a payment.

use serde_json::{Value, json};

use crate::books::{self, Payment, Stage};
use crate::dice::Dice;
use crate::facts::{Fact, Part, What};
use crate::life::{Life, Message, Word, amount};
use crate::live::Broken;
use crate::totals;
use crate::world::{ACCOUNT, CARDS};

const SECOND_MS: u64 = 1000;

fn message_id(life: &mut Life) -> String {
    life.world.name("msg")
}

pub fn say(
    life: &mut Life,
    id: &str,
    word: Word,
    kind: &'static str,
    payload: Value,
    what: What,
) -> Result<(), Broken> {
    life.tell(Message { payment: id.to_owned(), kind, payload, what, word })
}

pub fn merchant() -> Value {
    json!({"id": "m", "name": "M", "category": "5812", "country": "DE"})
}

pub fn request(life: &mut Life, id: &str, dice: &mut Dice, cents: i128) -> Result<(), Broken> {
    let (message_id, at) = (message_id(life), life.world.now());
    let card = dice.weighted(&[(8, CARDS[0]), (2, CARDS[1]), (1, CARDS[2])]);
    let is_single = dice.one_in(6);
    let mut payload = json!({
        "message_id": message_id, "account": ACCOUNT, "card_id": card, "amount": amount(cents), "network": "visa",
        "merchant": merchant(), "partial_allowed": dice.one_in(2), "occurred_at": at,
    });
    if is_single {
        payload["single_message"] = json!(true);
    }
    say(
        life,
        id,
        Word::Asks,
        "RequestAuthorization",
        payload,
        What::Requested { id: message_id, amount: cents, at: time(at.as_ms()), is_single },
    )
}

/// Asks when nothing is on its way: then the answer follows from what is available.
pub fn ask_quietly(life: &mut Life, id: &str, dice: &mut Dice, cents: i128) -> Result<(), Broken> {
    life.settle(dice)?;
    let available = totals::account(&life.facts).available;
    let (message_id, at) = (message_id(life), life.world.now());
    let partial_allowed = dice.one_in(2);
    let mut payload = json!({
        "message_id": message_id, "account": ACCOUNT, "card_id": CARDS[0], "amount": amount(cents),
        "network": "visa", "merchant": merchant(), "partial_allowed": partial_allowed, "occurred_at": at,
    });
    let is_single = dice.one_in(3);
    if is_single {
        payload["single_message"] = json!(true);
    }
    let is_checked = is_predictable(life);
    let passes = !is_checked || check(life, &mut payload)?;
    let what = What::Requested { id: message_id, amount: cents, at: time(at.as_ms()), is_single };
    say(life, id, Word::Asks, "RequestAuthorization", payload, what)?;
    life.settle(dice)?;
    if !is_checked || !is_predictable(life) {
        return Ok(());
    }
    // The money of a `Spend` that was seen first has left already, so it is not asked for again.
    let is_its_spend = |fact: &Fact| {
        fact.payment == id && matches!(fact.what, What::Taken { amount, .. } if amount == cents)
    };
    let expected = match partial_allowed {
        _ if !passes => 0,
        _ if available >= cents || life.facts.iter().any(is_its_spend) => cents,
        true => available.max(0),
        false => 0,
    };
    let answered = life.facts.iter().find_map(|fact| match fact.what {
        What::Approved { amount } if fact.payment == id => Some(amount),
        _ => None,
    });
    if answered.unwrap_or_default() == expected {
        return Ok(());
    }
    Err(format!("{id} asks for {cents} of {available}, and is answered {answered:?}"))
}

/// Returns true unless the answer depends on more than the money: a dead pull freezes the card, a command that fails
/// declines, and so does an account that is not open.
fn is_predictable(life: &Life) -> bool {
    let is_frozen = life.facts.iter().any(|fact| matches!(fact.what, What::PullDead { .. }));
    let can_fail = life.is_behind || life.world.fails_one_in != usize::MAX;
    !is_frozen && !can_fail && life.world.account.state.is_open()
}

/// Adds what the network states of card and holder, and returns true if the card pays all the same: what is wrong
/// declines, and after three wrong PINs in a row the right one does, too.
fn check(life: &mut Life, payload: &mut Value) -> Result<bool, Broken> {
    // Dice of its own: the rest of the life stays as it was.
    let mut dice = Dice::new(life.world.now_ms);
    if life.wrong_pins >= 3 && dice.one_in(4) {
        life.card(CARDS[0], "ResetPinTries", &json!({}))?;
        life.wrong_pins = 0;
    }
    let (checks, passes) = match dice.below(8) {
        0 => (json!({"cvv": "not_matched"}), false),
        1 => (json!({"cvv": "matched", "three_ds": "attempted", "entry": "ecommerce"}), true),
        2 | 3 => {
            life.wrong_pins += 1;
            (json!({"pin": "not_matched", "entry": "chip"}), false)
        }
        4 => {
            // Wrong ones in payments that are none of this life's.
            for _ in 0..dice.below(4) {
                let elsewhere = json!({"authorization_id": life.world.name("elsewhere")});
                life.card(CARDS[0], "RecordPinFailure", &elsewhere)?;
                life.wrong_pins += 1;
            }
            let passes = life.wrong_pins < 3;
            life.wrong_pins = if passes { 0 } else { life.wrong_pins };
            (json!({"pin": "matched", "entry": "chip"}), passes)
        }
        _ => return Ok(true),
    };
    payload["checks"] = checks;
    Ok(passes)
}

pub fn increment(
    life: &mut Life,
    id: &str,
    dice: &mut Dice,
    payment: &Payment,
    by: i128,
) -> Result<(), Broken> {
    if dice.one_in(4) {
        return request(life, id, dice, by);
    }
    let (message_id, at) = (message_id(life), life.world.now());
    let is_total = dice.one_in(3);
    let cents = if is_total { payment.held + payment.against_hold + by } else { by };
    let basis = if is_total { "total" } else { "addition" };
    let payload =
        json!({"message_id": message_id, "amount": amount(cents), "basis": basis, "occurred_at": at});
    let what = What::IncrementRequested { id: message_id, amount: cents, is_total, at: time(at.as_ms()) };
    say(life, id, Word::Asks, "IncrementAuthorization", payload, what)
}

fn time(ms: u64) -> i64 {
    i64::try_from(ms).expect("before the year 10000")
}

pub fn reverse(life: &mut Life, id: &str, dice: &mut Dice, held: i128, asked: i128) -> Result<(), Broken> {
    let part = if held > 0 && dice.one_in(2) || dice.one_in(4) { Some(asked) } else { None };
    // It may come under the id of the message that it reverses.
    let own = life.sent.iter().rev().find(|sent| sent.payment == id && sent.word != Word::Sees);
    let own = own.and_then(|sent| sent.payload["message_id"].as_str().map(str::to_owned));
    let message_id = match own {
        Some(own) if dice.one_in(6) && !is_used(life, id, &own) => own,
        _ => message_id(life),
    };
    let extent = part.map_or(json!("full"), |part| json!({"part": amount(part)["minor"]}));
    let cause = if dice.one_in(3) { "timeout" } else { "merchant" };
    let payload =
        json!({"message_id": message_id, "extent": extent, "cause": cause, "occurred_at": life.world.now()});
    say(life, id, Word::States, "ReverseAuthorization", payload, What::Reversed { id: message_id, part })
}

fn is_used(life: &Life, payment: &str, id: &str) -> bool {
    life.sent.iter().any(|sent| {
        sent.payment == payment && matches!(&sent.what, What::Reversed { id: other, .. } if other == id)
    })
}

pub fn advise(life: &mut Life, id: &str, dice: &mut Dice, cents: i128) -> Result<(), Broken> {
    if cents == 0 && books::payment(&life.facts, id).stage == Stage::Unknown {
        return Ok(());
    }
    let message_id = message_id(life);
    let late_s = if dice.one_in(4) { dice.below(3_000) as u64 } else { 0 };
    let at = clearfold_kernel::Timestamp::from_ms(life.world.now_ms - late_s * SECOND_MS).expect("a time");
    let is_single = dice.one_in(6);
    let mut payload = json!({
        "message_id": message_id, "account": ACCOUNT, "card_id": CARDS[0], "amount": amount(cents),
        "merchant": merchant(), "network": "visa", "occurred_at": at,
    });
    if is_single {
        payload["single_message"] = json!(true);
    }
    let what = What::Advised { id: message_id, amount: cents, at: time(at.as_ms()), is_single };
    say(life, id, Word::States, "RecordAdvice", payload, what)
}

pub fn clear(life: &mut Life, id: &str, dice: &mut Dice, cents: i128) -> Result<(), Broken> {
    // A reversal may have come before.
    let awaited = books::payment(&life.facts, id).awaited;
    let is_new = |claim: &String| {
        life.sent.iter().all(|sent| !matches!(&sent.what, What::Cleared { id, .. } if id == claim))
    };
    let awaited = awaited.into_iter().map(|(claim, _)| claim).find(is_new);
    let clearing_id = match awaited {
        Some(awaited) if dice.one_in(2) => awaited,
        _ => life.world.name("clr"),
    };
    let count = 2 + dice.below(2);
    let number = 1 + dice.below(count);
    let last = u8::try_from(if dice.one_in(3) && number < count { 99 } else { count }).unwrap_or(99);
    let (part, stated) = match dice.below(4) {
        0 => (Part::Final, json!("final")),
        1 => (Part::Partial, json!("partial")),
        2 => (
            Part::Of(u8::try_from(number).unwrap_or(1), last),
            json!({"sequence": {"number": number, "count": last}}),
        ),
        _ if dice.one_in(2) => (Part::Final, json!("final")),
        _ => (Part::Partial, json!("partial")),
    };
    let reference = dice.one_in(3).then(|| format!("{id}/ref-{}", dice.below(2)));
    // The same amount under the same reference looks like a duplicate.
    let known = life.sent.iter().rev().find_map(|sent| match &sent.what {
        What::Cleared { amount, reference: Some(of), .. }
            if sent.payment == id && Some(of) == reference.as_ref() =>
        {
            Some(*amount)
        }
        _ => None,
    });
    let cents = if dice.one_in(2) { known.unwrap_or(cents) } else { cents };
    let mut payload = json!({
        "clearing_id": clearing_id, "amount": amount(cents), "part": stated, "occurred_at": life.world.now(),
    });
    if let Some(reference) = &reference {
        payload["reference"] = json!(reference);
    }
    let what = What::Cleared { id: clearing_id, amount: cents, reference, part };
    say(life, id, Word::States, "PresentClearing", payload, what)
}

pub fn force_post(life: &mut Life, id: &str, _: &mut Dice, cents: i128) -> Result<(), Broken> {
    let clearing_id = life.world.name("clr");
    let payload = json!({
        "clearing_id": clearing_id, "account": ACCOUNT, "card_id": CARDS[0], "amount": amount(cents),
        "merchant": merchant(), "occurred_at": life.world.now(),
    });
    say(life, id, Word::States, "ForcePost", payload, What::ForcePosted { id: clearing_id, amount: cents })
}

pub fn spend(life: &mut Life, id: &str, cents: i128) -> Result<(), Broken> {
    let source = life.world.source();
    let at = life.world.now();
    let payload = json!({"account": ACCOUNT, "amount": amount(cents), "source": source, "occurred_at": at});
    say(life, id, Word::Sees, "RecordSwipe", payload, What::Spent { amount: cents })
}

/// A refund; one on chain comes when nothing is on its way, so that what is owed back is known.
pub fn refund(life: &mut Life, id: &str, dice: &mut Dice, cents: i128) -> Result<(), Broken> {
    if dice.one_in(2) {
        let awaited = books::payment(&life.facts, id).awaited_refunds;
        let refund_id = match awaited.first() {
            Some((awaited, _)) if dice.one_in(2) => awaited.clone(),
            _ => life.world.name("rfd"),
        };
        let payload = json!({
            "account": ACCOUNT, "amount": amount(cents), "origin": {"network": refund_id},
            "occurred_at": life.world.now(),
        });
        let what = What::Refunded { id: refund_id, amount: cents, on_chain: false };
        say(life, id, Word::States, "RecordRefund", payload, what)?;
        // One on chain is matched by the time at which this one is booked.
        let waits = totals::unlinked(&life.facts).iter().any(|refund| refund.on_chain);
        return if waits { life.settle(dice) } else { Ok(()) };
    }
    life.settle(dice)?;
    let source = life.world.source();
    let payload = json!({
        "account": ACCOUNT, "amount": amount(cents), "origin": {"chain": source}, "occurred_at": life.world.now(),
    });
    let what = What::Refunded { id: source.block_number.to_string(), amount: cents, on_chain: true };
    say(life, id, Word::Sees, "RecordRefund", payload, what)?;
    life.settle(dice)
}

/// The block of a spend that was seen on chain first becomes final.
pub fn finalize(life: &mut Life, id: &str) -> Result<(), Broken> {
    let is_final = |fact: &Fact| fact.payment == id && matches!(fact.what, What::PullFinal { leg: 1 });
    let spend = life.sent.iter().find(|sent| sent.payment == id && matches!(sent.what, What::Spent { .. }));
    let Some(spend) = spend.filter(|_| !life.facts.iter().any(is_final)) else { return Ok(()) };
    let observation = json!({"finalized": {"source": spend.payload["source"]}});
    let payload = json!({"observation": observation, "occurred_at": life.world.now()});
    say(life, id, Word::Sees, "ObserveFunding", payload, What::PullFinal { leg: 1 })
}

/// The network takes back a claim that came, or one that comes later.
pub fn take_back(life: &mut Life, id: &str, dice: &mut Dice, payment: &Payment) -> Result<(), Broken> {
    let reversal_id = life.world.name("rvl");
    let known = dice.pick_recent(&payment.claims).map(|claim| (claim.id.clone(), claim.amount - claim.back));
    let (claim, left) = match known {
        Some(known) if !dice.one_in(5) => known,
        _ => (life.world.name("clr"), 40),
    };
    let cents = match dice.below(5) {
        0 | 1 => None,
        2 => Some(left.max(1)),
        3 => Some(left + 1),
        _ => Some((left / 2).max(1)),
    };
    let network = if dice.one_in(2) { "visa" } else { "mastercard" };
    let mut payload = json!({
        "reversal_id": reversal_id, "clearing_id": claim, "network": network, "occurred_at": life.world.now(),
    });
    if let Some(cents) = cents {
        payload["amount"] = amount(cents);
    }
    let what = What::TakenBack { id: reversal_id, claim, amount: cents };
    say(life, id, Word::States, "ReverseClearing", payload, what)
}

/// The network takes back a refund of a payment that it told of, or one that it tells of later.
pub fn take_refund_back(life: &mut Life, id: &str, dice: &mut Dice, payment: &Payment) -> Result<(), Broken> {
    // A stream without a payment would be the refund's own.
    if payment.stage == Stage::Unknown {
        return Ok(());
    }
    let reversal_id = life.world.name("rvl");
    let (refund, left) = match dice.pick_recent(&payment.told).cloned() {
        Some(known) if !dice.one_in(5) => known,
        _ => (life.world.name("rfd"), 20),
    };
    let cents = dice.pick(&[None, None, Some(left.max(1)), Some(left + 1), Some((left / 2).max(1))]);
    let mut payload = json!({
        "reversal_id": reversal_id, "refund_id": refund, "network": "visa", "occurred_at": life.world.now(),
    });
    if let Some(cents) = cents {
        payload["amount"] = amount(cents);
    }
    let what = What::RefundTakenBack { id: reversal_id, refund, amount: cents };
    say(life, id, Word::States, "ReverseRefund", payload, what)
}
