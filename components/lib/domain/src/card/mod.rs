//! Decider of a card: its status, its rules, and its recent payments.
//!
//! A payment is reserved before it is approved (`ReserveSpend`) and counts from then on against the card's limits and
//! velocity; an amount that is not paid after all is released (`ReleaseSpend`). A payment that could not be declined
//! is counted together with the rules that it broke (`RecordSpend`). The card never looks at the account's balance
//! and never moves money.
//!
//! Rejection codes, in addition to those of [`checks`]:
//!
//! | code | meaning |
//! |---|---|
//! | `card_number_as_id` | a card is issued under its own number |
//! | `card_not_issued` | the card does not exist yet |
//! | `card_closed` | the card was closed permanently |
//! | `invalid_rules` | the rules cannot be kept: a limit of zero, an empty list, a window of over 31 days, a limit for each merchant by the year |
//! | `invalid_expiry` | the card would expire in the past, or earlier than now |
//! | `reservation_not_found` | a part is released of a reservation that has not arrived |
//! | `release_above_reservation` | more is released than is left of the reservation |
//!
//! A payment is declined for the first of these rules that it breaks, in this order; the code is the decline reason:
//!
//! | code | the rule |
//! |---|---|
//! | `card_frozen`, `blocked_by_holder` | the card is not frozen; the second word if only its holder froze it |
//! | `card_closed`, `card_lost`, `card_stolen` | the card is not closed |
//! | `card_expired` | the month in which it expires is not over, in UTC |
//! | `token_not_active`, `cryptogram_mismatch` | the wallet's token is active; chip or stripe are the card's |
//! | `pin_tries_exceeded`, `pin_incorrect`, `pin_unverifiable` | a PIN, if one was entered, is right, after fewer wrong ones in a row than a card bears |
//! | `cvv_mismatch`, `expiry_mismatch`, `address_mismatch`, `authentication_failed` | what the rules name is not wrong |
//! | `authentication_required`, `check_missing` | what the rules require was checked |
//! | `merchant_category_blocked` | the merchant's category is allowed |
//! | `country_blocked` | the merchant's country is allowed |
//! | `per_transaction_limit` | the payment with its increments stays within the limit |
//! | `daily_limit`, `weekly_limit`, `monthly_limit`, `yearly_limit`, `all_time_limit` | all payments of the calendar period, in UTC, or of all time, stay within the limit |
//! | `cash_limit` | the same, of a limit on cash alone |
//! | `velocity` | the number of payments, in a time window or a calendar period, is below the maximum |
//!
//! A limit counts what its payments still count: what was reserved or recorded and not released. Up to a month it is
//! the sum over the reservations that the card keeps (`usage`); beyond, a total (`tally`).

mod broken_rules;
#[cfg(feature = "schema")]
mod examples;
mod expiry;
mod holder_checks;
mod issuing;
mod limit;
mod messages;
mod period;
#[cfg(test)]
mod properties;
mod release;
mod rules;
mod spend;
mod state;
mod status;
mod stored;
mod tally;
mod usage;

pub use expiry::ExpiryMonth;
pub use limit::{Limit, Place, Scope, Span};
pub use messages::{
    CardClosed, CardFrozen, CardIssued, CardRenewed, CardRulesSet, CardUnfrozen, CloseCard, Command, Event,
    FreezeCard, IssueCard, PinFailed, PinTriesReset, Portion, RecordPinFailure, RecordSpend, ReleasePayment,
    ReleaseSpend, RenewCard, ReservationVoided, ReserveSpend, ResetPinTries, SetRules, SpendRecorded,
    SpendReleased, SpendReserved, UnfreezeCard,
};
pub use period::Period;
pub use rules::{Allowed, MAX_ENTRIES, MAX_WINDOW_S, Rules, Velocity};
pub use state::{Issued, Known, State};
pub use status::{CloseCause, FreezeReason, Status};
pub use tally::{Tallies, Tally, Totals};
pub use usage::{Counted, Reservation, Usage};

use clearfold_kernel::{CommandContext, Decider, Entries, Rejection};

use self::holder_checks::pin_key;
use self::state::{reservation_key, reservation_keys};
use crate::checks;

/// Name of the aggregate, with which its stream ids begin.
pub const AGGREGATE: &str = "card";

/// Decider of a card's stream.
pub struct Card;

impl Decider for Card {
    const AGGREGATE: &'static str = AGGREGATE;
    const STATE_VERSION: u32 = 5;
    const HAS_ENTRIES: bool = true;

    type State = State;
    type Command = Command;
    type Event = Event;

    fn decide(state: &State, command: &Command, context: &CommandContext) -> Result<Vec<Event>, Rejection> {
        match (state, command) {
            (State::New(_), Command::IssueCard(issue)) => issuing::issue(issue, context),
            (State::New(_), _) => {
                let detail = format!("no card {} has been issued", context.id);
                Err(Rejection::new("card_not_issued", detail))
            }
            (State::Issued(card), command) => decide(card, command, context),
        }
    }

    fn evolve(state: State, event: &Event) -> State {
        state.after(event)
    }

    fn command_keys(command: &Command) -> Vec<String> {
        let reservation = match command {
            Command::ReserveSpend(command) => &command.reservation_id,
            Command::RecordSpend(command) => &command.reservation_id,
            Command::ReleaseSpend(command) => &command.reservation_id,
            Command::ReleasePayment(command) => {
                return command.reservations.iter().flat_map(reservation_keys).collect();
            }
            Command::RecordPinFailure(command) => return vec![pin_key(&command.authorization_id)],
            _ => return Vec::new(),
        };
        reservation_keys(reservation)
    }

    fn event_keys(event: &Event) -> Vec<String> {
        let reservation = match event {
            Event::SpendReserved(event) => &event.reservation_id,
            Event::SpendRecorded(event) => &event.reservation_id,
            Event::SpendReleased(event) => &event.reservation_id,
            Event::ReservationVoided(event) => &event.reservation_id,
            Event::PinFailed(event) => return vec![pin_key(&event.authorization_id)],
            _ => return Vec::new(),
        };
        vec![reservation_key(reservation)]
    }

    fn entries(state: &mut State) -> Option<&mut Entries> {
        Some(state.entries())
    }
}

fn decide(card: &Issued, command: &Command, context: &CommandContext) -> Result<Vec<Event>, Rejection> {
    checks::routed_to(card.account, context)?;
    // Only a request is judged by the host's clock: what has happened is recorded, and a card is frozen, at any time.
    if let Command::ReserveSpend(_) = command {
        checks::in_time(Some(card.latest), context)?;
    }
    match command {
        Command::IssueCard(issue) => issuing::issue_again(card, issue, context),
        Command::FreezeCard(freeze) => status::freeze(card, freeze, context),
        Command::UnfreezeCard(unfreeze) => status::unfreeze(card, unfreeze, context),
        Command::CloseCard(close) => Ok(status::close(card, close, context)),
        Command::RenewCard(renew) => expiry::renew(card, renew, context),
        Command::RecordPinFailure(failure) => Ok(holder_checks::record_failure(card, failure, context)),
        Command::ResetPinTries(_) => Ok(holder_checks::reset_tries(card, context)),
        Command::SetRules(set) => issuing::set_rules(card, set, context),
        Command::ReserveSpend(reserve) => spend::reserve(card, reserve, context),
        Command::ReleaseSpend(release) => release::release(card, release, context),
        Command::ReleasePayment(release) => release::release_payment(card, release, context),
        Command::RecordSpend(record) => spend::record(card, record, context),
    }
}
