//! Identities of messages and payments, each with its scope.
//!
//! | identity | scope |
//! |---|---|
//! | a payment | network, the network's id, and for Mastercard the processing day, because its ids repeat |
//! | a message, in the inbox | kind, account, payment, the message's id |
//! | a refund, on the account | the payment, the message's id |
//! | a refund whose payment is not known | the same, as an id of its own |
//!
//! A message without the network's id has the id that follows from its account and the numbers of its original: acquirer,
//! STAN, retrieval reference, and the second in which it was sent. Alone, none of these is unique. If a reversal lacks the
//! id and its authorization had it, the account knows by these numbers which hold it is of.

use clearfold_domain::network::{FieldText, Network, Numbers};
use clearfold_kernel::ExternalId;

use crate::message::{Kind, Message};

/// Longest id of the network. With what is put before it (`refund-mastercard-2026-11-22-` at most), it becomes one of our
/// ids, which have at most 128 characters.
const LONGEST: usize = 99;
/// Most characters of an idempotency key, which the host limits to 255, without those of [`too_late`](crate::translate).
const LONGEST_KEY: usize = 220;

/// Checks that the message's payment has an id, and that the message's own fits behind it.
pub fn check(message: &Message) -> Result<(), String> {
    match known_id(message) {
        Some(id) if clearfold_edge_kit::is_id(id, LONGEST) => {}
        Some(_) => return Err(format!("transaction_id has 1 to {LONGEST} letters, digits, and - _ .")),
        None => traced(message).map(drop)?,
    }
    let longest = idempotency_key(message, Kind::Authorization).len();
    if longest > LONGEST_KEY {
        let over = longest - LONGEST_KEY;
        return Err(format!("transaction_id and message_id are {over} characters too long together"));
    }
    Ok(())
}

/// Returns our id of the payment. The question for a credit has an id of its own: the credit comes under the same id of
/// the network, and is no refund of the question.
pub fn payment_id(message: &Message, kind: Kind) -> String {
    let network = match message.network {
        Network::Visa => "visa",
        Network::Mastercard => "mastercard",
    };
    // `check` has made sure that there is one of the two.
    let payment_id = match (known_id(message), &message.processing_day, message.network) {
        (Some(id), Some(day), Network::Mastercard) => format!("{network}-{}-{id}", day.as_str()),
        (Some(id), _, _) => format!("{network}-{id}"),
        (None, _, _) => {
            let numbers = traced(message).map_or_else(|_| network.to_owned(), |numbers| numbers.to_string());
            format!("trace-{numbers}-{}", scope(message))
        }
    };
    if message.asks_for_credit(kind) { format!("refund-{payment_id}") } else { payment_id }
}

/// Returns the beginning of the account, which tells two customers with equal numbers apart.
fn scope(message: &Message) -> String {
    message.account.to_string().chars().skip("0x".len()).take(16).collect()
}

/// Returns our id of a refund with this record that stands alone. The length of the payment's id keeps two that are joined
/// apart, and what our ids do not have is written as a point and its code.
pub fn refund_alone(message: &Message, record: &ExternalId) -> Result<String, String> {
    let payment_id = payment_id(message, Kind::Refund);
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    let written =
        |byte: u8| if is_plain(byte) { char::from(byte).to_string() } else { format!(".{byte:02x}") };
    let record: String = record.as_str().bytes().map(written).collect();
    let alone = format!("alone-{}-{payment_id}-{record}", payment_id.len());
    match alone.len().checked_sub(ExternalId::MAX_LENGTH) {
        None | Some(0) => Ok(alone),
        Some(over) => {
            Err(format!("transaction_id and the refund's message_id are {over} characters too long together"))
        }
    }
}

/// Returns the idempotency key of the command that a message becomes.
pub fn idempotency_key(message: &Message, kind: Kind) -> String {
    let payment_id = payment_id(message, kind);
    format!("network/{}/{}/{payment_id}/{}", kind.as_str(), message.account, message.message_id)
}

/// Returns the numbers by which the account knows the hold that a reversal is of: one that lacks the network's id. Where it
/// is the answer to a question for a credit, nothing is held.
pub fn asked_by(message: &Message, kind: Kind) -> Option<ExternalId> {
    let is_nameless = known_id(message).is_none() && !message.asks_for_credit(kind);
    (kind == Kind::Reversal && is_nameless).then(|| traced(message).ok()).flatten()
}

/// Returns the network's id of the payment. Zeros stand for one that is not known, and would be one payment for all.
fn known_id(message: &Message) -> Option<&str> {
    let id = message.transaction_id.as_deref()?;
    let is_unknown = !id.is_empty() && id.bytes().all(|byte| byte == b'0');
    (!is_unknown).then_some(id)
}

