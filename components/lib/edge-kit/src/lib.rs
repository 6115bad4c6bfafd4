//! Shared code of the edge components: signatures with a replay window, customers' tokens, replies, and access to the
//! host.
//!
//! Everything but [`host`] is pure: the time, the secret and the request are arguments. Nothing here depends on a
//! network, a provider or a business rule.

#[cfg(feature = "spin")]
pub mod host;
mod reply;
mod secrets;
mod signature;
mod token;

pub use reply::{JSON, KEY_REUSED, Outcome, PROBLEM, Reply, Said};
pub use secrets::{NoSecret, Secrets};
pub use signature::{Refused, SIGNATURE, Signed, TIMESTAMP};
pub use token::{InvalidToken, account_of};

/// Initial memory that is enough for one request, because each growth of an instance's memory is a call into the
/// kernel.
#[cfg(all(feature = "spin", target_arch = "wasm32"))]
static FIRST: clearfold_arena::First<{ 128 << 10 }> = clearfold_arena::First::new();

#[cfg(all(feature = "spin", target_arch = "wasm32"))]
#[global_allocator]
static ARENA: clearfold_arena::LinearArena = clearfold_arena::LinearArena::beginning_with(&FIRST);

/// Longest time, in milliseconds, that a component works on an answer, from its start.
///
/// The host ends a request 1,000 ms after its component started; this and [`RESERVE_MS`] must fit in that.
pub const LONGEST_MS: u64 = 900;
/// Time, in milliseconds, reserved after that for the answer itself and for the host's own work.
pub const RESERVE_MS: u64 = 50;

/// Refuses a body that the host could not store: its databases accept no zero character. If the edge refuses it, the
/// sender gets an error about its message and does not send it again for ever.
pub fn storable(body: &[u8]) -> Result<(), String> {
    if clearfold_kernel::holds_zero(body) {
        return Err("it holds the character U+0000, which cannot be stored".to_owned());
    }
    Ok(())
}

/// Maximum length of the host's ids, in characters.
pub const LONGEST_ID: usize = 128;

/// Returns true if a text can be one of the host's ids with at most `longest` characters. Ids become part of URLs and
/// of stream names, so they contain only safe characters.
#[must_use]
pub fn is_id(text: &str, longest: usize) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    (1..=longest).contains(&text.len()) && text.bytes().all(is_plain)
}

#[cfg(test)]
mod tests {
    use super::{is_id, storable};

    #[test]
    fn an_id_is_plain_and_not_too_long() {
        assert!(is_id("visa-t_1.x", 10));
        for text in ["", "visa-t_1.xy", "a b", "a/b", "é", "a%2e"] {
            assert!(!is_id(text, 10), "{text}");
        }
    }

    #[test]
    fn a_zero_character_is_refused() {
        assert!(storable(br#"{"name":"Caf\u00e9 0000"}"#).is_ok());
        assert!(storable(br#"{"name":"C:\\u0000"}"#).is_ok(), "a backslash, and no zero character");
        assert!(storable(br#"{"name":"C:\\\u0000"}"#).is_err());
        assert!(storable(br#"{"name":"a\u0000b"}"#).is_err_and(|why| why.contains("U+0000")));
    }
}
