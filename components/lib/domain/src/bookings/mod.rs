//! Bookings: the commands to the account and to the card that follow from one event of an authorization, and the one
//! to another payment: to one whose money came back, and between the two of a linked clearing.
//!
//! The authorization states what a payment holds and owes; the account's books and the card's counters follow it.
//! This is the only place that defines how. Pure: it sees one event and the state before it, sends nothing and
//! remembers nothing.
//!
//! The commands' ids are derived from the event, so each command can be sent again at any time: a hold has the
//! authorization's id; each change of a hold has the id of the message that caused it; a change that no message
//! caused has an id made of the payment's (`ids`).
//!
//! The commands of one authorization are sent in the order of its events, each until it is accepted. A command that
//! is sent too early is rejected and changes nothing. Three kinds must never overtake or be overtaken: commands that
//! place or void a hold, the steps of a dispute, and the steps of the funding. A leg whose block was reorganized away
//! and came back is the same leg, so its steps are not sent again once the next one was accepted. A hold is raised
//! for an increment only once every command that places or voids it has been accepted.

mod ids;
mod of_account;
mod of_card;
mod of_payment;

pub(crate) use ids::{
    advised, declined, expired, exposed, linked, presented, returned, reversed, reversed_beside, undone,
    unlinked,
};
pub use ids::{is_presented, reservation};
pub(crate) use of_account::refund_id;
pub use of_account::{is_seen_on_chain, of_account, raise_undone};
pub use of_card::of_card;
pub use of_payment::of_payment;

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
