//! Settlements with the card network, receivables of the customer, and fees.

use clearfold_kernel::{Address, Amount, ExternalId, Timestamp};
use serde::{Deserialize, Serialize};

use crate::account::ledger::Transfer;

/// Direction in which settled money moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum SettlementDirection {
    /// To the network.
    Paid,
    /// From the network.
    Received,
}

/// Records the account's part of a settlement with the network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct RecordSettlement {
    /// Id of the settlement. A repeat with the same content has no effect.
    pub settlement_id: ExternalId,
    /// Direction in which the money moved.
    pub direction: SettlementDirection,
    /// Amount of the account's part.
    pub amount: Amount,
}

/// The account's part of a settlement with the network was booked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SettlementBooked {
    /// Address of the customer's Safe, which identifies the account.
    pub account: Address,
    /// Id of the settlement.
    pub settlement_id: ExternalId,
    /// Direction in which the money moved.
    pub direction: SettlementDirection,
    /// Amount of the account's part.
    pub amount: Amount,
    /// Transfers that the event books in the account's ledger, set by the decider.
    pub transfers: Vec<Transfer>,
    /// Time at which the host accepted the command.
    pub at: Timestamp,
}

/// Books a debt of the customer for an amount that could not be pulled from the Safe.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct BookReceivable {
    /// Id of the receivable. A repeat with the same content has no effect.
    pub receivable_id: ExternalId,
    /// Amount that the customer owes.
    pub amount: Amount,
}

/// The customer owes an amount that could not be pulled from the Safe.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ReceivableBooked {
    /// Address of the customer's Safe, which identifies the account.
    pub account: Address,
    /// Id of the receivable.
    pub receivable_id: ExternalId,
    /// Amount that the customer owes.
    pub amount: Amount,
    /// Transfers that the event books in the account's ledger, set by the decider.
    pub transfers: Vec<Transfer>,
    /// Time at which the host accepted the command.
    pub at: Timestamp,
}

/// Books the customer's payment of a receivable, or of a part of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct RecoverReceivable {
    /// Id of the recovery. A repeat with the same content has no effect.
    pub recovery_id: ExternalId,
    /// Id of the receivable that is paid.
    pub receivable_id: ExternalId,
    /// Amount that the customer pays, at most what is still owed.
    pub amount: Amount,
}

/// The customer paid a receivable, or a part of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ReceivableRecovered {
    /// Address of the customer's Safe, which identifies the account.
    pub account: Address,
    /// Id of the recovery.
    pub recovery_id: ExternalId,
    /// Id of the receivable that was paid.
    pub receivable_id: ExternalId,
    /// Amount that the customer paid.
    pub amount: Amount,
    /// Transfers that the event books in the account's ledger, set by the decider.
    pub transfers: Vec<Transfer>,
    /// Time at which the host accepted the command.
    pub at: Timestamp,
}

/// Charges a fee to the customer, even if the balance falls below zero.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ChargeFee {
    /// Id of the fee. A repeat with the same content has no effect.
    pub fee_id: ExternalId,
    /// Amount of the fee.
    pub amount: Amount,
}

/// The customer paid a fee.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct FeeCharged {
    /// Address of the customer's Safe, which identifies the account.
    pub account: Address,
    /// Id of the fee.
    pub fee_id: ExternalId,
    /// Amount of the fee.
    pub amount: Amount,
    /// Transfers that the event books in the account's ledger, set by the decider.
    pub transfers: Vec<Transfer>,
    /// Time at which the host accepted the command.
    pub at: Timestamp,
}
