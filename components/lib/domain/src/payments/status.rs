//! Status words of a payment, its funding and its dispute.

use crate::authorization::{DisputeOutcome, DisputeStage};
use crate::projecting::words;

/// Status of a payment with the network: one word for each state of the model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Status {
    /// Open: first seen on chain.
    Recorded,
    /// Requested, not decided.
    Requested,
    /// Open: the whole requested amount is held.
    Authorized,
    /// Open: a part of the requested amount is held.
    PartiallyAuthorized,
    /// Declined by us.
    Declined,
    /// Open: a stand-in approved it.
    Advised,
    /// Open, however it began, and partly claimed, also if that was taken back.
    PartiallyCleared,
    /// Closed: the final claim was made.
    Cleared,
    /// Closed: reversed without a claim.
    Reversed,
    /// Closed: the hold expired.
    Expired,
    /// Closed: claimed after the hold had expired.
    ClearedLate,
    /// Closed: claimed without an authorization.
    ForcePosted,
    /// Closed: a `Spend` that is the funding of another payment, or a clearing that is a claim to another one.
    Linked,
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
    Linked = "linked",
});

impl Status {
    /// Returns true if the network may still claim what is held.
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

/// Status of the money on chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Funding {
    /// No money is to be pulled.
    None,
    /// To be pulled.
    Unsubmitted,
    /// Sent, perhaps again.
    Unconfirmed,
    /// In a block.
    Included,
    /// In a block that is final.
    Finalized,
    /// In a block, but execution failed.
    ExecReverted,
    /// Dropped without having been in a block.
    Dropped,
    /// Not pulled, and not to be pulled any more.
    Abandoned,
}

words!(Funding {
    None = "none",
    Unsubmitted = "unsubmitted",
    Unconfirmed = "unconfirmed",
    Included = "included",
    Finalized = "finalized",
    ExecReverted = "exec_reverted",
    Dropped = "dropped",
    Abandoned = "abandoned",
});

/// Status of the newest dispute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dispute {
    /// Opened by the customer.
    New,
    /// Submitted to the network.
    Submitted,
    /// Contested by the merchant.
    Representment,
    /// Contested again by us.
    PreArbitration,
    /// Before the network for a decision.
    Arbitration,
    /// Decided for the customer.
    Won,
    /// Decided for the merchant.
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
