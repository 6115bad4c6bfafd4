//! Versions of this stream's messages that are read but no longer written, each beside what it becomes.

use clearfold_kernel::{Address, Amount, Asset, ChainSource, ExternalId, Minor, Superseded, Timestamp};
use serde::{Deserialize, Serialize};

use super::messages::{
    ClearingPosted, Part, Parties, PresentClearing, RecordRefund, RefundOrigin, RefundUnlinked,
};
use crate::network::Residue;

/// The network claimed the payment or a part of it; how much of that the hold covered was not said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ClearingPostedV1 {
    /// The Safe that paid.
    pub account: Address,
    /// The network's id of the record.
    pub clearing_id: ExternalId,
    /// How much was claimed.
    pub amount: Amount,
    /// Whether it was the last one for this payment.
    #[serde(rename = "final")]
    pub is_final: bool,
    /// When the network says that it was presented.
    pub occurred_at: Timestamp,
}

impl Superseded for ClearingPostedV1 {
    type Next = ClearingPostedV2;

    /// All of it counts as against the hold. How much was still held, only the events before this one say, and
    /// an upcaster sees one event. So `against_hold` may exceed what was held, in events of version 1 alone;
    /// the sum of the two parts is right in every version, and the fold asks for no more than that.
    fn upcast(self) -> ClearingPostedV2 {
        ClearingPostedV2 {
            account: self.account,
            clearing_id: self.clearing_id,
            against_hold: self.amount.minor,
            beyond_hold: Minor::ZERO,
            asset: self.amount.asset,
            is_final: self.is_final,
            occurred_at: self.occurred_at,
        }
    }
}

/// The network claimed the payment or a part of it; what the last clearing released was not said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ClearingPostedV2 {
    /// The Safe that paid.
    pub account: Address,
    /// The network's id of the record.
    pub clearing_id: ExternalId,
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

impl Superseded for ClearingPostedV2 {
    type Next = ClearingPosted;

    /// What the last clearing releases is whatever is left of the hold: the fold knows it, this event does not, so
    /// `released` is nothing here and the fold relies on `final` alone. Currencies were not converted then.
    fn upcast(self) -> ClearingPosted {
        ClearingPosted {
            parties: Parties::account(self.account),
            clearing_id: self.clearing_id,
            against_hold: self.against_hold,
            beyond_hold: self.beyond_hold,
            released: Minor::ZERO,
            asset: self.asset,
            residue: Residue::default(),
            part: part(self.is_final),
            is_final: self.is_final,
            reference: None,
            occurred_at: self.occurred_at,
        }
    }
}

/// The card network presents a clearing, in the account's asset, in parts without a number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct PresentClearingV1 {
    /// The network's id of the record. The same id is the same clearing.
    pub clearing_id: ExternalId,
    /// How much is claimed.
    pub amount: Amount,
    /// Whether it is the last one for this payment.
    #[serde(rename = "final")]
    pub is_final: bool,
    /// When the network says that it was presented.
    pub occurred_at: Timestamp,
}

impl Superseded for PresentClearingV1 {
    type Next = PresentClearing;

    fn upcast(self) -> PresentClearing {
        PresentClearing {
            clearing_id: self.clearing_id,
            amount: self.amount,
            presented: None,
            reference: None,
            part: part(self.is_final),
            occurred_at: self.occurred_at,
        }
    }
}

/// Money came back from the settlement account, on chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct RecordRefundV1 {
    /// The Safe that was paid.
    pub account: Address,
    /// How much it got back.
    pub amount: Amount,
    /// The asset's canonical `Transfer` log.
    pub source: ChainSource,
    /// The block's time.
    pub occurred_at: Timestamp,
}

impl Superseded for RecordRefundV1 {
    type Next = RecordRefund;

    fn upcast(self) -> RecordRefund {
        RecordRefund {
            account: self.account,
            amount: self.amount,
            origin: RefundOrigin::Chain(self.source),
            occurred_at: self.occurred_at,
        }
    }
}

/// The account got money back, on chain, that names no payment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RefundUnlinkedV1 {
    /// The Safe that was paid.
    pub account: Address,
    /// How much it got back.
    pub amount: Amount,
    /// The asset's canonical `Transfer` log.
    pub source: ChainSource,
    /// The block's time.
    pub occurred_at: Timestamp,
}

impl Superseded for RefundUnlinkedV1 {
    type Next = RefundUnlinked;

    fn upcast(self) -> RefundUnlinked {
        RefundUnlinked {
            parties: Parties::account(self.account),
            amount: self.amount,
            origin: RefundOrigin::Chain(self.source),
            occurred_at: self.occurred_at,
        }
    }
}

const fn part(is_final: bool) -> Part {
    if is_final { Part::Final } else { Part::Partial }
}
