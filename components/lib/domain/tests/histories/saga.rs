//! In-flight commands: bookings that follow from events, and the steps by which a request is answered.
//!
//! The steps are those of the model's saga: reserve on the card, hold on the account, answer; an increment takes the
//! same steps. A booking is sent until it is accepted. Both arrive at random times, with other commands in between.

use clearfold_domain::account::{self, Net, PlaceHold, RaiseHold, RefundLink};
use clearfold_domain::authorization::{
    self, ApproveAuthorization, ApproveIncrement, AuthorizationRequested, DeclineAuthorization,
    DeclineIncrement, Entry, Event, Increment, IncrementFate, IncrementRequested, Payment,
};
use clearfold_domain::bookings;
use clearfold_domain::card::{self, Portion, RecordPinFailure, ReleaseSpend, ReserveSpend};
use clearfold_domain::policy::DeclineReason;
use clearfold_domain::verification::CardChecks;
use clearfold_kernel::{Amount, ExternalId, Minor};

use crate::clearings::NO_CLAIM;
use crate::dice::Dice;
use crate::live::Broken;
use crate::pending::{More, Overtakes, Pending, Then};
use crate::world::{Answer, Command, World};

/// Returns the id under which a message of the payment is reserved.
fn reservation(payment: &str, message_id: &ExternalId) -> ExternalId {
    bookings::reservation(&payment.parse().expect("our own id"), message_id).expect("our own ids are short")
}

impl World {
    /// Has the stream of a refund on chain resolved, if it was reported twice.
    pub fn refund_matched(&mut self, event: &account::Event) {
        let account::Event::RefundBooked(event) = event else { return };
        if let (Some(before), Some(stream)) = (&event.matched, &event.reported_on) {
            self.queue.push(match event.link {
                RefundLink::Linked => Pending::matched(&before.reported_on, stream),
                RefundLink::Unlinked => Pending::matched(stream, &before.reported_on),
            });
        }
    }

    /// Begins the saga of a request or an increment, which asks the card and then the account for the answer.
    pub fn begin_saga(&mut self, payment: &str, event: &Event) {
        match event {
            Event::AuthorizationRequested(request) => self.ask_for(payment, request),
            Event::IncrementRequested(increment) => self.ask_for_more(payment, increment),
            _ => {}
        }
    }

    fn ask_for(&mut self, payment: &str, request: &AuthorizationRequested) {
        if request.checks.as_ref().is_some_and(CardChecks::has_wrong_pin) {
            let failure = RecordPinFailure { authorization_id: payment.parse().expect("our own id") };
            let failure = card::Command::RecordPinFailure(failure);
            self.queue
                .push(Pending::of(Command::Card(request.card_id.to_string(), failure), Then::Forgotten));
        }
        let reserve = ReserveSpend {
            reservation_id: reservation(payment, &request.message_id),
            authorization_id: payment.parse().expect("our own id"),
            amount: request.amount.clone(),
            merchant: request.merchant.clone(),
            checks: request.checks.clone(),
            transaction_type: request.details.as_ref().and_then(|details| details.transaction_type),
        };
        let command = Command::Card(request.card_id.to_string(), card::Command::ReserveSpend(reserve));
        self.queue.push(Pending::of(command, Then::Reserved { payment: payment.to_owned() }));
    }

    /// Asks the card, if card and merchant are known, and then the account. The decider has declined an increment of a
    /// payment that is not open by itself.
    fn ask_for_more(&mut self, payment: &str, increment: &IncrementRequested) {
        let Some(state) = self.payments.get(payment).map(|live| &live.state) else { return };
        let is_undecided = |known: &Increment| known.fate == IncrementFate::Undecided;
        let (Some(known), true) =
            (state.payment(), state.increments.get(&increment.message_id).is_some_and(is_undecided))
        else {
            return;
        };
        let advised = state.advices.values().next().map(|advice| &advice.merchant);
        let merchant = known.entry.merchant().or(advised).cloned();
        let card = known.parties.card_id.as_ref().zip(merchant);
        let amount = Amount { minor: increment.addition, asset: increment.amount.asset.clone() };
        let reserve = card.map(|(card, merchant)| {
            let (reservation_id, amount) = (reservation(payment, &increment.message_id), amount.clone());
            let authorization_id = payment.parse().expect("our own id");
            let reserve = ReserveSpend {
                reservation_id,
                authorization_id,
                amount,
                merchant,
                checks: None,
                transaction_type: None,
            };
            (card.to_string(), card::Command::ReserveSpend(reserve))
        });
        let more = More {
            payment: payment.to_owned(),
            message_id: increment.message_id.clone(),
            amount,
            card: reserve.as_ref().map(|(card, _)| card.clone()),
        };
        match reserve {
            Some((card, reserve)) => {
                self.queue.push(Pending::of(Command::Card(card, reserve), Then::MoreReserved(more)));
            }
            None => self.raise(more),
        }
    }

