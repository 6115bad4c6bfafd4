//! Results of the checks of a card and its holder, as the network and its processor report them with a request.
//!
//! They are facts about one message: the checks are made where the data are, and no PIN, no security code and no
//! address ever comes here. Each member is absent if the network says nothing of it.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

/// Results of the checks of one message.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct CardChecks {
    /// PIN that was entered (ISO 8583 field 52).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pin: Option<Outcome>,
    /// Security code that is printed on the card: CVV2 of Visa, CVC 2 of Mastercard (private fields).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cvv: Option<Outcome>,
    /// Cryptogram of the chip (field 55), or code of the magnetic stripe (fields 35, 45): the card is genuine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cryptogram: Option<Outcome>,
    /// Expiry date that was given, compared with the card's (field 14).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expiry_date: Option<Outcome>,
    /// Address verification (AVS; private fields).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<AddressOutcome>,
    /// Outcome of 3-D Secure, by the electronic commerce indicator and the network's check of its proof (private fields).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub three_ds: Option<ThreeDs>,
    /// State of the wallet's token that stands for the card's number, if one was used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<TokenState>,
    /// Method by which the card was read (field 22).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entry: Option<PosEntry>,
}

/// Result of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Right: it matches what is on record.
    Matched,
    /// Wrong: it differs from what is on record.
    NotMatched,
    /// Absent, or not checked.
    NotChecked,
    /// It was given and could not be checked.
    Unavailable,
}

/// Result of address verification.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum AddressOutcome {
    /// Street and postal code are right.
    Matched,
    /// Only the postal code is right.
    PostalCodeOnly,
    /// Only the street is right.
    StreetOnly,
    /// Both are wrong.
    NotMatched,
    /// Absent, or not checked.
    NotChecked,
    /// It was given and could not be checked.
    Unavailable,
}

/// Outcome of 3-D Secure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum ThreeDs {
    /// The holder was authenticated.
    Authenticated,
    /// The merchant asked for it, and the issuer or the holder does not take part.
    Attempted,
    /// The merchant asked for an exemption.
    Exempted,
    /// The merchant did not ask for it.
    NotChecked,
    /// It could not be carried out.
    Unavailable,
    /// The holder was not authenticated, or its proof is wrong.
    Failed,
}

/// State of a wallet's token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum TokenState {
    /// It was not activated yet.
    Inactive,
    /// It pays.
    Active,
    /// It is suspended, for instance because the device is lost.
    Suspended,
    /// It was deleted.
    Deleted,
}

/// Method by which a card was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum PosEntry {
    /// Chip.
    Chip,
    /// Contactless.
    Contactless,
    /// Magnetic stripe.
    MagneticStripe,
    /// Typed in at the counter, or given by post or telephone.
    Manual,
    /// Given in electronic commerce.
    Ecommerce,
    /// Kept by the merchant, who charges it without the holder.
    Recurring,
}

/// Check that a card's rules can name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Check {
    /// PIN.
    Pin,
    /// Printed security code.
    Cvv,
    /// Expiry date.
    ExpiryDate,
    /// Address.
    Address,
    /// 3-D Secure.
    ThreeDs,
}

/// Rules of a card about checks. A wrong PIN, a wrong cryptogram and a token that is not active decline whatever the
/// rules say.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct CheckRules {
    /// Checks that decline if what was given is wrong.
    pub decline_if_wrong: BTreeSet<Check>,
    /// Checks that decline unless they were passed, where the card was read in a way that allows them
    /// ([`Check::can_be_made`]). A payment is checked when it is asked for; its increments are not.
    pub require: BTreeSet<Check>,
}

impl Default for CheckRules {
    /// Rules of a card that names none: everything that is wrong declines, but an address, which holders often mistype.
    fn default() -> Self {
        let decline_if_wrong = [Check::Cvv, Check::ExpiryDate, Check::ThreeDs].into();
        Self { decline_if_wrong, require: BTreeSet::new() }
    }
}

impl Check {
    /// Returns true if the check can be made in a payment whose card was read by that method. If the network does not state
    /// the method, every check can.
    #[must_use]
    pub const fn can_be_made(self, entry: Option<PosEntry>) -> bool {
        use PosEntry::{Chip, Contactless, Ecommerce, MagneticStripe, Manual, Recurring};
        match (self, entry) {
            (_, None) => true,
            // The holder is not there.
            (_, Some(Recurring)) => false,
            (Self::ExpiryDate, Some(_)) => true,
            (Self::Pin, Some(entry)) => matches!(entry, Chip | Contactless | MagneticStripe),
            // Chip and stripe carry codes of their own, and the cryptogram is their check.
            (Self::Cvv | Self::Address, Some(entry)) => matches!(entry, Manual | Ecommerce),
            (Self::ThreeDs, Some(entry)) => matches!(entry, Ecommerce),
        }
    }
}

impl CardChecks {
    /// Returns true if a PIN was entered, and is right.
    #[must_use]
    pub fn has_right_pin(&self) -> bool {
        self.pin == Some(Outcome::Matched)
    }

    /// Returns true if a PIN was entered, and is wrong.
    #[must_use]
    pub fn has_wrong_pin(&self) -> bool {
        self.pin == Some(Outcome::NotMatched)
    }

    /// Returns the result of a check, as far as rules depend on it.
    #[must_use]
    pub fn outcome(&self, check: Check) -> Outcome {
        let of = match check {
            Check::Pin => self.pin,
            Check::Cvv => self.cvv,
            Check::ExpiryDate => self.expiry_date,
            Check::Address => self.address.map(Outcome::from),
            Check::ThreeDs => self.three_ds.map(Outcome::from),
        };
        of.unwrap_or(Outcome::NotChecked)
    }
}

impl From<AddressOutcome> for Outcome {
    fn from(address: AddressOutcome) -> Self {
        match address {
            // A part that is right is no mismatch: numbers of flats and houses are written in many ways.
            AddressOutcome::Matched | AddressOutcome::PostalCodeOnly | AddressOutcome::StreetOnly => {
                Self::Matched
            }
            AddressOutcome::NotMatched => Self::NotMatched,
            AddressOutcome::NotChecked => Self::NotChecked,
            AddressOutcome::Unavailable => Self::Unavailable,
        }
    }
}

impl From<ThreeDs> for Outcome {
    fn from(three_ds: ThreeDs) -> Self {
        match three_ds {
            ThreeDs::Authenticated => Self::Matched,
            ThreeDs::Attempted | ThreeDs::Exempted | ThreeDs::NotChecked => Self::NotChecked,
            ThreeDs::Unavailable => Self::Unavailable,
            ThreeDs::Failed => Self::NotMatched,
        }
    }
}
