//! Links between a `Spend` that somebody else submitted and the payment that the network asked for: what follows from
//! each, as the saga has it.

use clearfold_domain::account::{self, BookFunding, FundedBy, FundingStep, MoveFunding, PlaceHold};
use clearfold_domain::authorization::{self, Event, Funding, GiveUpSpend, ObserveSpend, TakeSpend};
use clearfold_kernel::{Amount, ExternalId, Minor};

use crate::pending::Pending;
use crate::world::{Answer, Command, World};

impl World {
    /// Has the account hold a `Spend` that was matched, if something was claimed of it meanwhile.
    pub(super) fn stands(&mut self, spend: &str, answer: &Answer) {
        let is_matched = self.account.events.iter().any(|event| match event {
            account::Event::SpendMatched(event) => event.spend_id.as_str() == spend,
            _ => false,
        });
        if !is_matched || *answer != Err("spend_not_linkable".to_owned()) {
            return;
        }
        let Some(live) = self.payments.get(spend) else { return };
        let Some(payment) = live.state.payment() else { return };
        let added = live.state.added().map(|(_, by)| by);
        let minor = added.fold(payment.totals.authorized, Minor::excess_over);
        let (hold_id, amount) =
            (spend.parse().expect("our own id"), Amount { minor, asset: payment.asset.clone() });
        let hold = PlaceHold {
            hold_id,
            amount,
            forced: true,
            partial: false,
            unless_spent: false,
            asked_by: None,
            purchase: None,
        };
        self.queue.push(Pending::account_booking(spend, account::Command::PlaceHold(hold)));
    }

    /// Says what follows from a link that was made or undone: the payment's leg, then the money.
    pub fn follow_link(&mut self, spend: &str, before: &authorization::State, event: &Event) {
        let spend_id: ExternalId = spend.parse().expect("our own id");
        if let Event::SpendObserved(event) = event {
            let (link, observation, occurred_at) = (event.link, event.observation.clone(), event.occurred_at);
            let observe = ObserveSpend { spend_id, link, observation, occurred_at };
            let command = authorization::Command::ObserveSpend(observe);
            self.queue.push(Pending::to_payment(spend, event.payment_id.as_str(), command));
            return;
        }
        let (payment_id, command, moved) = match event {
            Event::SpendLinked(event) => {
                let funding = before.payment().map(|payment| payment.funding.clone());
                let is_final = matches!(funding, Some(Funding::Finalized { .. }));
                let Some(Funding::Included { source, .. } | Funding::Finalized { source, .. }) = funding
                else {
                    return;
                };
                let (amount, basis) = (event.amount.clone(), event.basis);
                let take = TakeSpend {
                    spend_id: spend_id.clone(),
                    link: event.link,
                    amount: amount.clone(),
                    source: source.clone(),
                    basis,
                    is_final,
                };
                let (payment_id, to) = (event.payment_id.clone(), FundedBy::Payment);
                let moved = MoveFunding {
                    spend_id,
                    payment_id,
                    link: event.link,
                    is_gone: false,
                    to,
                    held: Minor::ZERO,
                    amount,
                    source,
                };
                (&event.payment_id, authorization::Command::TakeSpend(take), moved)
            }
            Event::SpendUnlinked(event) => {
                let give_up = GiveUpSpend { spend_id: spend_id.clone(), link: event.link };
                let (payment_id, to, held) = (event.payment_id.clone(), FundedBy::Spend, event.held);
                let (amount, source) = (event.amount.clone(), event.source.clone());
                let moved = MoveFunding {
                    spend_id,
                    payment_id,
                    link: event.link,
                    is_gone: event.is_gone,
                    to,
                    held,
                    amount,
                    source,
                };
                (&event.payment_id, authorization::Command::GiveUpSpend(give_up), moved)
            }
            _ => return,
        };
        self.queue.push(Pending::to_payment(spend, payment_id.as_str(), command));
        if moved.is_gone {
            let (amount, source) = (moved.amount.clone(), moved.source.clone());
            let hold_id = payment_id.clone();
            let gone = BookFunding { hold_id, step: FundingStep::Reorged, amount, source };
            self.queue.push(Pending::account_booking(spend, account::Command::BookFunding(gone)));
        }
        self.queue.push(Pending::account_booking(spend, account::Command::MoveFunding(moved)));
    }

    /// Asks for a `Spend` that was seen before, if a leg begins.
    pub fn find_spend(&mut self, payment: &str, before: &authorization::State, after: &authorization::State) {
        let begun = after.legs().last().filter(|(leg, funding)| {
            **funding == Funding::Unsubmitted && matches!(before.leg(*leg), None | Some(Funding::None))
        });
        if let (Some(_), Some(known)) = (begun, after.payment()) {
            let amount = Amount { minor: after.due(), asset: known.asset.clone() };
            let find = account::FindSpend { payment_id: payment.parse().expect("our own id"), amount };
            self.queue.push(Pending::answered(Command::Account(account::Command::FindSpend(find))));
        }
    }
}
