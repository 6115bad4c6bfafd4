//! Clearings that named no known payment, and the payments that they are linked to.

use clearfold_kernel::{Amount, ExternalId, Minor, Timestamp};
use serde::{Deserialize, Serialize};

use super::{Part, Parties};
use crate::network::{ClearingMatch, Residue};

command! {
    /// Links the clearing that this payment began with to the payment that it belongs to, because it named none that was
    /// known. A repeat has no effect.
    LinkClearing {
        /// Id of the payment that it belongs to.
        payment_id: ExternalId,
        /// Keys and confidence with which the account matched it. Absent if an operator links it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        matched: Option<ClearingMatch>,
        /// Reason, in an operator's words, of at most 500 bytes. Absent if there is none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    }
}

command! {
    /// Ends a link, because the payment does not have the clearing, or gave it up. Only a saga sends it.
    UnlinkClearing {
        /// Id of the payment that the clearing is linked to.
        payment_id: ExternalId,
        /// Number of the link among those of the clearing, from 1.
        link: u32,
    }
}

command! {
    /// Takes a linked clearing as a claim to this payment.
    TakeClearing {
        /// Id of the payment that the clearing was posted for.
        posted_on: ExternalId,
        /// Id of the clearing record there.
        clearing_id: ExternalId,
        /// Number of the link among those of the clearing, from 1. A repeat has no effect.
        link: u32,
        /// Claimed amount.
        amount: Amount,
        /// Difference of the claimed amount from our own conversion.
        residue: Residue,
        /// Part of the payment that was presented: partial, final, or one of a sequence.
        part: Part,
        /// Transaction reference, assigned by the acquirer; absent if there is none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reference: Option<ExternalId>,
        /// Keys and confidence of the match. Absent if an operator linked it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        matched: Option<ClearingMatch>,
        /// Time of presentment, as stated by the network.
        occurred_at: Timestamp,
    }
}

command! {
    /// Gives up a linked clearing: it is not this payment's, and is a payment of its own again. A repeat has no effect.
    GiveUpClearing {
        /// Id of the payment that the clearing was posted for.
        posted_on: ExternalId,
        /// Reason, in an operator's words, of at most 500 bytes. Absent if there is none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    }
}

command! {
    /// Names the payments that the clearing of this one may belong to, where not exactly one fits.
    NameCandidates {
        /// Ids of these payments; none if there is none.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        candidates: Vec<ExternalId>,
    }
}

event! {
    /// Clearing linked: it is a claim to another payment, and none of its own.
    ClearingLinked {
        /// Id of the payment that it belongs to.
        payment_id: ExternalId,
        /// Number of the link among those of the clearing, from 1.
        link: u32,
        /// Id of the clearing record.
        clearing_id: ExternalId,
        /// Claimed amount.
        amount: Amount,
        /// Difference of the claimed amount from our own conversion.
        residue: Residue,
        /// Part of the payment that was presented: partial, final, or one of a sequence.
        part: Part,
        /// Transaction reference, assigned by the acquirer; absent if there is none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reference: Option<ExternalId>,
        /// Keys and confidence of the match. Absent if an operator linked it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        matched: Option<ClearingMatch>,
        /// Sender of the command that linked them.
        actor: String,
        /// Reason that the operator gave. Absent if there is none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
        /// Time of presentment, as stated by the network.
        occurred_at: Timestamp,
        /// Time of acceptance, by the host's clock.
        at: Timestamp,
    }
}

event! {
    /// Clearing unlinked: it is a payment of its own again.
    ClearingUnlinked {
        /// Id of the payment that it was linked to.
        payment_id: ExternalId,
        /// Number of the link among those of the clearing, from 1.
        link: u32,
        /// Id of the clearing record.
        clearing_id: ExternalId,
        /// Claimed amount.
        amount: Amount,
        /// Time of acceptance, by the host's clock.
        at: Timestamp,
    }
}

event! {
    /// Clearing given up: it is no claim to this payment any more.
    ClearingGivenUp {
        /// Id of the payment that the clearing was posted for.
        posted_on: ExternalId,
        /// Id of the clearing on this payment.
        clearing_id: ExternalId,
        /// Number of the link among those of the clearing, from 1.
        link: u32,
        /// Claimed amount.
        amount: Amount,
        /// Part of it that is not claimed against the hold any more, in minor units; the rest was claimed beyond it.
        against_hold: Minor,
        /// Amount that is held again, in minor units: all that the clearing used up and released, if nothing else
        /// happened to the payment since; otherwise zero.
        held: Minor,
        /// Status of the payment, which is as it was before the clearing. Absent if something else happened to it since.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        restored: Option<RestoredStatus>,
        /// Sender of the command.
        actor: String,
        /// Reason that was given. Absent if there is none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
        /// Time of acceptance, by the host's clock.
        at: Timestamp,
    }
}

event! {
    /// Candidates named: the clearing that this payment began with fits several others, or none. An operator should link
    /// it, or find that nobody authorized it.
    CandidatesNamed {
        /// Ids of the payments that it may belong to; absent if there is none.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        candidates: Vec<ExternalId>,
        /// Time of acceptance, by the host's clock.
        at: Timestamp,
    }
}

/// Status of a payment before a clearing was linked to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum RestoredStatus {
    /// Open: seen on chain first.
    Recorded,
    /// Open: the whole requested amount is held.
    Authorized,
    /// Open: a part of the requested amount is held.
    PartiallyAuthorized,
    /// Open: a stand-in approved it.
    Advised,
    /// Closed: the last claim has posted.
    Cleared,
    /// Closed: the hold expired.
    Expired,
    /// Closed: claimed after the hold had expired.
    ClearedLate,
}

impl RestoredStatus {
    /// Returns true if the payment can hold money.
    #[must_use]
    pub const fn is_open(self) -> bool {
        matches!(self, Self::Recorded | Self::Authorized | Self::PartiallyAuthorized | Self::Advised)
    }
}

/// Origin of a claim that was posted for another payment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ClaimOrigin {
    /// Id of the payment that the clearing was posted for.
    pub posted_on: ExternalId,
    /// Id of the clearing record there.
    pub clearing_id: ExternalId,
    /// Number of the link among those of the clearing, from 1.
    pub link: u32,
    /// Keys and confidence of the match. Absent if an operator linked it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub matched: Option<ClearingMatch>,
}