    /// Returns true if no booking with strict order is in flight for the payment, such as one that places or voids
    /// its hold: a hold is raised only then.
    pub fn is_hold_settled(&self, id: &str) -> bool {
        !self.queue.iter().any(|pending| match &pending.then {
            Then::Booked { payment, overtakes } => payment == id && *overtakes == Overtakes::Never,
            _ => false,
        })
    }

    fn raise(&mut self, more: More) {
        let raise = RaiseHold {
            hold_id: more.payment.parse().expect("our own id"),
            change_id: more.message_id.clone(),
            amount: more.amount.clone(),
            forced: false,
        };
        self.queue
            .push(Pending::of(Command::Account(account::Command::RaiseHold(raise)), Then::Raised(more)));
    }

    /// Delivers one command. Commands of one payment mostly arrive in order.
    pub fn deliver(&mut self, dice: &mut Dice) -> Result<(), Broken> {
        let index = dice.below(self.queue.len());
        let first =
            self.queue.iter().position(|other| other.same_payment(&self.queue[index])).unwrap_or(index);
        let may_overtake = self.queue[first..=index]
            .iter()
            .filter(|other| other.same_payment(&self.queue[index]))
            .all(|other| other.overtakes() == Overtakes::Freely);
        let index = if may_overtake && dice.one_in(4) { index } else { first };
        self.deliver_at(index, dice).map(drop)
    }

    /// Delivers until no command is in flight. Fails if a command is never accepted.
    pub fn deliver_all(&mut self, dice: &mut Dice) -> Result<(), Broken> {
        while !self.queue.is_empty() {
            let mut done = 0;
            let mut index = 0;
            while index < self.queue.len() {
                if self.deliver_at(index, dice)? {
                    done += 1;
                } else {
                    index += 1;
                }
            }
            // A card that is still not issued has nothing to count, so its commands are dropped.
            self.queue.retain(|pending| match &pending.sent.command {
                Command::Card(id, _) => self.cards.get(id).is_some_and(|card| card.state.is_issued()),
                _ => true,
            });
            if done == 0 && !self.queue.is_empty() {
                let stuck: Vec<String> =
                    self.queue.iter().take(3).map(|pending| format!("{:?}", pending.sent.command)).collect();
                return Err(format!("never accepted: {}", stuck.join("; ")));
            }
        }
        Ok(())
    }

    /// Delivers the command at an index. Returns true if it need not be sent again.
    fn deliver_at(&mut self, index: usize, dice: &mut Dice) -> Result<bool, Broken> {
        if let Then::Raised(more) = &self.queue[index].then
            && !self.is_hold_settled(&more.payment)
        {
            return Ok(false);
        }
        if self.waits_for_spend(index) {
            return Ok(false);
        }
        let pending = self.queue.remove(index);
        let answer = self.send(&pending.sent)?;
        let again = match &pending.then {
            Then::Booked { .. } => {
                let is_linked = |command: &Command| match command {
                    Command::Account(account::Command::LowerHold(lower)) => {
                        let spend = self.payments.get(lower.hold_id.as_str());
                        spend.is_some_and(|spend| spend.state.links.made > 0)
                    }
                    _ => false,
                };
                // A Spend is matched; its hold is placed only if that cannot be linked.
                let is_spend = |command: &Command| match command {
                    Command::Account(account::Command::PlaceHold(hold)) => {
                        let live = self.payments.get(hold.hold_id.as_str());
                        let payment = live.and_then(|live| live.state.payment());
                        payment.is_some_and(|payment| matches!(payment.entry, Entry::Swiped { .. }))
                    }
                    _ => false,
                };
                let command = &pending.sent.command;
                answer.as_ref().is_err_and(|code| match code.as_str() {
                    "hold_not_found" => !is_linked(command),
                    "duplicate_mismatch" => !is_spend(command),
                    code => !is_needless(command, code),
                })
            }
            _ => answer.as_ref().is_err_and(|code| code == "clock_backwards"),
        };
        if again {
            self.queue.insert(index.min(self.queue.len()), pending);
            return Ok(false);
        }
        match pending.then {
            Then::Booked { .. } | Then::Forgotten | Then::Answered => {}
            Then::Linked { spend } => self.stands(&spend, &answer),
            Then::ClearingTaken { clearing } => self.clearing_taken(&clearing, &answer),
            Then::Reserved { payment } => self.reserved(&payment, &answer, dice),
            Then::Expected { payment, amount } if answer.is_ok() => {
                let hold = self.hold(&payment, amount.clone());
                self.queue.push(Pending::of(hold, Then::Held { payment, amount }));
            }
            Then::Expected { .. } => {}
            Then::Held { payment, amount } => self.held(&payment, &amount, &answer),
            Then::MoreReserved(more) => self.more_reserved(more, &answer, dice),
            Then::Raised(more) => self.raised(more, &answer),
            Then::Increased(more) => self.increased(&more, &answer),
        }
        Ok(true)
    }