fn missing(field: &str) -> String {
    format!(
        "transaction_id is missing or zero; without it {field} is needed, of the message that this one is about: \
         acquirer, stan, retrieval_reference and original.transmitted_at tell which payment it is"
    )
}

/// Returns a number that a message without the network's id needs.
fn number<'a>(field: &str, number: Option<&'a FieldText>) -> Result<&'a str, String> {
    let number = number.ok_or_else(|| missing(field))?.as_str();
    if Numbers::is_number(number) {
        return Ok(number);
    }
    let longest = Numbers::LONGEST;
    Err(format!("{field} has 1 to {longest} letters and digits, if there is no transaction_id"))
}

/// Returns the numbers by which a message is known that has no id of the payment: its original's, or its own if it has no
/// original. A reversal repeats the STAN and the retrieval reference, but it is sent later.
fn traced(message: &Message) -> Result<ExternalId, String> {
    let original = message.original.clone().unwrap_or_default();
    let sent_at = match (&message.original, message.cause) {
        (Some(original), _) => original.transmitted_at,
        (None, None) => Some(message.transmitted_at),
        (None, Some(_)) => None,
    };
    let acquirer = original.acquirer.as_ref().or(message.acquirer.as_ref());
    let stan = original.stan.as_ref().or(message.stan.as_ref());
    let numbers = Numbers {
        network: message.network,
        acquirer: number("acquirer", acquirer)?,
        stan: number("stan", stan)?,
        retrieval_reference: number("retrieval_reference", message.retrieval_reference.as_ref())?,
        sent_at: sent_at.ok_or_else(|| missing("original.transmitted_at"))?,
    };
    numbers.written().ok_or_else(|| "the numbers of the message are too long together".to_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn read(fields: &Value) -> Result<Message, String> {
        let mut message = json!({
            "message_id": "m-1", "network": "mastercard", "transmitted_at": "2026-11-22T10:00:00.250Z",
            "account": "0x1111111111111111111111111111111111111111",
        });
        message.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        Message::read(Kind::Clearing, message.to_string().as_bytes())
    }

    fn id(kind: Kind, fields: &Value) -> String {
        payment_id(&read(fields).unwrap(), kind)
    }

    #[test]
    fn mastercards_reference_has_its_day() {
        let of = |day: &str| json!({"transaction_id": "MCC123456", "processing_day": day});
        assert_eq!(id(Kind::Clearing, &of("2026-11-22")), "mastercard-2026-11-22-MCC123456");
        assert_ne!(id(Kind::Clearing, &of("2026-11-22")), id(Kind::Clearing, &of("2027-11-22")));
        assert_eq!(id(Kind::Clearing, &json!({"transaction_id": "MCC123456"})), "mastercard-MCC123456");
        let visa = json!({"network": "visa", "transaction_id": "1", "processing_day": "2026-11-22"});
        assert_eq!(id(Kind::Clearing, &visa), "visa-1", "Visa's do not repeat");
        for odd in ["1122", "2026-13-01", "2026-11-22T", ""] {
            assert!(read(&of(odd)).unwrap_err().contains("is no day"), "{odd}");
        }
    }

    #[test]
    fn a_reversal_without_the_id_is_known_by_the_numbers_of_its_original() {
        let asked = json!({"acquirer": "40000001", "stan": "004711", "retrieval_reference": "632610004711"});
        let traced = "trace-mastercard-40000001-004711-632610004711-1795341600-1111111111111111";
        assert_eq!(id(Kind::Authorization, &asked), traced);
        let mut of_another = asked.clone();
        of_another["account"] = json!("0x2222222222222222222222222222222222222222");
        assert_ne!(id(Kind::Clearing, &of_another), traced, "equal numbers of two customers");
        let mut reversal = asked.clone();
        reversal["transmitted_at"] = json!("2026-11-22T10:00:30.000Z");
        reversal["cause"] = json!("timeout");
        reversal["transaction_id"] = json!("000000000");
        assert!(read(&reversal).unwrap_err().contains("original.transmitted_at is needed"));
        reversal["original"] = json!({"transmitted_at": "2026-11-22T10:00:00.000Z", "message_type": "0100"});
        assert_eq!(id(Kind::Reversal, &reversal), traced);
        reversal["original"]["acquirer"] = json!("40000002");
        assert_ne!(id(Kind::Reversal, &reversal), traced, "another acquirer's numbers");
        for field in ["acquirer", "stan", "retrieval_reference"] {
            let mut without = asked.clone();
            without.as_object_mut().unwrap().remove(field);
            assert!(read(&without).unwrap_err().contains(field));
            without[field] = json!("a-b");
            assert!(read(&without).unwrap_err().contains("letters and digits"));
        }
    }

    #[test]
    fn a_reversal_without_the_id_asks_for_the_hold_of_its_request() {
        let numbers =
            json!({"acquirer": "40000001", "stan": "004711", "retrieval_reference": "632610004711"});
        let with = |more: Value| {
            let mut fields = numbers.clone();
            fields.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            read(&fields).unwrap()
        };
        let request = with(json!({"transaction_id": "MCC123456"}));
        let details = crate::details::of(Kind::Authorization, &request).unwrap();
        let held_for =
            Numbers::of(request.network, details.as_deref(), request.transmitted_at).unwrap().written();
        let original =
            json!({"original": {"transmitted_at": "2026-11-22T10:00:00.000Z"}, "cause": "timeout"});
        let reversal = with(original);
        assert!(held_for.is_some());
        assert_eq!(asked_by(&reversal, Kind::Reversal), held_for);
        assert_eq!(asked_by(&reversal, Kind::Clearing), None);
        assert_eq!(asked_by(&request, Kind::Reversal), None, "the network's id says it");
        let of_credit =
            Message { processing_code: Some("200000".to_owned().try_into().unwrap()), ..reversal };
        assert_eq!(asked_by(&of_credit, Kind::Reversal), None, "a question for a credit holds nothing");
    }

    #[test]
    fn a_cards_number_is_no_id_of_it_and_is_truncated_in_the_merchants_name() {
        for number in ["4111111111111111", "4111-1111-1111-1111"] {
            let refused = read(&json!({"card": number})).unwrap_err();
            assert!(refused.contains("our id of the card") && !refused.contains("1111"), "{refused}");
        }
        assert!(read(&json!({"transaction_id": "t", "card": "c-4111111111111111-f"})).is_ok());
        let merchant =
            json!({"id": "m", "name": "Shop 4111111111111111", "category": "5812", "country": "DE"});
        let read = read(&json!({"transaction_id": "t", "merchant": merchant})).unwrap();
        assert_eq!(read.merchant.unwrap().name, "Shop 411111******1111");
    }

    #[test]
    fn ids_that_do_not_fit_are_refused() {
        assert!(read(&json!({"transaction_id": "t".repeat(99)})).is_ok());
        let long = json!({"transaction_id": "t".repeat(99), "message_id": "m".repeat(100)});
        assert!(read(&long).unwrap_err().contains("too long together"));
        for odd in ["", "a/b", &"t".repeat(100)] {
            assert!(
                read(&json!({"transaction_id": odd})).unwrap_err().contains("transaction_id has"),
                "{odd}"
            );
        }
    }

    #[test]
    fn refunds_that_stand_alone_do_not_meet() {
        let of = |transaction_id: &str, record: &str| {
            let message = read(&json!({"network": "visa", "transaction_id": transaction_id})).unwrap();
            refund_alone(&message, &ExternalId::try_from(record.to_owned()).unwrap())
        };
        let ids = [("t", "1-1"), ("t-1", "1"), ("t", "1/1"), ("t", "1.2f1"), ("t", "1.1")];
        let ids: std::collections::BTreeSet<_> =
            ids.iter().map(|(transaction, record)| of(transaction, record).unwrap()).collect();
        assert_eq!(ids.len(), 5);
        assert!(ids.iter().all(|id| clearfold_edge_kit::is_id(id, ExternalId::MAX_LENGTH)), "{ids:?}");
        assert!(of("t", &"/".repeat(60)).unwrap_err().contains("too long together"));
    }

    #[test]
    fn equal_numbers_of_two_messages_do_not_meet() {
        let of = |fields: Value| {
            let message = read(&fields).unwrap();
            [Kind::Authorization, Kind::Clearing, Kind::Refund].map(|kind| idempotency_key(&message, kind))
        };
        let other = "0x2222222222222222222222222222222222222222";
        let keys = [
            of(json!({"transaction_id": "t-1"})),
            of(json!({"transaction_id": "t-2"})),
            of(json!({"transaction_id": "t-1", "account": other})),
            of(json!({"transaction_id": "t-1", "network": "visa"})),
            of(json!({"transaction_id": "t-1", "processing_day": "2026-11-22"})),
        ]
        .concat();
        let unique: std::collections::BTreeSet<_> = keys.iter().collect();
        assert_eq!(unique.len(), keys.len());
    }
}
