//! What the tables hold, and what the database checks of them.

use clearfold_kernel::{Address, ExternalId, Hash, Minor, Timestamp};

use super::status::{Dispute, Funding, Status};
use crate::network::{Country, MerchantCategory, Network, RefundOutcome};
use crate::policy::DeclineReason;
use crate::projecting::{Document, Number, table, words};

table! {
    /// One row a payment. In the amounts, A, R, E, K, X, F and H are the letters of the invariants.
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
        merchant_id: Option<ExternalId>,
        merchant_name: Option<String>,
        merchant_category: Option<MerchantCategory>,
        merchant_country: Option<Country>,
        network: Option<Network>,
        status: Status,
        /// What the payment began with: the amount that was asked for, seen, promised or claimed.
        amount_minor: Minor where Positive,
        /// What the network asked for in all, increments included; nothing if it never asked.
        requested_minor: Minor,
        /// A.
        authorized_minor: Minor,
        /// R.
        reversed_minor: Minor,
        /// E.
        expired_minor: Minor,
        /// K.
        against_hold_minor: Minor,
        /// X.
        beyond_hold_minor: Minor,
        /// F.
        refunded_minor: Minor,
        /// H = A − R − E − K.
        held_minor: Minor,
        /// K + X: what the network claimed.
        cleared_minor: Minor,
        asset: String,
        decimals: u8,
        // The `Spend` that the payment began with; empty if the network asked first.
        chain_id: Option<Number>,
        block_hash: Option<Hash>,
        block_number: Option<Number>,
        transaction_hash: Option<Hash>,
        log_index: Option<Number>,
        funding: Funding,
        /// The newest transaction that moves the money.
        funding_transaction_hash: Option<Hash>,
        /// When the hold ends by itself, if it does.
        expires_at: Option<Timestamp>,
        /// Why the payment was refused. Stays when the network posts it all the same.
        decline_reason: Option<DeclineReason>,
        /// Rules that would have refused what could not be refused.
        flags: Vec<DeclineReason>,
        /// Whether somebody should look at it: a rule would have refused it, clearings exceed what is tolerated, or
        /// one looks like another again.
        flagged: bool,
        /// Whether clearings exceed what was authorized.
        over_captured: bool,
        /// Whether a clearing came after the hold had expired.
        late: bool,
        /// The newest dispute, if there is one.
        dispute: Option<Dispute>,
        occurred_at: Timestamp,
        updated_at: Timestamp,
    }
}

table! {
    /// One row an event of an authorization's stream: the timeline of a payment, and what fitted none.
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

/// By whose word a refund is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin {
    /// It is on the chain.
    Chain,
    /// The card network says so.
    Network,
}

words!(Origin { Chain = "chain", Network = "network" });

words!(RefundOutcome { Paid = "paid", TakenBack = "taken_back" });

table! {
    /// One row a refund.
    pub(super) struct Refund in "refund", indexes [[account, occurred_at, id], [payment_id, occurred_at, id]] {
        key {
            /// The stream's id; on a payment's stream, with the event's version behind it.
            id: String,
        }
        /// The payment that it is linked to, or turned out to belong to. Empty if nobody knows.
        payment_id: Option<String>,
        /// Who turned out to pay for one that named no payment. Empty until somebody found out.
        outcome: Option<RefundOutcome>,
        account: Address,
        card_id: Option<ExternalId>,
        merchant_id: Option<ExternalId>,
        amount_minor: Minor where Positive,
        asset: String,
        decimals: u8,
        origin: Origin,
        /// The network's id of it, if it is known from there.
        network_refund_id: Option<ExternalId>,
        // The `Transfer` that paid it; empty if the network told of it.
        chain_id: Option<Number>,
        block_hash: Option<Hash>,
        block_number: Option<Number>,
        transaction_hash: Option<Hash>,
        log_index: Option<Number>,
        occurred_at: Timestamp,
    }
}

table! {
    /// One row an account and asset: what was spent, cleared and refunded in all.
    pub(super) struct AccountAsset in "account_asset", indexes [] {
        key { account: Address, asset: String }
        decimals: u8,
        /// How many payments there are, whatever became of them: the rows of `payment`.
        payment_count: Number,
        /// What left the account on chain. What is only held, or was declined, is not spent.
        spent_minor: Minor,
        /// What the network claimed, within holds or beyond them.
        cleared_minor: Minor,
        refund_count: Number,
        /// What came back, linked to a payment or not, without what was taken back.
        refunded_minor: Minor,
        first_seen_at: Timestamp,
        updated_at: Timestamp,
    }
}
