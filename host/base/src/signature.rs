//! Ed25519 keys of those that may sign components, and the check of a signature of a component's exact bytes.
//!
//! It holds no secret and signs nothing. To sign, use
//! `openssl pkeyutl -sign -rawin -inkey KEY.pem -in X.wasm -out X.wasm.sig`.

use std::fmt;
use std::str::FromStr;

use ring::signature::{ED25519, UnparsedPublicKey};

/// Public key of a signer of components. Its text is 64 characters, 0-9 and a-f.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Signer(pub [u8; 32]);

/// Keys of which one must have signed each component. If there is none, components need no signature.
#[derive(Debug, Clone, Default)]
pub struct Signers(pub Vec<Signer>);

/// A component's signature, and the key that made it.
#[derive(Debug, Clone, Copy)]
pub struct Signed {
    pub signer: Signer,
    pub signature: [u8; 64],
}

/// A component has no valid signature.
#[derive(Debug, thiserror::Error)]
pub enum SignatureError {
    #[error("`{0}` is no Ed25519 key: give its 32 bytes as 64 characters, 0-9 and a-f")]
    NotAKey(String),
    #[error(
        "the component `{0}` is not signed, and COMPONENT_SIGNERS asks for it; put the signature beside it, as FILE.sig"
    )]
    Missing(String),
    #[error("the signature of `{component}` has {bytes} bytes; an Ed25519 signature has 64")]
    Length { component: String, bytes: usize },
    #[error("the signature of `{0}` is by none of COMPONENT_SIGNERS, or of other bytes; sign this very file")]
    Wrong(String),
}

impl Signers {
    /// Finds the signer of these bytes. `None` if no signature is needed.
    pub fn check(
        &self,
        component: &str,
        wasm: &[u8],
        signature: Option<&[u8]>,
    ) -> Result<Option<Signed>, SignatureError> {
        if self.0.is_empty() {
            return Ok(None);
        }
        let signature = signature.ok_or_else(|| SignatureError::Missing(component.to_owned()))?;
        let signature: [u8; 64] = signature.try_into().map_err(|_| SignatureError::Length {
            component: component.to_owned(),
            bytes: signature.len(),
        })?;
        let by = self
            .0
            .iter()
            .find(|signer| UnparsedPublicKey::new(&ED25519, &signer.0[..]).verify(wasm, &signature).is_ok());
        let signer = *by.ok_or_else(|| SignatureError::Wrong(component.to_owned()))?;
        Ok(Some(Signed { signer, signature }))
    }
}

impl FromStr for Signer {
    type Err = SignatureError;

    fn from_str(text: &str) -> Result<Self, SignatureError> {
        let mut key = [0; 32];
        let decoded = hex::decode_to_slice(text.trim(), &mut key);
        decoded.map_err(|_| SignatureError::NotAKey(text.to_owned()))?;
        Ok(Self(key))
    }
}

impl fmt::Display for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use ring::signature::{Ed25519KeyPair, KeyPair};

    use super::*;

    #[test]
    fn only_a_signature_of_these_bytes_by_a_known_key_counts() {
        let key = Ed25519KeyPair::from_seed_unchecked(&[1; 32]).unwrap();
        let signer: Signer = hex::encode(key.public_key().as_ref()).parse().unwrap();
        let signers = Signers(vec![Signer([7; 32]), signer]);
        let signature = key.sign(b"wasm");
        let checked = signers.check("x", b"wasm", Some(signature.as_ref())).unwrap();
        assert_eq!(checked.map(|signed| signed.signer), Some(signer));
        let refused = |wasm: &[u8], signature: Option<&[u8]>| {
            signers.check("x", wasm, signature).unwrap_err().to_string()
        };
        assert!(refused(b"other", Some(signature.as_ref())).contains("none of COMPONENT_SIGNERS"));
        assert!(refused(b"wasm", None).contains("not signed"));
        assert!(refused(b"wasm", Some(b"short")).contains("has 5 bytes"));
        let foreign = Ed25519KeyPair::from_seed_unchecked(&[2; 32]).unwrap().sign(b"wasm");
        assert!(refused(b"wasm", Some(foreign.as_ref())).contains("none of"));
        assert!(Signers::default().check("x", b"wasm", None).unwrap().is_none());
        assert!("abc".parse::<Signer>().unwrap_err().to_string().contains("64 characters"));
    }
}
