//! Table of the projection. Totals of a category or a country are sums over its merchants.

use clearfold_kernel::{Minor, Timestamp};

use crate::network::{Country, MerchantCategory, MerchantId};
use crate::projecting::{Number, table};

table! {
    /// One row for each merchant and asset.
    pub(super) struct Merchant in "merchant", indexes [[category, asset], [country, asset], [last_seen_at]] {
        key { id: MerchantId, asset: String }
        decimals: u8,
        // Latest description of the merchant; empty while it has only claims that nobody authorized.
        name: Option<String>,
        category: Option<MerchantCategory>,
        country: Option<Country>,
        /// Time of that description.
        described_at: Option<Timestamp>,
        /// Number of payments that it requested.
        requested_count: Number,
        /// Number of payments that we approved, in whole or in part.
        approved_count: Number,
        /// Number of payments that we declined.
        declined_count: Number,
        /// Number of payments that a stand-in approved for us, whatever we had decided.
        advised_count: Number,
        /// Total held for it, increments included.
        authorized_minor: Minor,
        /// Total that it claimed, within holds or beyond them, without what the network took back.
        cleared_minor: Minor,
        /// Total that it refunded, without what the network took back.
        refunded_minor: Minor,
        /// Total that customers disputed, whatever the outcome.
        disputed_minor: Minor,
        last_seen_at: Timestamp,
    }
}
