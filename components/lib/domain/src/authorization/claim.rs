//! Claims of the network as the state knows them, and what every claim has in common: its conversion, and its division
//! by what is held. The rules stand in [`clearing`](super::clearing), [`force_post`](super::force_post) and
//! [`suspense`](super::suspense).

use clearfold_kernel::{Amount, ExternalId, Hash, Minor, Rejection, Timestamp};
use serde::{Deserialize, Serialize};

use super::messages::Part;
use crate::network::{Presented, Residue, SuspenseOutcome};
use crate::policy::assets::KnownAsset;

/// Claim of the network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Clearing {
    /// Claimed amount, in minor units.
    pub claimed: Minor,
    /// Rounding difference of a currency conversion.
    pub residue: Residue,
    /// Part of the payment that it claims.
    pub part: Part,
    /// Acquirer's reference, if there is one.
    pub reference: Option<ExternalId>,
    /// Digest of the card and the merchant that a force post names.
    pub named: Option<Hash>,
    /// Outcome of the claim.
    pub fate: ClearingFate,
}

/// Outcome of a claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ClearingFate {
    /// It posted against the authorization.
    Posted,
    /// It posted without an authorization.
    Forced,
    /// It came to the suspense account; if it is charged, it posts.
    Suspended,
    /// It was refused and did not post.
    Refused,
}

/// Claim that came to the suspense account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Suspended {
    /// It waits for a decision.
    Waiting {
        /// Time of presentment, as stated by the network.
        occurred_at: Timestamp,
    },
    /// The operator found out what it is.
    Resolved(SuspenseOutcome),
}

/// Claim divided by what is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Split {
    /// Part of the claim that the hold covers, in minor units.
    pub against_hold: Minor,
    /// Part of the claim that the hold does not cover, in minor units.
    pub beyond_hold: Minor,
    /// Part of the hold that the claim leaves, in minor units.
    pub rest: Minor,
}

impl Split {
    /// Divides a claim by what is held.
    pub(crate) fn of(claimed: Minor, held: Minor) -> Self {
        let against_hold = claimed.min(held);
        // The smaller of two amounts can be subtracted from each, so neither zero stands for an error.
        let beyond_hold = claimed.excess_over(against_hold);
        Self { against_hold, beyond_hold, rest: held.excess_over(against_hold) }
    }
}

/// Returns the rounding difference of the conversion; zero if there was none. The claimed amount must equal the
/// result of our own conversion of the presented amount.
pub(super) fn residue(
    amount: &Amount,
    presented: Option<&Presented>,
    asset: KnownAsset,
) -> Result<Residue, Rejection> {
    let Some(presented) = presented else { return Ok(Residue::default()) };
    let mismatch = |detail: String| Rejection::new("conversion_mismatch", detail);
    let exact = presented.charge(asset).map_err(|error| mismatch(error.to_string()))?;
    if exact.charged != *amount {
        let detail = format!("{} at {} is {}, not {amount}", presented.amount, presented.rate, exact.charged);
        return Err(mismatch(detail));
    }
    Ok(Residue { over: exact.over, under: exact.under })
}
