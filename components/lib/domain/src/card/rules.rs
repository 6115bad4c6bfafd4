//! What a card may pay: limits, velocity, merchant categories and countries. Data of the card, checked on entry.
//!
//! What a rule does not name it allows: an asset without a limit has none. What a payment does to the rules stands
//! in `broken_rules`.

use std::collections::BTreeSet;

use clearfold_kernel::{Amount, Rejection};
use serde::{Deserialize, Serialize};

use crate::checks;
use crate::network::{Country, MerchantCategory};

/// The most entries of any list of rules.
pub const MAX_ENTRIES: usize = 64;

/// The longest window in which payments are counted: 31 days.
pub const MAX_WINDOW_S: u32 = 31 * 24 * 60 * 60;

/// All rules of a card.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Rules {
    /// How much it pays; at most one limit for each asset and span.
    pub limits: Vec<Limit>,
    /// How often it pays. All of them hold.
    pub velocity: Vec<Velocity>,
    /// What the merchants that it pays may sell.
    pub categories: Allowed<MerchantCategory>,
    /// Where they may sell it.
    pub countries: Allowed<Country>,
}

/// The most that a card pays of an asset.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Limit {
    /// In what.
    pub per: Span,
    /// The most.
    pub amount: Amount,
}

/// What a limit is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Span {
    /// One payment with its increments.
    Transaction,
    /// All payments of a calendar day in UTC.
    Day,
}

/// How many payments a card makes in a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Velocity {
    /// The most payments.
    pub max_count: u32,
    /// In the last so many seconds, at any time.
    pub window_s: u32,
}

/// What is allowed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(rename = "Allowed{T}"))]
#[serde(rename_all = "snake_case")]
pub enum Allowed<T: Ord> {
    /// Everything.
    All,
    /// Only these.
    Only(BTreeSet<T>),
    /// Everything but these.
    AllBut(BTreeSet<T>),
}

impl<T: Ord> Allowed<T> {
    /// Whether that one is.
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
    /// Rules that can be kept, and that say everything once: else `invalid_rules`.
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
