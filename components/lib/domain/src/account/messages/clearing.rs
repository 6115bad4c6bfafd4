//! Clearings: what the card network claims, and the claims that nobody can place yet.

use clearfold_kernel::{Address, Amount, Asset, ExternalId, Minor, Timestamp};
use serde::{Deserialize, Serialize};

use crate::account::ledger::Transfer;
use crate::network::{Residue, SuspenseOutcome};

/// The card network claims a payment or a part of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct BookClearing {
    /// The network's id of the record.
    pub clearing_id: ExternalId,
    /// The authorization's id.
    pub hold_id: ExternalId,
    /// How much of the claim the hold covers, and so uses up.
    pub against_hold: Minor,
    /// How much the claim exceeds the hold.
    pub beyond_hold: Minor,
    /// How much of the hold is set free besides, since no further clearing will come.
    pub released: Minor,
    /// What all of it is of.
    #[serde(flatten)]
    pub asset: Asset,
    /// What rounding at the currency conversion took or gave.
    pub residue: Residue,
}

/// The card network claims what it has probably claimed before, under another id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct SuspendClearing {
    /// The network's id of the record.
    pub clearing_id: ExternalId,
    /// How much it claims.
    pub amount: Amount,
}

/// Somebody found out what a suspended clearing is. One that is charged is booked besides, as a clearing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ResolveSuspense {
    /// The network's id of the record.
    pub clearing_id: ExternalId,
    /// What it is.
    pub outcome: SuspenseOutcome,
}

/// The card network claimed a payment or a part of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ClearingBooked {
    /// The customer's Safe.
    pub account: Address,
    /// The network's id of the record.
    pub clearing_id: ExternalId,
    /// The authorization's id.
    pub hold_id: ExternalId,
    /// How much of the claim the hold covers, and so uses up.
    pub against_hold: Minor,
    /// How much the claim exceeds the hold.
    pub beyond_hold: Minor,
    /// How much of the hold is set free besides, since no further clearing will come.
    pub released: Minor,
    /// What all of it is of.
    #[serde(flatten)]
    pub asset: Asset,
    /// What rounding at the currency conversion took or gave.
    pub residue: Residue,
    /// What it moves in the ledger.
    pub transfers: Vec<Transfer>,
    /// When the host accepted it.
    pub at: Timestamp,
}

/// The card network claimed what it has probably claimed before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ClearingSuspended {
    /// The customer's Safe.
    pub account: Address,
    /// The network's id of the record.
    pub clearing_id: ExternalId,
    /// How much it claims.
    pub amount: Amount,
    /// What it moves in the ledger.
    pub transfers: Vec<Transfer>,
    /// When the host accepted it.
    pub at: Timestamp,
}

/// A suspended clearing was charged or returned: in both cases it is no longer in suspense.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SuspenseResolved {
    /// The customer's Safe.
    pub account: Address,
    /// The network's id of the record.
    pub clearing_id: ExternalId,
    /// What it turned out to be.
    pub outcome: SuspenseOutcome,
    /// How much was suspended.
    pub amount: Amount,
    /// What it moves in the ledger.
    pub transfers: Vec<Transfer>,
    /// When the host accepted it.
    pub at: Timestamp,
}
