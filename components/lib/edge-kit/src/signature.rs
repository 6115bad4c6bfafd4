//! Signed requests: proof of the sender, and of a recent signing time.
//!
//! The signed text is `{timestamp}.{path}.{body}`; it includes the path so that a message for one route is invalid
//! for another. A request repeated within the window passes this check again; the idempotency key that the receiver
//! derives from the message makes it act only once.

use crate::Secrets;

/// Header with the signing time, in seconds since 1970.
pub const TIMESTAMP: &str = "x-timestamp";
/// Header with the code: `v1=` and 64 hexadecimal digits.
pub const SIGNATURE: &str = "x-signature";
const VERSION: &str = "v1=";

/// Received request.
#[derive(Debug, Clone, Copy)]
pub struct Signed<'a> {
    /// The two headers; `None` if missing or not text.
    pub timestamp: Option<&'a str>,
    pub signature: Option<&'a str>,
    pub path: &'a str,
    pub body: &'a [u8],
}

/// Reason why a request is not authenticated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    Missing(&'static str),
    Malformed(&'static str),
    /// Correctly signed, but more than `window_s` before or after now.
    OutsideWindow {
        window_s: u64,
    },
    Mismatch,
}

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Missing(header) => write!(f, "The header {header} is missing; sign the request."),
            Self::Malformed(header) => {
                write!(
                    f,
                    "The header {header} cannot be read; write seconds since 1970, and v1= with 64 digits."
                )
            }
            Self::OutsideWindow { window_s } => {
                write!(
                    f,
                    "The request was not signed within {window_s} s of now; sign it again, by a clock that is right."
                )
            }
            Self::Mismatch => f.write_str(
                "The signature is not that of this request; sign timestamp.path.body with the shared secret.",
            ),
        }
    }
}

impl Signed<'_> {
    /// Checks that the request was signed with a known secret at most `window_s` from `now_s`.
    pub fn check(&self, secrets: &Secrets, now_s: u64, window_s: u64) -> Result<(), Refused> {
        let timestamp = self.timestamp.ok_or(Refused::Missing(TIMESTAMP))?;
        let signature = self.signature.ok_or(Refused::Missing(SIGNATURE))?;
        let is_plain = timestamp.bytes().all(|digit| digit.is_ascii_digit());
        let at_s: u64 = timestamp.parse().ok().filter(|_| is_plain).ok_or(Refused::Malformed(TIMESTAMP))?;
        let code = signature.strip_prefix(VERSION).filter(|code| code.len() == 64);
        let code = code.and_then(|code| hex::decode(code).ok()).ok_or(Refused::Malformed(SIGNATURE))?;
        // The code is checked first, so that a time outside the window is reported only for a correctly signed
        // request.
        let parts: [&[u8]; 5] = [timestamp.as_bytes(), b".", self.path.as_bytes(), b".", self.body];
        if !secrets.made(&code, &parts) {
            return Err(Refused::Mismatch);
        }
        if now_s.abs_diff(at_s) > window_s {
            return Err(Refused::OutsideWindow { window_s });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW_S: u64 = 1_800_000_000;
    const PATH: &str = "/network/authorizations";

    fn check(
        timestamp: &str,
        path: &str,
        body: &[u8],
        change: impl Fn(&mut Signed<'_>),
    ) -> Result<(), Refused> {
        let secrets = Secrets::parse("s", "0123456789abcdef").unwrap();
        let code = secrets.code(&[timestamp.as_bytes(), b".", PATH.as_bytes(), b".", b"{}"]);
        let signature = format!("v1={code}");
        let mut signed = Signed { timestamp: Some(timestamp), signature: Some(&signature), path, body };
        change(&mut signed);
        signed.check(&secrets, NOW_S, 300)
    }

    #[test]
    fn a_request_passes_within_the_window_and_not_beyond() {
        for (at_s, passes) in [
            (NOW_S, true),
            (NOW_S - 300, true),
            (NOW_S + 300, true),
            (NOW_S - 301, false),
            (NOW_S + 301, false),
            (0, false),
        ] {
            let expected = if passes { Ok(()) } else { Err(Refused::OutsideWindow { window_s: 300 }) };
            assert_eq!(check(&at_s.to_string(), PATH, b"{}", |_| {}), expected, "{at_s}");
        }
    }

    #[test]
    fn what_was_not_signed_does_not_pass() {
        let now = NOW_S.to_string();
        assert_eq!(check(&now, PATH, b"{ }", |_| {}), Err(Refused::Mismatch));
        assert_eq!(check(&now, "/network/advices", b"{}", |_| {}), Err(Refused::Mismatch));
        let later = (NOW_S + 1).to_string();
        assert_eq!(
            check(&now, PATH, b"{}", |signed| signed.timestamp = Some("1800000001")),
            Err(Refused::Mismatch)
        );
        assert!(check(&later, PATH, b"{}", |_| {}).is_ok());
    }

    #[test]
    fn headers_that_are_missing_or_odd_are_named() {
        let now = NOW_S.to_string();
        let with = |change: fn(&mut Signed<'_>)| check(&now, PATH, b"{}", change);
        assert_eq!(with(|signed| signed.timestamp = None), Err(Refused::Missing(TIMESTAMP)));
        assert_eq!(with(|signed| signed.signature = None), Err(Refused::Missing(SIGNATURE)));
        for odd in ["", "+1800000000", "soon", "99999999999999999999999"] {
            assert_eq!(check(odd, PATH, b"{}", |_| {}), Err(Refused::Malformed(TIMESTAMP)), "{odd}");
        }
        for odd in ["", "v1=", "v1=zz", "v2=00", "v1=00"] {
            let found = check(&now, PATH, b"{}", |signed| signed.signature = Some(odd));
            assert_eq!(found, Err(Refused::Malformed(SIGNATURE)), "{odd}");
        }
    }
}
