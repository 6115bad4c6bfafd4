//! Random lives: each step is a number, and becomes a message that makes sense for what the model says at that point.

use serde_json::{Value, json};

use crate::alone::{alone, deposit};
use crate::dice::Dice;
use crate::facts::What;
use crate::life::{Life, Message, Word, amount};
use crate::live::Broken;
use crate::network::{
    advise, ask_quietly, clear, finalize, force_post, increment, refund, request, reverse, spend, take_back,
    take_refund_back,
};
use crate::operator::{decline, dispute, dispute_money, resolve, resolve_refund};
use crate::totals;
use crate::world::{ACCOUNT, CARDS, Command};
use crate::{books, links};

const SECOND_MS: u64 = 1000;
const DAY_MS: u64 = 24 * 60 * 60 * SECOND_MS;
/// Most payments of one life.
const PAYMENTS: usize = 4;

/// Plays a life. Returns it in any case, with the difference if there is one.
pub fn play(seed: u64, steps: &[u64]) -> (Life, Result<(), Broken>) {
    let mut life = Life::new();
    let result = all(&mut life, seed, steps);
    (life, result)
}

fn all(life: &mut Life, seed: u64, steps: &[u64]) -> Result<(), Broken> {
    let mut dice = Dice::new(seed);
    life.world.offers_pulls = !dice.one_in(3);
    life.world.fails_one_in = dice.pick(&[20, usize::MAX]);
    begin(life, &mut dice)?;
    for step in steps {
        one(life, &mut Dice::new(*step))?;
    }
    life.settle(&mut dice)?;
    life.world.settled()?;
    life.world.expire_all(&mut dice)?;
    life.compare_all()?;
    life.world.settled()?;
    // In time every hold ends.
    match totals::account(&life.facts).held {
        0 => Ok(()),
        held => Err(format!("{held} are held for ever")),
    }
}

fn begin(life: &mut Life, dice: &mut Dice) -> Result<(), Broken> {
    // Some accounts are opened by the first fact that must post.
    if !dice.one_in(8) {
        let open = json!({"assets": [{"asset": "EURe", "decimals": 18}]});
        life.say(Command::to("account", ACCOUNT, "OpenAccount", open.to_string().as_bytes()), false)?
            .map_err(|code| format!("no account: {code}"))?;
        deposit(life, dice)?;
    }
    for (card, most) in CARDS.iter().zip([None, Some(60), None]) {
        let limits = most.map(|most| json!({"per": "transaction", "amount": amount(most)}));
        let limits: Vec<Value> = limits.into_iter().collect();
        let rules = json!({"limits": limits, "velocity": [], "categories": "all", "countries": "all"});
        if *card != CARDS[2] {
            life.card(card, "IssueCard", &json!({"account": ACCOUNT, "rules": rules}))?;
        }
    }
    Ok(())
}

fn one(life: &mut Life, dice: &mut Dice) -> Result<(), Broken> {
    life.world.now_ms += dice.below(3_000) as u64;
    // The network's statements are facts while the host's clock is behind, too.
    let behind_ms = if dice.one_in(16) { dice.below(100_000) as u64 } else { 0 };
    let choice = dice.below(100);
    match choice {
        0..24 => {
            let times = dice.below(6);
            return (0..=times).try_for_each(|_| life.world.deliver(dice));
        }
        24..34 if life.world.offers_pulls => return life.world.chain_goes_on(dice).map(drop),
        24..40 => return life.settle(dice),
        40 => {
            life.world.order(true);
            return Ok(());
        }
        41..44 => {
            life.world.now_ms += dice.pick(&[60 * SECOND_MS, DAY_MS, 8 * DAY_MS]);
            return Ok(());
        }
        44..50 => return alone(life, dice),
        50..54 => return repeat(life, dice),
        _ => {}
    }
    // The stream of an unlinked refund is named by its log, or by the refund, and gets nothing else.
    let refunds: Vec<String> =
        totals::unlinked(&life.facts).into_iter().map(|refund| refund.stream).collect();
    let payments: Vec<String> = life.world.order.iter().filter(|id| !refunds.contains(id)).cloned().collect();
    life.world.now_ms -= behind_ms;
    life.is_behind = behind_ms > 0;
    let done = if payments.is_empty() || (payments.len() < PAYMENTS && dice.one_in(8)) {
        start(life, dice)
    } else {
        let id = dice.pick_recent(&payments).cloned().unwrap_or_default();
        go_on(life, &id, dice)
    };
    life.world.now_ms += behind_ms;
    done
}

/// Sends a message again, as it was.
fn repeat(life: &mut Life, dice: &mut Dice) -> Result<(), Broken> {
    let Some(message) = dice.pick_recent(&life.sent).cloned() else { return Ok(()) };
    // An operator's order is another one if it comes again.
    let is_request = matches!(message.what, What::Requested { .. } | What::IncrementRequested { .. });
    if message.word != Word::Asks || is_request {
        life.tell(message)?;
        life.sent.pop();
    }
    Ok(())
}

