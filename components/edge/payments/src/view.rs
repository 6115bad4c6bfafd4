//! Views: the host's answers, reduced to what the customer may see.
//!
//! Only fields named here are passed on, so a field that the host adds later is not shown by accident. Any unexpected
//! answer is reported as the host's fault, not the customer's.

use crate::route::no_payment;
use clearfold_edge_kit::{Reply, Said};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

#[derive(Deserialize, Serialize)]
struct Payment {
    id: String,
    /// Account of the payment: compared, and not shown.
    #[serde(skip_serializing)]
    account: String,
    status: String,
    amount: Amount,
    occurred_at: String,
    updated_at: String,
}

#[derive(Deserialize, Serialize)]
struct Amount {
    /// Decimal string, because these numbers exceed the precision of JSON numbers.
    minor: String,
    decimals: u8,
    asset: String,
    display: String,
}

#[derive(Deserialize, Serialize)]
struct Page {
    data: Vec<Payment>,
    next_cursor: Option<String>,
}

#[derive(Serialize)]
struct Account {
    id: String,
    balances: Vec<Balance>,
    assets: Vec<Asset>,
}

#[derive(Deserialize)]
struct Spent {
    id: String,
    assets: Vec<Asset>,
}

#[derive(Deserialize, Serialize)]
struct Asset {
    asset: String,
    payment_count: u64,
    spent: Amount,
    cleared: Amount,
    refund_count: u64,
    refunded: Amount,
}

#[derive(Deserialize)]
struct Balances {
    id: String,
    balances: Vec<Balance>,
}

#[derive(Deserialize, Serialize)]
struct Balance {
    asset: String,
    posted: Amount,
    pending: Amount,
    available: Amount,
}

/// Replies with a payment if it belongs to the reader. Without a reader, the account is not checked.
pub fn payment(id: &str, reader: Option<&str>, said: &Said) -> Reply {
    match said.status {
        200 => match read::<Payment>(said) {
            Ok(payment) if payment.id != id => unexpected("another payment"),
            Ok(payment) if reader.is_some_and(|reader| reader != payment.account) => no_payment(),
            Ok(payment) => Reply::json(&payment),
            Err(reply) => reply,
        },
        404 if said.code().as_deref() == Some("payment_not_found") => no_payment(),
        other => unexpected(&format!("status {other}")),
    }
}

/// Replies with a page of the reader's payments. An invalid limit, cursor or status is the customer's error.
pub fn payments(reader: &str, said: &Said) -> Reply {
    match (said.status, said.code()) {
        (200, _) => match read::<Page>(said) {
            Ok(page) if page.data.iter().any(|payment| payment.account != reader) => {
                unexpected("another account's payments")
            }
            Ok(page) => Reply::json(&page),
            Err(reply) => reply,
        },
        (400, Some(code)) => Reply::problem(400, format!("The list cannot be had like that: {code}.")),
        (other, _) => unexpected(&format!("status {other}")),
    }
}

/// Replies with the balances and totals of the reader's account. An account that never paid has no assets yet, and
/// one whose ledger has not begun has no balances.
pub fn account(reader: &str, spent: &Said, balances: &Said) -> Reply {
    let spent = match (spent.status, spent.code().as_deref()) {
        (200, _) => read::<Spent>(spent),
        (404, Some("account_not_found")) => Ok(Spent { id: reader.to_owned(), assets: Vec::new() }),
        (other, _) => Err(unexpected(&format!("status {other}"))),
    };
    let balances = match (balances.status, balances.code().as_deref()) {
        (200, _) => read::<Balances>(balances),
        (404, Some("balances_not_kept")) => Ok(Balances { id: reader.to_owned(), balances: Vec::new() }),
        (other, _) => Err(unexpected(&format!("status {other}"))),
    };
    match (spent, balances) {
        (Ok(spent), Ok(balances)) if spent.id == reader && balances.id == reader => {
            let (balances, assets) = (balances.balances, spent.assets);
            Reply::json(&Account { id: reader.to_owned(), balances, assets })
        }
        (Ok(_), Ok(_)) => unexpected("another account"),
        (Err(reply), _) | (_, Err(reply)) => reply,
    }
}

fn read<T: DeserializeOwned>(said: &Said) -> Result<T, Reply> {
    serde_json::from_slice(&said.body).map_err(|error| unexpected(&format!("what cannot be read: {error}")))
}

fn unexpected(what: &str) -> Reply {
    Reply::problem(502, format!("The payment service answered with {what}. Try again later."))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clearfold_edge_kit::{JSON, PROBLEM};
    use serde_json::{Value, json};

    const ID: &str = "00112233445566778899aabbccddeeff";
    const ACCOUNT: &str = "0x1111111111111111111111111111111111111111";

    fn stored() -> Value {
        json!({
            "id": ID, "account": ACCOUNT, "status": "cleared",
            "amount": {"minor": "8500000000000000000", "decimals": 18, "asset": "EURe", "display": "8.50 EURe"},
            "source": {"chain_id": 100}, "timeline": [{"type": "SwipeRecorded"}],
            "occurred_at": "2026-01-02T03:04:05Z", "updated_at": "2026-01-02T03:04:15Z",
        })
    }

    fn said(status: u16, content_type: &str, body: &Value) -> Said {
        Said { status, content_type: content_type.to_owned(), body: body.to_string().into_bytes() }
    }

    fn shown(reply: &Reply) -> Value {
        serde_json::from_str(&reply.body).expect("JSON")
    }

    #[test]
    fn a_payment_loses_its_account_source_and_timeline() {
        let mut expected = stored();
        for field in ["account", "source", "timeline"] {
            expected.as_object_mut().expect("an object").remove(field);
        }
        for reader in [None, Some(ACCOUNT)] {
            let reply = payment(ID, reader, &said(200, JSON, &stored()));
            assert_eq!((reply.status, shown(&reply)), (200, expected.clone()));
        }
        let page = json!({"data": [stored()], "next_cursor": null, "total": 1});
        let reply = payments(ACCOUNT, &said(200, JSON, &page));
        assert_eq!((reply.status, shown(&reply)), (200, json!({"data": [expected], "next_cursor": null})));
    }

    #[test]
    fn another_accounts_payment_looks_like_one_that_is_not_there() {
        let not_found = said(404, PROBLEM, &json!({"code": "payment_not_found"}));
        let other = payment(ID, Some("0x22"), &said(200, JSON, &stored()));
        assert_eq!((other.status, &other), (404, &payment(ID, Some("0x22"), &not_found)));
        let listed = payments("0x22", &said(200, JSON, &json!({"data": [stored()], "next_cursor": null})));
        assert_eq!(listed.status, 502);
    }

    #[test]
    fn any_other_answer_is_the_hosts_fault() {
        let mut number = stored();
        number["amount"]["minor"] = json!(8500);
        let mut other = stored();
        other["id"] = json!("ffffffffffffffffffffffffffffffff");
        for (status, content_type, body) in [
            (200, JSON, number),
            (200, JSON, other),
            (200, "text/html", json!("<html>")),
            (404, "text/html", json!("<html>")),
            (404, PROBLEM, json!({"code": "no_such_path"})),
            (500, PROBLEM, json!({})),
            (302, "", json!("")),
        ] {
            let reply = payment(ID, None, &said(status, content_type, &body));
            assert_eq!((reply.status, &shown(&reply)["title"]), (502, &json!("Bad Gateway")), "{body}");
        }
    }
}
