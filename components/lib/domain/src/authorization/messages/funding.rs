//! Events of the funding on chain. `occurred_at` is the block's time, or the observer's clock if there is no block.
//!
//! Each is about one leg of the payment's funding. The first leg is not named, as in events from before there were others.

use clearfold_kernel::{Amount, ChainSource, Hash, Minor, Timestamp};
use serde::{Deserialize, Serialize};

use super::Parties;

/// Number of a payment's first leg.
pub const FIRST_LEG: u32 = 1;

pub(super) const fn first_leg() -> u32 {
    FIRST_LEG
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
pub(super) const fn is_first_leg(leg: &u32) -> bool {
    *leg == FIRST_LEG
}

event! {
    /// Funding submitted: the transaction that pulls the money was sent.
    FundingSubmitted {
        /// Number of the leg, from 1. Absent for the first.
        #[serde(default = "first_leg", skip_serializing_if = "is_first_leg")]
        leg: u32,
        /// Hash of the transaction.
        transaction_hash: Hash,
        /// Time of the observation, by the observer's clock.
        occurred_at: Timestamp,
    }
}

event! {
    /// Funding included: the transaction that pulls the money is in a block that may not be final yet.
    FundingIncluded {
        /// Number of the leg, from 1. Absent for the first.
        #[serde(default = "first_leg", skip_serializing_if = "is_first_leg")]
        leg: u32,
        /// Amount pulled from the Safe.
        amount: Amount,
        /// Log of the transfer: chain, block, transaction and log index.
        source: ChainSource,
        /// Time of the block.
        occurred_at: Timestamp,
    }
}

event! {
    /// Funding finalized: the block of the transaction that pulls the money is final.
    FundingFinalized {
        /// Number of the leg, from 1. Absent for the first.
        #[serde(default = "first_leg", skip_serializing_if = "is_first_leg")]
        leg: u32,
        /// Amount pulled from the Safe.
        amount: Amount,
        /// Log of the transfer: chain, block, transaction and log index.
        source: ChainSource,
        /// Time of the observation, by the observer's clock.
        occurred_at: Timestamp,
    }
}

event! {
    /// Funding reverted: the transaction that pulls the money is in a block, but its execution failed.
    FundingReverted {
        /// Number of the leg, from 1. Absent for the first.
        #[serde(default = "first_leg", skip_serializing_if = "is_first_leg")]
        leg: u32,
        /// Hash of the transaction.
        transaction_hash: Hash,
        /// Time of the block.
        occurred_at: Timestamp,
    }
}

event! {
    /// Funding dropped: the transaction that pulls the money will never be in a block.
    FundingDropped {
        /// Number of the leg, from 1. Absent for the first.
        #[serde(default = "first_leg", skip_serializing_if = "is_first_leg")]
        leg: u32,
        /// Hash of the transaction.
        transaction_hash: Hash,
        /// Time of the observation, by the observer's clock.
        occurred_at: Timestamp,
    }
}

event! {
    /// Funding reorganized away: the block of the transaction that pulls the money is no longer on the chain. The
    /// hold stays; the same transfer is sent again, with the same salt.
    FundingReorged {
        /// Number of the leg, from 1. Absent for the first.
        #[serde(default = "first_leg", skip_serializing_if = "is_first_leg")]
        leg: u32,
        /// Amount that had been pulled from the Safe.
        amount: Amount,
        /// Log of the transfer in the block that is gone.
        source: ChainSource,
        /// Time of the observation, by the observer's clock.
        occurred_at: Timestamp,
    }
}

event! {
    /// Funding abandoned: no pull of the leg can be executed any more.
    FundingAbandoned {
        /// Number of the leg, from 1. Absent for the first.
        #[serde(default = "first_leg", skip_serializing_if = "is_first_leg")]
        leg: u32,
        /// Reason for which the leg ends without a pull.
        cause: AbandonCause,
        /// Amount that was due and cannot be pulled: it is booked as a receivable. Zero if nothing is exposed.
        exposed: Amount,
        /// Time of acceptance, by the host's clock.
        at: Timestamp,
    }
}

/// Reason for which a leg ends without a pull.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum AbandonCause {
    /// The amount due fell to zero before the money moved.
    Withdrawn,
    /// No pull of the leg could be executed.
    Dead,
}

event! {
    /// Exposure cleared: a part of what could not be pulled is there now, is not owed any more, or is due again.
    ExposureCleared {
        /// Number of the leg, from 1. Absent for the first.
        #[serde(default = "first_leg", skip_serializing_if = "is_first_leg")]
        leg: u32,
        /// Amount that is not exposed any more.
        amount: Amount,
        /// Amount of the leg that is still exposed, in minor units.
        left: Minor,
        /// Time of acceptance, by the host's clock.
        at: Timestamp,
    }
}

event! {
    /// Return owed: the amount that was pulled and is neither held nor claimed has changed. It is the customer's, and is
    /// to be sent back to the Safe.
    ReturnOwed {
        /// Amount that is owed back now. Zero if nothing is.
        owed: Amount,
        /// Amount that was owed back before, in minor units.
        before: Minor,
        /// Time of acceptance, by the host's clock.
        at: Timestamp,
    }
}
