//! Superseded versions of this stream's messages: still read, no longer written. Each is defined beside its upcast.

use clearfold_kernel::{Address, Amount, Asset, ChainSource, ExternalId, Minor, Superseded, Timestamp};
use serde::{Deserialize, Serialize};

use super::messages::{
    ClearingPosted, Part, Parties, PresentClearing, RecordRefund, RefundOrigin, RefundUnlinked,
};
use crate::network::Residue;

/// Clearing posted: the network claimed the payment or a part of it. This version does not state how much of the
/// claim the hold covered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ClearingPostedV1 {
    /// Address of the Safe that paid.
    pub account: Address,
    /// Id of the clearing record, assigned by the network.
    pub clearing_id: ExternalId,
    /// Claimed amount.
    pub amount: Amount,
    /// True if it was the last clearing of this payment.
    #[serde(rename = "final")]
    pub is_final: bool,
    /// Time of presentment, as stated by the network.
    pub occurred_at: Timestamp,
}

impl Superseded for ClearingPostedV1 {
    type Next = ClearingPostedV2;

    /// Counts the whole amount as against the hold. Only earlier events tell how much was still held, and an upcaster
    /// sees one event. So `against_hold` may exceed what was held, in events of version 1 alone; the sum of the two
    /// parts is right in every version, and the fold relies on nothing more.
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

/// Clearing posted: the network claimed the payment or a part of it. This version does not state what the last
/// clearing released.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ClearingPostedV2 {
    /// Address of the Safe that paid.
    pub account: Address,
    /// Id of the clearing record, assigned by the network.
    pub clearing_id: ExternalId,
    /// Amount of the claim that the hold covers and that is used up, in minor units.
    pub against_hold: Minor,
    /// Amount by which the claim exceeds what was held, in minor units.
    pub beyond_hold: Minor,
    /// Asset of both amounts.
    #[serde(flatten)]
    pub asset: Asset,
    /// True if it was the last clearing of this payment.
    #[serde(rename = "final")]
    pub is_final: bool,
    /// Time of presentment, as stated by the network.
    pub occurred_at: Timestamp,
}

impl Superseded for ClearingPostedV2 {
    type Next = ClearingPosted;

    /// Sets `released` to zero: the last clearing releases whatever is left of the hold, which the fold knows and
    /// this event does not, so the fold relies on `final` alone. Currencies were not converted in this version.
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
            details: None,
            network_fees: None,
            origin: None,
        }
    }
}

/// Presents a clearing of the card network, in the account's asset, in parts without a number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct PresentClearingV1 {
    /// Id of the clearing record, assigned by the network. A repeat with the same id is the same clearing.
    pub clearing_id: ExternalId,
    /// Claimed amount.
    pub amount: Amount,
    /// True if it is the last clearing of this payment.
    #[serde(rename = "final")]
    pub is_final: bool,
    /// Time of presentment, as stated by the network.
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
            details: None,
            network_fees: None,
        }
    }
}

/// Records a refund that came from the settlement account, on chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct RecordRefundV1 {
    /// Address of the Safe that received the refund.
    pub account: Address,
    /// Refunded amount.
    pub amount: Amount,
    /// `Transfer` log of the asset's canonical address.
    pub source: ChainSource,
    /// Time of the block.
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
            details: None,
            known_only: false,
            network_fees: None,
        }
    }
}

/// Refund without a payment: the account got money back on chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RefundUnlinkedV1 {
    /// Address of the Safe that received the refund.
    pub account: Address,
    /// Refunded amount.
    pub amount: Amount,
    /// `Transfer` log of the asset's canonical address.
    pub source: ChainSource,
    /// Time of the block.
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
            details: None,
            network_fees: None,
        }
    }
}

const fn part(is_final: bool) -> Part {
    if is_final { Part::Final } else { Part::Partial }
}
