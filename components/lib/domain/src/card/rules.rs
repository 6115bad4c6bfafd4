//! Rules of a card: limits, velocity, merchant categories and countries. They are data of the card, validated on
//! entry.
//!
//! Anything that no rule names is allowed: an asset without a limit is unlimited. `broken_rules` checks a payment
//! against the rules.

use std::collections::BTreeSet;

use clearfold_kernel::{Amount, Rejection};
use serde::{Deserialize, Serialize};

use crate::checks;
use crate::network::{Country, MerchantCategory};

/// Maximum number of entries in any list of rules.
pub const MAX_ENTRIES: usize = 64;

/// Longest velocity window, in seconds: 31 days.
pub const MAX_WINDOW_S: u32 = 31 * 24 * 60 * 60;

/// Complete rules of a card.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Rules {
    /// Limits on amounts: at most one for each asset and span. An asset without a limit is unlimited.
    pub limits: Vec<Limit>,
    /// Limits on the number of payments. All of them apply.
    pub velocity: Vec<Velocity>,
    /// Merchant categories that the card may pay.
    pub categories: Allowed<MerchantCategory>,
    /// Countries of the merchants that the card may pay.
    pub countries: Allowed<Country>,
}

/// Maximum amount of an asset that a card pays in a span.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Limit {
    /// Span that the limit applies to.
    pub per: Span,
    /// Maximum amount in that span. The limit applies to payments in the same asset only.
    pub amount: Amount,
}

/// Span that a limit applies to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Span {
    /// One payment with its increments.
    Transaction,
    /// All payments of a calendar day in UTC.
    Day,
}

/// Maximum number of payments in a time window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Velocity {
    /// Maximum number of payments in the window, at least 1.
    pub max_count: u32,
    /// Length of the sliding window in seconds, from 1 to 2678400 (31 days).
    pub window_s: u32,
}

/// Set of values that a rule allows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(rename = "Allowed{T}"))]
#[serde(rename_all = "snake_case")]
pub enum Allowed<T: Ord> {
    /// All values.
    All,
    /// Only these values.
    Only(BTreeSet<T>),
    /// All values except these.
    AllBut(BTreeSet<T>),
}

impl<T: Ord> Allowed<T> {
    /// Returns true if the value is allowed.
    pub fn contains(&self, one: &T) -> bool {
        match self {
            Self::All => true,
            Self::Only(allowed) => allowed.contains(one),
            Self::AllBut(blocked) => !blocked.contains(one),
        }
    }

    fn check(&self, what: &str) -> Result<(), Rejection> {
        let (Self::Only(listed) | Self::AllBut(listed)) = self else { return Ok(()) };
        if listed.is_empty() {
            return Err(invalid(format!("the list of {what} is empty; write `all` to allow every one")));
        }
        short(listed.len(), what)
    }
}

impl Rules {
    /// Checks that the rules can be kept and that none is given twice; rejects them with `invalid_rules` otherwise.
    pub fn check(&self) -> Result<(), Rejection> {
        short(self.limits.len(), "limits")?;
        let mut named = BTreeSet::new();
        for Limit { per, amount } in &self.limits {
            checks::sound(amount).map_err(|unsound| invalid(format!("a limit: {}", unsound.detail)))?;
            if !named.insert((per, &amount.asset)) {
                let code = &amount.asset.code;
                return Err(invalid(format!("two limits for the same span in {code}; give one of each")));
            }
        }
        short(self.velocity.len(), "velocity rules")?;
        self.velocity.iter().try_for_each(Velocity::check)?;
        self.categories.check("merchant categories")?;
        self.countries.check("countries")
    }
}

impl Velocity {
    fn check(&self) -> Result<(), Rejection> {
        if self.max_count == 0 {
            return Err(invalid("a velocity of no payments at all; freeze the card instead"));
        }
        if !(1..=MAX_WINDOW_S).contains(&self.window_s) {
            let (given, most) = (self.window_s, MAX_WINDOW_S);
            return Err(invalid(format!(
                "a window of {given} s; it has from 1 to {most} s, which is 31 days"
            )));
        }
        Ok(())
    }
}

fn short(entries: usize, what: &str) -> Result<(), Rejection> {
    if entries <= MAX_ENTRIES {
        return Ok(());
    }
    Err(invalid(format!("{entries} {what} are too many; a card keeps up to {MAX_ENTRIES}")))
}

fn invalid(detail: impl Into<String>) -> Rejection {
    Rejection::new("invalid_rules", detail)
}
