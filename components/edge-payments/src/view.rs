//! What the host says of a payment becomes what the customer sees of it.

use crate::reply::{PROBLEM, Reply};
use serde::{Deserialize, Serialize};
use spin_sdk::http::StatusCode;

/// The customer's view. Fields that the host sends beside these are dropped by not being named here, so a
/// field that the host adds tomorrow is not shown by accident.
#[derive(Deserialize, Serialize)]
struct Payment {
    id: String,
    status: String,
    amount: Amount,
    occurred_at: String,
    updated_at: String,
}

#[derive(Deserialize, Serialize)]
struct Amount {
    /// A decimal string: these numbers do not fit the numbers of JSON.
    minor: String,
    decimals: u8,
    asset: String,
    display: String,
}

/// The reply that follows from the host's answer to "payment `id`".
///
/// The host's own "not found" is passed on as it is. Any other answer than the payment asked for is the
/// host's fault, not the customer's.
pub fn reply(id: &str, status: StatusCode, content_type: &str, body: &[u8]) -> Reply {
    match status {
        StatusCode::OK => match serde_json::from_slice::<Payment>(body) {
            Ok(payment) if payment.id == id => Reply::json(StatusCode::OK, &payment),
            Ok(_) => unexpected("another payment"),
            Err(error) => unexpected(&format!("a payment that cannot be read: {error}")),
        },
        StatusCode::NOT_FOUND if is_problem(content_type) => match std::str::from_utf8(body) {
            Ok(body) => Reply { status, content_type: PROBLEM, allow: None, body: body.to_owned() },
            Err(_) => unexpected("text that is not UTF-8"),
        },
        other => unexpected(&format!("status {other}")),
    }
}

fn unexpected(what: &str) -> Reply {
    let detail = format!("The payment service answered with {what}. Try again later.");
    Reply::problem(StatusCode::BAD_GATEWAY, detail)
}

fn is_problem(content_type: &str) -> bool {
    content_type.split(';').next().is_some_and(|essence| essence.trim().eq_ignore_ascii_case(PROBLEM))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reply::JSON;
    use serde_json::{Value, json};

    const ID: &str = "00112233445566778899aabbccddeeff";

    fn payment() -> Value {
        json!({
            "id": ID, "account": "0x1111111111111111111111111111111111111111", "status": "cleared",
            "amount": {"minor": "8500000000000000000", "decimals": 18, "asset": "EURe", "display": "8.50 EURe"},
            "source": {"chain_id": 100}, "timeline": [{"type": "SwipeRecorded"}],
            "occurred_at": "2026-01-02T03:04:05Z", "updated_at": "2026-01-02T03:04:15Z",
        })
    }

    fn read(reply: &Reply) -> Value {
        serde_json::from_str(&reply.body).expect("JSON")
    }

    #[test]
    fn a_payment_loses_its_account_source_and_timeline() {
        let reply = reply(ID, StatusCode::OK, JSON, payment().to_string().as_bytes());
        let mut expected = payment();
        for field in ["account", "source", "timeline"] {
            expected.as_object_mut().expect("an object").remove(field);
        }
        assert_eq!((reply.status, reply.content_type, read(&reply)), (StatusCode::OK, JSON, expected));
    }

    #[test]
    fn the_hosts_not_found_is_passed_on_byte_for_byte() {
        let body = r#"{ "type":"about:blank", "status":404, "instance":"/v1/payments/x" }"#;
        let content_type = "application/problem+json; charset=utf-8";
        let reply = reply(ID, StatusCode::NOT_FOUND, content_type, body.as_bytes());
        assert_eq!((reply.status, reply.body.as_str()), (StatusCode::NOT_FOUND, body));
    }

    #[test]
    fn any_other_answer_is_the_hosts_fault() {
        let mut number = payment();
        number["amount"]["minor"] = json!(8500);
        let mut other = payment();
        other["id"] = json!("ffffffffffffffffffffffffffffffff");
        for (status, content_type, body) in [
            (StatusCode::OK, JSON, number.to_string()),
            (StatusCode::OK, JSON, other.to_string()),
            (StatusCode::OK, "text/html", "<html>".to_owned()),
            (StatusCode::NOT_FOUND, "text/html", "<html>".to_owned()),
            (StatusCode::INTERNAL_SERVER_ERROR, PROBLEM, "{}".to_owned()),
            (StatusCode::FOUND, "", String::new()),
        ] {
            let reply = reply(ID, status, content_type, body.as_bytes());
            assert_eq!((reply.status, reply.content_type), (StatusCode::BAD_GATEWAY, PROBLEM), "{body}");
            assert_eq!(read(&reply)["title"], "Bad Gateway");
        }
    }
}
