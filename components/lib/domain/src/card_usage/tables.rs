//! Tables of the projection, with their constraints.

use clearfold_kernel::{Address, Minor, Table, Timestamp};

use crate::card::{CloseCause, FreezeReason};
use crate::projecting::{Document, Number, Record, table, words};

pub(super) fn all() -> Vec<Table> {
    vec![Card::table(), CardDay::table()]
}

/// Status of a card; only an active one pays.
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

words!(CloseCause { Lost = "lost", Stolen = "stolen" });

table! {
    /// One row for each card.
    pub(super) struct Card in "card", indexes [[account]] {
        key {
            card_id: String,
        }
        account: Address,
        status: Status,
        /// Reasons for which it is frozen, or was when it was closed.
        frozen_for: Vec<FreezeReason>,
        /// Cause for which it was closed, if it is lost or stolen for good.
        closed_as: Option<CloseCause>,
        /// Last month in which it pays, as `2029-11`; none if it does not expire.
        expires: Option<String>,
        /// Wrong PINs in a row.
        pin_failure_count: Number,
        /// Spending rules in JSON, as the card's events state them.
        rules: Document,
        last_used_at: Option<Timestamp>,
        issued_at: Timestamp,
        updated_at: Timestamp,
    }
}

table! {
    /// One row for each card, asset and day with a payment. The usage that still counts is the amount minus what was
    /// released.
    pub(super) struct CardDay in "card_day", indexes [[account, day]] {
        key {
            card_id: String,
            asset: String,
            /// Start of the day in UTC.
            day: Timestamp,
        }
        account: Address,
        decimals: u8,
        /// Number of reservations; an increment counts as one.
        reservation_count: Number where Positive,
        amount_minor: Minor where Positive,
        released_minor: Minor,
        last_used_at: Timestamp,
    }
}
