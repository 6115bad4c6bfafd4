//! Customer token: names the account that may be read and its expiry, signed with the secret.
//!
//! The form is `v1.{account}.{expires}.{code}`, where `expires` is in seconds since 1970 and `code` is the
//! HMAC-SHA256 of everything before the last point, in hexadecimal digits. A token names one account and grants
//! nothing but reading it.

use crate::Secrets;

const VERSION: &str = "v1";

/// Reason why a token is not accepted. All malformed or forged tokens give the same error, so that a forger learns
/// nothing from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InvalidToken {
    Missing,
    Invalid,
    Expired,
}

impl std::fmt::Display for InvalidToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Missing => "Send the account's token in the header Authorization: Bearer ….",
            Self::Invalid => "The token is not valid; sign in again.",
            Self::Expired => "The token has expired; sign in again.",
        })
    }
}

/// Returns the account, in lower case, that the value of an `Authorization` header grants access to at `now_s`.
pub fn account_of<'a>(
    header: Option<&'a str>,
    secrets: &Secrets,
    now_s: u64,
) -> Result<&'a str, InvalidToken> {
    let (scheme, token) = header.and_then(|header| header.split_once(' ')).ok_or(InvalidToken::Missing)?;
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(InvalidToken::Missing);
    }
    let (signed, code) = token.trim().rsplit_once('.').ok_or(InvalidToken::Invalid)?;
    let code = hex::decode(code).map_err(|_| InvalidToken::Invalid)?;
    if !secrets.made(&code, &[signed.as_bytes()]) {
        return Err(InvalidToken::Invalid);
    }
    // The content is parsed only now that it is known to be signed with the secret.
    let mut parts = signed.split('.');
    let (Some(VERSION), Some(account), Some(expires), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(InvalidToken::Invalid);
    };
    let expires_s: u64 = expires.parse().map_err(|_| InvalidToken::Invalid)?;
    let is_account = account.len() == 42
        && account.strip_prefix("0x").is_some_and(|digits| {
            digits.bytes().all(|digit| digit.is_ascii_digit() || (b'a'..=b'f').contains(&digit))
        });
    match is_account {
        true if now_s < expires_s => Ok(account),
        true => Err(InvalidToken::Expired),
        false => Err(InvalidToken::Invalid),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ACCOUNT: &str = "0x00000000000000000000000000000000000000aa";

    fn secrets() -> Secrets {
        Secrets::parse("s", "0123456789abcdef").unwrap()
    }

    fn token(signed: &str) -> String {
        format!("Bearer {signed}.{}", secrets().code(&[signed.as_bytes()]))
    }

    #[test]
    fn a_token_opens_its_account_until_it_expires() {
        let token = token(&format!("v1.{ACCOUNT}.1000"));
        assert_eq!(account_of(Some(&token), &secrets(), 999), Ok(ACCOUNT));
        assert_eq!(account_of(Some(&token), &secrets(), 1000), Err(InvalidToken::Expired));
        let other = Secrets::parse("s", "another secret_, as long").err().is_none();
        assert!(!other, "white space separates secrets");
        let other = Secrets::parse("s", "fedcba9876543210").unwrap();
        assert_eq!(account_of(Some(&token), &other, 999), Err(InvalidToken::Invalid));
    }

    #[test]
    fn what_is_no_token_opens_nothing() {
        let whole = token(&format!("v1.{ACCOUNT}.1000"));
        let other_account = whole.replace("aa.1000", "ab.1000");
        let longer = whole.replace(".1000.", ".9999.");
        let upper = token(&format!("v1.{}.1000", ACCOUNT.to_uppercase()));
        let version = token(&format!("v2.{ACCOUNT}.1000"));
        let more = token(&format!("v1.{ACCOUNT}.1000.x"));
        for odd in [&other_account, &longer, &upper, &version, &more, "Bearer ", "Bearer v1", "Bearer a.zz"] {
            assert_eq!(account_of(Some(odd), &secrets(), 1), Err(InvalidToken::Invalid), "{odd}");
        }
        for odd in [None, Some("Bearer"), Some("Basic eDp5"), Some("")] {
            assert_eq!(account_of(odd, &secrets(), 1), Err(InvalidToken::Missing), "{odd:?}");
        }
    }
}
