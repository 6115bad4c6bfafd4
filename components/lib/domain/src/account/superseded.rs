//! Superseded versions of this stream's messages: still read, no longer written. Each is defined beside its upcast.

use clearfold_kernel::{Address, Asset, Superseded, Timestamp};
use serde::{Deserialize, Serialize};

use super::messages::{AccountOpened, Opener};

/// An account was opened for a customer's Safe. This version does not state who opened it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct AccountOpenedV1 {
    /// Address of the customer's Safe, which identifies the account.
    pub account: Address,
    /// Assets in which the account's cards pay.
    pub assets: Vec<Asset>,
    /// Time at which the host accepted the command.
    pub at: Timestamp,
}

impl Superseded for AccountOpenedV1 {
    type Next = AccountOpened;

    /// Counts the opening as an operator's. A saga may have asked for it, but in this version the assets of an account
    /// never changed, and so they do not.
    fn upcast(self) -> AccountOpened {
        AccountOpened { account: self.account, assets: self.assets, opened_by: Opener::Operator, at: self.at }
    }
}
