//! Which payment a request is for, or why it is for none.

use crate::reply::Reply;
use spin_sdk::http::{Method, StatusCode};

const PAYMENTS: &str = "/edge/payments/";
const ID_LENGTH: usize = 32;

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
    if id.len() != ID_LENGTH || !id.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')) {
        let detail = "There is no such payment: its id has 32 hexadecimal digits in lower case.";
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
        assert_eq!(payment_id(&Method::GET, &format!("/edge/payments/{ID}")), Ok(ID));
    }

    #[test]
    fn anything_else_in_the_place_of_an_id_is_no_payment() {
        for id in ["", "00", "00112233445566778899AABBCCDDEEFF", "00112233445566778899aabbccddeef%2e"] {
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
