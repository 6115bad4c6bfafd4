//! The words for how far a payment, its money and its dispute have come.

use crate::authorization::{DisputeOutcome, DisputeStage};
use crate::projecting::words;

/// How far a payment has come with the network: one word for each of the model's states.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Status {
    /// Open: seen on chain first.
    Recorded,
    /// Asked for, not decided.
    Requested,
    /// Open: all that was asked for is held.
    Authorized,
    /// Open: a part of it is held.
    PartiallyAuthorized,
    /// Refused.
    Declined,
    /// Open: a stand-in approved it.
    Advised,
    /// Open, however it began, and claimed in part.
    PartiallyCleared,
    /// Closed: claimed, for the last time.
    Cleared,
    /// Closed: given back, unclaimed.
    Reversed,
    /// Closed: the hold ended by time.
    Expired,
    /// Closed: claimed after the hold had ended.
    ClearedLate,
    /// Closed: claimed without an authorization.
    ForcePosted,
}

words!(Status {
    Recorded = "recorded",
    Requested = "requested",
    Authorized = "authorized",
    PartiallyAuthorized = "partially_authorized",
    Declined = "declined",
    Advised = "advised",
    PartiallyCleared = "partially_cleared",
    Cleared = "cleared",
    Reversed = "reversed",
    Expired = "expired",
    ClearedLate = "cleared_late",
    ForcePosted = "force_posted",
});

impl Status {
    /// Whether the network may still claim what is held.
    pub(super) const fn is_open(self) -> bool {
        matches!(
            self,
            Self::Recorded
                | Self::Authorized
                | Self::PartiallyAuthorized
                | Self::Advised
                | Self::PartiallyCleared
        )
    }
}

/// How far the money has come on chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Funding {
    /// Nothing is to be pulled.
    None,
    /// To be pulled.
    Unsubmitted,
    /// Sent, perhaps again.
    Unconfirmed,
    /// In a block.
    Included,
    /// In a block that is final.
    Finalized,
    /// In a block, and failed.
    ExecReverted,
    /// Never in a block.
    Dropped,
}

words!(Funding {
    None = "none",
    Unsubmitted = "unsubmitted",
    Unconfirmed = "unconfirmed",
    Included = "included",
    Finalized = "finalized",
    ExecReverted = "exec_reverted",
    Dropped = "dropped",
});

/// How far the newest dispute has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dispute {
    /// The customer told us.
    New,
    /// We told the network.
    Submitted,
    /// The merchant contests it.
    Representment,
    /// We contest that.
    PreArbitration,
    /// The network decides.
    Arbitration,
    /// The customer keeps the money.
    Won,
    /// The merchant keeps the money.
    Lost,
}

words!(Dispute {
    New = "new",
    Submitted = "submitted",
    Representment = "representment",
    PreArbitration = "pre_arbitration",
    Arbitration = "arbitration",
    Won = "won",
    Lost = "lost",
});

impl From<DisputeStage> for Dispute {
    fn from(stage: DisputeStage) -> Self {
        match stage {
            DisputeStage::New => Self::New,
            DisputeStage::Submitted => Self::Submitted,
            DisputeStage::Representment => Self::Representment,
            DisputeStage::PreArbitration => Self::PreArbitration,
            DisputeStage::Arbitration => Self::Arbitration,
        }
    }
}

impl From<DisputeOutcome> for Dispute {
    fn from(outcome: DisputeOutcome) -> Self {
        match outcome {
            DisputeOutcome::Won => Self::Won,
            DisputeOutcome::Lost => Self::Lost,
        }
    }
}
