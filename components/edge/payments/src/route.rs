//! Routing: what a request asks for, or why it is refused.

use clearfold_edge_kit::{LONGEST_ID, Reply};
use spin_sdk::http::Method;

const PAYMENTS: &str = "/edge/payments";
const ACCOUNT: &str = "/edge/account";

/// Resource that a customer can read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    /// Payment with that id.
    Payment(String),
    /// Payments of the account; holds further query parameters for the host, beginning with `&`.
    Payments(String),
    /// Balances and totals of the account.
    Account,
}

/// Parses a request.
///
/// Only well-formed input passes, because it becomes part of the URL that is requested from the host.
pub fn wanted(method: &Method, path: &str, query: Option<&str>) -> Result<Wanted, Reply> {
    let wanted = match path.strip_prefix(PAYMENTS) {
        Some("") => Wanted::Payments(list_query(query.unwrap_or_default())?),
        Some(below) if below.starts_with('/') && !below[1..].contains('/') => {
            Wanted::Payment(below[1..].to_owned())
        }
        _ if path == ACCOUNT => Wanted::Account,
        _ => {
            let detail = "There is nothing here. Read /edge/payments, /edge/payments/{id} or /edge/account.";
            return Err(Reply::problem(404, detail));
        }
    };
    if method != Method::GET {
        return Err(Reply::wrong_method("GET"));
    }
    match &wanted {
        Wanted::Payment(id) if !is_id(id) => Err(no_payment()),
        _ => Ok(wanted),
    }
}

/// Reply for a payment that does not exist and for one of another account, which must look the same.
pub fn no_payment() -> Reply {
    Reply::problem(404, "There is no such payment of yours; a payment appears when its block is confirmed.")
}

fn is_id(id: &str) -> bool {
    // An id of dots alone would be resolved as a relative path segment in the URL.
    clearfold_edge_kit::is_id(id, LONGEST_ID) && id.contains(|at| at != '.')
}

/// Checks the query of a list. `limit`, `cursor` and `status` are passed to the host, which validates their values.
/// The account comes from the token, never from the query.
fn list_query(query: &str) -> Result<String, Reply> {
    let mut passed = String::new();
    for part in query.split('&').filter(|part| !part.is_empty()) {
        let plain = |value: &str| {
            value
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'='))
        };
        match part.split_once('=') {
            Some((name @ ("limit" | "cursor" | "status"), value)) if plain(value) => {
                passed.push_str(&format!("&{name}={value}"));
            }
            _ => {
                let detail = "The list takes limit, cursor and status, each of letters, digits, and - _ .";
                return Err(Reply::problem(400, detail));
            }
        }
    }
    Ok(passed)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "00112233445566778899aabbccddeeff";

    fn refused(method: &Method, path: &str) -> Reply {
        wanted(method, path, None).expect_err("a refusal")
    }

    #[test]
    fn a_well_formed_id_passes() {
        for id in [ID, "auth-1", "A_b.c"] {
            let found = wanted(&Method::GET, &format!("/edge/payments/{id}"), Some("limit=1"));
            assert_eq!(found, Ok(Wanted::Payment(id.to_owned())));
        }
    }

    #[test]
    fn a_list_takes_no_account_from_the_query() {
        let list = |query: &str| wanted(&Method::GET, "/edge/payments", Some(query));
        assert_eq!(list("limit=3&cursor=a_b-c="), Ok(Wanted::Payments("&limit=3&cursor=a_b-c=".to_owned())));
        assert_eq!(list(""), Ok(Wanted::Payments(String::new())));
        for query in ["account=0x1", "limit", "limit=1%26account=2", "status=a#b"] {
            assert_eq!(list(query).expect_err(query).status, 400);
        }
    }

    #[test]
    fn anything_else_in_the_place_of_an_id_is_no_payment() {
        let long = "a".repeat(LONGEST_ID + 1);
        for id in ["", "..", ".", "a b", "é", "00112233445566778899aabbccddeef%2e", &long] {
            assert_eq!(refused(&Method::GET, &format!("/edge/payments/{id}")).status, 404);
        }
    }

    #[test]
    fn other_paths_are_not_found_whatever_the_method() {
        for path in
            ["/", "/edge", "/edge/paymentsx", "/edge/cards/1", &format!("/edge/payments/{ID}/timeline")]
        {
            assert_eq!(refused(&Method::POST, path).status, 404, "{path}");
        }
    }

    #[test]
    fn other_methods_are_told_the_right_one() {
        let reply = refused(&Method::DELETE, &format!("/edge/payments/{ID}"));
        assert_eq!((reply.status, reply.header), (405, Some(("allow", "GET"))));
    }
}