    /// Returns true if something in the lane of a `Spend` comes before: what becomes of it before what lowers its hold, and
    /// that before its money is moved.
    fn waits_for_spend(&self, index: usize) -> bool {
        match &self.queue[index].sent.command {
            Command::Account(account::Command::LowerHold(lower)) => {
                self.queue.iter().any(|other| other.may_hold(lower.hold_id.as_str()))
            }
            Command::Account(account::Command::MoveFunding(moved)) => {
                let lowers = |other: &Pending| {
                    matches!(
                        &other.sent.command,
                        Command::Account(account::Command::LowerHold(lower)) if lower.hold_id == moved.spend_id
                    )
                };
                self.queue[..index].iter().any(lowers)
            }
            _ => false,
        }
    }

    fn reserved(&mut self, payment: &str, answer: &Answer, dice: &mut Dice) {
        let Some((amount, _)) = self.asked(payment) else { return };
        match answer {
            Err(code) => self.decline(payment, code),
            // A verification asks no account.
            Ok(_) if amount.minor == Minor::ZERO => {
                self.answer(
                    payment,
                    authorization::Command::ApproveAuthorization(ApproveAuthorization { amount }),
                );
            }
            // The account's answer misses the deadline: the payment is declined, and the hold may still arrive.
            Ok(_) if dice.one_in(10) => {
                let hold = self.hold(payment, amount);
                self.queue.push(Pending::of(hold, Then::Forgotten));
                self.decline(payment, DeclineReason::Timeout.code());
            }
            Ok(_) => {
                let hold = self.hold(payment, amount.clone());
                self.queue.push(Pending::of(hold, Then::Held { payment: payment.to_owned(), amount }));
            }
        }
    }

    fn hold(&self, payment: &str, amount: Amount) -> Command {
        let hold_id = payment.parse().expect("our own id");
        let partial =
            self.asked(payment).is_some_and(|(asked, partial_allowed)| partial_allowed && asked == amount);
        let expects = self.payments.get(payment).is_some_and(|payment| payment.state.expected.is_some());
        let asked_by = self.payments.get(payment).and_then(|payment| payment.state.asked_by.clone());
        let (unless_spent, purchase) = (!expects, self.purchase(payment));
        let hold = PlaceHold { hold_id, amount, forced: false, partial, unless_spent, asked_by, purchase };
        Command::Account(account::Command::PlaceHold(hold))
    }

    fn held(&mut self, payment: &str, amount: &Amount, answer: &Answer) {
        let Some((requested, partial_allowed)) = self.asked(payment) else { return };
        match answer {
            Ok(_) => {
                let approve = ApproveAuthorization { amount: amount.clone() };
                self.answer(payment, authorization::Command::ApproveAuthorization(approve));
            }
            // The payment expects the Spend first.
            Err(code) if code == "spend_matched" => {}
            Err(code) => {
                let available = self.account.state.available(&amount.asset);
                let is_first = *amount == requested;
                if partial_allowed
                    && is_first
                    && code == "only_part_available"
                    && available.covers(Minor::new(1))
                {
                    let amount = Amount { minor: Net::magnitude(available), ..requested };
                    let hold = self.hold(payment, amount.clone());
                    self.queue.push(Pending::of(hold, Then::Held { payment: payment.to_owned(), amount }));
                    return;
                }
                self.decline(payment, code);
            }
        }
    }

    fn decline(&mut self, payment: &str, code: &str) {
        let reason = DeclineReason::of_code(code).unwrap_or(DeclineReason::SystemError);
        let decline = DeclineAuthorization { reason };
        self.answer(payment, authorization::Command::DeclineAuthorization(decline));
    }

    fn answer(&mut self, payment: &str, command: authorization::Command) {
        self.queue.push(Pending::of(Command::Payment(payment.to_owned(), command), Then::Answered));
    }

