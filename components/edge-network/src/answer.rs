//! Answers in the network's terms: an action, and a response code as ISO 8583's field 39 has it.
//!
//! The tables are the whole translation: a reason of the domain on the left, the network's code on the right.

use clearfold_kernel::Minor;
use serde::{Deserialize, Serialize};

use crate::message::{Message, Money};
use crate::translate::network_money;

/// What the network hears.
#[derive(Debug, Serialize)]
pub struct Answer {
    message_id: String,
    transaction_id: String,
    action: Action,
    response_code: &'static str,
    /// The domain's word for why; for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// What is held, where that is something.
    #[serde(skip_serializing_if = "Option::is_none")]
    approved: Option<Money>,
}

#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "snake_case")]
enum Action {
    Approved,
    PartiallyApproved,
    Declined,
    /// An advice, reversal or clearing is in the log.
    Recorded,
    /// It was refused, and will be as often as it is sent.
    Refused,
}

/// What the host's read store says of a payment, of all that it says.
#[derive(Debug, Deserialize)]
pub struct Payment {
    status: String,
    authorized: Units,
    decline_reason: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Units {
    minor: Minor,
}

impl Answer {
    /// What the log says of the payment that was asked for; nothing while it is not decided.
    pub fn decided(message: &Message, payment: &Payment) -> Option<Self> {
        match payment.status.as_str() {
            "requested" => None,
            "declined" => {
                Some(Self::declined(message, payment.decline_reason.as_deref().unwrap_or("system_error")))
            }
            // Given back before it was decided: nothing was ever held.
            _ if payment.authorized.minor == Minor::ZERO => Some(Self::declined(message, "reversed")),
            _ => Some(Self::approved(message, payment.authorized.minor)),
        }
    }

    /// Increments count in what was authorized, and not in this message's answer.
    fn approved(message: &Message, authorized: Minor) -> Self {
        let asked = message.amount.clone();
        let held = asked.as_ref().map(|asked| network_money(authorized, asked));
        let is_part = held.as_ref().zip(asked.as_ref()).is_some_and(|(held, asked)| held.minor < asked.minor);
        let (action, response_code) =
            if is_part { (Action::PartiallyApproved, "10") } else { (Action::Approved, "00") };
        let approved = if is_part { held } else { asked };
        Self { action, response_code, approved, ..Self::of(message) }
    }

    pub fn declined(message: &Message, reason: &str) -> Self {
        let (response_code, reason) = (response_code(reason), Some(reason.to_owned()));
        Self { action: Action::Declined, response_code, reason, ..Self::of(message) }
    }

    pub fn recorded(message: &Message) -> Self {
        Self { action: Action::Recorded, response_code: "00", ..Self::of(message) }
    }

    pub fn refused(message: &Message, code: &str) -> Self {
        Self { action: Action::Refused, ..Self::declined(message, code) }
    }

    fn of(message: &Message) -> Self {
        Self {
            message_id: message.message_id.to_string(),
            transaction_id: message.transaction_id.clone(),
            action: Action::Declined,
            response_code: "96",
            reason: None,
            approved: None,
        }
    }
}

/// A decline reason, or a rejection's code, as the network numbers them.
fn response_code(reason: &str) -> &'static str {
    match reason {
        "insufficient_funds" | "delay_queue_not_empty" => "51",
        "card_frozen" => "62",
        "card_closed" | "card_not_issued" => "14",
        "per_transaction_limit" | "daily_limit" => "61",
        "velocity" => "65",
        "merchant_category_blocked" | "country_blocked" => "57",
        "risk_declined" => "59",
        "timeout" | "risk_unavailable" | "no_answer" => "91",
        "system_error" => "96",
        "duplicate_mismatch" | "identity_conflict" | "idempotency_key_reused" => "94",
        "unknown_asset" | "asset_not_held" | "conversion_mismatch" | "account_mismatch" => "12",
        "amount_not_positive" | "amount_too_large" | "amount_too_precise" => "13",
        "malformed_payload" | "invalid_id" => "30",
        "authorization_not_found" => "25",
        // Do not honour: refused, for a reason that the network has no number for.
        _ => "05",
    }
}
