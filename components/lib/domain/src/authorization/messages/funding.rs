//! What can have happened to the money on its way, on chain. `occurred_at` is the block's time, or the observer's where
//! there is no block.

use clearfold_kernel::{Amount, ChainSource, Hash, Timestamp};
use serde::{Deserialize, Serialize};

use super::Parties;

event! {
    /// The transaction that pulls the money was sent.
    FundingSubmitted {
        /// Its hash.
        transaction_hash: Hash,
        /// The observer's time.
        occurred_at: Timestamp,
    }
}

event! {
    /// The transaction that pulls the money is in a block.
    FundingIncluded {
        /// What it pulled.
        amount: Amount,
        /// The transfer's log.
        source: ChainSource,
        /// The block's time.
        occurred_at: Timestamp,
    }
}

event! {
    /// The block of the transaction that pulls the money is final.
    FundingFinalized {
        /// What it pulled.
        amount: Amount,
        /// The transfer's log.
        source: ChainSource,
        /// The observer's time.
        occurred_at: Timestamp,
    }
}

event! {
    /// The transaction that pulls the money failed.
    FundingReverted {
        /// Its hash.
        transaction_hash: Hash,
        /// The block's time.
        occurred_at: Timestamp,
    }
}

event! {
    /// The transaction that pulls the money was never mined.
    FundingDropped {
        /// Its hash.
        transaction_hash: Hash,
        /// The observer's time.
        occurred_at: Timestamp,
    }
}

event! {
    /// The block of the transaction that pulls the money is no longer on the chain. The hold stays; the same is sent
    /// again, with the same salt.
    FundingReorged {
        /// What it had pulled.
        amount: Amount,
        /// The transfer's log as it was.
        source: ChainSource,
        /// The observer's time.
        occurred_at: Timestamp,
    }
}
