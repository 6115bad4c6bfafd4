//! The network's messages as it sends them: ISO 8583's fields in JSON (docs/EDGE.md says which is which).
//!
//! What does not belong is refused, and so is what would become part of an address or a stream's name and is not
//! plain.

use clearfold_domain::network::{Merchant, Network};
use clearfold_kernel::{Address, ExternalId, Minor, Timestamp};
use serde::{Deserialize, Serialize};

/// What the network wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// 0100: may the payment be made?
    Authorization,
    /// 0120: its stand-in approved the payment.
    Advice,
    /// 0400: a hold, or a part of it, is given back.
    Reversal,
    /// 0220: its claim.
    Clearing,
}

impl Kind {
    /// What is sent to a path.
    pub fn of(path: &str) -> Option<Self> {
        match path.strip_prefix("/network/")? {
            "authorizations" => Some(Self::Authorization),
            "advices" => Some(Self::Advice),
            "reversals" => Some(Self::Reversal),
            "clearings" => Some(Self::Clearing),
            _ => None,
        }
    }

    /// The word for it in idempotency keys: one message id may stand for a message of each kind.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Authorization => "authorization",
            Self::Advice => "advice",
            Self::Reversal => "reversal",
            Self::Clearing => "clearing",
        }
    }
}

/// A message. What each kind must have beside the first six, `translate` says.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Message {
    /// The network's id of this message; a repeat has the same.
    pub message_id: ExternalId,
    /// The network's id of the payment, in all messages about it.
    pub transaction_id: String,
    pub network: Network,
    /// The Safe that pays.
    pub account: Address,
    /// When it was first sent.
    pub transmitted_at: Timestamp,
    /// In the currency that the customer is charged in.
    pub amount: Option<Money>,
    pub card: Option<ExternalId>,
    pub merchant: Option<Merchant>,
    /// In the merchant's currency, if that is another one.
    pub presented: Option<Presented>,
    /// How the card was read. It changes no decision.
    #[serde(rename = "pos_entry")]
    pub _pos_entry: Option<PosEntry>,
    #[serde(default)]
    pub partial_allowed: bool,
    pub cause: Option<Cause>,
    /// The acquirer's reference.
    pub reference: Option<ExternalId>,
    /// Which of how many clearings of the payment.
    pub sequence: Option<Sequence>,
}

/// An amount as networks write it: a number of the currency's smallest unit.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Money {
    /// Decimal digits in a text.
    pub minor: Minor,
    /// ISO 4217.
    pub currency: String,
    /// How many of the digits stand behind the point.
    pub exponent: u8,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Presented {
    pub minor: Minor,
    pub currency: String,
    pub exponent: u8,
    /// Units of the customer's currency for one of the merchant's.
    pub rate: clearfold_kernel::Rate,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PosEntry {
    Chip,
    Contactless,
    MagneticStripe,
    Manual,
    Ecommerce,
    Recurring,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    Merchant,
    Timeout,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sequence {
    /// From 1.
    pub number: u8,
    pub count: u8,
}

impl Message {
    /// Reads a message, or says what is wrong with it.
    pub fn read(body: &[u8]) -> Result<Self, String> {
        clearfold_edge_kit::storable(body)?;
        let message: Self = serde_json::from_slice(body).map_err(|error| error.to_string())?;
        // With the network's name before it, it is an id of ours, which has 128 characters at most.
        const LONGEST: usize = 100;
        if clearfold_edge_kit::is_id(&message.transaction_id, LONGEST) {
            return Ok(message);
        }
        Err(format!("transaction_id has 1 to {LONGEST} letters, digits, and - _ ."))
    }

    /// Our id of the payment. Two networks may use one id for two payments.
    pub fn payment_id(&self) -> String {
        format!("{}-{}", self.network_name(), self.transaction_id)
    }

    /// The key of the command that this message becomes.
    pub fn idempotency_key(&self, kind: Kind) -> String {
        format!("network/{}/{}/{}", self.network_name(), kind.as_str(), self.message_id)
    }

    fn network_name(&self) -> &'static str {
        match self.network {
            Network::Visa => "visa",
            Network::Mastercard => "mastercard",
        }
    }
}
