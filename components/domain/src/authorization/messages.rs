//! What can be asked of a payment, and what can have happened to it.

use clearfold_kernel::{Address, Amount, Asset, ChainSource, Minor, MoneyError, Timestamp, messages};
use serde::{Deserialize, Serialize};

use super::superseded::ClearingPostedV1;

messages! {
    /// What can be asked for.
    pub enum Command {
        /// A card's spend was seen on chain.
        RecordSwipe = 1,
        /// The card network presents a clearing.
        PresentClearing = 1,
        /// Money came back from the settlement account.
        RecordRefund = 1,
    }
}

messages! {
    /// What can have happened.
    pub enum Event {
        /// The account paid.
        SwipeRecorded = 1,
        /// The network claimed the payment or a part of it.
        ClearingPosted = 2 from [ClearingPostedV1],
        /// The account got money back that names no payment.
        RefundUnlinked = 1,
    }
}

/// A card's spend was seen on chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct RecordSwipe {
    /// The Safe that paid.
    pub account: Address,
    /// What it paid.
    pub amount: Amount,
    /// The `Spend` log.
    pub source: ChainSource,
    /// The block's time.
    pub occurred_at: Timestamp,
}

/// The card network presents a clearing: its claim to the payment or to a part of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct PresentClearing {
    /// The network's id of the record. The same id is the same clearing.
    pub clearing_id: String,
    /// How much is claimed.
    pub amount: Amount,
    /// Whether it is the last one for this payment.
    #[serde(rename = "final")]
    pub is_final: bool,
    /// When the network says that it was presented.
    pub occurred_at: Timestamp,
}

/// Money came back from the settlement account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct RecordRefund {
    /// The Safe that was paid.
    pub account: Address,
    /// How much it got back.
    pub amount: Amount,
    /// The asset's canonical `Transfer` log.
    pub source: ChainSource,
    /// The block's time.
    pub occurred_at: Timestamp,
}

/// The account paid.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SwipeRecorded {
    /// The Safe that paid.
    pub account: Address,
    /// What it paid.
    pub amount: Amount,
    /// The `Spend` log.
    pub source: ChainSource,
    /// The block's time.
    pub occurred_at: Timestamp,
}

/// The network claimed the payment or a part of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ClearingPosted {
    /// The Safe that paid.
    pub account: Address,
    /// The network's id of the record.
    pub clearing_id: String,
    /// How much of the claim the hold covers, and so uses up.
    pub against_hold: Minor,
    /// How much the claim exceeds what was held.
    pub beyond_hold: Minor,
    /// What both are of.
    #[serde(flatten)]
    pub asset: Asset,
    /// Whether it was the last one for this payment.
    #[serde(rename = "final")]
    pub is_final: bool,
    /// When the network says that it was presented.
    pub occurred_at: Timestamp,
}

impl ClearingPosted {
    /// How much was claimed.
    pub fn claimed(&self) -> Result<Minor, MoneyError> {
        self.against_hold.plus(self.beyond_hold)
    }
}

/// The account got money back that names no payment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RefundUnlinked {
    /// The Safe that was paid.
    pub account: Address,
    /// How much it got back.
    pub amount: Amount,
    /// The asset's canonical `Transfer` log.
    pub source: ChainSource,
    /// The block's time.
    pub occurred_at: Timestamp,
}
