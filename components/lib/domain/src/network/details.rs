//! Facts that a message of the network states besides what decides: kept with the event as they came, so that a person or
//! a later rule can match, explain and dispute. Nothing here changes an amount.

use clearfold_kernel::{Amount, ExternalId, Timestamp};
use serde::{Deserialize, Serialize};

use super::{Additional, Merchant, forbidden};

/// Error for a text that no field of the network has. It never repeats the text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidFieldText {
    /// A length or characters that no field has.
    #[error("a field has 1 to {} printable ASCII characters, not all of them blanks", FieldText::LONGEST)]
    Form,
    /// Data that must not be stored after the authorization.
    #[error("a field holds {0}, which must not be stored (PCI DSS)")]
    Forbidden(&'static str),
}

/// Text of a field, as the network writes it: printable ASCII, blanks included, without those that fill the field up. It
/// holds no track and no card's number.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct FieldText(String);

impl FieldText {
    /// Maximum length in characters.
    pub const LONGEST: usize = 64;

    /// Returns the text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for FieldText {
    type Error = InvalidFieldText;

    fn try_from(mut text: String) -> Result<Self, InvalidFieldText> {
        text.truncate(text.trim_end_matches(' ').len());
        let fits = (1..=Self::LONGEST).contains(&text.len());
        let is_printable = text.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic());
        if !fits || !is_printable {
            return Err(InvalidFieldText::Form);
        }
        match forbidden::in_text(&text) {
            Some(what) => Err(InvalidFieldText::Forbidden(what)),
            None => Ok(Self(text)),
        }
    }
}

impl From<FieldText> for String {
    fn from(text: FieldText) -> String {
        text.0
    }
}

#[cfg(feature = "schema")]
impl schemars::JsonSchema for FieldText {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "FieldText".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let description =
            "Text of a field, as the network writes it: printable ASCII. Blanks at the end are dropped.";
        schemars::json_schema!({"description": description, "type": "string", "pattern": "^[ -~]{1,64}$"})
    }
}

/// Type of a transaction: what the cardholder does (ISO 8583 field 3, first two digits).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum TransactionType {
    /// Goods or services.
    Purchase,
    /// Cash, from a machine or at a counter.
    Cash,
    /// A purchase with cash back.
    CashBack,
    /// Purchase of something as good as cash: money orders, foreign currency, chips of a casino.
    QuasiCash,
    /// Money moved to another account or wallet.
    AccountFunding,
    /// Payment of a bill.
    BillPayment,
    /// Refund of the merchant.
    Refund,
    /// Credit without a purchase: original credit of Visa, payment transaction of Mastercard.
    OriginalCredit,
    /// Question for the balance.
    BalanceInquiry,
    /// Question whether the card is good.
    Verification,
}

impl TransactionType {
    /// Returns true if the cardholder gets cash.
    #[must_use]
    pub const fn is_cash(self) -> bool {
        matches!(self, Self::Cash | Self::CashBack)
    }
}

/// Facts of a message. Each is absent if the message does not state it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Details {
    /// Type of the transaction.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transaction_type: Option<TransactionType>,
    /// Processing code as it came (field 3).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub processing_code: Option<FieldText>,
    /// Amounts that are parts of the message's amount, or explain it (field 54): kind `40` is cash back.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub amounts: Vec<StatedAmount>,
    /// Fees in the message's amount (1987: fields 8 and 28, 1993: field 46), for instance a surcharge.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fees: Vec<StatedAmount>,
    /// Acquirer (field 32). It is the scope of the STAN and of the retrieval reference.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acquirer: Option<FieldText>,
    /// Institution that forwarded the message (field 33).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forwarder: Option<FieldText>,
    /// System trace audit number (field 11). It repeats.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stan: Option<FieldText>,
    /// Retrieval reference number (field 37). It repeats.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retrieval_reference: Option<FieldText>,
    /// Approval code (field 38), six characters. Not unique.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval_code: Option<FieldText>,
    /// Terminal (field 41).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub terminal: Option<FieldText>,
    /// Card that the message names, where the payment is known without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub card_id: Option<ExternalId>,
    /// Merchant that the message names, where the payment is known without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub merchant: Option<Merchant>,
    /// Data of the message that this one is about (1987: field 90, 1993: field 56).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub original: Option<Original>,
    /// Acquirer's reference (ARN, field 31) of a message that has no other member for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<ExternalId>,
    /// Fields that we do not know.
    #[serde(default, skip_serializing_if = "Additional::is_empty")]
    pub additional: Additional,
    /// Number of fields that we do not know and that were too many, too long or too deep to be kept. Absent if none.
    #[serde(default, skip_serializing_if = "is_none")]
    pub not_kept: u32,
}

/// Amount beside a message's own, as the network writes it: digits of its currency's smallest unit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct StatedAmount {
    /// Kind, as the network writes it. Absent if it states none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<FieldText>,
    /// Amount, in whatever currency.
    pub amount: Amount,
    /// True if it is a credit to the cardholder. Absent for a debit.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_credit: bool,
}

/// Data of the message that another one is about. The network writes zeros for what is not known, which stand for an
/// absent member.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Original {
    /// Type of that message: `0100`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message_type: Option<FieldText>,
    /// Its STAN (field 11).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stan: Option<FieldText>,
    /// Time at which it was sent (field 7).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transmitted_at: Option<Timestamp>,
    /// Its acquirer (field 32).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acquirer: Option<FieldText>,
    /// Its forwarder (field 33).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forwarder: Option<FieldText>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_none(number: &u32) -> bool {
    *number == 0
}

/// Parties that the details name.
pub(crate) type Named<'a> = (Option<&'a ExternalId>, Option<&'a Merchant>);

impl Details {
    /// Returns the card and the merchant that a message names.
    pub(crate) fn named(details: Option<&Self>) -> Named<'_> {
        let merchant = details.and_then(|details| details.merchant.as_ref());
        (details.and_then(|details| details.card_id.as_ref()), merchant)
    }

    /// Returns the type of the transaction that a message states.
    pub(crate) fn type_of(details: Option<&Self>) -> Option<TransactionType> {
        details.and_then(|details| details.transaction_type)
    }

    /// Returns the details, unless they state nothing.
    #[must_use]
    pub fn stated(self) -> Option<Box<Self>> {
        (self != Self::default()).then(|| Box::new(self))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_holds_no_data_of_the_card() {
        for (text, what) in [
            (";4111111111111111=29121010000", "a track"),
            ("T1 4111111111111111", "a card's number"),
            ("5555 5555 5555 4444 1229", "a card's number"),
        ] {
            let refused = FieldText::try_from(text.to_owned()).unwrap_err();
            assert_eq!(refused, InvalidFieldText::Forbidden(what));
            assert!(!refused.to_string().contains("1111"), "{refused}");
        }
        for text in ["004711", "40000001", "633212004711", "TERMID01  "] {
            assert_eq!(FieldText::try_from(text.to_owned()).unwrap().as_str(), text.trim_end());
        }
        assert_eq!(FieldText::try_from(" ".to_owned()), Err(InvalidFieldText::Form));
    }
}
