//! Facts that concern the account alone: what moves on chain, what is settled with the network, fees and receivables.

use clearfold_domain::account::Command as Accounts;
use serde_json::{Value, json};

use crate::dice::Dice;
use crate::facts::What;
use crate::life::{Life, Message, Word, amount};
use crate::live::Broken;
use crate::network::refund;
use crate::world::Command;

/// Something that concerns the account alone.
pub fn alone(life: &mut Life, dice: &mut Dice) -> Result<(), Broken> {
    let cents = 1 + dice.below(200) as i128;
    let (word, kind, payload, what) = match dice.below(12) {
        0..3 => return deposit(life, dice),
        3 => return withdraw(life, dice, cents),
        4 => return reorg(life, dice),
        5 => {
            let (direction, what) = match dice.one_in(2) {
                true => ("paid", What::SettlementPaid { amount: cents }),
                false => ("received", What::SettlementReceived { amount: cents }),
            };
            let id = life.world.name("stl");
            (
                Word::States,
                "RecordSettlement",
                json!({"settlement_id": id, "direction": direction, "amount": amount(cents)}),
                what,
            )
        }
        6 => {
            let id = life.world.name("fee");
            (
                Word::States,
                "ChargeFee",
                json!({"fee_id": id, "amount": amount(cents)}),
                What::FeeCharged { amount: cents },
            )
        }
        7 => {
            let (source, what) = (life.world.source(), What::SentBack { amount: cents });
            (Word::Sees, "RecordReturn", json!({"amount": amount(cents), "source": source}), what)
        }
        8 => return receivable(life, dice, cents),
        _ => {
            let id = life.world.name("unknown");
            return refund(life, &id, dice, 40);
        }
    };
    if life.world.account.state.is_open() {
        life.tell(of_account(word, kind, payload, what))?;
    }
    Ok(())
}

/// The processor lends the customer something, and gets it back at once or in part.
fn receivable(life: &mut Life, dice: &mut Dice, cents: i128) -> Result<(), Broken> {
    if !life.world.account.state.is_open() {
        return Ok(());
    }
    let id = life.world.name("owed");
    let payload = json!({"receivable_id": id, "amount": amount(cents)});
    life.tell(of_account(Word::States, "BookReceivable", payload, What::ReceivableBooked { amount: cents }))?;
    let back = if dice.one_in(2) { cents } else { cents.div_euclid(2) };
    if back == 0 {
        return Ok(());
    }
    let recovery = life.world.name("rcv");
    let payload = json!({"recovery_id": recovery, "receivable_id": id, "amount": amount(back)});
    life.tell(of_account(
        Word::States,
        "RecoverReceivable",
        payload,
        What::ReceivableRecovered { amount: back },
    ))
}

pub fn deposit(life: &mut Life, dice: &mut Dice) -> Result<(), Broken> {
    let cents = 20 + dice.below(400) as i128;
    moved(life, "RecordDeposit", cents, |log| What::Deposited { log, amount: cents })
}

fn withdraw(life: &mut Life, _: &mut Dice, cents: i128) -> Result<(), Broken> {
    moved(life, "RecordWithdrawal", cents, |log| What::Withdrawn { log, amount: cents })
}

fn moved(life: &mut Life, kind: &'static str, cents: i128, what: impl Fn(u64) -> What) -> Result<(), Broken> {
    let source = life.world.source();
    let payload = json!({"amount": amount(cents), "source": source, "occurred_at": life.world.now()});
    life.tell(of_account(Word::Sees, kind, payload, what(source.block_number)))
}

/// The block of a deposit or a withdrawal is gone.
fn reorg(life: &mut Life, dice: &mut Dice) -> Result<(), Broken> {
    let movements: Vec<(&'static str, Value, u64)> = life
        .world
        .accepted
        .iter()
        .filter_map(|sent| match &sent.command {
            Command::Account(Accounts::RecordDeposit(deposit)) => {
                Some(("RevertDeposit", json!({"source": deposit.source}), deposit.source.block_number))
            }
            Command::Account(Accounts::RecordWithdrawal(withdrawal)) => Some((
                "RevertWithdrawal",
                json!({"source": withdrawal.source}),
                withdrawal.source.block_number,
            )),
            _ => None,
        })
        .collect();
    if movements.is_empty() || !dice.one_in(2) {
        return Ok(());
    }
    let (kind, payload, log) = dice.pick(&movements);
    life.tell(of_account(Word::Sees, kind, payload, What::Reorged { log }))
}

fn of_account(word: Word, kind: &'static str, payload: Value, what: What) -> Message {
    Message { payment: String::new(), kind, payload, what, word }
}
