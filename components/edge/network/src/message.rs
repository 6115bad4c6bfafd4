//! Messages of the network: the fields of ISO 8583 in JSON (docs/EDGE.md maps them).
//!
//! Fields that we do not know are set aside and kept ([`unknown`](crate::unknown)). Ids with unsafe characters are refused,
//! because ids become part of URLs and stream names.

use clearfold_domain::authorization::IncrementBasis;
use clearfold_domain::network::{
    Additional, FeeKind, FieldText, Merchant, Network, Original, TransactionType, is_card_number,
};
use clearfold_domain::policy::transaction_type;
use clearfold_domain::verification::{AddressOutcome, Outcome, PosEntry, ThreeDs, TokenState};
use clearfold_kernel::{Address, ExternalId, Minor, Timestamp};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::identity;
use crate::unknown::{self, Unknown};

/// Kind of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// 0100: request for approval of a payment. 0200: the same in a single message, which claims it too.
    Authorization,
    /// 0100 of a payment that was asked for before: request for more.
    Increment,
    /// 0120: report that the stand-in approved the payment. Of a single message 0220, which claims it too.
    Advice,
    /// 0400: release of a hold, or of a part of it.
    Reversal,
    /// 0220: claim to a payment.
    Clearing,
    /// 0220 of type 20, Visa's 06: money that the merchant gives back.
    Refund,
    /// Visa's 25 and 27, Mastercard's presentment reversal: a clearing that the network takes back.
    ClearingReversal,
    /// Visa's 26: a refund that the network takes back.
    RefundReversal,
}

impl Kind {
    /// Returns the kind of message that is sent to a path, and the network's id of the payment if the path names it.
    pub fn of(path: &str) -> Option<(Self, Option<&str>)> {
        let of_any = |kind| Some((kind, None));
        match path.strip_prefix("/network/")? {
            "authorizations" => of_any(Self::Authorization),
            "advices" => of_any(Self::Advice),
            "reversals" => of_any(Self::Reversal),
            "clearings" => of_any(Self::Clearing),
            "refunds" => of_any(Self::Refund),
            "clearings/reversals" => of_any(Self::ClearingReversal),
            "refunds/reversals" => of_any(Self::RefundReversal),
            path => {
                let (transaction_id, rest) = path.strip_prefix("authorizations/")?.split_once('/')?;
                (rest == "increments").then_some((Self::Increment, Some(transaction_id)))
            }
        }
    }

    /// Returns the kind's name in idempotency keys: messages of different kinds may share a message id.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Authorization => "authorization",
            Self::Increment => "increment",
            Self::Advice => "advice",
            Self::Reversal => "reversal",
            Self::Clearing => "clearing",
            Self::Refund => "refund",
            Self::ClearingReversal => "clearing-reversal",
            Self::RefundReversal => "refund-reversal",
        }
    }
}

/// Message of the network. `translate` checks which of the optional fields each kind requires.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Message {
    /// Network's id of this message; a repeat has the same.
    pub message_id: ExternalId,
    /// Network's id of the payment, in all messages about it. A message that follows a time-out may lack it, and then has
    /// the numbers of its original.
    pub transaction_id: Option<String>,
    /// Day of the payment's first message with the network, in all messages about it. Mastercard's ids repeat.
    pub processing_day: Option<Day>,
    pub network: Network,
    /// Message type indicator. Of a request and an advice it says if that claims the money too.
    pub message_type: Option<MessageType>,
    /// Safe that pays.
    pub account: Address,
    /// Time at which it was first sent.
    pub transmitted_at: Timestamp,
    /// Amount in the currency that the customer is charged in.
    pub amount: Option<Money>,
    /// Meaning of an increment's amount: the addition, or the new total.
    #[serde(default)]
    pub basis: IncrementBasis,
    pub card: Option<ExternalId>,
    pub merchant: Option<Merchant>,
    /// Amount in the merchant's currency, if that is a different one.
    pub presented: Option<Presented>,
    /// Method by which the card was read.
    pub pos_entry: Option<PosEntry>,
    /// Results of the checks of card and holder.
    pub checks: Option<Checks>,
    #[serde(default)]
    pub partial_allowed: bool,
    pub cause: Option<Cause>,
    /// Reference of the acquirer.
    pub reference: Option<ExternalId>,
    /// `message_id` of the record that a reversal takes back.
    pub record: Option<ExternalId>,
    /// Position among the clearings of the payment.
    pub sequence: Option<Sequence>,
    /// Type of the transaction, if the sender has it; otherwise the processing code says it.
    pub transaction_type: Option<TransactionType>,
    pub processing_code: Option<FieldText>,
    #[serde(default)]
    pub additional_amounts: Vec<Stated>,
    #[serde(default)]
    pub fees: Vec<Stated>,
    /// Interchange and scheme fees of a record.
    #[serde(default)]
    pub network_fees: Vec<StatedFee>,
    pub acquirer: Option<FieldText>,
    pub forwarder: Option<FieldText>,
    pub stan: Option<FieldText>,
    pub retrieval_reference: Option<FieldText>,
    pub approval_code: Option<FieldText>,
    pub terminal: Option<FieldText>,
    /// Data of the message that this one is about.
    pub original: Option<Original>,
    /// Fields that we do not know.
    #[serde(skip)]
    pub unknown: Unknown,
}

