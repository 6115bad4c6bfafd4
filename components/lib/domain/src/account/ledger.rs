//! The double-entry ledger of one account: transfers between its ledger accounts, and the balances they add up to.
//!
//! A [`Transfer`] debits one ledger account and credits another with the same amount, so debits equal credits by
//! construction. The ledger adds up transfers; it never creates one and never judges whether it is permitted.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use clearfold_kernel::{Asset, Minor, MoneyError};
use serde::{Deserialize, Serialize};

/// Ledger account in which money of one customer's account can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum LedgerAccount {
    /// Money that belongs to the customer, including what is on hold.
    Customer,
    /// Money in the customer's Safe, on chain.
    Safe,
    /// Money pulled from the Safe, in a block that is not final.
    InTransit,
    /// Money pulled from the Safe in a final block, waiting to be settled. Not the holds of authorizations, which
    /// book no transfers.
    Hold,
    /// Money owed to the card network.
    Settlement,
    /// Money that was claimed or credited while it is not known yet who pays it.
    Suspense,
    /// Money that the customer owes the processor.
    Receivable,
    /// Fees that the processor earned.
    Fee,
    /// Residues of rounding, both taken and given.
    Rounding,
    /// Amounts of disputes that the processor bears, and those that it keeps.
    Loss,
}

impl LedgerAccount {
    /// All ledger accounts.
    pub const ALL: [Self; 10] = [
        Self::Customer,
        Self::Safe,
        Self::InTransit,
        Self::Hold,
        Self::Settlement,
        Self::Suspense,
        Self::Receivable,
        Self::Fee,
        Self::Rounding,
        Self::Loss,
    ];

    /// Returns the side on which the balance grows: debits for what is owned, credits for what is owed.
    #[must_use]
    pub const fn normal_side(self) -> Side {
        match self {
            Self::Safe
            | Self::InTransit
            | Self::Hold
            | Self::Suspense
            | Self::Receivable
            | Self::Rounding
            | Self::Loss => Side::Debit,
            Self::Customer | Self::Settlement | Self::Fee => Side::Credit,
        }
    }
}

/// Side of a ledger account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// Left side.
    Debit,
    /// Right side.
    Credit,
}

/// Amount that moves from one ledger account to another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Transfer {
    /// Ledger account that is debited.
    pub debit: LedgerAccount,
    /// Ledger account that is credited.
    pub credit: LedgerAccount,
    /// Amount in minor units of the event's asset, above zero.
    pub minor: Minor,
}

/// Builds the transfers of a booking from legs of (debit, credit, amount). Legs with amount zero are left out.
pub(super) fn transfers(legs: &[(LedgerAccount, LedgerAccount, Minor)]) -> Vec<Transfer> {
    let moving = legs.iter().filter(|(_, _, minor)| *minor != Minor::ZERO);
    moving.map(|&(debit, credit, minor)| Transfer { debit, credit, minor }).collect()
}

/// Totals of one ledger account in one asset, in minor units.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Balance {
    /// Sum of all debits.
    pub debits: Minor,
    /// Sum of all credits.
    pub credits: Minor,
}

/// Balances of one asset, by ledger account. A ledger account without a transfer has no entry.
pub type Book = BTreeMap<LedgerAccount, Balance>;

/// All balances of an account, by asset code.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ledger(BTreeMap<String, Book>);

impl Ledger {
    /// Returns the balances of each asset, by asset code.
    pub fn books(&self) -> impl Iterator<Item = (&str, &Book)> {
        self.0.iter().map(|(code, book)| (code.as_str(), book))
    }

    /// Returns the totals of a ledger account; zero if it never moved.
    #[must_use]
    pub fn balance(&self, asset: &Asset, account: LedgerAccount) -> Balance {
        self.0.get(&asset.code).and_then(|book| book.get(&account)).copied().unwrap_or_default()
    }

    /// Returns the net balance of a ledger account, positive on its normal side.
    #[must_use]
    pub fn net(&self, asset: &Asset, account: LedgerAccount) -> Net {
        let Balance { debits, credits } = self.balance(asset, account);
        match account.normal_side() {
            Side::Debit => Net::of(debits, credits),
            Side::Credit => Net::of(credits, debits),
        }
    }

    /// Computes the asset's balances after the transfers. Fails if a sum overflows.
    pub(super) fn after(&self, asset: &Asset, transfers: &[Transfer]) -> Result<Book, MoneyError> {
        let mut book = self.0.get(&asset.code).cloned().unwrap_or_default();
        for Transfer { debit, credit, minor } in transfers {
            let debited = book.entry(*debit).or_default();
            debited.debits = debited.debits.plus(*minor)?;
            let credited = book.entry(*credit).or_default();
            credited.credits = credited.credits.plus(*minor)?;
        }
        Ok(book)
    }

