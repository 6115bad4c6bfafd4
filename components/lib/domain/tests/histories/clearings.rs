//! Clearings that name no known payment: the account is asked for the hold, and the clearing is linked or the candidates
//! are named, as the saga has it.

use clearfold_domain::account::{self, Account, MatchClearing, Purchase};
use clearfold_domain::authorization::{
    Command as Payments, Event, ForcePostReason, LinkClearing, NameCandidates, State, Subject, TakeClearing,
    UnlinkClearing,
};
use clearfold_domain::network::ClearingMatch;
use clearfold_kernel::{CommandContext, Decider, Rejection};

use crate::live::Broken;
use crate::pending::{Pending, Then};
use crate::world::{ACCOUNT, Answer, Command, Sent, World};

/// Codes of refusals by a payment that cannot have a clearing.
pub const NO_CLAIM: [&str; 4] =
    ["authorization_not_found", "identity_conflict", "asset_mismatch", "clearing_not_linkable"];

impl World {
    /// Returns what the hold of a request is for.
    pub fn purchase(&self, payment: &str) -> Option<Box<Purchase>> {
        let state = &self.payments.get(payment)?.state;
        let request = state.payment()?.entry.request()?;
        Some(Box::new(Purchase {
            card_id: request.card_id.clone(),
            merchant_id: request.merchant.id.clone(),
            category: request.merchant.category,
            country: request.merchant.country,
            network: request.network,
            terminal: state.terminal.clone(),
            requested_at: request.occurred_at,
        }))
    }

    /// Asks for the hold of a clearing that began a payment, and says what follows from a link.
    pub fn follow_clearing(&mut self, id: &str, before: &State, event: &Event) -> Result<(), Broken> {
        match event {
            Event::ForcePosted(event)
                if event.reason == ForcePostReason::NoAuthorization && before.subject == Subject::Nothing =>
            {
                let (Some(card_id), Some(merchant)) = (&event.parties.card_id, &event.merchant) else {
                    return Ok(());
                };
                let find = MatchClearing {
                    payment_id: id.parse().expect("our own id"),
                    card_id: card_id.clone(),
                    merchant_id: merchant.id.clone(),
                    category: merchant.category,
                    country: merchant.country,
                    terminal: event.details.as_ref().and_then(|details| details.terminal.clone()),
                    amount: event.amount.clone(),
                    occurred_at: event.occurred_at,
                };
                self.find_hold(id, find)
            }
            Event::ClearingLinked(event) => {
                let take = TakeClearing {
                    posted_on: id.parse().expect("our own id"),
                    clearing_id: event.clearing_id.clone(),
                    link: event.link,
                    amount: event.amount.clone(),
                    residue: event.residue,
                    part: event.part,
                    reference: event.reference.clone(),
                    matched: event.matched.clone(),
                    occurred_at: event.occurred_at,
                };
                let take = Command::Payment(event.payment_id.to_string(), Payments::TakeClearing(take));
                self.queue.push(Pending::of(take, Then::ClearingTaken { clearing: id.to_owned() }));
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Asks at once; the link comes later.
    fn find_hold(&mut self, id: &str, find: MatchClearing) -> Result<(), Broken> {
        let command = account::Command::MatchClearing(find);
        let (account, actor) = (ACCOUNT.to_owned(), "api".to_owned());
        let context =
            CommandContext { routing_key: account.clone(), id: account, actor, accepted_at: self.now() };
        let named = Account::decide(&self.account.state, &command, &context);
        self.send(&Sent::new(Command::Account(command))).map(drop)?;
        let link = match named.as_ref().err().and_then(matched) {
            Some((payment_id, found)) => Payments::LinkClearing(LinkClearing {
                payment_id: payment_id.parse().expect("an id"),
                matched: Some(found),
                reason: None,
            }),
            None => {
                let named = named.err().and_then(|named| account::holds_of(&named.code, &named.detail));
                Payments::NameCandidates(NameCandidates { candidates: named.unwrap_or_default() })
            }
        };
        self.queue.push(Pending::answered(Command::Payment(id.to_owned(), link)));
        Ok(())
    }

    /// Ends the link of a clearing that its payment cannot have.
    pub fn clearing_taken(&mut self, clearing: &str, answer: &Answer) {
        if !answer.as_ref().is_err_and(|code| NO_CLAIM.contains(&code.as_str())) {
            return;
        }
        let Some(live) = self.payments.get(clearing) else { return };
        let Some(payment_id) = live.state.clearing_linked_to().cloned() else { return };
        let unlink = UnlinkClearing { payment_id, link: live.state.clearing_links.made };
        self.queue.push(Pending::to_payment(clearing, clearing, Payments::UnlinkClearing(unlink)));
    }
}

fn matched(refused: &Rejection) -> Option<(&str, ClearingMatch)> {
    let (found, id) = refused.detail.rsplit_once(' ').filter(|_| refused.code == "hold_matched")?;
    Some((id, ClearingMatch::of_written(found)?))
}
