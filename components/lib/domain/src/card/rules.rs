//! Rules of a card: limits, velocity, merchant categories, countries and checks. They are data of the card, validated
//! on entry.
//!
//! Anything that no rule names is allowed: an asset without a limit is unlimited. `broken_rules` checks a payment
//! against the rules.

use std::collections::BTreeSet;

use clearfold_kernel::Rejection;
use serde::{Deserialize, Serialize};

use super::limit::Limit;
use crate::network::{Country, MerchantCategory};
use crate::verification::CheckRules;

/// Maximum number of entries in any list of rules.
pub const MAX_ENTRIES: usize = 64;

/// Longest velocity window, in seconds: 31 days.
pub const MAX_WINDOW_S: u32 = 31 * 24 * 60 * 60;

/// Complete rules of a card.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Rules {
    /// Limits on amounts and on numbers of payments: at most one for each span, scope and asset, or for each span and
    /// scope on the number. An asset without a limit is unlimited.
    pub limits: Vec<Limit>,
    /// Limits on the number of payments. All of them apply.
    pub velocity: Vec<Velocity>,
    /// Merchant categories that the card may pay.
    pub categories: Allowed<MerchantCategory>,
    /// Countries of the merchants that the card may pay.
    pub countries: Allowed<Country>,
    /// Rules about the checks of card and holder. Absent: what is wrong declines, except an address, and nothing is
    /// required.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checks: Option<CheckRules>,
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
        for limit in &self.limits {
            limit.check()?;
            let asset = limit.amount.as_ref().map(|amount| &amount.asset);
            if !named.insert((limit.per, &limit.scope, asset)) {
                let of = asset.map_or("the number of payments", |asset| &asset.code);
                return Err(invalid(format!(
                    "two limits for the same span and scope in {of}; give one of each"
                )));
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

pub(super) fn short(entries: usize, what: &str) -> Result<(), Rejection> {
    if entries <= MAX_ENTRIES {
        return Ok(());
    }
    Err(invalid(format!("{entries} {what} are too many; a card keeps up to {MAX_ENTRIES}")))
}

pub(super) fn invalid(detail: impl Into<String>) -> Rejection {
    Rejection::new("invalid_rules", detail)
}
