//! Clearings: the card network's claims, and the claims that wait in suspense.

use clearfold_kernel::{Address, Amount, Asset, ExternalId, Minor, Timestamp};
use serde::{Deserialize, Serialize};

use crate::account::ledger::Transfer;
use crate::network::{Country, FieldText, MerchantCategory, MerchantId, Residue, SuspenseOutcome};

/// Books a clearing: the card network claims a payment or a part of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct BookClearing {
    /// Network's id of the clearing record. A repeat with the same content has no effect.
    pub clearing_id: ExternalId,
    /// Id of the authorization that the clearing belongs to.
    pub hold_id: ExternalId,
    /// Part of the claim that the hold covers, in minor units of `asset`. It uses up as much of the hold.
    pub against_hold: Minor,
    /// Part of the claim that exceeds the hold, in minor units of `asset`.
    pub beyond_hold: Minor,
    /// Remainder of the hold that is released because no further clearing will come, in minor units of `asset`; 0 if
    /// nothing is released.
    pub released: Minor,
    /// Asset of all amounts of the clearing.
    #[serde(flatten)]
    pub asset: Asset,
    /// Difference of the claim from our own currency conversion, in minor units of `asset`. Information: it is not
    /// booked.
    pub residue: Residue,
}

/// Puts a clearing into suspense: the network has probably claimed the same before, under another id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct SuspendClearing {
    /// Network's id of the clearing record. A repeat with the same content has no effect.
    pub clearing_id: ExternalId,
    /// Amount that the network claims.
    pub amount: Amount,
    /// Id of the authorization that the clearing belongs to: the scope of its id. Absent where an earlier version did not
    /// state it; then the id is unique for the account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold_id: Option<ExternalId>,
}

/// Resolves a suspended clearing. One that is charged is booked as well, by `BookClearing`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ResolveSuspense {
    /// Network's id of the clearing record. A repeat with the same content has no effect.
    pub clearing_id: ExternalId,
    /// Outcome: the clearing is charged to the customer or returned to the network.
    pub outcome: SuspenseOutcome,
    /// Id of the authorization that the clearing belongs to: the scope of its id. Absent where an earlier version did not
    /// state it; then the id is unique for the account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold_id: Option<ExternalId>,
}

/// Books the reversal of a clearing: the network takes it back, or a part of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct BookClearingReversal {
    /// Network's id of the reversal's record. A repeat with the same content has no effect.
    pub reversal_id: ExternalId,
    /// Network's id of the clearing record that is taken back.
    pub clearing_id: ExternalId,
    /// Id of the authorization that the clearing belongs to.
    pub hold_id: ExternalId,
    /// Amount that is taken back.
    pub amount: Amount,
}

/// Asks for the hold that a clearing belongs to which names no known payment. It is refused as `hold_matched` if exactly one
/// fits, and the detail is the confidence, the keys and the hold's id; as `hold_ambiguous` with the ids of several, or of
/// holds of which other keys contradict; and as `hold_not_matched` if there is none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct MatchClearing {
    /// Id of the payment that the clearing was posted for: it is not matched with itself.
    pub payment_id: ExternalId,
    /// Id of the card that the clearing names.
    pub card_id: ExternalId,
    /// Merchant that the clearing names.
    pub merchant_id: MerchantId,
    /// Category of the merchant.
    pub category: MerchantCategory,
    /// Country of the merchant.
    pub country: Country,
    /// Terminal. Absent if the clearing states none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub terminal: Option<FieldText>,
    /// Claimed amount.
    pub amount: Amount,
    /// Time of presentment, as stated by the network.
    pub occurred_at: Timestamp,
}

/// Side to which a clearing of a link is moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum ClaimedOn {
    /// Payment that it is linked to.
    Payment,
    /// Payment that it was posted for.
    Origin,
}

/// Moves a clearing from the payment that it was posted for to the one that it is linked to, or back. The customer was
/// debited when it was posted, so nothing is booked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct MoveClearing {
    /// Id of the payment that the clearing was posted for.
    pub posted_on: ExternalId,
    /// Id of the payment that it is linked to.
    pub payment_id: ExternalId,
    /// Id of the clearing there.
    pub clearing_id: ExternalId,
    /// Number of the link among those of the clearing, from 1. A repeat with the same content has no effect.
    pub link: u32,
    /// Side to which it is moved.
    pub to: ClaimedOn,
    /// Amount of the clearing.
    pub amount: Amount,
    /// Part of it that the payment's hold covers and that is used up, in minor units; zero on the way back.
    pub against_hold: Minor,
    /// Rest of the hold that is released, in minor units; zero on the way back.
    pub released: Minor,
    /// Amount that is held again on the way back, in minor units; otherwise zero.
    pub held: Minor,
}

