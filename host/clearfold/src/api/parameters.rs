//! Parameters that several endpoints take, in a path, a query or a body. Nothing here asks a database.

use clearfold_kernel::Address;
use http::StatusCode;

use super::Problem;

/// Length of a stream's id and of a name, in bytes.
pub(super) const MAX_ID_LENGTH: usize = 128;

/// Refuses what is not a stream's id.
pub(super) fn check_id(id: &str) -> Result<(), Problem> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    if !id.is_empty() && id.len() <= MAX_ID_LENGTH && id.bytes().all(is_plain) {
        return Ok(());
    }
    Err(invalid("invalid_id", format!("an id has 1 to {MAX_ID_LENGTH} letters, digits, and - _ .")))
}

/// An account's address in lower case, which is the account's id.
pub(super) fn address(text: &str) -> Result<String, Problem> {
    let address: Address = text.parse().map_err(|error| invalid("invalid_account", format!("{error}")))?;
    Ok(address.to_string())
}

/// The problem of a parameter that cannot be used.
pub(super) fn invalid(code: &str, detail: impl Into<String>) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, code, detail)
}
