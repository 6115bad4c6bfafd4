//! Stored form of the message types that a state keeps and whose JSON leaves absent fields out. A state's form has no
//! names, so there every field has its place.
//!
//! The compiler holds both forms together. A change here needs a new state version.

use clearfold_kernel::{Address, Amount, ExternalId, Timestamp};
use serde::{Deserialize, Serialize};

use super::messages::{AdviceHold, AdviceRecorded, AuthorizationRequested, Parties};
use crate::network::{Details, Merchant, MerchantId, Network, Presented};
use crate::verification::CardChecks;

#[derive(Serialize, Deserialize)]
#[serde(remote = "Parties")]
pub(super) struct StoredParties {
    account: Address,
    card_id: Option<ExternalId>,
    merchant_id: Option<MerchantId>,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "AuthorizationRequested")]
struct StoredRequest {
    message_id: ExternalId,
    account: Address,
    card_id: ExternalId,
    amount: Amount,
    presented: Option<Presented>,
    merchant: Merchant,
    network: Network,
    partial_allowed: bool,
    hold_interval_s: u64,
    occurred_at: Timestamp,
    at: Timestamp,
    /// Not kept: the payment's card is asked at once.
    #[serde(skip)]
    checks: Option<CardChecks>,
    /// Not kept: no decision depends on them.
    #[serde(skip)]
    details: Option<Box<Details>>,
    /// Kept at the end of the state.
    #[serde(skip)]
    single_message: bool,
}

/// Request of the network, as the state keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Requested(#[serde(with = "StoredRequest")] pub AuthorizationRequested);

impl std::ops::Deref for Requested {
    type Target = AuthorizationRequested;

    fn deref(&self) -> &AuthorizationRequested {
        &self.0
    }
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "AdviceRecorded")]
struct StoredAdvice {
    message_id: ExternalId,
    account: Address,
    card_id: ExternalId,
    amount: Amount,
    hold: AdviceHold,
    merchant: Merchant,
    network: Network,
    expires_at: Timestamp,
    occurred_at: Timestamp,
    at: Timestamp,
    /// Not kept: no decision depends on them.
    #[serde(skip)]
    details: Option<Box<Details>>,
    /// Kept at the end of the state.
    #[serde(skip)]
    single_message: bool,
}

/// Advice of the network, as the state keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Advice(#[serde(with = "StoredAdvice")] pub AdviceRecorded);

impl std::ops::Deref for Advice {
    type Target = AdviceRecorded;

    fn deref(&self) -> &AdviceRecorded {
        &self.0
    }
}