/// The card network claimed a payment or a part of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ClearingBooked {
    /// Address of the customer's Safe, which identifies the account.
    pub account: Address,
    /// Network's id of the clearing record.
    pub clearing_id: ExternalId,
    /// Id of the authorization that the clearing belongs to.
    pub hold_id: ExternalId,
    /// Part of the claim that the hold covers, in minor units of `asset`. It uses up as much of the hold.
    pub against_hold: Minor,
    /// Part of the claim that exceeds the hold, in minor units of `asset`.
    pub beyond_hold: Minor,
    /// Remainder of the hold that is released because no further clearing will come, in minor units of `asset`; 0 if
    /// nothing is released.
    pub released: Minor,
    /// Asset of all amounts of the clearing.
    #[serde(flatten)]
    pub asset: Asset,
    /// Difference of the claim from our own currency conversion, in minor units of `asset`. Information: it is not booked,
    /// unless the transfers say so, as in old events.
    pub residue: Residue,
    /// Transfers that the event books in the account's ledger, set by the decider.
    pub transfers: Vec<Transfer>,
    /// Time at which the host accepted the command.
    pub at: Timestamp,
}

/// The card network claimed what it had probably claimed before, under another id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ClearingSuspended {
    /// Address of the customer's Safe, which identifies the account.
    pub account: Address,
    /// Network's id of the clearing record.
    pub clearing_id: ExternalId,
    /// Amount that the network claims.
    pub amount: Amount,
    /// Transfers that the event books in the account's ledger, set by the decider.
    pub transfers: Vec<Transfer>,
    /// Time at which the host accepted the command.
    pub at: Timestamp,
    /// Id of the authorization that the clearing belongs to: the scope of its id. Absent where an earlier version did not
    /// state it; then the id is unique for the account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold_id: Option<ExternalId>,
}

/// A suspended clearing was charged or returned. In both cases it leaves suspense.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SuspenseResolved {
    /// Address of the customer's Safe, which identifies the account.
    pub account: Address,
    /// Network's id of the clearing record.
    pub clearing_id: ExternalId,
    /// Outcome: the clearing is charged to the customer or returned to the network.
    pub outcome: SuspenseOutcome,
    /// Amount that was in suspense.
    pub amount: Amount,
    /// Transfers that the event books in the account's ledger, set by the decider.
    pub transfers: Vec<Transfer>,
    /// Time at which the host accepted the command.
    pub at: Timestamp,
    /// Id of the authorization that the clearing belongs to: the scope of its id. Absent where an earlier version did not
    /// state it; then the id is unique for the account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold_id: Option<ExternalId>,
}

/// The card network took a clearing back, or a part of it. Nothing is held for it again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ClearingReversalBooked {
    /// Address of the customer's Safe, which identifies the account.
    pub account: Address,
    /// Network's id of the reversal's record.
    pub reversal_id: ExternalId,
    /// Network's id of the clearing record that is taken back.
    pub clearing_id: ExternalId,
    /// Id of the authorization that the clearing belongs to.
    pub hold_id: ExternalId,
    /// Amount that is taken back.
    pub amount: Amount,
    /// Transfers that the event books in the account's ledger, set by the decider.
    pub transfers: Vec<Transfer>,
    /// Time at which the host accepted the command.
    pub at: Timestamp,
}

/// A clearing was moved from the payment that it was posted for to the one that it is linked to, or back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ClearingMoved {
    /// Address of the customer's Safe, which identifies the account.
    pub account: Address,
    /// Id of the payment that the clearing was posted for.
    pub posted_on: ExternalId,
    /// Id of the payment that it is linked to.
    pub payment_id: ExternalId,
    /// Id of the clearing there.
    pub clearing_id: ExternalId,
    /// Number of the link among those of the clearing, from 1.
    pub link: u32,
    /// Side to which it was moved.
    pub to: ClaimedOn,
    /// Amount of the clearing.
    pub amount: Amount,
    /// Part of it that the payment's hold covers and that is used up, in minor units; zero on the way back.
    pub against_hold: Minor,
    /// Rest of the hold that is released, in minor units; zero on the way back.
    pub released: Minor,
    /// Amount that is held again on the way back, in minor units; otherwise zero.
    pub held: Minor,
    /// Time at which the host accepted the command.
    pub at: Timestamp,
}
