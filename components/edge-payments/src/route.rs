//! Which payment a request is for, or why it is for none.

use crate::reply::Reply;
use spin_sdk::http::{Method, StatusCode};

const PAYMENTS: &str = "/edge/payments/";
const MAX_ID_LENGTH: usize = 128;

/// The payment's id out of `/edge/payments/{id}`.
///
/// Only a well-formed id passes: it becomes part of the address that the host is asked at.
pub fn payment_id<'a>(method: &Method, path: &'a str) -> Result<&'a str, Reply> {
    let Some(id) = path.strip_prefix(PAYMENTS).filter(|id| !id.contains('/')) else {
        let detail = "There is nothing here. A payment is read at /edge/payments/{id}.";
        return Err(Reply::problem(StatusCode::NOT_FOUND, detail));
    };
    if method != Method::GET {
        let detail = format!("A payment can only be read: use GET, not {method}.");
        return Err(Reply { allow: Some("GET"), ..Reply::problem(StatusCode::METHOD_NOT_ALLOWED, detail) });
    }
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    // Of dots alone an address would be made of something else.
    let is_id =
        (1..=MAX_ID_LENGTH).contains(&id.len()) && id.bytes().all(is_plain) && id.contains(|at| at != '.');
    if !is_id {
        let detail = "There is no such payment: an id has 1 to 128 letters, digits, and - _ .";
        return Err(Reply::problem(StatusCode::NOT_FOUND, detail));
    }
    Ok(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "00112233445566778899aabbccddeeff";

    fn refused(method: &Method, path: &str) -> Reply {
        payment_id(method, path).expect_err("a refusal")
    }

    #[test]
    fn a_well_formed_id_passes() {
        for id in [ID, "auth-1", "A_b.c"] {
            assert_eq!(payment_id(&Method::GET, &format!("/edge/payments/{id}")), Ok(id));
        }
    }

    #[test]
    fn anything_else_in_the_place_of_an_id_is_no_payment() {
        let long = "a".repeat(MAX_ID_LENGTH + 1);
        for id in ["", "..", ".", "a b", "é", "00112233445566778899aabbccddeef%2e", &long] {
            assert_eq!(refused(&Method::GET, &format!("/edge/payments/{id}")).status, StatusCode::NOT_FOUND);
        }
    }

    #[test]
    fn other_paths_are_not_found_whatever_the_method() {
        for path in ["/", "/edge/payments", "/edge/cards/1", &format!("/edge/payments/{ID}/timeline")] {
            assert_eq!(refused(&Method::POST, path).status, StatusCode::NOT_FOUND, "{path}");
        }
    }

    #[test]
    fn other_methods_are_told_the_right_one() {
        let reply = refused(&Method::DELETE, &format!("/edge/payments/{ID}"));
        assert_eq!((reply.status, reply.allow), (StatusCode::METHOD_NOT_ALLOWED, Some("GET")));
        assert!(reply.body.contains("DELETE"), "{}", reply.body);
    }
}
