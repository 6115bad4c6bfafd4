//! Refunds: transfers out of a settlement Safe, many in one transaction.
//!
//! A transfer from one settlement Safe to another is internal to the processor and not a refund. So is a burn, by which
//! a settlement Safe redeems money at the issuer.

use clearfold_kernel::Transaction;

use super::contract_set::ContractSet;
use super::events::NOBODY;
use super::transfer::Transfer;
use super::{Found, Meaning, amount_of, source};
use crate::authorization::{Command, RecordRefund, RefundOrigin};

/// Counts the refunds of a transaction: a refund's id depends on those before it.
#[derive(Default)]
pub(super) struct Refunds {
    count: usize,
}

impl Refunds {
    /// Returns the refund that a transfer is, if it is one. The transfers come in their order.
    pub(super) fn refund(
        &mut self,
        contracts: &ContractSet,
        transaction: &Transaction,
        transfer: &Transfer<'_>,
    ) -> Option<Found> {
        let (from, to) = (transfer.moved.from, transfer.moved.to);
        if !contracts.is_settlement(from) || contracts.is_settlement(to) {
            return None;
        }
        let ordinal = self.count;
        // A transaction has fewer logs than a usize counts. A burn counts too: it did when the first ids were made.
        self.count = self.count.saturating_add(1);
        if to == NOBODY {
            return None;
        }
        let refund = RecordRefund {
            account: to,
            amount: amount_of(&transfer.asset.asset, transfer.moved.minor),
            origin: RefundOrigin::Chain(source(transaction, transfer.log_index)),
            occurred_at: transaction.block_timestamp,
            details: None,
            known_only: false,
            network_fees: None,
        };
        let command = Command::RecordRefund(refund);
        let meaning = Meaning::Payment { kind: "refund", ordinal, command };
        Some(Found { log_index: transfer.log_index, account: to, meaning })
    }
}
