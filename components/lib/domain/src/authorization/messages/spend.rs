//! `Spend`s that somebody else submitted, and the payments that they are linked to.

use clearfold_kernel::{Amount, ChainSource, ExternalId, Minor, Timestamp};
use serde::{Deserialize, Serialize};

use super::{Observation, Parties};
use crate::network::MatchBasis;

event! {
    /// Spend linked: it is the funding of a payment that the network asked for, and no payment of its own.
    SpendLinked {
        /// Id of the payment that it funds.
        payment_id: ExternalId,
        /// Number of the link among those of the `Spend`, from 1.
        link: u32,
        /// Amount that was spent.
        amount: Amount,
        /// Part of it that is not held any more, in minor units.
        released: Minor,
        /// Reason for the link.
        basis: MatchBasis,
        /// Sender of the command that linked them.
        actor: String,
        /// Reason that the operator gave. Absent if there is none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
        /// Time of acceptance, by the host's clock.
        at: Timestamp,
    }
}

event! {
    /// Spend unlinked: it is a payment of its own again.
    SpendUnlinked {
        /// Id of the payment that it was linked to.
        payment_id: ExternalId,
        /// Number of the link among those of the `Spend`, from 1.
        link: u32,
        /// Amount that was spent.
        amount: Amount,
        /// Part of it that is held again, in minor units.
        held: Minor,
        /// True if its block is gone. Absent if it has pulled its amount.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        is_gone: bool,
        /// Position of the `Spend` log on chain.
        source: ChainSource,
        /// Sender of the command that unlinked them.
        actor: String,
        /// Reason that was given. Absent if there is none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
        /// Time of acceptance, by the host's clock.
        at: Timestamp,
    }
}

event! {
    /// Spend taken: a `Spend` that somebody else submitted is a leg of the payment's funding.
    SpendTaken {
        /// Id of the payment that began with the `Spend`.
        spend_id: ExternalId,
        /// Number of the link among those of the `Spend`, from 1.
        link: u32,
        /// Number of the leg.
        leg: u32,
        /// Amount that was spent.
        amount: Amount,
        /// Position of the `Spend` log on chain.
        source: ChainSource,
        /// Reason for the link.
        basis: MatchBasis,
        /// True if its block is final. Absent if not.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        is_final: bool,
        /// Time of acceptance, by the host's clock.
        at: Timestamp,
    }
}

event! {
    /// Spend given up: it is no leg of the payment's funding any more.
    SpendGivenUp {
        /// Id of the payment that began with the `Spend`.
        spend_id: ExternalId,
        /// Number of the link among those of the `Spend`, from 1.
        link: u32,
        /// Number of the leg.
        leg: u32,
        /// Amount that the leg had pulled; zero if its block is gone.
        amount: Amount,
        /// Time of acceptance, by the host's clock.
        at: Timestamp,
    }
}

event! {
    /// Spend observed: something happened on chain to the transaction of a linked `Spend`.
    SpendObserved {
        /// Id of the payment that it is linked to.
        payment_id: ExternalId,
        /// Number of the link among those of the `Spend`, from 1.
        link: u32,
        /// Observation of the transaction.
        observation: Observation,
        /// Time of the block, or the observer's clock if there is no block.
        occurred_at: Timestamp,
    }
}
