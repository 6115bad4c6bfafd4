//! Tables of the projection, and the constraints that the database checks.

use clearfold_kernel::{Asset, ExternalId, Minor, Table, Timestamp};

use super::hold::HoldStatus;
use super::statement::Kind;
use crate::account::{DelayQueue, LedgerAccount, Net};
use crate::projecting::{Number, Record, table, words};

pub(super) fn all() -> Vec<Table> {
    vec![Account::table(), Balance::table(), Ledger::table(), Hold::table(), Statement::table()]
}

table! {
    /// One row per account. The delay queue is independent of assets, so it is not stored with the balances.
    pub(super) struct Account in "account", indexes [] {
        key {
            account: String,
        }
        delay_queue: DelayQueue,
        opened_at: Timestamp,
        updated_at: Timestamp,
    }
}

table! {
    /// One row per account and asset, whether named at opening or only moved later: available = posted − pending − the open
    /// receivables.
    pub(super) struct Balance in "balance", indexes [] {
        key {
            account: String,
            asset: String,
        }
        decimals: u8,
        /// Customer's balance by the ledger, including what is on hold.
        posted_minor: Net,
        /// Sum of the holds for open authorizations.
        pending_minor: Minor,
        /// Amount that a new authorization can use.
        available_minor: Net,
        updated_at: Timestamp,
    }
}

table! {
    /// One row per ledger account that has moved.
    pub(super) struct Ledger in "ledger", indexes [] {
        key {
            account: String,
            asset: String,
            ledger_account: LedgerAccount,
        }
        decimals: u8,
        debits_minor: Minor,
        credits_minor: Minor,
        /// Net balance, positive on the ledger account's normal side.
        net_minor: Net,
    }
}

table! {
    /// One row per hold that was placed, whatever its status. A void that overtook its hold creates none.
    pub(super) struct Hold in "hold", indexes [[account, status, placed_at]] {
        key {
            account: String,
            /// Id of the authorization.
            hold_id: ExternalId,
        }
        asset: String,
        decimals: u8,
        status: HoldStatus,
        remaining_minor: Minor,
        placed_at: Timestamp,
        updated_at: Timestamp,
    }
}

table! {
    /// One row per movement of the customer's money, in the order of the stream.
    pub(super) struct Statement in "statement", indexes [[account, asset, stream_version]] {
        key {
            account: String,
            /// Stream version of the event that moved it.
            stream_version: Number,
        }
        asset: String,
        decimals: u8,
        kind: Kind,
        /// Amount of the movement, below zero if it debits the customer.
        amount_minor: Net,
        /// Posted balance after the movement.
        balance_minor: Net,
        /// Id of the payment, if the ledger knows it.
        payment_id: Option<ExternalId>,
        /// Id of the clearing, refund, dispute, receivable, recovery or fee; otherwise the log on chain.
        reference: String,
        /// Time of the block; without a block, the time of booking.
        occurred_at: Timestamp,
        booked_at: Timestamp,
    }
}

words!(DelayQueue { Empty = "empty", Waiting = "waiting" });

words!(LedgerAccount {
    Customer = "customer",
    Safe = "safe",
    InTransit = "in_transit",
    Hold = "hold",
    Settlement = "settlement",
    Suspense = "suspense",
    Receivable = "receivable",
    Fee = "fee",
    Rounding = "rounding",
    Loss = "loss",
});

impl Balance {
    pub(super) fn none(account: String, asset: String, decimals: u8, updated_at: Timestamp) -> Self {
        let (posted_minor, pending_minor, available_minor) = (Net::default(), Minor::ZERO, Net::default());
        Self { account, asset, decimals, posted_minor, pending_minor, available_minor, updated_at }
    }
}

impl Ledger {
    pub(super) fn none(account: String, asset: &Asset, ledger_account: LedgerAccount) -> Self {
        Self {
            account,
            asset: asset.code.clone(),
            ledger_account,
            decimals: asset.decimals,
            debits_minor: Minor::ZERO,
            credits_minor: Minor::ZERO,
            net_minor: Net::default(),
        }
    }
}
