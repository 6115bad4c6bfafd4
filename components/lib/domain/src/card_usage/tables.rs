//! What the tables hold, and what the database checks of them.

use clearfold_kernel::{Address, Minor, Table, Timestamp};

use crate::card::FreezeReason;
use crate::projecting::{Document, Number, Record, table, words};

const DAY_MS: u64 = 24 * 60 * 60 * 1000;

pub(super) fn all() -> Vec<Table> {
    vec![Card::table(), CardDay::table()]
}

/// Whether a card pays at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Status {
    Active,
    Frozen,
    Closed,
}

words!(Status { Active = "active", Frozen = "frozen", Closed = "closed" });

words!(FreezeReason {
    Holder = "holder",
    Lost = "lost",
    Stolen = "stolen",
    Exposure = "exposure",
    Risk = "risk",
});

table! {
    /// One row a card.
    pub(super) struct Card in "card", indexes [[account]] {
        key {
            card_id: String,
        }
        account: Address,
        status: Status,
        /// Why it is frozen, or was when it was closed.
        frozen_for: Vec<FreezeReason>,
        /// What it may pay, as the card's events say it.
        rules: Document,
        last_used_at: Option<Timestamp>,
        issued_at: Timestamp,
        updated_at: Timestamp,
    }
}

table! {
    /// One row a card, asset and day on which it paid. What still counts is the amount without what was released.
    pub(super) struct CardDay in "card_day", indexes [[account, day]] {
        key {
            card_id: String,
            asset: String,
            /// Its first moment in UTC.
            day: Timestamp,
        }
        account: Address,
        decimals: u8,
        /// An increment is a reservation of its own.
        reservation_count: Number where Positive,
        amount_minor: Minor where Positive,
        released_minor: Minor,
        last_used_at: Timestamp,
    }
}

/// The first moment of a time's day in UTC.
pub(super) fn day_of(at: Timestamp) -> Timestamp {
    let since_midnight_ms = at.as_ms().rem_euclid(DAY_MS);
    at.as_ms().checked_sub(since_midnight_ms).and_then(Timestamp::from_ms).unwrap_or(at)
}