    fn more_reserved(&mut self, more: More, answer: &Answer, dice: &mut Dice) {
        match answer {
            Err(code) => self.decline_more(&more, code),
            // The account's answer misses the deadline.
            Ok(_) if dice.one_in(10) => {
                self.decline_more(&more, DeclineReason::Timeout.code());
                self.raise(more);
            }
            Ok(_) => self.raise(more),
        }
    }

    fn raised(&mut self, more: More, answer: &Answer) {
        match answer {
            Ok(_) => {
                let approve = ApproveIncrement { message_id: more.message_id.clone() };
                let command = authorization::Command::ApproveIncrement(approve);
                let command = Command::Payment(more.payment.clone(), command);
                self.queue.push(Pending::of(command, Then::Increased(more)));
            }
            Err(code) => {
                self.release_more(&more);
                self.decline_more(&more, code);
            }
        }
    }

    /// If the payment was closed or the increment declined meanwhile, undoes the raise and releases the reservation.
    fn increased(&mut self, more: &More, answer: &Answer) {
        let Err(code) = answer else { return };
        let hold_id: ExternalId = more.payment.parse().expect("our own id");
        let undo = bookings::raise_undone(&hold_id, &more.message_id, more.amount.minor)
            .expect("our own ids are short");
        self.queue.push(Pending::account_booking(&more.payment, undo));
        self.release_more(more);
        self.decline_more(more, code);
    }

    fn decline_more(&mut self, more: &More, code: &str) {
        let reason = DeclineReason::of_code(code).unwrap_or(DeclineReason::SystemError);
        let decline = DeclineIncrement { message_id: more.message_id.clone(), reason };
        self.answer(&more.payment, authorization::Command::DeclineIncrement(decline));
    }

    fn release_more(&mut self, more: &More) {
        let Some(card) = &more.card else { return };
        let release = ReleaseSpend {
            reservation_id: reservation(&more.payment, &more.message_id),
            release_id: more.message_id.clone(),
            amount: Portion::Everything,
        };
        let card = card.parse().expect("our own id");
        self.queue.push(Pending::card_booking(&more.payment, card, card::Command::ReleaseSpend(release)));
    }

    pub fn payment(&self, id: &str) -> Option<&Payment> {
        self.payments.get(id).and_then(|live| live.state.payment())
    }

    /// Returns the requested amount, and true if a part of it would do; None if something else has replaced the
    /// request.
    fn asked(&self, payment: &str) -> Option<(Amount, bool)> {
        match &self.payment(payment)?.entry {
            Entry::Requested(request) => Some((request.amount.clone(), request.partial_allowed)),
            _ => None,
        }
    }
}

impl Pending {
    fn same_payment(&self, other: &Self) -> bool {
        match (&self.then, &other.then) {
            (Then::Booked { payment, .. }, Then::Booked { payment: other, .. }) => payment == other,
            _ => std::ptr::eq(self, other),
        }
    }

    fn overtakes(&self) -> Overtakes {
        match self.then {
            Then::Booked { overtakes, .. } => overtakes,
            _ => Overtakes::Freely,
        }
    }
}

/// Returns true if the refusal of a booking says that nothing is left to book: a closed card pays no more, frozen or not,
/// and what an operator recovered by hand is not recovered again.
fn is_needless(command: &Command, code: &str) -> bool {
    match command {
        Command::Card(_, card::Command::FreezeCard(_)) => code == "card_closed",
        // An operator unlinks what was linked to no payment of the account.
        Command::Payment(
            _,
            authorization::Command::TakeSpend(_)
            | authorization::Command::GiveUpSpend(_)
            | authorization::Command::ObserveSpend(_),
        ) => ["authorization_not_found", "spend_linked", "asset_mismatch"].contains(&code),
        // A payment that cannot have a clearing has the link ended.
        Command::Payment(_, authorization::Command::TakeClearing(_)) => NO_CLAIM.contains(&code),
        // Its own stream takes the clearing back then.
        Command::Payment(_, authorization::Command::ReverseClearing(_)) => {
            ["asset_mismatch", "identity_conflict"].contains(&code)
        }
        // An operator names a payment that is none, or a linked Spend; then its payment is told instead.
        Command::Payment(_, authorization::Command::TakeReturn(_)) => {
            ["authorization_not_found", "asset_mismatch", "return_of_linked_spend"].contains(&code)
        }
        Command::Account(account::Command::RecoverReceivable(_)) => code == "recovery_above_receivable",
        _ => false,
    }
}
