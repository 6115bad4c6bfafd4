//! Answers in the network's terms: an action and a response code (field 39 of ISO 8583).
//!
//! Which reason is which code is the domain's table (`policy/response_code.rs`).

use clearfold_domain::bookings;
use clearfold_domain::policy::response_code::{self, Asked};
use clearfold_kernel::Minor;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::message::{Message, Money};
use crate::translate::network_money;

/// Answer to the network.
#[derive(Debug, Serialize)]
pub struct Answer {
    message_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    transaction_id: Option<String>,
    action: Action,
    response_code: &'static str,
    /// Reason in the domain's terms, for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// Amount that is held, if any.
    #[serde(skip_serializing_if = "Option::is_none")]
    approved: Option<Money>,
    /// Names of the fields that we do not know; they are kept.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    unknown: Vec<String>,
    /// Names of such fields that are too many, too long or too deep to be kept: the first of them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    not_kept: Vec<String>,
}

#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "snake_case")]
enum Action {
    Approved,
    PartiallyApproved,
    Declined,
    /// An advice, reversal or clearing was recorded in the log.
    Recorded,
    /// The message was refused; a repeat would be refused again.
    Refused,
}

/// Most names of fields that are not kept in one answer.
const MOST_NAMES: usize = 16;

/// Events of a payment that say what the network is to hear.
pub const AWAITED: [&str; 12] = [
    "AuthorizationApproved",
    "AuthorizationPartiallyApproved",
    "AuthorizationDeclined",
    "IncrementRequested",
    "HoldIncreased",
    "IncrementDeclined",
    "AdviceRecorded",
    "AuthorizationReversed",
    "AuthorizationExpired",
    "ClearingPosted",
    "ClearingReversed",
    "ForcePosted",
];

/// The fields used here of the host's answer to a command that waits.
#[derive(Debug, Deserialize)]
pub struct Answered {
    /// Awaited events of the payment, in order.
    awaited: Vec<Event>,
}

#[derive(Debug, Clone, Deserialize)]
struct Event {
    #[serde(rename = "type")]
    kind: String,
    data: Value,
}

#[derive(Debug, Deserialize)]
struct Units {
    minor: Minor,
}

/// First decision on the network's request, by us or by the stand-in.
enum Decision {
    Held(Minor),
    Declined(String),
}

impl Answered {
    /// Returns the first decision, which is the answer to every repeat: the amount held by now may be higher, because
    /// of increments and advices, or lower. `None` if nobody ever decided.
    fn first_decision(&self) -> Option<Decision> {
        self.awaited.iter().find_map(Event::decision)
    }

    fn has(&self, is: impl Fn(&Event) -> bool) -> bool {
        self.awaited.iter().any(is)
    }

    /// Returns true if the message became an increment: it was sent as one, or the payment had been asked for before.
    pub fn is_increment(&self, message: &Message) -> bool {
        self.has(|event| event.is_about(message))
    }

    /// Returns the decision on the increment that the message asked for, with what came after it.
    fn increment(&self, message: &Message) -> Option<(Decision, Self)> {
        let decision = |event: &Event| event.increment().filter(|_| event.is_about(message));
        let (place, decision) =
            self.awaited.iter().enumerate().find_map(|(place, event)| Some((place, decision(event)?)))?;
        let after = self.awaited.get(place..).unwrap_or_default().to_vec();
        Some((decision, Self { awaited: after }))
    }

    /// Returns why nothing is held any more; `None` if something is, or was claimed and not taken back.
    fn gone(&self) -> Option<&'static str> {
        if self.has(|event| event.kind == "ClearingPosted") {
            return self.is_taken_back().then_some("reversed");
        }
        let is_expiry = |event: &Event| event.kind == "AuthorizationExpired";
        let is_full_reversal =
            |event: &Event| event.kind == "AuthorizationReversed" && event.data["full"] == true;
        if self.has(is_full_reversal) {
            return Some("reversed");
        }
        self.has(is_expiry).then_some("expired")
    }

    /// Returns true if the network took back all that it claimed by single messages. What is claimed by a record of its own
    /// may leave a part held, and may be presented again.
    fn is_taken_back(&self) -> bool {
        let sum = |kind: &str, minor: fn(&Event) -> u128| {
            let events =
                self.awaited.iter().filter(|event| event.kind == kind && event.is_of_single_message());
            // No account holds as much.
            events.map(minor).fold(0, u128::saturating_add)
        };
        let claimed = sum("ClearingPosted", |event| {
            event.minor("/against_hold").saturating_add(event.minor("/beyond_hold"))
        });
        let taken = sum("ClearingReversed", |event| event.minor("/amount/minor"));
        taken > 0 && taken >= claimed
    }
}

