//! One life: the real deciders and the real saga between them, and the facts that they were told.
//!
//! The network and the chain state facts, which may not be refused, whatever the domain answers. A request or an
//! operator's order is a fact once it is accepted, and so are the answers that the saga gives.

use clearfold_domain::authorization::{AbandonCause, Command as Payments, Observation, ObserveFunding};
use clearfold_domain::network::RefundOutcome;
use clearfold_kernel::Amount;
use serde_json::{Value, json};

use crate::dice::Dice;
use crate::facts::{Fact, Resolution, What};
use crate::live::Broken;
use crate::values::CENT;
use crate::world::{ACCOUNT, Answer, Command, Sent, World};
use crate::{books, compare, links};

/// Right of a sender to be believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Word {
    /// It may be refused, and then did not happen.
    Asks,
    /// It happened.
    States,
    /// It happened, and the chain reader says so.
    Sees,
}

/// Message to a payment, so that it can come again.
#[derive(Debug, Clone)]
pub struct Message {
    pub payment: String,
    pub kind: &'static str,
    pub payload: Value,
    pub what: What,
    pub word: Word,
}

pub struct Life {
    pub world: World,
    pub facts: Vec<Fact>,
    pub sent: Vec<Message>,
    /// True while the host's clock is behind: then it refuses what is asked.
    pub is_behind: bool,
    /// Wrong PINs in a row of the card that has no limits.
    pub wrong_pins: u32,
    /// Number of accepted commands that were read already.
    read: usize,
}

impl Life {
    pub fn new() -> Self {
        let (facts, sent) = (Vec::new(), Vec::new());
        Self { world: World::new(), facts, sent, is_behind: false, wrong_pins: 0, read: 0 }
    }

    pub fn tell(&mut self, message: Message) -> Result<(), Broken> {
        let Message { payment, kind, payload, what, word } = &message;
        let (aggregate, id) =
            if payment.is_empty() { ("account", ACCOUNT) } else { ("authorization", payment.as_str()) };
        let command = Command::to(aggregate, id, kind, payload.to_string().as_bytes());
        let answer = self.say(command, *word == Word::Sees)?;
        let happened = match (&answer, word) {
            (Ok(events), Word::Asks) => *events > 0,
            (Err(_), Word::Asks) => false,
            (Ok(_), _) => true,
            (Err(code), _) if code == "refund_exceeds_captured" => return self.unlink(message),
            (Err(code), _) => return Err(format!("{kind} to `{payment}` was refused as {code}: {payload}")),
        };
        if happened {
            let at_ms = self.world.now_ms;
            self.facts.push(Fact { payment: payment.clone(), what: what.clone(), at_ms });
        }
        if !payment.is_empty() {
            self.sent.push(message);
        }
        Ok(())
    }

    /// Records a refund on chain that its payment cannot have as one of its own, as the listener does.
    fn unlink(&mut self, message: Message) -> Result<(), Broken> {
        let left = books::payment(&self.facts, &message.payment).left();
        match message.what {
            What::Refunded { amount, on_chain: true, .. } if amount > left => {
                let payment = self.world.name("unlinked");
                self.tell(Message { payment, ..message })
            }
            _ => Err(format!("{message:?} is refused, and {left} are left")),
        }
    }

    /// Sends a command that is no fact itself.
    pub fn say(&mut self, command: Command, by_chain: bool) -> Result<Answer, Broken> {
        self.read_now()?;
        let sent = if by_chain { Sent::by_chain(command) } else { Sent::new(command) };
        let answer = self.world.send(&sent)?;
        self.read = self.world.accepted.len();
        Ok(answer)
    }

    pub fn card(&mut self, id: &str, kind: &str, payload: &Value) -> Result<(), Broken> {
        self.say(Command::to("card", id, kind, payload.to_string().as_bytes()), false).map(drop)
    }

    /// Reads what was decided by the saga and seen by the chain's listener since.
    pub fn read_now(&mut self) -> Result<(), Broken> {
        for sent in &self.world.accepted[self.read..] {
            if let Command::Payment(id, command) = &sent.command
                && let Some(what) = read(command)?
            {
                self.facts.push(Fact { payment: id.clone(), what, at_ms: self.world.now_ms });
            }
        }
        self.read = self.world.accepted.len();
        Ok(())
    }

    /// Lets everything arrive, and compares the books.
    pub fn settle(&mut self, dice: &mut Dice) -> Result<(), Broken> {
        self.world.deliver_all(dice)?;
        self.compare()
    }

    /// Compares the read store as well.
    pub fn compare_all(&mut self) -> Result<(), Broken> {
        self.compare()?;
        compare::compare_rows(&self.facts, &self.world)
    }

    pub fn compare(&mut self) -> Result<(), Broken> {
        self.read_now()?;
        compare::compare(&self.facts, &self.world)
    }
}

fn read(command: &Payments) -> Result<Option<What>, Broken> {
    Ok(Some(match command {
        Payments::ApproveAuthorization(approve) => What::Approved { amount: cents(&approve.amount)? },
        Payments::DeclineAuthorization(_) => What::Declined,
        Payments::ApproveIncrement(approve) => What::IncrementApproved { id: approve.message_id.to_string() },
        Payments::DeclineIncrement(decline) => What::IncrementDeclined { id: decline.message_id.to_string() },
        Payments::ExpireAuthorization(_) => What::Expired,
        Payments::ObserveFunding(ObserveFunding { leg, observation, .. }) => match observation {
            Observation::Included { amount, .. } => What::PullIncluded { leg: *leg, amount: cents(amount)? },
            Observation::Finalized { .. } => What::PullFinal { leg: *leg },
            Observation::Reorged { .. } => What::PullReorged { leg: *leg },
            _ => return Ok(None),
        },
        Payments::LinkSpend(_) => What::Linked,
        Payments::UnlinkSpend(_) => What::Unlinked,
        Payments::LinkClearing(_) => What::ClaimLinked,
        Payments::UnlinkClearing(_) => What::ClaimUnlinked,
        Payments::TakeClearing(take) => links::taken(take)?,
        // One that names the payment of a linked clearing is passed on.
        Payments::ReverseClearing(reverse) => What::TakenBack {
            id: reverse.reversal_id.to_string(),
            claim: reverse.clearing_id.to_string(),
            amount: reverse.amount.as_ref().map(cents).transpose()?,
        },
        Payments::ResolveRefund(resolve) if resolve.outcome == RefundOutcome::Matched => {
            What::RefundResolved { as_what: Resolution::Matched }
        }
        Payments::TakeSpend(take) => What::Taken {
            spend: take.spend_id.to_string(),
            amount: cents(&take.amount)?,
            is_final: take.is_final,
        },
        Payments::ObserveSpend(seen) if matches!(seen.observation, Observation::Finalized { .. }) => {
            What::TakenFinal { spend: seen.spend_id.to_string() }
        }
        Payments::AbandonFunding(abandon) if abandon.cause == AbandonCause::Dead => {
            What::PullDead { leg: abandon.leg }
        }
        Payments::CloseExposure(close) if close.pull_again => What::PulledAgain { leg: close.leg },
        _ => return Ok(None),
    }))
}

pub fn cents(amount: &Amount) -> Result<i128, Broken> {
    let minor = amount.minor.get();
    if !minor.is_multiple_of(CENT) {
        return Err(format!("{minor} is no whole cent"));
    }
    i128::try_from(minor / CENT).map_err(|error| error.to_string())
}

pub fn amount(cents: i128) -> Value {
    json!({"minor": (cents.unsigned_abs() * CENT).to_string(), "asset": "EURe", "decimals": 18})
}
