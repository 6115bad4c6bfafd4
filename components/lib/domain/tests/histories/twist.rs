//! Repeated commands: exactly as before, or under the same id with other content. Neither may have an effect.

use clearfold_domain::account::{BookFunding, Command as Accounts, FundingStep};
use clearfold_domain::authorization::{Command as Payments, Observation};
use clearfold_domain::card::Command as Cards;
use clearfold_kernel::Minor;
use serde_json::{Value, json};

use crate::dice::Dice;
use crate::live::Broken;
use crate::world::{ANOTHER_ACCOUNT, Answer, Command, Sent, World};

impl World {
    /// Sends an accepted command again.
    pub fn repeat(&mut self, dice: &mut Dice) -> Result<(), Broken> {
        let Some(sent) = dice.pick_recent(&self.accepted).cloned() else { return Ok(()) };
        if self.is_of_chain(&sent.command) {
            return Ok(());
        }
        if self.is_unlinked(&sent.command) {
            // It is linked again, or unlinked again.
            return self.send(&sent).map(drop);
        }
        if comes_and_goes(&sent.command) {
            return if self.is_overtaken(&sent.command) { Ok(()) } else { self.send(&sent).map(drop) };
        }
        match self.without_effect(&sent)? {
            Err(code) if code == "duplicate_mismatch" => {
                Err(format!("{:?} is not known again", sent.command))
            }
            _ => Ok(()),
        }
    }

    /// Sends an accepted command again with other content, to another account, or from another actor.
    pub fn alter(&mut self, dice: &mut Dice) -> Result<(), Broken> {
        let Some(sent) = dice.pick_recent(&self.accepted).cloned() else { return Ok(()) };
        if self.is_of_chain(&sent.command) || self.is_unlinked(&sent.command) {
            return Ok(());
        }
        let mut altered = sent;
        match dice.below(8) {
            0 => altered.routing_key = ANOTHER_ACCOUNT,
            // An operator may name the assets of an account that a saga opened: no repeat, but another command.
            1 if matches!(altered.command, Command::Account(Accounts::OpenAccount(_))) => return Ok(()),
            1 => altered.actor = if altered.actor == "api" { "chain" } else { "api" },
            _ => match other_content(&altered.command, dice) {
                Some(command) => altered.command = command,
                None => return Ok(()),
            },
        }
        self.without_effect(&altered).map(drop)
    }

    /// Returns true if the command links a `Spend` that was unlinked since: it would be linked again.
    fn is_unlinked(&self, command: &Command) -> bool {
        let Command::Payment(_, of_clearing) = command else { return false };
        if let Payments::LinkClearing(_) | Payments::GiveUpClearing(_) | Payments::NameCandidates(_) =
            of_clearing
        {
            // It is linked again, or named again, since another payment gave it up.
            let ends = |sent: &Sent| {
                let Command::Payment(_, other) = &sent.command else { return false };
                matches!(other, Payments::UnlinkClearing(_) | Payments::NameCandidates(_))
            };
            return self.accepted.iter().any(ends);
        }
        let Command::Payment(id, Payments::LinkSpend(_) | Payments::UnlinkSpend(_)) = command else {
            return false;
        };
        let unlinks =
            |sent: &Sent| matches!(&sent.command, Command::Payment(of, Payments::UnlinkSpend(_)) if of == id);
        self.accepted.iter().any(unlinks)
    }

    /// Returns true if the command is an observation that the simulated chain makes, where the saga asks for pulls.
    fn is_of_chain(&self, command: &Command) -> bool {
        let Command::Payment(_, command) = command else { return false };
        self.has_chain()
            && matches!(
                command,
                Payments::ObserveFunding(_) | Payments::AbandonFunding(_) | Payments::CloseExposure(_)
            )
    }

    /// Returns true if another step of the leg was booked since. Each step is sent until it is accepted, before the
    /// next one.
    pub fn is_overtaken(&self, command: &Command) -> bool {
        let Command::Account(Accounts::BookFunding(BookFunding { step, source, .. })) = command else {
            return false;
        };
        let latest = self.accepted.iter().rev().find_map(|sent| match &sent.command {
            Command::Account(Accounts::BookFunding(other)) if other.source == *source => Some(other.step),
            _ => None,
        });
        latest != Some(*step)
    }