impl Event {
    /// Returns the minor units at that place; none is nothing.
    fn minor(&self, place: &str) -> u128 {
        let stated = self.data.pointer(place).and_then(|stated| Minor::deserialize(stated).ok());
        stated.map_or(0, Minor::get)
    }

    /// Returns true if it is of a clearing that a single message was.
    fn is_of_single_message(&self) -> bool {
        self.data["clearing_id"].as_str().is_some_and(bookings::is_presented)
    }

    /// Returns true if it is one of the increment that the message asked for.
    fn is_about(&self, message: &Message) -> bool {
        let is_of_increment =
            ["IncrementRequested", "HoldIncreased", "IncrementDeclined"].contains(&self.kind.as_str());
        is_of_increment && self.data["message_id"] == message.message_id.as_str()
    }

    fn increment(&self) -> Option<Decision> {
        match self.kind.as_str() {
            "HoldIncreased" => {
                Units::deserialize(&self.data["amount"]).ok().map(|added| Decision::Held(added.minor))
            }
            "IncrementDeclined" => {
                let reason = self.data["reason"].as_str().unwrap_or("system_error");
                Some(Decision::Declined(reason.to_owned()))
            }
            _ => None,
        }
    }

    fn decision(&self) -> Option<Decision> {
        match self.kind.as_str() {
            "AuthorizationApproved" | "AuthorizationPartiallyApproved" | "AdviceRecorded" => {
                Units::deserialize(&self.data["amount"]).ok().map(|held| Decision::Held(held.minor))
            }
            "AuthorizationDeclined" => {
                let reason = self.data["reason"].as_str().unwrap_or("system_error");
                Some(Decision::Declined(reason.to_owned()))
            }
            _ => None,
        }
    }
}

impl Answer {
    /// Returns the answer that follows from the log; `None` while the payment is not decided. If nothing is held any
    /// more, the answer is not "approved", whatever it was before.
    pub fn decided(message: &Message, answered: &Answered) -> Option<Self> {
        let first = answered.first_decision();
        match (first, answered.gone()) {
            (Some(Decision::Declined(reason)), _) => Some(Self::declined(message, &reason)),
            (_, Some(gone)) => Some(Self::declined(message, gone)),
            (Some(Decision::Held(_)), None) if message.is_credit() => {
                Some(Self { action: Action::Approved, response_code: "00", ..Self::of(message) })
            }
            (Some(Decision::Held(minor)), None) => Some(Self::approved(message, minor)),
            // Claimed before anybody decided, so nothing was ever held for it.
            (None, None) => answered
                .has(|event| event.kind == "ForcePosted")
                .then(|| Self::declined(message, "nothing_held")),
        }
    }

    /// Returns the answer to an increment that follows from the log; `None` while it is not decided. An increment is
    /// approved as it was stated, or declined.
    pub fn increment_decided(message: &Message, answered: &Answered) -> Option<Self> {
        let (decision, after) = answered.increment(message)?;
        Some(match (decision, after.gone()) {
            (Decision::Declined(reason), _) => Self::declined(message, &reason),
            (Decision::Held(_), Some(gone)) => Self::declined(message, gone),
            (Decision::Held(_), None) => {
                let (approved, action) = (message.amount.clone(), Action::Approved);
                Self { action, response_code: "00", approved, ..Self::of(message) }
            }
        })
    }

