//! Shared secrets, and the codes (HMACs) made with them.
//!
//! A secret is never shown, and codes are compared in constant time.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// Minimum length of a secret; a shorter one can be guessed.
const SHORTEST: usize = 16;

/// Accepted secrets: one, or the old and the new one during a rotation.
pub struct Secrets(Vec<Vec<u8>>);

/// Error for a variable that holds no usable secret; holds the variable's name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoSecret(String);

impl std::fmt::Display for NoSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (name, variable) = (&self.0, self.0.to_ascii_uppercase());
        write!(
            f,
            "The variable {name} holds no secret of at least {SHORTEST} characters; set SPIN_VARIABLE_{variable} \
             where the edge runs (two, separated by a space, while one is exchanged)."
        )
    }
}

impl Secrets {
    /// Reads the value of the variable `name`: secrets separated by white space.
    pub fn parse(name: &str, value: &str) -> Result<Self, NoSecret> {
        let secrets: Vec<Vec<u8>> =
            value.split_whitespace().map(|secret| secret.as_bytes().to_vec()).collect();
        if secrets.is_empty() || secrets.iter().any(|secret| secret.len() < SHORTEST) {
            return Err(NoSecret(name.to_owned()));
        }
        Ok(Self(secrets))
    }

    /// Returns true if `code` is the HMAC-SHA256 of all `parts`, concatenated, under one of the secrets.
    #[must_use]
    pub fn made(&self, code: &[u8], parts: &[&[u8]]) -> bool {
        // All secrets are tried, so that the time does not reveal which one matched.
        let mut found = false;
        for secret in &self.0 {
            found |= mac(secret, parts).is_some_and(|mac| mac.verify_slice(code).is_ok());
        }
        found
    }

    /// Returns the code of `parts` under the newest secret, in hexadecimal digits.
    #[must_use]
    pub fn code(&self, parts: &[&[u8]]) -> String {
        let mac = self.0.last().and_then(|secret| mac(secret, parts));
        mac.map_or_else(String::new, |mac| hex::encode(mac.finalize().into_bytes()))
    }
}

/// Returns the HMAC of `parts`. HMAC accepts keys of any length, so there always is one.
fn mac(secret: &[u8], parts: &[&[u8]]) -> Option<Hmac<Sha256>> {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret).ok()?;
    parts.iter().for_each(|part| mac.update(part));
    Some(mac)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_code_is_the_one_of_rfc_4231() {
        // Test case 2 has a short key, 3 a usable one: twenty times 0xaa.
        let mac = mac(&[0xaa; 20], &[&[0xdd; 20], &[0xdd; 30]]).unwrap();
        let code = hex::encode(mac.finalize().into_bytes());
        assert_eq!(code, "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe");
    }

    #[test]
    fn both_secrets_count_while_one_is_exchanged() {
        let old = Secrets::parse("s", "0123456789abcdef").unwrap();
        let both = Secrets::parse("s", " 0123456789abcdef\nfedcba9876543210 ").unwrap();
        let code = hex::decode(old.code(&[b"text"])).unwrap();
        assert!(both.made(&code, &[b"te", b"xt"]) && !both.made(&code, &[b"Text"]));
        assert!(!old.made(&hex::decode(both.code(&[b"text"])).unwrap(), &[b"text"]));
        assert!(!old.made(&code[..31], &[b"text"]) && !old.made(&[], &[b"text"]));
    }

    #[test]
    fn no_secret_and_a_short_one_are_named_and_never_shown() {
        for value in ["", "  ", "hunter2", "0123456789abcdef hunter2"] {
            let said = Secrets::parse("network_secret", value).err().unwrap().to_string();
            assert!(said.contains("SPIN_VARIABLE_NETWORK_SECRET") && !said.contains("hunter2"), "{said}");
        }
    }
}
