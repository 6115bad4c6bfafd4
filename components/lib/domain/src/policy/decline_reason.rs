//! Reasons for which a payment is declined: a closed list, shared by the card network, the customer and the log.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Reason for which a payment is declined. The same word is the code of the rejection that caused it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum DeclineReason {
    /// The account's available balance is too small.
    InsufficientFunds,
    /// The card is frozen: because of an exposure that is not covered, for instance.
    CardFrozen,
    /// The card was closed permanently.
    CardClosed,
    /// The payment, with its increments, exceeds the card's limit per transaction.
    PerTransactionLimit,
    /// The payments of the day, in UTC, exceed the card's daily limit.
    DailyLimit,
    /// The card has made as many payments, within a time window or a calendar period, as its rules allow.
    Velocity,
    /// The card's rules do not allow merchants of this category.
    MerchantCategoryBlocked,
    /// The card's rules do not allow this country.
    CountryBlocked,
    /// The risk check advised against it.
    RiskDeclined,
    /// The risk check gave no answer in time.
    RiskUnavailable,
    /// Transactions wait in the account's delay module: money that is there now may be gone in minutes.
    DelayQueueNotEmpty,
    /// The message's id is already known with other content.
    DuplicateMismatch,
    /// The answer would have missed the network's deadline.
    Timeout,
    /// An internal error of the processor.
    SystemError,
    // States hold the place of a reason in this list, so a new one comes last.
    /// The account has no books, so nothing is available.
    AccountNotOpened,
    /// The account does not pay in this asset.
    AssetNotHeld,
    /// The account has no such card.
    CardNotIssued,
    /// The network reversed the payment before it asked for it.
    Reversed,
    /// The payment is not open, so nothing is added to it: it is not decided, was declined or reversed, is cleared, or
    /// its hold expired.
    NotOpen,
    /// The payments of the week, from Monday in UTC, exceed the card's weekly limit.
    WeeklyLimit,
    /// The payments of the month, in UTC, exceed the card's monthly limit.
    MonthlyLimit,
    /// The payments of the year, in UTC, exceed the card's yearly limit.
    YearlyLimit,
    /// All payments of the card exceed its limit for all time.
    AllTimeLimit,
    /// The card has expired.
    CardExpired,
    /// The card is lost, and was closed for good.
    CardLost,
    /// The card was stolen, and was closed for good.
    CardStolen,
    /// The card is frozen by the cardholder, and for no other reason.
    BlockedByHolder,
    /// The wallet's token that stands for the card is not active.
    TokenNotActive,
    /// The cryptogram of the chip, or the code of the magnetic stripe, is not the card's.
    CryptogramMismatch,
    /// Too many wrong PINs were entered in a row.
    PinTriesExceeded,
    /// The PIN is wrong.
    PinIncorrect,
    /// The PIN could not be checked.
    PinUnverifiable,
    /// The printed security code is wrong.
    CvvMismatch,
    /// The expiry date that was given is not the card's.
    ExpiryMismatch,
    /// The address that was given is not the cardholder's.
    AddressMismatch,
    /// 3-D Secure did not authenticate the cardholder.
    AuthenticationFailed,
    /// The card's rules require 3-D Secure.
    AuthenticationRequired,
    /// The card's rules require a check that was not made.
    CheckMissing,
    /// The payments in cash exceed a limit of the card on cash.
    CashLimit,
}

impl DeclineReason {
    /// All decline reasons.
    pub const ALL: [Self; 39] = [
        Self::InsufficientFunds,
        Self::AccountNotOpened,
        Self::AssetNotHeld,
        Self::CardNotIssued,
        Self::CardFrozen,
        Self::CardClosed,
        Self::CardExpired,
        Self::CardLost,
        Self::CardStolen,
        Self::BlockedByHolder,
        Self::TokenNotActive,
        Self::CryptogramMismatch,
        Self::PinTriesExceeded,
        Self::PinIncorrect,
        Self::PinUnverifiable,
        Self::CvvMismatch,
        Self::ExpiryMismatch,
        Self::AddressMismatch,
        Self::AuthenticationFailed,
        Self::AuthenticationRequired,
        Self::CheckMissing,
        Self::PerTransactionLimit,
        Self::DailyLimit,
        Self::WeeklyLimit,
        Self::MonthlyLimit,
        Self::YearlyLimit,
        Self::AllTimeLimit,
        Self::CashLimit,
        Self::Velocity,
        Self::MerchantCategoryBlocked,
        Self::CountryBlocked,
        Self::RiskDeclined,
        Self::RiskUnavailable,
        Self::DelayQueueNotEmpty,
        Self::DuplicateMismatch,
        Self::Reversed,
        Self::NotOpen,
        Self::Timeout,
        Self::SystemError,
    ];

    /// Returns the reason's code, as it is written everywhere.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::InsufficientFunds => "insufficient_funds",
            Self::AccountNotOpened => "account_not_opened",
            Self::AssetNotHeld => "asset_not_held",
            Self::CardNotIssued => "card_not_issued",
            Self::CardFrozen => "card_frozen",
            Self::CardClosed => "card_closed",
            Self::CardExpired => "card_expired",
            Self::CardLost => "card_lost",
            Self::CardStolen => "card_stolen",
            Self::BlockedByHolder => "blocked_by_holder",
            Self::TokenNotActive => "token_not_active",
            Self::CryptogramMismatch => "cryptogram_mismatch",
            Self::PinTriesExceeded => "pin_tries_exceeded",
            Self::PinIncorrect => "pin_incorrect",
            Self::PinUnverifiable => "pin_unverifiable",
            Self::CvvMismatch => "cvv_mismatch",
            Self::ExpiryMismatch => "expiry_mismatch",
            Self::AddressMismatch => "address_mismatch",
            Self::AuthenticationFailed => "authentication_failed",
            Self::AuthenticationRequired => "authentication_required",
            Self::CheckMissing => "check_missing",
            Self::PerTransactionLimit => "per_transaction_limit",
            Self::DailyLimit => "daily_limit",
            Self::WeeklyLimit => "weekly_limit",
            Self::MonthlyLimit => "monthly_limit",
            Self::YearlyLimit => "yearly_limit",
            Self::AllTimeLimit => "all_time_limit",
            Self::CashLimit => "cash_limit",
            Self::Velocity => "velocity",
            Self::MerchantCategoryBlocked => "merchant_category_blocked",
            Self::CountryBlocked => "country_blocked",
            Self::RiskDeclined => "risk_declined",
            Self::RiskUnavailable => "risk_unavailable",
            Self::DelayQueueNotEmpty => "delay_queue_not_empty",
            Self::DuplicateMismatch => "duplicate_mismatch",
            Self::Reversed => "reversed",
            Self::NotOpen => "not_open",
            Self::Timeout => "timeout",
            Self::SystemError => "system_error",
        }
    }

    /// Finds the reason by its code.
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
