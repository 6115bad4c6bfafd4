//! What the tables hold, and what the database checks of them.

use clearfold_kernel::{Asset, ExternalId, Minor, MoneyError, Table, Timestamp};

use super::hold::HoldStatus;
use super::statement::Kind;
use crate::account::{DelayQueue, LedgerAccount, Net};
use crate::projecting::{Number, Record, lowered, table, words};

pub(super) fn all() -> Vec<Table> {
    vec![Account::table(), Balance::table(), Ledger::table(), Hold::table(), Statement::table()]
}

table! {
    /// One row an account. Its delay queue is not a matter of one asset, so it does not stand with the balances.
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
    /// One row an account and asset, be it named at opening or one in which something happened all the same:
    /// available = posted − pending.
    pub(super) struct Balance in "balance", indexes [] {
        key {
            account: String,
            asset: String,
        }
        decimals: u8,
        /// What the customer can call theirs, held or not.
        posted_minor: Net,
        /// What is held for open authorizations.
        pending_minor: Minor,
        /// What a new authorization can use.
        available_minor: Net,
        updated_at: Timestamp,
    }
}

table! {
    /// One row a ledger account that has moved.
    pub(super) struct Ledger in "ledger", indexes [] {
        key {
            account: String,
            asset: String,
            ledger_account: LedgerAccount,
        }
        decimals: u8,
        debits_minor: Minor,
        credits_minor: Minor,
        /// Above zero on the ledger account's normal side.
        net_minor: Net,
    }
}

table! {
    /// One row a hold that was placed, whatever became of it. A void that overtook its hold placed none.
    pub(super) struct Hold in "hold", indexes [[account, status, placed_at]] {
        key {
            account: String,
            /// The authorization's id.
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
    /// One row a movement of the customer's money, in the order of the stream.
    pub(super) struct Statement in "statement", indexes [[account, asset, stream_version]] {
        key {
            account: String,
            /// Of the event that moved it.
            stream_version: Number,
        }
        asset: String,
        decimals: u8,
        kind: Kind,
        /// Below zero if the customer paid.
        amount_minor: Net,
        /// What was posted after it.
        balance_minor: Net,
        /// The payment, where the ledger knows it.
        payment_id: Option<ExternalId>,
        /// The id of the clearing, refund, dispute, receivable, recovery or fee; else the log on the chain.
        reference: String,
        /// The block's time; without a block, when it was booked.
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
});

impl Balance {
    pub(super) fn none(account: String, asset: String, decimals: u8, updated_at: Timestamp) -> Self {
        let (posted_minor, pending_minor, available_minor) = (Net::default(), Minor::ZERO, Net::default());
        Self { account, asset, decimals, posted_minor, pending_minor, available_minor, updated_at }
    }

    /// Works out what is available, after what is posted or pending has changed.
    pub(super) fn weigh(&mut self, updated_at: Timestamp) -> Result<(), MoneyError> {
        self.available_minor = lowered(self.posted_minor, self.pending_minor)?;
        self.updated_at = updated_at;
        Ok(())
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
