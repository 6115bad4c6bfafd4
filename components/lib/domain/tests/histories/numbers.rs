//! Reversals that lack the network's id: the account is asked for the hold, and its payment gets the reversal, as the edge
//! does it.

use clearfold_domain::account::{self, Account, FindHold};
use clearfold_domain::authorization::{
    Command as Payments, Extent, ReversalCause, ReversalFate, ReverseAuthorization,
};
use clearfold_kernel::{CommandContext, Decider, ExternalId, Minor};

use crate::dice::Dice;
use crate::live::Broken;
use crate::values::asked_by;
use crate::world::{ACCOUNT, Command, Sent, World};

impl World {
    /// Sends a reversal that names its payment by the numbers of the request, which may come later.
    pub fn reverse_by_numbers(&mut self, dice: &mut Dice) -> Result<(), Broken> {
        let recent = dice.pick_recent(&self.order).and_then(|id| self.payments.get(id));
        let known = recent.and_then(|live| live.state.asked_by.clone());
        let asked_by = known.unwrap_or_else(|| asked_by(dice));
        let amount = dice.one_in(4).then(|| Minor::new(dice.below(3) as u128));
        let find = FindHold { asked_by, message_id: self.id("rev"), amount };
        let command = account::Command::FindHold(find.clone());
        let (id, actor) = (ACCOUNT.to_owned(), "api".to_owned());
        let context = CommandContext { routing_key: id.clone(), id, actor, accepted_at: self.now() };
        let named = Account::decide(&self.account.state, &command, &context);
        self.send(&Sent::new(Command::Account(command))).map(drop)?;
        let named = named.err().and_then(|named| account::holds_of(&named.code, &named.detail));
        self.reverse(&find, &named.unwrap_or_default())
    }

    /// Sends the reversal to the payments that the account named.
    fn reverse(&mut self, find: &FindHold, holds: &[ExternalId]) -> Result<(), Broken> {
        let candidates = if holds.len() > 1 { holds.to_vec() } else { Vec::new() };
        for hold in holds {
            let reversal = ReverseAuthorization {
                message_id: find.message_id.clone(),
                extent: find.amount.map_or(Extent::Full, Extent::Part),
                cause: ReversalCause::Timeout,
                occurred_at: self.now(),
                details: None,
                candidates: candidates.clone(),
            };
            let reversal = Payments::ReverseAuthorization(reversal);
            self.send(&Sent::new(Command::Payment(hold.to_string(), reversal))).map(drop)?;
        }
        Ok(())
    }

    /// Makes the operator's word that an ambiguous reversal is of this payment.
    pub fn ambiguous(&self, id: &str) -> Option<(Payments, bool)> {
        let reversals = &self.payments.get(id)?.state.reversals;
        let (message_id, known) =
            reversals.iter().find(|(_, known)| known.fate == ReversalFate::Ambiguous)?;
        let (cause, occurred_at) = (ReversalCause::Timeout, self.now());
        let (message_id, extent) = (message_id.clone(), known.extent);
        let (details, candidates) = (None, Vec::new());
        let reversal = ReverseAuthorization { message_id, extent, cause, occurred_at, details, candidates };
        Some((Payments::ReverseAuthorization(reversal), false))
    }
}
