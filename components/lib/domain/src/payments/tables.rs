//! Tables of the projection, with their constraints.

use clearfold_kernel::{Address, ExternalId, Hash, Minor, Timestamp};

use super::status::{Dispute, Funding, Status};
use crate::network::{Country, MerchantCategory, MerchantId, Network, RefundOutcome};
use crate::policy::DeclineReason;
use crate::projecting::{Document, Number, table, words};

table! {
    /// One row for each payment. For the amounts, A, R, E, K, X, F and H are the letters used in the invariants.
    pub(super) struct Payment in "payment", indexes [
        [occurred_at, id],
        [account, occurred_at, id],
        [card_id, occurred_at, id],
        [merchant_id, occurred_at, id],
        [status, occurred_at, id],
        [flagged, occurred_at, id],
    ] {
        key { id: String }
        account: Address,
        card_id: Option<ExternalId>,
        merchant_id: Option<MerchantId>,
        merchant_name: Option<String>,
        merchant_category: Option<MerchantCategory>,
        merchant_country: Option<Country>,
        network: Option<Network>,
        status: Status,
        /// Amount that the payment began with: requested, seen on chain, advised or claimed. Zero for a verification.
        amount_minor: Minor,
        /// Total that the network requested, with the increments that were approved; zero if it never made a request.
        requested_minor: Minor,
        /// A: total authorized.
        authorized_minor: Minor,
        /// R: total released by reversals and by the final clearing, or claimed and taken back by the network.
        reversed_minor: Minor,
        /// E: total released by expiry.
        expired_minor: Minor,
        /// K: total claimed against the hold, without what was taken back.
        against_hold_minor: Minor,
        /// X: total claimed beyond the hold, without what was taken back.
        beyond_hold_minor: Minor,
        /// F: total refunded, without what the network took back.
        refunded_minor: Minor,
        /// H = A − R − E − K: still held.
        held_minor: Minor,
        /// K + X: total that the network claimed, without what it took back.
        cleared_minor: Minor,
        /// Total that the network took back of its clearings.
        taken_back_minor: Minor,
        /// Pulled, and neither held nor claimed: to be sent back to the Safe.
        owed_back_minor: Minor,
        asset: String,
        decimals: u8,
        // Location of the `Spend` that the payment began with; empty if the network's request came first.
        chain_id: Option<Number>,
        block_hash: Option<Hash>,
        block_number: Option<Number>,
        transaction_hash: Option<Hash>,
        log_index: Option<Number>,
        /// Funding of the newest leg of which anything was observed.
        funding: Funding,
        /// Number of that leg.
        funding_leg: Number where Positive,
        /// Hash of the newest transaction that moves the money.
        funding_transaction_hash: Option<Hash>,
        /// Expiry time of the hold; empty if it has none.
        expires_at: Option<Timestamp>,
        /// Reason for which the payment was declined. Kept even if the network posts the payment anyway.
        decline_reason: Option<DeclineReason>,
        /// Rules that would have declined a payment that could no longer be declined.
        flags: Vec<DeclineReason>,
        /// True if an operator should look at it: a rule would have declined it, its clearings or refunds exceed the
        /// tolerance, an amount is far from our own conversion, a clearing looks like a duplicate of another or was
        /// refused, or no payment fits it, pulled money was owed back, a part could not be pulled, or a reversal of a record fits nothing or
        /// what came back before.
        flagged: bool,
        /// True if clearings exceed the authorized amount.
        over_captured: bool,
        /// True if a clearing came after the hold had expired.
        late: bool,
        /// Status of the newest dispute; empty if there is none.
        dispute: Option<Dispute>,
        /// Payment that the network asked for and that this `Spend` funds, or that this clearing is a claim to; empty if it
        /// is a payment of its own.
        linked_to: Option<ExternalId>,
        occurred_at: Timestamp,
        updated_at: Timestamp,
    }
}

table! {
    /// One row for each event of an authorization's stream: the timeline of a payment, including events that could
    /// not be matched.
    pub(super) struct PaymentEvent in "payment_event", indexes [] {
        key { payment_id: String, stream_version: Number where Positive }
        event_id: String,
        correlation_id: String,
        r#type: String,
        schema_version: Number where Positive,
        occurred_at: Timestamp,
        recorded_at: Timestamp,
        data: Document,
    }
}

/// Source of a refund.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin {
    /// Seen on chain.
    Chain,
    /// Reported by the card network.
    Network,
}

words!(Origin { Chain = "chain", Network = "network" });

words!(RefundOutcome { Paid = "paid", TakenBack = "taken_back", Returned = "returned", Matched = "matched" });

table! {
    /// One row for each refund.
    pub(super) struct Refund in "refund", indexes [[account, occurred_at, id], [payment_id, occurred_at, id]] {
        key {
            /// Id of the stream; for a refund on a payment's stream, followed by a slash and the event's stream
            /// version.
            id: String,
        }
        /// Payment that it is linked to, or was later found to belong to. Empty if unknown.
        payment_id: Option<String>,
        /// Outcome of a refund that named no payment. Empty until it is resolved.
        outcome: Option<RefundOutcome>,
        account: Address,
        card_id: Option<ExternalId>,
        merchant_id: Option<MerchantId>,
        amount_minor: Minor where Positive,
        asset: String,
        decimals: u8,
        origin: Origin,
        /// Network's refund id, if the network reported it.
        network_refund_id: Option<ExternalId>,
        // Location of the `Transfer` that paid it; empty if the network reported it.
        chain_id: Option<Number>,
        block_hash: Option<Hash>,
        block_number: Option<Number>,
        transaction_hash: Option<Hash>,
        log_index: Option<Number>,
        occurred_at: Timestamp,
    }
}

table! {
    /// One row for each account and asset: totals spent, cleared and refunded.
    pub(super) struct AccountAsset in "account_asset", indexes [] {
        key { account: Address, asset: String }
        decimals: u8,
        /// Number of payments, whatever became of them: the rows of `payment`.
        payment_count: Number,
        /// Total that left the account on chain. Amounts that are only held, or were declined, are not spent.
        spent_minor: Minor,
        /// Total that the network claimed, within holds or beyond them, without what it took back.
        cleared_minor: Minor,
        refund_count: Number,
        /// Total refunded, linked to a payment or not, minus what was taken back by us or the network.
        refunded_minor: Minor,
        first_seen_at: Timestamp,
        updated_at: Timestamp,
    }
}
