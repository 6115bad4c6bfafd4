//! Claims of the network as the state knows them, and what every claim has in common: the comparison of its amount with
//! our own conversion, and its division by what is held. The rules stand in [`clearing`](super::clearing),
//! [`force_post`](super::force_post) and [`suspense`](super::suspense).

use clearfold_kernel::{Amount, ExternalId, Hash, Minor, Rejection, Timestamp};
use serde::{Deserialize, Serialize};

use super::messages::{ConversionDeviates, Event, Part, Parties};
use crate::network::{Network, Presented, Residue, SuspenseOutcome};
use crate::policy::assets::KnownAsset;
use crate::policy::conversion;

/// Claim of the network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Clearing {
    /// Claimed amount, in minor units.
    pub claimed: Minor,
    /// Difference of the claimed amount from our own conversion.
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
    /// It was refused and did not post, by an earlier version; if it is charged, it posts.
    Refused,
    /// It posted, and is a claim to another payment: it is linked to that, or was given up.
    Moved,
}

/// Claim that waits, or waited, for a decision of the operator.
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

/// Amount that the network states, compared with our own conversion of what it presented. The stated amount is the fact;
/// the rate beside it is information.
#[derive(Debug, Clone, Default)]
pub(super) struct Billing {
    /// Difference of the stated amount from our own conversion.
    pub residue: Residue,
    /// Presented amount and our own conversion of it, if the difference is beyond the tolerance.
    deviation: Option<(Presented, Option<Minor>)>,
}

impl Billing {
    /// Compares the amount of a fact. What cannot be converted deviates, and has no residue.
    pub(super) fn of_fact(
        amount: &Amount,
        presented: Option<&Presented>,
        asset: KnownAsset,
        network: Option<Network>,
    ) -> Self {
        let Some(presented) = presented else { return Self::default() };
        let converted = presented.exactly(asset).ok();
        let residue = converted.map_or_else(Residue::default, |converted| Residue {
            over: converted.excess_over(amount.minor),
            under: amount.minor.excess_over(converted),
        });
        // One of the two is the difference, and the other is zero.
        let difference = residue.over.max(residue.under);
        let is_near = |converted| conversion::tolerates(network, asset, converted, difference);
        let deviates = !converted.is_some_and(is_near);
        Self { residue, deviation: deviates.then(|| (presented.clone(), converted)) }
    }

    /// Compares the amount of a request, which is refused if what it presents cannot be converted.
    pub(super) fn of_request(
        amount: &Amount,
        presented: Option<&Presented>,
        asset: KnownAsset,
        network: Network,
    ) -> Result<Self, Rejection> {
        presented.map(|presented| presented.exactly(asset)).transpose().map_err(|error| {
            let detail = format!("what is presented cannot be converted into {}: {error}", asset.code);
            Rejection::new("conversion_impossible", detail)
        })?;
        Ok(Self::of_fact(amount, presented, asset, Some(network)))
    }

    /// Returns the event that flags the amount, if it deviates.
    pub(super) fn flag(self, parties: Parties, record_id: &ExternalId, amount: &Amount) -> Option<Event> {
        let (presented, converted) = self.deviation?;
        Some(Event::ConversionDeviates(ConversionDeviates {
            parties,
            record_id: record_id.clone(),
            amount: amount.clone(),
            converted: converted.map(|minor| Amount { minor, asset: amount.asset.clone() }),
            presented,
        }))
    }
}
