//! What one event of an authorization asks of its account and of its card, as commands.
//!
//! The authorization says what a payment holds and owes; the books of the account and the counters of the card follow
//! it. This is the one place that says how. Pure: it sees one event (for the card also the state before it), sends
//! nothing and remembers nothing.
//!
//! The ids of the commands follow from the event's own, so that each command can be sent again at any time: a hold has
//! the authorization's id, every change of it the id of the message that caused it, and what no message caused an id
//! of its own, made of the payment's (`ids`).
//!
//! The commands of one authorization are sent in the order of its events, each until it is accepted. One that is sent
//! too early is refused and changes nothing. Three things must never overtake others, nor be overtaken: what places
//! or voids a hold, the steps of a dispute, and those of the funding. A leg whose block was reorganized away and came
//! back is the same leg, so its steps are not sent again once the next one was accepted. A hold is raised for an increment once that is done.

mod ids;
mod of_account;
mod of_card;

pub(crate) use ids::{expired, undone};
pub(crate) use of_account::refund_id;
pub use of_account::{is_seen_on_chain, of_account, raise_undone};
pub use of_card::of_card;

#[cfg(test)]
mod tests;
