//! Reasons why a host stops leading a partition before its queue ends.

use super::CommandError;
use clearfold_base::blocking::Panicked;
use clearfold_base::database::DatabaseError;
use clearfold_base::telemetry::with_causes;
use clearfold_store::StoreError;

/// Reason why a host stops leading a partition. Nothing that it had not committed holds.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Panicked(#[from] Panicked),
    /// An input of a saga could not be decided, so nothing from which it follows can be committed.
    #[error("a saga cannot take in what happened: {0}")]
    FollowUp(CommandError),
    /// Something that the code relies on does not hold.
    #[error("{0}; this is a bug of Clearfold, please report it")]
    Broken(String),
}

impl From<DatabaseError> for Failure {
    fn from(error: DatabaseError) -> Self {
        Self::Store(error.into())
    }
}

impl Failure {
    /// Returns true if one of the commands is at fault, so that sending them together again is of no use.
    pub(super) fn is_refusal(&self) -> bool {
        match self {
            Self::Store(error) => error.is_refusal(),
            Self::FollowUp(_) => true,
            Self::Panicked(_) | Self::Broken(_) => false,
        }
    }

    /// Answer of the one command that is at fault.
    pub(super) fn refusal(&self) -> CommandError {
        match self {
            Self::FollowUp(error) => error.clone(),
            _ => CommandError::Unstorable(with_causes(self)),
        }
    }

    /// Returns true if one command may be at fault, so that each is tried without the others.
    pub(super) fn is_of_one_command(&self) -> bool {
        self.is_refusal() || matches!(self, Self::Panicked(_) | Self::Broken(_))
    }

    /// Returns true if the partition is decided by newer components than this host knows.
    pub(super) fn is_behind(&self) -> bool {
        matches!(self, Self::Store(StoreError::Behind { .. }))
    }

    /// Answer of a command that is given up because of it.
    pub(super) fn answer(&self) -> CommandError {
        match self {
            Self::Store(_) => CommandError::Unavailable(with_causes(self)),
            Self::FollowUp(error) => error.clone(),
            Self::Panicked(_) | Self::Broken(_) => CommandError::Internal(with_causes(self)),
        }
    }
}
