//! Events of the funding on chain. `occurred_at` is the block's time, or the observer's clock if there is no block.

use clearfold_kernel::{Amount, ChainSource, Hash, Timestamp};
use serde::{Deserialize, Serialize};

use super::Parties;

event! {
    /// Funding submitted: the transaction that pulls the money was sent.
    FundingSubmitted {
        /// Hash of the transaction.
        transaction_hash: Hash,
        /// Time of the observation, by the observer's clock.
        occurred_at: Timestamp,
    }
}

event! {
    /// Funding included: the transaction that pulls the money is in a block that may not be final yet.
    FundingIncluded {
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
        /// Hash of the transaction.
        transaction_hash: Hash,
        /// Time of the block.
        occurred_at: Timestamp,
    }
}

event! {
    /// Funding dropped: the transaction that pulls the money will never be in a block.
    FundingDropped {
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
        /// Amount that had been pulled from the Safe.
        amount: Amount,
        /// Log of the transfer in the block that is gone.
        source: ChainSource,
        /// Time of the observation, by the observer's clock.
        occurred_at: Timestamp,
    }
}