/// Begins a payment.
fn start(life: &mut Life, dice: &mut Dice) -> Result<(), Broken> {
    let id = life.world.name("auth");
    let cents = if dice.one_in(4) { amount_again(life) } else { 1 + dice.below(120) as i128 };
    match dice.below(20) {
        0..9 => request(life, &id, dice, cents),
        9..11 => ask_quietly(life, &id, dice, cents),
        12 => request(life, &id, dice, 0),
        13 | 14 => spend(life, &id, cents),
        15 => advise(life, &id, dice, cents),
        16 => force_post(life, &id, dice, cents),
        17 if dice.one_in(3) => clear(life, &id, dice, cents),
        11 | 17 => links::present(life, &id, dice),
        18 if dice.one_in(4) => dispute_money(life, &id, dice, &books::Payment::default()),
        18 => refund(life, &id, dice, cents),
        19 if dice.one_in(3) => take_back(life, &id, dice, &books::Payment::default()),
        _ => reverse(life, &id, dice, cents, cents),
    }
}

/// Returns the amount of the payment that began last, so that a `Spend` and what the network asks for come together.
fn amount_again(life: &Life) -> i128 {
    let began = life.facts.iter().rev().find_map(|fact| match fact.what {
        What::Requested { amount, .. }
        | What::Spent { amount }
        | What::Advised { amount, .. }
        | What::ForcePosted { amount, .. } => Some(amount),
        _ => None,
    });
    began.filter(|amount| *amount > 0).unwrap_or(50)
}

/// Continues a payment, mostly with what its stage suggests.
fn go_on(life: &mut Life, id: &str, dice: &mut Dice) -> Result<(), Broken> {
    life.read_now()?;
    let payment = books::payment(&life.facts, id);
    let around = |dice: &mut Dice, of: i128| {
        match dice.below(8) {
            0..3 => of,
            3 => of + 1,
            4 => of + of / 5,
            5 => of / 2,
            6 => of - 1,
            _ => dice.below(120) as i128,
        }
        .max(1)
    };
    let held = payment.held;
    if payment.suspended > 0 && dice.one_in(4) {
        return resolve(life, id, dice, &payment);
    }
    if links::is_odd(&payment) && dice.one_in(4) {
        return if payment.stage == books::Stage::Forced {
            links::link(life, id, dice)
        } else {
            links::give_up(life, id)
        };
    }
    match dice.below(32) {
        30 | 31 => dispute_money(life, id, dice, &payment),
        28 | 29 => take_refund_back(life, id, dice, &payment),
        26 | 27 => take_back(life, id, dice, &payment),
        0..6 => {
            let cents = around(dice, if held > 0 { held } else { 30 });
            clear(life, id, dice, cents)
        }
        6..9 => {
            let asked = around(dice, held.max(1));
            reverse(life, id, dice, held, asked)
        }
        9..12 => {
            let by = around(dice, 1 + held / 2);
            increment(life, id, dice, &payment, by)
        }
        12..14 => {
            let cents = if dice.one_in(8) { 0 } else { around(dice, held.max(1)) };
            advise(life, id, dice, cents)
        }
        14..17 => {
            let cents = around(dice, payment.left());
            refund(life, id, dice, cents)
        }
        17 => force_post(life, id, dice, 1 + held / 3),
        18..21 => dispute(life, id, dice, &payment),
        21 => resolve(life, id, dice, &payment),
        22 => decline(life, id),
        23 => finalize(life, id),
        24 => alter(life, id, dice),
        _ => {
            if payment.stage == books::Stage::Unknown || dice.one_in(4) {
                let cents = around(dice, 60);
                return request(life, id, dice, cents);
            }
            resolve_refund(life, dice)
        }
    }
}

/// Sends a message again under its id, with another amount. It has no effect.
fn alter(life: &mut Life, id: &str, dice: &mut Dice) -> Result<(), Broken> {
    let known: Vec<Message> = life.sent.iter().filter(|sent| sent.payment == id).cloned().collect();
    let Some(message) = dice.pick_recent(&known).filter(|message| message.word == Word::States) else {
        return Ok(());
    };
    let mut payload = message.payload.clone();
    if message.kind == "ReverseAuthorization" {
        payload["extent"] = json!({"part": amount(997)["minor"]});
    } else {
        payload["amount"] = amount(997);
    }
    let command = Command::to("authorization", id, message.kind, payload.to_string().as_bytes());
    match life.say(command, false)? {
        Ok(0) | Err(_) => Ok(()),
        Ok(_) => Err(format!("{payload} had an effect under a known id")),
    }
}