    fn approved(message: &Message, held: Minor) -> Self {
        // A message without an amount, or in a currency that no asset stands for, never became a request.
        let asked = message.amount.clone();
        let Some((held, asked)) = asked.and_then(|asked| Some((network_money(held, &asked).ok()?, asked)))
        else {
            return Self::declined(message, "system_error");
        };
        if asked.minor == Minor::ZERO {
            // "No reason to decline": a card that was verified.
            return Self { action: Action::Approved, response_code: "85", ..Self::of(message) };
        }
        if held.minor == Minor::ZERO {
            // The amount is less than the currency's smallest unit, so the network has no number for it.
            return Self::declined(message, "approval_too_small");
        }
        let (action, response_code, approved) = if held.minor < asked.minor {
            (Action::PartiallyApproved, "10", held)
        } else {
            (Action::Approved, "00", asked)
        };
        Self { action, response_code, approved: Some(approved), ..Self::of(message) }
    }

    pub fn declined(message: &Message, reason: &str) -> Self {
        let asked = if message.is_credit() { Asked::Refund } else { Asked::Payment };
        let response_code = response_code::of(message.network, asked, reason);
        let reason = Some(reason.to_owned());
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
            unknown: message.unknown.kept.iter().map(|(name, _)| name.to_owned()).collect(),
            not_kept: message.unknown.left_out.iter().take(MOST_NAMES).cloned().collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use clearfold_domain::network::TransactionType;
    use serde_json::json;

    use super::*;
    use crate::message::Kind;

    fn message() -> Message {
        let message = json!({
            "message_id": "m-1", "transaction_id": "t-1", "network": "visa", "card": "card-1",
            "account": "0x1111111111111111111111111111111111111111", "transmitted_at": "2026-11-22T10:00:00.000Z",
            "amount": {"minor": "1250", "currency": "EUR", "exponent": 2},
        });
        serde_json::from_value(message).unwrap()
    }

    /// Creates an event with an amount in hundredths.
    fn event(kind: &str, hundredths: u64) -> Value {
        json!({"type": kind, "data": {"amount": {"minor": format!("{hundredths}0000000000000000"),
               "decimals": 18, "asset": "EURe"}}})
    }

    fn declined(reason: &str) -> Value {
        json!({"type": "AuthorizationDeclined", "data": {"reason": reason}})
    }

    fn reversed(is_full: bool) -> Value {
        json!({"type": "AuthorizationReversed", "data": {"full": is_full}})
    }

    fn of(kind: &str) -> Value {
        json!({"type": kind, "data": {}})
    }

    /// Returns action, response code, reason and amount of the answer to those awaited events.
    fn said(awaited: &[Value]) -> Option<Value> {
        let answered = serde_json::from_value(json!({"awaited": awaited})).unwrap();
        let answer = json!(Answer::decided(&message(), &answered)?);
        let fields =
            [&answer["action"], &answer["response_code"], &answer["reason"], &answer["approved"]["minor"]];
        Some(json!(fields))
    }

    #[test]
    fn every_decision_has_its_answer() {
        let whole = || event("AuthorizationApproved", 1_250);
        let approved = Some(json!(["approved", "00", null, "1250"]));
        let refused = |code: &str, reason: &str| Some(json!(["declined", code, reason, null]));
        assert_eq!(said(&[]), None);
        assert_eq!(said(&[whole()]), approved);
        let in_part = Some(json!(["partially_approved", "10", null, "500"]));
        assert_eq!(said(&[event("AuthorizationPartiallyApproved", 500)]), in_part);
        assert_eq!(said(&[declined("velocity")]), refused("65", "velocity"));
        // A part is still held, or something was claimed.
        assert_eq!(said(&[whole(), reversed(false)]), approved);
        for then in ["AuthorizationExpired", "AuthorizationReversed"] {
            let mut after = of(then);
            after["data"]["full"] = json!(true);
            assert_eq!(said(&[whole(), of("ClearingPosted"), after.clone()]), approved, "{then}");
            assert_eq!(said(&[whole(), after, of("ClearingPosted")]), approved, "{then}");
        }
        // The hold has ended.
        assert_eq!(said(&[whole(), reversed(true)]), refused("05", "reversed"));
        assert_eq!(said(&[whole(), of("AuthorizationExpired")]), refused("05", "expired"));
        // Reversed before anybody decided.
        assert_eq!(said(&[reversed(true)]), refused("05", "reversed"));
        assert_eq!(said(&[reversed(true), declined("timeout")]), refused("91", "timeout"));
        // Claimed although it was declined, or before any decision.
        assert_eq!(said(&[declined("card_frozen"), of("ForcePosted")]), refused("62", "card_frozen"));
        assert_eq!(said(&[of("ForcePosted")]), refused("05", "nothing_held"));
    }

    #[test]
    fn a_repeat_hears_the_first_decision_whatever_is_held_by_now() {
        let part = || event("AuthorizationPartiallyApproved", 500);
        let promised = || event("AdviceRecorded", 1_250);
        let in_part = Some(json!(["partially_approved", "10", null, "500"]));
        assert_eq!(said(&[part(), promised()]), in_part);
        // The stand-in approved it after we had declined, or before we decided.
        let first = said(&[declined("timeout"), promised()]);
        assert_eq!(first, Some(json!(["declined", "91", "timeout", null])));
        assert_eq!(said(&[promised()]), Some(json!(["approved", "00", null, "1250"])));
    }

    #[test]
    fn a_single_message_is_approved_until_all_of_it_is_taken_back() {
        let of = |clearing_id: &str, mut event: Value| {
            event["data"]["clearing_id"] = json!(clearing_id);
            event
        };
        let claim = |minor: &str| json!({"type": "ClearingPosted", "data": {"against_hold": minor, "beyond_hold": "0"}});
        let claimed = || of("single-message/m-1", claim("12500000000000000000"));
        let whole = || event("AuthorizationApproved", 1_250);
        let back = |hundredths| of("single-message/m-1", event("ClearingReversed", hundredths));
        let approved = Some(json!(["approved", "00", null, "1250"]));
        assert_eq!(said(&[whole(), claimed()]), approved);
        // The machine paid out less.
        assert_eq!(said(&[whole(), claimed(), back(250)]), approved);
        let reversed = Some(json!(["declined", "05", "reversed", null]));
        assert_eq!(said(&[whole(), claimed(), back(250), back(1_000)]), reversed);
        // The first part of several was claimed by a record of its own, so the rest is still held.
        let part = of("c-1", claim("4000000000000000000"));
        assert_eq!(said(&[whole(), part, of("c-1", event("ClearingReversed", 400))]), approved);
    }

    #[test]
    fn a_verified_card_has_no_reason_to_be_declined() {
        let message =
            Message { amount: Some(Money { minor: Minor::ZERO, ..message().amount.unwrap() }), ..message() };
        let said = |event: Value| {
            let answered = serde_json::from_value(json!({"awaited": [event]})).unwrap();
            let answer = json!(Answer::decided(&message, &answered).unwrap());
            json!([answer["action"], answer["response_code"], answer["approved"]])
        };
        let approved = json!({"type": "AuthorizationApproved", "data": {"amount": {"minor": "0"}}});
        assert_eq!(said(approved), json!(["approved", "85", null]));
        assert_eq!(said(declined("card_frozen")), json!(["declined", "62", null]));
    }

    #[test]
    fn an_increment_hears_its_own_decision_and_what_ended_it() {
        let of = |mut event: Value, message_id: &str| {
            event["data"]["message_id"] = json!(message_id);
            event
        };
        let increased = |message_id| of(event("HoldIncreased", 1_250), message_id);
        let refused = |message_id| {
            of(json!({"type": "IncrementDeclined", "data": {"reason": "insufficient_funds"}}), message_id)
        };
        let said = |awaited: &[Value]| {
            let answered: Answered = serde_json::from_value(json!({"awaited": awaited})).unwrap();
            let answer = json!(Answer::increment_decided(&message(), &answered)?);
            Some(json!([
                answer["action"],
                answer["response_code"],
                answer["reason"],
                answer["approved"]["minor"]
            ]))
        };
        let whole = || event("AuthorizationApproved", 1_250);
        let approved = Some(json!(["approved", "00", null, "1250"]));
        assert_eq!(said(&[whole(), increased("m-0"), refused("m-2")]), None, "those are others'");
        assert_eq!(said(&[whole(), refused("m-0"), increased("m-1")]), approved);
        let declined = Some(json!(["declined", "51", "insufficient_funds", null]));
        assert_eq!(said(&[whole(), increased("m-0"), refused("m-1"), reversed(true)]), declined);
        let gone = Some(json!(["declined", "05", "reversed", null]));
        assert_eq!(said(&[whole(), increased("m-1"), reversed(true)]), gone);
        // An advice opened the payment again before it was incremented.
        let again = [whole(), reversed(true), event("AdviceRecorded", 1_250), increased("m-1")];
        assert_eq!(said(&again), approved);
    }

    #[test]
    fn a_further_request_of_the_same_payment_is_an_increment() {
        let answered =
            |awaited: &[Value]| -> Answered { serde_json::from_value(json!({"awaited": awaited})).unwrap() };
        let of = |kind: &str, message_id: &str| {
            let mut event = event(kind, 1_250);
            event["data"]["message_id"] = json!(message_id);
            event
        };
        let whole = || event("AuthorizationApproved", 1_250);
        assert!(!answered(&[whole(), of("IncrementRequested", "m-0")]).is_increment(&message()));
        // Also if it came by the increments' route before, and is not decided yet.
        let undecided = answered(&[whole(), of("IncrementRequested", "m-1")]);
        assert!(undecided.is_increment(&message()));
        assert!(Answer::increment_decided(&message(), &undecided).is_none());
        let decided = answered(&[whole(), of("IncrementRequested", "m-1"), of("HoldIncreased", "m-1")]);
        assert!(Answer::increment_decided(&message(), &decided).is_some());
    }

    #[test]
    fn a_question_for_a_credit_hears_what_its_network_allows() {
        let message = Message { transaction_type: Some(TransactionType::Refund), ..message() };
        let said = |event: Value| {
            let answered = serde_json::from_value(json!({"awaited": [event]})).unwrap();
            let answer = json!(Answer::decided(&message, &answered).unwrap());
            json!([answer["action"], answer["response_code"], answer["approved"]])
        };
        let approved = json!({"type": "AuthorizationApproved", "data": {"amount": {"minor": "0"}}});
        assert_eq!(said(approved), json!(["approved", "00", null]));
        assert_eq!(said(declined("card_closed")), json!(["declined", "46", null]));
        assert_eq!(said(declined("card_frozen")), json!(["declined", "12", null]));
    }

    #[test]
    fn an_answer_names_what_was_not_understood() {
        let body = json!({
            "message_id": "m-1", "transaction_id": "t-1", "network": "visa", "future": "x", "deep": {"a": {"b": {"c": {}}}},
            "account": "0x1111111111111111111111111111111111111111", "transmitted_at": "2026-11-22T10:00:00.000Z",
            "wide": {"a": {"b": {"c": {"d": 1}}}},
        });
        let answer =
            json!(Answer::recorded(&Message::read(Kind::Clearing, body.to_string().as_bytes()).unwrap()));
        assert_eq!(answer["unknown"], json!(["deep.a.b.c", "future"]));
        assert_eq!(answer["not_kept"], json!(["wide.a.b.c.d"]));
        assert!(json!(Answer::recorded(&message())).get("unknown").is_none());
    }

    #[test]
    fn less_than_the_smallest_unit_is_no_approval() {
        let mut dust = event("AuthorizationPartiallyApproved", 1);
        dust["data"]["amount"]["minor"] = json!("9999999999999999");
        assert_eq!(said(&[dust]), Some(json!(["declined", "05", "approval_too_small", null])));
    }

    #[test]
    fn a_network_hears_its_own_number() {
        let said = |network: &str, reason: &str| {
            let network = serde_json::from_value(json!(network)).unwrap();
            json!(Answer::declined(&Message { network, ..message() }, reason))["response_code"].clone()
        };
        assert_eq!(
            [said("visa", "merchant_category_blocked"), said("mastercard", "merchant_category_blocked")],
            ["5C", "57"]
        );
        assert_eq!([said("visa", "card_closed"), said("mastercard", "card_closed")], ["46", "14"]);
        assert_eq!(said("visa", "a_word_of_tomorrow"), "05");
    }
}
