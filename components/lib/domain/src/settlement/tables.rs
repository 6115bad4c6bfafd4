//! Tables of the projection, and the constraints that the database checks.

use clearfold_kernel::{Minor, Table, Timestamp};

use super::comparison::{How, What};
use super::figures::{Figures, Reported};
use crate::account::{LedgerAccount, Net};
use crate::network::{FeeKind, Network};
use crate::projecting::{Record, table};

pub(super) fn all() -> Vec<Table> {
    vec![
        AccountAsset::table(),
        AssetTotal::table(),
        Hold::table(),
        Difference::table(),
        NetworkFee::table(),
        PaymentFee::table(),
    ]
}

table! {
    /// One row per payment of which its authorization or its account holds anything.
    pub(super) struct Hold in "hold", indexes [] {
        key {
            account: String,
            asset: String,
            payment_id: String,
        }
        decimals: u8,
        authorization_minor: Minor,
        account_minor: Minor,
        updated_at: Timestamp,
    }
}

table! {
    /// One row per comparison whose sides disagree.
    pub(super) struct Difference in "difference", indexes [[since], [account, since], [what, how, since]] {
        key {
            account: String,
            asset: String,
            what: What,
            /// Id of what is compared; the account if the whole account is compared.
            subject: String,
        }
        how: How,
        /// Id of the payment, if one of the sides knows it.
        payment_id: Option<String>,
        decimals: u8,
        /// Figure by the authorizations, the chain or the network.
        expected_minor: Net,
        /// Figure by the account's books.
        booked_minor: Net,
        since: Timestamp,
        updated_at: Timestamp,
    }
}

table! {
    /// One row per network, day, kind of fee and currency: network fees of all records.
    pub(super) struct NetworkFee in "network_fee", indexes [] {
        key {
            network: Network,
            /// Beginning of the day in UTC that the records state.
            day: Timestamp,
            kind: FeeKind,
            currency: String,
        }
        decimals: u8,
        /// Owed to us, in 10⁻⁸ of the currency.
        credit_minor: Minor,
        /// Owed by us, in 10⁻⁸ of the currency.
        debit_minor: Minor,
        updated_at: Timestamp,
    }
}

table! {
    /// One row per payment, kind of fee and currency: network fees of the payment's records.
    pub(super) struct PaymentFee in "payment_fee", indexes [] {
        key {
            account: String,
            payment_id: String,
            kind: FeeKind,
            currency: String,
        }
        decimals: u8,
        /// Owed to us, in 10⁻⁸ of the currency.
        credit_minor: Minor,
        /// Owed by us, in 10⁻⁸ of the currency.
        debit_minor: Minor,
        updated_at: Timestamp,
    }
}

/// Table of figures. Both have the same: what the chain and the network did, then the balances of the books.
macro_rules! figures {
    ($(#[$doc:meta])* $name:ident in $table:literal { $($key:ident),+ }) => {
        table! {
            $(#[$doc])*
            pub(super) struct $name in $table, indexes [] {
                key { $($key: String),+ }
                decimals: u8,
                deposited_minor: Minor,
                withdrawn_minor: Minor,
                pulled_included_minor: Minor,
                pulled_finalized_minor: Minor,
                pulled_reorged_minor: Minor,
                returned_minor: Minor,
                refunded_minor: Minor,
                settled_paid_minor: Minor,
                settled_received_minor: Minor,
                ledger_customer_minor: Net,
                ledger_safe_minor: Net,
                ledger_in_transit_minor: Net,
                ledger_hold_minor: Net,
                ledger_settlement_minor: Net,
                ledger_suspense_minor: Net,
                ledger_receivable_minor: Net,
                ledger_fee_minor: Net,
                ledger_rounding_minor: Net,
                ledger_loss_minor: Net,
                updated_at: Timestamp,
            }
        }

        impl $name {
            pub(super) fn none($($key: String,)+ decimals: u8, updated_at: Timestamp) -> Self {
                Self {
                    $($key,)+
                    decimals,
                    deposited_minor: Minor::ZERO,
                    withdrawn_minor: Minor::ZERO,
                    pulled_included_minor: Minor::ZERO,
                    pulled_finalized_minor: Minor::ZERO,
                    pulled_reorged_minor: Minor::ZERO,
                    returned_minor: Minor::ZERO,
                    refunded_minor: Minor::ZERO,
                    settled_paid_minor: Minor::ZERO,
                    settled_received_minor: Minor::ZERO,
                    ledger_customer_minor: Net::default(),
                    ledger_safe_minor: Net::default(),
                    ledger_in_transit_minor: Net::default(),
                    ledger_hold_minor: Net::default(),
                    ledger_settlement_minor: Net::default(),
                    ledger_suspense_minor: Net::default(),
                    ledger_receivable_minor: Net::default(),
                    ledger_fee_minor: Net::default(),
                    ledger_rounding_minor: Net::default(),
                    ledger_loss_minor: Net::default(),
                    updated_at,
                }
            }
        }

        impl Figures for $name {
            fn reported(&mut self, figure: Reported) -> &mut Minor {
                match figure {
                    Reported::Deposited => &mut self.deposited_minor,
                    Reported::Withdrawn => &mut self.withdrawn_minor,
                    Reported::PulledIncluded => &mut self.pulled_included_minor,
                    Reported::PulledFinalized => &mut self.pulled_finalized_minor,
                    Reported::PulledReorged => &mut self.pulled_reorged_minor,
                    Reported::Returned => &mut self.returned_minor,
                    Reported::Refunded => &mut self.refunded_minor,
                    Reported::Paid => &mut self.settled_paid_minor,
                    Reported::Received => &mut self.settled_received_minor,
                }
            }

            fn ledger(&mut self, account: LedgerAccount) -> &mut Net {
                match account {
                    LedgerAccount::Customer => &mut self.ledger_customer_minor,
                    LedgerAccount::Safe => &mut self.ledger_safe_minor,
                    LedgerAccount::InTransit => &mut self.ledger_in_transit_minor,
                    LedgerAccount::Hold => &mut self.ledger_hold_minor,
                    LedgerAccount::Settlement => &mut self.ledger_settlement_minor,
                    LedgerAccount::Suspense => &mut self.ledger_suspense_minor,
                    LedgerAccount::Receivable => &mut self.ledger_receivable_minor,
                    LedgerAccount::Fee => &mut self.ledger_fee_minor,
                    LedgerAccount::Rounding => &mut self.ledger_rounding_minor,
                    LedgerAccount::Loss => &mut self.ledger_loss_minor,
                }
            }

            fn updated_at(&mut self) -> &mut Timestamp {
                &mut self.updated_at
            }
        }
    };
}

figures! {
    /// One row per account and asset.
    AccountAsset in "account_asset" { account, asset }
}

figures! {
    /// One row per asset: the same figures over all accounts.
    AssetTotal in "asset_total" { asset }
}