/// Amount beside the message's own, in whatever currency.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stated {
    /// Kind, as the network writes it.
    pub kind: Option<FieldText>,
    pub minor: Minor,
    pub currency: String,
    pub exponent: u8,
    /// True for a credit to the cardholder.
    #[serde(default)]
    pub credit: bool,
}

/// Fee between the network and us, of which the customer pays nothing. Its direction is always stated: an absent one would
/// decide who owes it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StatedFee {
    pub kind: FeeKind,
    /// Code of the network's programme or rate.
    pub code: Option<FieldText>,
    pub minor: Minor,
    pub currency: String,
    pub exponent: u8,
    /// True if the network owes it to us.
    pub credit: bool,
}

/// Day of the calendar: `2026-11-22`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Day(String);

impl Day {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Day {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        match format!("{text}T00:00:00.000Z").parse::<Timestamp>() {
            Ok(_) => Ok(Self(text)),
            Err(_) => Err(format!("{text:?} is no day; write it like 2026-11-22")),
        }
    }
}

/// Message type indicator (ISO 8583): version, class, function, and who sent it. `0200` and `1200` are financial requests,
/// `0220` and `1220` their advices.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct MessageType(String);

impl MessageType {
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn has(&self, place: usize, digit: u8) -> bool {
        self.0.as_bytes().get(place) == Some(&digit)
    }

    /// Returns true for a financial message: it claims what is approved, and no clearing record follows.
    pub fn is_financial(&self) -> bool {
        self.has(1, b'2')
    }

    fn is_authorization(&self) -> bool {
        self.has(1, b'1')
    }
}

impl TryFrom<String> for MessageType {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        match text.len() == 4 && text.bytes().all(|byte| byte.is_ascii_digit()) {
            true => Ok(Self(text)),
            false => Err("message_type has four digits, like 0200".to_owned()),
        }
    }
}

/// Amount as networks write it: a number of the currency's smallest unit.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Money {
    /// Number of the smallest unit, as a string of decimal digits.
    pub minor: Minor,
    /// Currency code (ISO 4217).
    pub currency: String,
    /// Number of digits after the decimal point.
    pub exponent: u8,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Presented {
    pub minor: Minor,
    pub currency: String,
    pub exponent: u8,
    /// Exchange rate: units of the customer's currency for one unit of the merchant's.
    pub rate: clearfold_kernel::Rate,
}

/// Results of checks, as the domain has them but for the entry, which is a field of its own.
///
/// An error of theirs never repeats what is stated: it may be the code or the PIN itself.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "Value")]
pub struct Checks {
    pub pin: Option<Outcome>,
    pub cvv: Option<Outcome>,
    pub cryptogram: Option<Outcome>,
    pub expiry_date: Option<Outcome>,
    pub address: Option<AddressOutcome>,
    pub three_ds: Option<ThreeDs>,
    pub token: Option<TokenState>,
}

impl TryFrom<Value> for Checks {
    type Error = String;

