//! A card: whether it pays, what it may pay, and what it has paid lately.
//!
//! A payment asks before it is approved (`ReserveSpend`) and counts from then on against the card's limits and
//! velocity; what is not paid after all is given back (`ReleaseSpend`). A payment that nobody could decline is counted
//! with the rules that it broke (`RecordSpend`). The card never looks at the account's balance and never moves money.
//!
//! Refusals, by code, beside those of [`checks`]:
//!
//! | code | meaning |
//! |---|---|
//! | `card_not_issued` | something about a card that does not exist yet |
//! | `card_closed` | something asked of a card that was closed for good |
//! | `invalid_rules` | rules that cannot be kept: a limit of nothing, a list of nothing, a window of over 31 days |
//! | `reservation_not_found` | a part of a reservation that has not come |
//! | `release_above_reservation` | more than what is left of a reservation |
//!
//! A payment is declined for the first of these that it would break, in this order; the code is the decline reason:
//!
//! | code | the rule |
//! |---|---|
//! | `card_frozen`, `card_closed` | the card pays at all |
//! | `merchant_category_blocked` | what the merchant sells is allowed |
//! | `country_blocked` | where the merchant sells it is allowed |
//! | `per_transaction_limit` | the payment with its increments keeps to the limit |
//! | `daily_limit` | all payments of the day, in UTC, keep to the limit |
//! | `velocity` | there were not as many payments lately as there may be |

mod broken_rules;
#[cfg(feature = "schema")]
mod examples;
mod issuing;
mod messages;
#[cfg(test)]
mod properties;
mod release;
mod rules;
mod spend;
mod state;
mod status;
mod usage;

pub use messages::{
    CardClosed, CardFrozen, CardIssued, CardRulesSet, CardUnfrozen, CloseCard, Command, Event, FreezeCard,
    IssueCard, Portion, RecordSpend, ReleaseSpend, ReservationVoided, ReserveSpend, SetRules, SpendRecorded,
    SpendReleased, SpendReserved, UnfreezeCard,
};
pub use rules::{Allowed, Limit, MAX_ENTRIES, MAX_WINDOW_S, Rules, Span, Velocity};
pub use state::{Issued, Known, State};
pub use status::{FreezeReason, Status};
pub use usage::{Reservation, Usage};

use clearfold_kernel::{CommandContext, Decider, Entries, Rejection};

use self::state::reservation_key;
use crate::checks;

/// The kind of stream, as it stands at the beginning of its id.
pub const AGGREGATE: &str = "card";

/// The decider.
pub struct Card;

impl Decider for Card {
    const AGGREGATE: &'static str = AGGREGATE;
    const STATE_VERSION: u32 = 2;
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
            _ => return Vec::new(),
        };
        vec![reservation_key(reservation)]
    }

    fn event_keys(event: &Event) -> Vec<String> {
        let reservation = match event {
            Event::SpendReserved(event) => &event.reservation_id,
            Event::SpendRecorded(event) => &event.reservation_id,
            Event::ReservationVoided(event) => &event.reservation_id,
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
    // What has happened is recorded and released even while the host's clock is wrong.
    if !matches!(command, Command::RecordSpend(_) | Command::ReleaseSpend(_)) {
        checks::in_time(Some(card.latest), context)?;
    }
    match command {
        Command::IssueCard(issue) => issuing::issue_again(card, issue, context),
        Command::FreezeCard(freeze) => status::freeze(card, freeze, context),
        Command::UnfreezeCard(unfreeze) => status::unfreeze(card, unfreeze, context),
        Command::CloseCard(_) => Ok(status::close(card, context)),
        Command::SetRules(set) => issuing::set_rules(card, set, context),
        Command::ReserveSpend(reserve) => spend::reserve(card, reserve, context),
        Command::ReleaseSpend(release) => release::release(card, release, context),
        Command::RecordSpend(record) => spend::record(card, record, context),
    }
}
