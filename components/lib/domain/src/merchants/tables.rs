//! What the table holds. Totals of a category or a country are sums over its merchants.

use clearfold_kernel::{ExternalId, Minor, Timestamp};

use crate::network::{Country, MerchantCategory};
use crate::projecting::{Number, table};

table! {
    /// One row a merchant and asset.
    pub(super) struct Merchant in "merchant", indexes [[category, asset], [country, asset], [last_seen_at]] {
        key { id: ExternalId, asset: String }
        decimals: u8,
        // As it said of itself last; empty while it has only claimed what nobody authorized.
        name: Option<String>,
        category: Option<MerchantCategory>,
        country: Option<Country>,
        /// When it said so.
        described_at: Option<Timestamp>,
        /// Payments that it asked for.
        requested_count: Number,
        /// Those that we approved, in whole or in part.
        approved_count: Number,
        /// Those that we declined.
        declined_count: Number,
        /// Those that a stand-in approved for us, whatever we said.
        advised_count: Number,
        /// What was held for it, increments included.
        authorized_minor: Minor,
        /// What it claimed, within holds or beyond them.
        cleared_minor: Minor,
        /// What it gave back.
        refunded_minor: Minor,
        /// What customers disputed, however that ended.
        disputed_minor: Minor,
        last_seen_at: Timestamp,
    }
}