    fn without_effect(&mut self, sent: &Sent) -> Result<Answer, Broken> {
        let answer = self.send(sent)?;
        if answer.as_ref().is_ok_and(|events| *events > 0) && has_identity(&sent.command) {
            return Err(format!("{:?} had an effect a second time", sent.command));
        }
        Ok(answer)
    }
}

/// Returns true if a repeat must have no effect. A command without an id of its own may have an effect again: a card
/// can be frozen today and tomorrow.
fn has_identity(command: &Command) -> bool {
    match command {
        Command::Card(_, Cards::FreezeCard(_) | Cards::UnfreezeCard(_) | Cards::SetRules(_)) => false,
        Command::Card(_, Cards::RenewCard(_) | Cards::ResetPinTries(_)) => false,
        // The leg may have been pulled and reorganized away since; and another leg may be exposed.
        Command::Payment(_, Payments::AbandonFunding(_) | Payments::CloseExposure(_)) => false,
        Command::Payment(_, Payments::ObserveFunding(observe)) => matches!(
            observe.observation,
            Observation::Included { .. } | Observation::Finalized { .. } | Observation::Reorged { .. }
        ),
        _ => true,
    }
}

/// Returns true if the command may have an effect again because the chain may return to a block that it left.
fn comes_and_goes(command: &Command) -> bool {
    match command {
        Command::Account(Accounts::BookFunding(funding)) => funding.step != FundingStep::Finalized,
        Command::Account(
            Accounts::RecordDeposit(_)
            | Accounts::RevertDeposit(_)
            | Accounts::RecordWithdrawal(_)
            | Accounts::RevertWithdrawal(_),
        ) => true,
        Command::Payment(_, Payments::ObserveFunding(observe)) => {
            matches!(observe.observation, Observation::Included { .. } | Observation::Reorged { .. })
        }
        _ => false,
    }
}

/// Returns the same command with another amount, asset, account or rate.
fn other_content(command: &Command, dice: &mut Dice) -> Option<Command> {
    let encoded = command.encode();
    let mut payload: Value = serde_json::from_slice(&encoded.payload).ok()?;
    let mut places = Vec::new();
    places_in(&payload, "", &mut places);
    let place = places.get(dice.below(places.len()))?;
    let value = payload.pointer_mut(place)?;
    let before = value.clone();
    *value = match place.rsplit('/').next()? {
        "asset" => json!(dice.pick(&["EURe", "USDC.e", "GBPe", "DOGE"])),
        "decimals" => json!(dice.pick(&[2, 6, 18, 19])),
        "account" => json!(ANOTHER_ACCOUNT),
        "rate" => json!("1.5"),
        "assets" => json!([]),
        _ => {
            let minor = value.as_str()?.parse::<u128>().ok()?;
            let others = [0, 1, minor + 1, minor.saturating_sub(1), Minor::LARGEST_AMOUNT.get() + 1];
            json!(dice.pick(&others).to_string())
        }
    };
    if *value == before {
        return None;
    }
    command.with_payload(&encoded.kind, &serde_json::to_vec(&payload).ok()?)
}

/// Collects the JSON pointers of fields that can be changed without changing the command's identity.
fn places_in(value: &Value, at: &str, places: &mut Vec<String>) {
    const SAID: [&str; 11] = [
        "minor",
        "asset",
        "decimals",
        "account",
        "awarded",
        "rate",
        "assets",
        "part",
        "against_hold",
        "beyond_hold",
        "released",
    ];
    if let Value::Array(elements) = value {
        elements
            .iter()
            .enumerate()
            .for_each(|(index, element)| places_in(element, &format!("{at}/{index}"), places));
    }
    let Value::Object(members) = value else { return };
    for (name, member) in members {
        let place = format!("{at}/{name}");
        if SAID.contains(&name.as_str()) && (member.is_string() || member.is_number() || member.is_array()) {
            places.push(place);
        } else {
            places_in(member, &place, places);
        }
    }
}
