//! What is settled with the card network, owed by the customer, and earned.

use clearfold_kernel::{Address, Amount, ExternalId, Timestamp};
use serde::{Deserialize, Serialize};

use crate::account::ledger::Transfer;

/// Which way settled money went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum SettlementDirection {
    /// To the network.
    Paid,
    /// From the network.
    Received,
}

/// The account's part of a settlement with the network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct RecordSettlement {
    /// The settlement's id.
    pub settlement_id: ExternalId,
    /// Which way the money went.
    pub direction: SettlementDirection,
    /// How much.
    pub amount: Amount,
}

/// The account's part of a settlement with the network was booked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SettlementBooked {
    /// The customer's Safe.
    pub account: Address,
    /// The settlement's id.
    pub settlement_id: ExternalId,
    /// Which way the money went.
    pub direction: SettlementDirection,
    /// How much.
    pub amount: Amount,
    /// What it moves in the ledger.
    pub transfers: Vec<Transfer>,
    /// When the host accepted it.
    pub at: Timestamp,
}

/// The customer owes what could not be pulled.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct BookReceivable {
    /// The receivable's id.
    pub receivable_id: ExternalId,
    /// How much.
    pub amount: Amount,
}

/// The customer owes what could not be pulled.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ReceivableBooked {
    /// The customer's Safe.
    pub account: Address,
    /// The receivable's id.
    pub receivable_id: ExternalId,
    /// How much.
    pub amount: Amount,
    /// What it moves in the ledger.
    pub transfers: Vec<Transfer>,
    /// When the host accepted it.
    pub at: Timestamp,
}

/// The customer pays what was owed, or a part of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct RecoverReceivable {
    /// The recovery's id.
    pub recovery_id: ExternalId,
    /// The receivable's id.
    pub receivable_id: ExternalId,
    /// How much.
    pub amount: Amount,
}

/// The customer paid what was owed, or a part of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ReceivableRecovered {
    /// The customer's Safe.
    pub account: Address,
    /// The recovery's id.
    pub recovery_id: ExternalId,
    /// The receivable's id.
    pub receivable_id: ExternalId,
    /// How much.
    pub amount: Amount,
    /// What it moves in the ledger.
    pub transfers: Vec<Transfer>,
    /// When the host accepted it.
    pub at: Timestamp,
}

/// The customer pays a fee.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ChargeFee {
    /// The fee's id.
    pub fee_id: ExternalId,
    /// How much.
    pub amount: Amount,
}

/// The customer paid a fee.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct FeeCharged {
    /// The customer's Safe.
    pub account: Address,
    /// The fee's id.
    pub fee_id: ExternalId,
    /// How much.
    pub amount: Amount,
    /// What it moves in the ledger.
    pub transfers: Vec<Transfer>,
    /// When the host accepted it.
    pub at: Timestamp,
}