    fn try_from(stated: Value) -> Result<Self, String> {
        let Value::Object(mut stated) = stated else {
            return Err("checks is an object with the results of checks".to_owned());
        };
        let checks = Self {
            pin: result(&mut stated, "pin")?,
            cvv: result(&mut stated, "cvv")?,
            cryptogram: result(&mut stated, "cryptogram")?,
            expiry_date: result(&mut stated, "expiry_date")?,
            address: result(&mut stated, "address")?,
            three_ds: result(&mut stated, "three_ds")?,
            token: result(&mut stated, "token")?,
        };
        if stated.is_empty() { Ok(checks) } else { Err("checks has a member that is not known".to_owned()) }
    }
}

fn result<T: DeserializeOwned>(stated: &mut Map<String, Value>, name: &str) -> Result<Option<T>, String> {
    serde_json::from_value(stated.remove(name).unwrap_or_default()).map_err(|_| {
        format!("checks.{name} is none of the results of this check; what was checked must never be sent")
    })
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
    /// Number of this clearing, from 1.
    pub number: u8,
    pub count: u8,
}

impl Message {
    /// Reads a message; the error explains what is wrong with it.
    pub fn read(kind: Kind, body: &[u8]) -> Result<Self, String> {
        clearfold_edge_kit::storable(body)?;
        let (known, unknown) = unknown::divided(kind, body)?;
        let message: Self = serde_json::from_str(&known).map_err(|error| error.to_string())?;
        let message = Self { unknown, ..message };
        if message.card.as_ref().is_some_and(|card| is_card_number(card.as_str())) {
            let why =
                "card is the card's number, which must not be stored (PCI DSS); send our id of the card";
            return Err(why.to_owned());
        }
        let message = message.without_card_numbers();
        identity::check(&message)?;
        Ok(message)
    }

    /// Truncates cards' numbers in the merchant's name, which is whatever the merchant writes.
    fn without_card_numbers(mut self) -> Self {
        if let Some(merchant) = &mut self.merchant {
            merchant.name = Additional::shown(&merchant.name);
        }
        self
    }

    /// Checks that the message is about the payment that its path names.
    pub fn is_about(&self, transaction_id: Option<&str>) -> Result<(), String> {
        match transaction_id {
            Some(named) if self.transaction_id.as_deref() != Some(named) => {
                let own = self.transaction_id.as_deref().unwrap_or_default();
                Err(format!("its transaction_id is {own:?}, and its path names {named:?}"))
            }
            _ => Ok(()),
        }
    }

    /// Returns true if it asks for money and claims it too. The error says which route is that of the stated type.
    pub fn is_single(&self, kind: Kind) -> Result<bool, String> {
        let Some(stated) = &self.message_type else { return Ok(false) };
        let (function, name) = match kind {
            Kind::Authorization => (b'0', "request"),
            Kind::Advice => (b'2', "advice"),
            Kind::Increment if stated.is_financial() => {
                let why = "its amount is final; send it as an authorization of its own";
                return Err(format!("message_type {} is no increment: {why}", stated.as_str()));
            }
            _ => return Ok(false),
        };
        if !(stated.has(2, function) && (stated.is_financial() || stated.is_authorization())) {
            let stated = stated.as_str();
            return Err(format!("message_type {stated} is no {name}; send it to the route of its kind"));
        }
        if stated.is_financial() && self.is_credit() {
            return Err("a credit in a single message is paid at once; send it to the route of the refunds"
                .to_owned());
        }
        Ok(stated.is_financial())
    }

    /// Returns the type of the transaction: the stated one, or that of the processing code.
    pub fn transaction_type(&self) -> Option<TransactionType> {
        let code = self.processing_code.as_ref();
        self.transaction_type
            .or_else(|| code.and_then(|code| transaction_type::of(self.network, code.as_str())))
    }

    /// Returns true if money would go to the customer.
    pub fn is_credit(&self) -> bool {
        matches!(self.transaction_type(), Some(TransactionType::Refund | TransactionType::OriginalCredit))
    }

    /// Returns true if it asks whether the card takes a credit, or is about such a question. No money follows from it.
    pub fn asks_for_credit(&self, kind: Kind) -> bool {
        let is_asked =
            !matches!(kind, Kind::Clearing | Kind::Refund | Kind::ClearingReversal | Kind::RefundReversal);
        is_asked && self.is_credit()
    }
}
