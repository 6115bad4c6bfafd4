//! Stored form of the message types that a state keeps and whose JSON leaves absent fields out. A state's form has no
//! names, so there every field has its place.
//!
//! The compiler holds both forms together. A change here needs a new state version.

use clearfold_kernel::{Address, Amount, ExternalId, Timestamp};
use serde::{Deserialize, Serialize};

use super::messages::{AuthorizationRequested, Parties};
use crate::network::{Merchant, MerchantId, Network, Presented};
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
