//! Limits of a card: how much, or how often, it pays in a span of time, everywhere or at some merchants only.
//!
//! A limit counts final amounts: a hold counts from its reservation, and what is released of it counts no more. A
//! refund is none: it gives nothing back. What could not be declined counts too, and is never refused for a limit.

use std::collections::BTreeSet;

use clearfold_kernel::{Amount, Rejection};
use serde::{Deserialize, Serialize};

use super::period::Period;
use super::rules::{invalid, short};
use crate::checks;
use crate::network::{Merchant, MerchantCategory, MerchantId, TransactionType};

/// Maximum amount of an asset that a card pays in a span, or maximum number of payments.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Limit {
    /// Span that the limit applies to.
    pub per: Span,
    /// Maximum amount in that span. The limit applies to payments in the same asset only. A limit has either this or
    /// `max_count`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amount: Option<Amount>,
    /// Maximum number of payments in that span, at least 1, in whatever asset. An increment is no further payment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_count: Option<u32>,
    /// Merchants at which the limit applies. Absent if it applies at all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<Scope>,
}

/// Span that a limit applies to. All calendar periods are in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Span {
    /// One payment with its increments.
    Transaction,
    /// All payments of a calendar day in UTC.
    Day,
    // States hold the place of a span in this list, so a new one comes last.
    /// All payments of a calendar week in UTC, from Monday to Sunday.
    Week,
    /// All payments of a calendar month in UTC.
    Month,
    /// All payments of a calendar year in UTC.
    Year,
    /// All payments since the card was issued.
    AllTime,
}

/// Merchants at which a limit applies, or types of transactions. A payment whose merchant or type is unknown counts for no
/// such limit.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// Merchants of these categories, together.
    Categories(BTreeSet<MerchantCategory>),
    /// These merchants, together.
    Merchants(BTreeSet<MerchantId>),
    /// Each category for itself. For spans up to a month.
    EachCategory,
    /// Each merchant for itself. For spans up to a month.
    EachMerchant,
    // States hold the place of a scope in this list, so a new one comes last.
    /// Transactions of these types, together, at whatever merchant.
    Types(BTreeSet<TransactionType>),
}

/// Merchant and type of a payment, as limits tell payments apart.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Place<'a> {
    /// Category of the merchant, if it is known.
    pub category: Option<MerchantCategory>,
    /// Id of the merchant, if it is known.
    pub merchant_id: Option<&'a MerchantId>,
    /// Type of the transaction, if it is known.
    pub transaction_type: Option<TransactionType>,
}

impl<'a> Place<'a> {
    /// Returns the place of a payment at a merchant, of a type.
    #[must_use]
    pub fn of(merchant: Option<&'a Merchant>, transaction_type: Option<TransactionType>) -> Self {
        Self {
            category: merchant.map(|merchant| merchant.category),
            merchant_id: merchant.map(|merchant| &merchant.id),
            transaction_type,
        }
    }
}

impl Span {
    /// Returns the calendar period of a span that has one.
    #[must_use]
    pub const fn period(self) -> Option<Period> {
        match self {
            Self::Transaction | Self::AllTime => None,
            Self::Day => Some(Period::Day),
            Self::Week => Some(Period::Week),
            Self::Month => Some(Period::Month),
            Self::Year => Some(Period::Year),
        }
    }

    /// Returns true if payments count in the span for longer than the card keeps each of them.
    #[must_use]
    pub const fn is_long(self) -> bool {
        matches!(self, Self::Year | Self::AllTime)
    }
}

impl Scope {
    /// Returns true if what was paid at `place` counts towards the limit on a payment at `paid`.
    #[must_use]
    pub fn counts(&self, place: Place<'_>, paid: Place<'_>) -> bool {
        match self {
            Self::EachCategory => paid.category.is_some() && place.category == paid.category,
            Self::EachMerchant => paid.merchant_id.is_some() && place.merchant_id == paid.merchant_id,
            Self::Categories(_) | Self::Merchants(_) | Self::Types(_) => self.has(place) && self.has(paid),
        }
    }

    /// Returns true if the limit applies at that place.
    #[must_use]
    pub fn has(&self, place: Place<'_>) -> bool {
        match self {
            Self::Categories(these) => place.category.is_some_and(|category| these.contains(&category)),
            Self::Merchants(these) => place.merchant_id.is_some_and(|id| these.contains(id)),
            Self::Types(these) => place.transaction_type.is_some_and(|of| these.contains(&of)),
            Self::EachCategory => place.category.is_some(),
            Self::EachMerchant => place.merchant_id.is_some(),
        }
    }

    /// Returns true if it is about cash alone.
    #[must_use]
    pub fn is_cash(&self) -> bool {
        matches!(self, Self::Types(these) if these.iter().all(|of| of.is_cash()))
    }

    const fn is_each(&self) -> bool {
        matches!(self, Self::EachCategory | Self::EachMerchant)
    }

    fn check(&self) -> Result<(), Rejection> {
        let (listed, what) = match self {
            Self::Categories(these) => (these.len(), "merchant categories of a limit"),
            Self::Merchants(these) => (these.len(), "merchants of a limit"),
            Self::Types(these) => (these.len(), "types of transactions of a limit"),
            Self::EachCategory | Self::EachMerchant => return Ok(()),
        };
        if listed == 0 {
            return Err(invalid(format!(
                "the list of {what} is empty; leave `scope` out to limit every payment"
            )));
        }
        short(listed, what)
    }
}

impl Limit {
    /// Makes a limit on an amount, at all merchants.
    #[must_use]
    pub const fn of_amount(per: Span, amount: Amount) -> Self {
        Self { per, amount: Some(amount), max_count: None, scope: None }
    }

    /// Returns true if the limit applies at that place.
    #[must_use]
    pub fn applies(&self, place: Place<'_>) -> bool {
        self.scope.as_ref().is_none_or(|scope| scope.has(place))
    }

    /// Checks that the limit can be kept.
    pub(super) fn check(&self) -> Result<(), Rejection> {
        match (&self.amount, self.max_count) {
            (Some(amount), None) => {
                checks::sound(amount).map_err(|unsound| invalid(format!("a limit: {}", unsound.detail)))?;
            }
            (None, Some(0)) => return Err(invalid("a limit of no payments at all; freeze the card instead")),
            (None, Some(_)) if self.per == Span::Transaction => {
                return Err(invalid("a number of payments in one transaction; limit its amount"));
            }
            (None, Some(_)) => {}
            _ => return Err(invalid("a limit has either `amount` or `max_count`; give two limits")),
        }
        let Some(scope) = &self.scope else { return Ok(()) };
        if scope.is_each() && self.per.is_long() {
            return Err(invalid(
                "a limit for each category or each merchant counts up to a month; name those that are limited \
                 by the year or for all time",
            ));
        }
        scope.check()
    }
}
