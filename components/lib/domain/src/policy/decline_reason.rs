//! Why a payment is declined: a closed list, which the card network, the customer and the log all share.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A reason. The same word is the code of the refusal that caused it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum DeclineReason {
    /// The account's available balance is too small.
    InsufficientFunds,
    /// The card is frozen: by its holder, or by an exposure that is not covered.
    CardFrozen,
    /// The card was closed for good.
    CardClosed,
    /// More than the card may pay at once.
    PerTransactionLimit,
    /// More than the card may pay in a day.
    DailyLimit,
    /// More payments in a short time than the card may make.
    Velocity,
    /// The card does not pay merchants of this category.
    MerchantCategoryBlocked,
    /// The card does not pay in this country.
    CountryBlocked,
    /// The risk check advised against it.
    RiskDeclined,
    /// The risk check gave no answer in time.
    RiskUnavailable,
    /// The account's delay module has transactions waiting: what is there now may be gone in minutes.
    DelayQueueNotEmpty,
    /// The message's id is known, with another content.
    DuplicateMismatch,
    /// The answer would have come too late.
    Timeout,
    /// A part of the processor failed.
    SystemError,
}

impl DeclineReason {
    /// All of them.
    pub const ALL: [Self; 14] = [
        Self::InsufficientFunds,
        Self::CardFrozen,
        Self::CardClosed,
        Self::PerTransactionLimit,
        Self::DailyLimit,
        Self::Velocity,
        Self::MerchantCategoryBlocked,
        Self::CountryBlocked,
        Self::RiskDeclined,
        Self::RiskUnavailable,
        Self::DelayQueueNotEmpty,
        Self::DuplicateMismatch,
        Self::Timeout,
        Self::SystemError,
    ];

    /// The reason as it is written everywhere.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::InsufficientFunds => "insufficient_funds",
            Self::CardFrozen => "card_frozen",
            Self::CardClosed => "card_closed",
            Self::PerTransactionLimit => "per_transaction_limit",
            Self::DailyLimit => "daily_limit",
            Self::Velocity => "velocity",
            Self::MerchantCategoryBlocked => "merchant_category_blocked",
            Self::CountryBlocked => "country_blocked",
            Self::RiskDeclined => "risk_declined",
            Self::RiskUnavailable => "risk_unavailable",
            Self::DelayQueueNotEmpty => "delay_queue_not_empty",
            Self::DuplicateMismatch => "duplicate_mismatch",
            Self::Timeout => "timeout",
            Self::SystemError => "system_error",
        }
    }

    /// The reason of that code.
    #[must_use]
    pub fn of_code(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.code() == code)
    }
}

impl fmt::Display for DeclineReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_code_is_what_json_carries() {
        for reason in DeclineReason::ALL {
            assert_eq!(serde_json::to_value(reason).unwrap(), reason.code());
            assert_eq!(DeclineReason::of_code(reason.code()), Some(reason));
        }
    }
}