    /// Stores the balances that [`after`](Self::after) computed.
    pub(super) fn set(&mut self, asset: &Asset, book: Book) {
        self.0.insert(asset.code.clone(), book);
    }
}

/// Signed difference of two sums, in minor units. In JSON a string of decimal digits: `"-5"`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Net {
    // Never set for zero, so that equal numbers compare equal.
    is_negative: bool,
    magnitude: Minor,
}

impl Net {
    /// `plus − minus`.
    #[must_use]
    pub fn of(plus: Minor, minus: Minor) -> Self {
        match plus.minus(minus) {
            Ok(magnitude) => Self { is_negative: false, magnitude },
            Err(_) => Self { is_negative: true, magnitude: minus.minus(plus).unwrap_or_default() },
        }
    }

    /// Subtracts `minor`. Saturates at −(2^128 − 1): no balance comes near it, and it would cover nothing either.
    #[must_use]
    pub fn less(self, minor: Minor) -> Self {
        if !self.is_negative {
            return Self::of(self.magnitude, minor);
        }
        let magnitude = self.magnitude.plus(minor).unwrap_or(Minor::new(u128::MAX));
        Self { is_negative: true, magnitude }
    }

    /// Returns true if `minor` can be subtracted without going below zero.
    #[must_use]
    pub fn covers(self, minor: Minor) -> bool {
        !self.is_negative && self.magnitude >= minor
    }

    /// Returns true if the number is below zero.
    #[must_use]
    pub const fn is_negative(self) -> bool {
        self.is_negative
    }

    /// Returns the number without its sign.
    #[must_use]
    pub const fn magnitude(self) -> Minor {
        self.magnitude
    }
}

impl fmt::Display for Net {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", if self.is_negative { "-" } else { "" }, self.magnitude)
    }
}

impl FromStr for Net {
    type Err = MoneyError;

    fn from_str(text: &str) -> Result<Self, MoneyError> {
        match text.strip_prefix('-') {
            Some("0") => Err(MoneyError::NotDecimal(text.to_owned())),
            Some(digits) => Ok(Self { is_negative: true, magnitude: digits.parse()? }),
            None => Ok(Self { is_negative: false, magnitude: text.parse()? }),
        }
    }
}

impl TryFrom<String> for Net {
    type Error = MoneyError;

    fn try_from(text: String) -> Result<Self, MoneyError> {
        text.parse()
    }
}

impl From<Net> for String {
    fn from(net: Net) -> String {
        net.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn net(plus: u128, minus: u128) -> Net {
        Net::of(Minor::new(plus), Minor::new(minus))
    }

    #[test]
    fn a_net_reads_as_it_is_written() {
        for (net, json) in [(net(5, 0), "\"5\""), (net(0, 5), "\"-5\""), (net(5, 5), "\"0\"")] {
            assert_eq!(serde_json::to_string(&net).unwrap(), json);
            assert_eq!(serde_json::from_str::<Net>(json).unwrap(), net);
        }
        for json in ["\"-0\"", "\"--5\"", "\"+5\"", "\"-05\"", "\"-\"", "-5"] {
            assert!(serde_json::from_str::<Net>(json).is_err(), "{json}");
        }
    }

    #[test]
    fn taking_away_goes_below_zero_and_says_so() {
        assert_eq!(net(7, 2).less(Minor::new(5)), net(0, 0));
        assert_eq!(net(7, 2).less(Minor::new(6)), net(0, 1));
        assert_eq!(net(2, 7).less(Minor::new(6)), net(0, 11));
        assert!(net(7, 2).covers(Minor::new(5)) && !net(7, 2).covers(Minor::new(6)));
        assert!(!net(0, 1).covers(Minor::ZERO) && net(1, 1).covers(Minor::ZERO));
    }

    #[test]
    fn a_sum_that_does_not_fit_moves_nothing() {
        let eure = Asset { code: "EURe".into(), decimals: 18 };
        let posting = transfers(&[(LedgerAccount::Safe, LedgerAccount::Customer, Minor::new(u128::MAX))]);
        let mut ledger = Ledger::default();
        ledger.set(&eure, ledger.after(&eure, &posting).unwrap());
        assert_eq!(ledger.net(&eure, LedgerAccount::Customer), net(u128::MAX, 0));
        assert_eq!(ledger.after(&eure, &posting), Err(MoneyError::Overflow));
    }
}
