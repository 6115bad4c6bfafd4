//! Versions of this stream's messages that are read but no longer written, each beside what it becomes.

use clearfold_kernel::{Address, Amount, Minor, Superseded, Timestamp};
use serde::{Deserialize, Serialize};

use super::messages::ClearingPosted;

/// The network claimed the payment or a part of it; how much of that the hold covered was not said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ClearingPostedV1 {
    /// The Safe that paid.
    pub account: Address,
    /// The network's id of the record.
    pub clearing_id: String,
    /// How much was claimed.
    pub amount: Amount,
    /// Whether it was the last one for this payment.
    #[serde(rename = "final")]
    pub is_final: bool,
    /// When the network says that it was presented.
    pub occurred_at: Timestamp,
}

impl Superseded for ClearingPostedV1 {
    type Next = ClearingPosted;

    /// All of it counts as against the hold. How much was still held, only the events before this one say, and
    /// an upcaster sees one event. So `against_hold` may exceed what was held, in events of version 1 alone;
    /// the sum of the two parts is right in every version, and the fold asks for no more than that.
    fn upcast(self) -> ClearingPosted {
        ClearingPosted {
            account: self.account,
            clearing_id: self.clearing_id,
            against_hold: self.amount.minor,
            beyond_hold: Minor::ZERO,
            asset: self.amount.asset,
            is_final: self.is_final,
            occurred_at: self.occurred_at,
        }
    }
}
